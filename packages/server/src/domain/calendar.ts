/**
 * Local time: where an account's hours, days and months begin, and instants as people write them. The zone rules come
 * from Temporal (see zone.ts); all arithmetic on dates is plain integers. No clock: every answer follows from its arguments.
 */
import { CalendarError } from './calendar-error.ts';
import type { Instant } from './window.ts';
import { loadZone, type Zone } from './zone.ts';

export { type CalendarCode, CalendarError } from './calendar-error.ts';
export { isZone } from './zone.ts';

export const calendarUnits = ['minute', 'hour', 'day', 'week', 'month'] as const;
export type CalendarUnit = (typeof calendarUnits)[number];

/** More edges than this are refused in one answer: a month of minutes is 44,640. */
export const EDGES_MAX = 100_000;

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** A date of the Gregorian calendar, month 1..12. */
export interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Days from 1970-01-01. Years are counted from March, so that the leap day is a year's last and needs no case of its own. */
function dayNumber({ year, month, day }: LocalDate): number {
  const y = month > 2 ? year : year - 1;
  const inYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + inYear - 719_468;
}

/** The inverse of dayNumber. */
function dateOf(dayIndex: number): LocalDate {
  const z = dayIndex + 719_468;
  const era = Math.floor(z / 146_097);
  const inEra = z - era * 146_097;
  const y = Math.floor(
    (inEra - Math.floor(inEra / 1460) + Math.floor(inEra / 36_524) - Math.floor(inEra / 146_096)) / 365,
  );
  const inYear = inEra - (365 * y + Math.floor(y / 4) - Math.floor(y / 100));
  const m = Math.floor((5 * inYear + 2) / 153);
  const month = m < 10 ? m + 3 : m - 9;
  return { year: era * 400 + y + (month <= 2 ? 1 : 0), month, day: inYear - Math.floor((153 * m + 2) / 5) + 1 };
}

/** Local days by number, each with the next one: how the edges of a unit of whole days follow each other. */
interface DayUnit {
  /** Number of the first day of the unit that holds the day. */
  first(day: number): number;
  /** Number of the first day of the next unit, from a first day. */
  next(first: number): number;
  /** Least days a unit has: bounds the count before the work is done. */
  readonly least: number;
}
const dayUnits: Readonly<Record<'day' | 'week' | 'month', DayUnit>> = {
  day: { first: (d) => d, next: (d) => d + 1, least: 1 },
  // 1970-01-01 was a Thursday; weeks begin on Monday (ISO 8601).
  week: { first: (d) => d - ((((d + 3) % 7) + 7) % 7), next: (d) => d + 7, least: 7 },
  month: {
    first: (d) => d - dateOf(d).day + 1,
    next: (d) => {
      const { year, month } = dateOf(d);
      return dayNumber(month === 12 ? { year: year + 1, month: 1, day: 1 } : { year, month: month + 1, day: 1 });
    },
    least: 28,
  },
};

/**
 * The local edges that cover [from, to), ascending, without repetition: first <= from < second, last >= to > the one before.
 *
 * A day begins at the first instant of its date: at midnight, or later where midnight is skipped, at the earlier one where
 * it comes twice; a date that a zone skips altogether (Samoa 2011-12-30) has no edge. Weeks begin on Monday. Hours and
 * minutes are cut where the local clock shows a whole one, and where the offset changes: the hour that repeats is two
 * hours, and no hour holds two offsets or more than 60 minutes.
 * Throws CalendarError: unknown zone, `to` before `from`, more than EDGES_MAX edges.
 */
export function edges(zone: string, unit: CalendarUnit, from: Instant, to: Instant): Instant[] {
  const rules = loadZone(zone);
  checkRange(from, to, unit);
  if (unit === 'minute') return clockEdges(rules, MINUTE, from, to);
  if (unit === 'hour') return clockEdges(rules, HOUR, from, to);
  return dayEdges(rules, dayUnits[unit], from, to);
}

function checkRange(from: Instant, to: Instant, unit: CalendarUnit): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to < from) {
    throw new CalendarError('calendar.range', `no range of instants: ${from} to ${to}`);
  }
  const least = unit === 'minute' ? MINUTE : unit === 'hour' ? HOUR : dayUnits[unit].least * DAY;
  if ((to - from) / least > EDGES_MAX * 2) throw tooMany(unit);
}

const tooMany = (unit: string): CalendarError =>
  new CalendarError('calendar.too_many', `more than ${EDGES_MAX} ${unit} edges: ask for a shorter span`);

function dayEdges(zone: Zone, unit: DayUnit, from: Instant, to: Instant): Instant[] {
  let day = unit.first(Math.floor((from + zone.offsetAt(from)) / DAY));
  const out = [dayStart(zone, day)];
  for (let last = out[0] as Instant; last < to; ) {
    day = unit.next(day);
    const edge = dayStart(zone, day);
    // A date that the zone skips begins with the one after it. Where the clock goes back over a midnight already struck
    // (St. John's, 00:01), the first edge may lie a unit too early: the one before `from` that is nearest counts.
    if (edge === last) continue;
    if (edge <= from) out.length = 0;
    if (out.length === EDGES_MAX) throw tooMany('day');
    out.push(edge);
    last = edge;
  }
  return out;
}

/** First instant at which the local clock shows the day's midnight or later. */
function dayStart(zone: Zone, day: number): Instant {
  const midnight = day * DAY;
  // No offset reaches 16 hours, so the clock has not struck that midnight yet.
  let stretch = zone.stretchAt(midnight - 16 * HOUR);
  while (stretch.to + stretch.offset <= midnight) stretch = zone.stretchAt(stretch.to);
  return Math.max(stretch.from, midnight - stretch.offset);
}

/** First instant of a date that the calendar has; of one that the zone skips, where the next begins. Throws CalendarError. */
export const startOfDate = (zone: string, date: LocalDate): Instant => dayStart(loadZone(zone), dayNumber(date));

/** The date that the local clock shows. Throws CalendarError. */
export const dateAt = (zone: string, t: Instant): LocalDate =>
  dateOf(Math.floor((t + loadZone(zone).offsetAt(t)) / DAY));

/**
 * Where the local date ends that lies so many days after the one the clock shows at t: the first instant of the next one.
 * Throws CalendarError.
 */
export function endOfDay(zone: string, t: Instant, days: number): Instant {
  const rules = loadZone(zone);
  return dayStart(rules, Math.floor((t + rules.offsetAt(t)) / DAY) + days + 1);
}

function clockEdges(zone: Zone, size: number, from: Instant, to: Instant): Instant[] {
  let stretch = zone.stretchAt(from);
  let edge = Math.max(stretch.from, Math.floor((from + stretch.offset) / size) * size - stretch.offset);
  const out = [edge];
  while (edge < to) {
    const whole = Math.floor((edge + stretch.offset) / size) * size + size - stretch.offset;
    edge = Math.min(whole, stretch.to);
    if (edge === stretch.to) stretch = zone.stretchAt(edge);
    if (out.length === EDGES_MAX) throw tooMany(size === HOUR ? 'hour' : 'minute');
    out.push(edge);
  }
  return out;
}

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:?\d{2})?)?$/;

/**
 * An instant as people write it: RFC 3339 with `Z` or an offset, or a local date or date-time of the given zone
 * (`2026-11-21`, `2026-11-21T23:00`). A date is the first instant of that day. A local time that comes twice is the
 * earlier one, a skipped one is read with the offset before the gap (as iCalendar does): 02:30 becomes 03:30. Digits below
 * a millisecond are cut; second 60 is the first of the next minute.
 * Throws CalendarError: `calendar.instant` (not a time, or none of the calendar), `calendar.zone`, `calendar.range`
 * (before 1970).
 */
export function parseInstant(text: string, zone: string): Instant {
  const rules = loadZone(zone);
  const match = INSTANT.exec(text);
  if (match === null) throw notInstant(text, 'give RFC 3339 such as 2026-11-21T23:00:00Z, or a local date or time');
  const [, year, month, day, hour, minute = '0', second = '0', fraction = '', offset] = match;
  const date = { year: Number(year), month: Number(month), day: Number(day) };
  const index = dayNumber(date);
  const back = dateOf(index);
  if (date.month < 1 || date.month > 12 || back.month !== date.month || back.day !== date.day) {
    throw notInstant(text, 'the calendar has no such day');
  }
  if (Number(hour ?? 0) > 23 || Number(minute) > 59 || Number(second) > 60)
    throw notInstant(text, 'no such time of day');
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3));
  const local = index * DAY + Number(hour ?? 0) * HOUR + Number(minute) * MINUTE + Number(second) * 1000 + ms;
  const at =
    offset !== undefined
      ? local - offsetOf(offset, text)
      : hour === undefined
        ? dayStart(rules, index)
        : instantOf(rules, local);
  if (at < 0) throw new CalendarError('calendar.range', `${quote(text)} lies before 1970`);
  return at;
}

function offsetOf(text: string, whole: string): number {
  if (text === 'Z' || text === 'z') return 0;
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(-2))];
  if (hours > 23 || minutes > 59) throw notInstant(whole, 'no such offset');
  return (text.startsWith('-') ? -1 : 1) * (hours * HOUR + minutes * MINUTE);
}

/** The earlier instant at which the local clock shows `local`; in a gap, as if the clock had not been put forward. */
function instantOf(zone: Zone, local: number): Instant {
  let stretch = zone.stretchAt(local - 16 * HOUR);
  for (;;) {
    if (local < stretch.to + stretch.offset) return local - stretch.offset;
    const next = zone.stretchAt(stretch.to);
    if (local < next.from + next.offset) return local - stretch.offset;
    stretch = next;
  }
}

const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
const notInstant = (text: string, why: string): CalendarError =>
  new CalendarError('calendar.instant', `${quote(text)} is not an instant: ${why}`);

const pad = (n: number, width = 2): string => String(n).padStart(width, '0');

/** Local time with offset, `2026-11-21T23:00:00+01:00`; milliseconds only when there are any; `Z` in zone UTC. */
export function formatInstant(t: Instant, zone: string): string {
  const rules = loadZone(zone);
  const offset = rules.offsetAt(t);
  const local = t + offset;
  const day = Math.floor(local / DAY);
  const rest = local - day * DAY;
  const ms = rest % 1000;
  const time = `${clock(rest)}:${pad(Math.floor(rest / 1000) % 60)}${ms === 0 ? '' : `.${pad(ms, 3)}`}`;
  const { year, month, day: ofMonth } = dateOf(day);
  return `${pad(year, 4)}-${pad(month)}-${pad(ofMonth)}T${time}${rules.id === 'UTC' ? 'Z' : offsetText(offset)}`;
}

const clock = (ms: number): string => `${pad(Math.floor(ms / HOUR))}:${pad(Math.floor(ms / MINUTE) % 60)}`;

function offsetText(offset: number): string {
  const size = Math.abs(offset);
  // Before 1972 a few zones were off by odd seconds (Monrovia): cut off, the text would name another instant.
  const seconds = Math.floor(size / 1000) % 60;
  return `${offset < 0 ? '-' : '+'}${clock(size)}${seconds === 0 ? '' : `:${pad(seconds)}`}`;
}

/** An interval as ISO 8601 writes it, `start/end`, the end not included. */
export const formatRange = (from: Instant, to: Instant, zone: string): string =>
  `${formatInstant(from, zone)}/${formatInstant(to, zone)}`;
