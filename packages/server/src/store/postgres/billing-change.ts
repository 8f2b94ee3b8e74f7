/** Changes to one account's books, and posting. What is there is read under the account's lock, judged, then written. */
import { BooksError, checkChange, checkTransaction } from '../billing-checks.ts';
import { judge, type Standing, sameGrant, samePayment, touchedBy } from '../billing-judge.ts';
import type {
  AccountBooks,
  BillingStore,
  BookChange,
  BookFound,
  BookLookup,
  GrantRest,
  OpenInvoice,
} from '../billing-store.ts';
import { checkText, NAME_BYTES } from '../control-checks.ts';
import {
  type GrantRow,
  type InvoiceRow,
  type PaymentRow,
  SELECT_GRANT,
  SELECT_INVOICE,
  SELECT_PAYMENT,
  SELECT_TRANSACTION,
  type TransactionRow,
  toGrant,
  toInvoice,
  toPayment,
  withPostings,
} from './billing-rows.ts';
import { balanceRows, lastDocuments, lockAccounts, readStanding } from './billing-standing.ts';
import { insertTransactions, writeChange } from './billing-write.ts';
import type { Database, Query } from './database.ts';

export const changing = (db: Database): Pick<BillingStore, 'booksOf' | 'change' | 'post'> => ({
  booksOf: async (accounts) => {
    for (const account of accounts) checkText('accounts', account, NAME_BYTES);
    // One snapshot: what was paid between two statements would be missed in one and seen in the other.
    return db.twice(() =>
      db.transaction(async (query) => {
        await query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
        return readBooks(query, accounts);
      }),
    );
  },

  change: async (account, lookup, decide) => {
    checkText('account', account, NAME_BYTES);
    return db.twice(() =>
      db.transaction(async (query) => {
        const billed = await lockAccounts(query, [account]);
        const [books] = await readBooks(query, [account]);
        const change = decide(books as AccountBooks, await readFound(query, account, lookup));
        checkChange(account, change);
        await writeChange(query, await admitted(query, account, change, billed));
        return change;
      }),
    );
  },

  post: async (transactions) => {
    for (const transaction of transactions) checkTransaction(transaction);
    if (transactions.length === 0) return 0;
    return db.twice(() =>
      db.transaction(async (query) => {
        const touched = touchedBy(transactions);
        const billed = await lockAccounts(query, touched.accounts);
        const judged = judge(await readStanding(query, touched, billed), transactions);
        if ('code' in judged) throw new BooksError(judged.code, judged.reason);
        await insertTransactions(
          query,
          judged.fresh.map((transaction) => ({ transaction, invoice: null })),
        );
        return judged.fresh.length;
      }),
    );
  },
});

/** What of a change is not there yet. Throws what the books do not allow. */
async function admitted(
  query: Query,
  account: string,
  change: BookChange,
  billed: Standing['billed'],
): Promise<Required<BookChange>> {
  const { grants = [], payments = [], transactions = [], notices = [] } = change;
  const found = await readFound(query, account, { references: payments.map((payment) => payment.reference) });
  const known = await grantsByKey(
    query,
    grants.map((grant) => grant.key),
  );
  const newPayments = payments.filter((payment) => {
    const known = found.payments.find(({ reference }) => reference === payment.reference);
    if (known !== undefined && !samePayment(known, payment))
      throw new BooksError('payment.conflict', `The reference ${payment.reference} is that of another payment.`);
    return known === undefined;
  });
  const newGrants = grants.filter((grant) => {
    const before = known.find(({ key }) => key === grant.key);
    if (before !== undefined && !sameGrant(before, grant))
      throw new BooksError('credit.conflict', `The key ${grant.key} is that of another credit.`);
    return before === undefined;
  });
  const standing = await readStanding(query, touchedBy(transactions), billed);
  for (const { key, currency } of newGrants) standing.grants.set(key, { account, currency, rest: 0n });
  const judged = judge(standing, transactions);
  if ('code' in judged) throw new BooksError(judged.code, judged.reason);
  return { grants: newGrants, payments: newPayments, transactions: judged.fresh, notices };
}

/** Of whatever account: a key is one in the installation. */
async function grantsByKey(query: Query, keys: readonly string[]): Promise<GrantRest[]> {
  if (keys.length === 0) return [];
  const rows = await query<GrantRow>(`${SELECT_GRANT} WHERE g.key = ANY ($1) ORDER BY g.id`, [keys]);
  return rows.map((row) => {
    const { id: _, ...grant } = toGrant(row);
    return grant;
  });
}

async function readBooks(query: Query, accounts: readonly string[]): Promise<AccountBooks[]> {
  const open = await query<{ account: string } & Record<keyof OpenInvoice, never>>(
    // Account by account: see billing-standing.ts.
    `SELECT i.tenant AS account, i.id, i.number, i.currency, i.total, s.open, i.due_at AS "dueAt",
       i.issued_at AS "issuedAt"
     FROM (SELECT DISTINCT unnest($1::text[]) AS a) AS asked
     CROSS JOIN LATERAL (
       SELECT p.invoice, sum(p.amount) AS open FROM ledger_posting p
       WHERE p.book = 'receivable/' || a AND p.invoice IS NOT NULL GROUP BY p.invoice HAVING sum(p.amount) <> 0
     ) AS s
     CROSS JOIN LATERAL (SELECT * FROM invoice WHERE id = s.invoice LIMIT 1) AS i
     ORDER BY i.due_at, i.id`,
    [accounts],
  );
  const grants = await query<GrantRow>(`${SELECT_GRANT} WHERE g.tenant = ANY ($1) AND r.rest > 0 ORDER BY g.id`, [
    accounts,
  ]);
  const balances = await balanceRows(query, accounts);
  const last = await lastDocuments(query, accounts);
  const books = new Map(
    accounts.map((account) => {
      const found: { -readonly [K in keyof AccountBooks]: AccountBooks[K] } & {
        open: OpenInvoice[];
        grants: AccountBooks['grants'][number][];
        balance: Record<string, bigint>;
      } = { account, open: [], balance: {}, grants: [], lastDocument: last.get(account) ?? 0 };
      return [account, found];
    }),
  );
  for (const { account, ...row } of open)
    books.get(account)?.open.push({ ...row, total: BigInt(row.total), open: BigInt(row.open) });
  for (const row of grants) {
    const { id: _, ...grant } = toGrant(row);
    books.get(grant.account)?.grants.push(grant);
  }
  for (const row of balances) {
    const of = books.get(row.account);
    if (of !== undefined && row.balance !== '0') of.balance[row.currency] = BigInt(row.balance);
  }
  return accounts.map((account) => books.get(account) as AccountBooks);
}

/** Only what is of the account: another one's grant or invoice is as one that is not there. */
async function readFound(query: Query, account: string, lookup: BookLookup): Promise<BookFound> {
  const { references = [], refundsOf = [], grants = [], invoices = [], transactions = [] } = lookup;
  const payments =
    references.length + refundsOf.length === 0
      ? []
      : await query<PaymentRow>(
          `${SELECT_PAYMENT} WHERE tenant = $1 AND (reference = ANY ($2) OR (refunds <> '' AND refunds = ANY ($3)))
           ORDER BY id`,
          [account, references, refundsOf],
        );
  const bills =
    invoices.length === 0
      ? []
      : await query<InvoiceRow>(`${SELECT_INVOICE} WHERE i.tenant = $1 AND i.id = ANY ($2) ORDER BY i.id`, [
          account,
          invoices,
        ]);
  const keys = [...transactions, ...payments.map((payment) => payment.transaction)];
  const posted =
    keys.length === 0
      ? []
      : await query<TransactionRow>(`${SELECT_TRANSACTION} WHERE t.tenant = $1 AND t.key = ANY ($2) ORDER BY t.id`, [
          account,
          keys,
        ]);
  return {
    payments: payments.map(toPayment),
    grants: (await grantsByKey(query, grants)).filter((grant) => grant.account === account),
    invoices: bills.map(toInvoice),
    transactions: await withPostings(query, posted),
  };
}
