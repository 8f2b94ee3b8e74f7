/** tollgate invoices run and runs: making invoices, with a bar while it lasts and what came of it. */
import type { Client, Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { runJob } from './job.ts';
import { moneyText } from './money.ts';
import { wholeOf } from './options.ts';
import { type Step, withProgress } from './progress.ts';
import { grouped } from './quantity.ts';
import { plain, table } from './table.ts';

type Run = Operations['GET /api/v1/invoices/runs/{ref}']['answer'];
const POLL_MS = 200;
/** Failures and drafts that are shown; all of them are in `--json`. */
const SHOWN = 50;

const runOf = (client: Client, ref: string): Promise<Run> =>
  client.call('GET /api/v1/invoices/runs/{ref}', { params: { ref } });

const finished = async (io: Io, client: Client, ref: string): Promise<Run> => {
  for (;;) {
    const run = await runOf(client, ref);
    if (run.outcome !== 'running') return run;
    await io.sleep(POLL_MS);
  }
};

/** Accounts done of all, how fast, and how long the rest takes at that speed. */
const stepOf = (io: Io, client: Client, ref: string): (() => Promise<Step>) => {
  const begun = io.now();
  return async () => {
    const { accounts, of, invoices } = await runOf(client, ref);
    const perSecond = Math.round((accounts * 1000) / Math.max(1, io.now() - begun));
    const left = of === null || perSecond === 0 ? '' : `, ${Math.ceil((of - accounts) / perSecond)} s left`;
    const all = of === null ? '' : ` of ${grouped(String(of))}`;
    const text = `${grouped(String(accounts))}${all} accounts, ${grouped(String(invoices))} invoices, ${perSecond}/s${left}`;
    return { part: of === null || of === 0 ? null : accounts / of, text };
  };
};

const show = (io: Io, run: Run): void => {
  const sums = run.totals.map(({ amount, currency }) => moneyText(amount, currency)).join(', ');
  const made = run.dryRun ? 'would be final' : 'final';
  io.out(
    `accounts       ${grouped(String(run.accounts))}, periods that ended by ${run.until}, facts up to ${run.frontier}\n`,
  );
  io.out(`invoices       ${grouped(String(run.invoices))} ${made}${sums === '' ? '' : `: ${sums}`}\n`);
  const waiting = run.drafts - run.blocked;
  io.out(
    `drafts         ${grouped(String(run.drafts))}: ${run.blocked} blocked, ${waiting} wait for what may come late\n`,
  );
  if (run.made.length > 0) io.out(`\n${madeTable(run)}`);
  if (run.failed === 0) return;
  io.out(`\n${grouped(String(run.failed))} ${run.failed === 1 ? 'account' : 'accounts'} could not be billed:\n`);
  for (const { reason, code } of run.failures.slice(0, SHOWN)) io.out(`  ${plain(reason)} [${code}]\n`);
  if (run.failed > SHOWN) io.out(`  ... all of them: tollgate invoices runs ${run.ref} --json\n`);
};

const madeTable = ({ made }: Run): string =>
  table(made.slice(0, SHOWN), [
    { title: 'account', cell: (m) => m.account },
    { title: 'from', cell: (m) => m.from },
    { title: 'to', cell: (m) => m.to },
    { title: 'number', cell: (m) => m.number },
    { title: 'total', cell: (m) => moneyText(m.total, m.currency), right: true },
    { title: '', cell: (m) => m.blocked[0] ?? (m.waitsUntil === null ? '' : `waits until ${m.waitsUntil}`) },
  ]);

interface RunOptions {
  until?: string;
  account?: string[];
  dryRun?: boolean;
}

export const invoiceRunCommands = (invoices: Command, io: Io, end: (code: number) => void): void => {
  invoices
    .command('run')
    .description('make the invoices that are due, and wait for it; again, it finds nothing due where it has been')
    .option('--until <time>', 'periods that ended by then (default: now)')
    .option('--account <ids...>', 'these accounts only (default: all)')
    .option('--dry-run', 'say what would be made, and make nothing')
    .action(async ({ until, account, dryRun }: RunOptions) => {
      const client = connect(io);
      const body = {
        ...(until === undefined ? {} : { until }),
        ...(account === undefined ? {} : { accounts: account }),
        ...(dryRun === undefined ? {} : { dryRun }),
      };
      // A run sees what the usage job has accounted for: without it, what somebody has just said would not be billed.
      await runJob(io, client);
      const { ref } = await client.call('POST /api/v1/invoices/run', { body });
      const run = await withProgress(io, finished(io, client, ref), stepOf(io, client, ref));
      if (io.flags.json) json(io, run);
      else show(io, run);
      if (run.outcome === 'failed') {
        const hint = 'What is final stays final; run it again. See the log of the server.';
        throw new CliError(Exit.failure, `The run stopped: ${run.error}`, hint);
      }
      if (run.failed > 0) end(Exit.failure);
    });
  invoices
    .command('runs [ref]')
    .description('the last runs; with a REF, what came of that one')
    .option('--limit <n>', 'how many', '20')
    .action(async (ref: string | undefined, { limit }: { limit: string }) => {
      const client = connect(io);
      if (ref !== undefined) {
        const run = await runOf(client, ref);
        return io.flags.json ? json(io, run) : show(io, run);
      }
      const { items } = await client.call('GET /api/v1/invoices/runs', { query: { limit: wholeOf(limit, '--limit') } });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There were no runs. Make one: `tollgate invoices run`.\n');
      io.out(
        table(items, [
          { title: 'run', cell: (r) => r.ref, right: true },
          { title: 'started', cell: (r) => r.startedAt },
          { title: 'until', cell: (r) => r.until },
          { title: 'accounts', cell: (r) => grouped(String(r.accounts)), right: true },
          { title: 'invoices', cell: (r) => grouped(String(r.invoices)), right: true },
          { title: 'drafts', cell: (r) => grouped(String(r.drafts)), right: true },
          { title: 'blocked', cell: (r) => grouped(String(r.blocked)), right: true },
          { title: 'failed', cell: (r) => grouped(String(r.failed)), right: true },
          { title: 'outcome', cell: (r) => r.outcome },
          { title: 'error', cell: (r) => r.error },
        ]),
      );
    });
};
