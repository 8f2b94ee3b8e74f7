/** What can be said of a run: of this process' own ones as they go on, of others what is in the store. */
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { BillingRun, RunCounts } from '../../store/billing-store.ts';
import type { BatchOutcome, Made } from './batch.ts';
import type { Failure } from './failure.ts';

export interface RunView extends RunCounts {
  /** The id of a run of all accounts; `try-1` of one that is not kept: a dry one, or of some accounts only. */
  ref: string;
  frontier: Receipt;
  until: Instant;
  dryRun: boolean;
  startedAt: Instant;
  finishedAt: Instant | null;
  outcome: 'running' | 'done' | 'failed';
  error: string;
  /** Accounts in all; null: this process does not know. */
  of: number | null;
  /** Of what became final in this process, by currency; of a dry run, of what would have. */
  totals: Record<string, bigint>;
  /** The first ones, of a run that is not kept. */
  made: Made[];
  failures: Failure[];
}

/** Memory of one view; the store keeps all failures of its runs. */
const LISTED_MAX = 1000;

export const storedView = ({
  id,
  frontier,
  until,
  startedAt,
  finishedAt,
  outcome,
  error,
  ...run
}: BillingRun): RunView => ({
  ...{ ref: String(id), frontier, until, startedAt, finishedAt, outcome, error, dryRun: false },
  ...countsOf(run),
  ...{ of: null, totals: {}, made: [], failures: [] },
});

export const countsOf = ({ accounts, invoices, drafts, blocked, failed }: RunCounts): RunCounts => ({
  ...{ accounts, invoices, drafts, blocked, failed },
});

export const noCounts: RunCounts = { accounts: 0, invoices: 0, drafts: 0, blocked: 0, failed: 0 };

export function countsIn(accounts: number, { made, failures }: BatchOutcome): RunCounts {
  const drafts = made.filter(({ number }) => number === '');
  const blocked = drafts.filter((draft) => draft.blocked.length > 0).length;
  return { accounts, invoices: made.length - drafts.length, drafts: drafts.length, blocked, failed: failures.length };
}

export function addTo(view: RunView, counts: RunCounts, { made, failures }: BatchOutcome): void {
  view.accounts += counts.accounts;
  view.invoices += counts.invoices;
  view.drafts += counts.drafts;
  view.blocked += counts.blocked;
  view.failed += counts.failed;
  for (const { number, currency, total } of made) {
    if (number !== '') view.totals[currency] = (view.totals[currency] ?? 0n) + total;
  }
  const room = <T>(list: T[], more: readonly T[]): void => void list.push(...more.slice(0, LISTED_MAX - list.length));
  room(view.failures, failures);
  room(view.made, made);
}
