/**
 * What an invoice charges for: a pure function of the book and a frame. Usage charges say what to ask the meters, fee
 * charges what part of which period they are.
 */
import type { Conventions } from '../../domain/billing/conventions.ts';
import type { Book } from '../../domain/book.ts';
import type { FeeCharge, UsageCharge } from './charge.ts';
import type { InvoiceDocument } from './document.ts';
import { feeChargesOf } from './fee-charges.ts';
import { type Frame, paidBy, type Scope, scopesOf } from './frames.ts';
import { type History, historyOf } from './history.ts';
import { InvoiceError } from './invoice-error.ts';
import { usageChargesOf } from './usage-charges.ts';

export interface Charges {
  payer: string;
  frame: Frame;
  /** The payer first. */
  accounts: readonly string[];
  conventions: Conventions;
  /** Of the accounts, in their order. */
  histories: readonly History[];
  scopes: readonly Scope[];
  /** Their asks, in this order, are what the meters are asked. */
  usage: readonly UsageCharge[];
  fees: readonly FeeCharge[];
}

/** Throws InvoiceError `invoice.account`, `invoice.plan`, `invoice.currency`, `invoice.entitlement`, `invoice.rate`. */
export function chargesOf(book: Book, payer: string, frame: Frame, conventions: Conventions): Charges {
  const histories = paidBy(book, payer).map((account) => historyOf(book, account));
  return chargesIn(book, payer, frame, conventions, histories, scopesOf(histories, frame));
}

/** A final invoice, or a part of its time and accounts. */
export type AgainOf = Pick<InvoiceDocument, 'account' | 'from' | 'to' | 'conventions' | 'accounts'>;

/**
 * The charges of a final invoice, to be looked at again: its frame, its conventions and the accounts it was for, by what
 * is known now. Not what it billed ahead, which is of the invoice for that period. Throws as chargesOf.
 */
export function chargesAgain(book: Book, document: AgainOf): Charges {
  const { account: payer, from, to, conventions, accounts = [payer] } = document;
  const frame: Frame = { from, to, next: to };
  const histories = accounts.map((account) => historyOf(book, account));
  const ended = scopesOf(histories, frame).filter(({ stage }) => stage === 'ended');
  return chargesIn(book, payer, frame, conventions, histories, ended);
}

export function chargesIn(
  book: Book,
  payer: string,
  frame: Frame,
  conventions: Conventions,
  histories: readonly History[],
  scopes: readonly Scope[],
): Charges {
  for (const scope of scopes) checkCurrencies(book, payer, scope);
  const usage = scopes.flatMap((scope) => (scope.stage === 'ended' ? usageChargesOf(book, scope, conventions) : []));
  const fees = scopes.flatMap((scope) => feeChargesOf(scope, conventions));
  const accounts = histories.map(({ account }) => account);
  return { payer, frame, accounts, conventions, histories, scopes, usage, fees };
}

/** One invoice is in one currency: nothing is ever converted. */
function checkCurrencies(book: Book, payer: string, { history, period }: Scope): void {
  const { account } = history;
  const own = book.account(account)?.currency ?? '';
  const paid = book.account(payer)?.currency ?? '';
  if (own !== paid) {
    throw new InvoiceError('invoice.currency', { account }, `is billed in ${own}, ${payer} who pays for it in ${paid}`);
  }
  for (const { from, to, plan } of history.holdings) {
    if (from >= period.to || to <= period.from || plan.billing.currency === own) continue;
    const message = `the plan is priced in ${plan.billing.currency}, the account is billed in ${own}`;
    throw new InvoiceError('invoice.currency', { account, plan: plan.key }, message);
  }
}
