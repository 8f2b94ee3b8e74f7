/** Reading the books: documents, ledger, credits, payments. */
import type { BillingStore, BookBalance, FinalDocument, FinalHead } from '../billing-store.ts';
import { checkWhole } from '../control-checks.ts';
import {
  type DocumentRow,
  type GrantRow,
  type InvoiceRow,
  type NoticeRow,
  type PaymentRow,
  SELECT_DOCUMENT,
  SELECT_GRANT,
  SELECT_INVOICE,
  SELECT_PAYMENT,
  SELECT_TRANSACTION,
  type TransactionRow,
  toGrant,
  toInvoice,
  toNotice,
  toPayment,
  withPostings,
} from './billing-rows.ts';
import type { Database } from './database.ts';

type Documents = Pick<
  BillingStore,
  | 'invoice'
  | 'invoicesByNumber'
  | 'invoices'
  | 'documentsOf'
  | 'finalDocuments'
  | 'finalHeads'
  | 'documentByKey'
  | 'lastFor'
  | 'lastFinalEnd'
>;

const TOP = Number.MAX_SAFE_INTEGER;

/** Conditions of a filter, in which `?` stands for its value; undefined is none. */
function where(conditions: readonly (readonly [string, unknown])[], values: unknown[]): string {
  const parts = conditions.flatMap(([text, value]) => {
    if (value === undefined) return [];
    values.push(value);
    return [text.replaceAll('?', `$${values.length}`)];
  });
  return parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`;
}

/** Of the accounts $1, after $2. */
const ENDING_AFTER = `i.tenant = ANY ($1) AND (i.to_t > $2 OR (i.from_t = $2 AND i.to_t = $2))
  ORDER BY i.tenant COLLATE "C", i.id`;

const FINAL_COLUMNS = `i.id, i.number, i.tenant AS account, i.kind, i.from_t AS "from", i.to_t AS "to", i.version,
  i.frontier, i.voids, v.id AS "voidedBy"`;
/** Account by account: see billing-standing.ts. */
const finalFrom = (condition: string): string => `FROM (SELECT DISTINCT unnest($1::text[]) AS tenant) AS a
  CROSS JOIN LATERAL (SELECT * FROM invoice WHERE tenant = a.tenant ${condition} OFFSET 0) AS i
  LEFT JOIN LATERAL (SELECT id FROM invoice WHERE voids = i.id LIMIT 1) AS v ON true`;

/** `?` is the instant of the question. */
const states = {
  open: 's.open > 0 AND v.id IS NULL AND ?::bigint IS NOT NULL',
  overdue: 's.open > 0 AND v.id IS NULL AND i.due_at <= ?::bigint',
  paid: 's.open = 0 AND v.id IS NULL AND ?::bigint IS NOT NULL',
  void: 'v.id IS NOT NULL AND ?::bigint IS NOT NULL',
} as const;

export const documents = (db: Database): Documents => ({
  invoice: async (id) => {
    checkWhole('id', id);
    const [row] = await db.twice(() => db.query<DocumentRow>(`${SELECT_DOCUMENT} WHERE i.id = $1`, [id]));
    return row === undefined ? null : toInvoice(row);
  },

  invoicesByNumber: async (number) => {
    const text = `${SELECT_DOCUMENT} WHERE i.number = $1 ORDER BY i.id`;
    return (await db.twice(() => db.query<DocumentRow>(text, [number]))).map(toInvoice);
  },

  invoices: async (filter) => {
    checkWhole('limit', filter.limit, 0);
    const values: unknown[] = [filter.limit];
    const conditions = where(
      [
        ['i.tenant = ANY (?)', filter.accounts],
        ['i.entity = ?', filter.entity],
        ['i.kind = ?', filter.kind],
        ['i.to_t > ?', filter.from],
        ['i.from_t < ?', filter.to],
        ['i.id < ?', filter.before],
        filter.state === undefined ? ['', undefined] : [states[filter.state], filter.now ?? TOP],
      ],
      values,
    );
    const text = `${SELECT_INVOICE} ${conditions} ORDER BY i.id DESC LIMIT $1`;
    return (await db.twice(() => db.query<InvoiceRow>(text, values))).map(toInvoice);
  },

  documentsOf: async (accounts, from) => {
    checkWhole('from', from);
    const text = `${SELECT_DOCUMENT} WHERE ${ENDING_AFTER}`;
    return (await db.twice(() => db.query<DocumentRow>(text, [accounts, from]))).map(toInvoice);
  },

  finalDocuments: async (accounts, from) => {
    checkWhole('from', from);
    const text = `SELECT ${FINAL_COLUMNS}, i.document ${finalFrom('AND (to_t > $2 OR (from_t = $2 AND to_t = $2))')}
      ORDER BY i.tenant COLLATE "C", i.id`;
    return db.twice(() => db.query<FinalDocument & Record<string, unknown>>(text, [accounts, from]));
  },

  finalHeads: async (accounts) => {
    const text = `SELECT ${FINAL_COLUMNS} ${finalFrom('')} ORDER BY i.id`;
    return db.twice(() => db.query<FinalHead & Record<string, unknown>>(text, [accounts]));
  },

  documentByKey: async (account, key) => {
    const text = `${SELECT_DOCUMENT} WHERE i.tenant = $1 AND i.request_key = $2`;
    const [row] = await db.twice(() => db.query<DocumentRow>(text, [account, key]));
    return row === undefined ? null : toInvoice(row);
  },

  lastFor: async (accounts) => {
    const rows = await db.twice(() =>
      db.query<{ account: string; last: number }>(
        'SELECT tenant AS account, last_document AS last FROM billing_account WHERE tenant = ANY ($1)',
        [accounts],
      ),
    );
    const known = new Map(rows.map((row) => [row.account, row.last]));
    return new Map(accounts.map((account) => [account, known.get(account) ?? 0]));
  },

  lastFinalEnd: async (accounts) => {
    const rows = await db.twice(() =>
      db.query<{ account: string; last: number }>(
        `SELECT i.tenant AS account, max(i.to_t) AS last FROM invoice i
         WHERE i.tenant = ANY ($1) AND i.kind = 'invoice' AND NOT EXISTS (SELECT FROM invoice v WHERE v.voids = i.id)
         GROUP BY i.tenant`,
        [accounts],
      ),
    );
    return new Map(rows.map((row) => [row.account, row.last]));
  },
});

export const ledgerReads = (db: Database): Pick<BillingStore, 'balances' | 'transactions'> => ({
  balances: async (books) => {
    const prefixes = books.filter((book) => book.endsWith('/'));
    // By the index, unless there is a prefix among them: then all postings are read.
    const whole = 'book = ANY ($1)';
    const condition =
      prefixes.length === 0
        ? whole
        : `${whole} OR EXISTS (SELECT FROM unnest($2::text[]) AS b WHERE starts_with(book, b))`;
    const rows = await db.twice(() =>
      db.query<{ book: string; currency: string; amount: string }>(
        `SELECT book, currency, sum(amount) AS amount FROM ledger_posting WHERE ${condition}
         GROUP BY book, currency ORDER BY book COLLATE "C", currency COLLATE "C"`,
        prefixes.length === 0 ? [books] : [books, prefixes],
      ),
    );
    return rows.map((row): BookBalance => ({ ...row, amount: BigInt(row.amount) }));
  },

  transactions: async (filter) => {
    checkWhole('limit', filter.limit, 0);
    const { book } = filter;
    const values: unknown[] = [filter.limit];
    const has = (condition: string): string =>
      `EXISTS (SELECT FROM ledger_posting p WHERE p.transaction = t.id AND ${condition})`;
    const conditions = where(
      [
        ['t.tenant = ANY (?)', filter.tenants],
        [has(book?.endsWith('/') === true ? 'starts_with(p.book, ?)' : 'p.book = ?'), book],
        ['t.kind = ?', filter.kind],
        // By the index of the few postings that name one, not by going through all transactions.
        ['t.id IN (SELECT p.transaction FROM ledger_posting p WHERE p.invoice = ?)', filter.invoice],
        ['t.id IN (SELECT p.transaction FROM ledger_posting p WHERE p.credit_grant = ?)', filter.grant],
        ['t.at >= ?', filter.from],
        ['t.at < ?', filter.to],
        ['t.id < ?', filter.before],
      ],
      values,
    );
    return db.twice(async () =>
      withPostings(
        db.query,
        await db.query<TransactionRow>(`${SELECT_TRANSACTION} ${conditions} ORDER BY t.id DESC LIMIT $1`, values),
      ),
    );
  },
});

/** Rows of some accounts, or of all, newest first. */
const PAGED = '($1::text[] IS NULL OR tenant = ANY ($1)) AND id < $2 ORDER BY id DESC LIMIT $3';
interface Paged {
  accounts?: readonly string[];
  before?: number;
  limit: number;
}
const pageValues = ({ accounts, before = TOP, limit }: Paged): unknown[] => {
  checkWhole('limit', limit, 0);
  return [accounts ?? null, before, limit];
};

export const creditReads = (
  db: Database,
): Pick<BillingStore, 'grants' | 'expiring' | 'creditNotices' | 'payments'> => ({
  grants: async (filter) => {
    const text = `${SELECT_GRANT} WHERE ($1::text[] IS NULL OR g.tenant = ANY ($1)) AND g.id < $2
      AND ($4::text[] IS NULL OR g.key = ANY ($4)) ORDER BY g.id DESC LIMIT $3`;
    const values = [...pageValues(filter), filter.keys ?? null];
    return (await db.twice(() => db.query<GrantRow>(text, values))).map(toGrant);
  },

  expiring: async (t, after, limit) => {
    checkWhole('limit', limit, 0);
    const rows = await db.twice(() =>
      db.query<{ account: string }>(
        `SELECT DISTINCT g.tenant COLLATE "C" AS account FROM credit_grant g
         WHERE g.expires <= $1 AND g.tenant COLLATE "C" > $2
           AND (SELECT coalesce(-sum(p.amount), 0) FROM ledger_posting p WHERE p.credit_grant = g.key) > 0
         ORDER BY 1 LIMIT $3`,
        [t, after, limit],
      ),
    );
    return rows.map((row) => row.account);
  },

  creditNotices: async (filter) => {
    const text = `SELECT n.id, n.tenant AS account, n.credit_grant AS grant, n.percent, n.rest, n.at, g.currency, g.amount
      FROM credit_notice n JOIN credit_grant g ON g.key = n.credit_grant
      WHERE ($1::text[] IS NULL OR n.tenant = ANY ($1)) AND n.id < $2 ORDER BY n.id DESC LIMIT $3`;
    return (await db.twice(() => db.query<NoticeRow>(text, pageValues(filter)))).map(toNotice);
  },

  payments: async (filter) => {
    const text = `${SELECT_PAYMENT} WHERE ${PAGED}`;
    return (await db.twice(() => db.query<PaymentRow>(text, pageValues(filter)))).map(toPayment);
  },
});
