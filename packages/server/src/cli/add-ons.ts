/** tollgate accounts addon: other plans that an account has besides its own. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { adjusting, wholeOf } from './options.ts';
import { table } from './table.ts';

interface Row {
  plan: string;
  quantity: number;
  from: string;
  to?: string;
  state: string;
}
interface Options {
  quantity?: string;
  from?: string;
  to?: string;
  adjust?: boolean;
  reason?: string;
}

const show = (io: Io, items: readonly Row[]): void => {
  if (io.flags.json) json(io, items);
  else if (items.length === 0) io.out('The account has no add-ons.\n');
  else
    io.out(
      table(items, [
        { title: 'add-on', cell: (a) => a.plan },
        { title: 'times', cell: (a) => String(a.quantity), right: true },
        { title: 'from', cell: (a) => a.from },
        { title: 'to', cell: (a) => a.to ?? '' },
        { title: '', cell: (a) => (a.state === 'current' ? '' : a.state) },
      ]),
    );
};

/** Below `tollgate accounts`. */
export const addOnCommands = (accounts: Command, io: Io): void => {
  adjusting(accounts.command('addon <account> <plan>'))
    .description(
      'give an account another plan besides its own; one without --to ends the one of the same plan before it',
    )
    .option('--quantity <number>', 'how many times (default: 1)')
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when (default: without end)')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (account: string, plan: string, { quantity, ...rest }: Options) => {
      const body = {
        account,
        plan,
        ...rest,
        ...(quantity === undefined ? {} : { quantity: wholeOf(quantity, '--quantity') }),
      };
      show(io, (await connect(io).call('POST /api/v1/billing/add-ons', { body })).items);
    });
  adjusting(accounts.command('addon-end <account> <plan>'))
    .description('end an add-on, or call off one that is planned')
    .option('--at <time>', 'when it ends, or `period-end` (default: now)')
    .option('--from <time>', 'only the one that begins then')
    .option('--reason <text>', 'why, for the audit log')
    .action(
      async (
        account: string,
        plan: string,
        query: { at?: string; from?: string; adjust?: boolean; reason?: string },
      ) => {
        const call = { params: { account, plan }, query };
        show(io, (await connect(io).call('DELETE /api/v1/billing/add-ons/{account}/{plan}', call)).items);
      },
    );
  accounts
    .command('addons <account>')
    .description('the add-ons of an account, past and to come')
    .action(async (account: string) =>
      show(io, (await connect(io).call('GET /api/v1/billing/add-ons', { query: { account } })).items),
    );
};
