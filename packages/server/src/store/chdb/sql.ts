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

/**
 * A set of numbers, for IN. One array literal in a subquery: 100,000 ids parse in milliseconds, as a list of literals
 * they took two seconds and 400 MB. A constant list of a few lets the index be used without running a subquery.
 */
export const setOf = (numbers: readonly number[], type: 'UInt32' | 'UInt64'): string =>
  numbers.length > 0 && numbers.length <= FEW
    ? `(${numbers.map(num).join(',')})`
    : `(SELECT arrayJoin(CAST('[${numbers.map(num).join(',')}]', 'Array(${type})')))`;

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
