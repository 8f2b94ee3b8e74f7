/** The state of one counter in numbers, and what every algorithm does with it. */
import type { Instant } from '../window.ts';
import type { Entries } from './entries.ts';
import type { QuotaPeriod } from './limit.ts';
import type { Calendar } from './period.ts';

/** Units; of a bucket its level, in units x windowMs. */
export const USED = 0;
/** sliding: units of the window before. quota: its ceiling, infinite until one is set. leased, slots: the ceiling. */
export const EXTRA = 1;
/** Where the window or period begins; of a bucket and a log the latest instant seen. */
export const START = 2;
/** Where the window or period ends; of a bucket and a log when nothing of it is left. 0: never used. */
export const END = 3;
/** Numbers a counter has for its algorithm. All zero is a counter never used. */
export const STATE = 4;

/** A counter's place: n[at + USED] and so on. A cursor, moved from counter to counter: keep none. */
export interface Cell {
  n: Float64Array;
  at: number;
  /** Of algorithms that remember every admission; empty and shared by the others. */
  log: Entries;
}

/** A limit's rule made ready for arithmetic. */
export interface Terms {
  readonly algorithm: Algorithm;
  /** Most units at one instant: the amount, or the burst of a bucket. */
  readonly capacity: number;
  readonly amount: number;
  /** Window of a rate, longest hold of a concurrency cap; 0 for a quota. */
  readonly windowMs: number;
  readonly period: QuotaPeriod | null;
}

/** What has a calendar. Not the calendar itself, which is looked at only when a period ends. */
export interface Dated {
  readonly calendar: Calendar;
}

/**
 * `roll` first, always: the others take the cell as it stands at `now`. No state moves back when the clock does: a cell
 * holds the latest instant it has seen, and is asked as of that.
 */
export interface Algorithm {
  readonly name: 'fixed' | 'sliding' | 'log' | 'bucket' | 'quota' | 'leased';
  /** Brings the cell to `now`: opens the window or period that holds it, drains, forgets what has left. */
  roll(cell: Cell, terms: Terms, of: Dated, now: Instant): void;
  /** Units that count against the capacity, rounded up. `used + cost <= capacity` is exactly what may be admitted. */
  used(cell: Cell, terms: Terms, now: Instant): number;
  /** Adds units whatever the capacity: whether they fit was asked before. */
  charge(cell: Cell, terms: Terms, units: number): void;
  /** Takes back units charged at `charged`, as far as they still count; never more. */
  giveBack(cell: Cell, terms: Terms, units: number, charged: Instant): void;
  /** From when on `cost` fits if nothing else comes; Infinity: never. */
  fitsAt(cell: Cell, terms: Terms, cost: number, now: Instant): Instant;
  /** End of the window or period, or when all is free again. Never earlier than it was, but after a refund. */
  resetAt(cell: Cell): Instant;
  /** Makes `units` the usage of the window or period that holds `now`. Nothing happens when that one is over. */
  set(cell: Cell, terms: Terms, units: number, now: Instant): void;
}

export const get = (cell: Cell, field: number): number => cell.n[cell.at + field] as number;

export const put = (cell: Cell, field: number, value: number): void => {
  cell.n[cell.at + field] = value;
};
