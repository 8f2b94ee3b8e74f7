/**
 * Closing windows of event meters. Delta meters are summed in SQL by (source, subject, dimensions, window); whatever has
 * a value SQL cannot take exactly goes event by event through the pure function. Levels always go that way, starting
 * from the record before: it carries the level at the window's end, so a window never looks back months.
 */
import type { Book } from '../domain/book.ts';
import type { Receipt, StoredEvent } from '../domain/fact.ts';
import { type Level, type LevelRules, levelRecords } from '../domain/gauge.ts';
import type { Meter } from '../domain/meter.ts';
import { Flag, State, type TallyRecord } from '../domain/record.ts';
import { dimensionText, type Series, type SeriesKey, seriesKeyText } from '../domain/series.ts';
import { compileMeter, type MeterProgram, Tally } from '../domain/tally.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { EventQuery, TallyRow, UsageStore } from '../store/usage-store.ts';
import type { Closed } from './close-counters.ts';
import type { Completeness } from './completeness.ts';
import { type EventChanges, touchedWindows } from './touched-events.ts';

export interface EventDeps {
  usage: UsageStore;
  registry: SeriesRegistry;
  book: Book;
  frontier: Receipt;
  completeness: Completeness;
  /** Records before this instant can be built on (a level's checkpoint); left away: all before what is asked. */
  closedTo?: Instant;
}

type SomeEvents = Pick<EventQuery, 'subjects' | 'within'>;

/** The changes of one level, what it was before them, and the rules it goes by. */
export interface LevelCourse {
  levels: Level[];
  start: Level | null;
  rules: LevelRules;
}

/** A record and the series it is of; the series of a first event has id 0 until it is registered. */
export interface Computed {
  series: Series;
  record: TallyRecord;
}

/** Records held at once while a span is closed, and the longest stretch of it: bounds memory for meters of many series. */
const RECORDS_A_CHUNK = 200_000;
const CHUNK_WINDOWS = 96;
/** Series whose records are read at once. */
const SERIES_A_CALL = 2_000;

export class EventCloser {
  private readonly deps: EventDeps;
  private readonly fresh = new Map<string, Series>();

  constructor(deps: EventDeps) {
    this.deps = deps;
  }

  /** Writes the records of [from, to) of all event meters. */
  async close(from: Instant, to: Instant): Promise<Closed> {
    const total: Closed = { records: 0, odd: 0, setAside: [], failed: [] };
    for (const meter of this.meters()) total.records += await this.closeMeter(meter, from, to);
    return total;
  }

  /** Rewrites closed windows touched by events, meters, corrections and completeness since the row's frontier. */
  async rewrite(row: Progress, changes: EventChanges): Promise<Closed> {
    const total: Closed = { records: 0, odd: 0, setAside: [], failed: [] };
    for (const meter of this.meters()) {
      const windows = await touchedWindows(this.deps, meter, row, changes);
      for (const [from, to] of rewriteSpans(meter, windows, row))
        total.records += await this.closeMeter(meter, from, to);
    }
    return total;
  }

  /** Records of [from, to) without writing them: the open window, "as of S", replay. */
  async compute(from: Instant, to: Instant, only?: Meter): Promise<Computed[]> {
    const out: Computed[] = [];
    for (const meter of only === undefined ? this.meters() : [only])
      out.push(...(await this.computeMeter(meter, from, to)));
    return out;
  }

  /** Event by event, over any [from, to), or only some of it: calls `each` for all that pass the meter's filters. */
  async measure(
    meter: Meter,
    from: Instant,
    to: Instant,
    each: (series: Series, event: StoredEvent, program: MeterProgram) => void,
    only: SomeEvents = {},
  ): Promise<void> {
    const program = compileMeter(meter);
    for await (const event of this.events(meter, from, to, only)) {
      const dimensions = program.dimensionsOf(event);
      if (dimensions !== null) each(this.seriesOf(meter, event, dimensions), event, program);
    }
  }

  private async closeMeter(meter: Meter, from: Instant, to: Instant): Promise<number> {
    let written = 0;
    const fit = Math.floor(RECORDS_A_CHUNK / Math.max(1, this.idsOf(meter).length));
    const chunk = Math.max(1, Math.min(CHUNK_WINDOWS, fit)) * WINDOW_MS;
    for (let start = from; start < to; start += chunk) {
      const end = Math.min(to, start + chunk);
      const computed = await this.computeMeter(meter, start, end);
      const records = await this.registered(computed);
      const voids = await this.lost(meter, records, start, end);
      await this.deps.usage.writeTallies([...records, ...voids], this.deps.frontier);
      written += records.length + voids.length;
    }
    return written;
  }

  private computeMeter(meter: Meter, from: Instant, to: Instant): Promise<Computed[]> {
    return meter.kind === 'gauge' ? this.computeLevels(meter, from, to) : this.computeTallies(meter, from, to);
  }

  private async computeTallies(meter: Meter, from: Instant, to: Instant): Promise<Computed[]> {
    const { usage, book, frontier } = this.deps;
    const names = Object.keys(meter.groupBy);
    const { rows, odd } = await usage.tally(meter, from, to, frontier, book.voidedReceipts(), book.undoneSets());
    const oddKeys = new Set(odd.map((o) => JSON.stringify([o.tenant, o.source, o.subject])));
    const out: Computed[] = [];
    for (const row of rows) {
      if (oddKeys.has(JSON.stringify([row.tenant, row.source, row.subject]))) continue;
      const dimensions = Object.fromEntries(names.map((name, i) => [name, row.dimensions[i] ?? '']));
      const series = this.seriesOf(meter, row, dimensions);
      out.push({ series, record: this.recordOf(series, row) });
    }
    const exact = await this.exactly(meter, from, to, oddKeys, out);
    return [...out.filter((c) => !exact.cut.has(c.series)), ...exact.computed];
  }

  private recordOf(series: Series, row: TallyRow): TallyRecord {
    const { sum, count, min, max, latest, latestAt, window } = row;
    const { state, flags } = this.stateAt(series, window + WINDOW_MS);
    return { series: series.id, window, part: 0, sum, count, min, max, latest, latestAt, flags, state, isVoid: false };
  }

  /** The pure path: odd values, and windows with an owner's change inside. */
  private async exactly(
    meter: Meter,
    from: Instant,
    to: Instant,
    oddKeys: ReadonlySet<string>,
    fast: readonly Computed[],
  ): Promise<{ computed: Computed[]; cut: Set<Series> }> {
    const { book } = this.deps;
    const cut = new Set(
      fast
        .map((c) => c.series)
        .filter((s) => book.ownerChanges(s.tenant, s.resource, from, to).some((t) => t % WINDOW_MS !== 0)),
    );
    if (oddKeys.size === 0 && cut.size === 0) return { computed: [], cut };
    const tallies = new Map<Series, Map<string, { window: Instant; part: number; tally: Tally }>>();
    await this.measure(meter, from, to, (series, event, program) => {
      if (!cut.has(series) && !oddKeys.has(JSON.stringify([event.tenant, event.source, event.subject]))) return;
      const window = windowStart(event.t);
      const changes = book.ownerChanges(series.tenant, series.resource, window, window + WINDOW_MS);
      const part = changes.reduce((p, t) => (t <= event.t ? t - window : p), 0);
      const parts = tallies.get(series) ?? new Map();
      tallies.set(series, parts);
      const key = `${window}:${part}`;
      const cell = parts.get(key) ?? { window, part, tally: new Tally() };
      parts.set(key, cell);
      cell.tally.add(program, event);
    });
    const computed: Computed[] = [];
    for (const [series, parts] of tallies) {
      for (const { window, part, tally } of parts.values()) {
        const { state, flags } = this.stateAt(series, window + WINDOW_MS);
        const record = {
          series: series.id,
          window,
          part,
          ...tally.amounts(),
          flags: flags | (tally.invalid > 0 ? Flag.setAside : 0),
          state: tally.invalid > 0 ? State.quarantined : state,
          isVoid: false,
        };
        computed.push({ series, record });
      }
    }
    return { computed, cut };
  }

  private async computeLevels(meter: Meter, from: Instant, to: Instant): Promise<Computed[]> {
    const out: Computed[] = [];
    for (const [series, { levels, start, rules }] of await this.levels(meter, from, to)) {
      const breakpoints = this.deps.book.ownerChanges(series.tenant, series.resource, from, to);
      for (const record of levelRecords(series.id, levels, start, { ...rules, from, to, breakpoints })) {
        out.push({ series, record });
      }
    }
    return out;
  }

  /** Every series of the meter with its changes up to `to`, beginning where the last record can be trusted. */
  async levels(meter: Meter, from: Instant, to: Instant): Promise<Map<Series, LevelCourse>> {
    const { usage, registry, book, completeness } = this.deps;
    const base = Math.min(windowStart(from), this.deps.closedTo ?? from);
    const changes = new Map<Series, Level[]>();
    for (const series of registry.all()) if (series.meter === meter.key) changes.set(series, []);
    await this.measure(meter, base, to, (series, event, program) => {
      const value = program.valueOf(event);
      if (typeof value !== 'bigint') return;
      const list = changes.get(series);
      if (list === undefined) changes.set(series, [{ t: event.t, value }]);
      else list.push({ t: event.t, value });
    });
    const known = [...changes.keys()].filter((s) => s.id !== 0).map((s) => s.id);
    const before = base === 0 ? new Map<number, TallyRecord>() : await usage.lastTallies(known, base);
    const out = new Map<Series, LevelCourse>();
    for (const [series, levels] of changes) {
      const last = before.get(series.id);
      const start = last === undefined || last.latest === null ? null : { t: last.latestAt, value: last.latest };
      const completeThrough = completeness.of(series.tenant, series.source).through;
      const settledBefore = book.settledBefore(series.tenant, series.source);
      out.set(series, { levels, start, rules: { validFor: meter.validFor, completeThrough, settledBefore } });
    }
    return out;
  }

  throughOf(series: Pick<SeriesKey, 'tenant' | 'source'>): Instant {
    return this.deps.completeness.of(series.tenant, series.source).through;
  }

  /**
   * Known when the source is complete through the end and says of nothing in it that it was lost; pending before that;
   * unobserved once settled.
   */
  stateAt(
    series: Pick<SeriesKey, 'tenant' | 'source'>,
    end: Instant,
    start: Instant = end - WINDOW_MS,
  ): { state: number; flags: number } {
    const { through, assumed } = this.deps.completeness.of(series.tenant, series.source);
    const lost = this.deps.book.lostBy(series.tenant, series.source).some((i) => i.from < end && i.to > start);
    if (through >= end && lost) return { state: State.unobserved, flags: Flag.unobserved };
    if (through >= end) return { state: State.known, flags: assumed ? Flag.assumed : 0 };
    if (this.deps.book.settledBefore(series.tenant, series.source) >= end)
      return { state: State.unobserved, flags: Flag.unobserved };
    return { state: State.pending, flags: 0 };
  }

  private *meters(): Iterable<Meter> {
    for (const meter of this.deps.book.meters()) if (meter.kind === 'delta' || meter.kind === 'gauge') yield meter;
  }

  private events(meter: Meter, from: Instant, to: Instant, only: SomeEvents): AsyncIterable<StoredEvent> {
    const { usage, book, frontier } = this.deps;
    const query = {
      types: [meter.eventType],
      from,
      to,
      frontier,
      voided: book.voidedReceipts(),
      undoneSets: book.undoneSets(),
      ...only,
    };
    return usage.events(query);
  }

  private seriesOf(
    meter: Meter,
    of: { tenant: string; source: string; subject: string },
    dimensions: Readonly<Record<string, string>>,
  ): Series {
    const storable = Object.fromEntries(Object.entries(dimensions).map(([name, text]) => [name, dimensionText(text)]));
    const key = { tenant: of.tenant, source: of.source, resource: of.subject, meter: meter.key, dimensions: storable };
    const known = this.deps.registry.find(key);
    if (known !== undefined) return known;
    const text = seriesKeyText(key);
    const fresh = this.fresh.get(text) ?? { ...key, ...unregistered, firstReceipt: this.deps.frontier };
    this.fresh.set(text, fresh);
    return fresh;
  }

  /** Registers series met for the first time and puts their ids into the records. */
  private async registered(computed: readonly Computed[]): Promise<TallyRecord[]> {
    const fresh = [...new Set(computed.filter((c) => c.series.id === 0).map((c) => c.series))];
    const ids = new Map<Series, number>();
    for (const [i, series] of (await this.deps.registry.register(fresh)).entries()) {
      const met = fresh[i];
      if (met !== undefined) ids.set(met, series.id);
    }
    return computed.map(({ series, record }) => ({ ...record, series: ids.get(series) ?? series.id }));
  }

  /** Void rows for records of the meter that are not computed any more. */
  private async lost(
    meter: Meter,
    records: readonly TallyRecord[],
    from: Instant,
    to: Instant,
  ): Promise<TallyRecord[]> {
    const kept = new Set(records.map((r) => `${r.series}:${r.window}:${r.part}`));
    const ids = this.idsOf(meter);
    const out: TallyRecord[] = [];
    for (let i = 0; i < ids.length; i += SERIES_A_CALL) {
      for (const r of await this.deps.usage.tallyRecords(ids.slice(i, i + SERIES_A_CALL), from, to)) {
        if (r.isVoid || kept.has(`${r.series}:${r.window}:${r.part}`)) continue;
        out.push({ ...nothing, series: r.series, window: r.window, part: r.part });
      }
    }
    return out;
  }

  private idsOf(meter: Meter): number[] {
    const ids: number[] = [];
    for (const series of this.deps.registry.all()) if (series.meter === meter.key) ids.push(series.id);
    return ids;
  }
}

const nothing = {
  sum: 0n,
  count: 0n,
  min: null,
  max: null,
  latest: null,
  latestAt: 0,
  flags: 0,
  state: State.known,
  isVoid: true,
} as const;

const unregistered = { id: 0, width: 64, lineBits: 0, period: 0, layer: 'app', witnessOf: 0 } as const;

/** A level's change reaches as far as the next one, from whatever span it was made in: the span is followed to its end. */
function rewriteSpans(meter: Meter, windows: ReadonlySet<Instant>, row: Progress): [Instant, Instant][] {
  if (meter.kind !== 'gauge') return spansOfWindows(windows, row.from, row.closedTo);
  const first = [...windows].reduce((a, b) => Math.min(a, b), row.closedTo);
  return first < row.closedTo ? [[Math.max(first, row.from), row.closedTo]] : [];
}

function spansOfWindows(windows: ReadonlySet<Instant>, floor: Instant, closedTo: Instant): [Instant, Instant][] {
  const sorted = [...windows].filter((w) => w >= floor && w < closedTo).sort((a, b) => a - b);
  const out: [Instant, Instant][] = [];
  for (const w of sorted) {
    const last = out.at(-1);
    // A day's windows in one statement cost less than one statement each for a few of them.
    if (last !== undefined && w <= last[0] + CHUNK_WINDOWS * WINDOW_MS) last[1] = w + WINDOW_MS;
    else out.push([w, w + WINDOW_MS]);
  }
  return out;
}
