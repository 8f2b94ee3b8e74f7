/** Names of books, and transactions made of postings. */
import { creditOf, receivableOf } from '../../store/billing-checks.ts';
import type { Posting, Transaction } from '../../store/billing-store.ts';

export const CASH = 'cash';
export const revenueOf = (entity: string): string => `revenue/${entity}`;
export const taxOf = (jurisdiction: string): string => `tax/${jurisdiction}`;
export const promotionOf = (entity: string): string => `promotion/${entity}`;
export const breakageOf = (entity: string): string => `breakage/${entity}`;

/** A name that an account has chosen, as one of the installation. `/` stands before it, so it is `%2F` in it. */
export const nameIn = (account: string, name: string): string =>
  `${account}/${name.replaceAll('%', '%25').replaceAll('/', '%2F')}`;

/** The account's own name of what has such a key. */
export const ownNameOf = ({ account, key }: { account: string; key: string }): string =>
  key
    .slice(account.length + 1)
    .replaceAll('%2F', '/')
    .replaceAll('%25', '%');

const plain = (book: string, amount: bigint): Posting => ({ book, amount, invoice: null, grant: null });

export const on = {
  book: plain,
  /** `invoice` null: the customer's balance. */
  receivable: (account: string, amount: bigint, invoice: Posting['invoice']): Posting => ({
    ...plain(receivableOf(account), amount),
    invoice,
  }),
  credit: (account: string, amount: bigint, grant: string): Posting => ({
    ...plain(creditOf(account), amount),
    grant,
  }),
};

/** Postings of nothing are left out; null when nothing is left. */
export function transactionOf(head: Omit<Transaction, 'postings'>, postings: readonly Posting[]): Transaction | null {
  const moved = postings.filter(({ amount }) => amount !== 0n);
  return moved.length === 0 ? null : { ...head, postings: moved };
}

export const present = <T>(list: readonly (T | null)[]): T[] => list.filter((one) => one !== null);

export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const sumOf = (amounts: readonly bigint[]): bigint => amounts.reduce((all, amount) => all + amount, 0n);
