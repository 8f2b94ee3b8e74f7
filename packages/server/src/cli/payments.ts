/** tollgate payments, balance, ledger: what came, what is owed, and how it is booked. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { wholeOf } from './options.ts';
import { grouped } from './quantity.ts';
import { plain, table } from './table.ts';

interface Options {
  reference: string;
  at?: string;
  method?: string;
}
const shared = (command: Command): Command =>
  command
    .requiredOption('--reference <text>', 'unique in the account: of the bank statement, of the provider')
    .option('--at <time>', 'when (default: now)')
    .option('--method <text>', 'how, such as transfer or card');

const bodyOf = (account: string, amount: string, currency: string, { reference, at, method }: Options) => ({
  ...{ account, amount, currency, reference },
  ...(at === undefined ? {} : { receivedAt: at }),
  ...(method === undefined ? {} : { method }),
});

const record = (payments: Command, io: Io): void => {
  const command = payments
    .command('record <account> <amount> <currency>')
    .description('book money that came: payments record acme 119.00 EUR --reference 2026-0815')
    .option('--invoice <number>', 'the invoice it is for (default: those due first)');
  shared(command).action(
    async (account: string, amount: string, currency: string, o: Options & { invoice?: string }) => {
      const invoice = o.invoice === undefined ? {} : { invoice: o.invoice };
      const body = { ...bodyOf(account, amount, currency, o), ...invoice };
      const { settled, ...payment } = await connect(io).call('POST /api/v1/payments', { body });
      if (io.flags.json) return json(io, { ...payment, settled });
      const parts = settled.map((part) => `${moneyText(part.amount, currency)} of ${part.invoice}`);
      const begun = payment.isNew ? 'Booked. It' : 'It was booked already, and';
      io.out(plain(`${begun} settles ${parts.join(', ') || 'no invoice: it waits for the next one'}.`).concat('\n'));
    },
  );
};

const refund = (payments: Command, io: Io): void => {
  const command = payments
    .command('refund <account> <amount> <currency>')
    .description('book money that went back')
    .option('--payment <reference>', 'the payment that goes back (default: of the balance)');
  shared(command).action(
    async (account: string, amount: string, currency: string, o: Options & { payment?: string }) => {
      const payment = o.payment === undefined ? {} : { payment: o.payment };
      const body = { ...bodyOf(account, amount, currency, o), ...payment };
      const { settled, ...row } = await connect(io).call('POST /api/v1/refunds', { body });
      if (io.flags.json) return json(io, { ...row, settled });
      const parts = settled.map((part) => `${part.invoice}: ${moneyText(part.amount, currency)}`);
      const begun = row.isNew ? 'Booked.' : 'It was booked already.';
      io.out(plain(`${begun}${parts.length === 0 ? '' : ` Open again of ${parts.join(', ')}.`}`).concat('\n'));
    },
  );
};

const list = (payments: Command, io: Io): void => {
  payments
    .command('list [account]', { isDefault: true })
    .description('payments and refunds of an account, or of all, newest first')
    .option('--limit <n>', 'rows at most', '100')
    .action(async (account: string | undefined, { limit }: { limit: string }) => {
      const query = { limit: wholeOf(limit, '--limit'), ...(account === undefined ? {} : { account }) };
      const { items } = await connect(io).call('GET /api/v1/payments', { query });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There are no payments. Book one with `tollgate payments record`.\n');
      io.out(
        table(items, [
          { title: 'received', cell: (p) => p.receivedAt },
          { title: 'account', cell: (p) => p.account },
          {
            title: 'amount',
            cell: (p) => moneyText(`${p.kind === 'refund' ? '-' : ''}${p.amount}`, p.currency),
            right: true,
          },
          { title: 'reference', cell: (p) => p.reference },
          { title: 'method', cell: (p) => p.method },
          { title: 'goes back', cell: (p) => p.refunds ?? '' },
        ]),
      );
    });
};

const balance = (program: Command, io: Io): void => {
  program
    .command('balance <account>')
    .description('what an account owes, has too much of, and has as credit')
    .action(async (id: string) => {
      const state = await connect(io).call('GET /api/v1/accounts/{id}/balance', { params: { id } });
      if (io.flags.json) return json(io, state);
      if (state.currencies.length === 0) return io.out(`${plain(id)} owes nothing and has nothing with us.\n`);
      io.out(
        table(state.currencies, [
          { title: '', cell: (c) => c.currency },
          { title: 'owed', cell: (c) => grouped(c.owed), right: true },
          { title: 'overdue', cell: (c) => grouped(c.overdue), right: true },
          { title: 'balance', cell: (c) => grouped(c.balance), right: true },
          { title: 'credit', cell: (c) => grouped(c.credit), right: true },
        ]),
      );
      if (state.invoices.length > 0) io.out('\n');
      io.out(
        table(state.invoices, [
          { title: 'invoice', cell: (i) => i.number },
          { title: 'open', cell: (i) => moneyText(i.open, i.currency), right: true },
          { title: 'of', cell: (i) => moneyText(i.total, i.currency), right: true },
          { title: 'due before', cell: (i) => i.dueAt },
          { title: '', cell: (i) => (i.overdue ? 'overdue' : '') },
        ]),
      );
    });
};

const ledger = (program: Command, io: Io): void => {
  const command = program.command('ledger').description('transactions of the ledger, and what its books hold');
  command
    .command('list', { isDefault: true })
    .description('transactions, newest first')
    .option('--account <id>', 'of one account')
    .option('--book <name>', 'on one book, or with a / at the end on all that begin so')
    .option('--limit <n>', 'transactions at most', '20')
    .action(async ({ limit, ...named }: { limit: string; account?: string; book?: string }) => {
      const { items } = await connect(io).call('GET /api/v1/ledger', {
        query: { limit: wholeOf(limit, '--limit'), ...named },
      });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('Nothing is booked.\n');
      const rows = items.flatMap((t) => t.postings.map((posting, i) => ({ t, posting, first: i === 0 })));
      io.out(
        table(rows, [
          { title: 'at', cell: ({ t, first }) => (first ? t.at : '') },
          { title: 'kind', cell: ({ t, first }) => (first ? t.kind : '') },
          { title: 'book', cell: ({ posting }) => posting.book },
          {
            title: 'debit',
            cell: ({ posting }) => (posting.amount.startsWith('-') ? '' : grouped(posting.amount)),
            right: true,
          },
          {
            title: 'credit',
            cell: ({ posting }) => (posting.amount.startsWith('-') ? grouped(posting.amount.slice(1)) : ''),
            right: true,
          },
          { title: '', cell: ({ t }) => t.currency },
          { title: 'text', cell: ({ t, first }) => (first ? t.text : '') },
        ]),
      );
    });
  command
    .command('books [book]')
    .description('what books hold; debit above 0, credit below')
    .action(async (book: string | undefined) => {
      const query = book === undefined ? {} : { book };
      const { items } = await connect(io).call('GET /api/v1/ledger/books', { query });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('Nothing is booked.\n');
      io.out(
        table(items, [
          { title: 'book', cell: (b) => b.book },
          { title: 'holds', cell: (b) => moneyText(b.amount, b.currency), right: true },
        ]),
      );
    });
};

export const paymentsCommand = (program: Command, io: Io): void => {
  const payments = program.command('payments').description('money that came and went back');
  record(payments, io);
  refund(payments, io);
  list(payments, io);
  balance(program, io);
  ledger(program, io);
};
