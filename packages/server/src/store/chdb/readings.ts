/** Reading readings back. */
import { type Receipt, type SeriesReading, Stamp } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { EpochExtent } from '../usage-store.ts';
import type { Lane } from './lane.ts';
import type { RowReader } from './row-reader.ts';
import { bucketIn, dateTime, num, seriesIn, threadsFor, within } from './sql.ts';

export const COLUMNS = 'series, t, value, epoch, start, receipt, skew, stamps';
const DAY_MS = 86_400_000;
const NEAR_MS = [1_800_000, 10_800_000] as const;

/** Reads the columns COLUMNS, in that order. */
export function readingOf(rows: RowReader): SeriesReading {
  const series = rows.u32();
  const t = rows.u64();
  const value = rows.big64();
  const epoch = rows.u64();
  const start = rows.u64();
  const receipt = rows.u64();
  const sourceTime = t - rows.i64();
  return { series, t, value, epoch, start, receipt, sourceTime, stamps: rows.u8() };
}

/**
 * Readings of the series with from <= t < to, each series' in receipt order. Without FINAL: it would merge all series of
 * those windows to give back a few; equal keys come side by side in this order, the first accepted one first.
 */
export async function readings(
  lane: Lane,
  series: readonly number[],
  from: Instant,
  to: Instant,
  frontier: Receipt,
): Promise<Map<number, SeriesReading[]>> {
  const out = new Map<number, SeriesReading[]>();
  if (series.length === 0 || from >= to) return out;
  const rows = await lane.rows(
    `SELECT ${COLUMNS} FROM reading
     WHERE ${seriesIn(series)} AND ${within(from, to)} AND receipt <= ${num(frontier)}
     ORDER BY series, t, epoch, value, ended, receipt${threadsFor(series)}`,
  );
  let list: SeriesReading[] = [];
  let last: SeriesReading | null = null;
  while (rows.more) {
    const reading = readingOf(rows);
    if (last !== null && sameKey(last, reading)) continue;
    if (last?.series !== reading.series) {
      list = [];
      out.set(reading.series, list);
    }
    list.push(reading);
    last = reading;
  }
  for (const own of out.values()) own.sort((x, y) => x.receipt - y.receipt);
  return out;
}

export const sameKey = (a: SeriesReading, b: SeriesReading): boolean =>
  a.series === b.series &&
  a.t === b.t &&
  a.epoch === b.epoch &&
  a.value === b.value &&
  (a.stamps & Stamp.end) === (b.stamps & Stamp.end);

export type Side = 'before' | 'after';

/** The nearest reading strictly before, or at or after, `t`. */
export async function nearest(
  lane: Lane,
  side: Side,
  series: readonly number[],
  t: Instant,
  frontier: Receipt,
): Promise<Map<number, Instant>> {
  const out = new Map<number, Instant>();
  if (series.length === 0) return out;
  // Most series are polled every few minutes: half an hour is read (a day of 11,600 series took 20 ms), then some hours,
  // then the rest of t's own day; further out the projections tell the bucket, and that is read.
  const day = t - (t % DAY_MS);
  const visible = `receipt <= ${num(frontier)}`;
  const extreme = side === 'before' ? 'max' : 'min';
  const take = (rows: RowReader): void => {
    while (rows.more) out.set(rows.u32(), rows.u64());
  };
  let open = series;
  for (const [from, to] of stretches(side, t, day)) {
    take(
      await lane.rows(
        `SELECT series, ${extreme}(t) FROM reading WHERE ${seriesIn(open)} AND ${within(from, to)} AND ${visible} GROUP BY series${threadsFor(open)}`,
      ),
    );
    open = series.filter((id) => !out.has(id));
    if (open.length === 0) return out;
  }
  const beyond =
    side === 'before' ? `toDate(bucket) < toDate(${dateTime(day)})` : `toDate(bucket) > toDate(${dateTime(day)})`;
  const buckets = await lane.rows(
    `SELECT series, toUnixTimestamp(${extreme}(bucket)) FROM reading WHERE ${seriesIn(open)} AND ${beyond} GROUP BY series`,
  );
  const wanted = new Map<number, number>();
  while (buckets.more) wanted.set(buckets.u32(), buckets.u32());
  open = open.filter((id) => wanted.has(id));
  if (open.length === 0) return out;
  const rows = await lane.rows(
    `SELECT series, toUnixTimestamp(bucket), ${extreme}(t) FROM reading
     WHERE ${seriesIn(open)} AND ${bucketIn([...new Set(wanted.values())])} AND ${visible} GROUP BY series, bucket`,
  );
  while (rows.more) {
    const id = rows.u32();
    const bucket = rows.u32();
    const at = rows.u64();
    if (wanted.get(id) === bucket) out.set(id, at);
  }
  // The projections know no receipts: where all of that bucket lies above the frontier, the rows have to be read.
  open = open.filter((id) => !out.has(id));
  if (open.length === 0) return out;
  const far = side === 'before' ? `t < ${num(t)}` : `t >= ${num(t)}`;
  take(
    await lane.rows(
      `SELECT series, ${extreme}(t) FROM reading WHERE ${seriesIn(open)} AND ${far} AND ${visible} GROUP BY series`,
    ),
  );
  return out;
}

/** From `t` outwards, one behind the other, to the end of its day and no less than the longest of NEAR_MS. */
function* stretches(side: Side, t: Instant, day: Instant): Generator<[Instant, Instant]> {
  let reached = t;
  for (const near of [...NEAR_MS, side === 'before' ? t - day : day + DAY_MS - t]) {
    const next = side === 'before' ? t - near : t + near;
    if (near <= Math.abs(reached - t)) continue;
    yield side === 'before' ? [next, reached] : [reached, next];
    reached = next;
  }
}

/** Answered from the projection of each part. */
export async function epochExtents(
  lane: Lane,
  series: readonly number[],
  from: Instant,
  to: Instant,
): Promise<Map<number, EpochExtent[]>> {
  const out = new Map<number, EpochExtent[]>();
  if (series.length === 0) return out;
  const rows = await lane.rows(
    `SELECT series, epoch, toUnixTimestamp(min(bucket)), toUnixTimestamp(max(bucket)) FROM reading
     WHERE ${seriesIn(series)} AND toDate(bucket) >= toDate(${dateTime(from)}) AND toDate(bucket) <= toDate(${dateTime(to)})
     GROUP BY series, epoch`,
  );
  while (rows.more) {
    const id = rows.u32();
    const extent = { epoch: rows.u64(), first: rows.u32() * 1000, last: rows.u32() * 1000 };
    const list = out.get(id);
    if (list === undefined) out.set(id, [extent]);
    else list.push(extent);
  }
  return out;
}

export interface LastReading {
  t: Instant;
  value: bigint;
  epoch: number;
  receipt: Receipt;
}

const SPARSE = 2_000;
const NOT_FAST = `bitAnd(stamps, ${num(Stamp.fast)}) = 0`;

/**
 * The last reading of every series by time; of several at one time, the one accepted first. Readings above line speed do
 * not count: none is compared with them.
 */
export async function lastReadings(lane: Lane): Promise<Map<number, LastReading>> {
  const extents = await lane.rows('SELECT series, toUnixTimestamp(max(bucket)) FROM reading GROUP BY series');
  const latest = new Map<number, number>();
  const byBucket = new Map<number, number[]>();
  while (extents.more) {
    const series = extents.u32();
    const bucket = extents.u32();
    latest.set(series, bucket);
    const list = byBucket.get(bucket);
    if (list === undefined) byBucket.set(bucket, [series]);
    else list.push(series);
  }
  const out = new Map<number, LastReading>();
  const take = (rows: RowReader): void => {
    while (rows.more) {
      const id = rows.u32();
      const bucket = rows.u32();
      const reading = { t: rows.u64(), value: rows.big64(), epoch: rows.u64(), receipt: rows.u64() };
      if (bucket === 0 || latest.get(id) === bucket) out.set(id, reading);
    }
  };
  const columns = 'argMax((t, value, epoch, receipt), (t, vers))';
  for (const [buckets, series] of shares(byBucket)) {
    const which = series === null ? '' : ` AND ${seriesIn(series)}`;
    take(
      await lane.rows(
        `SELECT series, toUnixTimestamp(bucket), ${columns} FROM reading
         WHERE ${bucketIn(buckets)}${which} AND ${NOT_FAST} GROUP BY series, bucket`,
      ),
    );
  }
  const rest = [...latest.keys()].filter((id) => !out.has(id));
  if (rest.length > 0) {
    take(
      await lane.rows(
        `SELECT series, toUInt32(0), ${columns} FROM reading WHERE ${seriesIn(rest)} AND ${NOT_FAST} GROUP BY series`,
      ),
    );
  }
  return out;
}

/** Buckets in which many series end are read whole; of the others, several together with their series named. */
function* shares(byBucket: ReadonlyMap<number, readonly number[]>): Generator<[number[], number[] | null]> {
  let buckets: number[] = [];
  let series: number[] = [];
  for (const [bucket, list] of byBucket) {
    if (list.length >= SPARSE) {
      yield [[bucket], null];
      continue;
    }
    buckets.push(bucket);
    series.push(...list);
    if (series.length >= SPARSE) {
      yield [buckets, series];
      buckets = [];
      series = [];
    }
  }
  if (buckets.length > 0) yield [buckets, series];
}

export async function readingByReceipt(lane: Lane, receipt: Receipt): Promise<SeriesReading | null> {
  const rows = await lane.rows(`SELECT ${COLUMNS} FROM reading WHERE receipt = ${num(receipt)} LIMIT 1`);
  return rows.more ? readingOf(rows) : null;
}
