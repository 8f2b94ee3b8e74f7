/** Pieces of statements. Numbers go in as text we formatted and checked; text from outside only as bound parameters. */
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';

const DATETIME_MAX = 2 ** 32 - 1;

export function num(n: number): string {
  if (!Number.isSafeInteger(n))
    throw new StoreError('store.misuse', `${n} is not a whole number a statement can take.`);
  return String(n);
}

/** A path of our own as a literal: the one text that cannot be bound as a parameter. */
export const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

/** The DateTime of an instant, rounded down to its second; instants beyond the type's range are moved to its ends. */
export const dateTime = (t: Instant): string =>
  `toDateTime(${num(Math.min(Math.max(Math.floor(t / 1000), 0), DATETIME_MAX))}, 'UTC')`;

/** Rows of event or reading with from <= t < to; the bucket condition is what the primary key can use. */
export const within = (from: Instant, to: Instant): string =>
  `bucket >= ${dateTime(from - (from % WINDOW_MS))} AND bucket <= ${dateTime(to)} AND t >= ${num(from)} AND t < ${num(to)}`;

/** Rows of record or tally whose window lies in [from, to). */
export const windowsWithin = (from: Instant, to: Instant): string => `w >= ${dateTime(from)} AND w < ${dateTime(to)}`;

const FEW = 20;

/** A constant array from one text: 100,000 numbers parse in milliseconds, as a list of literals they took two seconds and 400 MB. */
export const arrayOf = (numbers: readonly (number | bigint)[], type: 'UInt32' | 'UInt64'): string =>
  `CAST('[${numbers.map((n) => (typeof n === 'bigint' ? String(n) : num(n))).join(',')}]', 'Array(${type})')`;

/** A set of numbers, for IN. By way of a subquery (`SELECT arrayJoin(...)`) a statement took 0.9 ms more. */
export const setOf = (numbers: readonly number[], type: 'UInt32' | 'UInt64'): string => arrayOf(numbers, type);

export const seriesIn = (series: readonly number[]): string => {
  const [first] = series;
  const last = series.at(-1);
  if (first !== undefined && last !== undefined && isRun(series))
    return `series BETWEEN ${num(first)} AND ${num(last)}`;
  return `series IN ${setOf(series, 'UInt32')}`;
};

/** Rows in the given buckets (seconds since 1970). */
export const bucketIn = (seconds: readonly number[]): string =>
  `bucket IN (SELECT toDateTime(arrayJoin(CAST('[${seconds.map(num).join(',')}]', 'Array(UInt32)')), 'UTC'))`;

/** Few series are a few milliseconds of work: a second thread costs more than it brings. Ends a statement. */
export const threadsFor = (series: readonly number[]): string =>
  series.length <= 64 ? ' SETTINGS max_threads = 1' : '';

/** An ascending run without holes: all series of a group, usually. */
function isRun(series: readonly number[]): boolean {
  const first = series[0] ?? 0;
  return series.length > FEW && series.every((id, i) => id === first + i);
}
