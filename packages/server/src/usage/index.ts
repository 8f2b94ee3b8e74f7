/** What the rest of the server asks of usage: the job, the answers, the corrections. */
import type * as Disk from 'node:fs/promises';
import type { Book } from '../domain/book.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import { type Instant, windowCeil, windowStart } from '../domain/window.ts';
import type { ControlLog } from '../store/control-log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { Corrections } from './corrections.ts';
import { type Explained, explain } from './explain.ts';
import { exportFacts } from './export.ts';
import { Job, type JobSettings, jobDefaults } from './job.ts';
import { MeteredAt } from './metered-reader.ts';
import { Publisher } from './publish.ts';
import { queryUsage, type UsageQuery, type UsageRow } from './query.ts';
import type { ReadDeps } from './read-counters.ts';
import { recordedAt, unrecorded } from './read-deps.ts';
import { type Filter, Selection, UNATTRIBUTED, type Viewer } from './selection.ts';

export type { EventRef } from './corrections.ts';
export { UsageError } from './errors.ts';
export type { Explained, ExplainedCounter, ExplainedReading, ExplainedRecord } from './explain.ts';
export type { ExplainedEvent, ExplainedTally } from './explain-events.ts';
export { type JobSettings, type JobStatus, jobDefaults } from './job.ts';
export type { Changed } from './metered-changes.ts';
export type { Difference, FactRef } from './metered-difference.ts';
export type { MeteredAt } from './metered-reader.ts';
export { edgesOf, pageOf, queryLimits, type UsageQuery, type UsageRow, type WindowSize, windowSizes } from './query.ts';
export { type ReplayedRecord, replay } from './replay.ts';
export { type Filter, UNATTRIBUTED, type Viewer } from './selection.ts';

export interface UsageDeps {
  usage: UsageStore;
  control: ControlStore;
  log: ControlLog;
  registry: SeriesRegistry;
  receipts: Receipts;
  clock: Clock;
  /** Unique per process: who holds the job's leases. */
  holder: string;
  groups: number;
  settings?: Partial<JobSettings>;
  /** Where closed days are published; null: nowhere. */
  publish: { dir: string; disk: typeof Disk } | null;
  report(event: string, detail: Record<string, unknown>): void;
}

/** An answer and the frontier it was computed at: asked again with `asOf`, it is the same. */
export interface Answer {
  rows: UsageRow[];
  frontier: Receipt;
}

export class Usage {
  readonly job: Job;
  readonly corrections: Corrections;
  private readonly deps: UsageDeps;
  private readonly selection: Selection;
  private lastBook: { at: Receipt; book: Book } | null = null;

  constructor(deps: UsageDeps) {
    this.deps = deps;
    const { usage, control, log, registry } = deps;
    const publisher = deps.publish === null ? null : new Publisher({ usage, control, registry, ...deps.publish });
    this.job = new Job({ ...deps, publisher, settings: { ...jobDefaults, ...deps.settings } });
    this.corrections = new Corrections({ usage, control, log, registry });
    this.selection = new Selection(log.book, registry);
  }

  /** Usage rows of the query, limited to what the viewer may see. With `asOf`, from the facts known then. */
  async query(query: UsageQuery, viewer: Viewer, asOf: Receipt | null = null): Promise<Answer> {
    const deps = asOf === null ? await this.current() : await this.past(asOf);
    const selection = asOf === null ? this.selection : new Selection(deps.book, this.deps.registry, asOf);
    return { rows: await queryUsage(deps, selection, query, viewer), frontier: deps.frontier };
  }

  /** Usage as it is billed, as of S; by default of what the job has accounted for. `factsOnly`: without its records. */
  meteredAt(asOf: Receipt | null = null, factsOnly = false): Promise<MeteredAt> {
    const { usage, control, registry, clock, receipts } = this.deps;
    const bookAt = (frontier: Receipt): Promise<Book> => this.bookAt(frontier);
    const sources = { usage, control, registry, clock, bookAt, frontier: () => receipts.frontier() };
    return MeteredAt.open(sources, asOf, factsOnly);
  }

  /** With `asOf`, from the facts known then; stored records of a later frontier are then not confirmed. */
  async explain(
    ref: string,
    viewer: Viewer,
    parse: (text: string) => Instant | null,
    asOf: Receipt | null = null,
  ): Promise<Explained> {
    const { usage, control, registry, log, receipts } = this.deps;
    const at =
      asOf === null
        ? { book: log.book, frontier: receipts.frontier(), isPast: false }
        : { book: await this.bookAt(asOf), frontier: asOf, isPast: true };
    return explain({ usage, control, registry, ...at }, ref, viewer, parse);
  }

  /** Lines of facts for `tollgate replay`. */
  async *exportFacts(filter: Filter, from: Instant, to: Instant, viewer: Viewer): AsyncIterable<string> {
    const { usage, control, log, receipts } = this.deps;
    const deps = { usage, control, book: log.book, frontier: receipts.frontier() };
    const [first, last] = [windowStart(from), windowCeil(to)];
    const accounts = viewer === null ? null : this.selection.within(filter, viewer);
    yield* exportFacts(deps, this.selection.holdings(filter, viewer, first, last), first, last, accounts);
  }

  /** Rows of what belongs to nobody in [from, to): must stay empty, or somebody must be told. */
  async unattributed(from: Instant, to: Instant): Promise<UsageRow[]> {
    const filter = { accounts: [UNATTRIBUTED] };
    const query: UsageQuery = { filter, from, to, windowSize: 'total', zone: 'UTC', groupBy: ['resource'] };
    const { rows } = await this.query(query, null);
    return rows.filter((r) => r.quantity !== null && r.quantity !== '0');
  }

  private async current(): Promise<ReadDeps> {
    const { usage, registry, log, receipts, control, clock } = this.deps;
    // Before the frontier is taken: no record that is read accounts for more than the answer says.
    const recorded = recordedAt(await control.progress());
    return {
      usage,
      registry,
      book: log.book,
      frontier: receipts.frontier(),
      ...recorded,
      // A clock that stepped back does not make less of what is known.
      now: Math.max(clock.now(), log.book.lastTick),
    };
  }

  /** Everything from facts with receipt <= asOf: no record is read. */
  private async past(asOf: Receipt): Promise<ReadDeps> {
    const book = await this.bookAt(asOf);
    const { usage, registry, clock } = this.deps;
    const now = book.lastTick === 0 ? clock.now() : book.lastTick;
    return { usage, registry, book, frontier: asOf, ...unrecorded, now };
  }

  /** Folding the log is the dear part of an answer about the past; who asks about one instant asks again. */
  private async bookAt(asOf: Receipt): Promise<Book> {
    const { log, receipts } = this.deps;
    if (this.lastBook?.at === asOf) return this.lastBook.book;
    // Below an open receipt a fact may still come: that book is not final.
    const isFinal = asOf <= receipts.frontier();
    const book = await log.bookAt(asOf);
    if (isFinal) this.lastBook = { at: asOf, book };
    return book;
  }
}
