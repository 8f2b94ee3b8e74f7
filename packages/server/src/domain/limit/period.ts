/**
 * Quota periods: pure functions of an account's calendar and an instant. They begin and end at local midnights, so they
 * have 23 or 25 hours more or less where the clock changes, and none where the zone skips the date.
 */
import { dateAt, edges, startOfDate } from '../calendar.ts';
import type { Instant, Interval } from '../window.ts';
import type { QuotaPeriod } from './limit.ts';

/** How an account's quota periods are cut. */
export interface Calendar {
  /** IANA zone. */
  zone: string;
  /** Start of its subscription: the anchor of `billing` periods. */
  anchor: Instant;
}

/** No two zones are further apart: from +14 to -12. */
export const ZONES_APART = 26 * 3_600_000;
/** Answers kept: at a midnight every account of a zone asks the same question. */
const KEPT_MAX = 4096;
const kept = new Map<string, Interval>();

/**
 * The period that holds `t`. day, week (from Monday), month, year: the account's own. billing: from the day of the month
 * its subscription began, at midnight; a month without that day begins on its last one, and the next on the day again.
 */
export function periodAt(calendar: Calendar, period: QuotaPeriod, t: Instant): Interval {
  const name = `${period} ${period === 'billing' ? calendar.anchor : ''} ${calendar.zone}`;
  const known = kept.get(name);
  if (known !== undefined && t >= known.from && t < known.to) return known;
  const found = findPeriod(calendar, period, t);
  if (kept.size >= KEPT_MAX) kept.clear();
  kept.set(name, found);
  return found;
}

/**
 * The period after one that ended at `end` when the calendar may have changed in between. The old period is finished as
 * it was. What is left of the new calendar's period is one of its own, unless it is only what zones differ by: then it
 * is added to the old one (`joined`), because a whole budget for the few hours would be a gift.
 */
export function periodAfter(
  end: Instant,
  calendar: Calendar,
  period: QuotaPeriod,
  t: Instant,
): Interval & { joined: boolean } {
  const { from, to } = periodAt(calendar, period, t);
  if (from >= end) return { from, to, joined: false };
  const rest = to - end;
  return { from: end, to, joined: rest <= ZONES_APART && rest < end - from };
}

function findPeriod({ zone, anchor }: Calendar, period: QuotaPeriod, t: Instant): Interval {
  if (period === 'year')
    return between(t, (i) => startOfDate(zone, { year: dateAt(zone, t).year + i, month: 1, day: 1 }));
  if (period === 'billing') {
    const day = dateAt(zone, anchor).day;
    const { year, month } = dateAt(zone, t);
    return between(t, (i) => startInMonth(zone, year, month + i, day));
  }
  const [from, to] = edges(zone, period, t, t + 1);
  return { from: from as Instant, to: to as Instant };
}

/** The neighbours that hold t among starts numbered from -1; a zone's odd midnights may put t one off. */
function between(t: Instant, start: (i: number) => Instant): Interval {
  let i = -1;
  while (start(i + 1) <= t) i++;
  return { from: start(i), to: start(i + 1) };
}

/** Start of the day in that month, or of its last one where it has no such day; months beyond 12 or below 1 are of other years. */
export function startInMonth(zone: string, year: number, month: number, day: number): Instant {
  const date = { year: year + Math.floor((month - 1) / 12), month: ((((month - 1) % 12) + 12) % 12) + 1, day };
  return startOfDate(zone, { ...date, day: Math.min(day, daysOf(date.year, date.month)) });
}

const daysOf = (year: number, month: number): number =>
  month === 2
    ? year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
      ? 29
      : 28
    : [4, 6, 9, 11].includes(month)
      ? 30
      : 31;
