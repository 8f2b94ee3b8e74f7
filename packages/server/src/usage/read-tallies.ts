/** Amounts of event meters: closed windows from records, open, cut and distinct-value ones from the events. */
import { levelPieces } from '../domain/gauge.ts';
import type { Meter } from '../domain/meter.ts';
import { Flag, State, type TallyRecord } from '../domain/record.ts';
import { tallyCutLine, tallyLine, uniqueLine } from '../domain/record-digest.ts';
import type { Series } from '../domain/series.ts';
import { Tally } from '../domain/tally.ts';
import { type Instant, windowCeil } from '../domain/window.ts';
import { type Amount, type Amounts, amountOf, emptyAmount, mergeAmount } from './amount.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { groupBy } from './counters.ts';
import { cutIntervals, type Pieces } from './intervals.ts';
import type { ReadDeps } from './read-counters.ts';
import type { Filter, Holding, Selection, Viewer } from './selection.ts';

/** Where holdings come from; `holdingsOf` is asked for series met in events for the first time. */
export type Holdings = Pick<Selection, 'holdings' | 'holdingsOf'>;

interface Cut {
  from: Instant;
  to: Instant;
  interval: number;
}

export async function tallyAmounts(
  deps: ReadDeps,
  selection: Holdings,
  meter: Meter,
  filter: Filter,
  viewer: Viewer,
  edges: readonly Instant[],
): Promise<Amounts> {
  const reader = new TallyReader(deps, selection, meter, filter, viewer, edges);
  return reader.read();
}

/** What of [from, to) is still expected of a series, or will never come; null: nothing. */
export function silenceOf(
  closer: EventCloser,
  series: Pick<Series, 'tenant' | 'source'>,
  from: Instant,
  to: Instant,
): { state: number; flags: number } | null {
  const { state, flags } = closer.stateAt(series, to, from);
  // Silent for longer than its source settles after, a series has ended (case 19): nothing more is expected of it.
  if (state === State.known || (state === State.unobserved && closer.throughOf(series) <= from)) return null;
  return { state, flags };
}

class TallyReader {
  private readonly deps: ReadDeps;
  private readonly selection: Holdings;
  private readonly meter: Meter;
  private readonly filter: Filter;
  private readonly viewer: Viewer;
  private readonly edges: readonly Instant[];
  private readonly out: Amounts = new Map();
  /** Holdings by series; filled as series appear, those met in open events for the first time included. */
  private readonly held = new Map<Series, Holding[]>();

  constructor(
    deps: ReadDeps,
    selection: Holdings,
    meter: Meter,
    filter: Filter,
    viewer: Viewer,
    edges: readonly Instant[],
  ) {
    this.deps = deps;
    this.selection = selection;
    this.meter = meter;
    this.filter = filter;
    this.viewer = viewer;
    this.edges = edges;
  }

  async read(): Promise<Amounts> {
    const [from, to] = [this.edges[0] ?? 0, this.edges.at(-1) ?? 0];
    for (const holding of this.selection.holdings(this.filter, this.viewer, from, to)) {
      this.held.set(holding.series, [...(this.held.get(holding.series) ?? []), holding]);
    }
    const closer = await this.closer();
    if (this.meter.aggregation === 'unique') {
      await this.addEvents(closer, from, to, (h, t) => this.intervalOf(h, t));
      this.addTails(closer);
      return this.out;
    }
    const plans = [...this.held.values()]
      .flat()
      .map((holding) => ({ holding, pieces: cutIntervals(this.edges, holding.from, holding.to) }));
    for (const [, group] of groupBy(plans, (p) => p.pieces.gridEdges.join())) await this.addClosed(group);
    for (const gap of this.deps.eventGaps) this.addGap(plans, gap);
    await this.addOpen(closer, from, to);
    await this.addCuts(closer, plans);
    this.addTails(closer);
    return this.out;
  }

  /** Beyond what its source is complete for, an interval may still get events: no data is not zero. */
  private addTails(closer: EventCloser): void {
    for (const [series, holdings] of this.held) {
      for (const holding of holdings) {
        for (let i = 0; i + 1 < this.edges.length; i++) {
          const from = Math.max(this.edges[i] ?? 0, holding.from);
          const to = Math.min(this.edges[i + 1] ?? 0, holding.to, this.deps.now);
          if (from >= to) continue;
          const tail = silenceOf(closer, series, from, to);
          if (tail === null) continue;
          const provisional = to > this.deps.eventsClosedTo;
          mergeAmount(amountOf(this.out, holding, i), { ...emptyAmount(), ...tail, provisional });
        }
      }
    }
  }

  private async closer(): Promise<EventCloser> {
    const { usage, registry, book, frontier } = this.deps;
    const completeness = this.deps.completeness ?? new Completeness(book, await usage.declarations(frontier));
    const closedTo = this.deps.levelsTrustedTo;
    return new EventCloser({ usage, registry, book, frontier, completeness, closedTo });
  }

  private async addClosed(group: readonly { holding: Holding; pieces: Pieces }[]): Promise<void> {
    const pieces = group[0]?.pieces;
    if (pieces === undefined || pieces.gridEdges.length < 2) return;
    const closed = pieces.gridEdges.map((e) => Math.min(e, this.deps.eventsClosedTo));
    const used = closed.flatMap((e, i) => (i === 0 || e > (closed[i - 1] ?? 0) ? [e] : []));
    if (used.length < 2) return;
    const bySeries = new Map(group.map((p) => [p.holding.series.id, p.holding]));
    for (const row of await this.deps.usage.sumTallies([...bySeries.keys()], used)) {
      const holding = bySeries.get(row.series);
      const interval = pieces.gridInterval[closed.indexOf(used[row.interval] ?? -1)];
      if (holding === undefined || interval === undefined || interval < 0 || row.records === 0) continue;
      const { sum, count, min, max, latest, latestAt, flags, state } = row;
      const amount = { ...emptyAmount(), sum, count, min, max, latest, latestAt, flags, state, known: true };
      mergeAmount(amountOf(this.out, holding, interval), amount);
    }
  }

  /** A backlog is still being worked off here: what is shown is not all. */
  private addGap(plans: readonly { holding: Holding }[], gap: { from: Instant; to: Instant }): void {
    for (const { holding } of plans) {
      for (let i = 0; i + 1 < this.edges.length; i++) {
        const from = Math.max(this.edges[i] ?? 0, holding.from, gap.from);
        const to = Math.min(this.edges[i + 1] ?? 0, holding.to, gap.to);
        if (from >= to) continue;
        const amount = { ...emptyAmount(), state: State.pending, provisional: true };
        mergeAmount(amountOf(this.out, holding, i), amount);
      }
    }
  }

  /** Whole windows that have no records yet. */
  private async addOpen(closer: EventCloser, from: Instant, to: Instant): Promise<void> {
    const start = Math.max(windowCeil(from), this.deps.eventsClosedTo);
    const end = Math.min(windowCeil(to), windowCeil(this.deps.now + 1));
    if (start >= end) return;
    for (const { series, record } of await closer.compute(start, end, this.meter)) {
      for (const holding of this.holdingsOf(series)) {
        const pieces = cutIntervals(this.edges, holding.from, holding.to);
        const interval = intervalOfWindow(pieces, record.window);
        if (interval < 0) continue;
        mergeAmount(amountOf(this.out, holding, interval), { ...ofRecord(record), provisional: true });
        this.deps.note?.(holding, tallyLine(record), record.window);
      }
    }
  }

  /** Windows that a boundary of the question or an owner's change cuts: event by event. */
  private async addCuts(closer: EventCloser, plans: readonly { holding: Holding; pieces: Pieces }[]): Promise<void> {
    // The question's own ends too: a series met there for the first time has no holding yet.
    const whole = cutIntervals(this.edges, this.edges[0] ?? 0, this.edges.at(-1) ?? 0).cuts;
    const cuts = [...whole, ...plans.flatMap((p) => p.pieces.cuts)];
    for (const [from, to] of runsOf(cuts)) {
      if (this.meter.kind === 'gauge') {
        await this.addLevelCuts(closer, from, to);
        continue;
      }
      const cutsOf = new Map<Holding, readonly Cut[]>();
      await this.addEvents(closer, from, to, (holding, t) => {
        const own = cutsOf.get(holding) ?? cutIntervals(this.edges, holding.from, holding.to).cuts;
        cutsOf.set(holding, own);
        return own.find((c) => t >= c.from && t < c.to);
      });
    }
  }

  private async addLevelCuts(closer: EventCloser, from: Instant, to: Instant): Promise<void> {
    for (const [series, { levels, start, rules }] of await closer.levels(this.meter, from, to)) {
      // A series of the meter that had no level by then, or by that frontier, says nothing.
      if (levels.length === 0 && start === null) continue;
      for (const holding of this.holdingsOf(series)) {
        for (const cut of cutIntervals(this.edges, holding.from, holding.to).cuts) {
          if (cut.from < from || cut.to > to) continue;
          for (const p of levelPieces(levels, start, [cut.from, cut.to], rules)) {
            const { min, max, flags, state } = p;
            const [latest, latestAt] = [p.latest.value, p.latest.t];
            const content = { sum: p.integral, count: BigInt(p.changes), min, max, latest, latestAt, flags, state };
            const provisional = cut.to > this.deps.eventsClosedTo;
            const amount = { ...emptyAmount(), ...content, known: true, provisional };
            mergeAmount(amountOf(this.out, holding, cut.interval), amount);
            this.deps.note?.(holding, tallyCutLine(cut.from, cut.to, content), cut.from);
          }
        }
      }
    }
  }

  private async addEvents(
    closer: EventCloser,
    from: Instant,
    to: Instant,
    cutOf: (h: Holding, t: Instant) => Cut | undefined,
  ): Promise<void> {
    // Event by event into one tally each: of two at one instant the later receipt is the latest.
    const cells = new Map<string, { holding: Holding; cut: Cut; tally: Tally; unique: Set<string> }>();
    const numbers = new Map<Holding, number>();
    await closer.measure(this.meter, from, to, (series, event, program) => {
      for (const holding of this.holdingsOf(series)) {
        const cut = event.t >= holding.from && event.t < holding.to ? cutOf(holding, event.t) : undefined;
        if (cut === undefined) continue;
        const number = numbers.get(holding) ?? numbers.size;
        numbers.set(holding, number);
        const key = `${number}:${cut.from}`;
        const cell = cells.get(key) ?? { holding, cut, tally: new Tally(), unique: new Set() };
        cells.set(key, cell);
        cell.tally.add(program, event);
        if (this.meter.aggregation === 'unique') cell.unique.add(program.textOf(event));
      }
    });
    for (const { holding, cut, tally, unique } of cells.values()) {
      const [flags, state] = tally.invalid > 0 ? [Flag.setAside, State.quarantined] : [0, State.known];
      const own = this.meter.aggregation === 'unique' ? unique : null;
      const content = { ...tally.amounts(), flags, state };
      mergeAmount(amountOf(this.out, holding, cut.interval), {
        ...emptyAmount(),
        ...content,
        unique: own,
        known: true,
      });
      if (this.deps.note === undefined) continue;
      const line = own === null ? tallyCutLine(cut.from, cut.to, content) : uniqueLine(cut.from, cut.to, own, content);
      this.deps.note(holding, line, cut.from);
    }
  }

  private holdingsOf(series: Series): readonly Holding[] {
    const known = this.held.get(series);
    if (known !== undefined) return known;
    const [from, to] = [this.edges[0] ?? 0, this.edges.at(-1) ?? 0];
    const found = this.selection.holdingsOf(series, this.filter, this.viewer, from, to);
    this.held.set(series, found);
    return found;
  }

  private intervalOf(holding: Holding, t: Instant): Cut | undefined {
    for (let i = 0; i + 1 < this.edges.length; i++) {
      const [from = 0, to = 0] = [this.edges[i], this.edges[i + 1]];
      if (t < from || t >= to) continue;
      return { from: Math.max(from, holding.from), to: Math.min(to, holding.to), interval: i };
    }
    return undefined;
  }
}

function intervalOfWindow(pieces: Pieces, window: Instant): number {
  for (let i = 0; i + 1 < pieces.gridEdges.length; i++) {
    if (window >= (pieces.gridEdges[i] ?? 0) && window < (pieces.gridEdges[i + 1] ?? 0))
      return pieces.gridInterval[i] ?? -1;
  }
  return -1;
}

/** Adjacent cuts as one run: minute windows are read in one pass, the two ends of a month are not read as a month. */
function runsOf(cuts: readonly { from: Instant; to: Instant }[]): [Instant, Instant][] {
  const out: [Instant, Instant][] = [];
  for (const { from, to } of [...cuts].sort((a, b) => a.from - b.from)) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

const ofRecord = (r: TallyRecord): Amount => ({
  ...emptyAmount(),
  sum: r.sum,
  count: r.count,
  min: r.min,
  max: r.max,
  latest: r.latest,
  latestAt: r.latestAt,
  flags: r.flags,
  state: r.state,
  known: true,
});
