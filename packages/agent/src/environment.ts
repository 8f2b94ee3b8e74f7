/** The world as arguments: the agent reads time, randomness, disk and network only through these. */

export interface Clock {
  /** Wall clock, ms since 1970 UTC. May step back. */
  now(): number;
  /** Monotonic ms, for durations. */
  elapsed(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Randomness {
  /** `n` random bytes, hex. */
  hex(n: number): string;
  /** 0 <= x < 1. */
  fraction(): number;
}

/** The few things the pollers ask of a file system. All throw as node:fs does. */
export interface Disk {
  read(path: string): string;
  list(path: string): string[];
  /** Inode number, following links. */
  inode(path: string): number;
  /** Replaces the file in one step. Used for state that can be rebuilt, so it is not synced. */
  replace(path: string, content: string): void;
}

export interface HttpAnswer {
  status: number;
  /** Value of Retry-After in ms, 0 when there is none. */
  retryAfter: number;
  body: string;
  /** The server's clock when it answered, ms since 1970, to the second below; left away: it did not say. */
  date?: number;
}

export interface Network {
  /** Rejects when no answer came (refused, reset, timed out). `headers`: besides type and authorization. */
  post(
    path: string,
    body: string,
    contentType: string,
    signal?: AbortSignal,
    headers?: Readonly<Record<string, string>>,
  ): Promise<HttpAnswer>;
}
