/**
 * What the books hold: final invoices and their drafts, ledger, credits, payments, invoice runs. Data only.
 *
 * Money is bigint, whole minor units of the currency named beside it, between -AMOUNT_LIMIT and AMOUNT_LIMIT. What is
 * paid, what is left of a credit and what a customer has too much of are sums of postings and stand nowhere else.
 */

import type { Receipt } from '../domain/fact.ts';
import { MINOR_MAX } from '../domain/money/money.ts';
import type { Instant } from '../domain/window.ts';

export const documentKinds = ['invoice', 'credit-note'] as const;
export type DocumentKind = (typeof documentKinds)[number];

/** Part of a transaction: positive is debit, negative is credit. */
export interface Posting {
  /** `receivable/ACCOUNT`, `revenue/ENTITY`, `tax/JURISDICTION`, `credit/ACCOUNT`, `cash` ...: see billing/ledger. */
  book: string;
  amount: bigint;
  /**
   * Id of the invoice it opens or settles: what is open of an invoice is the sum of its postings on `receivable/`. `new`
   * is the invoice that is made final in the same call. Null on `receivable/`: the customer's balance.
   */
  invoice: number | 'new' | null;
  /** Key of the credit grant it fills or uses: what is left of it is minus the sum of its postings on `credit/`. */
  grant: string | null;
}

export const transactionKinds = [
  'invoice',
  'credit-note',
  'payment',
  'refund',
  'settlement',
  'credit-grant',
  'credit-use',
  'credit-expiry',
  'credit-rollover',
  'credit-void',
] as const;
export type TransactionKind = (typeof transactionKinds)[number];

/** Sums to 0. Known by its key: posting it again changes nothing, another content under the key is `ledger.conflict`. */
export interface Transaction {
  key: string;
  /** The account it is about; its postings on `receivable/` and `credit/` are of this account only. */
  tenant: string;
  kind: TransactionKind;
  at: Instant;
  currency: string;
  text: string;
  postings: readonly Posting[];
}

export type PostedTransaction = Transaction & { id: number };

/** How an invoice or credit note is made final. The store gives it its number. */
export interface FinalInvoice {
  /** Who gets it. */
  account: string;
  entity: string;
  kind: DocumentKind;
  from: Instant;
  to: Instant;
  version: number;
  /** Before the number: `INV-` makes `INV-000001`. */
  prefix: string;
  currency: string;
  net: bigint;
  tax: bigint;
  total: bigint;
  issuedAt: Instant;
  /** Overdue from then on: of an invoice the local midnight that ends its last day to pay. */
  dueAt: Instant;
  /** S. */
  frontier: Receipt;
  /** Canonical JSON of the whole, and SHA-256 of it in hex. Never changes again. */
  document: string;
  digest: string;
  /** Id of the invoice that a credit note reverses in full: that one is void from then on. */
  voids: number | null;
  /**
   * Highest id among the account's final documents that it was computed with, 0 for none: with a newer one about it is
   * refused (`invoice.overtaken`), because its adjustments could count something twice. Null: no matter.
   */
  after: number | null;
  /**
   * Whom it bills or credits, each once. An invoice is also refused as `invoice.overtaken` where a document for one of
   * them, whoever got it, was made of more facts than it: who pays may have been said since.
   */
  accounts: readonly BilledAccount[];
  /** The caller's name for a credit note, unique in the account; left away: none. */
  key?: string;
  transactions: readonly Transaction[];
  notices: readonly CreditNotice[];
}

export interface BilledAccount {
  account: string;
  /** Id of the last document for it that this one was computed with, whoever got it: see `lastFor`. Null: no matter. */
  after: number | null;
}

/** A final invoice. It is open, paid or void by the postings: see `openOf`. */
export type Invoice = Omit<FinalInvoice, 'transactions' | 'notices' | 'after' | 'accounts' | 'key'> & {
  id: number;
  /** Gapless by entity and kind, from 1. */
  sequence: number;
  /** `INV-000001`. */
  number: string;
  /**
   * Not paid yet. 0 for invoices of nothing or less, which are the customer's balance at once, and for credit notes; unless
   * one takes back a balance that is gone.
   */
  open: bigint;
  /** Instant of the last posting on it; null: none since it is final. */
  settledAt: Instant | null;
  /** Id of the credit note that reversed it. */
  voidedBy: number | null;
};

/** A final document as later ones look at it: what is open of it is another question. */
export type FinalDocument = Pick<
  Invoice,
  'id' | 'number' | 'account' | 'kind' | 'from' | 'to' | 'version' | 'frontier' | 'voids' | 'voidedBy' | 'document'
>;
export type FinalHead = Omit<FinalDocument, 'document'>;

/** `void` before all else; `overdue` is open from `dueAt` on. */
export type InvoiceState = 'open' | 'overdue' | 'paid' | 'void';

/**
 * What came of an item. `there`: (account, from, to, kind, version) is final already, this is it, no number was taken.
 * `refused`: nothing of this item was written and no number taken, the others are final; compute it again.
 * - `invoice.overtaken`: another document of the account, or for one that it bills, became final since `after`.
 * - `books.changed`: a credit, an open invoice or a balance that it draws on holds less by now.
 * - `ledger.conflict`: a transaction's key is taken by another content.
 */
export type Finalised =
  | { outcome: 'final' | 'there'; invoice: Omit<Invoice, 'document'> }
  | { outcome: 'refused'; code: 'invoice.overtaken' | 'books.changed' | 'ledger.conflict'; reason: string };

export interface InvoiceFilter {
  accounts?: readonly string[];
  entity?: string;
  kind?: DocumentKind;
  /** `overdue` and `open` need `now`; `open` contains what is overdue. */
  state?: InvoiceState;
  now?: Instant;
  /** Period overlaps [from, to). */
  from?: Instant;
  to?: Instant;
  /** Ids below this only. */
  before?: number;
  limit: number;
}

/** What can be said of a period that is not final. The newest replaces the one before. */
export interface StoredDraft {
  account: string;
  from: Instant;
  to: Instant;
  entity: string;
  currency: string;
  total: bigint;
  frontier: Receipt;
  at: Instant;
  /** Canonical JSON, and its digest. */
  document: string;
  digest: string;
  /** JSON of why it cannot be final; '' when nothing is in the way. */
  blocked: string;
}

/** Money promised: bought or given. Nothing of it ever changes; what is left of it is in the ledger. */
export interface Grant {
  /** Unique in the installation; made from the account and the caller's key. */
  key: string;
  account: string;
  currency: string;
  amount: bigint;
  /** Lower is used earlier. */
  priority: number;
  effective: Instant;
  /** Null: never. */
  expires: Instant | null;
  /** What survives a reset: at most `most`, filled up to `least`. Null: all of it, resets do not concern it. */
  rollover: { least: bigint; most: bigint } | null;
  /** `purchase`: a liability that was paid for. `promotion`: given away. */
  funding: 'purchase' | 'promotion';
  /** Notice when less than this is left of it, whole percents; null: none. */
  lowAt: number | null;
  reason: string;
  author: string;
  at: Instant;
}

export type GrantRest = Grant & { rest: bigint };

/** A grant ran low. Told once by grant and percentage. */
export interface CreditNotice {
  account: string;
  grant: string;
  percent: number;
  rest: bigint;
  at: Instant;
}
export type StoredCreditNotice = CreditNotice & { id: number; currency: string; amount: bigint };

/** Money that came (payment) or went back (refund). Unique by account and reference. */
export interface Payment {
  account: string;
  reference: string;
  kind: 'payment' | 'refund';
  /** Above 0 in either case. */
  amount: bigint;
  currency: string;
  receivedAt: Instant;
  method: string;
  /** Of a refund: reference of the payment; '' when it is of the balance. */
  refunds: string;
  author: string;
  at: Instant;
  /** Key of its transaction. */
  transaction: string;
}
export type StoredPayment = Payment & { id: number };

/** An invoice that is not paid in full. */
export interface OpenInvoice {
  id: number;
  number: string;
  currency: string;
  total: bigint;
  open: bigint;
  dueAt: Instant;
  issuedAt: Instant;
}

/** All that a change to one account's books is decided by. */
export interface AccountBooks {
  account: string;
  /** Oldest first, by due date, then id. */
  open: readonly OpenInvoice[];
  /** By currency, what the customer has with us beyond its invoices and credits: never below 0. */
  balance: Readonly<Record<string, bigint>>;
  /** Those of which something is left, by age. */
  grants: readonly GrantRest[];
  /** Highest id among its final documents, 0 for none. */
  lastDocument: number;
}

/** What is written together, or nothing of it. */
export interface BookChange {
  grants?: readonly Grant[];
  payments?: readonly Payment[];
  transactions?: readonly Transaction[];
  notices?: readonly CreditNotice[];
}

/** What else a decision may want to see, read under the same lock. */
export interface BookLookup {
  /** Payments and refunds by reference. */
  references?: readonly string[];
  /** All refunds of these payments. */
  refundsOf?: readonly string[];
  grants?: readonly string[];
  invoices?: readonly number[];
  transactions?: readonly string[];
}
export interface BookFound {
  payments: readonly StoredPayment[];
  grants: readonly GrantRest[];
  invoices: readonly Omit<Invoice, 'document'>[];
  /** Those asked for, and those of the payments. */
  transactions: readonly PostedTransaction[];
}

export interface TransactionFilter {
  tenants?: readonly string[];
  /** Exactly this book, or with a `/` at the end every book that begins so. */
  book?: string;
  kind?: TransactionKind;
  invoice?: number;
  grant?: string;
  /** `at` in [from, to). */
  from?: Instant;
  to?: Instant;
  before?: number;
  limit: number;
}

export interface BookBalance {
  book: string;
  currency: string;
  amount: bigint;
}

/** Amounts of one posting, grant, payment or document. Sums of many may be larger: 38 digits. */
export const AMOUNT_LIMIT = MINOR_MAX;

/** Of an invoice at `now`. */
export const invoiceState = (invoice: Pick<Invoice, 'open' | 'dueAt' | 'voidedBy'>, now: Instant): InvoiceState => {
  if (invoice.voidedBy !== null) return 'void';
  if (invoice.open === 0n) return 'paid';
  return now >= invoice.dueAt ? 'overdue' : 'open';
};
