/**
 * The usage job. One run takes a frontier S (every receipt up to S is durable), rewrites closed windows that facts since
 * the last frontier touched, closes the windows that have become closable, and then advances the progress, if the lease
 * is still its own. Progress only schedules: a run that dies, or is paused and wakes up after a takeover, has written
 * records of an older S, which lose against the newer ones (law 7), or the same S with the same content.
 */
import type { Book } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import { groupRange } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { ControlLog } from '../store/control-log.ts';
import type { ControlStore, Lease, Progress, Run } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Touched, UsageStore } from '../store/usage-store.ts';
import { add, type CloseDeps, type Closed, closeCounters, rewriteCounters } from './close-counters.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { writeReplacement } from './corrections.ts';
import type { Exceptions } from './exceptions.ts';
import { History } from './history.ts';
import { arrangeSpans, type Backlog, backlogOf, spansOf } from './progress.ts';
import type { Publisher } from './publish.ts';

export interface JobDeps {
  usage: UsageStore;
  control: ControlStore;
  log: ControlLog;
  registry: SeriesRegistry;
  receipts: Receipts;
  clock: Clock;
  /** Unique per process: who holds the leases. */
  holder: string;
  groups: number;
  /** Publishes closed days; null: nobody wants them. */
  publisher: Publisher | null;
  settings: JobSettings;
  report(event: string, detail: Record<string, unknown>): void;
}

export interface JobSettings {
  intervalMs: number;
  /** Windows close at the latest this long after their end. */
  deadlineMs: number;
  leaseMs: number;
  /** Windows closed between two advances: bounds memory and what a crash repeats. */
  chunkWindows: number;
  /** From this many touched series on, rewriting a span for the whole group is cheaper than going series by series. */
  rewriteGroupAt?: number;
}

const REWRITE_GROUP_AT = 2_000;

export const jobDefaults: JobSettings = {
  intervalMs: 300_000,
  deadlineMs: 900_000,
  leaseMs: 30_000,
  chunkWindows: 24,
};

export interface JobStatus {
  running: boolean;
  frontier: Receipt;
  lastRunAt: Instant;
  nextRunAt: Instant;
  closedTo: Instant;
  backlog: Backlog[];
  lastError: string;
}

/** What one run goes by. */
interface View {
  book: Book;
  exceptions: Exceptions;
  completeness: Completeness;
  frontier: Receipt;
}

export class Job {
  private readonly deps: JobDeps;
  private readonly history: History;
  private completenessAt = new Map<Receipt, Completeness>();
  private running: Promise<void> | null = null;
  /** Runs and reruns move one book: they take turns. */
  private turn: Promise<unknown> = Promise.resolve();
  private stopping = new AbortController();
  private loop: Promise<void> | null = null;
  private status_ = { lastRunAt: 0, nextRunAt: 0, lastError: '' };

  constructor(deps: JobDeps) {
    this.deps = deps;
    this.history = new History(deps.registry);
  }

  start(): void {
    this.loop ??= this.repeat();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop?.catch(() => undefined);
    await this.turn.catch(() => undefined);
    for (const lease of await this.deps.control.leases()) {
      if (lease.holder === this.deps.holder) await this.deps.control.releaseLease(lease);
    }
  }

  /** One run over all groups; joins the one under way. */
  run(): Promise<void> {
    this.running ??= this.inTurn(() => this.runAll()).finally(() => {
      this.running = null;
    });
    return this.running;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work, work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  /** Computes [from, to) again from the facts: the same records, unless something derived was damaged. */
  rerun(from: Instant, to: Instant): Promise<{ records: number }> {
    return this.inTurn(() => this.rerunAll(from, to));
  }

  private async rerunAll(from: Instant, to: Instant): Promise<{ records: number }> {
    const view = await this.view();
    let records = 0;
    for (let group = 0; group < this.deps.groups; group++) {
      const lease = await this.lease(group);
      if (lease === null) continue;
      for (const row of await spansOf(this.deps.control, 'counter', group)) {
        const [first, last] = [Math.max(from, row.from), Math.min(to, row.closedTo)];
        for (let w = windowStart(first); w < last; w += this.deps.settings.chunkWindows * WINDOW_MS) {
          const end = Math.min(w + this.deps.settings.chunkWindows * WINDOW_MS, last);
          records += (await closeCounters(this.closeDeps(view), group, w, end)).records;
        }
      }
    }
    for (const row of await spansOf(this.deps.control, 'event', 0)) {
      const [first, last] = [Math.max(windowStart(from), row.from), Math.min(to, row.closedTo)];
      if (first < last) records += (await (await this.eventCloser(view)).close(first, last)).records;
    }
    return { records };
  }

  async status(): Promise<JobStatus> {
    const rows = await this.deps.control.progress();
    const completeness = this.completenessAt.get(this.history.at);
    const closable = completeness?.closable(this.deps.settings.deadlineMs) ?? 0;
    const live = rows.filter((r) => r.to === null);
    return {
      ...this.status_,
      running: this.running !== null,
      frontier: this.history.at,
      closedTo: live.length === 0 ? 0 : Math.min(...live.map((r) => r.closedTo)),
      backlog: backlogOf(rows, closable),
    };
  }

  private async repeat(): Promise<void> {
    const { clock, settings, report } = this.deps;
    while (!this.stopping.signal.aborted) {
      try {
        await this.run();
        this.status_.lastError = '';
      } catch (error) {
        this.status_.lastError = String(error);
        report('job.failed', { error: String(error) });
      }
      this.status_.nextRunAt = clock.now() + settings.intervalMs;
      await clock.sleep(settings.intervalMs, this.stopping.signal).catch(() => undefined);
    }
  }

  private async runAll(): Promise<void> {
    await this.tick();
    const view = await this.view();
    const errors: unknown[] = [];
    for (let group = 0; group < this.deps.groups && !this.stopping.signal.aborted; group++) {
      // One group's failure does not keep the others from their turn.
      await this.runGroup(group, view).catch((error: unknown) => errors.push(error));
    }
    this.status_.lastRunAt = this.deps.clock.now();
    if (errors.length === 0) await this.publish(view);
    if (errors.length > 0) throw errors[0];
  }

  private async publish(view: View): Promise<void> {
    const { publisher, control, report } = this.deps;
    if (publisher === null) return;
    const rows = await control.progress();
    // A day is closed when no span still has windows of it to close.
    const open = rows.map((r) => (r.to === null || r.closedTo < r.to ? r.closedTo : Number.MAX_SAFE_INTEGER));
    const days = await publisher.publish(Math.min(...open), view.frontier);
    if (days.length > 0) report('job.published', { days });
  }

  /** Records what the wall clock says, if it moved forward: grace and settling are judged by this fact alone. */
  private async tick(): Promise<void> {
    const at = this.deps.clock.now();
    if (at <= this.deps.log.book.lastTick) return;
    await this.deps.log.append([{ kind: 'tick', at }], { tenant: '', author: 'system', reason: 'usage run' });
  }

  /** Moves the job's own book to the frontier. */
  private async view(): Promise<View> {
    const { control, receipts, usage } = this.deps;
    const { history } = this;
    const frontier = receipts.frontier();
    for (;;) {
      const page = await control.facts(history.at, 50_000, { upTo: frontier });
      for (const fact of page) {
        // One by one: what fails in the middle of a page goes on from there, and folds nothing twice.
        await writeReplacement(usage, fact);
        history.apply(fact);
      }
      if (page.length === 0) break;
    }
    history.at = frontier;
    const completeness = new Completeness(history.book, await usage.declarations(frontier));
    this.completenessAt = new Map([[frontier, completeness]]);
    return { book: history.book, exceptions: history.exceptions, completeness, frontier };
  }

  private async runGroup(group: number, view: View): Promise<void> {
    const lease = await this.lease(group);
    if (lease === null) return;
    const closable = view.completeness.closable(this.deps.settings.deadlineMs);
    await this.runStream('counter', group, view, closable, lease);
    if (group === 0) await this.runStream('event', group, view, closable, lease);
  }

  private lease(group: number): Promise<Lease | null> {
    const { control, holder, clock, settings } = this.deps;
    return control.acquireLease(group, holder, clock.now(), settings.leaseMs);
  }

  private async runStream(
    stream: Progress['stream'],
    group: number,
    view: View,
    closable: Instant,
    lease: Lease,
  ): Promise<void> {
    const { control, clock } = this.deps;
    const begin = () => this.origin(view);
    const rows = await arrangeSpans(control, stream, group, closable, begin, lease, clock.now());
    const started = clock.elapsed();
    for (const row of rows) {
      const rewritten = await this.runSpan(row, view, closable, group, started);
      if (!rewritten) return;
    }
  }

  /** Where the first span of a group begins: at the earliest fact there is. */
  private async origin(view: View): Promise<{ origin: Instant; frontier: Receipt }> {
    const first = await this.deps.usage.extent(view.frontier);
    return { origin: first === null ? Number.MAX_SAFE_INTEGER : windowStart(first), frontier: view.frontier };
  }

  /** Rewrites and closes one span; false when the lease was lost, or when new windows should have their turn first. */
  private async runSpan(
    row: Progress,
    view: View,
    closable: Instant,
    group: number,
    started: number,
  ): Promise<boolean> {
    const { control, clock, settings, report } = this.deps;
    const end = Math.max(row.closedTo, Math.min(row.to ?? closable, closable));
    const run = await this.startRun(row, view, end);
    let current = row;
    const total: Closed = { records: 0, odd: 0, setAside: [], failed: [] };
    try {
      const rewritten = current.frontier === view.frontier ? null : await this.rewrite(current, view, group);
      if (rewritten !== null) add(total, rewritten);
      run.rewritten = rewritten?.records ?? 0;
      do {
        const to = Math.min(end, current.closedTo + settings.chunkWindows * WINDOW_MS);
        if (to > current.closedTo) add(total, await this.close(current, view, group, to));
        await this.setAside(total);
        await this.deps.publisher?.markDirty(current.closedTo, to);
        const lease = await this.lease(group);
        const advanced = lease !== null && (await control.advance(current, to, view.frontier, lease, clock.now()));
        if (!advanced) return await this.endRun(run, total, 'lost-lease');
        current = { ...current, closedTo: to, frontier: view.frontier };
        this.history.advanced(row);
        if (row.to !== null) report('job.progress', { group, closedTo: to, to: end });
      } while (current.closedTo < end && !this.stopping.signal.aborted && !this.liveIsDue(row, started));
    } catch (error) {
      run.error = String(error);
      await this.endRun(run, total, 'failed');
      throw error;
    }
    run.windows = Math.round((current.closedTo - row.closedTo) / WINDOW_MS);
    await this.endRun(run, total, 'done');
    return !this.liveIsDue(row, started);
  }

  private liveIsDue(row: Progress, started: number): boolean {
    return row.to !== null && this.deps.clock.elapsed() - started > this.deps.settings.intervalMs;
  }

  private async close(row: Progress, view: View, group: number, to: Instant): Promise<Closed> {
    if (row.stream === 'counter') return closeCounters(this.closeDeps(view), group, row.closedTo, to);
    return (await this.eventCloser(view)).close(row.closedTo, to);
  }

  /** Closed windows that facts in (row.frontier, S] may have changed. */
  private async rewrite(row: Progress, view: View, group: number): Promise<Closed> {
    if (row.stream === 'event') {
      const declared = await this.deps.usage.declarations(row.frontier);
      const before = new Completeness(this.history.sourcesAt(row.frontier), declared);
      const facts = this.history.since(row.frontier);
      const cuts = (fact: ControlFact): Instant[] => view.exceptions.cutsOf(fact);
      return (await this.eventCloser(view)).rewrite(row, { facts, before, cuts });
    }
    const { usage } = this.deps;
    const { first, last } = groupRange(group);
    const span = { firstSeries: first, lastSeries: last, from: row.from, to: row.closedTo };
    const touched = await usage.touchedCounters(span, row.frontier, view.frontier);
    touched.push(...(await this.touchedBySettling(row, view, span)));
    const corrected = this.history.corrected(row, first, last);
    await this.markTouched([...touched, ...corrected], row);
    const changes = { touched, corrected, since: row.frontier };
    return rewriteCounters(this.closeDeps(view), group, changes, row.from, row.closedTo);
  }

  /** Published days that are about to change are published again. */
  private async markTouched(touched: readonly Touched[], row: Progress): Promise<void> {
    const { publisher } = this.deps;
    if (publisher === null || touched.length === 0) return;
    const from = touched.reduce((t, x) => Math.min(t, x.from), row.closedTo);
    const to = touched.reduce((t, x) => Math.max(t, Math.min(x.to, row.closedTo)), row.from);
    if (from < to) await publisher.markDirty(Math.max(from, row.from), to);
  }

  /** Pending records whose settling time passed since the row was last advanced. */
  private async touchedBySettling(
    row: Progress,
    view: View,
    span: { firstSeries: number; lastSeries: number },
  ): Promise<Touched[]> {
    const to = Math.min(windowCeil(view.book.latestSettled()), row.closedTo);
    const from = Math.max(row.from, this.history.pendingFrom(row));
    return to <= from ? [] : this.deps.usage.pendingCounters({ ...span, from, to });
  }

  private closeDeps(view: View): CloseDeps {
    const { usage, registry, settings } = this.deps;
    const { exceptions, book, frontier } = view;
    return { usage, registry, exceptions, book, frontier, rewriteGroupAt: settings.rewriteGroupAt ?? REWRITE_GROUP_AT };
  }

  private async eventCloser(view: View): Promise<EventCloser> {
    const { usage, registry, control } = this.deps;
    // While a backlog is worked off, records after it exist before those inside: a level builds on none of them.
    const open = (await control.progress()).filter((r) => r.stream === 'event' && (r.to === null || r.closedTo < r.to));
    const closedTo = Math.min(...open.map((r) => r.closedTo));
    const { book, frontier, completeness } = view;
    return new EventCloser({ usage, registry, book, frontier, completeness, closedTo });
  }

  /** What was set aside becomes visible; a series whose computation fails is quarantined by a fact of its own. */
  private async setAside(total: Closed): Promise<void> {
    const { control, log, clock, report } = this.deps;
    const recordedAt = clock.now();
    if (total.setAside.length > 0) {
      await control.addSetAside(total.setAside.splice(0).map((item) => ({ ...item, recordedAt })));
    }
    for (const { series, from, error } of total.failed.splice(0)) {
      report('series.quarantined', { series, error });
      const known = this.deps.registry.byId(series);
      const since = known === undefined ? null : this.history.book.decisionsFor(known).quarantinedFrom;
      if (since !== null && since <= from) continue;
      const tenant = known?.tenant ?? '';
      await log.append([{ kind: 'quarantine', series, from, code: 'series.failed' }], {
        tenant,
        author: 'system',
        reason: error,
      });
    }
  }

  private async startRun(row: Progress, view: View, end: Instant): Promise<Run> {
    const run: Omit<Run, 'id'> = {
      stream: row.stream,
      group: row.group,
      frontier: view.frontier,
      from: row.closedTo,
      to: end,
      startedAt: this.deps.clock.now(),
      finishedAt: null,
      windows: 0,
      records: 0,
      rewritten: 0,
      odd: 0,
      setAside: 0,
      outcome: 'running',
      error: '',
    };
    return { ...run, id: await this.deps.control.startRun(run) };
  }

  private async endRun(run: Run, total: Closed, outcome: Run['outcome']): Promise<boolean> {
    const finished = { ...run, records: total.records, odd: total.odd, outcome, finishedAt: this.deps.clock.now() };
    await this.deps.control.finishRun(finished);
    return outcome === 'done';
  }
}
