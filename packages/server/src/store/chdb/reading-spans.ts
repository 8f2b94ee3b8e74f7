/**
 * Readings of many series, each asked for over a span or near an instant of its own. What is asked alike goes as one
 * statement; otherwise the pairs of bucket and series go in as a set, which the primary key answers.
 */
import type { Receipt, SeriesReading } from '../../domain/fact.ts';
import { type Instant, WINDOW_MS, windowStart } from '../../domain/window.ts';
import type { RecordSpan } from '../usage-store.ts';
import type { Lane } from './lane.ts';
import { COLUMNS, nearest, readingOf, readings, type Side, sameKey } from './readings.ts';
import { dateTime, num, seriesIn } from './sql.ts';

/** Spans or instants that are asked for by a statement each; if there are more of them, by pairs. */
const APART = 4;
/** Pairs of bucket and series in one statement, and about three readings each: what comes back is read in one turn. */
const PAIRS_A_CALL = 10_000;
/** From here on a span is cheaper read from its first to its last bucket than bucket by bucket. */
const WIDE_WINDOWS = 200;

export interface At {
  series: number;
  t: Instant;
}

/** Each span's in receipt order. */
export async function readingsWithin(
  lane: Lane,
  spans: readonly RecordSpan[],
  frontier: Receipt,
): Promise<SeriesReading[][]> {
  const out: SeriesReading[][] = spans.map(() => []);
  const alike = groups(spans, (span) => `${span.from}:${span.to}`);
  const apart: number[] = [];
  for (const indices of alike.values()) {
    const [first = 0] = indices;
    const { from = 0, to = 0 } = spans[first] ?? {};
    if (from >= to) continue;
    if (alike.size > APART && to - from <= WIDE_WINDOWS * WINDOW_MS) {
      apart.push(...indices);
      continue;
    }
    const ids = [...new Set(indices.map((i) => spans[i]?.series ?? 0))].sort((a, b) => a - b);
    const found = await readings(lane, ids, from, to, frontier);
    for (const i of indices) out[i] = found.get(spans[i]?.series ?? 0) ?? [];
  }
  for (const part of chunks(apart, (i) => bucketsOf(spans[i]).length))
    await readApart(lane, spans, part, frontier, out);
  return out;
}

async function readApart(
  lane: Lane,
  spans: readonly RecordSpan[],
  indices: readonly number[],
  frontier: Receipt,
  out: SeriesReading[][],
): Promise<void> {
  const bySeries = groups(indices, (i) => spans[i]?.series ?? 0);
  const pairs = indices.flatMap((i) => bucketsOf(spans[i]).map((b) => [b, spans[i]?.series ?? 0] as const));
  const rows = await lane.rows(
    `SELECT ${COLUMNS} FROM reading WHERE ${inPairs(pairs)} AND receipt <= ${num(frontier)}
     ORDER BY series, t, epoch, value, ended, receipt`,
  );
  let last: SeriesReading | null = null;
  while (rows.more) {
    const reading = readingOf(rows);
    if (last !== null && sameKey(last, reading)) continue;
    last = reading;
    for (const k of bySeries.get(reading.series) ?? []) {
      const i = indices[k] ?? 0;
      const span = spans[i];
      if (span !== undefined && reading.t >= span.from && reading.t < span.to) out[i]?.push(reading);
    }
  }
  for (const i of indices) out[i]?.sort((x, y) => x.receipt - y.receipt);
}

/** The nearest reading strictly before, or at or after, each one's own instant. */
export async function nearestReadings(
  lane: Lane,
  side: Side,
  asks: readonly At[],
  frontier: Receipt,
): Promise<(Instant | null)[]> {
  const out: (Instant | null)[] = asks.map(() => null);
  const alike = groups(asks, (ask) => ask.t);
  if (alike.size <= APART) {
    for (const [t, indices] of alike) {
      const ids = [...new Set(indices.map((i) => asks[i]?.series ?? 0))].sort((a, b) => a - b);
      const found = await nearest(lane, side, ids, t, frontier);
      for (const i of indices) out[i] = found.get(asks[i]?.series ?? 0) ?? null;
    }
    return out;
  }
  const search = new Search(lane, side, asks, frontier, out);
  // As for one instant: half an hour, some hours, then the day and bucket that the projection names.
  await search.near(0, 2);
  await search.near(3, 12);
  await search.far();
  return out;
}

class Search {
  private readonly lane: Lane;
  private readonly side: Side;
  private readonly asks: readonly At[];
  private readonly visible: string;
  private readonly out: (Instant | null)[];

  constructor(lane: Lane, side: Side, asks: readonly At[], frontier: Receipt, out: (Instant | null)[]) {
    this.lane = lane;
    this.side = side;
    this.asks = asks;
    this.visible = `receipt <= ${num(frontier)}`;
    this.out = out;
  }

  /** The buckets `first` .. `last` away from the one of the instant. */
  async near(first: number, last: number): Promise<void> {
    const sign = this.side === 'before' ? -1 : 1;
    const buckets = new Map<number, number[]>();
    for (const i of this.open()) {
      const own = windowStart(this.at(i).t);
      const list: number[] = [];
      for (let k = first; k <= last; k++) list.push((own + sign * k * WINDOW_MS) / 1000);
      buckets.set(
        i,
        list.filter((b) => b >= 0),
      );
    }
    await this.probe(buckets);
  }

  /** Further out the projection tells of each day its first and its last bucket. */
  async far(): Promise<void> {
    const open = this.open();
    if (open.length === 0) return;
    const days = await this.days(open);
    const candidates = new Map<number, number[]>();
    for (const i of open) {
      const list = this.candidatesOf(this.at(i).t, days.get(this.at(i).series) ?? []);
      if (list.length > 0) candidates.set(i, list);
    }
    await this.probe(candidates);
    // The projection knows no receipts: where all of that bucket lies above the frontier, the rows have to be read.
    await this.scan(this.open().filter((i) => candidates.has(i)));
  }

  private async days(open: readonly number[]): Promise<Map<number, { first: number; last: number }[]>> {
    const ids = [...new Set(open.map((i) => this.at(i).series))].sort((a, b) => a - b);
    const times = open.map((i) => this.at(i).t);
    const bound =
      this.side === 'before'
        ? `toDate(bucket) <= toDate(${dateTime(times.reduce((a, b) => Math.max(a, b), 0))})`
        : `toDate(bucket) >= toDate(${dateTime(times.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER))})`;
    const rows = await this.lane.rows(
      `SELECT series, toUnixTimestamp(min(bucket)) AS a, toUnixTimestamp(max(bucket)) FROM reading
       WHERE ${seriesIn(ids)} AND ${bound} GROUP BY series, toDate(bucket) ORDER BY series, a`,
    );
    const out = new Map<number, { first: number; last: number }[]>();
    while (rows.more) {
      const series = rows.u32();
      const day = { first: rows.u32(), last: rows.u32() };
      const list = out.get(series);
      if (list === undefined) out.set(series, [day]);
      else list.push(day);
    }
    return out;
  }

  /** Where it may be: all buckets of the instant's own day on its side, and the nearest one of the nearest other day. */
  private candidatesOf(t: Instant, days: readonly { first: number; last: number }[]): number[] {
    const own = windowStart(t) / 1000;
    const out: number[] = [];
    const onSide = this.side === 'before' ? [...days].reverse() : days;
    for (const { first, last } of onSide) {
      if (this.side === 'before' ? first > own : last < own) continue;
      const nearest = this.side === 'before' ? last : first;
      const isOwnDay = first <= own && last >= own;
      if (!isOwnDay) return [...out, nearest];
      const [a, b] = this.side === 'before' ? [first, own] : [own, last];
      for (let bucket = a; bucket <= b; bucket += WINDOW_MS / 1000) out.push(bucket);
    }
    return out;
  }

  private async probe(buckets: ReadonlyMap<number, readonly number[]>): Promise<void> {
    for (const part of chunks([...buckets.keys()], (i) => buckets.get(i)?.length ?? 0)) {
      const pairs = part.flatMap((i) => (buckets.get(i) ?? []).map((b) => [b, this.at(i).series] as const));
      // Another ask's buckets of the series may lie beyond those of this one: what it would find there is not the nearest.
      const edges = part.map((i) => this.edgeOf(buckets.get(i) ?? []));
      if (pairs.length > 0) await this.take(part, inPairs(pairs), edges);
    }
  }

  private edgeOf(buckets: readonly number[]): Instant {
    if (this.side === 'before') return buckets.reduce((a, b) => Math.min(a, b), 2 ** 32) * 1000;
    return buckets.reduce((a, b) => Math.max(a, b), 0) * 1000 + WINDOW_MS;
  }

  private async scan(indices: readonly number[]): Promise<void> {
    if (indices.length === 0) return;
    const times = indices.map((i) => this.at(i).t);
    const bound =
      this.side === 'before'
        ? `bucket <= ${dateTime(times.reduce((a, b) => Math.max(a, b), 0))}`
        : `bucket >= ${dateTime(windowStart(times.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER)))}`;
    const ids = [...new Set(indices.map((i) => this.at(i).series))].sort((a, b) => a - b);
    const edge = this.side === 'before' ? 0 : Number.MAX_SAFE_INTEGER;
    await this.take(
      indices,
      `${seriesIn(ids)} AND ${bound}`,
      indices.map(() => edge),
    );
  }

  /** `edges`: how far from its instant each may look. */
  private async take(indices: readonly number[], where: string, edges: readonly Instant[]): Promise<void> {
    const [extreme, reach] = this.side === 'before' ? ['max', 't < at AND t >= edge'] : ['min', 't >= at AND t < edge'];
    const list = (numbers: readonly number[], type: string): string =>
      `CAST('[${numbers.map(num).join(',')}]', 'Array(${type})')`;
    const wanted = [
      list(
        indices.map((i) => this.at(i).series),
        'UInt32',
      ),
      list(
        indices.map((i) => this.at(i).t),
        'UInt64',
      ),
      list(edges, 'UInt64'),
      list(indices, 'UInt32'),
    ];
    const rows = await this.lane.rows(
      `SELECT i, ${extreme}(t) FROM (SELECT series, t FROM reading WHERE ${where} AND ${this.visible}) AS stored
       INNER JOIN (
         SELECT z.1 AS own, z.2 AS at, z.3 AS edge, z.4 AS i FROM (SELECT arrayJoin(arrayZip(${wanted.join(', ')})) AS z)
       ) AS wanted ON stored.series = wanted.own
       WHERE ${reach} GROUP BY i`,
    );
    while (rows.more) this.out[rows.u32()] = rows.u64();
  }

  private open(): number[] {
    return this.out.flatMap((found, i) => (found === null ? [i] : []));
  }

  private at(i: number): At {
    const ask = this.asks[i];
    if (ask === undefined) throw new Error(`there is no ask ${i}`);
    return ask;
  }
}

/** Rows of the given (bucket in seconds, series). */
function inPairs(pairs: readonly (readonly [number, number])[]): string {
  const list = (k: 0 | 1): string => `CAST('[${pairs.map((p) => num(p[k])).join(',')}]', 'Array(UInt32)')`;
  return `(bucket, series) IN (
    SELECT toDateTime(p.1, 'UTC'), p.2 FROM (SELECT arrayJoin(arrayZip(${list(0)}, ${list(1)})) AS p)
  )`;
}

function bucketsOf(span: RecordSpan | undefined): number[] {
  const out: number[] = [];
  if (span === undefined) return out;
  for (let b = windowStart(span.from); b < span.to; b += WINDOW_MS) out.push(b / 1000);
  return out;
}

/** Indices by what their items have in common. */
function groups<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, number[]> {
  const out = new Map<K, number[]>();
  for (const [i, item] of items.entries()) {
    const key = keyOf(item);
    const list = out.get(key);
    if (list === undefined) out.set(key, [i]);
    else list.push(i);
  }
  return out;
}

/** Parts of at most about PAIRS_A_CALL. */
function* chunks(indices: readonly number[], sizeOf: (i: number) => number): Generator<number[]> {
  let part: number[] = [];
  let size = 0;
  for (const i of indices) {
    part.push(i);
    size += sizeOf(i);
    if (size < PAIRS_A_CALL) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}
