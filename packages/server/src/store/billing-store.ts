/**
 * The books, part of the control store (`control.billing`): the same PostgreSQL, the same connections; the model passes
 * the same contract suite. What they hold: billing-types.ts.
 */
import type { Receipt } from '../domain/fact.ts';
import type { Instant } from '../domain/window.ts';
import type {
  AccountBooks,
  BookBalance,
  BookChange,
  BookFound,
  BookLookup,
  FinalDocument,
  FinalHead,
  FinalInvoice,
  Finalised,
  GrantRest,
  Invoice,
  InvoiceFilter,
  PostedTransaction,
  StoredCreditNotice,
  StoredDraft,
  StoredPayment,
  Transaction,
  TransactionFilter,
} from './billing-types.ts';

export type * from './billing-types.ts';
export { AMOUNT_LIMIT, documentKinds, invoiceState, transactionKinds } from './billing-types.ts';

/** One pass over accounts whose periods have ended. Accounts are taken in order of their ids. */
export interface BillingRun {
  id: number;
  /** S. */
  frontier: Receipt;
  /** Boundaries up to this instant. */
  until: Instant;
  startedAt: Instant;
  finishedAt: Instant | null;
  outcome: 'running' | 'done' | 'failed';
  error: string;
  /** Last account that is done: a run that was cut off goes on after it. '' at the beginning. */
  cursor: string;
  accounts: number;
  invoices: number;
  drafts: number;
  blocked: number;
  failed: number;
  /** Fencing: who works on it, until when; the token grows with every takeover. */
  holder: string;
  token: number;
  heldUntil: Instant;
}
export type RunCounts = Pick<BillingRun, 'accounts' | 'invoices' | 'drafts' | 'blocked' | 'failed'>;

/** Why an account was passed over. */
export interface RunFailure {
  run: number;
  account: string;
  code: string;
  reason: string;
}

/** A run under its token; what it does with another one about is refused with `run.lost`. */
export interface Fence {
  run: number;
  token: number;
  now: Instant;
}

export interface BillingStore {
  /**
   * Makes invoices and credit notes final, in one transaction; the outcomes are in the order of the items. Numbers have no
   * gaps and are given in that order. Their drafts are gone. Throws `run.lost` when the fence is not in force any more, and
   * `store.misuse` when a number would be given twice, because entities use one prefix: nothing of the batch is written.
   */
  finalise(batch: readonly FinalInvoice[], fence?: Fence): Promise<Finalised[]>;

  invoice(id: number): Promise<Invoice | null>;
  /** At most one: see finalise. */
  invoicesByNumber(number: string): Promise<Invoice[]>;
  /** Newest first. */
  invoices(filter: InvoiceFilter): Promise<Omit<Invoice, 'document'>[]>;
  /** All final documents of these accounts whose period ends after `from`, by account and id; the first period, [t, t), at t too. */
  documentsOf(accounts: readonly string[], from: Instant): Promise<Invoice[]>;
  /** The same documents, in the same order, for who makes the next one: thousands at once. */
  finalDocuments(accounts: readonly string[], from: Instant): Promise<FinalDocument[]>;
  /** All final documents of these accounts, in order of ids. */
  finalHeads(accounts: readonly string[]): Promise<FinalHead[]>;
  /** The document that was made final under this key of the account. */
  documentByKey(account: string, key: string): Promise<Invoice | null>;
  /**
   * Id of the last final document that was for each of these accounts, whoever got it; 0: none. Read before the documents
   * that one is computed with, and given back with it.
   */
  lastFor(accounts: readonly string[]): Promise<Map<string, number>>;
  /** End of the last period that is final and not void, of those that have one. */
  lastFinalEnd(accounts: readonly string[]): Promise<Map<string, Instant>>;

  saveDrafts(drafts: readonly StoredDraft[]): Promise<void>;
  removeDrafts(spans: readonly { account: string; from: Instant; to: Instant }[]): Promise<void>;
  draft(account: string, from: Instant, to: Instant): Promise<StoredDraft | null>;
  /** By end of period, newest first, then account; `after`: those behind this one. */
  drafts(filter: {
    accounts?: readonly string[];
    blocked?: boolean;
    after?: { account: string; to: Instant; from: Instant };
    limit: number;
  }): Promise<Omit<StoredDraft, 'document'>[]>;

  /** In the order asked. */
  booksOf(accounts: readonly string[]): Promise<AccountBooks[]>;
  /**
   * Changes one account's books: `decide` sees them while nobody else can change them, and says what to write. It runs
   * inside a transaction: pure, at once, and perhaps twice. What it throws comes out, with nothing written.
   * Errors: `ledger.conflict`, `payment.conflict`, `credit.conflict`, `books.changed`.
   */
  change(
    account: string,
    lookup: BookLookup,
    decide: (books: AccountBooks, found: BookFound) => BookChange,
  ): Promise<BookChange>;

  /** Posts what is not there; answers how many were new. */
  post(transactions: readonly Transaction[]): Promise<number>;
  /** Of these books, by book and currency; those without a posting are left out. A name that ends in `/`: all that begin so. */
  balances(books: readonly string[]): Promise<BookBalance[]>;
  /** Newest first. */
  transactions(filter: TransactionFilter): Promise<PostedTransaction[]>;

  /** Newest first; `rest` is of now. */
  grants(filter: {
    accounts?: readonly string[];
    keys?: readonly string[];
    before?: number;
    limit: number;
  }): Promise<(GrantRest & { id: number })[]>;
  /** Grants of which something is left that expired at or before `t`: accounts with at least one, in order. */
  expiring(t: Instant, after: string, limit: number): Promise<string[]>;
  /** Newest first. */
  creditNotices(filter: {
    accounts?: readonly string[];
    before?: number;
    limit: number;
  }): Promise<StoredCreditNotice[]>;
  /** Newest first. */
  payments(filter: { accounts?: readonly string[]; before?: number; limit: number }): Promise<StoredPayment[]>;

  /** Begins a run, or answers the one that runs with this frontier and `until`. */
  startBillingRun(run: Pick<BillingRun, 'frontier' | 'until' | 'startedAt'>): Promise<BillingRun>;
  /** Takes a running run that nobody holds at `now`, or renews one's own hold; null when another holds it. */
  holdBillingRun(id: number, holder: string, now: Instant, ttlMs: number): Promise<BillingRun | null>;
  /** Adds to the counts, moves the cursor, notes failures: all or nothing. Throws `run.lost`. */
  advanceBillingRun(
    fence: Fence,
    step: { cursor: string; counts: RunCounts; failures: readonly Omit<RunFailure, 'run'>[] },
  ): Promise<BillingRun>;
  /** Ends it. Throws `run.lost`. */
  finishBillingRun(fence: Fence, outcome: 'done' | 'failed', error: string): Promise<BillingRun>;
  billingRun(id: number): Promise<BillingRun | null>;
  billingRuns(filter: { before?: number; limit: number }): Promise<BillingRun[]>;
  /** By account. */
  runFailures(run: number, after: string, limit: number): Promise<RunFailure[]>;
}
