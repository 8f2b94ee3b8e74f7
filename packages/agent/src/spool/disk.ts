/** What the spool asks of a disk: a folder of its own, appended files, synced when it matters. Rejects as node:fs does. */
export interface SpoolFile {
  /** All bytes at the end of the file. On an error some of them may be there. */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when everything appended survives a power loss. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface SpoolDisk {
  /** Rejects when another process has the folder. Resolves to how to give it up. */
  lock(): Promise<() => Promise<void>>;
  list(): Promise<string[]>;
  read(name: string): Promise<Buffer>;
  readAt(name: string, offset: number, length: number): Promise<Buffer>;
  /** A new file; its name is durable with its first sync. */
  create(name: string): Promise<SpoolFile>;
  /** The bytes of the heartbeat; rejects when there are none. */
  beat(): Promise<Buffer>;
  /** Writes them in place: this works on a full disk too. `sync`: they survive a power loss. */
  setBeat(bytes: Uint8Array, sync: boolean): Promise<void>;
  truncate(name: string, length: number): Promise<void>;
  remove(name: string): Promise<void>;
  /** A line at the end of a file for people; beyond `maxBytes` the file becomes NAME.1 and a new one begins. */
  note(name: string, line: string, maxBytes: number): Promise<void>;
}

/** The disk has no room; it may take something smaller. */
export const isFull = (error: unknown): boolean =>
  error instanceof Error && ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
