/** tollgate accounts subscribe: which plan an account has, when. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { table } from './table.ts';

interface Row {
  plan: string;
  from: string;
  to?: string;
  state: string;
  anchor: string;
  ruling: boolean;
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
        { title: '', cell: (s) => (s.ruling ? 'in force' : s.state === 'current' ? 'behind another' : s.state) },
      ]),
    );
};

/** Below `tollgate accounts`. */
export const subscriptionCommands = (accounts: Command, io: Io): void => {
  accounts
    .command('subscribe <account> <plan>')
    .description('give an account a plan; one without --to ends what it takes the place of')
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when; then what was before holds again (default: without end)')
    .option('--anchor <time>', 'start of a billing period (default: of the subscription it follows, or its own start)')
    .option('--reason <text>', 'why, for the audit log')
    .action(
      async (account: string, plan: string, o: { from?: string; to?: string; anchor?: string; reason?: string }) => {
        const { items } = await connect(io).call('POST /api/v1/subscriptions', { body: { account, plan, ...o } });
        show(io, items);
      },
    );
  accounts
    .command('unsubscribe <account>')
    .description('end what is in force, or call off what is planned')
    .option('--at <time>', 'when it ends (default: now)')
    .option('--from <time>', 'only the one that begins then')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (account: string, query: { at?: string; from?: string; reason?: string }) => {
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
