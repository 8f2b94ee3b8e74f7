/**
 * Burstable billing: the nth percentile of 5-minute samples. Several series of one direction (ports) are added interval by
 * interval before ranking, because percentiles do not add. Exact: samples are whole bytes, the rank is nearest-rank on
 * sorted samples, and no sketch estimates anything.
 */

import type { Meter } from './meter.ts';
import { divide, type Quantity, type Rounding, SCALE } from './quantity.ts';
import { Flag } from './record.ts';
import type { Instant } from './window.ts';

export type DirectionRule = Meter['direction'];

/** The grid of samples: absolute time, whatever the zone. A local month with a change of the clock has 12 more or fewer. */
export const SAMPLE_MS = 300_000;

/** Start of the sample interval that holds t. */
export const sampleStart = (t: Instant): Instant => Math.floor(t / SAMPLE_MS) * SAMPLE_MS;

/**
 * The samples of one direction over [from, to). Only whole intervals count: one that a boundary cuts belongs to neither
 * side, because bytes of a part of it would rank as a slower whole. What is added outside is ignored.
 */
export class Samples {
  readonly from: Instant;
  /** Intervals in the range, observed or not. */
  readonly expected: number;
  /** null: nothing was added. */
  private readonly bytes: (bigint | null)[];
  private readonly flags: Uint16Array;

  constructor(from: Instant, to: Instant) {
    this.from = Math.ceil(from / SAMPLE_MS) * SAMPLE_MS;
    this.expected = Math.max(0, (sampleStart(to) - this.from) / SAMPLE_MS);
    this.bytes = new Array<bigint | null>(this.expected).fill(null);
    this.flags = new Uint16Array(this.expected);
  }

  /** Adds one series' bytes of the interval that holds `at`; flags are bits of record.Flag. */
  add(at: Instant, bytes: bigint, flags = 0): void {
    const i = this.indexOf(at);
    if (i < 0) return;
    if (bytes < 0n) throw new RangeError(`a sample of ${bytes} bytes`);
    this.bytes[i] = (this.bytes[i] ?? 0n) + bytes;
    this.flags[i] = (this.flags[i] ?? 0) | flags;
  }

  /**
   * A series that counts here was not seen in this interval. The whole interval is left out then: a sum that lacks one of
   * its ports is no sample, and zero would favour one side silently.
   */
  unobserved(at: Instant): void {
    const i = this.indexOf(at);
    if (i >= 0) this.flags[i] = (this.flags[i] ?? 0) | Flag.unobserved;
  }

  /** Bytes of interval i; null when it was not observed. */
  at(i: number): bigint | null {
    return (this.flagsAt(i) & Flag.unobserved) !== 0 ? null : (this.bytes[i] ?? null);
  }

  /** Whether any interval was observed. */
  some(): boolean {
    return this.bytes.some((_, i) => this.at(i) !== null);
  }

  flagsAt(i: number): number {
    return this.flags[i] ?? 0;
  }

  private indexOf(at: Instant): number {
    const i = (sampleStart(at) - this.from) / SAMPLE_MS;
    return i >= 0 && i < this.expected ? i : -1;
  }
}

/** One ranking. */
export interface Ranked {
  /** Bytes in 5 minutes of the ranked sample; null when nothing was observed. */
  bytes: bigint | null;
  /** Which of the observed samples, counted from the smallest, 1 .. observed; 0 when there is none. */
  position: number;
  /** Samples above it: the free peak. */
  dropped: number;
  /** Samples ranked: N. */
  observed: number;
  /** Intervals in the range. */
  expected: number;
  /** observed / expected in per mille, rounded down; 0 when nothing was expected. */
  coverage: number;
  /** Observed samples whose bytes were divided at a boundary between two readings, and those from a gap or held. */
  spread: number;
  synthetic: number;
  /** All flags of the observed samples, and `unobserved` when an interval was left out by it. */
  flags: number;
}

export interface Percentile extends Ranked {
  /** bytes x 8 / 300 s at scale 10^12, rounded once by the named mode; null with `bytes`. */
  bitsPerSecond: Quantity | null;
  /** The same, exact: numerator / denominator. */
  exact: { numerator: bigint; denominator: bigint } | null;
  /** max-of-percentiles: the ranking of each direction, in the order given. Otherwise empty: one ranking was made. */
  directions: Ranked[];
  /** max-of-percentiles: index of the direction that won (the first of equals); -1 otherwise. */
  winner: number;
}

/** Nearest rank: which of n sorted samples, counted from 1, is at `rank` per mille: ceil(rank x n / 1000). */
export const nearestRank = (rank: number, n: number): number => Math.ceil((rank * n) / 1000);

/** Bits per second of so many bytes in a sample interval, at scale 10^12. */
export const bitsPerSecond = (bytes: bigint, mode: Rounding = 'half-even'): Quantity =>
  divide(bytes * BITS_PER_BYTE * SCALE, SECONDS, mode);

const BITS_PER_BYTE = 8n;
const SECONDS = BigInt(SAMPLE_MS / 1000);

/**
 * The percentile of one or more directions over one range. The three rules give three different answers:
 * - `max-of-percentiles`: each direction ranked by itself, the higher one counts; coverage is that of the worst direction;
 * - `percentile-of-max`: the greater direction of each interval, then ranked;
 * - `percentile-of-sum`: all directions of each interval added, then ranked.
 * In the last two an interval needs every direction that has samples at all.
 * Throws RangeError: a rank outside 1 .. 1000, no direction, directions over different ranges.
 */
export function percentile(
  rank: number,
  rule: DirectionRule,
  directions: readonly Samples[],
  mode: Rounding = 'half-even',
): Percentile {
  checkQuestion(rank, directions);
  if (rule !== 'max-of-percentiles') {
    const present = directions.filter((d) => d.some());
    const combine = rule === 'percentile-of-max' ? greatest : sum;
    return rated(
      rankBy(rank, directions, (i) => combine(present, i)),
      mode,
      [],
      -1,
    );
  }
  const ranked = directions.map((d) => rankBy(rank, [d], (i) => d.at(i)));
  const winner = ranked.reduce((best, r, i) => ((r.bytes ?? -1n) > (ranked[best]?.bytes ?? -1n) ? i : best), 0);
  const coverage = Math.min(...ranked.map((r) => r.coverage));
  return rated({ ...(ranked[winner] as Ranked), coverage }, mode, ranked, winner);
}

type Combine = (directions: readonly Samples[], i: number) => bigint | null;

const sum: Combine = (directions, i) => {
  let total: bigint | null = null;
  for (const d of directions) {
    const bytes = d.at(i);
    if (bytes === null) return null;
    total = (total ?? 0n) + bytes;
  }
  return total;
};

const greatest: Combine = (directions, i) => {
  let most: bigint | null = null;
  for (const d of directions) {
    const bytes = d.at(i);
    if (bytes === null) return null;
    if (most === null || bytes > most) most = bytes;
  }
  return most;
};

/** Ranks the samples that `sampleAt` gives; what it has no sample for is left out and N shrinks. */
function rankBy(rank: number, directions: readonly Samples[], sampleAt: (i: number) => bigint | null): Ranked {
  const expected = directions[0]?.expected ?? 0;
  const samples: bigint[] = [];
  let [flags, spread, synthetic] = [0, 0, 0];
  for (let i = 0; i < expected; i++) {
    const bits = directions.reduce((all, d) => all | d.flagsAt(i), 0);
    const bytes = sampleAt(i);
    if (bytes === null) {
      flags |= bits & Flag.unobserved;
      continue;
    }
    samples.push(bytes);
    flags |= bits;
    if ((bits & Flag.spread) !== 0) spread++;
    if ((bits & (Flag.gap | Flag.held)) !== 0) synthetic++;
  }
  samples.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const observed = samples.length;
  const position = nearestRank(rank, observed);
  return {
    bytes: samples[position - 1] ?? null,
    position,
    dropped: observed - position,
    observed,
    expected,
    coverage: expected === 0 ? 0 : Math.floor((observed * 1000) / expected),
    spread,
    synthetic,
    flags,
  };
}

function rated(ranked: Ranked, mode: Rounding, directions: Ranked[], winner: number): Percentile {
  const { bytes } = ranked;
  return {
    ...ranked,
    bitsPerSecond: bytes === null ? null : bitsPerSecond(bytes, mode),
    exact: bytes === null ? null : { numerator: bytes * BITS_PER_BYTE, denominator: SECONDS },
    directions,
    winner,
  };
}

function checkQuestion(rank: number, directions: readonly Samples[]): void {
  if (!Number.isInteger(rank) || rank < 1 || rank > 1000) throw new RangeError(`no rank in per mille: ${rank}`);
  const [first] = directions;
  if (first === undefined) throw new RangeError('a percentile of no direction');
  if (directions.some((d) => d.from !== first.from || d.expected !== first.expected)) {
    throw new RangeError('directions over different ranges');
  }
}
