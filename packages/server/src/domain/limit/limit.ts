/**
 * What a limit is: versioned data, no behaviour. Amounts are whole units of the limit's meter (bytes, requests, ...),
 * 0 .. 2^53 - 1, so that a decision needs no bigint: that is 9 PB in bytes, and a limit above it is refused by name.
 */
import type { Receipt } from '../fact.ts';

/** Largest amount, and largest cost of one call. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

/** fixed: from the Unix epoch. sliding: two neighbouring windows, weighed. log: every admission. bucket: GCRA with burst. */
export const rateAlgorithms = ['fixed', 'sliding', 'log', 'bucket'] as const;
export type RateAlgorithm = (typeof rateAlgorithms)[number];

export interface RateRule {
  kind: 'rate';
  amount: number;
  windowMs: number;
  algorithm: RateAlgorithm;
  /** Of a bucket: most units at one instant, at least 1. Else equal to `amount`. */
  burst: number;
}

/** In the account's own zone; `billing`: from the anchor of its subscription. */
export const quotaPeriods = ['day', 'week', 'month', 'year', 'billing'] as const;
export type QuotaPeriod = (typeof quotaPeriods)[number];

export interface QuotaRule {
  kind: 'quota';
  amount: number;
  period: QuotaPeriod;
}

export interface ConcurrencyRule {
  kind: 'concurrency';
  /** How many may be held at once. */
  amount: number;
  /** What is not released is free again after this long. */
  holdMs: number;
}

export type LimitRule = RateRule | QuotaRule | ConcurrencyRule;

/**
 * What answers when the usage a limit needs is not known in time. open: admitted, and counted as soon as it is known.
 * closed: refused. last: by what was last known. bounded: up to `amount` units are admitted unseen.
 */
export type FailMode = { mode: 'open' | 'closed' | 'last' } | { mode: 'bounded'; amount: number };

/**
 * Between servers. none: each counts alone. strict: leased ahead from one store, never exceeded. async: each counts here
 * and tells the others, within a bound (see sharing.ts).
 */
export const sharings = ['none', 'async', 'strict'] as const;
export type Sharing = (typeof sharings)[number];

export interface LimitDefinition {
  /** Unique in its plan, or among the installation's limits. */
  key: string;
  /**
   * Key of the meter whose units count; of several, whose sum counts, with ` + ` between them (see metersOf). `requests`:
   * every decision is worth its cost, 1 by default.
   */
  meter: string;
  /**
   * The one feed. decided: an admitted decision is the usage, and is published as such. metered: events and readings
   * move it, decisions only read it.
   */
  feed: 'decided' | 'metered';
  /** Whose usage shares one counter. A dimension's counter is per account and value. */
  scope: 'account' | 'subtree' | 'resource' | { dimension: string };
  rule: LimitRule;
  /** A soft limit admits and counts the overage. */
  hard: boolean;
  /** Decided and counted as if it were hard, but never refuses. */
  shadow: boolean;
  /** Whole percents of the amount, ascending; each is told once per crossing and period. */
  thresholds: readonly number[];
  /** Actions it bears on; empty: all. */
  actions: readonly string[];
  fail: FailMode;
  /** Left away: strict for a decided quota, none for all others. */
  sharing?: Sharing;
  /** Shown to who is refused; '' for the plain reason. */
  message: string;
  /** Where to get more; '' when there is nowhere. */
  upgrade: string;
}

export interface Limit extends LimitDefinition {
  /** Receipt of the fact that this definition, or the amount in it, came with. */
  version: Receipt;
}

/** Not a meter: what decisions themselves are counted by. */
export const REQUESTS = 'requests';

/** Keys of the meters whose sum a limit or an entitlement is on: `a + b`. Meter keys hold neither blanks nor a plus. */
export const metersOf = (meter: string): string[] => meter.split(JOINED);
export const JOINED = ' + ';
