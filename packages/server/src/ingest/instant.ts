/** RFC 3339 timestamps read from bytes: no Date, no string. */
import type { Instant } from '../domain/window.ts';

/** Two digits at `i` as a number, or -1000 when they are not digits (so that any sum with it stays negative). */
function two(b: Buffer, i: number): number {
  const high = (b[i] as number) - 0x30;
  const low = (b[i + 1] as number) - 0x30;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : -1000;
}

const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
const daysIn = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;

/** Days from 1970-01-01 to the given date of the Gregorian calendar. */
function dayNumber(year: number, month: number, day: number): number {
  const past = year - 1;
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
  const before = (DAYS_BEFORE[month - 1] as number) + (month > 2 && isLeap(year) ? 1 : 0);
  return past * 365 + leapDays + before + day - 719_163;
}

/** Minutes east of UTC of the zone at [i, end), NaN when it is none. */
function zone(b: Buffer, i: number, end: number): number {
  const sign = b[i] as number;
  if (end - i === 1) return (sign | 0x20) === 0x7a ? 0 : Number.NaN;
  if (end - i !== 6 || (sign !== 0x2b && sign !== 0x2d) || b[i + 3] !== 0x3a) return Number.NaN;
  const hours = two(b, i + 1);
  const minutes = two(b, i + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return (sign === 0x2d ? -1 : 1) * (hours * 60 + minutes);
}

/**
 * Milliseconds since 1970 of `2026-11-21T09:30:00.123Z` or with `+hh:mm`; digits below a millisecond are cut. NaN when
 * the bytes are not an RFC 3339 timestamp with a zone. Second 60 is read as the first of the next minute.
 */
export function readInstant(b: Buffer, start: number, end: number): Instant {
  if (end - start < 20 || end > b.length) return Number.NaN;
  const century = two(b, start);
  const within = two(b, start + 2);
  const year = century * 100 + within;
  const month = two(b, start + 5);
  const day = two(b, start + 8);
  const hour = two(b, start + 11);
  const minute = two(b, start + 14);
  const second = two(b, start + 17);
  if (b[start + 4] !== 0x2d || b[start + 7] !== 0x2d) return Number.NaN;
  const t = b[start + 10] as number;
  if ((t | 0x20) !== 0x74 && t !== 0x20) return Number.NaN;
  if (b[start + 13] !== 0x3a || b[start + 16] !== 0x3a) return Number.NaN;
  if (century < 0 || within < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return Number.NaN;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return Number.NaN;
  let i = start + 19;
  let ms = 0;
  if (b[i] === 0x2e) {
    let unit = 100;
    const first = ++i;
    for (; i < end; i++) {
      const digit = (b[i] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      ms += digit * unit;
      unit = unit === 100 ? 10 : unit === 10 ? 1 : 0;
    }
    if (i === first) return Number.NaN;
  }
  const east = zone(b, i, end);
  return dayNumber(year, month, day) * 86_400_000 + ((hour * 60 + minute - east) * 60 + second) * 1000 + ms;
}

/** The same from a string. */
export const parseInstant = (text: string): Instant => {
  const b = Buffer.from(text, 'utf8');
  return readInstant(b, 0, b.length);
};
