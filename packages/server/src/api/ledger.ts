/** What an account owes and has, and the ledger behind it. */
import { type Static, Type } from '@sinclair/typebox';
import { isInForce } from '../billing/credit/choose.ts';
import { type AccountBooks, type PostedTransaction, transactionKinds } from '../store/billing-store.ts';
import { need, needInstallation } from './auth.ts';
import { type Context, reach } from './context.ts';
import { pageById } from './listing.ts';
import { amountText } from './money.ts';
import { type App, NullableText, Words } from './provider.ts';
import { InstantText, Page, PageQuery } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Balance = Type.Object({
  account: Type.String(),
  at: Type.String(),
  currencies: Type.Array(
    Type.Object({
      currency: Type.String(),
      owed: Type.String({ description: 'Open of its invoices' }),
      overdue: Type.String({ description: 'Of that, what should have been paid' }),
      balance: Type.String({ description: 'Paid too much; settles the next invoice' }),
      credit: Type.String({ description: 'Left of credits that pay now' }),
    }),
  ),
  invoices: Type.Array(
    Type.Object({
      number: Type.String(),
      currency: Type.String(),
      total: Type.String(),
      open: Type.String(),
      dueAt: Type.String(),
      overdue: Type.Boolean(),
    }),
    { description: 'Not paid in full, those due first' },
  ),
});

const TransactionRow = Type.Object({
  id: Type.Integer(),
  key: Type.String(),
  account: Type.String(),
  kind: Type.String(),
  at: Type.String(),
  currency: Type.String(),
  text: Type.String(),
  postings: Type.Array(
    Type.Object({
      book: Type.String(),
      amount: Type.String({ description: 'Debit above 0, credit below; together 0' }),
      invoice: Type.Optional(Type.Integer({ description: 'Id of the invoice it opens or settles' })),
      credit: NullableText({ description: 'Key of the credit it fills or uses' }),
    }),
  ),
});

const LedgerQuery = Type.Object({
  ...PageQuery,
  account: Type.Optional(Type.String({ maxLength: 256 })),
  book: Type.Optional(Type.String({ maxLength: 600, description: 'A book, or with a / at the end all that begin so' })),
  kind: Type.Optional(Words(transactionKinds)),
  from: Type.Optional(InstantText('At or after')),
  to: Type.Optional(InstantText('Before')),
});

const BookRow = Type.Object({ book: Type.String(), currency: Type.String(), amount: Type.String() });

const transactionRow = ({
  tenant,
  at,
  postings,
  currency,
  ...head
}: PostedTransaction): Static<typeof TransactionRow> => ({
  ...head,
  ...{ account: tenant, at: isoText(at), currency },
  postings: postings.map(({ book, amount, invoice, grant }) => ({
    book,
    amount: amountText(amount, currency),
    ...(typeof invoice === 'number' ? { invoice } : {}),
    credit: grant,
  })),
});

const balanceRow = (books: AccountBooks, now: number): Static<typeof Balance> => {
  const { open, balance, grants } = books;
  const paying = grants.filter((grant) => isInForce(grant, now));
  const names = [...open, ...paying].map(({ currency }) => currency);
  const sum = (list: readonly bigint[]): bigint => list.reduce((all, one) => all + one, 0n);
  return {
    account: books.account,
    at: isoText(now),
    currencies: [...new Set([...names, ...Object.keys(balance)])].sort().map((currency) => {
      const of = <R extends { currency: string }>(rows: readonly R[]): R[] =>
        rows.filter((row) => row.currency === currency);
      const late = of(open).filter(({ dueAt }) => dueAt <= now);
      const text = (minor: bigint): string => amountText(minor, currency);
      return {
        currency,
        owed: text(sum(of(open).map((invoice) => invoice.open))),
        overdue: text(sum(late.map((invoice) => invoice.open))),
        balance: text(balance[currency] ?? 0n),
        credit: text(sum(of(paying).map(({ rest }) => rest))),
      };
    }),
    invoices: open.map(({ number, currency, total, open: left, dueAt }) => ({
      ...{ number, currency, total: amountText(total, currency), open: amountText(left, currency) },
      ...{ dueAt: isoText(dueAt), overdue: dueAt <= now },
    })),
  };
};

export const ledgerRoutes = (app: App, context: Context): void => {
  const tags = ['ledger'];
  app.get(
    '/api/v1/accounts/:id/balance',
    {
      schema: {
        tags,
        summary: 'What an account owes, has too much of, and has as credit',
        params: Type.Object({ id: Type.String() }),
        response: { 200: Balance },
      },
    },
    async (request) => {
      const { id } = request.params;
      reach(context, need(request, 'read'), id);
      const [books] = await context.control.billing.booksOf([id]);
      return balanceRow(books as AccountBooks, context.clock.now());
    },
  );
  app.get(
    '/api/v1/ledger',
    {
      schema: {
        tags,
        summary: 'Transactions, newest first',
        querystring: LedgerQuery,
        response: { 200: Page(TransactionRow) },
      },
    },
    (request) => {
      needInstallation(request, 'admin');
      const { account, book, kind, from, to } = request.query;
      const filter = {
        ...(account === undefined ? {} : { tenants: [account] }),
        ...(book === undefined ? {} : { book }),
        ...(kind === undefined ? {} : { kind }),
        ...(from === undefined ? {} : { from: instantOf(from, 'from') }),
        ...(to === undefined ? {} : { to: instantOf(to, 'to') }),
      };
      return pageById(
        request.query,
        (page) => context.control.billing.transactions({ ...filter, ...page }),
        transactionRow,
      );
    },
  );
  app.get(
    '/api/v1/ledger/books',
    {
      schema: {
        tags,
        summary: 'What books hold',
        querystring: Type.Object({
          book: Type.Optional(
            Type.String({ maxLength: 600, description: 'As for transactions; left away: those of the installation' }),
          ),
        }),
        response: { 200: Page(BookRow) },
      },
    },
    async (request) => {
      needInstallation(request, 'admin');
      const { book } = request.query;
      const asked = book === undefined ? ['cash', 'revenue/', 'tax/', 'promotion/', 'breakage/'] : [book];
      const found = await context.control.billing.balances(asked);
      return { items: found.map((row) => ({ ...row, amount: amountText(row.amount, row.currency) })) };
    },
  );
};
