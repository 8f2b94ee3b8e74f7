/** The machine's clock and randomness, handed on as arguments; nothing else of the server reads them. */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock, Randomness } from './domain/environment.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  // An abort ends the sleep early; it is not an error.
  sleep: (ms, signal) => wait(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
};

export const systemRandomness: Randomness = {
  hex: (n) => randomBytes(n).toString('hex'),
  fraction: () => Math.random(),
};
