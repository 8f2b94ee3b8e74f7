/**
 * Usage as it is billed: as of S, for thousands of accounts at once. Records are taken where they are what they were at
 * S: the job has accounted for every fact up to S, and the record's own frontier is no higher. Everything else is
 * computed from facts, by the same functions as any "as of" answer.
 */
import type { Book } from '../domain/book.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import { isCounter } from '../domain/meter.ts';
import type { Instant } from '../domain/window.ts';
import type { ControlStore, Progress } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { breath } from './breath.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { groupBy } from './counters.ts';
import type { Metered, MeteredAsk, MeteredReader, MeteredSeries } from './metered.ts';
import { answer } from './metered-answer.ts';
import { type Changed, ChangesUpTo } from './metered-changes.ts';
import { type MeteredDeps, readCounters } from './metered-counters.ts';
import { type Difference, firstDifference } from './metered-difference.ts';
import { addEvents } from './metered-events.ts';
import { HoldingIndex } from './metered-index.ts';
import { readPercentiles } from './metered-percentiles.ts';
import { MeteredTallies } from './metered-tallies.ts';
import { ASKS_A_BREATH, plan, type Work } from './metered-work.ts';
import type { ReadDeps } from './read-counters.ts';
import { allClosedTo, recordedAt, unrecorded } from './read-deps.ts';
import { Removed } from './removed.ts';

export interface MeteredSources {
  usage: UsageStore;
  control: ControlStore;
  registry: SeriesRegistry;
  clock: Clock;
  /** The book as of a frontier. */
  bookAt(frontier: Receipt): Promise<Book>;
  /** Every receipt up to here is settled now. */
  frontier(): Receipt;
}

/** The highest frontier that everything the job has closed has reached. */
export const settledFrontier = (rows: readonly Progress[], present: Receipt): Receipt =>
  rows.reduce((s, row) => Math.min(s, row.frontier), present);

export class MeteredAt implements MeteredReader {
  readonly frontier: Receipt;
  /** Every window before it is closed. What is billed beyond it may yet change its series' numbers: wait for it. */
  readonly closedTo: Instant;
  readonly book: Book;
  private readonly sources: MeteredSources;
  private readonly deps: MeteredDeps;
  private readonly index: HoldingIndex;
  private readonly tallies: MeteredTallies;
  private readonly isExact: boolean;
  private changes: ChangesUpTo | null = null;

  private constructor(
    sources: MeteredSources,
    book: Book,
    frontier: Receipt,
    rows: readonly Progress[],
    deps: MeteredDeps,
  ) {
    this.sources = sources;
    this.book = book;
    this.frontier = frontier;
    // Windows are closed now that the clock as recorded by S never reached: answers as of S stop at that clock.
    this.closedTo = Math.min(allClosedTo(rows), deps.past.now);
    this.deps = deps;
    this.index = new HoldingIndex(book, sources.registry, frontier);
    this.tallies = new MeteredTallies(deps, this.index);
    this.isExact = rows.every((row) => row.stream !== 'event' || row.frontier <= frontier);
  }

  /**
   * Without `asOf`, as of what the job has accounted for. The book is folded once, here. `factsOnly`: no record is taken,
   * for who wants to know whether records are what the facts say.
   */
  static async open(sources: MeteredSources, asOf: Receipt | null, factsOnly = false): Promise<MeteredAt> {
    const { usage, registry, clock, control } = sources;
    const rows = await control.progress();
    const frontier = asOf ?? settledFrontier(rows, sources.frontier());
    const book = await sources.bookAt(frontier);
    const completeness = new Completeness(book, await usage.declarations(frontier));
    const now = book.lastTick === 0 ? clock.now() : book.lastTick;
    const common = { usage, registry, book, frontier, completeness, now };
    const past: ReadDeps = { ...common, ...unrecorded };
    if (factsOnly) {
      const removed = { hasSeries: () => true, hasEvents: () => true };
      return new MeteredAt(sources, book, frontier, rows, { frontier, now: past, past, removed });
    }
    // Gaps are computed from facts, so nothing in them is waited for.
    const present: ReadDeps = { ...common, ...recordedAt(rows, frontier) };
    const removed = await Removed.between(control, frontier, rows);
    return new MeteredAt(sources, book, frontier, rows, { frontier, now: present, past, removed });
  }

  /** Some 20,000 asks at most a call: all of their answers are held at once. */
  async read(asks: readonly MeteredAsk[]): Promise<Metered[][]> {
    const { shares } = await this.fill(asks);
    const answers: Metered[][] = [];
    for (const [i, ask] of asks.entries()) {
      answers.push(answer(this.book, ask, shares[i] ?? []));
      if (answers.length % ASKS_A_BREATH === 0) await breath();
    }
    return answers;
  }

  /** What to give to `explain` as of this frontier, for each series of the ask's rows that is registered. */
  async references(ask: MeteredAsk): Promise<string[]> {
    const { shares } = await plan(this.book, this.index, [ask]);
    const units = (shares[0] ?? []).flatMap((share) => share.units);
    const refs = units.map(({ holding: { series, from, to } }) => ({
      id: series.id,
      text: `${series.id}@${from}/${to}`,
    }));
    return refs.sort((a, b) => a.id - b.id).map((r) => r.text);
  }

  /** Whose usage in [from, to) may be another at this frontier than it was at `since`. May name too many, never too few. */
  changedSince(since: Receipt, from: Instant, to: Instant): Promise<Changed> {
    this.changes ??= new ChangesUpTo(this.sources, this.book, this.frontier);
    return this.changes.since(since, from, to);
  }

  /** Why an ask is answered otherwise than it was: `then` are the series of its rows as they were billed. */
  async firstDifference(ask: MeteredAsk, then: readonly MeteredSeries[]): Promise<Difference | null> {
    const deps = { ...this.deps.past, closedBefore: this.deps.now, frontier: this.frontier };
    return firstDifference(deps, this.index, ask, then);
  }

  private async fill(asks: readonly MeteredAsk[]): Promise<Work> {
    const work = await plan(this.book, this.index, asks);
    const kinds = groupBy(work.groups, ({ meter }) =>
      meter.kind === 'percentile' ? 'percentile' : isCounter(meter) ? 'counter' : 'tally',
    );
    // Independent of each other: the store's two reading lanes serve them side by side.
    await Promise.all([
      readCounters(this.deps, kinds.get('counter') ?? []),
      this.tallies.read(kinds.get('tally') ?? [], this.isExact),
    ]);
    const shares = asks.flatMap((ask, i) => (work.shares[i] ?? []).map((share) => ({ ask, share })));
    await readPercentiles(
      this.deps.past,
      shares.filter(({ share }) => share.meter.kind === 'percentile'),
    );
    await this.addEvents(shares.filter(({ ask }) => ask.events).map(({ share }) => share));
    return work;
  }

  private async addEvents(shares: readonly Work['shares'][number][number][]): Promise<void> {
    if (shares.length === 0) return;
    const { usage, registry, book, frontier } = this.deps.past;
    const completeness = this.deps.past.completeness ?? new Completeness(book, []);
    for (const [, list] of groupBy(shares, (share) => share.meter.key)) {
      const closer = new EventCloser({ usage, registry, book, frontier, completeness });
      await addEvents(closer, [...new Set(list.map((share) => share.group))]);
    }
  }
}
