/** Billing as the server opens it: invoice runs in the background and by hand, and what is done to documents by hand. */
import type { Clock } from '../domain/environment.ts';
import type { Invoice } from '../store/billing-store.ts';
import type { ControlLog } from '../store/control-log.ts';
import type { ControlStore } from '../store/control-store.ts';
import { explainError } from '../store/errors.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { Usage } from '../usage/index.ts';
import { expireCredits } from './ledger/credits.ts';
import { Reconciler } from './proof/reconcile.ts';
import { creditByHand, type HandDeps, voidByHand } from './run/by-hand.ts';
import type { CreditAsk } from './run/credit-note.ts';
import { InvoiceRuns, type RunDeps } from './run/runs.ts';

export type { Made } from './run/batch.ts';
export type { RunAsk } from './run/runs.ts';
export type { RunView } from './run/view.ts';

export interface BillingDeps {
  control: ControlStore;
  log: ControlLog;
  usage: Usage;
  store: UsageStore;
  registry: SeriesRegistry;
  clock: Clock;
  /** Unique per process. */
  holder: string;
  /** Lets the rest of the process go on. */
  pause(): Promise<void>;
  report(event: string, detail: Record<string, unknown>): void;
}

/** What the last reconciliation found. */
const RECONCILED = 'billing.reconciled';
const RECONCILE_MS = 3_600_000;

export class Billing {
  readonly runs: InvoiceRuns;
  readonly reconciler: Reconciler;
  private readonly deps: BillingDeps;
  private readonly hand: HandDeps;
  private readonly stopped = new AbortController();
  private repeating: Promise<unknown> = Promise.resolve();

  constructor(deps: BillingDeps) {
    const { control, log, usage, store, registry, clock, holder, pause, report } = deps;
    const { billing } = control;
    this.deps = deps;
    this.hand = { billing, book: () => log.book, now: () => clock.now() };
    const meteredAt: RunDeps['meteredAt'] = (asOf) => usage.meteredAt(asOf);
    const kept = {
      read: () => control.meta(RECONCILED),
      write: (text: string) => control.setMeta(RECONCILED, text),
    };
    this.reconciler = new Reconciler({
      billing,
      meteredAt: (asOf) => usage.meteredAt(asOf),
      now: () => clock.now(),
      kept,
    });
    this.runs = new InvoiceRuns({ billing, meteredAt, store, registry, clock, holder, pause, report });
  }

  /** Credits part of a line of an invoice, amount in minor units. Throws LedgerError. */
  credit(id: number, ask: CreditAsk): ReturnType<typeof creditByHand> {
    return creditByHand(this.hand, id, ask);
  }

  /** Reverses an invoice in full. Throws LedgerError. */
  void(id: number, reason: string): Promise<Omit<Invoice, 'document'>> {
    return voidByHand(this.hand, id, reason);
  }

  /** Runs now and every so often; reconciles by the hour. */
  start(intervalMs: number): void {
    this.repeating = Promise.all([
      this.repeat(intervalMs, () => this.pass()),
      this.repeat(RECONCILE_MS, () => this.reconcile()),
    ]);
  }

  /** A run that is at work is cut off after its batch's statement; the next start goes on with it. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.runs.stop();
    this.reconciler.stop();
    await this.repeating;
  }

  private async repeat(intervalMs: number, work: () => Promise<void>): Promise<void> {
    const { clock, report } = this.deps;
    const { signal } = this.stopped;
    while (!signal.aborted) {
      // A pass that fails is told, and the next one tries again.
      await work().catch((error: unknown) => report('billing failed', { error: explainError(error) }));
      await clock.sleep(intervalMs, signal).catch(() => undefined);
    }
  }

  private async reconcile(): Promise<void> {
    const { found, findings } = await this.reconciler.pass(false);
    const [first] = findings;
    if (first === undefined) return;
    const { stage, account, document, text } = first;
    this.deps.report('books do not agree', { found, stage, account, document, text });
  }

  private async pass(): Promise<void> {
    const { control, log, clock, report } = this.deps;
    await this.runs.run();
    const entityOf = (account: string): string => {
      const { billing } = log.book;
      return billing.entityOf(billing.profileOf(account).entity)?.key ?? '';
    };
    await expireCredits(control.billing, entityOf, clock.now(), (account, error) =>
      report('credits could not be ended', { account, error: explainError(error) }),
    );
  }
}
