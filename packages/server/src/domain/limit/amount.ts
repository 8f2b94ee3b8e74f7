/** Amounts as people write them, `50 MB`, `1.5 GiB`, `1000`, `unlimited`, to whole units of a meter. Exact. */
import { plainUnit } from '../quantity.ts';
import { AMOUNT_MAX } from './limit.ts';

/** What is wrong, in words that follow a field's name. */
export class Misread {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

const KILO = 1000n;
const KIBI = 1024n;
const bytes: ReadonlyMap<string, bigint> = new Map([
  ...['B', 'kB', 'MB', 'GB', 'TB', 'PB'].map((unit, i) => [unit, KILO ** BigInt(i)] as const),
  ...['KiB', 'MiB', 'GiB', 'TiB', 'PiB'].map((unit, i) => [unit, KIBI ** BigInt(i + 1)] as const),
  ['byte', 1n],
  ['bytes', 1n],
]);
/** UCUM's word, and what people write. */
const BYTE_WORDS: ReadonlySet<string> = new Set(['By', 'B', 'byte', 'bytes']);
const seconds: ReadonlyMap<string, bigint> = new Map([
  ['s', 1n],
  ['min', 60n],
  ['h', 3600n],
  ['d', 86_400n],
]);

/** Units an amount of a meter can be written in, with what one is worth in the meter's own. */
export function unitsOf(unit: string): ReadonlyMap<string, bigint> {
  if (BYTE_WORDS.has(unit)) return bytes;
  if (unit === 's') return seconds;
  const word = /^\{(.+)\}$/.exec(unit)?.[1];
  if (word !== undefined)
    return new Map([
      [word, 1n],
      [`${word}s`, 1n],
    ]);
  return unit === '1' || unit === '' ? new Map() : new Map([[unit, 1n]]);
}

const AMOUNT = /^([+-]?)(\d+)(?:\.(\d+))?(?:\s*([^\d\s].*))?$/;
/** More digits than any amount has: refused before they are worked with. */
const DIGITS_MAX = 40;

/** Whole units of a meter with this unit, from 1. */
export function readAmount(text: string, unit: string): number | Misread {
  const match = AMOUNT.exec(text.trim());
  const units = unitsOf(unit);
  if (match === null || text.length > DIGITS_MAX)
    return new Misread(
      `${quoted(text)} is not an amount: write a number${units.size > 0 ? ', with a unit if you like' : ''}`,
    );
  const [, sign, whole = '', fraction = '', written] = match;
  const factor = written === undefined ? 1n : units.get(written.trim());
  if (factor === undefined) return unknownUnit(written?.trim() ?? '', unit, units);
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * factor;
  if (sign === '-') return new Misread('an amount is not negative');
  if (scaled === 0n) return new Misread('an amount is at least 1; to refuse everything, block the action');
  if (scaled % scale !== 0n) return new Misread(`${quoted(text)} is not a whole number of ${plainUnit(unit)}`);
  const amount = scaled / scale;
  if (amount > BigInt(AMOUNT_MAX))
    return new Misread(`${quoted(text)} is above ${AMOUNT_MAX} (2^53 - 1) ${plainUnit(unit)}`);
  return Number(amount);
}

/** As readAmount; null: `unlimited`. */
export const readAllowance = (text: string, unit: string): number | null | Misread =>
  text.trim() === 'unlimited' ? null : readAmount(text, unit);

function unknownUnit(written: string, unit: string, units: ReadonlyMap<string, bigint>): Misread {
  if (unit === 'By' && written === 'KB')
    return new Misread('unknown unit "KB": write kB for 1000 bytes or KiB for 1024');
  const allowed = units.size === 0 ? 'a number without a unit' : [...units.keys()].join(', ');
  return new Misread(`unknown unit ${quoted(written)}: the meter counts ${plainUnit(unit)}; allowed is ${allowed}`);
}

/** A count written in plain digits; undefined when it is none, or not between the two. */
export function readCount(text: string, least: number, most: number): number | undefined {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  return count >= least && count <= most ? count : undefined;
}

export const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

const durations: Readonly<Record<string, number>> = {
  ms: 1,
  millisecond: 1,
  s: 1000,
  second: 1000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  day: 86_400_000,
};

/** `second`, `10 seconds`, `5 min`: milliseconds. */
export function readDuration(text: string): number | Misread {
  const match = /^(?:(\d{1,9})\s*)?([a-z]+)$/.exec(text.trim());
  const word = match?.[2] ?? '';
  const unit = durations[word] ?? durations[word.replace(/s$/, '')];
  if (match === null || unit === undefined)
    return new Misread(
      /week|month|year/.test(text)
        ? `${quoted(text)} is a period of the calendar: write it as a quota, with \`quota\` and \`per\``
        : `${quoted(text)} is not a time: a number and ms, second, minute, hour or day`,
    );
  const count = Number(match[1] ?? '1');
  return count === 0 ? new Misread('a time is at least 1 ms') : count * unit;
}
