/**
 * Units of rates and of what is held at once, leased to servers: the arithmetic of one counter. The clock is the store's,
 * so that servers whose clocks differ still mean the same window.
 */
import type { Instant } from '../domain/window.ts';

/** One ask a counter in one call. */
export interface UnitLeaseAsk {
  /** Account the limit was given to; '' for the installation. */
  tenant: string;
  counter: string;
  /** Who asks: one life of one server. */
  holder: string;
  /** Units wanted; below 0: given back. */
  change: number;
  /** Admitted while nobody answered: leased whatever the amount. */
  owed: number;
  /** The limit's amount now. */
  amount: number;
  /** Of a rate: leases end with its window. 0: they end `ttlMs` after they were last asked for. */
  windowMs: number;
  ttlMs: number;
  /** What the holder knows itself to have, until when: believed by a store that has lost its memory, up to the amount. */
  has: number;
  hasUntil: Instant;
}

/** Of the holder: all it has, until when. Times are the store's. */
export interface UnitLease {
  own: number;
  /** Of all holders. */
  total: number;
  until: Instant;
  at: Instant;
}

export interface LeaseRow {
  holder: string;
  units: number;
  until: Instant;
}

/**
 * `knownFrom`: the store remembers what it leased since then, 0 for ever: of a window that began before, and of slots that
 * may still be held since before, it leases nothing.
 */
export function leaseUnits(rows: readonly LeaseRow[], ask: UnitLeaseAsk, at: Instant, knownFrom: Instant): UnitLease {
  const { windowMs, ttlMs, holder, amount, change, owed } = ask;
  const live = rows.filter((row) => row.until > at);
  // The later one if the clock went back: a window is never leased twice.
  const ends = windowMs > 0 ? Math.max(at - (at % windowMs) + windowMs, ...live.map((row) => row.until)) : at + ttlMs;
  const isKnown = windowMs > 0 ? ends - windowMs >= knownFrom : knownFrom === 0 || at >= knownFrom + ttlMs;
  const remembered = live.find((row) => row.holder === holder)?.units;
  const told = windowMs > 0 && ask.hasUntil !== ends ? 0 : Math.min(ask.has, amount);
  const mine = (remembered ?? (isKnown ? 0 : told)) + owed;
  const others = live.reduce((sum, row) => (row.holder === holder ? sum : sum + row.units), 0);
  const more = change < 0 ? change : isKnown ? Math.max(0, Math.min(change, amount - others - mine)) : 0;
  const own = Math.max(0, mine + more);
  return { own, total: isKnown ? others + own : Math.max(amount, others + own), until: ends, at };
}
