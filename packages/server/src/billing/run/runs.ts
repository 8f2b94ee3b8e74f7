/**
 * Invoice runs: all payers in order of their ids, batch by batch, as of one S. A run of all is a row in the store that
 * is held by one server; what was cut off is gone on with after the last batch that is noted there. What is final stays
 * final: a batch that was made and not noted finds nothing due.
 */
import type { Clock } from '../../domain/environment.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import type { BillingRun, BillingStore, Fence } from '../../store/billing-store.ts';
import { explainError } from '../../store/errors.ts';
import { Batch, type Made, type RunContext, type Wave } from './batch.ts';
import { Breath } from './breath.ts';
import { type ChangeReader, Changes } from './changes.ts';
import { payersOf } from './due.ts';
import { type Failure, isLost } from './failure.ts';
import { type ReasonDeps, Reasons } from './reasons.ts';
import { addTo, countsIn, noCounts, type RunView, storedView } from './view.ts';

export type RunReader = ChangeReader & { readonly closedTo: Instant };

export interface RunDeps extends ReasonDeps {
  billing: BillingStore;
  meteredAt(asOf: Receipt | null): Promise<RunReader>;
  clock: Clock;
  /** Lets the rest of the process go on. */
  pause(): Promise<void>;
  /** Unique per process: who holds runs. */
  holder: string;
  report(event: string, detail: Record<string, unknown>): void;
  /** Payers that are billed together. */
  batch?: number;
}

export interface RunAsk {
  /** Periods that ended by then; left away: by now. */
  until?: Instant;
  /** Payers; left away: all. */
  accounts?: readonly string[];
  dryRun?: boolean;
}

const BATCH = 1000;
/** Batches that are begun while one is written: one waits for its answers while another is composed. */
const AHEAD = 2;
const HOLD_MS = 120_000;
const RENEW_MS = 20_000;
/** Views of runs that are over. */
const VIEWS_MAX = 50;
/** Runs among which one that was cut off is looked for. */
const RECENT = 50;

export class InvoiceRuns {
  private readonly deps: RunDeps;
  private readonly views = new Map<string, RunView>();
  private whole: { view: RunView; done: Promise<void> } | null = null;
  private tries = 0;
  private isStopped = false;

  constructor(deps: RunDeps) {
    this.deps = deps;
  }

  /** Begins one, or joins the one of all accounts that this or another server is at. The view moves on by itself. */
  async start(ask: RunAsk = {}): Promise<{ view: RunView; done: Promise<void> }> {
    if (ask.accounts !== undefined || ask.dryRun === true) return this.startTry(ask);
    this.whole ??= await this.startWhole(ask.until ?? this.deps.clock.now());
    return this.whole;
  }

  /** What is at work ends after the batch it is at. */
  stop(): void {
    this.isStopped = true;
  }

  /** Until it is over. */
  async run(ask: RunAsk = {}): Promise<RunView> {
    const { view, done } = await this.start(ask);
    await done;
    return view;
  }

  /**
   * One period of one payer, final without waiting for what may come late; what is due before it comes first. Answers what
   * came of it: no number where something is in the way; null where it is not due.
   */
  async finaliseNow(account: string, span: Interval): Promise<{ made: Made | null; failure: Failure | null }> {
    const { clock, meteredAt } = this.deps;
    const reader = await meteredAt(null);
    const now = { until: span.to, startedAt: clock.now(), dryRun: false };
    const batch = new Batch({ ...this.contextOf(reader, now, null), early: span }, [account]);
    const { made, failures } = await batch.finish(await batch.begin());
    const own = made.find(({ from, to }) => from === span.from && to === span.to);
    return { made: own ?? null, failure: failures[0] ?? null };
  }

  async view(ref: string): Promise<RunView | null> {
    const known = this.views.get(ref);
    if (known !== undefined || !/^[1-9]\d{0,14}$/.test(ref)) return known ?? null;
    const stored = await this.deps.billing.billingRun(Number(ref));
    return stored === null ? null : storedView(stored);
  }

  /** Kept ones, newest first; this process' own as they are now. */
  async list(limit: number, before?: number): Promise<RunView[]> {
    const rows = await this.deps.billing.billingRuns({ limit, ...(before === undefined ? {} : { before }) });
    return rows.map((row) => this.views.get(String(row.id)) ?? storedView(row));
  }

  private async startTry(ask: RunAsk): Promise<{ view: RunView; done: Promise<void> }> {
    const { clock, meteredAt } = this.deps;
    const startedAt = clock.now();
    const reader = await meteredAt(null);
    const until = ask.until ?? startedAt;
    const dryRun = ask.dryRun === true;
    const row = {
      frontier: reader.frontier,
      until,
      startedAt,
      finishedAt: null,
      outcome: 'running' as const,
      error: '',
    };
    const lists = { of: null, totals: {}, made: [], failures: [] };
    const view: RunView = { ref: `try-${++this.tries}`, ...row, ...noCounts, dryRun, ...lists };
    this.keep(view);
    const payers = ask.accounts === undefined ? payersOf(reader.book) : [...new Set(ask.accounts)].sort();
    const done = this.work(this.contextOf(reader, view, null), payers, view, async () => undefined);
    return { view, done: this.ending(view, done) };
  }

  private async startWhole(until: Instant): Promise<{ view: RunView; done: Promise<void> }> {
    const { billing, clock, holder, meteredAt } = this.deps;
    const cutOff = (await billing.billingRuns({ limit: RECENT })).findLast((run) => run.outcome === 'running');
    const reader = await meteredAt(cutOff?.frontier ?? null);
    const asked = { frontier: reader.frontier, until, startedAt: clock.now() };
    const row = cutOff ?? (await billing.startBillingRun(asked));
    const held = await billing.holdBillingRun(row.id, holder, clock.now(), HOLD_MS);
    const view = storedView(held ?? row);
    if (held === null) return { view, done: Promise.resolve() };
    this.keep(view);
    const done = this.workHeld(reader, held, view).finally(() => {
      this.whole = null;
    });
    return { view, done: this.ending(view, done) };
  }

  private async workHeld(reader: RunReader, held: BillingRun, view: RunView): Promise<void> {
    const { billing, clock, holder } = this.deps;
    let renewed = clock.elapsed();
    const fence = async (): Promise<Fence> => {
      const now = clock.now();
      if (clock.elapsed() - renewed > RENEW_MS) {
        await billing.holdBillingRun(held.id, holder, now, HOLD_MS);
        renewed = clock.elapsed();
      }
      return { run: held.id, token: held.token, now };
    };
    const payers = payersOf(reader.book).filter((payer) => payer > held.cursor);
    view.of = held.accounts + payers.length;
    await this.work(this.contextOf(reader, view, fence), payers, view, async (cursor, counts, failures) => {
      await billing.advanceBillingRun(await fence(), { cursor, counts, failures });
    });
    await billing.finishBillingRun(await fence(), 'done', '');
  }

  private contextOf(
    reader: RunReader,
    view: Pick<RunView, 'until' | 'startedAt' | 'dryRun'>,
    fence: RunContext['fence'],
  ): RunContext {
    const { billing, clock, pause } = this.deps;
    const { book } = reader;
    const changes = new Changes(reader);
    const reasons = new Reasons(this.deps, reader);
    const common = { until: view.until, at: view.startedAt, dryRun: view.dryRun, early: null };
    return { billing, book, reader, changes, reasons, ...common, fence, breath: new Breath(clock, pause) };
  }

  /** Batches are metered and composed while the one before them is written: meters and books are engines of their own. */
  private async work(
    context: RunContext,
    payers: readonly string[],
    view: RunView,
    note: (cursor: string, counts: ReturnType<typeof countsIn>, failures: RunView['failures']) => Promise<void>,
  ): Promise<void> {
    view.of ??= payers.length;
    const size = this.deps.batch ?? BATCH;
    const begun: { batch: Batch; first: Promise<Wave>; some: readonly string[] }[] = [];
    let at = 0;
    const beginNext = (): void => {
      for (; begun.length < AHEAD && at < payers.length; at += size) {
        const some = payers.slice(at, at + size);
        const batch = new Batch(context, some);
        const first = batch.begin();
        // It is waited for below; when a batch before it fails, nobody does.
        first.catch(() => undefined);
        begun.push({ batch, first, some });
      }
    };
    for (beginNext(); ; beginNext()) {
      const next = begun[0];
      if (next === undefined) return;
      const { batch, first, some } = next;
      const wave = await first;
      if (this.isStopped) throw new Error('The server stops. The run goes on when one is started again.');
      begun.shift();
      beginNext();
      const outcome = await batch.finish(wave);
      const counts = countsIn(some.length, outcome);
      await note(some.at(-1) ?? '', counts, outcome.failures);
      addTo(view, counts, outcome);
    }
  }

  private keep(view: RunView): void {
    this.views.set(view.ref, view);
    const [oldest] = this.views.keys();
    if (this.views.size > VIEWS_MAX && oldest !== undefined) this.views.delete(oldest);
  }

  /** It never rejects: what went wrong is in the view, and a run that is kept goes on later. */
  private async ending(view: RunView, done: Promise<void>): Promise<void> {
    try {
      await done;
      view.outcome = 'done';
    } catch (error) {
      view.outcome = 'failed';
      view.error = isLost(error) ? 'Another server goes on with it.' : explainError(error);
      this.deps.report('invoice run stopped', { run: view.ref, error: view.error });
    }
    view.finishedAt = this.deps.clock.now();
  }
}
