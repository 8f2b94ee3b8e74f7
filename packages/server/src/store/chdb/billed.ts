/** Records summed for invoices: by span, with their digest (domain/record-digest.ts says what a line of it is). */
import { setImmediate } from 'node:timers/promises';
import type { Receipt } from '../../domain/fact.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { BilledCounters, BilledTallies, RecordSpan } from '../usage-store.ts';
import type { Lane } from './lane.ts';
import type { RowReader } from './row-reader.ts';
import { dateTime, num, seriesIn, threadsFor, windowsWithin, within } from './sql.ts';

/** Spans with these edges are summed by a statement each; if there are more of them, by one that knows each span. */
const EDGES_APART = 4;
/** Rows read in one turn of the loop. */
const ROWS_A_TURN = 2_000;

const line = (kind: string, columns: readonly string[]): string =>
  `concat('${kind}', ${columns.map((c) => `',', ${c}`).join(', ')})`;
// Wraps around, as it should: the digest is a sum mod 2^256.
const digest = (text: string): string => `sumIf(reinterpretAsUInt256(SHA256(${text})), void = 0)`;
const orNone = (column: string): string => `ifNull(toString(${column}), '-')`;
const text = (column: string): string => `toString(${column})`;
const WINDOW = 'toString(toUnixTimestamp(w))';

const counterDigest = digest(line('c', [WINDOW, ...['part', 'seen', 'used', 'n', 'flags', 'state'].map(text)]));
const tallyDigest = digest(
  line('t', [
    WINDOW,
    ...['part', 'total', 'amount'].map(text),
    ...['least', 'most', 'latest'].map(orNone),
    ...['latest_at', 'flags', 'state'].map(text),
  ]),
);

export async function billedCounters(lane: Lane, spans: readonly RecordSpan[]): Promise<BilledCounters[]> {
  const out: BilledCounters[] = [];
  const columns = (end: string): string =>
    `sumIf(toInt128(used), void = 0), sumIf(toInt128(n), void = 0), sumIf(toUInt64(seen), void = 0),
     groupBitOrIf(flags, void = 0), maxIf(state, void = 0), countIf(void = 0), max(s), ${counterDigest},
     sumIf(toUInt64(seen), void = 0 AND toUnixTimestamp(w) = ${end} - ${WINDOW_MS / 1000})`;
  await bySpan(lane, 'record', columns, spans, (series, interval, rows) =>
    out.push({
      series,
      interval,
      used: rows.big128(),
      n: rows.big128(),
      seen: rows.u64(),
      flags: rows.u16(),
      state: rows.u8(),
      records: rows.u64(),
      frontier: rows.u64(),
      digest: BigInt.asUintN(256, rows.big256()),
      lastSeen: rows.u64(),
    }),
  );
  return out;
}

export async function billedTallies(lane: Lane, spans: readonly RecordSpan[]): Promise<BilledTallies[]> {
  const out: BilledTallies[] = [];
  const columns = (): string =>
    `sumIf(total, void = 0), sumIf(amount, void = 0), minIf(least, void = 0), maxIf(most, void = 0),
     argMaxIf(latest, (latest_at, w, part), void = 0 AND isNotNull(latest)),
     maxIf(latest_at, void = 0 AND isNotNull(latest)),
     groupBitOrIf(flags, void = 0), maxIf(state, void = 0), countIf(void = 0), max(s), ${tallyDigest}`;
  await bySpan(lane, 'tally', columns, spans, (series, interval, rows) => {
    const read = (): bigint => rows.big128();
    out.push({
      series,
      interval,
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
      digest: BigInt.asUintN(256, rows.big256()),
    });
  });
  return out;
}

/** Without FINAL: an old row with a frontier above `after` means that there is a newer one. */
export async function rewrittenTallies(
  lane: Lane,
  series: readonly number[],
  to: Instant,
  after: Receipt,
): Promise<number[]> {
  if (series.length === 0) return [];
  const rows = await lane.rows(
    `SELECT DISTINCT series FROM tally
     WHERE ${seriesIn(series)} AND w < ${dateTime(to)} AND s > ${num(after)}${threadsFor(series)}`,
  );
  const out: number[] = [];
  while (rows.more) out.push(rows.u32());
  return out;
}

export async function touchedSubjects(
  lane: Lane,
  types: readonly string[],
  from: Instant,
  to: Instant,
  after: Receipt,
  frontier: Receipt,
): Promise<{ tenant: string; subject: string }[]> {
  if (types.length === 0 || after >= frontier || from >= to) return [];
  const rows = await lane.rows(
    `SELECT DISTINCT tenant, subject FROM event
     WHERE receipt > ${num(after)} AND receipt <= ${num(frontier)} AND ${within(from, to)}
       AND type IN {types:Array(String)}`,
    { types },
  );
  const out: { tenant: string; subject: string }[] = [];
  while (rows.more) out.push({ tenant: rows.text(), subject: rows.text() });
  return out;
}

type Take = (series: number, interval: number, rows: RowReader) => void;

/** One row for each span that has records: most ask for the same windows of many series, and that is the quickest. */
async function bySpan(
  lane: Lane,
  table: string,
  columns: (end: string) => string,
  spans: readonly RecordSpan[],
  take: Take,
): Promise<void> {
  const alike: { from: Instant; to: Instant; group: Map<number, number> }[] = [];
  for (const [i, { series, from, to }] of spans.entries()) {
    if (from >= to) continue;
    let edges = alike.find((e) => e.from === from && e.to === to);
    if (edges === undefined) {
      edges = { from, to, group: new Map() };
      alike.push(edges);
    }
    edges.group.set(series, i);
    if (alike.length > EDGES_APART) return apart(lane, table, columns, spans, take);
  }
  for (const { from, to, group } of alike) {
    const ids = [...group.keys()].sort((a, b) => a - b);
    const rows = await lane.rows(
      `SELECT series, ${columns(num(to / 1000))} FROM ${table} FINAL
       WHERE ${seriesIn(ids)} AND ${windowsWithin(from, to)} GROUP BY series${threadsFor(ids)}`,
    );
    for (let n = 1; rows.more; n++) {
      const series = rows.u32();
      take(series, group.get(series) ?? 0, rows);
      if (n % ROWS_A_TURN === 0) await setImmediate();
    }
  }
}

/** Every span has edges of its own: they go in as a table. */
async function apart(
  lane: Lane,
  table: string,
  columns: (end: string) => string,
  spans: readonly RecordSpan[],
  take: Take,
): Promise<void> {
  const kept = spans.flatMap((span, i) => (span.from < span.to ? [{ ...span, i }] : []));
  const list = (of: (span: RecordSpan & { i: number }) => number): string =>
    `CAST('[${kept.map((s) => num(of(s))).join(',')}]', 'Array(UInt32)')`;
  const ids = [...new Set(kept.map((s) => s.series))].sort((a, b) => a - b);
  const first = kept.reduce((t, s) => Math.min(t, s.from), Number.MAX_SAFE_INTEGER);
  const last = kept.reduce((t, s) => Math.max(t, s.to), 0);
  const rows = await lane.rows(
    `SELECT own, i, ${columns('b')} FROM (
       SELECT * FROM ${table} FINAL WHERE ${seriesIn(ids)} AND ${windowsWithin(first, last)}
     ) AS stored INNER JOIN (
       SELECT z.1 AS own, z.2 AS a, z.3 AS b, z.4 AS i FROM (
         SELECT arrayJoin(arrayZip(${list((s) => s.series)}, ${list((s) => s.from / 1000)}, ${list((s) => s.to / 1000)}, ${list((s) => s.i)})) AS z
       )
     ) AS wanted ON stored.series = wanted.own
     WHERE toUnixTimestamp(w) >= a AND toUnixTimestamp(w) < b GROUP BY own, i, a, b`,
  );
  for (let n = 1; rows.more; n++) {
    const series = rows.u32();
    take(series, rows.u32(), rows);
    if (n % ROWS_A_TURN === 0) await setImmediate();
  }
}
