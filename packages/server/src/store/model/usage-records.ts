/** Records of the model: the current ones, and their sums. */
import type { Receipt } from '../../domain/fact.ts';
import type { CounterRecord, TallyRecord } from '../../domain/record.ts';
import { addDigest, counterLine, digestOf, isUndigested, tallyLine } from '../../domain/record-digest.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { BilledCounters, BilledTallies, CounterSum, RecordSpan, TallySum } from '../usage-store.ts';

export interface Kept<T> {
  record: T;
  frontier: Receipt;
}

type Rows<T> = ReadonlyMap<string, Kept<T>>;

export function keepHighest<T extends { series: number; window: Instant; part: number }>(
  rows: Map<string, Kept<T>>,
  record: T,
  frontier: Receipt,
): void {
  const key = `${record.series}:${record.window}:${record.part}`;
  const kept = rows.get(key);
  if (kept === undefined || frontier >= kept.frontier) rows.set(key, { record, frontier });
}

export function select<T extends { series: number; window: Instant; part: number }>(
  rows: ReadonlyMap<string, Kept<T>>,
  series: readonly number[],
  from: Instant,
  to: Instant,
): (T & { frontier: Receipt })[] {
  const wanted = new Set(series);
  return [...rows.values()]
    .filter(({ record: r }) => wanted.has(r.series) && r.window >= from && r.window < to)
    .map(({ record, frontier }) => ({ ...record, frontier }))
    .sort((a, b) => a.series - b.series || a.window - b.window || a.part - b.part);
}

export function sumCounters(
  rows: Rows<CounterRecord>,
  series: readonly number[],
  edges: readonly Instant[],
): CounterSum[] {
  const sums = new Map<string, CounterSum>();
  for (const r of select(rows, series, edges[0] ?? 0, edges.at(-1) ?? 0)) {
    if (r.isVoid) continue;
    const interval = intervalOf(edges, r.window);
    const key = `${r.series}:${interval}`;
    const sum = sums.get(key) ?? {
      series: r.series,
      interval,
      used: 0n,
      n: 0n,
      seen: 0,
      flags: 0,
      state: 0,
      records: 0,
      frontier: 0,
    };
    sum.used += r.used;
    sum.n += BigInt(r.n);
    sum.seen += r.seen;
    mergeRest(sum, r);
    sums.set(key, sum);
  }
  return [...sums.values()];
}

export function billedCounters(rows: Rows<CounterRecord>, spans: readonly RecordSpan[]): BilledCounters[] {
  const out: BilledCounters[] = [];
  for (const [interval, { series, from, to }] of spans.entries()) {
    const all = select(rows, [series], from, to);
    const live = all.filter((r) => !r.isVoid);
    if (all.length === 0) continue;
    const [sum] = sumCounters(rows, [series], [from, to]);
    const none = { used: 0n, n: 0n, seen: 0, flags: 0, state: 0, records: 0 };
    const lastSeen = live.reduce((ms, r) => (r.window === to - WINDOW_MS ? ms + r.seen : ms), 0);
    const undigested = live.filter(isUndigested).length;
    out.push({ ...none, ...sum, series, interval, lastSeen, undigested, ...ofAll(all, live.map(counterLine)) });
  }
  return out;
}

export function sumTallies(rows: Rows<TallyRecord>, series: readonly number[], edges: readonly Instant[]): TallySum[] {
  const sums = new Map<string, TallySum>();
  for (const r of select(rows, series, edges[0] ?? 0, edges.at(-1) ?? 0)) {
    if (r.isVoid) continue;
    const interval = intervalOf(edges, r.window);
    const key = `${r.series}:${interval}`;
    const sum = sums.get(key);
    if (sum === undefined) {
      const { window: _window, part: _part, isVoid: _void, ...rest } = r;
      sums.set(key, { ...rest, interval, records: 1 });
      continue;
    }
    sum.sum += r.sum;
    sum.count += r.count;
    if (r.min !== null && (sum.min === null || r.min < sum.min)) sum.min = r.min;
    if (r.max !== null && (sum.max === null || r.max > sum.max)) sum.max = r.max;
    if (r.latest !== null && r.latestAt >= sum.latestAt) {
      sum.latest = r.latest;
      sum.latestAt = r.latestAt;
    }
    mergeRest(sum, r);
  }
  return [...sums.values()];
}

export function billedTallies(rows: Rows<TallyRecord>, spans: readonly RecordSpan[]): BilledTallies[] {
  const out: BilledTallies[] = [];
  for (const [interval, { series, from, to }] of spans.entries()) {
    const all = select(rows, [series], from, to);
    if (all.length === 0) continue;
    const [sum] = sumTallies(rows, [series], [from, to]);
    const none = { sum: 0n, count: 0n, min: null, max: null, latest: null, latestAt: 0, flags: 0, state: 0 };
    const lines = all.filter((r) => !r.isVoid).map(tallyLine);
    out.push({ ...none, records: 0, ...sum, series, interval, ...ofAll(all, lines) });
  }
  return out;
}

const ofAll = (
  all: readonly { frontier: Receipt }[],
  lines: readonly string[],
): { frontier: Receipt; digest: bigint } => ({
  frontier: Math.max(...all.map((r) => r.frontier)),
  digest: lines.reduce((sum, line) => addDigest(sum, digestOf(line)), 0n),
});

const intervalOf = (edges: readonly Instant[], t: Instant): number => edges.findLastIndex((e) => e <= t);

function mergeRest(
  sum: { flags: number; state: number; records: number; frontier: Receipt },
  r: { flags: number; state: number; frontier: Receipt },
): void {
  sum.flags |= r.flags;
  sum.state = Math.max(sum.state, r.state);
  sum.records++;
  sum.frontier = Math.max(sum.frontier, r.frontier);
}
