/** Which invoices a payment settles, and what payments and refunds post: pure. */
import { receivableOf } from '../../store/billing-checks.ts';
import type { OpenInvoice, Payment, Transaction } from '../../store/billing-store.ts';
import { CASH, least, on, sumOf, transactionOf } from './books.ts';

export interface Part {
  invoice: number;
  amount: bigint;
}

/** Invoices of the currency from the first on, as far as the amount goes; what is left over is in no part. */
export function allocate(amount: bigint, currency: string, open: readonly OpenInvoice[]): Part[] {
  const parts: Part[] = [];
  let left = amount;
  for (const invoice of open.filter((one) => one.currency === currency)) {
    const part = least(left, invoice.open);
    if (part > 0n) parts.push({ invoice: invoice.id, amount: part });
    left -= part;
  }
  return parts;
}

const headOf = ({ account, reference, kind, receivedAt, currency, transaction }: Payment) => ({
  ...{ key: transaction, tenant: account, kind, at: receivedAt, currency, text: reference },
});

/** What settles no invoice is the customer's balance. */
export function paying(payment: Payment, parts: readonly Part[]): Transaction {
  const { account, amount } = payment;
  const rest = amount - sumOf(parts.map((part) => part.amount));
  const posted = transactionOf(headOf(payment), [
    on.book(CASH, amount),
    ...parts.map((part) => on.receivable(account, -part.amount, part.invoice)),
    on.receivable(account, -rest, null),
  ]);
  return posted as Transaction;
}

/** Invoices in `reopened` are owed again; the rest is taken of the balance. */
export function refunding(refund: Payment, reopened: readonly Part[]): Transaction {
  const { account, amount } = refund;
  const rest = amount - sumOf(reopened.map((part) => part.amount));
  const posted = transactionOf(headOf(refund), [
    on.receivable(account, rest, null),
    ...reopened.map((part) => on.receivable(account, part.amount, part.invoice)),
    on.book(CASH, -amount),
  ]);
  return posted as Transaction;
}

/** What a transaction has settled of invoices; below 0 where it opened them again. */
export const settledOn = ({ tenant, postings }: Transaction): Part[] =>
  postings.flatMap(({ book, invoice, amount }) =>
    book === receivableOf(tenant) && typeof invoice === 'number' ? [{ invoice, amount: -amount }] : [],
  );
