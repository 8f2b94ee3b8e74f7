/** tollgate credits: money that accounts were given or have bought ahead. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { wholeOf } from './options.ts';
import { plain, table } from './table.ts';

interface GrantOptions {
  reference?: string;
  priority?: string;
  from?: string;
  expires?: string;
  paid?: string;
  method?: string;
  rolloverMost?: string;
  rolloverLeast?: string;
  lowAt?: string;
  reason?: string;
}

const rollover = ({ rolloverMost: most, rolloverLeast: least }: GrantOptions) =>
  most === undefined ? {} : { rollover: { most, ...(least === undefined ? {} : { least }) } };

const paid = ({ paid: reference, method }: GrantOptions) =>
  reference === undefined ? {} : { paid: { reference, ...(method === undefined ? {} : { method }) } };

const grant = (credits: Command, io: Io): void => {
  credits
    .command('grant <account> <amount> <currency>')
    .description('give an account a credit, or book one that it has bought: credits grant acme 50.00 EUR')
    .option('--expires <time>', 'pays for periods that end before it (default: never ends)')
    .option('--from <time>', 'pays for periods that end after it (default: now)')
    .option('--priority <n>', 'lower is used earlier (default: 100)')
    .option('--reference <text>', 'unique in the account: the same again is the same credit')
    .option('--paid <reference>', 'it was bought: reference of the payment, which is recorded with it')
    .option('--method <text>', 'how it was paid')
    .option('--rollover-most <amount>', 'at the end of a period what is left is cut to this')
    .option('--rollover-least <amount>', 'and filled up to this')
    .option('--low-at <percent>', 'tell a notice when no more is left (default: 20)')
    .option('--reason <text>', 'why; printed with it')
    .action(async (account: string, amount: string, currency: string, o: GrantOptions) => {
      const { reference, from, reason } = o;
      const body = {
        ...{ account, amount, currency, ...paid(o), ...rollover(o) },
        ...(reference === undefined ? {} : { key: reference }),
        ...(from === undefined ? {} : { from }),
        ...(reason === undefined ? {} : { reason }),
        ...(o.expires === undefined ? {} : { to: o.expires }),
        ...(o.priority === undefined ? {} : { priority: wholeOf(o.priority, '--priority') }),
        ...(o.lowAt === undefined ? {} : { lowAt: wholeOf(o.lowAt, '--low-at') }),
      };
      const credit = await connect(io).call('POST /api/v1/credits', { body });
      if (io.flags.json) return json(io, credit);
      const until = credit.to === undefined ? '' : ` until ${credit.to}`;
      io.out(`Credit ${credit.id}: ${plain(account)} has ${moneyText(credit.rest, credit.currency)}${until}.\n`);
    });
};

const list = (credits: Command, io: Io): void => {
  credits
    .command('list [account]', { isDefault: true })
    .description('credits of an account, or of all, newest first')
    .option('--limit <n>', 'rows at most', '100')
    .action(async (account: string | undefined, { limit }: { limit: string }) => {
      const query = { limit: wholeOf(limit, '--limit'), ...(account === undefined ? {} : { account }) };
      const { items } = await connect(io).call('GET /api/v1/credits', { query });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There are no credits. Give one with `tollgate credits grant`.\n');
      io.out(
        table(items, [
          { title: 'credit', cell: (c) => String(c.id), right: true },
          { title: 'account', cell: (c) => c.account },
          { title: 'left', cell: (c) => moneyText(c.rest, c.currency), right: true },
          { title: 'of', cell: (c) => moneyText(c.amount, c.currency), right: true },
          { title: 'priority', cell: (c) => String(c.priority), right: true },
          { title: 'from', cell: (c) => c.from },
          { title: 'to', cell: (c) => c.to ?? '' },
          { title: '', cell: (c) => c.state },
          { title: 'kind', cell: (c) => (c.funding === 'purchase' ? 'bought' : 'given') },
          { title: 'reason', cell: (c) => c.reason },
        ]),
      );
    });
};

const others = (credits: Command, io: Io): void => {
  credits
    .command('void <credit>')
    .description('take back what is left of a credit; of a bought one it becomes the balance of the account')
    .option('--reason <text>', 'why')
    .action(async (id: string, query: { reason?: string }) => {
      const credit = await connect(io).call('DELETE /api/v1/credits/{id}', {
        params: { id: wholeOf(id, 'credit') },
        query,
      });
      if (io.flags.json) return json(io, credit);
      io.out(`Credit ${credit.id} of ${plain(credit.account)} has nothing left.\n`);
    });
  credits
    .command('expire')
    .description('book the end of credits that are over')
    .action(async () => {
      const answer = await connect(io).call('POST /api/v1/credits/expire');
      if (io.flags.json) return json(io, answer);
      io.out(`${answer.ended} ${answer.ended === 1 ? 'credit has' : 'credits have'} ended.\n`);
    });
  credits
    .command('notices [account]')
    .description('credits that ran low, newest first')
    .action(async (account: string | undefined) => {
      const query = account === undefined ? {} : { account };
      const { items } = await connect(io).call('GET /api/v1/credits/notices', { query });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('No credit ran low.\n');
      io.out(
        table(items, [
          { title: 'at', cell: (n) => n.at },
          { title: 'account', cell: (n) => n.account },
          { title: 'credit', cell: (n) => n.credit },
          { title: 'left', cell: (n) => moneyText(n.rest, n.currency), right: true },
          { title: 'of', cell: (n) => moneyText(n.amount, n.currency), right: true },
        ]),
      );
    });
};

export const creditsCommand = (program: Command, io: Io): void => {
  const credits = program.command('credits').description('money given or bought ahead');
  grant(credits, io);
  list(credits, io);
  others(credits, io);
};
