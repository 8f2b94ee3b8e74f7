/**
 * How many billing cycles a subscription has had by a day, parts of cycles included: Kill Bill's figure. Cycles begin on
 * one day of the month (on its last where it is shorter); a part at either end is its days by the days of its own cycle.
 */
import { dateAt, type LocalDate, startOfDate } from '../../domain/calendar.ts';
import { add, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import type { Instant } from '../../domain/window.ts';
import { partShare } from './proration.ts';
import { RateError } from './rate-error.ts';

export interface CycleTerms {
  zone: string;
  start: Instant;
  /** One past the last; null: it goes on. */
  end: Instant | null;
  /** Cycles, and parts of them, that begin up to here count: they are paid in advance. */
  target: Instant;
  /** Months of a cycle. */
  months: number;
  /** The day of the month on which cycles begin, 1..31. */
  day: number;
}

/** Throws RateError `rate.period`. */
export function billingCycles(terms: CycleTerms): Ratio {
  const { start, target, months, day } = terms;
  if (!Number.isSafeInteger(months) || months < 1 || !Number.isSafeInteger(day) || day < 1 || day > 31)
    throw new RateError('rate.period', `no cycle: every ${months} months on day ${day}`);
  const end = terms.end ?? Number.POSITIVE_INFINITY;
  let sum = ZERO;
  // Cycle 0 is the first whole one; the part before it belongs to cycle -1.
  for (let at = -1; ; at += 1) {
    const cycle = cycleAt(terms, at);
    const from = cycle.from < start ? start : cycle.from;
    if (from > target || from >= end) return sum;
    const to = cycle.to > end ? end : cycle.to;
    if (to <= from) continue;
    const share = partShare('days', { ...cycle, unit: 'month', count: months, zone: terms.zone }, { from, to });
    sum = add(sum, subtract(share.through, share.before));
  }
}

/** Counted from the first begin of a cycle at or after the start, looked for a whole cycle at a time. */
function cycleAt(terms: CycleTerms, at: number): { from: Instant; to: Instant } {
  const { zone, start, months } = terms;
  const date = dateAt(zone, start);
  const own = instantIn(terms, date, 0);
  const first = own < start ? months : 0;
  return { from: instantIn(terms, date, first + at * months), to: instantIn(terms, date, first + (at + 1) * months) };
}

/** The cycle's day in the month that is so many after the date's. */
function instantIn({ zone, day }: CycleTerms, date: LocalDate, later: number): Instant {
  const index = date.year * 12 + date.month - 1 + later;
  const month = ((index % 12) + 12) % 12;
  const year = (index - month) / 12;
  const last = lastDayOf(year, month + 1);
  return startOfDate(zone, { year, month: month + 1, day: day < last ? day : last });
}

const lastDayOf = (year: number, month: number): number => {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
};
