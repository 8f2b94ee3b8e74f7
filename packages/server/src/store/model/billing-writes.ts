/** Making invoices final and changing books, in memory. Judged by the same code as in PostgreSQL. */
import {
  BooksError,
  checkChange,
  checkFence,
  checkFinal,
  checkTransaction,
  contentDigest,
  numberTaken,
  numberText,
  runLost,
} from '../billing-checks.ts';
import { judge, judgeFinal, type Refusal, sameGrant, samePayment, touchedBy } from '../billing-judge.ts';
import type {
  AccountBooks,
  BookChange,
  BookFound,
  BookLookup,
  CreditNotice,
  Fence,
  FinalInvoice,
  Finalised,
  Transaction,
} from '../billing-store.ts';
import { checkText, NAME_BYTES } from '../control-checks.ts';
import {
  type BillingState,
  readBooks,
  readFound,
  readInvoice,
  readStanding,
  type StoredInvoice,
  withoutDocument,
} from './billing-state.ts';

export function underFence(state: BillingState, fence: Fence) {
  checkFence(fence);
  const run = state.runs.find(({ id }) => id === fence.run);
  if (run?.token !== fence.token || run.heldUntil <= fence.now || run.outcome !== 'running') throw runLost(fence.run);
  return run;
}

export const billingWrites = (state: BillingState) => ({
  finalise: (batch: readonly FinalInvoice[], fence?: Fence): Finalised[] => {
    batch.forEach(checkFinal);
    if (fence !== undefined) checkFence(fence);
    if (batch.length === 0) return [];
    if (fence !== undefined) underFence(state, fence);
    const standing = readStanding(state, touchedBy([], batch));
    const ids = new Map(state.invoices.map((invoice) => [nameOf(invoice), invoice.id]));
    const taken = new Set(ids.keys());
    const verdicts = batch.map((item): 'final' | 'there' | Refusal => {
      if (taken.has(nameOf(item))) return 'there';
      const why = judgeFinal(standing, item);
      if (why === null) taken.add(nameOf(item));
      return why ?? 'final';
    });
    const fresh = batch.filter((_, at) => verdicts[at] === 'final');
    checkNumbers(state, fresh);
    for (const item of fresh) ids.set(nameOf(item), makeFinal(state, item));
    return batch.map((item, at): Finalised => {
      const verdict = verdicts[at] as 'final' | 'there' | Refusal;
      if (typeof verdict === 'object') return { outcome: 'refused', ...verdict };
      const invoice = state.invoices[(ids.get(nameOf(item)) ?? 0) - 1] as StoredInvoice;
      return { outcome: verdict, invoice: withoutDocument(readInvoice(state, invoice)) };
    });
  },

  booksOf: (accounts: readonly string[]): AccountBooks[] => {
    for (const account of accounts) checkText('accounts', account, NAME_BYTES);
    return accounts.map((account) => readBooks(state, account));
  },

  change: (
    account: string,
    lookup: BookLookup,
    decide: (books: AccountBooks, found: BookFound) => BookChange,
  ): BookChange => {
    checkText('account', account, NAME_BYTES);
    const change = decide(readBooks(state, account), readFound(state, account, lookup));
    checkChange(account, change);
    const { grants, payments, transactions, notices } = admitted(state, account, change);
    for (const grant of grants) state.grants.push({ ...grant, id: state.grants.length + 1 });
    for (const payment of payments) state.payments.push({ ...payment, id: state.payments.length + 1 });
    addTransactions(state, transactions, null);
    addNotices(state, notices);
    return change;
  },

  post: (transactions: readonly Transaction[]): number => {
    for (const transaction of transactions) checkTransaction(transaction);
    const judged = judge(readStanding(state, touchedBy(transactions)), transactions);
    if ('code' in judged) throw new BooksError(judged.code, judged.reason);
    addTransactions(state, judged.fresh, null);
    return judged.fresh.length;
  },
});

const nameOf = (item: Pick<FinalInvoice, 'account' | 'from' | 'to' | 'kind' | 'version'>): string =>
  JSON.stringify([item.account, item.from, item.to, item.kind, item.version]);

/** Before anything is written: here nothing is rolled back. */
function checkNumbers(state: BillingState, items: readonly FinalInvoice[]): void {
  const numbers = new Set(state.invoices.map(({ number }) => number));
  const next = new Map(state.numbers);
  for (const { entity, kind, prefix } of items) {
    const name = JSON.stringify([entity, kind]);
    const sequence = (next.get(name) ?? 0) + 1;
    next.set(name, sequence);
    const number = numberText(prefix, sequence);
    if (numbers.has(number)) throw numberTaken(number);
    numbers.add(number);
  }
}

function makeFinal(state: BillingState, item: FinalInvoice): number {
  const { transactions, notices, after: _, accounts, key, ...document } = item;
  const name = JSON.stringify([item.entity, item.kind]);
  const sequence = (state.numbers.get(name) ?? 0) + 1;
  state.numbers.set(name, sequence);
  const id = state.invoices.length + 1;
  state.invoices.push({ ...document, id, sequence, number: numberText(item.prefix, sequence) });
  if (key !== undefined) state.documentKeys.set(JSON.stringify([item.account, key]), id);
  for (const { account } of accounts) {
    const frontier = Math.max(item.frontier, state.billed.get(account)?.frontier ?? 0);
    state.billed.set(account, { last: id, frontier });
  }
  addTransactions(state, transactions, id);
  addNotices(state, notices);
  if (item.kind === 'invoice') state.drafts.delete(JSON.stringify([item.account, item.from, item.to]));
  return id;
}

function addTransactions(state: BillingState, transactions: readonly Transaction[], invoice: number | null): void {
  for (const transaction of transactions) {
    const postings = transaction.postings.map((p) => (p.invoice === 'new' ? { ...p, invoice } : p));
    const id = state.transactions.length + 1;
    state.transactions.push({ ...transaction, postings, id, content: contentDigest(transaction) });
  }
}

function addNotices(state: BillingState, notices: readonly CreditNotice[]): void {
  for (const notice of notices)
    if (!state.notices.some(({ grant, percent }) => grant === notice.grant && percent === notice.percent))
      state.notices.push({ ...notice, id: state.notices.length + 1 });
}

function admitted(state: BillingState, account: string, change: BookChange): Required<BookChange> {
  const { grants = [], payments = [], transactions = [], notices = [] } = change;
  const newPayments = payments.filter((payment) => {
    const known = state.payments.find((p) => p.account === account && p.reference === payment.reference);
    if (known !== undefined && !samePayment(known, payment))
      throw new BooksError('payment.conflict', `The reference ${payment.reference} is that of another payment.`);
    return known === undefined;
  });
  const newGrants = grants.filter((grant) => {
    const known = state.grants.find(({ key }) => key === grant.key);
    if (known !== undefined && !sameGrant(known, grant))
      throw new BooksError('credit.conflict', `The key ${grant.key} is that of another credit.`);
    return known === undefined;
  });
  const standing = readStanding(state, touchedBy(transactions));
  for (const { key, currency } of newGrants) standing.grants.set(key, { account, currency, rest: 0n });
  const judged = judge(standing, transactions);
  if ('code' in judged) throw new BooksError(judged.code, judged.reason);
  return { grants: newGrants, payments: newPayments, transactions: judged.fresh, notices };
}
