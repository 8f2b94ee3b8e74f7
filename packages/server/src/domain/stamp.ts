/**
 * What arrival decides about a reading: its effective time and its stamps. Decided once, when the reading comes, and an
 * input of the computation from then on (law 3), so it may look at what the pure engine must not: the receipt time, the
 * clock offset of the batch, and which reading came last.
 */
import { isImpossible, moved } from './chain.ts';
import { Stamp } from './fact.ts';
import type { Instant } from './window.ts';

/** How far a source's clock may be off before its times are corrected. */
export const SKEW_LIMIT_MS = 60_000;

/** The newest reading of the series by effective time. */
export interface LastReading {
  t: Instant;
  value: bigint;
  epoch: number;
  run: string;
  sequence: number;
}

export interface Arrival {
  /** As the source gave it. */
  sourceTime: Instant;
  /** The source's clock when it sent the batch; 0 when it did not say. */
  sentAt: Instant;
  receivedAt: Instant;
  skewLimitMs: number;
  last: LastReading | null;
  /** One life of the source's process, and the number it gave this fact within it. */
  run: string;
  sequence: number;
  value: bigint;
  lineBits: number;
  /** Left away: the epoch of `last`. */
  epoch?: number;
  width?: 32 | 64;
  /** An end marker: it has no value. */
  end?: boolean;
  /** The value as sent was a float above 2^53. */
  inexact?: boolean;
}

export interface Stamped {
  /** Effective time. */
  t: Instant;
  /** Bits of Stamp. */
  stamps: number;
  /**
   * Whether this reading is the `last` of the next one. A value the line cannot carry is not: the one after it would
   * look slow beside it, go unstamped, and the fast path would take what the pure engine sets aside. Nor is a second
   * value for the last one's time: the first stays.
   */
  isLast: boolean;
}

export function stampReading(a: Arrival): Stamped {
  const { last, skewLimitMs: limit } = a;
  let stamps = (a.end ? Stamp.end : 0) | (a.inexact ? Stamp.inexact : 0);
  let t = a.sourceTime;
  const offset = a.sentAt > 0 ? a.receivedAt - a.sentAt : 0;
  if (Math.abs(offset) > limit) {
    t += offset;
    stamps |= Stamp.skew;
  }
  if (t > a.receivedAt + limit) {
    t = a.receivedAt;
    stamps |= Stamp.future;
  }
  if (last === null) return { t, stamps, isLast: true };
  if (t <= last.t && a.run === last.run && a.sequence > last.sequence) {
    t = last.t + 1;
    stamps |= Stamp.clockBack;
  } else if (t < last.t) {
    stamps |= Stamp.late;
    // The reading it will be judged against is not at hand: with a line speed, only the pure engine can tell.
    if (a.lineBits > 0 && !a.end) stamps |= Stamp.fast;
  }
  if (!a.end && isFast(a, last, t)) stamps |= Stamp.fast;
  return { t, stamps, isLast: t > last.t && (stamps & Stamp.fast) === 0 };
}

function isFast(a: Arrival, last: LastReading, t: Instant): boolean {
  if (a.lineBits <= 0 || t <= last.t || (a.epoch !== undefined && a.epoch !== last.epoch)) return false;
  const amount = moved(last, { t, value: a.value }, a.width ?? 64, a.lineBits);
  return isImpossible(amount, t - last.t, a.lineBits);
}
