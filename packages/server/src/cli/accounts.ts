/** tollgate accounts: the tree of tenants. */
import type { Command } from 'commander';
import { addOnCommands } from './add-ons.ts';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { subscriptionCommands } from './subscriptions.ts';
import { table } from './table.ts';

interface Change {
  parent?: string;
  name?: string;
  zone?: string;
  currency?: string;
  state?: 'active' | 'suspended' | 'closed';
  reason?: string;
}

const changeOptions = (command: Command): Command =>
  command
    .option('--parent <id>', 'account above it')
    .option('--name <text>', 'shown to people')
    .option('--zone <zone>', 'IANA time zone: its days and months')
    .option('--currency <code>', 'ISO 4217')
    .option('--reason <text>', 'why, for the audit log');

export const accountsCommand = (program: Command, io: Io): void => {
  const accounts = program.command('accounts').description('who is metered');
  accounts
    .command('list', { isDefault: true })
    .description('all accounts')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/accounts');
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'account', cell: (a) => a.id },
          { title: 'name', cell: (a) => (a.name === a.id ? '' : a.name) },
          { title: 'below', cell: (a) => a.parent ?? '' },
          { title: 'zone', cell: (a) => a.zone },
          { title: 'currency', cell: (a) => a.currency },
          { title: 'state', cell: (a) => a.state },
        ]),
      );
    });
  changeOptions(accounts.command('create <id>').description('make an account')).action(
    async (id: string, change: Change) => {
      const account = await connect(io).call('POST /api/v1/accounts', { body: { id, ...change } });
      if (io.flags.json) return json(io, account);
      io.out(`Made account ${account.id}, zone ${account.zone}, currency ${account.currency}.\n`);
    },
  );
  changeOptions(accounts.command('set <id>').description('change an account'))
    .option('--state <state>', 'active, suspended or closed')
    .action(async (id: string, change: Change) => {
      const account = await connect(io).call('PUT /api/v1/accounts/{id}', { params: { id }, body: change });
      if (io.flags.json) return json(io, account);
      io.out(`Changed account ${account.id}.\n`);
    });
  subscriptionCommands(accounts, io);
  addOnCommands(accounts, io);
};
