/** Records summed for invoices: by span, with their digest (domain/record-digest.ts says what a line of it is). */
import { setImmediate } from 'node:timers/promises';
import type { Receipt } from '../../domain/fact.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { BilledCounters, BilledTallies, RecordSpan } from '../usage-store.ts';
import type { Lane } from './lane.ts';
import type { RowReader } from './row-reader.ts';
import { arrayOf, dateTime, num, seriesIn, threadsFor, windowsWithin, within } from './sql.ts';

/** Rows read in one turn of the loop. */
const ROWS_A_TURN = 2_000;

const line = (kind: string, columns: readonly string[]): string =>
  `concat('${kind}', ${columns.map((c) => `',', ${c}`).join(', ')})`;
// Wraps around, as it should: the digest is a sum mod 2^256.
const digest = (text: string): string => `sumIf(reinterpretAsUInt256(SHA256(${text})), void = 0)`;
const orNone = (column: string): string => `ifNull(toString(${column}), '-')`;
const text = (column: string): string => `toString(${column})`;
const WINDOW = 'toString(toUnixTimestamp(w))';

/** A 256-bit number is written by long division, at three times the cost: nearly every sum fits into 128 bits. */
const TOTAL = `if(abs(total) < toDecimal256('1e26', 12), toString(toDecimal128(total, 12)), toString(total))`;
/** (latest_at, w, part) in order, as one number: a tuple is compared as such, at three times the cost. */
const RECENCY = 'bitShiftLeft(toUInt128(latest_at), 64) + bitShiftLeft(toUInt128(toUnixTimestamp(w)), 32) + part';

const counterDigest = digest(
  line('c', [WINDOW, ...['part', 'seen', 'used', 'n', 'flags', 'state', 'facts'].map(text)]),
);
const tallyDigest = digest(
  line('t', [
    WINDOW,
    text('part'),
    TOTAL,
    text('amount'),
    ...['least', 'most', 'latest'].map(orNone),
    ...['latest_at', 'flags', 'state'].map(text),
  ]),
);

export async function billedCounters(lane: Lane, spans: readonly RecordSpan[]): Promise<BilledCounters[]> {
  const out: BilledCounters[] = [];
  const columns = `sumIf(toInt128(used), void = 0), sumIf(toInt128(n), void = 0), sumIf(toUInt64(seen), void = 0),
     groupBitOrIf(flags, void = 0), maxIf(state, void = 0), countIf(void = 0), max(s), ${counterDigest},
     sumIf(toUInt64(seen), void = 0 AND toUnixTimestamp(w) = till - ${WINDOW_MS / 1000}),
     countIf(void = 0 AND n > 0 AND facts = 0)`;
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
      undigested: rows.u64(),
    }),
  );
  return out;
}

export async function billedTallies(lane: Lane, spans: readonly RecordSpan[]): Promise<BilledTallies[]> {
  const out: BilledTallies[] = [];
  const columns = `sumIf(total, void = 0), sumIf(amount, void = 0), minIf(least, void = 0), maxIf(most, void = 0),
     argMaxIf(latest, ${RECENCY}, void = 0 AND isNotNull(latest)),
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

/** One row for each span that has records. */
async function bySpan(
  lane: Lane,
  table: string,
  columns: string,
  spans: readonly RecordSpan[],
  take: Take,
): Promise<void> {
  for (const layer of layersOf(spans)) {
    const rows = await lane.rows(statement(table, columns, layer.spans));
    for (let n = 1; rows.more; n++) {
      const from = rows.u32();
      const series = rows.u32();
      take(series, layer.indexOf(series, from * 1000), rows);
      if (n % ROWS_A_TURN === 0) await setImmediate();
    }
  }
}

/**
 * A row belongs to the last span that begins before it, if that is of its series and has not ended: found among all of them
 * by halving. A join took a third more, and a statement for each pair of edges costs some 10 ms before it reads a row.
 */
function statement(table: string, columns: string, spans: readonly RecordSpan[]): string {
  // What lies before all of them is moved up to the first: to one that ends at once.
  const keyOf = ({ series, from }: RecordSpan): bigint => (BigInt(series) << 32n) + BigInt(from / 1000);
  const starts = arrayOf([0, ...spans.map(keyOf)], 'UInt64');
  const ends = arrayOf([0, ...spans.map(({ to }) => to / 1000)], 'UInt32');
  const ids = [...new Set(spans.map(({ series }) => series))];
  const first = spans.reduce((t, { from }) => Math.min(t, from), Number.MAX_SAFE_INTEGER);
  const last = spans.reduce((t, { to }) => Math.max(t, to), 0);
  // One pair of edges, as many ask: the series alone tells the span.
  const isAlike = spans.every(({ from, to }) => from === first && to === last);
  const key = 'bitShiftLeft(toUInt64(series), 32)';
  const span = isAlike
    ? `${key} + ${num(first / 1000)} AS span, ${num(last / 1000)} AS till`
    : `roundDown(${key} + toUnixTimestamp(w), ${starts}) AS span, transform(span, ${starts}, ${ends}, toUInt32(0)) AS till`;
  return `SELECT span, ${columns} FROM (
      SELECT *, ${span} FROM ${table} FINAL WHERE ${seriesIn(ids)} AND ${windowsWithin(first, last)}
    )${isAlike ? '' : ' WHERE toUnixTimestamp(w) < till AND bitShiftRight(span, 32) = series'}
    GROUP BY span, till${threadsFor(ids)}`;
}

interface Placed extends RecordSpan {
  /** Among all that were asked for. */
  index: number;
}

/** Spans of which no two of one series overlap, by series and start. */
class Layer {
  readonly spans: Placed[] = [];
  /** Where each series' spans begin. */
  private readonly first = new Map<number, number>();

  /** Whether it had room. They come by series and start. */
  add(span: Placed): boolean {
    const last = this.spans.at(-1);
    if (last !== undefined && last.series === span.series) {
      if (last.to > span.from) return false;
    } else this.first.set(span.series, this.spans.length);
    this.spans.push(span);
    return true;
  }

  indexOf(series: number, from: Instant): number {
    let span = this.spans[this.first.get(series) ?? 0];
    for (let at = this.first.get(series) ?? 0; span !== undefined && span.from !== from; ) span = this.spans[++at];
    if (span === undefined) throw new Error(`series ${series} was not asked for from ${from} on`);
    return span.index;
  }
}

function layersOf(spans: readonly RecordSpan[]): Layer[] {
  const placed: Placed[] = spans.map(({ series, from, to }, index) => ({ series, from, to, index }));
  placed.sort((a, b) => a.series - b.series || a.from - b.from || a.to - b.to);
  const layers: Layer[] = [];
  for (const span of placed) {
    if (span.from >= span.to || layers.some((layer) => layer.add(span))) continue;
    const layer = new Layer();
    layer.add(span);
    layers.push(layer);
  }
  return layers;
}
