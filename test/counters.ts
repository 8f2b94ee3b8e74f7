/** A short way to ask the pure counter engine: readings as rows, usage by interval. */

import type { Decisions } from 'tollgate/domain/chain.js';
import { followCounter, usageOf } from 'tollgate/domain/delta.js';
import type { Reading } from 'tollgate/domain/fact.js';

export const undecided: Decisions = {
  released: new Set(),
  dropped: new Set(),
  quarantinedFrom: null,
  unobserved: [],
  settledBefore: 0,
};

/** Time in seconds, value, epoch (default 1), start in seconds (default unknown), stamps. In the order of arrival. */
export type Row = readonly [t: number, value: number | bigint, epoch?: number, start?: number, stamps?: number];

export const readingsOf = (rows: readonly Row[]): Reading[] =>
  rows.map(([t, value, epoch = 1, start = 0, stamps = 0], n) => ({
    t: t * 1000,
    value: BigInt(value),
    epoch,
    start: start * 1000,
    receipt: n + 1,
    stamps,
  }));

export const courseOf = (rows: readonly Row[], more: { width?: 32 | 64; lineBits?: number } = {}) =>
  followCounter(readingsOf(rows), { width: more.width ?? 64, lineBits: more.lineBits ?? 0, period: 60_000 }, undecided);

/** Usage between two instants in seconds. */
export const usedBetween = (rows: readonly Row[], from: number, to: number): bigint =>
  usageOf(courseOf(rows), [from * 1000, to * 1000], undecided).reduce((sum, piece) => sum + piece.used, 0n);

export const total = (rows: readonly Row[]): bigint => usedBetween(rows, 0, 10 ** 9);
