/** Amounts of cumulative meters: closed windows from records, open and cut ones from facts, all by the same functions. */

import { type Decisions, usageOf } from '../domain/delta.ts';
import { SCALE } from '../domain/quantity.ts';
import { type CounterRecord, State } from '../domain/record.ts';
import { counterCutLine, counterLine } from '../domain/record-digest.ts';
import { groupOf } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import { type Amount, type Amounts, amountOf, emptyAmount, mergeAmount } from './amount.ts';
import { breath } from './breath.ts';
import type { Completeness } from './completeness.ts';
import type { CounterCourse, CounterDeps } from './counter-context.ts';
import { followSeries, groupBy, recordsOf } from './counters.ts';
import { cutIntervals, type Pieces } from './intervals.ts';
import { addTails } from './read-tails.ts';
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
  /** As of the frontier, where many questions share it. */
  completeness?: Completeness;
  /** Told every record and piece that was computed from facts, as a line of record-digest.ts, and where it begins. */
  note?: (holding: Holding, line: string, from: Instant) => void;
}

/** A series' part of a question, and the boundaries to cut it at. */
export interface Asked {
  holding: Holding;
  edges: readonly Instant[];
}

interface Plan extends Asked {
  pieces: Pieces;
}

const planned = ({ holding, edges }: Asked): Plan => ({
  holding,
  edges,
  pieces: cutIntervals(edges, holding.from, holding.to),
});

export async function counterAmounts(deps: ReadDeps, asked: readonly Asked[]): Promise<Amounts> {
  const out: Amounts = new Map();
  const plans = asked.map(planned);
  // Independent of each other: the store's two reading lanes serve them side by side.
  await Promise.all([addWhole(deps, plans, out), addCuts(deps, plans, out), addTails(deps, asked, out)]);
  return out;
}

/** As counterAmounts, without the closed whole windows, and without what is expected after the last reading. */
export async function openCounterAmounts(deps: ReadDeps, asked: readonly Asked[]): Promise<Amounts> {
  const out: Amounts = new Map();
  const plans = asked.map(planned);
  await Promise.all([addOpen(deps, plans, out), addCuts(deps, plans, out)]);
  return out;
}

const alike = ({ holding, pieces }: Plan): string => `${groupOf(holding.series.id)}:${pieces.gridEdges.join()}`;

/** Whole windows: closed ones, then open ones. */
async function addWhole(deps: ReadDeps, plans: readonly Plan[], out: Amounts): Promise<void> {
  for (const [, group] of groupBy(plans, alike)) {
    const [first] = group;
    if (first === undefined) continue;
    const list = group.map((p) => p.holding);
    await addClosed(deps, list, first.pieces, out);
  }
  await addOpen(deps, plans, out);
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

/** Whole windows of a plan that have no records yet. */
interface OpenSpan {
  plan: Plan;
  from: Instant;
  to: Instant;
}

/** Records computed at once. */
const RECORDS_A_CALL = 200_000;

/** Windows not closed yet: SQL computes the normal series, the pure path the others; nothing is written. */
async function addOpen(deps: ReadDeps, plans: readonly Plan[], out: Amounts): Promise<void> {
  const spans: OpenSpan[] = [];
  for (const plan of plans) {
    const { gridEdges } = plan.pieces;
    const group = groupOf(plan.holding.series.id);
    const from = Math.max(deps.closedTo(group), gridEdges[0] ?? 0);
    const to = Math.min(gridEdges.at(-1) ?? 0, windowCeil(deps.now) + WINDOW_MS);
    if (from < to) spans.push({ plan, from, to });
    for (const gap of deps.gaps(group)) addGap(plan, gap, out);
  }
  for (const batch of batches(spans)) {
    for (const { plan, record } of await openRecords(deps, batch)) {
      const interval = intervalAt(plan.pieces, record.window);
      if (interval < 0) continue;
      mergeAmount(amountOf(out, plan.holding, interval), { ...ofRecord(record), provisional: true });
      deps.note?.(plan.holding, counterLine(record), record.window);
    }
  }
}

/** A backlog is being worked off here: what is shown is not all. */
function addGap({ holding, pieces }: Plan, gap: { from: Instant; to: Instant }, out: Amounts): void {
  for (let i = 0; i + 1 < pieces.gridEdges.length; i++) {
    const interval = pieces.gridInterval[i] ?? -1;
    if (interval < 0 || (pieces.gridEdges[i] ?? 0) >= gap.to || (pieces.gridEdges[i + 1] ?? 0) <= gap.from) continue;
    mergeAmount(amountOf(out, holding, interval), { ...emptyAmount(), state: State.pending, provisional: true });
  }
}

/** Of one group of series each, and of spans so near each other that little more is computed than all of them together. */
function* batches(spans: readonly OpenSpan[]): Generator<OpenSpan[]> {
  const groupOfSpan = ({ plan }: OpenSpan): number => groupOf(plan.holding.series.id);
  const sorted = [...spans].sort((a, b) => groupOfSpan(a) - groupOfSpan(b) || a.from - b.from || a.to - b.to);
  let batch: OpenSpan[] = [];
  let [from, to] = [0, 0];
  for (const span of sorted) {
    const [first] = batch;
    const [a, b] = [Math.min(from, span.from), Math.max(to, span.to)];
    const isNear = b - a <= 2 * (span.to - span.from) + 96 * WINDOW_MS;
    const isLittle = ((b - a) / WINDOW_MS) * (batch.length + 1) <= RECORDS_A_CALL || (a === from && b === to);
    if (first !== undefined && groupOfSpan(first) === groupOfSpan(span) && isNear && isLittle) {
      batch.push(span);
      [from, to] = [a, b];
      continue;
    }
    if (batch.length > 0) yield batch;
    batch = [span];
    [from, to] = [span.from, span.to];
  }
  if (batch.length > 0) yield batch;
}

async function openRecords(
  deps: ReadDeps,
  batch: readonly OpenSpan[],
): Promise<{ plan: Plan; record: CounterRecord }[]> {
  const bySeries = new Map<number, OpenSpan[]>();
  for (const span of batch) {
    const { id } = span.plan.holding.series;
    const list = bySeries.get(id);
    if (list === undefined) bySeries.set(id, [span]);
    else list.push(span);
  }
  const ids = [...bySeries.keys()].sort((a, b) => a - b);
  const from = batch.reduce((t, s) => Math.min(t, s.from), Number.MAX_SAFE_INTEGER);
  const to = batch.reduce((t, s) => Math.max(t, s.to), 0);
  const span = { firstSeries: ids[0] ?? 0, lastSeries: ids.at(-1) ?? 0, from, to };
  const { records, odd } = await deps.usage.computeCounters(span, ids, deps.frontier);
  const oddSet = new Set(odd);
  // SQL knows nothing of corrections and decisions.
  for (const { plan } of batch) {
    const { series } = plan.holding;
    if (isCorrected(deps.book.decisionsFor(series))) oddSet.add(series.id);
  }
  const out: { plan: Plan; record: CounterRecord }[] = [];
  for (const record of records) {
    if (oddSet.has(record.series)) continue;
    for (const { plan, from: a, to: b } of bySeries.get(record.series) ?? [])
      if (record.window >= a && record.window < b) out.push({ plan, record });
  }
  const followed = batch.filter(({ plan }) => oddSet.has(plan.holding.series.id));
  const work = followed.map(({ plan, from: a, to: b }) => ({ series: plan.holding.series, from: a, to: b }));
  for (const [i, course] of (await followSeries(deps, work)).entries()) {
    const plan = followed[i]?.plan;
    if (plan === undefined) continue;
    for (const record of recordsOf(deps.book, course, course.from, course.to)) out.push({ plan, record });
  }
  return out;
}

const HOLDINGS_A_BREATH = 50;
const RUNS_A_CALL = 4_000;

const isCorrected = (d: Decisions): boolean =>
  d.released.size + d.dropped.size + (d.voided?.size ?? 0) + (d.discarded?.length ?? 0) > 0 ||
  d.quarantinedFrom !== null;

/** Cuts of one holding that share one reading of the facts: minute windows do, the two ends of a month do not. */
const CUTS_APART_MS = 8 * WINDOW_MS;

interface CutRun {
  holding: Holding;
  from: Instant;
  to: Instant;
  cuts: Pieces['cuts'];
}

function runsOf({ holding, pieces }: Plan): CutRun[] {
  const out: CutRun[] = [];
  for (const cut of [...pieces.cuts].sort((x, y) => x.from - y.from)) {
    const last = out.at(-1);
    if (last !== undefined && cut.from <= last.to + CUTS_APART_MS) {
      last.cuts.push(cut);
      last.to = Math.max(last.to, cut.to);
    } else out.push({ holding, cuts: [cut], from: cut.from, to: cut.to });
  }
  return out;
}

async function addCuts(deps: ReadDeps, plans: readonly Plan[], out: Amounts): Promise<void> {
  const runs = plans.flatMap(runsOf);
  // Courses hold their readings: a part of them at a time.
  for (let i = 0; i < runs.length; i += RUNS_A_CALL) {
    const part = runs.slice(i, i + RUNS_A_CALL);
    const courses = await followSeries(
      deps,
      part.map(({ holding, from, to }) => ({ series: holding.series, from, to })),
    );
    for (const [k, run] of part.entries()) {
      const course = courses[k];
      if (k % HOLDINGS_A_BREATH === HOLDINGS_A_BREATH - 1) await breath();
      if (course !== undefined) addPieces(deps, run, course, out);
    }
  }
}

function addPieces(deps: ReadDeps, { holding, cuts }: CutRun, { course }: CounterCourse, out: Amounts): void {
  const decisions = deps.book.decisionsFor(holding.series);
  const closedTo = deps.closedTo(groupOf(holding.series.id));
  for (const c of cuts) {
    for (const piece of usageOf(course, [c.from, c.to], decisions)) {
      mergeAmount(amountOf(out, holding, c.interval), {
        ...emptyAmount(),
        sum: piece.used * SCALE,
        count: BigInt(piece.n),
        flags: piece.flags,
        state: piece.state,
        known: piece.seen > 0 || piece.n > 0,
        provisional: c.to > closedTo,
      });
      deps.note?.(holding, counterCutLine(c.from, c.to, piece), c.from);
    }
  }
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
