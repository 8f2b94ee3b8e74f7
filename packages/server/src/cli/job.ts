/** tollgate job: how far usage is computed, and asking for more. */
import type { Client, Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { wholeOf } from './options.ts';
import { type Step, withProgress } from './progress.ts';
import { table } from './table.ts';

type Status = Operations['GET /api/v1/job']['answer'];
const POLL_MS = 250;

const show = (io: Io, s: Status): void => {
  io.out(`closed up to   ${s.closedTo ?? 'nothing yet'}${s.lagSeconds === null ? '' : `  (${s.lagSeconds} s ago)`}\n`);
  io.out(`facts up to    ${s.frontier} of ${s.newest}\n`);
  io.out(`windows left   ${s.windowsLeft}\n`);
  io.out(`last run       ${s.lastRunAt ?? 'none yet'}${s.running ? ', running now' : ''}\n`);
  io.out(`next run       ${s.nextRunAt ?? 'not planned'}\n`);
  if (s.lastError !== '') io.out(`last error     ${s.lastError}\n`);
};

/** How much of the windows that were left at the start is done. */
const windowsDone = (client: Client): (() => Promise<Step>) => {
  let most = 0;
  return async () => {
    const { windowsLeft, closedTo } = await client.call('GET /api/v1/job');
    most = Math.max(most, windowsLeft);
    return { part: most === 0 ? null : (most - windowsLeft) / most, text: `closed up to ${closedTo ?? 'nothing yet'}` };
  };
};

/** Waits for what was asked for. Throws CliError when it failed. */
const finished = async (io: Io, client: Client) => {
  for (;;) {
    const task = await client.call('GET /api/v1/job/rerun');
    if (task.state === 'failed')
      throw new CliError(
        Exit.failure,
        `The ${task.kind} failed: ${task.error}`,
        'See `tollgate job runs` and the log of the server.',
      );
    if (task.state === 'done') return task;
    await io.sleep(POLL_MS);
  }
};

/** Runs the usage job now and waits for it, with a bar. */
export const runJob = async (io: Io, client: Client): Promise<void> => {
  await client.call('POST /api/v1/job/run', { query: { wait: false } });
  await withProgress(io, finished(io, client), windowsDone(client));
};

export const jobCommand = (program: Command, io: Io): void => {
  const job = program.command('job').description('how far usage is computed');
  job
    .command('status', { isDefault: true })
    .description('how far the job is')
    .action(async () => {
      const status = await connect(io).call('GET /api/v1/job');
      if (io.flags.json) return json(io, status);
      show(io, status);
    });
  job
    .command('runs')
    .description('the last runs and what they did')
    .option('--limit <n>', 'how many', '20')
    .action(async (o: { limit: string }) => {
      const { items } = await connect(io).call('GET /api/v1/job/runs', {
        query: { limit: wholeOf(o.limit, '--limit') },
      });
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'run', cell: (r) => String(r.id), right: true },
          { title: 'started', cell: (r) => r.startedAt },
          { title: 'of', cell: (r) => `${r.stream} ${r.group}` },
          { title: 'windows', cell: (r) => String(r.windows), right: true },
          { title: 'records', cell: (r) => String(r.records), right: true },
          { title: 'rewritten', cell: (r) => String(r.rewritten), right: true },
          { title: 'set aside', cell: (r) => String(r.setAside), right: true },
          { title: 'outcome', cell: (r) => r.outcome },
          { title: 'error', cell: (r) => r.error },
        ]),
      );
    });
  job
    .command('run')
    .description('run the job now and wait for it')
    .action(async () => {
      const client = connect(io);
      await runJob(io, client);
      const status = await client.call('GET /api/v1/job');
      if (io.flags.json) return json(io, status);
      show(io, status);
    });
  job
    .command('rerun')
    .description('compute a span again from the facts; the same records come out')
    .requiredOption('--from <time>', 'first instant')
    .requiredOption('--to <time>', 'one past the last')
    .option('--reason <text>', 'why, for the log')
    .action(async (o: { from: string; to: string; reason?: string }) => {
      const client = connect(io);
      await client.call('POST /api/v1/job/rerun', { body: o });
      const look = async (): Promise<Step> => ({ part: null, text: `computing ${o.from} to ${o.to} again` });
      const state = await withProgress(io, finished(io, client), look);
      if (io.flags.json) return json(io, state);
      io.out(`Computed ${state.records} records again.\n`);
    });
};
