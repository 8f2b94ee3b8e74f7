/** Which spans of time an account's invoices are for, and what each takes up. */
import type { Book } from '../../domain/book.ts';
import type { Instant } from '../../domain/window.ts';
import { type History, historyOf } from './history.ts';
import { type AccountPeriod, periodsOf } from './period.ts';

/**
 * One invoice: of periods that ended in (from, to], and what is paid in advance for periods that begin before `next`.
 * from = to: where a subscription begins, only what is paid in advance.
 */
export interface Frame {
  from: Instant;
  to: Instant;
  next: Instant;
}

/** A period of an account on an invoice. ended: all of it. ahead: only what is paid in advance. */
export interface Scope {
  history: History;
  period: AccountPeriod;
  stage: 'ended' | 'ahead';
}

/** The payer and whom it pays for, in order of their ids behind it. Empty: somebody else pays for it. */
export function paidBy(book: Book, payer: string): string[] {
  if (book.billing.payerOf(payer) !== payer) return [];
  const others = book.descendants(payer).filter((id) => book.billing.payerOf(id) === payer);
  return [payer, ...others.sort()];
}

/**
 * The payer's frames that end after `after`, in order, without end: stop when they end beyond what is of interest. One
 * without a priced plan of its own has calendar months, from the first plan of those it pays for. Throws InvoiceError.
 *
 * @param since from then on somebody was billed for them: looked at also when nothing was held, as is known now.
 */
export function* framesOf(
  book: Book,
  payer: string,
  after: Instant,
  since: Instant = after > 0 ? after : Number.POSITIVE_INFINITY,
): Generator<Frame> {
  const [own, ...others] = paidBy(book, payer).map((id) => historyOf(book, id));
  if (own === undefined) return;
  const held = Math.min(...[own, ...others].map((h) => h.holdings[0]?.from ?? Number.POSITIVE_INFINITY));
  const begin = Math.min(held, since);
  if (begin === Number.POSITIVE_INFINITY) return;
  const periods = periodsOf(own.calendars, Math.max(after, begin) - 1);
  let before: AccountPeriod | undefined;
  let period = periods.next().value as AccountPeriod | undefined;
  while (period !== undefined) {
    const following = periods.next().value as AccountPeriod | undefined;
    const starts = period.own && isStart(own, period, before);
    if (starts && period.from > after) yield { from: period.from, to: period.from, next: period.to };
    // What comes after months without a plan is billed where the plan begins.
    const next = following === undefined || (!period.own && following.own) ? period.to : following.to;
    if (period.to > Math.max(after, begin)) yield { from: period.from, to: period.to, next };
    [before, period] = [period, following];
  }
}

const isStart = (history: History, period: AccountPeriod, before: AccountPeriod | undefined): boolean =>
  before === undefined
    ? !history.calendars.some((span) => span.own && span.from < period.from && span.to >= period.from)
    : !before.own;

/** Periods of these accounts that an invoice takes up. */
export function scopesOf(histories: readonly History[], frame: Frame): Scope[] {
  const scopes: Scope[] = [];
  for (const history of histories) {
    for (const period of periodsOf(history.calendars, frame.from)) {
      if (period.from >= frame.next && period.to > frame.to) break;
      if (period.own) scopes.push({ history, period, stage: period.to <= frame.to ? 'ended' : 'ahead' });
    }
  }
  return scopes;
}
