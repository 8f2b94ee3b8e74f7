/** tollgate accounts subscribe: which plan an account has, when. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { adjusting } from './options.ts';
import { table } from './table.ts';

interface Row {
  plan: string;
  from: string;
  to?: string;
  state: string;
  anchor: string;
  trialUntil?: string | null;
  ruling: boolean;
}

interface SubscribeOptions {
  from?: string;
  to?: string;
  at?: string;
  trialUntil?: string;
  anchor?: string;
  adjust?: boolean;
  reason?: string;
}

const show = (io: Io, items: readonly Row[]): void => {
  if (io.flags.json) json(io, items);
  else
    io.out(
      table(items, [
        { title: 'plan', cell: (s) => s.plan },
        { title: 'from', cell: (s) => s.from },
        { title: 'to', cell: (s) => s.to ?? '' },
        { title: 'billing from', cell: (s) => s.anchor },
        { title: 'free until', cell: (s) => (s.trialUntil === null ? 'no trial' : (s.trialUntil ?? '')) },
        { title: '', cell: (s) => (s.ruling ? 'in force' : s.state === 'current' ? 'behind another' : s.state) },
      ]),
    );
};

/** Below `tollgate accounts`. */
export const subscriptionCommands = (accounts: Command, io: Io): void => {
  adjusting(accounts.command('subscribe <account> <plan>'))
    .description('give an account a plan; one without --to ends what it takes the place of')
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when; then what was before holds again (default: without end)')
    .option('--at <period-end>', 'when the period that runs now has ended, instead of --from')
    .option('--trial-until <time>', 'free of charge until then, or `none` (default: as the plan says)')
    .option('--anchor <time>', 'start of a billing period (default: of the subscription it follows, or its own start)')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (account: string, plan: string, { at, ...o }: SubscribeOptions) => {
      if (at !== undefined && at !== 'period-end')
        throw new CliError(Exit.usage, `--at is period-end, not ${at}`, 'Give a time with --from.');
      const body = { account, plan, ...o, ...(at === undefined ? {} : { at: 'period-end' as const }) };
      const { items } = await connect(io).call('POST /api/v1/subscriptions', { body });
      show(io, items);
    });
  adjusting(accounts.command('unsubscribe <account>'))
    .description('end what is in force, or call off what is planned')
    .option('--at <time>', 'when it ends, or `period-end` (default: now)')
    .option('--from <time>', 'only the one that begins then')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (account: string, query: { at?: string; from?: string; adjust?: boolean; reason?: string }) => {
      const { items } = await connect(io).call('DELETE /api/v1/subscriptions/{account}', {
        params: { account },
        query,
      });
      show(io, items);
    });
  accounts
    .command('subscriptions <account>')
    .description('the plans of an account, past and to come')
    .action(async (account: string) => {
      const { items } = await connect(io).call('GET /api/v1/subscriptions', { query: { account } });
      show(io, items);
    });
};
