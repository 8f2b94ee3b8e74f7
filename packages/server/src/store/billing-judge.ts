/**
 * Whether transactions fit what the books hold: pure, so that every engine judges alike. An engine reads a Standing
 * under the locks of the accounts, judges item by item, and writes what was admitted.
 */

import type { Receipt } from '../domain/fact.ts';
import { type BooksErrorCode, contentDigest } from './billing-checks.ts';
import type { FinalInvoice, Grant, Payment, Transaction } from './billing-types.ts';

interface StandingInvoice {
  account: string;
  currency: string;
  open: bigint;
  /** It can be voided: an invoice that no credit note has reversed. */
  stands: boolean;
}

/** What is in the books of what a change touches. Changed by what is admitted. */
export interface Standing {
  /** Content digests by key. */
  transactions: Map<string, string>;
  invoices: Map<number, StandingInvoice>;
  grants: Map<string, { account: string; currency: string; rest: bigint }>;
  /** What a customer has with us, by `balanceKey`. */
  balances: Map<string, bigint>;
  /** Highest id of a final document, by account. */
  lastDocument: Map<string, number>;
  /** What was billed last of each account, whoever got it. */
  billed: Map<string, LastBilled>;
}

export interface LastBilled {
  /** Id of the document. */
  last: number;
  /** The highest S of all documents for it. */
  frontier: Receipt;
}

export const balanceKey = (account: string, currency: string): string => `${currency} ${account}`;

/** What has to be read to judge. */
export interface Touched {
  /** Whose books are changed. */
  accounts: string[];
  /** Whom documents bill. */
  billed: string[];
  transactions: string[];
  invoices: number[];
  grants: string[];
}

export function touchedBy(transactions: readonly Transaction[], items: readonly FinalInvoice[] = []): Touched {
  const all = [...transactions, ...items.flatMap((item) => item.transactions)];
  const postings = all.flatMap((transaction) => transaction.postings);
  const invoices = [...postings.map((p) => p.invoice), ...items.map((item) => item.voids)];
  const unique = <T>(list: readonly T[]): T[] => [...new Set(list)];
  return {
    accounts: unique([...all.map((t) => t.tenant), ...items.map((item) => item.account)]).sort(),
    billed: unique(items.flatMap((item) => item.accounts.map(({ account }) => account))).sort(),
    transactions: unique(all.map((t) => t.key)),
    invoices: unique(invoices.filter((id) => typeof id === 'number')),
    grants: unique(postings.map((p) => p.grant).filter((key) => key !== null)),
  };
}

export interface Refusal {
  code: Extract<BooksErrorCode, 'ledger.conflict' | 'books.changed' | 'invoice.overtaken'>;
  reason: string;
}
const refusal = (code: Refusal['code'], reason: string): Refusal => ({ code, reason });

/** Admits all of an item and moves the standing on, or answers why not and leaves it. */
export function judgeFinal(standing: Standing, item: FinalInvoice): Refusal | null {
  const last = standing.lastDocument.get(item.account) ?? 0;
  if (item.after !== null && last > item.after)
    return refusal('invoice.overtaken', 'Another document of the account has become final meanwhile.');
  const billed = overtakenOf(standing, item);
  if (billed !== undefined)
    return refusal(
      'invoice.overtaken',
      `${billed} was billed meanwhile, or of more facts than this. The next run takes it up.`,
    );
  const taken = item.transactions.find(({ key }) => standing.transactions.has(key));
  if (taken !== undefined) return refusal('ledger.conflict', `The key ${taken.key} is taken by another transaction.`);
  const voided = item.voids === null ? undefined : standing.invoices.get(item.voids);
  if (item.voids !== null && (voided?.account !== item.account || !voided.stands))
    return refusal('books.changed', `Invoice ${item.voids} is none of the account's that still stands.`);
  const found = judgePostings(standing, item.transactions);
  if (found !== null) return found;
  standing.lastDocument.set(item.account, Number.POSITIVE_INFINITY);
  for (const { account } of item.accounts) {
    const frontier = Math.max(item.frontier, standing.billed.get(account)?.frontier ?? 0);
    standing.billed.set(account, { last: Number.POSITIVE_INFINITY, frontier });
  }
  if (voided !== undefined) voided.stands = false;
  return null;
}

/** An account of the item's that it does not know the last document of. A credit note is as of the invoice it corrects. */
function overtakenOf({ billed }: Standing, { kind, frontier, accounts }: FinalInvoice): string | undefined {
  return accounts.find(({ account, after }) => {
    const known = billed.get(account);
    if (known === undefined) return false;
    return (after !== null && known.last > after) || (kind === 'invoice' && known.frontier > frontier);
  })?.account;
}

/** As judgeFinal. What is posted already with the same content is left out of `fresh`. */
export function judge(standing: Standing, transactions: readonly Transaction[]): Refusal | { fresh: Transaction[] } {
  const fresh: Transaction[] = [];
  const seen = new Map<string, string>();
  for (const transaction of transactions) {
    const digest = contentDigest(transaction);
    const known = standing.transactions.get(transaction.key) ?? seen.get(transaction.key);
    if (known !== undefined && known !== digest)
      return refusal('ledger.conflict', `The key ${transaction.key} is taken by another transaction.`);
    if (known === undefined) fresh.push(transaction);
    seen.set(transaction.key, digest);
  }
  return judgePostings(standing, fresh) ?? { fresh };
}

/** Nothing may be drawn on for more than it holds. Judged by what all of the item leaves behind, not step by step. */
function judgePostings(standing: Standing, transactions: readonly Transaction[]): Refusal | null {
  const moves = movesOf(transactions);
  for (const [id, { account, currency, amount }] of moves.invoices) {
    const held = standing.invoices.get(id);
    if (held?.account !== account || held.currency !== currency)
      return refusal('books.changed', `There is no invoice ${id} of ${account} in ${currency}.`);
    if (held.open + amount < 0n) return refusal('books.changed', `Invoice ${id} has only ${held.open} open.`);
  }
  for (const [key, { account, currency, amount }] of moves.grants) {
    const held = standing.grants.get(key);
    if (held?.account !== account || held.currency !== currency)
      return refusal('books.changed', `There is no credit ${key} of ${account} in ${currency}.`);
    if (held.rest - amount < 0n) return refusal('books.changed', `Credit ${key} has only ${held.rest} left.`);
  }
  for (const [key, amount] of moves.balances) {
    const held = standing.balances.get(key) ?? 0n;
    if (held - amount < 0n && amount > 0n) return refusal('books.changed', `The customer's balance is only ${held}.`);
  }
  if ([...moves.made.values()].some((open) => open < 0n))
    return refusal('books.changed', 'More is settled of the new invoice than it is about.');
  for (const [id, { amount }] of moves.invoices) (standing.invoices.get(id) as StandingInvoice).open += amount;
  for (const [key, { amount }] of moves.grants) (standing.grants.get(key) as { rest: bigint }).rest -= amount;
  for (const [key, amount] of moves.balances) standing.balances.set(key, (standing.balances.get(key) ?? 0n) - amount);
  for (const transaction of transactions) standing.transactions.set(transaction.key, contentDigest(transaction));
  return null;
}

interface Move {
  account: string;
  currency: string;
  amount: bigint;
}

/** Sums of the postings by what they bear on. One invoice or credit under two currencies keeps both, and fails by name. */
function movesOf(transactions: readonly Transaction[]) {
  const invoices = new Map<number, Move>();
  const grants = new Map<string, Move>();
  const balances = new Map<string, bigint>();
  const made = new Map<string, bigint>();
  for (const { tenant, currency, postings } of transactions)
    for (const { book, amount, invoice, grant } of postings) {
      if (typeof invoice === 'number') invoices.set(invoice, moved(invoices.get(invoice), tenant, currency, amount));
      else if (invoice === 'new') made.set(currency, (made.get(currency) ?? 0n) + amount);
      else if (grant !== null) grants.set(grant, moved(grants.get(grant), tenant, currency, amount));
      else if (book.startsWith('receivable/')) {
        const key = balanceKey(tenant, currency);
        balances.set(key, (balances.get(key) ?? 0n) + amount);
      }
    }
  return { invoices, grants, balances, made };
}

const moved = (before: Move | undefined, account: string, currency: string, amount: bigint): Move => ({
  account,
  currency: before === undefined || before.currency === currency ? currency : `${before.currency} and ${currency}`,
  amount: (before?.amount ?? 0n) + amount,
});

/** The same grant or payment may come again; who recorded it, and when, is no part of what it is. */
export const sameGrant = (a: Grant, b: Grant): boolean => sameBut(a, b, ['author', 'at']);
export const samePayment = (a: Payment, b: Payment): boolean => sameBut(a, b, ['author', 'at', 'transaction']);

function sameBut<T extends object>(a: T, b: T, but: readonly (keyof T)[]): boolean {
  const text = (row: T): string =>
    JSON.stringify(
      Object.entries(row)
        .filter(([name]) => !['id', 'rest', ...but].includes(name))
        .sort(([x], [y]) => (x < y ? -1 : 1)),
      (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
    );
  return text(a) === text(b);
}
