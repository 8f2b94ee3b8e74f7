/** How rows of the books are read: numeric comes as text and becomes bigint. */
import type {
  Grant,
  GrantRest,
  Invoice,
  PostedTransaction,
  Posting,
  StoredCreditNotice,
  StoredDraft,
  StoredPayment,
} from '../billing-store.ts';
import type { Query } from './database.ts';

/** The same with texts for amounts, as the driver reads numeric. */
type Raw<T> = { [K in keyof T]: T[K] extends bigint ? string : T[K] };

/** Columns of an invoice without its document; `i` is the invoice. */
const INVOICE_COLUMNS = `i.id, i.tenant AS account, i.entity, i.kind, i.from_t AS "from", i.to_t AS "to", i.version,
  i.prefix, i.sequence, i.number, i.currency, i.net, i.tax, i.total, i.issued_at AS "issuedAt", i.due_at AS "dueAt",
  i.frontier, i.digest, i.voids, s.open, s.settled AS "settledAt", v.id AS "voidedBy"`;

// The instant is looked up posting by posting: as a join, the planner of a table it has no statistics of yet reads all
// transactions for each invoice.
const INVOICE_FROM = `FROM invoice i LEFT JOIN invoice v ON v.voids = i.id
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(p.amount), 0) AS open,
      max((SELECT t.at FROM ledger_transaction t WHERE t.id = p.transaction AND t.kind <> 'invoice')) AS settled
    FROM ledger_posting p WHERE p.invoice = i.id) AS s`;

export const SELECT_INVOICE = `SELECT ${INVOICE_COLUMNS} ${INVOICE_FROM}`;
export const SELECT_DOCUMENT = `SELECT ${INVOICE_COLUMNS}, i.document ${INVOICE_FROM}`;

export const toInvoice = <T extends Raw<Omit<Invoice, 'document'>>>(row: T) => ({
  ...row,
  net: BigInt(row.net),
  tax: BigInt(row.tax),
  total: BigInt(row.total),
  open: BigInt(row.open),
});
export type InvoiceRow = Raw<Omit<Invoice, 'document'>>;
export type DocumentRow = Raw<Invoice>;

export type DraftRow = Raw<Omit<StoredDraft, 'document'>>;
export const toDraft = <T extends DraftRow>(row: T) => ({ ...row, total: BigInt(row.total) });

export interface GrantRow extends Omit<Raw<Grant>, 'rollover'> {
  id: number;
  least: string | null;
  most: string | null;
  rest: string;
}
export const SELECT_GRANT = `SELECT g.id, g.key, g.tenant AS account, g.currency, g.amount, g.priority, g.effective,
    g.expires, g.rollover_least AS least, g.rollover_most AS most, g.funding, g.low_at AS "lowAt", g.reason, g.author, g.at,
    r.rest
  FROM credit_grant g CROSS JOIN LATERAL (
    SELECT coalesce(-sum(p.amount), 0) AS rest FROM ledger_posting p WHERE p.credit_grant = g.key) AS r`;
export const toGrant = ({ least, most, ...row }: GrantRow): GrantRest & { id: number } => ({
  ...row,
  amount: BigInt(row.amount),
  rest: BigInt(row.rest),
  rollover: least === null || most === null ? null : { least: BigInt(least), most: BigInt(most) },
});

export const SELECT_PAYMENT = `SELECT id, tenant AS account, reference, kind, amount, currency,
  received_at AS "receivedAt", method, refunds, author, at, transaction FROM payment`;
export const toPayment = (row: Raw<StoredPayment>): StoredPayment => ({ ...row, amount: BigInt(row.amount) });
export type PaymentRow = Raw<StoredPayment>;

export type NoticeRow = Raw<StoredCreditNotice>;
export const toNotice = (row: NoticeRow): StoredCreditNotice => ({
  ...row,
  rest: BigInt(row.rest),
  amount: BigInt(row.amount),
});

export type TransactionRow = Omit<PostedTransaction, 'postings'>;
export const SELECT_TRANSACTION =
  'SELECT t.id, t.key, t.tenant, t.kind, t.at, t.currency, t.text FROM ledger_transaction t';

/** Transactions with their postings, in the order of the rows. */
export async function withPostings(query: Query, rows: readonly TransactionRow[]): Promise<PostedTransaction[]> {
  const postings = await query<Raw<Posting> & { transaction: number }>(
    `SELECT transaction, book, amount, invoice, credit_grant AS grant FROM ledger_posting
     WHERE transaction = ANY ($1) ORDER BY transaction, no`,
    [rows.map((row) => row.id)],
  );
  const of = new Map<number, Posting[]>(rows.map((row) => [row.id, []]));
  for (const { transaction, ...posting } of postings)
    of.get(transaction)?.push({ ...posting, amount: BigInt(posting.amount) });
  return rows.map((row) => ({ ...row, postings: of.get(row.id) ?? [] }));
}
