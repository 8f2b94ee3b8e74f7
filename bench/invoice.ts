/**
 * `invoice`: the real run over 100,000 accounts with ten lines each, from metering to final invoices and ledger, on chDB and
 * embedded PostgreSQL. A tenth of the accounts changed plans in the middle of the month, so that fees are prorated and
 * what was paid in advance is corrected. Laid down before the clock starts: facts, records, and the invoices of the
 * beginning of the month. `wrong`: accounts of which a line, a tax or the total is another than the oracle's.
 * The floor inserts the same documents into a table of their own, as many at once as the run writes. Then the month after is
 * billed, cut off when half is noted, and gone on with by another server; and once more when nothing is due.
 */
import type { RunView } from 'tollgate/billing/index.js';
import {
  type BenchOptions,
  type BenchResult,
  inFolder,
  MemoryWatch,
  machine,
  numberOf,
  phase,
  round,
  say,
} from './common.ts';
import { Books } from './invoice-books.ts';
import { lands, meters } from './invoice-scenario.ts';
import { openStage, type Stage } from './invoice-stage.ts';

const TELL_EACH = 10_000;

export function run(options: BenchOptions): Promise<BenchResult> {
  const accounts = numberOf(options, 'accounts', 100_000);
  return inFolder(options, async (folder) => {
    const laid = await phase('laid down', () => openStage(folder, accounts, options));
    const stage = laid.result;
    try {
      const memory = new MemoryWatch();
      const before = process.cpuUsage();
      const { seconds, result: view } = await phase('October', () => watched(stage, 'bench'));
      const { user, system } = process.cpuUsage(before);
      const rss = memory.stop();
      if (view.failed > 0 || view.drafts > 0 || view.outcome !== 'done') throw new Error(told(view));
      const { checked, again } = await Books.within(stage, async (books) => ({
        checked: await phase('checked, and written again', () => books.checkOctober(accounts)),
        again: options.given.resume === 'no' ? {} : await resumed(stage, books, accounts),
      }));
      const { lines, wrong, bytes, floorSeconds } = checked.result;
      return {
        bench: 'invoice',
        settings: { accounts, meters: meters.length, countries: lands.length, ...machine() },
        metrics: {
          accounts: view.invoices,
          lines,
          document_kb: round(bytes / view.invoices / 1000, 1),
          seconds: round(seconds, 2),
          wrong,
          rss_mb: rss,
          cpu_seconds: round((user + system) / 1e6, 2),
          floor_seconds: round(floorSeconds, 2),
          ratio: round(seconds / floorSeconds, 2),
          laid_seconds: round(laid.seconds, 2),
          check_seconds: round(checked.seconds - floorSeconds, 2),
          ...(await ledgerOf(stage)),
          ...again,
        },
      };
    } finally {
      await stage.close();
    }
  });
}

/** A run of all, with a line of progress now and then; `stopAt`: the batch that reaches it is its last. */
async function watched(stage: Stage, holder: string, stopAt = Number.POSITIVE_INFINITY): Promise<RunView> {
  let next = TELL_EACH;
  const { runs } = stage.server(holder, (accounts) => {
    if (accounts >= stopAt) runs.stop();
    if (accounts < next) return;
    say(`${accounts} accounts behind the run`);
    next = accounts - (accounts % TELL_EACH) + TELL_EACH;
  });
  return runs.run();
}

async function ledgerOf({ control }: Stage): Promise<Record<string, unknown>> {
  const sums = new Map<string, bigint>();
  for (const { currency, amount } of await control.billing.balances(['receivable/', 'revenue/', 'tax/', 'credit/'])) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amount);
  }
  return { ledger_sum: [...sums.values()].reduce((worst, sum) => worst + (sum < 0n ? -sum : sum), 0n).toString() };
}

/**
 * The next month, in which nothing was used: one server stops when it has noted half of the accounts, another goes on; then
 * once more, with nothing due.
 */
async function resumed(stage: Stage, books: Books, accounts: number): Promise<Record<string, unknown>> {
  await stage.moveTo(Date.UTC(2026, 11, 6, 12));
  const half = await phase('half of November', () => watched(stage, 'cut', accounts / 2));
  // What the first one held is not held any more.
  stage.clock.at += 300_000;
  const rest = await phase('the rest of November', () => watched(stage, 'next'));
  const nothing = await phase('nothing due', () => watched(stage, 'last'));
  const found = await books.november();
  if (half.result.outcome !== 'failed') throw new Error(`a run of ${accounts} accounts was over before it was cut`);
  if (found.invoices !== accounts || found.accounts !== accounts) {
    const [draft] = await stage.control.billing.drafts({ limit: 1 });
    const why = `${told(rest.result)} ${draft?.blocked}`;
    throw new Error(`${found.invoices} invoices of ${found.accounts} of ${accounts} accounts: ${why}`);
  }
  return {
    half_seconds: round(half.seconds, 2),
    resumed_seconds: round(rest.seconds, 2),
    // One run all along: its second server counts on.
    resumed_invoices: rest.result.invoices - half.result.invoices,
    nothing_due_seconds: round(nothing.seconds, 2),
  };
}

const told = ({ outcome, invoices, drafts, failed, error, failures }: RunView): string =>
  `${outcome}, ${invoices} invoices, ${drafts} drafts, ${failed} failed: ${error} ${JSON.stringify(failures[0] ?? '')}`;
