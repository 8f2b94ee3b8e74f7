/** Amounts of cumulative meters: closed windows from records, open and cut ones from facts, all by the same functions. */
import { type Decisions, usageOf } from '../domain/delta.ts';
import { type SeriesReading, Stamp } from '../domain/fact.ts';
import { SCALE } from '../domain/quantity.ts';
import { type CounterRecord, Flag, State } from '../domain/record.ts';
import { groupOf } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import { type Amount, emptyAmount, mergeAmount } from './amount.ts';
import { type CounterDeps, followSeries, groupBy, pureRecords } from './counters.ts';
import { cutIntervals, type Pieces } from './intervals.ts';
import type { Holding } from './selection.ts';

export interface ReadDeps extends CounterDeps {
  registry: SeriesRegistry;
  /** Windows before this have records, by group. */
  closedTo: (group: number) => Instant;
  /** Closed spans are not all closed yet (a backlog being worked off): [from, to) without records. */
  gaps: (group: number) => readonly { from: Instant; to: Instant }[];
  /** Event windows before this have records. */
  eventsClosedTo: Instant;
  /** Event windows of a backlog that is being worked off: no records yet. */
  eventGaps: readonly { from: Instant; to: Instant }[];
  /** A level's records before this instant can be built on: no backlog lies before it. */
  levelsTrustedTo: Instant;
  now: Instant;
}

/** One amount per (holding, interval); absent where the series did not exist. */
export type Amounts = Map<Holding, Map<number, Amount>>;

export async function counterAmounts(
  deps: ReadDeps,
  holdings: readonly Holding[],
  edges: readonly Instant[],
): Promise<Amounts> {
  const out: Amounts = new Map();
  const plans = holdings.map((holding) => ({ holding, pieces: cutIntervals(edges, holding.from, holding.to) }));
  // Independent of each other: the store's two reading lanes serve them side by side.
  await Promise.all([addWhole(deps, plans, out), addCuts(deps, plans, out), addTails(deps, holdings, edges, out)]);
  return out;
}

interface Plan {
  holding: Holding;
  pieces: Pieces;
}

/** Whole windows: closed ones, then open ones. */
async function addWhole(deps: ReadDeps, plans: readonly Plan[], out: Amounts): Promise<void> {
  for (const [, group] of groupBy(
    plans,
    ({ holding, pieces }) => `${groupOf(holding.series.id)}:${pieces.gridEdges.join()}`,
  )) {
    const [first] = group;
    if (first === undefined) continue;
    const list = group.map((p) => p.holding);
    await addClosed(deps, list, first.pieces, out);
    await addOpen(deps, list, first.pieces, out);
  }
}

async function addClosed(deps: ReadDeps, holdings: readonly Holding[], pieces: Pieces, out: Amounts): Promise<void> {
  const [first] = holdings;
  if (first === undefined || pieces.gridEdges.length < 2) return;
  const closedTo = deps.closedTo(groupOf(first.series.id));
  const edges = pieces.gridEdges.map((e) => Math.min(e, closedTo));
  const bySeries = new Map(holdings.map((h) => [h.series.id, h]));
  // Clipped intervals past the closed edge are empty; the store never sees two equal edges.
  const used = edges.flatMap((e, i) => (i === 0 || e > (edges[i - 1] ?? 0) ? [e] : []));
  if (used.length < 2) return;
  for (const row of await deps.usage.sumCounters([...bySeries.keys()], used)) {
    const holding = bySeries.get(row.series);
    const interval = pieces.gridInterval[edges.indexOf(used[row.interval] ?? -1)];
    if (holding === undefined || interval === undefined || interval < 0 || row.records === 0) continue;
    mergeAmount(amountOf(out, holding, interval), {
      ...emptyAmount(),
      sum: row.used * SCALE,
      count: row.n,
      flags: row.flags,
      state: row.state,
      known: row.seen > 0 || row.n > 0n,
    });
  }
}

/** Windows not closed yet: SQL computes the normal series, the pure path the others; nothing is written. */
async function addOpen(deps: ReadDeps, holdings: readonly Holding[], pieces: Pieces, out: Amounts): Promise<void> {
  const [first] = holdings;
  const last = pieces.gridEdges.at(-1);
  const start = pieces.gridEdges[0];
  if (first === undefined || last === undefined || start === undefined) return;
  const group = groupOf(first.series.id);
  const from = Math.max(deps.closedTo(group), start);
  const to = Math.min(last, windowCeil(deps.now) + WINDOW_MS);
  const bySeries = new Map(holdings.map((h) => [h.series.id, h]));
  if (from < to) {
    for (const record of await openRecords(deps, [...bySeries.values()], from, to)) {
      const holding = bySeries.get(record.series);
      const interval = intervalAt(pieces, record.window);
      if (holding === undefined || interval < 0) continue;
      mergeAmount(amountOf(out, holding, interval), { ...ofRecord(record), provisional: true });
    }
  }
  for (const gap of deps.gaps(group)) {
    for (let i = 0; i + 1 < pieces.gridEdges.length; i++) {
      const interval = pieces.gridInterval[i] ?? -1;
      if (interval < 0 || (pieces.gridEdges[i] ?? 0) >= gap.to || (pieces.gridEdges[i + 1] ?? 0) <= gap.from) continue;
      for (const holding of holdings) {
        mergeAmount(amountOf(out, holding, interval), { ...emptyAmount(), state: State.pending, provisional: true });
      }
    }
  }
}

async function openRecords(
  deps: ReadDeps,
  holdings: readonly Holding[],
  from: Instant,
  to: Instant,
): Promise<CounterRecord[]> {
  const ids = holdings.map((h) => h.series.id);
  const span = { firstSeries: Math.min(...ids), lastSeries: Math.max(...ids), from, to };
  const { records, odd } = await deps.usage.computeCounters(span, ids, deps.frontier);
  const oddSet = new Set(odd);
  // SQL knows nothing of corrections and decisions.
  for (const { series } of holdings) if (isCorrected(deps.book.decisionsFor(series))) oddSet.add(series.id);
  const work = holdings.filter((h) => oddSet.has(h.series.id)).map(({ series }) => ({ series, from, to }));
  return [...records.filter((r) => !oddSet.has(r.series)), ...(await pureRecords(deps, work))];
}

const HOLDINGS_A_BREATH = 50;

const isCorrected = (d: Decisions): boolean =>
  d.released.size + d.dropped.size + (d.voided?.size ?? 0) + (d.discarded?.length ?? 0) > 0 ||
  d.quarantinedFrom !== null;

async function addCuts(deps: ReadDeps, plans: readonly Plan[], out: Amounts): Promise<void> {
  const cut = plans.filter((p) => p.pieces.cuts.length > 0);
  // Neighbouring cuts of one holding (minute windows) share one reading of the facts.
  const work = cut.map(({ holding, pieces }) => ({
    series: holding.series,
    from: Math.min(...pieces.cuts.map((c) => c.from)),
    to: Math.max(...pieces.cuts.map((c) => c.to)),
  }));
  const courses = await followSeries(deps, work);
  for (const [i, { holding, pieces }] of cut.entries()) {
    const course = courses[i];
    if (course === undefined) continue;
    // Minutes of thousands of series are seconds of work: requests, commits and signals come in between.
    if (i % HOLDINGS_A_BREATH === HOLDINGS_A_BREATH - 1) await new Promise<void>((resolve) => setImmediate(resolve));
    const decisions = deps.book.decisionsFor(holding.series);
    for (const c of pieces.cuts) {
      for (const piece of usageOf(course.course, [c.from, c.to], decisions)) {
        mergeAmount(amountOf(out, holding, c.interval), {
          ...emptyAmount(),
          sum: piece.used * SCALE,
          count: BigInt(piece.n),
          flags: piece.flags,
          state: piece.state,
          known: piece.seen > 0 || piece.n > 0,
          provisional: c.to > deps.closedTo(groupOf(holding.series.id)),
        });
      }
    }
  }
}

/** What lies beyond a series' last reading is pending, or unobserved once settled: never silently zero. */
async function addTails(
  deps: ReadDeps,
  holdings: readonly Holding[],
  edges: readonly Instant[],
  out: Amounts,
): Promise<void> {
  const end = Math.min(edges.at(-1) ?? 0, deps.now);
  if (holdings.length === 0 || end <= (edges[0] ?? 0)) return;
  const ids = [...new Set(holdings.map((h) => h.series.id))];
  // A reading at or after the end says what was used up to it: only series without one have a tail.
  const goesOn = await deps.usage.readingAfter(ids, end, deps.frontier);
  const quiet = holdings.filter((h) => !goesOn.has(h.series.id));
  const last = await deps.usage.readingBefore([...new Set(quiet.map((h) => h.series.id))], end, deps.frontier);
  const silent = quiet.filter((h) => last.has(h.series.id));
  const ended = await endedSeries(deps, silent, last);
  for (const holding of silent) {
    const t = last.get(holding.series.id) ?? 0;
    if (ended.has(holding.series.id)) continue;
    const settled = deps.book.decisionsFor(holding.series).settledBefore;
    for (let i = 0; i + 1 < edges.length; i++) {
      const from = Math.max(edges[i] ?? 0, holding.from, t);
      const to = Math.min(edges[i + 1] ?? 0, holding.to, end);
      if (from >= to) continue;
      const state = to <= settled ? State.unobserved : State.pending;
      // Silent for longer than its source settles after, a series has ended (case 19): nothing more is expected of it.
      if (state === State.unobserved && from > t && (edges[i] ?? 0) >= t) continue;
      const flags = state === State.unobserved ? Flag.unobserved : 0;
      mergeAmount(amountOf(out, holding, i), { ...emptyAmount(), state, flags });
    }
  }
}

/** Series whose last reading is an end marker: nothing is expected of them any more. Only asked for the long silent. */
async function endedSeries(
  deps: ReadDeps,
  silent: readonly Holding[],
  last: Map<number, Instant>,
): Promise<Set<number>> {
  const ended = new Set<number>();
  const old = silent.filter((h) => (last.get(h.series.id) ?? 0) < deps.now - WINDOW_MS);
  for (const [window, group] of groupBy(old, (h) => String(windowStart(last.get(h.series.id) ?? 0)))) {
    const from = Number(window);
    const ids = group.map((h) => h.series.id);
    const readings = await deps.usage.readings(ids, from, from + WINDOW_MS, deps.frontier);
    for (const [series, list] of readings) {
      const newest = list.reduce<SeriesReading | null>((a, b) => (a === null || b.t >= a.t ? b : a), null);
      if (newest !== null && (newest.stamps & Stamp.end) !== 0) ended.add(series);
    }
  }
  return ended;
}

const ofRecord = (r: CounterRecord): Amount => ({
  ...emptyAmount(),
  sum: r.used * SCALE,
  count: BigInt(r.n),
  flags: r.flags,
  state: r.state,
  known: r.seen > 0 || r.n > 0,
});

function intervalAt(pieces: Pieces, window: Instant): number {
  for (let i = 0; i + 1 < pieces.gridEdges.length; i++) {
    if (window >= (pieces.gridEdges[i] ?? 0) && window < (pieces.gridEdges[i + 1] ?? 0))
      return pieces.gridInterval[i] ?? -1;
  }
  return -1;
}

export function amountOf(out: Amounts, holding: Holding, interval: number): Amount {
  let byInterval = out.get(holding);
  if (byInterval === undefined) {
    byInterval = new Map();
    out.set(holding, byInterval);
  }
  let amount = byInterval.get(interval);
  if (amount === undefined) {
    amount = emptyAmount();
    byInterval.set(interval, amount);
  }
  return amount;
}
