/**
 * What the running period costs so far, and a forecast: usage goes on as it went since the price began to hold, fees are
 * those that are known. The same rating as of invoices, by what is known now; neither is an invoice.
 */
import type { Conventions } from '../../domain/billing/conventions.ts';
import type { Book } from '../../domain/book.ts';
import { metersOf } from '../../domain/limit/limit.ts';
import { divide, type Quantity } from '../../domain/quantity.ts';
import type { Instant } from '../../domain/window.ts';
import type { Metered } from '../../usage/metered.ts';
import type { UsageCharge } from './charge.ts';
import { type Charges, chargesIn } from './charges.ts';
import { partiesOf } from './compose.ts';
import type { TaxLine } from './document.ts';
import { type Due, sumOf } from './due.ts';
import { expectedLines } from './expected.ts';
import { paidBy, type Scope } from './frames.ts';
import { historyOf } from './history.ts';
import { periodsOf } from './period.ts';
import { taxesOf } from './taxes.ts';

export type EstimatedLine = Omit<Due, 'scope' | 'advance' | 'addOn'>;

export interface Estimated {
  lines: readonly EstimatedLine[];
  taxes: readonly TaxLine[];
  net: bigint;
  tax: bigint;
  total: bigint;
}

export interface Estimate {
  payer: string;
  currency: string;
  /** Of the payer's running period; of those it pays for in their own. */
  from: Instant;
  to: Instant;
  at: Instant;
  soFar: Estimated;
  forecast: Estimated;
}

/** Charges of the periods that run at `now`, whole. What to ask the meters is in asksUntil. Throws InvoiceError. */
export function runningCharges(book: Book, payer: string, now: Instant, conventions: Conventions): Charges {
  const histories = paidBy(book, payer).map((account) => historyOf(book, account));
  const scopes = histories.flatMap((history): Scope[] => {
    const { value: period } = periodsOf(history.calendars, now).next();
    return period?.own === true ? [{ history, period, stage: 'ended' }] : [];
  });
  const first = scopes[0]?.period ?? { from: now, to: now };
  return chargesIn(book, payer, { from: first.from, to: first.to, next: first.to }, conventions, histories, scopes);
}

/** The questions to the meters, none about the time after `now`. One answer for each is what estimate takes. */
export const asksUntil = ({ usage }: Charges, now: Instant) =>
  usage.map(({ ask }) => ({ ...ask, from: Math.min(ask.from, now), to: Math.min(ask.to, now) }));

/** `metered`: answers to asksUntil, in its order. Throws InvoiceError. */
export function estimate(
  book: Book,
  charges: Charges,
  metered: readonly (readonly Metered[])[],
  now: Instant,
): Estimate {
  const begun = charges.usage.map(({ from }) => from < now);
  const usage = charges.usage.filter((_, i) => begun[i]);
  const answers = metered.filter((_, i) => begun[i]);
  const soFar = expectedLines(book, { ...charges, usage }, answers, false);
  const forecast = expectedLines(book, charges, forecastRows(book, charges.usage, metered, now));
  return {
    payer: charges.payer,
    currency: book.account(charges.payer)?.currency ?? '',
    from: charges.frame.from,
    to: charges.frame.to,
    at: now,
    soFar: withTaxes(book, charges, soFar),
    forecast: withTaxes(book, charges, forecast),
  };
}

function withTaxes(book: Book, { payer, conventions }: Charges, dues: readonly Due[]): Estimated {
  const { profile } = partiesOf(book, payer);
  const taxed = taxesOf(
    book,
    profile,
    dues.map((due) => ({ line: due, amount: due.amount })),
    conventions.rounding,
  );
  const net = sumOf(dues) - taxed.inside;
  const lines = dues.map(({ scope: _scope, advance: _advance, addOn: _addOn, ...line }) => line);
  return { lines, taxes: taxed.taxes, net, tax: taxed.total, total: net + taxed.total };
}

/** What is over stays; what runs goes on to its end; what has not begun is as what runs of the same chain. */
function forecastRows(
  book: Book,
  charges: readonly UsageCharge[],
  metered: readonly (readonly Metered[])[],
  now: Instant,
): Metered[][] {
  return charges.map((charge, i) => {
    if (charge.to <= now) return [...(metered[i] ?? [])];
    const model = charges.findIndex(
      (other) =>
        other.from < now && other.to > now - 1 && other.chain === charge.chain && other.account === charge.account,
    );
    const running = charge.from < now ? i : model;
    const rows = metered[running] ?? [];
    const seen = now - (charges[running]?.from ?? now);
    if (seen <= 0 || !addsUp(book, charge)) return [...rows];
    return rows.map((row) => grown(row, BigInt(charge.to - charge.from), BigInt(seen)));
  });
}

/** Whether twice the time is twice the usage: not so of a highest or a last value. */
const addsUp = (book: Book, { price }: UsageCharge): boolean =>
  metersOf(price.meter).every((key) => {
    const meter = book.meter(key);
    return meter === undefined || (meter.kind !== 'percentile' && growing.has(meter.aggregation));
  });

const growing: ReadonlySet<string> = new Set(['sum', 'count', 'integral']);

function grown(row: Metered, by: bigint, over: bigint): Metered {
  const more = (q: Quantity): Quantity => divide(q * by, over, 'half-even');
  const count = divide(row.count * by, over, 'half-even');
  const events = row.events === null ? null : grownEvents(row.events, count);
  return { ...row, quantity: row.quantity === null ? null : more(row.quantity), count, events };
}

/** As many more events as there will be by then, over and over those that there were. */
function grownEvents(events: readonly Quantity[], count: bigint): Quantity[] {
  const all = [...events];
  for (let i = 0; events.length > 0 && BigInt(all.length) < count; i++) all.push(events[i % events.length] as Quantity);
  return all;
}
