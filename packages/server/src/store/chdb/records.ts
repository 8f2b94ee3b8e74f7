/** Usage records: writing them, reading the current ones, summing them. */
import type { Receipt } from '../../domain/fact.ts';
import type { CounterRecord, TallyRecord } from '../../domain/record.ts';
import type { Instant } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import type { CounterSum, TallySum } from '../usage-store.ts';
import { Batch, type Table } from './batch.ts';
import type { Lane } from './lane.ts';
import type { RowReader } from './row-reader.ts';
import { dateTime, num, seriesIn, threadsFor, windowsWithin } from './sql.ts';

const recordTable: Table = {
  name: 'record',
  columns: [
    { name: 'series', type: 'UInt32' },
    { name: 'w', type: 'UInt32' },
    { name: 'part', type: 'UInt32' },
    { name: 'seen', type: 'UInt32' },
    { name: 'used', type: 'UInt64' },
    { name: 'n', type: 'UInt32' },
    { name: 'flags', type: 'UInt16' },
    { name: 'state', type: 'UInt8' },
    { name: 'facts', type: 'UInt32' },
    { name: 'void', type: 'UInt8' },
    { name: 's', type: 'UInt64' },
  ],
};
const tallyTable: Table = {
  name: 'tally',
  columns: [
    { name: 'series', type: 'UInt32' },
    { name: 'w', type: 'UInt32' },
    { name: 'part', type: 'UInt32' },
    { name: 'total', type: 'Decimal(76, 12)' },
    { name: 'amount', type: 'Int128' },
    { name: 'least', type: 'Nullable(Decimal(38, 12))' },
    { name: 'most', type: 'Nullable(Decimal(38, 12))' },
    { name: 'latest', type: 'Nullable(Decimal(38, 12))' },
    { name: 'latest_at', type: 'UInt64' },
    { name: 'flags', type: 'UInt16' },
    { name: 'state', type: 'UInt8' },
    { name: 'void', type: 'UInt8' },
    { name: 's', type: 'UInt64' },
  ],
};

const U64_END = 1n << 64n;

export async function writeCounters(lane: Lane, records: readonly CounterRecord[], frontier: Receipt): Promise<void> {
  const batch = new Batch(recordTable);
  for (const r of records) {
    if (r.used < 0n || r.used >= U64_END) {
      throw new StoreError('store.number_range', `A record's usage of ${r.used} is not a 64-bit count.`);
    }
    const row = batch.row(r.window);
    row.int(r.series);
    row.int(r.window / 1000);
    row.int(r.part);
    row.int(r.seen);
    row.big(r.used);
    row.int(r.n);
    row.int(r.flags);
    row.int(r.state);
    row.int(r.facts);
    row.int(r.isVoid ? 1 : 0);
    row.int(frontier);
    row.endRow();
  }
  await commit(lane, batch);
}

export async function writeTallies(lane: Lane, records: readonly TallyRecord[], frontier: Receipt): Promise<void> {
  const batch = new Batch(tallyTable);
  const quantity = (q: bigint | null): bigint | null => (q === null ? null : checked(q, 38));
  for (const r of records) {
    const row = batch.row(r.window);
    row.int(r.series);
    row.int(r.window / 1000);
    row.int(r.part);
    row.big(checked(r.sum, 76));
    row.big(checked(r.count, 38));
    row.big(quantity(r.min));
    row.big(quantity(r.max));
    row.big(quantity(r.latest));
    row.int(r.latestAt);
    row.int(r.flags);
    row.int(r.state);
    row.int(r.isVoid ? 1 : 0);
    row.int(frontier);
    row.endRow();
  }
  await commit(lane, batch);
}

/** The engine cuts what does not fit, silently. */
function checked(n: bigint, digits: number): bigint {
  const end = 10n ** BigInt(digits);
  if (n <= -end || n >= end) throw new StoreError('store.number_range', `${n} has more than ${digits} digits.`);
  return n;
}

async function commit(lane: Lane, batch: Batch): Promise<void> {
  try {
    await lane.exclusive((held) => batch.insert(held));
  } finally {
    batch.release();
  }
}

/** Without FINAL: it would merge whatever lies between the series asked for. */
export async function counterRecords(
  lane: Lane,
  series: readonly number[],
  from: Instant,
  to: Instant,
): Promise<(CounterRecord & { frontier: Receipt })[]> {
  if (series.length === 0) return [];
  const rows = await lane.rows(
    `SELECT series, toUnixTimestamp(w), part, seen, used, n, flags, state, facts, void, s FROM record
     WHERE ${seriesIn(series)} AND ${windowsWithin(from, to)}
     ORDER BY series, w, part, s DESC LIMIT 1 BY series, w, part${threadsFor(series)}`,
  );
  const out: (CounterRecord & { frontier: Receipt })[] = [];
  while (rows.more) {
    out.push({
      series: rows.u32(),
      window: rows.u32() * 1000,
      part: rows.u32(),
      seen: rows.u32(),
      used: rows.big64(),
      n: rows.u32(),
      flags: rows.u16(),
      state: rows.u8(),
      facts: rows.u32(),
      isVoid: rows.u8() === 1,
      frontier: rows.u64(),
    });
  }
  return out;
}

const TALLY = `series, toUnixTimestamp(w), part, total, amount, least, most, latest, latest_at, flags, state, void, s`;

function tallyOf(rows: RowReader): TallyRecord & { frontier: Receipt } {
  const read = (): bigint => rows.big128();
  return {
    series: rows.u32(),
    window: rows.u32() * 1000,
    part: rows.u32(),
    sum: rows.big256(),
    count: rows.big128(),
    min: rows.nullable(read),
    max: rows.nullable(read),
    latest: rows.nullable(read),
    latestAt: rows.u64(),
    flags: rows.u16(),
    state: rows.u8(),
    isVoid: rows.u8() === 1,
    frontier: rows.u64(),
  };
}

export async function tallyRecords(
  lane: Lane,
  series: readonly number[],
  from: Instant,
  to: Instant,
): Promise<(TallyRecord & { frontier: Receipt })[]> {
  if (series.length === 0) return [];
  const rows = await lane.rows(
    `SELECT ${TALLY} FROM tally FINAL WHERE ${seriesIn(series)} AND ${windowsWithin(from, to)} ORDER BY series, w, part`,
  );
  const out: (TallyRecord & { frontier: Receipt })[] = [];
  while (rows.more) out.push(tallyOf(rows));
  return out;
}

/** The newest record with content of each series before `before`. */
export async function lastTallies(
  lane: Lane,
  series: readonly number[],
  before: Instant,
): Promise<Map<number, TallyRecord>> {
  const out = new Map<number, TallyRecord>();
  if (series.length === 0) return out;
  const rows = await lane.rows(
    `SELECT ${TALLY} FROM tally FINAL WHERE ${seriesIn(series)} AND w < ${dateTime(before)} AND void = 0
     ORDER BY series, w DESC, part DESC LIMIT 1 BY series`,
  );
  while (rows.more) {
    const { frontier: _, ...record } = tallyOf(rows);
    out.set(record.series, record);
  }
  return out;
}

/** The interval each window falls into, by a table of the edges: `edge` is the interval's start. */
function intervals(edges: readonly Instant[]): { edge: string; span: string; index: Map<number, number> } | null {
  const first = edges[0];
  const last = edges.at(-1);
  if (first === undefined || last === undefined || first >= last) return null;
  const starts = edges.slice(0, -1).map((t) => t / 1000);
  return {
    edge: `roundDown(toUnixTimestamp(w), CAST('[${starts.map(num).join(',')}]', 'Array(UInt32)'))`,
    span: windowsWithin(first, last),
    index: new Map(starts.map((s, i) => [s, i])),
  };
}

export async function sumCounters(
  lane: Lane,
  series: readonly number[],
  edges: readonly Instant[],
): Promise<CounterSum[]> {
  const by = intervals(edges);
  if (by === null || series.length === 0) return [];
  const rows = await lane.rows(
    `SELECT series, ${by.edge} AS edge, sum(toInt128(used)), sum(toInt128(n)), sum(toUInt64(seen)), groupBitOr(flags),
       max(state), count(), max(s)
     FROM record FINAL WHERE ${seriesIn(series)} AND ${by.span} AND void = 0
     GROUP BY series, edge ORDER BY series, edge${threadsFor(series)}`,
  );
  const out: CounterSum[] = [];
  while (rows.more) {
    out.push({
      series: rows.u32(),
      interval: by.index.get(rows.u32()) ?? 0,
      used: rows.big128(),
      n: rows.big128(),
      seen: rows.u64(),
      flags: rows.u16(),
      state: rows.u8(),
      records: rows.u64(),
      frontier: rows.u64(),
    });
  }
  return out;
}

export async function sumTallies(
  lane: Lane,
  series: readonly number[],
  edges: readonly Instant[],
): Promise<TallySum[]> {
  const by = intervals(edges);
  if (by === null || series.length === 0) return [];
  const rows = await lane.rows(
    `SELECT series, ${by.edge} AS edge, sum(total), sum(amount), min(least), max(most),
       argMaxIf(latest, (latest_at, w, part), isNotNull(latest)), maxIf(latest_at, isNotNull(latest)),
       groupBitOr(flags), max(state), count(), max(s)
     FROM tally FINAL WHERE ${seriesIn(series)} AND ${by.span} AND void = 0
     GROUP BY series, edge ORDER BY series, edge${threadsFor(series)}`,
  );
  const read = (): bigint => rows.big128();
  const out: TallySum[] = [];
  while (rows.more) {
    out.push({
      series: rows.u32(),
      interval: by.index.get(rows.u32()) ?? 0,
      sum: rows.big256(),
      count: rows.big128(),
      min: rows.nullable(read),
      max: rows.nullable(read),
      latest: rows.nullable(read),
      latestAt: rows.u64(),
      flags: rows.u16(),
      state: rows.u8(),
      records: rows.u64(),
      frontier: rows.u64(),
    });
  }
  return out;
}
