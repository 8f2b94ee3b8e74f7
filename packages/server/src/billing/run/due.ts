/** Which invoices are due, and in which order. */
import type { Book } from '../../domain/book.ts';
import type { Instant } from '../../domain/window.ts';
import type { FinalHead } from '../../store/billing-store.ts';
import { type Frame, framesOf, paidBy, scopesOf } from '../invoice/frames.ts';
import { historyOf } from '../invoice/history.ts';
import { frameOf } from './expected.ts';
import { byBiller, standing } from './past.ts';

export interface DueFrame extends Frame {
  version: number;
}

/** Who gets invoices: the payers of all that ever had a plan, in order of their ids. */
export function payersOf(book: Book): string[] {
  const payers = new Set<string>();
  for (const { id } of book.allAccounts()) {
    if (book.catalogue.subscriptionsOf(id).length > 0) payers.add(book.billing.payerOf(id));
  }
  return [...payers].sort();
}

/**
 * Periods that ended by `until` and have no invoice that stands, oldest first. Of those in which nobody had a plan only the
 * newest: what is to be corrected of the time before finds its place there. Throws InvoiceError.
 *
 * @param rows all final documents of who may have billed something of whom it pays for.
 */
export function dueFrames(book: Book, payer: string, rows: readonly FinalHead[], until: Instant): DueFrame[] {
  const own = rows.filter((row) => row.account === payer && row.kind === 'invoice');
  const stands = standing(own);
  const last = stands.reduce((end, { to }) => Math.max(end, to), 0);
  const ended: Frame[] = [];
  for (const frame of framesOf(book, payer, last, last > 0 ? last : billedSince(book, payer, rows))) {
    if (frame.to > until) break;
    ended.push(frame);
  }
  const frames = [...voidedBefore(book, payer, own, last), ...worthLooking(book, payer, ended)];
  return frames.map((frame) => ({ ...frame, version: 1 + own.filter((row) => isOf(row, frame)).length }));
}

/** Of who has no invoice yet: the first of others that was for whom it pays for now. */
function billedSince(book: Book, payer: string, rows: readonly FinalHead[]): Instant {
  const accounts = byBiller(book, paidBy(book, payer));
  const isFor = ({ account: biller, frontier }: FinalHead): boolean =>
    accounts.get(biller)?.some((account) => book.billing.payerAt(account, frontier) === biller) ?? false;
  return standing(rows)
    .filter(isFor)
    .reduce((first, { from }) => Math.min(first, from), Number.POSITIVE_INFINITY);
}

/** Most payers have one, and looking into it is for who computes it. */
function worthLooking(book: Book, payer: string, frames: readonly Frame[]): Frame[] {
  if (frames.length <= 1) return [...frames];
  const histories = paidBy(book, payer).map((account) => historyOf(book, account));
  return frames.filter((frame, i) => i === frames.length - 1 || scopesOf(histories, frame).length > 0);
}

const isOf = (row: FinalHead, { from, to }: Frame): boolean => row.from === from && row.to === to;

/** What was billed, is void, and lies before what stands: it is to be billed again. */
function voidedBefore(book: Book, payer: string, own: readonly FinalHead[], last: Instant): Frame[] {
  const stands = standing(own);
  const spans = new Map<string, Frame>();
  for (const { from, to } of own) {
    const isBilled = to > last || stands.some((row) => row.from === from && row.to === to);
    if (!isBilled) spans.set(`${from} ${to}`, frameOf(book, payer, { from, to }));
  }
  return [...spans.values()].sort((a, b) => a.to - b.to || a.from - b.from);
}
