/** The world as arguments: nothing in domain or the features reads a clock, randomness, disk or network by itself. */
import type { Instant } from './window.ts';

export interface Clock {
  /** Wall clock, ms since 1970 UTC. May step back. */
  now(): Instant;
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
