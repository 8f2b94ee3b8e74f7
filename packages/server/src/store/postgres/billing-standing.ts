/**
 * What a change to the books is judged by, read under the locks of its accounts. Here and in the reads of a run, accounts
 * are looked up one by one (LATERAL): as joins, the planner reads whole tables a batch until somebody has analysed them.
 */
import { balanceKey, type LastBilled, type Standing, type Touched } from '../billing-judge.ts';
import type { Query } from './database.ts';

/** In one order everywhere, so that two that want the same accounts wait for each other and never both. What was billed last. */
export async function lockAccounts(query: Query, accounts: readonly string[]): Promise<Map<string, LastBilled>> {
  const [, rows] = await Promise.all([
    query(
      `INSERT INTO billing_account (tenant) SELECT a FROM unnest($1::text[]) AS a ORDER BY a COLLATE "C"
       ON CONFLICT DO NOTHING`,
      [accounts],
    ),
    query<{ account: string } & LastBilled>(
      `SELECT tenant AS account, last_document AS last, frontier FROM billing_account WHERE tenant = ANY ($1)
       ORDER BY tenant COLLATE "C" FOR UPDATE`,
      [accounts],
    ),
  ]);
  return new Map(rows.map(({ account, ...billed }) => [account, billed]));
}

/** The accounts are locked by a statement before these: `billed` is what comes of it. */
export async function readStanding(
  query: Query,
  touched: Touched,
  billed: Map<string, LastBilled> | Promise<Map<string, LastBilled>>,
): Promise<Standing> {
  const [transactions, invoices, grants, balances, lastDocument] = await Promise.all([
    contents(query, touched.transactions),
    openOf(query, touched.invoices),
    restsOf(query, touched.grants),
    balancesOf(query, touched.accounts),
    lastDocuments(query, touched.accounts),
  ]);
  return { billed: await billed, transactions, invoices, grants, balances, lastDocument };
}

async function contents(query: Query, keys: readonly string[]): Promise<Standing['transactions']> {
  const rows = await query<{ key: string; content: string }>(
    `SELECT t.key, t.content FROM unnest($1::text[]) AS a
     CROSS JOIN LATERAL (SELECT key, content FROM ledger_transaction WHERE key = a OFFSET 0) AS t`,
    [keys],
  );
  return new Map(rows.map((row) => [row.key, row.content]));
}

async function openOf(query: Query, ids: readonly number[]): Promise<Standing['invoices']> {
  if (ids.length === 0) return new Map();
  const rows = await query<{ id: number; account: string; currency: string; open: string; stands: boolean }>(
    `SELECT i.id, i.tenant AS account, i.currency,
       (SELECT coalesce(sum(p.amount), 0) FROM ledger_posting p WHERE p.invoice = i.id) AS open,
       i.kind = 'invoice' AND NOT EXISTS (SELECT FROM invoice v WHERE v.voids = i.id) AS stands
     FROM invoice i WHERE i.id = ANY ($1)`,
    [ids],
  );
  return new Map(rows.map(({ id, ...row }) => [id, { ...row, open: BigInt(row.open) }]));
}

async function restsOf(query: Query, keys: readonly string[]): Promise<Standing['grants']> {
  if (keys.length === 0) return new Map();
  const rows = await query<{ key: string; account: string; currency: string; rest: string }>(
    `SELECT g.key, g.tenant AS account, g.currency,
       (SELECT coalesce(-sum(p.amount), 0) FROM ledger_posting p WHERE p.credit_grant = g.key) AS rest
     FROM credit_grant g WHERE g.key = ANY ($1)`,
    [keys],
  );
  return new Map(rows.map(({ key, ...row }) => [key, { ...row, rest: BigInt(row.rest) }]));
}

/** What customers have with us beyond invoices, by account and currency. */
export async function balanceRows(query: Query, accounts: readonly string[]) {
  return query<{ account: string; currency: string; balance: string }>(
    `SELECT a AS account, p.currency, p.balance FROM unnest($1::text[]) AS a
     CROSS JOIN LATERAL (
       SELECT currency, -sum(amount) AS balance FROM ledger_posting
       WHERE book = 'receivable/' || a AND invoice IS NULL GROUP BY currency
     ) AS p`,
    [accounts],
  );
}

async function balancesOf(query: Query, accounts: readonly string[]): Promise<Standing['balances']> {
  const rows = await balanceRows(query, accounts);
  return new Map(rows.map((row) => [balanceKey(row.account, row.currency), BigInt(row.balance)]));
}

export async function lastDocuments(query: Query, accounts: readonly string[]): Promise<Standing['lastDocument']> {
  const rows = await query<{ account: string; last: number }>(
    // Of a list, not of the table: that would be read backwards by id until one of the account comes.
    `SELECT a AS account, i.last FROM unnest($1::text[]) AS a
     CROSS JOIN LATERAL (SELECT max(id) AS last FROM (SELECT id FROM invoice WHERE tenant = a OFFSET 0) AS own) AS i
     WHERE i.last IS NOT NULL`,
    [accounts],
  );
  return new Map(rows.map((row) => [row.account, row.last]));
}
