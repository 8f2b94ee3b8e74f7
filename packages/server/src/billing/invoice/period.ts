/**
 * Billing periods of an account. A calendar is a grid of periods from an anchor in a zone; an account's periods follow it
 * as long as it holds. As with quotas (domain/limit/period.ts) a period is finished as it was begun when the zone or the
 * anchor changes; what is left of the new grid's period is one of its own, or, where it is only what zones differ by, is
 * added to the one before. A plan of another length, and the end of a subscription, end the period at that instant.
 */
import { dateAt, edges, startOfDate } from '../../domain/calendar.ts';
import { startInMonth, ZONES_APART } from '../../domain/limit/period.ts';
import type { BillingPeriod, PlanBilling } from '../../domain/price/price.ts';
import type { Instant, Interval } from '../../domain/window.ts';

export interface BillingCalendar {
  /** IANA zone. */
  zone: string;
  /** Start of a period; only its local date counts. */
  anchor: Instant;
  period: BillingPeriod;
  align: PlanBilling['anchor'];
}

/** The calendar that holds in [from, to). Spans of an account follow each other without a hole. */
export interface CalendarSpan extends Interval {
  calendar: BillingCalendar;
  /** Of a subscription with a price; else calendar months, for what is paid for others. */
  own: boolean;
}

export interface AccountPeriod extends Interval {
  /** The period of the grid it is, or is a part of: what a fee is for. */
  whole: Interval;
  /** Instant that its first part is counted from: a period begins at midnight, a subscription at any time of that day. */
  countFrom: Instant;
  calendar: BillingCalendar;
  own: boolean;
  /** A first part, shorter than the period it is of. */
  leading: boolean;
}

const DAY = 86_400_000;
/** Of a calendar the period that was asked for last. */
const kept = new WeakMap<BillingCalendar, Interval>();

/** The period of the grid that holds t. Months without the anchor's day begin on their last one. Throws CalendarError. */
export function gridAt(calendar: BillingCalendar, t: Instant): Interval {
  const known = kept.get(calendar);
  if (known !== undefined && t >= known.from && t < known.to) return known;
  const found = findInGrid(calendar, t);
  kept.set(calendar, found);
  return found;
}

const SHARED_MAX = 4096;
const shared = new Map<string, BillingCalendar>();

/** One object for all accounts with this calendar: their grids are looked up once. */
export function sharedCalendar(calendar: BillingCalendar): BillingCalendar {
  const { zone, anchor, align, period } = calendar;
  const name = `${anchor} ${zone} ${period.count} ${period.unit} ${align}`;
  const known = shared.get(name);
  if (known !== undefined) return known;
  if (shared.size >= SHARED_MAX) shared.clear();
  shared.set(name, calendar);
  return calendar;
}

function findInGrid({ zone, anchor, align, period: { unit, count } }: BillingCalendar, t: Instant): Interval {
  if (unit === 'month' || unit === 'year')
    return monthGrid(zone, anchor, align, unit === 'year' ? 12 * count : count, t);
  const days = unit === 'week' ? 7 * count : count;
  const [first] = unit === 'week' && align === 'calendar' ? edges(zone, 'week', anchor, anchor + 1) : [anchor];
  const date = dateAt(zone, first as Instant);
  const start = (i: number): Instant => startOfDate(zone, { ...date, day: date.day + i * days });
  return between(t, start, Math.floor((t - start(0)) / (days * DAY)));
}

function monthGrid(zone: string, anchor: Instant, align: string, months: number, t: Instant): Interval {
  const { year, month } = dateAt(zone, t);
  const date = dateAt(zone, anchor);
  // By the calendar quarters begin in January, April, July and October, whenever the subscription did.
  const first = align === 'calendar' ? { month: 0, day: 1 } : { month: date.year * 12 + date.month - 1, day: date.day };
  const start = (i: number): Instant => startInMonth(zone, 0, first.month + i * months + 1, first.day);
  return between(t, start, Math.floor((year * 12 + month - 1 - first.month) / months));
}

/** The neighbours that hold t among starts, from a guess that may be off by a few; a date that is skipped has none. */
function between(t: Instant, start: (i: number) => Instant, guess: number): Interval {
  let i = guess;
  while (start(i) > t) i--;
  while (start(i + 1) <= t) i++;
  return { from: start(i), to: start(i + 1) };
}

const sameLength = (a: BillingCalendar, b: BillingCalendar): boolean =>
  a.period.unit === b.period.unit && a.period.count === b.period.count && a.align === b.align;

/** Periods of the one are those of the other, but for the zone: a month is finished as it began. */
export const sameTerms = (a: BillingCalendar, b: BillingCalendar): boolean =>
  sameLength(a, b) && (a.align === 'calendar' || a.anchor === b.anchor);

/** Periods that end after `after`, in order, without end where the last span has none. */
export function* periodsOf(spans: readonly CalendarSpan[], after: Instant): Generator<AccountPeriod> {
  let at = spans[0]?.from;
  let goesOn = false;
  for (let i = 0; i < spans.length && at !== undefined; ) {
    const span = spans[i] as CalendarSpan;
    if (at >= span.to) {
      i++;
      continue;
    }
    const skipped = skipTo(span, at, after);
    if (skipped > at) [at, goesOn] = [skipped, true];
    const { to, whole, isCut } = periodFrom(spans, i, at);
    const zone = span.calendar.zone;
    // By a little less than a whole period the zones differ, or the subscription began later that day: nothing is missing.
    const isWhole = goesOn ? at - whole.from <= ZONES_APART : sameDay(zone, whole.from, at);
    const leading = !isWhole;
    const countFrom = isWhole ? whole.from : at;
    if (to > after) yield { from: at, to, whole, countFrom, calendar: span.calendar, own: span.own, leading };
    [at, goesOn] = [to, !isCut];
  }
}

/** Periods within one span lie on its grid but for the first: no need to walk through years of them. */
function skipTo(span: CalendarSpan, at: Instant, after: Instant): Instant {
  const grid = gridAt(span.calendar, Math.max(at, Math.min(after, span.to - 1)));
  return grid.from;
}

function sameDay(zone: string, a: Instant, b: Instant): boolean {
  const [x, y] = [dateAt(zone, a), dateAt(zone, b)];
  return x.year === y.year && x.month === y.month && x.day === y.day;
}

/** `isCut`: what follows is not the next period of the same grid. */
function periodFrom(spans: readonly CalendarSpan[], first: number, at: Instant) {
  const grid = gridAt((spans[first] as CalendarSpan).calendar, at);
  const end = cutBefore(spans, first, grid.to);
  if (end < grid.to) return { to: end, whole: grid, isCut: true };
  const joined = joinedEnd(spans, first, grid.to);
  return { to: joined, whole: { from: grid.from, to: joined }, isCut: joinsOther(spans, first, joined) };
}

/** Where the running period ends before its time: a subscription began or ended, or one of another length began. */
function cutBefore(spans: readonly CalendarSpan[], first: number, to: Instant): Instant {
  const span = spans[first] as CalendarSpan;
  for (let i = first + 1; i < spans.length && (spans[i] as CalendarSpan).from < to; i++) {
    const next = spans[i] as CalendarSpan;
    if (next.own !== span.own || !sameLength(next.calendar, span.calendar)) return next.from;
  }
  const last = spans.at(-1) as CalendarSpan;
  return Math.min(to, last.to);
}

const spanAt = (spans: readonly CalendarSpan[], t: Instant): CalendarSpan | undefined =>
  spans.find(({ from, to }) => from <= t && t < to);

const joinsOther = (spans: readonly CalendarSpan[], first: number, to: Instant): boolean => {
  const [span, next] = [spans[first] as CalendarSpan, spanAt(spans, to)];
  return next === undefined || next.own !== span.own || !sameLength(next.calendar, span.calendar);
};

/** The period's end, or that of the new grid's period when only what zones differ by is left of it. */
function joinedEnd(spans: readonly CalendarSpan[], first: number, end: Instant): Instant {
  const next = spanAt(spans, end);
  if (next === undefined || joinsOther(spans, first, end)) return end;
  const grid = gridAt(next.calendar, end);
  const rest = grid.to - end;
  const joins = grid.from < end && rest <= ZONES_APART && rest < end - grid.from;
  return joins ? Math.min(grid.to, cutBefore(spans, spans.indexOf(next), grid.to)) : end;
}
