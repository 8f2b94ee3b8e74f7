/** Where an answer that should be the same is not: the first record that is not what facts say, or what the facts did. */
import type { Receipt } from '../domain/fact.ts';
import { isCounter, type Meter } from '../domain/meter.ts';
import { counterLine, digestText, isUndigested, tallyLine } from '../domain/record-digest.ts';
import { groupOf, type Series } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import type { MeteredAsk, MeteredSeries } from './metered.ts';
import { answer, unitsOf } from './metered-answer.ts';
import { readCounters } from './metered-counters.ts';
import type { HoldingIndex } from './metered-index.ts';
import { readPercentiles } from './metered-percentiles.ts';
import { MeteredTallies } from './metered-tallies.ts';
import { plan, type Unit } from './metered-work.ts';
import type { ReadDeps } from './read-counters.ts';
import type { Recorded } from './read-deps.ts';

export interface FactRef {
  receipt: Receipt;
  t: Instant;
  /** Of a reading its value, of an event its id. */
  text: string;
}

export type Difference =
  /** A stored record is not what its facts give. Lines are those of domain/record-digest.ts; null: there is none. */
  | {
      kind: 'record';
      series: number;
      window: Instant;
      stored: string | null;
      computed: string | null;
      facts: FactRef[];
    }
  /** Records are what their facts give, and that is another digest than it was: the facts are others. */
  | { kind: 'facts'; series: number; billed: string | null; now: string | null; facts: FactRef[] };

export interface DifferenceDeps extends ReadDeps {
  /** What has records of the frontier. */
  closedBefore: Recorded;
}

/** Facts named at most. */
const FACTS_SHOWN = 1_000;

export async function firstDifference(
  deps: DifferenceDeps,
  index: HoldingIndex,
  ask: MeteredAsk,
  then: readonly MeteredSeries[],
): Promise<Difference | null> {
  const work = await plan(deps.book, index, [ask]);
  const shares = work.shares[0] ?? [];
  const lines = new Map<number, Map<Instant, string[]>>();
  const note = (series: number, line: string, from: Instant): void => {
    if (!/^[ct],/.test(line)) return;
    const own = lines.get(series) ?? new Map<Instant, string[]>();
    lines.set(series, own);
    own.set(from, [...(own.get(from) ?? []), line]);
  };
  await fromFacts(deps, index, ask, shares, note);
  const of = (list: typeof shares): Unit[] => [...new Set(list.flatMap((share) => unitsOf(deps.book, ask, share)))];
  const units = of(shares).sort((a, b) => a.holding.series.id - b.holding.series.id || a.holding.from - b.holding.from);
  // Percentiles are ranked from readings: no record has part in them.
  const recorded = new Set(of(shares.filter((share) => share.meter.kind !== 'percentile')));
  for (const unit of units) {
    if (!recorded.has(unit)) continue;
    const found = await wrongRecord(deps, unit, lines.get(unit.holding.series.id) ?? new Map());
    if (found !== null) return found;
  }
  const now = answer(deps.book, ask, shares).flatMap((row) => row.series);
  return changedFacts(deps, units, then, now);
}

type Note = (series: number, line: string, from: Instant) => void;

async function fromFacts(
  deps: DifferenceDeps,
  index: HoldingIndex,
  ask: MeteredAsk,
  shares: Awaited<ReturnType<typeof plan>>['shares'][number],
  note: Note,
): Promise<void> {
  const noted: ReadDeps = { ...deps, note: (holding, line, from) => note(holding.series.id, line, from) };
  const removed = { hasSeries: () => true, hasEvents: () => true };
  const past = { frontier: deps.frontier, now: noted, past: noted, removed };
  for (const share of shares) {
    if (share.meter.kind === 'percentile') await readPercentiles(deps, [{ ask, share }]);
    else if (isCounter(share.meter)) await readCounters(past, [share.group]);
    else await new MeteredTallies(past, index).read([share.group], false);
  }
}

async function wrongRecord(
  deps: DifferenceDeps,
  { holding: { series, from, to } }: Unit,
  computed: ReadonlyMap<Instant, readonly string[]>,
): Promise<Difference | null> {
  const meter = deps.book.meter(series.meter);
  if (meter === undefined || series.id === 0 || meter.aggregation === 'unique') return null;
  const [first, last] = [windowCeil(from), Math.min(windowStart(to), closedOf(deps, series, meter))];
  if (first >= last) return null;
  const stored = await storedLines(deps, series, meter, first, last);
  const windows = [...new Set([...stored.keys(), ...computed.keys()])].sort((a, b) => a - b);
  for (const window of windows) {
    const kept = stored.get(window);
    if (window < first || window >= last || kept === 'other' || isInGap(deps, series, meter, window)) continue;
    const [a, b] = [textOf(kept), textOf(computed.get(window))];
    if (a === b) continue;
    const facts = await factsIn(deps, series, meter, window, window + WINDOW_MS);
    return { kind: 'record', series: series.id, window, stored: a, computed: b, facts };
  }
  return null;
}

const textOf = (lines: readonly string[] | undefined): string | null =>
  lines === undefined || lines.length === 0 ? null : [...lines].sort().join('\n');

const closedOf = ({ closedBefore }: DifferenceDeps, series: Series, meter: Meter): Instant =>
  isCounter(meter) ? closedBefore.closedTo(groupOf(series.id)) : closedBefore.eventsClosedTo;

function isInGap({ closedBefore }: DifferenceDeps, series: Series, meter: Meter, window: Instant): boolean {
  const gaps = isCounter(meter) ? closedBefore.gaps(groupOf(series.id)) : closedBefore.eventGaps;
  return gaps.some((gap) => gap.from <= window && gap.to > window);
}

/** Lines by window; `other`: written again since, or of before readings were digested, so that it cannot be compared. */
async function storedLines(
  { usage, frontier }: DifferenceDeps,
  { id }: Series,
  meter: Meter,
  from: Instant,
  to: Instant,
): Promise<Map<Instant, string[] | 'other'>> {
  const out = new Map<Instant, string[] | 'other'>();
  const put = (window: Instant, isOther: boolean, line: string | null): void => {
    const own = out.get(window) ?? [];
    if (isOther || own === 'other') out.set(window, 'other');
    else out.set(window, line === null ? own : [...own, line]);
  };
  if (isCounter(meter))
    for (const r of await usage.counterRecords([id], from, to))
      put(r.window, r.frontier > frontier || (!r.isVoid && isUndigested(r)), r.isVoid ? null : counterLine(r));
  else
    for (const r of await usage.tallyRecords([id], from, to))
      put(r.window, r.frontier > frontier, r.isVoid ? null : tallyLine(r));
  return out;
}

async function changedFacts(
  deps: DifferenceDeps,
  units: readonly Unit[],
  then: readonly MeteredSeries[],
  now: readonly MeteredSeries[],
): Promise<Difference | null> {
  const [before, after] = [
    new Map(then.map((s) => [s.series, s.digest])),
    new Map(now.map((s) => [s.series, s.digest])),
  ];
  const none = digestText(0n);
  for (const id of [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b)) {
    const [a, b] = [before.get(id) ?? null, after.get(id) ?? null];
    if ((a ?? none) === (b ?? none)) continue;
    const own = units.filter((unit) => unit.holding.series.id === id);
    const facts: FactRef[] = [];
    for (const { holding } of own) {
      const meter = deps.book.meter(holding.series.meter);
      if (meter !== undefined) facts.push(...(await factsIn(deps, holding.series, meter, holding.from, holding.to)));
    }
    return { kind: 'facts', series: id, billed: a, now: b, facts: facts.slice(0, FACTS_SHOWN) };
  }
  return null;
}

/** Readings or events of the series in [from, to), by receipt. */
async function factsIn(
  deps: DifferenceDeps,
  series: Series,
  meter: Meter,
  from: Instant,
  to: Instant,
): Promise<FactRef[]> {
  const { usage, registry, book, frontier } = deps;
  const out: FactRef[] = [];
  if (isCounter(meter)) {
    const readings = (await usage.readings([series.id], from, to, frontier)).get(series.id) ?? [];
    out.push(...readings.map(({ receipt, t, value }) => ({ receipt, t, text: String(value) })));
  } else {
    const completeness = deps.completeness ?? new Completeness(book, []);
    const closer = new EventCloser({ usage, registry, book, frontier, completeness });
    await closer.measure(meter, from, to, (of, { receipt, t, id }) => {
      if (of.id === series.id) out.push({ receipt, t, text: id });
    });
  }
  return out.sort((a, b) => a.receipt - b.receipt).slice(0, FACTS_SHOWN);
}
