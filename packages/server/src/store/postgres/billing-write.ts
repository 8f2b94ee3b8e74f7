/** Writing to the books, whole lists a statement. What is written was judged before. */
import { contentDigest } from '../billing-checks.ts';
import type { BookChange, CreditNotice, Grant, Payment, Transaction } from '../billing-store.ts';
import type { Query } from './database.ts';

/** A transaction and the invoice that its postings mean by `new`. */
export interface Fresh {
  transaction: Transaction;
  invoice: number | null;
}

export async function insertTransactions(query: Query, added: readonly Fresh[]): Promise<void> {
  if (added.length === 0) return;
  const heads = <T>(of: (transaction: Transaction) => T): T[] => added.map(({ transaction }) => of(transaction));
  const postings = added.flatMap(({ transaction, invoice }) =>
    transaction.postings.map((posting, i) => ({
      ...posting,
      ...{ key: transaction.key, tenant: transaction.tenant, currency: transaction.currency, no: i + 1 },
      invoice: posting.invoice === 'new' ? invoice : posting.invoice,
    })),
  );
  const column = <T>(of: (posting: (typeof postings)[number]) => T): T[] => postings.map(of);
  await query(
    `WITH t AS (
       INSERT INTO ledger_transaction (tenant, key, kind, at, currency, text, content)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
       RETURNING id, key)
     INSERT INTO ledger_posting (transaction, no, tenant, book, currency, amount, invoice, credit_grant)
     SELECT t.id, p.no, p.tenant, p.book, p.currency, p.amount, p.invoice, p.credit_grant
     FROM unnest($8::text[], $9::integer[], $10::text[], $11::text[], $12::text[], $13::numeric[], $14::bigint[],
       $15::text[]) AS p (key, no, tenant, book, currency, amount, invoice, credit_grant)
     JOIN t ON t.key = p.key`,
    [
      heads((t) => t.tenant),
      heads((t) => t.key),
      heads((t) => t.kind),
      heads((t) => t.at),
      heads((t) => t.currency),
      heads((t) => t.text),
      heads(contentDigest),
      column((p) => p.key),
      column((p) => p.no),
      column((p) => p.tenant),
      column((p) => p.book),
      column((p) => p.currency),
      column((p) => p.amount.toString()),
      column((p) => p.invoice),
      column((p) => p.grant),
    ],
  );
}

export async function insertNotices(query: Query, notices: readonly CreditNotice[]): Promise<void> {
  if (notices.length === 0) return;
  await query(
    `INSERT INTO credit_notice (tenant, credit_grant, percent, rest, at)
     SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::numeric[], $5::bigint[])
     ON CONFLICT (credit_grant, percent) DO NOTHING`,
    [
      notices.map((n) => n.account),
      notices.map((n) => n.grant),
      notices.map((n) => n.percent),
      notices.map((n) => n.rest.toString()),
      notices.map((n) => n.at),
    ],
  );
}

async function insertGrants(query: Query, grants: readonly Grant[]): Promise<void> {
  if (grants.length === 0) return;
  const column = <T>(of: (grant: Grant) => T): T[] => grants.map(of);
  await query(
    `INSERT INTO credit_grant (tenant, key, currency, amount, priority, effective, expires, rollover_least, rollover_most,
       funding, low_at, reason, author, at)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[], $5::integer[], $6::bigint[], $7::bigint[],
       $8::numeric[], $9::numeric[], $10::text[], $11::integer[], $12::text[], $13::text[], $14::bigint[])`,
    [
      column((g) => g.account),
      column((g) => g.key),
      column((g) => g.currency),
      column((g) => g.amount.toString()),
      column((g) => g.priority),
      column((g) => g.effective),
      column((g) => g.expires),
      column((g) => g.rollover?.least.toString() ?? null),
      column((g) => g.rollover?.most.toString() ?? null),
      column((g) => g.funding),
      column((g) => g.lowAt),
      column((g) => g.reason),
      column((g) => g.author),
      column((g) => g.at),
    ],
  );
}

async function insertPayments(query: Query, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  const column = <T>(of: (payment: Payment) => T): T[] => payments.map(of);
  await query(
    `INSERT INTO payment (tenant, reference, kind, amount, currency, received_at, method, refunds, author, at, transaction)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[], $5::text[], $6::bigint[], $7::text[],
       $8::text[], $9::text[], $10::bigint[], $11::text[])`,
    [
      column((p) => p.account),
      column((p) => p.reference),
      column((p) => p.kind),
      column((p) => p.amount.toString()),
      column((p) => p.currency),
      column((p) => p.receivedAt),
      column((p) => p.method),
      column((p) => p.refunds),
      column((p) => p.author),
      column((p) => p.at),
      column((p) => p.transaction),
    ],
  );
}

export async function writeChange(query: Query, change: Required<BookChange>): Promise<void> {
  await insertGrants(query, change.grants);
  await insertPayments(query, change.payments);
  await insertTransactions(
    query,
    change.transactions.map((transaction) => ({ transaction, invoice: null })),
  );
  await insertNotices(query, change.notices);
}
