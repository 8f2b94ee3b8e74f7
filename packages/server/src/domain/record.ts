/**
 * The usage record: the value, on the window grid, of "usage of one series from t1 to t2".
 * Its key is (series, window, part); it names no account, because the owner is joined by time when it is read.
 */
import type { Instant } from './window.ts';

/** What a record says about how its figure was come by. A record without a flag is exact. Bits, so that they merge by OR. */
export const Flag = {
  /** A boundary lay between two readings: the value there is last + floor(delta * elapsed / interval). */
  spread: 1,
  /** The value fell without evidence of a new epoch: the new value was counted from zero. */
  inferredReset: 2,
  /** A part of the interval was never seen and never will be. */
  unobserved: 4,
  /** A time was clamped: the source's clock went back, ran ahead, or was skewed. */
  clamped: 8,
  /** The delta is exact, its time is not: the interval was longer than three polls and a window. */
  gap: 16,
  /** The interval was over 35 days: the delta is held in the window of the later reading, not spread. */
  held: 32,
  /** A 32-bit counter wrapped. */
  wrapped: 64,
  /** A new epoch began at a start that the source declared or its evidence implies. */
  reset: 128,
  /** A fact was set aside here (conflict, late and inconsistent, impossible rate). */
  setAside: 256,
  /** Completeness was assumed after the source's grace; it does not declare any. */
  assumed: 512,
  /** The value as sent was a float above 2^53: it may be off by one or more. */
  inexactSource: 1024,
} as const;
export type FlagName = keyof typeof Flag;

export const flagNames = (bits: number): FlagName[] =>
  (Object.keys(Flag) as FlagName[]).filter((name) => (bits & Flag[name]) !== 0);

/** Completeness, worst first: a sum over records takes the worst state among them. */
export const State = { quarantined: 3, pending: 2, unobserved: 1, known: 0 } as const;
export type StateName = keyof typeof State;
export const stateName = (code: number): StateName =>
  code === 3 ? 'quarantined' : code === 2 ? 'pending' : code === 1 ? 'unobserved' : 'known';

/**
 * A record of a cumulative meter (a counter). `used` in the counter's own unit, 0 .. 2^64-1.
 * A window that lost its content is written again with `n` 0, `used` 0 and `isVoid` true: nothing is deleted.
 */
export interface CounterRecord {
  series: number;
  window: Instant;
  /** Milliseconds into the window at which this part begins: 0, unless an owner's change cuts the window. */
  part: number;
  /** Milliseconds of the part between two kept readings of one epoch. */
  seen: number;
  used: bigint;
  /** Kept readings in the part. */
  n: number;
  flags: number;
  state: number;
  /** Sum of the kept readings' digests, mod 2^32: a reading that was changed shows though the usage is the same. */
  facts: number;
  isVoid: boolean;
}

/**
 * A record of a delta or gauge meter. Quantities are Decimal(38,12) scaled by 10^12 into a bigint; `sum` of a gauge is its
 * time integral, level x milliseconds, at the same scale. `min`, `max`, `latest` are null when nothing was measured.
 */
export interface TallyRecord {
  series: number;
  window: Instant;
  part: number;
  sum: bigint;
  count: bigint;
  min: bigint | null;
  max: bigint | null;
  latest: bigint | null;
  /** Instant of the fact that `latest` comes from; 0 when null. */
  latestAt: Instant;
  flags: number;
  state: number;
  isVoid: boolean;
}
