/**
 * What every engine of the books refuses before it looks at what is there: faults of the caller, `store.*`; and the
 * errors that tell what the books themselves do not allow.
 */
import { hash } from 'node:crypto';
import type { BillingRun, Fence } from './billing-store.ts';
import {
  AMOUNT_LIMIT,
  type BookChange,
  type CreditNotice,
  documentKinds,
  type FinalInvoice,
  type Grant,
  type Payment,
  type Posting,
  type StoredDraft,
  type Transaction,
  transactionKinds,
} from './billing-types.ts';
import { checkText, checkWhole, LEASE_MS_MAX, NAME_BYTES } from './control-checks.ts';
import { StoreError } from './errors.ts';

export type BooksErrorCode =
  | 'ledger.conflict'
  | 'payment.conflict'
  | 'credit.conflict'
  | 'books.changed'
  | 'invoice.overtaken'
  | 'run.lost';

/** What the books do not allow, by what is in them. */
export class BooksError extends Error {
  readonly code: BooksErrorCode;
  constructor(code: BooksErrorCode, message: string) {
    super(message);
    this.name = 'BooksError';
    this.code = code;
  }
}

/** Keys are made of two names and a few words; a row of an ordered index holds 2,704 bytes. */
const KEY_BYTES = 2 * NAME_BYTES + 256;

const misuse = (message: string): StoreError => new StoreError('store.misuse', message);

export function checkAmount(field: string, value: bigint, least = -AMOUNT_LIMIT): void {
  if (typeof value !== 'bigint') throw misuse(`${field} is no bigint.`);
  if (value < least || value > AMOUNT_LIMIT)
    throw new StoreError('store.number_range', `${field} is ${value}, not between ${least} and ${AMOUNT_LIMIT}.`);
}

function checkCurrency(field: string, value: string): void {
  checkText(field, value);
  if (!/^[A-Z]{3}$/.test(value)) throw misuse(`${field} is ${JSON.stringify(value)}, not three letters.`);
}

export const receivableOf = (account: string): string => `receivable/${account}`;
export const creditOf = (account: string): string => `credit/${account}`;

function checkPosting(field: string, tenant: string, posting: Posting): void {
  const { book, amount, invoice, grant } = posting;
  checkText(`${field}.book`, book, KEY_BYTES);
  checkAmount(`${field}.amount`, amount);
  if (amount === 0n) throw misuse(`${field} is of nothing.`);
  const others = /^(receivable|credit)\//.test(book) && book !== receivableOf(tenant) && book !== creditOf(tenant);
  if (others) throw misuse(`${field} is on ${book}, which is not of the transaction's account.`);
  if (invoice !== null && book !== receivableOf(tenant))
    throw misuse(`${field} names an invoice, but is not on its book.`);
  if (typeof invoice === 'number') checkWhole(`${field}.invoice`, invoice, 1);
  if ((grant !== null) !== (book === creditOf(tenant)))
    throw misuse(`${field}: a posting on credit/ACCOUNT names its grant, and no other does.`);
  if (grant !== null) checkText(`${field}.grant`, grant, KEY_BYTES);
}

/** `final`: of an invoice that is made final, the only ones that may say `new`. */
export function checkTransaction(transaction: Transaction, final = false): void {
  const { key, tenant, kind, at, currency, text, postings } = transaction;
  checkText('key', key, KEY_BYTES);
  checkText('tenant', tenant, NAME_BYTES);
  if (!transactionKinds.includes(kind)) throw misuse(`kind is ${String(kind)}.`);
  checkWhole('at', at);
  checkCurrency('currency', currency);
  checkText('text', text);
  if (postings.length < 2) throw misuse(`Transaction ${key} has less than two postings.`);
  postings.forEach((posting, i) => {
    checkPosting(`postings[${i}]`, tenant, posting);
    if (posting.invoice === 'new' && !final)
      throw misuse(`postings[${i}] is of a new invoice, but none is made final.`);
  });
  const sum = postings.reduce((all, { amount }) => all + amount, 0n);
  if (sum !== 0n)
    throw new StoreError('store.misuse', `Transaction ${key} sums to ${sum}, not to 0: nothing of it was posted.`);
}

export function checkFinal(item: FinalInvoice): void {
  checkText('account', item.account, NAME_BYTES);
  for (const field of ['entity', 'prefix'] as const) checkText(field, item[field], NAME_BYTES / 2);
  if (!documentKinds.includes(item.kind)) throw misuse(`kind is ${String(item.kind)}.`);
  for (const field of ['from', 'to', 'issuedAt', 'dueAt'] as const) checkWhole(field, item[field]);
  if (item.to < item.from) throw misuse('A period ends before it begins.');
  checkWhole('version', item.version, 1, 1_000_000);
  checkWhole('frontier', item.frontier, 0);
  checkCurrency('currency', item.currency);
  for (const field of ['net', 'tax', 'total'] as const) checkAmount(field, item[field]);
  if (item.net + item.tax !== item.total) throw misuse('total is not net and tax together.');
  checkText('document', item.document);
  checkDigest(item);
  for (const field of ['voids', 'after'] as const) {
    const value = item[field];
    if (value !== null) checkWhole(field, value, 0);
  }
  for (const { account, after } of item.accounts) {
    checkText('accounts', account, NAME_BYTES);
    if (after !== null) checkWhole('accounts.after', after, 0);
  }
  if (item.key !== undefined) checkText('key', item.key, NAME_BYTES);
  if (item.voids !== null && item.kind !== 'credit-note') throw misuse('Only a credit note voids an invoice.');
  for (const transaction of item.transactions) {
    checkTransaction(transaction, true);
    if (transaction.tenant !== item.account) throw misuse('A transaction of an invoice is about another account.');
  }
  item.notices.forEach(checkNotice);
}

/** What is kept as proof has to be what it says it is. */
function checkDigest({ document, digest }: { document: string; digest: string }): void {
  const computed = hash('sha256', document, 'hex');
  if (digest !== computed) throw misuse('digest is not the SHA-256 of the document, in hex.');
}

export function checkDraft(draft: StoredDraft): void {
  checkText('account', draft.account, NAME_BYTES);
  checkText('entity', draft.entity, NAME_BYTES / 2);
  for (const field of ['from', 'to', 'at'] as const) checkWhole(field, draft[field]);
  checkWhole('frontier', draft.frontier, 0);
  checkCurrency('currency', draft.currency);
  checkAmount('total', draft.total);
  checkText('document', draft.document);
  checkText('blocked', draft.blocked);
  checkDigest(draft);
}

function checkNotice(notice: CreditNotice): void {
  checkText('account', notice.account, NAME_BYTES);
  checkText('grant', notice.grant, KEY_BYTES);
  checkWhole('percent', notice.percent, 0, 100);
  checkAmount('rest', notice.rest, 0n);
  checkWhole('at', notice.at);
}

function checkGrant(grant: Grant): void {
  checkText('key', grant.key, KEY_BYTES);
  checkText('account', grant.account, NAME_BYTES);
  checkCurrency('currency', grant.currency);
  checkAmount('amount', grant.amount, 1n);
  checkWhole('priority', grant.priority, 0, 1_000_000);
  for (const field of ['effective', 'at'] as const) checkWhole(field, grant[field]);
  if (grant.expires !== null) checkWhole('expires', grant.expires, grant.effective + 1);
  if (grant.rollover !== null) {
    checkAmount('rollover.least', grant.rollover.least, 0n);
    checkAmount('rollover.most', grant.rollover.most, grant.rollover.least);
  }
  if (grant.funding !== 'purchase' && grant.funding !== 'promotion') throw misuse('funding is neither of the two.');
  if (grant.lowAt !== null) checkWhole('lowAt', grant.lowAt, 0, 100);
  checkText('reason', grant.reason);
  checkText('author', grant.author);
}

function checkPayment(payment: Payment): void {
  checkText('account', payment.account, NAME_BYTES);
  checkText('reference', payment.reference, NAME_BYTES);
  checkText('refunds', payment.refunds, NAME_BYTES);
  if (payment.kind !== 'payment' && payment.kind !== 'refund') throw misuse('kind is neither payment nor refund.');
  checkAmount('amount', payment.amount, 1n);
  checkCurrency('currency', payment.currency);
  for (const field of ['receivedAt', 'at'] as const) checkWhole(field, payment[field]);
  for (const field of ['method', 'author'] as const) checkText(field, payment[field]);
  checkText('transaction', payment.transaction, KEY_BYTES);
}

export function checkChange(account: string, change: BookChange): void {
  const { grants = [], payments = [], transactions = [], notices = [] } = change;
  grants.forEach(checkGrant);
  payments.forEach(checkPayment);
  for (const transaction of transactions) checkTransaction(transaction);
  notices.forEach(checkNotice);
  const owners = [...grants, ...payments, ...notices].map((row) => row.account);
  for (const owner of [...owners, ...transactions.map(({ tenant }) => tenant)])
    if (owner !== account) throw misuse(`A change of the books of ${account} is about ${owner}.`);
}

export function checkRunStart(run: Pick<BillingRun, 'frontier' | 'until' | 'startedAt'>): void {
  checkWhole('frontier', run.frontier, 0);
  checkWhole('until', run.until);
  checkWhole('startedAt', run.startedAt);
}

export function checkHold(holder: string, now: number, ttlMs: number): void {
  checkText('holder', holder, NAME_BYTES);
  if (holder === '') throw misuse('holder is empty.');
  checkWhole('now', now);
  checkWhole('ttlMs', ttlMs, 1, LEASE_MS_MAX);
}

export const checkFence = ({ run, token, now }: Fence): void => {
  checkWhole('run', run, 1);
  checkWhole('token', token, 1);
  checkWhole('now', now);
};

export const runLost = (run: number): BooksError =>
  new BooksError('run.lost', `Invoice run ${run} is over, or another server goes on with it.`);

/** What a transaction's key stands for: the same key with another digest is another transaction. */
export const contentDigest = ({ tenant, kind, at, currency, text, postings }: Transaction): string =>
  hash(
    'sha256',
    JSON.stringify([
      ...[tenant, kind, at, currency, text],
      postings.map((p) => [p.book, p.amount.toString(), p.invoice, p.grant]),
    ]),
    'hex',
  );

/** The number as printed. */
/** Which one is for whoever made the batch: one by one the others become final. */
export const numberTaken = (number: string): StoreError =>
  misuse(
    `${number === '' ? 'A number of the batch' : `The number ${number}`} is that of another document: two entities have one prefix; tollgate billing entity set`,
  );

export const numberText = (prefix: string, sequence: number): string => prefix + String(sequence).padStart(6, '0');
