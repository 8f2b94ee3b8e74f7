/**
 * The usage store in memory: plain, slow, obviously right. It passes the same contract suite as the engines and is what
 * the simulation and `tollgate replay` run on. Its fast path leaves every series to the pure function.
 */
import { type Declaration, type Receipt, type SeriesReading, Stamp, type StoredEvent } from '../../domain/fact.ts';
import type { Meter } from '../../domain/meter.ts';
import { NumberRanges } from '../../domain/number-ranges.ts';
import { type CounterRecord, State, type TallyRecord } from '../../domain/record.ts';
import { compileMeter, Tally } from '../../domain/tally.ts';
import { type Instant, WINDOW_MS, windowStart } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import type {
  AcceptedNumbers,
  BilledCounters,
  BilledTallies,
  CounterSum,
  EpochExtent,
  EventQuery,
  FactWriter,
  FastClose,
  IdentityRow,
  RecordSpan,
  Span,
  TallyClose,
  TallyRow,
  TallySum,
  Touched,
  UsageStore,
} from '../usage-store.ts';
import { eventsFrom, held, type IdentifiedEvent, matches, outOfRange, plain } from './usage-events.ts';
import {
  billedCounters,
  billedTallies,
  type Kept,
  keepHighest,
  select,
  sumCounters,
  sumTallies,
} from './usage-records.ts';
import { touchedOf } from './usage-touched.ts';

/** What survives closing: give it to a second model to open the same store again. */
export interface UsageModelState {
  readings: Map<number, Map<string, SeriesReading>>;
  events: Map<string, IdentifiedEvent>;
  declarations: Declaration[];
  counters: Map<string, Kept<CounterRecord>>;
  tallies: Map<string, Kept<TallyRecord>>;
}

export const usageModelState = (): UsageModelState => ({
  readings: new Map(),
  events: new Map(),
  declarations: [],
  counters: new Map(),
  tallies: new Map(),
});

/** Faults of the simulated disk: asked before every commit. */
export interface ModelFaults {
  /** How many of the commit's rows reach the disk before it fails; null: it succeeds. */
  commit(rows: number): number | null;
}

interface Batch {
  events: IdentifiedEvent[];
  readings: SeriesReading[];
  declarations: Declaration[];
}

const DAY_MS = 86_400_000;

export class UsageModel implements UsageStore {
  readonly engine = 'model';
  private readonly state: UsageModelState;
  private readonly faults: ModelFaults | null;

  constructor(state: UsageModelState = usageModelState(), faults: ModelFaults | null = null) {
    this.state = state;
    this.faults = faults;
  }

  writer(): FactWriter {
    const batch: Batch = { events: [], readings: [], declarations: [] };
    return {
      event: (event, identity) => void batch.events.push({ ...held(event), identity: { ...identity } }),
      rawEvents: (raw) => void batch.events.push(...eventsFrom(raw)),
      reading: (reading) => void batch.readings.push({ ...counted(held(reading)) }),
      declaration: (declaration) => void batch.declarations.push({ ...declaration }),
      get size() {
        return batch.events.length + batch.readings.length + batch.declarations.length;
      },
      commit: async () => this.commit(batch),
    };
  }

  private commit(batch: Batch): void {
    const puts = [
      ...batch.events.map((e) => () => this.putEvent(e)),
      ...batch.readings.map((r) => () => this.putReading(r)),
      ...batch.declarations.map((d) => () => void this.state.declarations.push(d)),
    ];
    const torn = this.faults?.commit(puts.length) ?? null;
    for (const put of torn === null ? puts : puts.slice(0, torn)) put();
    if (torn !== null) throw new StoreError('store.unavailable', 'The simulated disk refused a write.');
  }

  private putEvent(event: IdentifiedEvent): void {
    const key = JSON.stringify([event.tenant, event.source, event.id, event.t, event.type]);
    const kept = this.state.events.get(key);
    if (kept === undefined || event.receipt < kept.receipt) this.state.events.set(key, event);
  }

  private putReading(r: SeriesReading): void {
    const key = `${r.t}:${r.epoch}:${r.value}:${(r.stamps & Stamp.end) !== 0}`;
    let list = this.state.readings.get(r.series);
    if (list === undefined) {
      list = new Map();
      this.state.readings.set(r.series, list);
    }
    const kept = list.get(key);
    if (kept === undefined || r.receipt < kept.receipt) list.set(key, r);
  }

  async readings(
    series: readonly number[],
    from: Instant,
    to: Instant,
    frontier: Receipt,
  ): Promise<Map<number, SeriesReading[]>> {
    const out = new Map<number, SeriesReading[]>();
    for (const id of series) {
      const list = this.of(id, frontier).filter((r) => r.t >= from && r.t < to);
      if (list.length > 0)
        out.set(
          id,
          list.sort((a, b) => a.receipt - b.receipt),
        );
    }
    return out;
  }

  async readingBefore(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>> {
    return this.extremes(series, frontier, (at) => at < t, Math.max);
  }

  async readingAfter(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>> {
    return this.extremes(series, frontier, (at) => at >= t, Math.min);
  }

  private extremes(
    series: readonly number[],
    frontier: Receipt,
    passes: (t: Instant) => boolean,
    pick: (a: number, b: number) => number,
  ): Map<number, Instant> {
    const out = new Map<number, Instant>();
    for (const id of series) {
      for (const { t } of this.of(id, frontier)) if (passes(t)) out.set(id, pick(out.get(id) ?? t, t));
    }
    return out;
  }

  async readingsWithin(spans: readonly RecordSpan[], frontier: Receipt): Promise<SeriesReading[][]> {
    const found = spans.map(({ series, from, to }) => this.readings([series], from, to, frontier));
    return (await Promise.all(found)).map((own, i) => own.get(spans[i]?.series ?? 0) ?? []);
  }

  async nearestReadings(
    side: 'before' | 'after',
    asks: readonly { series: number; t: Instant }[],
    frontier: Receipt,
  ): Promise<(Instant | null)[]> {
    const found = asks.map(({ series, t }) =>
      side === 'before' ? this.readingBefore([series], t, frontier) : this.readingAfter([series], t, frontier),
    );
    return (await Promise.all(found)).map((own, i) => own.get(asks[i]?.series ?? 0) ?? null);
  }

  async epochExtents(series: readonly number[], from: Instant, to: Instant): Promise<Map<number, EpochExtent[]>> {
    const [first, end] = [from - (from % DAY_MS), to - (to % DAY_MS) + DAY_MS];
    const out = new Map<number, EpochExtent[]>();
    for (const id of series) {
      const list: EpochExtent[] = [];
      for (const { t, epoch } of this.of(id, Number.MAX_SAFE_INTEGER)) {
        if (t < first || t >= end) continue;
        const at = windowStart(t);
        const known = list.find((e) => e.epoch === epoch);
        if (known === undefined) list.push({ epoch, first: at, last: at });
        else Object.assign(known, { first: Math.min(known.first, at), last: Math.max(known.last, at) });
      }
      if (list.length > 0) out.set(id, list);
    }
    return out;
  }

  async lastReadings(): Promise<Map<number, { t: Instant; value: bigint; epoch: number; receipt: Receipt }>> {
    const out = new Map<number, SeriesReading>();
    for (const [id, list] of this.state.readings) {
      for (const r of list.values()) {
        const last = out.get(id);
        if ((r.stamps & Stamp.fast) !== 0) continue;
        if (last === undefined || r.t > last.t || (r.t === last.t && r.receipt < last.receipt)) out.set(id, r);
      }
    }
    return out;
  }

  async findReceipt(receipt: Receipt): Promise<{ reading: SeriesReading } | { event: StoredEvent } | null> {
    for (const list of this.state.readings.values()) {
      for (const reading of list.values()) if (reading.receipt === receipt) return { reading: { ...reading } };
    }
    for (const event of this.state.events.values()) if (event.receipt === receipt) return { event: plain(event) };
    return null;
  }

  async extent(frontier: Receipt): Promise<Instant | null> {
    let first: Instant | null = null;
    const see = (t: Instant): void => {
      if (first === null || t < first) first = t;
    };
    for (const list of this.state.readings.values()) {
      for (const r of list.values()) {
        if (r.receipt > frontier) continue;
        see(r.t);
        if (r.start > 0) see(r.start);
      }
    }
    for (const event of this.state.events.values()) if (event.receipt <= frontier) see(event.t);
    return first;
  }

  async touchedCounters(span: Span, after: Receipt, frontier: Receipt): Promise<Touched[]> {
    return this.seriesIn(span).flatMap((id) => touchedOf(id, this.of(id, frontier), span, after));
  }

  async closeCounters(span: Span, _frontier: Receipt, forceOdd: readonly number[]): Promise<FastClose> {
    return { odd: [...new Set([...this.seriesIn(span), ...forceOdd])], written: 0 };
  }

  async computeCounters(_span: Span, series: readonly number[]): Promise<{ records: CounterRecord[]; odd: number[] }> {
    return { records: [], odd: [...series] };
  }

  async pendingCounters(span: Span): Promise<Touched[]> {
    return [...this.state.counters.values()]
      .filter(
        ({ record: r }) =>
          !r.isVoid &&
          (r.state === State.pending || r.state === State.quarantined) &&
          inSpan(span, r.series) &&
          r.window >= span.from &&
          r.window < span.to,
      )
      .map(({ record: r }) => ({ series: r.series, from: r.window, to: r.window + WINDOW_MS }));
  }

  async writeCounters(records: readonly CounterRecord[], frontier: Receipt): Promise<void> {
    for (const { used } of records) {
      if (used < 0n || used >= 1n << 64n) throw outOfRange(`${used} used`);
    }
    for (const record of records) keepHighest(this.state.counters, { ...record }, frontier);
  }

  async counterRecords(
    series: readonly number[],
    from: Instant,
    to: Instant,
  ): Promise<(CounterRecord & { frontier: Receipt })[]> {
    return select(this.state.counters, series, from, to);
  }

  async sumCounters(series: readonly number[], edges: readonly Instant[]): Promise<CounterSum[]> {
    return sumCounters(this.state.counters, series, edges);
  }

  async billedCounters(spans: readonly RecordSpan[]): Promise<BilledCounters[]> {
    return billedCounters(this.state.counters, spans);
  }

  async sumTallies(series: readonly number[], edges: readonly Instant[]): Promise<TallySum[]> {
    return sumTallies(this.state.tallies, series, edges);
  }

  async billedTallies(spans: readonly RecordSpan[]): Promise<BilledTallies[]> {
    return billedTallies(this.state.tallies, spans);
  }

  async rewrittenTallies(series: readonly number[], to: Instant, after: Receipt): Promise<number[]> {
    const found = select(this.state.tallies, series, 0, to).filter((r) => r.frontier > after);
    return [...new Set(found.map((r) => r.series))];
  }

  async *events(query: EventQuery): AsyncIterable<StoredEvent> {
    const list = [...this.state.events.values()].filter((e) => matches(e, query));
    list.sort((a, b) => a.t - b.t || a.receipt - b.receipt);
    if (query.descending === true) list.reverse();
    for (const event of list.slice(0, query.limit)) yield plain(event);
  }

  async findEvent(tenant: string, source: string, id: string): Promise<StoredEvent[]> {
    return [...this.state.events.values()]
      .filter((e) => e.tenant === tenant && e.source === source && e.id === id)
      .sort((a, b) => a.receipt - b.receipt)
      .map(plain);
  }

  async touchedEvents(
    types: readonly string[],
    before: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ type: string; window: Instant }[]> {
    const out = new Map<string, { type: string; window: Instant }>();
    for (const e of this.state.events.values()) {
      if (!types.includes(e.type) || e.t >= before || e.receipt <= after || e.receipt > frontier) continue;
      const window = windowStart(e.t);
      out.set(`${e.type}:${window}`, { type: e.type, window });
    }
    return [...out.values()];
  }

  async touchedSubjects(
    types: readonly string[],
    from: Instant,
    to: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ tenant: string; subject: string }[]> {
    const out = new Map<string, { tenant: string; subject: string }>();
    for (const e of this.state.events.values()) {
      if (!types.includes(e.type) || e.t < from || e.t >= to || e.receipt <= after || e.receipt > frontier) continue;
      out.set(JSON.stringify([e.tenant, e.subject]), { tenant: e.tenant, subject: e.subject });
    }
    return [...out.values()];
  }

  async tally(
    meter: Meter,
    from: Instant,
    to: Instant,
    frontier: Receipt,
    voided: readonly Receipt[],
    undoneSets: readonly string[],
  ): Promise<TallyClose> {
    const program = compileMeter(meter);
    const cells = new Map<string, { row: Omit<TallyRow, keyof ReturnType<Tally['amounts']>>; tally: Tally }>();
    const odd = new Map<string, TallyClose['odd'][number]>();
    for await (const e of this.events({ types: [meter.eventType], from, to, frontier, voided, undoneSets })) {
      const dimensions = program.dimensionsOf(e);
      if (dimensions === null) continue;
      const { tenant, source, subject } = e;
      const row = { tenant, source, subject, dimensions: Object.values(dimensions), window: windowStart(e.t) };
      const key = JSON.stringify(Object.values(row));
      const cell = cells.get(key) ?? { row, tally: new Tally() };
      cells.set(key, cell);
      cell.tally.add(program, e);
      if (cell.tally.invalid > 0) odd.set(JSON.stringify([tenant, source, subject]), { tenant, source, subject });
    }
    return {
      rows: [...cells.values()].map(({ row, tally }) => ({ ...row, ...tally.amounts() })),
      odd: [...odd.values()],
    };
  }

  async writeTallies(records: readonly TallyRecord[], frontier: Receipt): Promise<void> {
    for (const { sum, min, max, latest } of records) {
      for (const q of [min, max, latest]) if (q !== null && abs(q) >= 10n ** 38n) throw outOfRange(`${q}`);
      if (abs(sum) >= 10n ** 76n) throw outOfRange(`a sum of ${sum}`);
    }
    for (const record of records) keepHighest(this.state.tallies, { ...record }, frontier);
  }

  async tallyRecords(
    series: readonly number[],
    from: Instant,
    to: Instant,
  ): Promise<(TallyRecord & { frontier: Receipt })[]> {
    return select(this.state.tallies, series, from, to);
  }

  async lastTallies(series: readonly number[], before: Instant): Promise<Map<number, TallyRecord>> {
    const out = new Map<number, TallyRecord>();
    for (const { frontier: _frontier, ...r } of select(this.state.tallies, series, 0, before)) {
      const last = out.get(r.series);
      if (!r.isVoid && (last === undefined || r.window + r.part > last.window + last.part)) out.set(r.series, r);
    }
    return out;
  }

  async declarations(frontier: Receipt): Promise<Declaration[]> {
    const out = new Map<string, Declaration>();
    for (const d of this.state.declarations) {
      if (d.receipt > frontier) continue;
      const key = JSON.stringify([d.tenant, d.source]);
      const last = out.get(key);
      if (last === undefined) out.set(key, { ...d });
      else {
        last.completeThrough = Math.max(last.completeThrough, d.completeThrough);
        if (d.receivedAt >= last.receivedAt) Object.assign(last, { ...d, completeThrough: last.completeThrough });
      }
    }
    return [...out.values()];
  }

  async acceptedNumbers(): Promise<AcceptedNumbers[]> {
    const runs = new Map<string, { tenant: string; source: string; run: string; numbers: NumberRanges }>();
    for (const { tenant, source, run, firstSequence, lastSequence } of this.state.declarations) {
      const key = JSON.stringify([tenant, source, run]);
      const of = runs.get(key) ?? { tenant, source, run, numbers: new NumberRanges() };
      of.numbers.add(firstSequence, lastSequence);
      runs.set(key, of);
    }
    return [...runs.values()].flatMap(({ numbers, ...of }) =>
      [...numbers].map(([first, last]) => ({ ...of, first, last })),
    );
  }

  async *identities(after: Receipt, receivedSince: Instant = 0): AsyncIterable<IdentityRow[]> {
    const rows = [...this.state.events.values()].filter((e) => e.receipt > after && e.receivedAt >= receivedSince);
    rows.sort((a, b) => a.receipt - b.receipt);
    if (rows.length > 0)
      yield rows.map(({ identity, t, receipt, receivedAt }) => ({ ...identity, t, receipt, receivedAt }));
  }

  async exportParquet(): Promise<number> {
    throw new StoreError('store.misuse', 'The model store does not write Parquet.');
  }

  async health(): Promise<{ writable: boolean; detail: string }> {
    return { writable: true, detail: 'in memory' };
  }

  async close(): Promise<void> {}

  private of(series: number, frontier: Receipt): SeriesReading[] {
    return [...(this.state.readings.get(series)?.values() ?? [])]
      .filter((r) => r.receipt <= frontier)
      .map((r) => ({ ...r }));
  }

  private seriesIn(span: Span): number[] {
    return [...this.state.readings.keys()].filter((id) => inSpan(span, id)).sort((a, b) => a - b);
  }
}

const abs = (n: bigint): bigint => (n < 0n ? -n : n);

function counted(reading: SeriesReading): SeriesReading {
  if (reading.value < 0n || reading.value >= 1n << 64n) throw outOfRange(`a reading of ${reading.value}`);
  return reading;
}

const inSpan = (span: Span, series: number): boolean => series >= span.firstSeries && series <= span.lastSeries;
