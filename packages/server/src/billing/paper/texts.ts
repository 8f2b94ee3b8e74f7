/** Numbers, dates and names as they are printed. */
import { formatInstant } from '../../domain/calendar.ts';
import { majorText } from '../../domain/money/money.ts';
import type { Instant } from '../../domain/window.ts';
import type { InvoiceDocument, Minor } from '../invoice/document.ts';

/** Stands for a character that must not or cannot be printed. */
export const PLACEHOLDER = '\u{fffd}';

/** A text longer than this says how long it is instead of all of it. The CSV has it whole. */
const SHOWN_MAX = 300;
/** Of what is written for the invoice, and has to stand on it as it is: reasons, exemptions, how to pay. */
const PROSE_MAX = 2000;

const CONTROL = /\p{Cc}|\p{Zl}|\p{Zp}|\p{Surrogate}/gu;
/** They would let one name turn round what stands behind it: an amount, another name. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
/** Invisible, and harmless where text is not shaped by them. */
const INVISIBLE = /[\u00ad\u200b-\u200f\u061c\u2060\ufeff]/g;

/** A text from outside on one line: visible characters only, of a length that fits a page. */
export function clean(text: string, most = SHOWN_MAX): string {
  if (PLAIN.test(text)) return text;
  const visible = text
    .replace(/\r\n?|\n|\t/g, ' ')
    .replace(CONTROL, PLACEHOLDER)
    .replace(TURNING, PLACEHOLDER)
    .replace(INVISIBLE, '');
  const characters = [...visible];
  if (characters.length <= most) return visible;
  return `${characters.slice(0, most).join('')}… (${grouped(String(characters.length))} characters)`;
}

/** Most texts: nothing to clean. */
const PLAIN = /^[\x20-\x7e]{0,300}$/;

/** A sentence. */
export const cleanProse = (text: string): string => clean(text, PROSE_MAX);

/** A text of several lines. */
export const cleanLines = (text: string): string[] => text.split(/\r\n?|\n/).map((line) => cleanProse(line));

/** `1234567.891` -> `1,234,567.891`; fractions `a/b` in both parts. Digits are grouped, never changed. */
export const grouped = (text: string): string =>
  text
    .split('/')
    .map((part) => {
      const [whole = '', fraction] = part.split('.');
      const digits = whole.replace(/\B(?=(\d{3})+$)/g, ',');
      return fraction === undefined ? digits : `${digits}.${fraction}`;
    })
    .join('/');

/** `1,234.50`, without the currency. */
export const amountText = (minor: Minor | bigint, { decimals }: Pick<InvoiceDocument, 'decimals'>): string =>
  grouped(majorText(BigInt(minor), decimals));

/** An exact amount, with at least the currency's decimals: `49` of EUR is `49.00`; fractions as they are. */
export function moneyText(exact: string, { decimals }: Pick<InvoiceDocument, 'decimals'>): string {
  if (exact.includes('/') || decimals === 0) return grouped(exact);
  const [whole = '', fraction = ''] = exact.split('.');
  return grouped(`${whole}.${fraction.padEnd(decimals, '0')}`);
}

/** Unit names of the field, as a customer would write them. */
const units: Readonly<Record<string, string>> = {
  By: 'bytes',
  'By.h': 'byte hours',
  '1': '',
  s: 'seconds',
  h: 'hours',
  min: 'minutes',
};

/** UCUM writes what is counted in braces, and a level times its time as `{vm}.h`. */
const unitText = (unit: string): string => clean(units[unit] ?? unit.replace(/\}\.h$/, '} hours').replace(/[{}]/g, ''));

/** `123.5 GB`. */
export const quantityText = (quantity: string, unit: string | null): string =>
  `${grouped(quantity)} ${unitText(unit ?? '')}`.trimEnd();

const MIDNIGHT = /T00:00:00(?:Z|[+-]\d\d:\d\d(?::\d\d)?)$/;

/** `2026-11-01`, or with the time and its offset where it is not midnight: `2026-11-01 14:30:00+01:00`. */
export function dateText(t: Instant, zone: string): string {
  const text = formatInstant(t, zone);
  return MIDNIGHT.test(text) ? text.slice(0, 10) : text.replace('T', ' ');
}

/** The local date alone: of what is dated, not measured. */
export const dayText = (t: Instant, zone: string): string => formatInstant(t, zone).slice(0, 10);

/** The last local day of what ends at t: of what is due before a midnight, the day to pay by. */
export const lastDayText = (t: Instant, zone: string): string => dayText(t - 1, zone);

/** First and last day, `2026-11-01 to 2026-11-30`; where an end is within a day, both with their times. */
export function spanText(from: Instant, to: Instant, zone: string): string {
  if (from >= to) return `from ${dateText(from, zone)}`;
  const [begin, end] = [formatInstant(from, zone), formatInstant(to, zone)];
  if (!MIDNIGHT.test(begin) || !MIDNIGHT.test(end)) return `${dateText(from, zone)} until ${dateText(to, zone)}`;
  const last = lastDayText(to, zone);
  return last === begin.slice(0, 10) ? last : `${begin.slice(0, 10)} to ${last}`;
}
