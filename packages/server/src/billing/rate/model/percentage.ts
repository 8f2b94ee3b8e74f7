/**
 * Percentage: of a meter of money, percent of it and a fixed amount for each event that pays. What is free is used up by
 * the first events; one that is wholly free pays nothing. Where both an amount and a number of events are free, what ends
 * first ends both. An event that gives money back (below zero) gives its percentage back, and no fixed amount.
 */
import {
  add,
  compare,
  isZero,
  max,
  min,
  multiply,
  type Ratio,
  ratio,
  subtract,
  ZERO,
} from '../../../domain/money/ratio.ts';
import type { SimpleModel } from '../../../domain/price/price.ts';
import { type Figure, type Piece, type Pricer, percentOf, readAmount } from '../piece.ts';
import { RateError } from '../rate-error.ts';

type PercentageModel = Extract<SimpleModel, { model: 'percentage' }>;

interface Terms {
  percent: Ratio;
  fixed: Ratio;
  freeAmount: Ratio | null;
  freeEvents: number | null;
  least: Ratio | null;
  most: Ratio | null;
}

/**
 * Whether each event must be looked at; else their sum does. A fixed amount needs them too: their number does not say how
 * many gave money back.
 */
export const percentageNeedsEvents = (model: PercentageModel): boolean =>
  model.freeEvents !== null ||
  model.least !== null ||
  model.most !== null ||
  readAmount(model.fixed, 'the fixed amount').n !== 0n;

export const percentage = (model: PercentageModel): Pricer => {
  const terms = readTerms(model);
  const byEvents = percentageNeedsEvents(model);
  const price = (figure: Figure): Piece[] => {
    const freeAmount = bothFree(terms.freeAmount, figure.free);
    if (!byEvents) return bySum(terms, freeAmount, figure);
    if (figure.events === null)
      throw new RateError('rate.usage', 'the price looks at each event, and the usage was given without them');
    return byEvent({ ...terms, freeAmount }, figure.events, figure.unit);
  };
  return Object.assign(price, { byEvent: true as const });
};

const bothFree = (a: Ratio | null, b: Ratio | null): Ratio | null => (a === null ? b : b === null ? a : add(a, b));

function readTerms(model: PercentageModel): Terms {
  const amount = (text: string | null, what: string): Ratio | null => (text === null ? null : readAmount(text, what));
  const [least, most] = [amount(model.least, 'the least of an event'), amount(model.most, 'the most of an event')];
  if (least !== null && most !== null && compare(least, most) > 0)
    throw new RateError('rate.price', `the least of an event, ${model.least}, is above the most, ${model.most}`);
  if (model.freeEvents !== null && (!Number.isSafeInteger(model.freeEvents) || model.freeEvents < 0))
    throw new RateError('rate.price', `the number of free events must be whole and not negative: ${model.freeEvents}`);
  return {
    percent: percentOf(model.percent, 'the percentage'),
    fixed: readAmount(model.fixed, 'the fixed amount'),
    freeAmount: amount(model.freeAmount, 'the free amount'),
    freeEvents: model.freeEvents,
    least,
    most,
  };
}

function bySum({ percent }: Terms, free: Ratio | null, { quantity, unit }: Figure): Piece[] {
  const paid = free === null ? quantity : max(ZERO, subtract(quantity, free));
  return percentPieces(percent, paid, unit);
}

const percentPieces = (percent: Ratio, paid: Ratio, unit: string): Piece[] =>
  isZero(paid) ? [] : [{ text: 'percentage', quantity: paid, unit, price: percent, amount: multiply(paid, percent) }];

/** So many events at an amount, or what they sum to. */
const eventPiece = (text: string, count: bigint, price: Ratio | null, amount: Ratio): Piece => ({
  text,
  quantity: ratio(count),
  unit: 'events',
  price,
  amount,
});

function byEvent(terms: Terms, events: readonly Ratio[], unit: string): Piece[] {
  let [running, paid, paying, bounded, adjusted] = [ZERO, ZERO, 0n, 0n, ZERO];
  for (const [at, amount] of events.entries()) {
    const part = paidPart(terms, at, running, amount);
    running = add(running, amount);
    if (part === null) continue;
    paid = add(paid, part);
    if (part.n < 0n) continue;
    paying += 1n;
    const off = boundBy(terms, add(multiply(part, terms.percent), terms.fixed));
    if (off.n === 0n) continue;
    bounded += 1n;
    adjusted = add(adjusted, off);
  }
  const fixed = multiply(terms.fixed, ratio(paying));
  return [
    ...percentPieces(terms.percent, paid, unit),
    ...(isZero(fixed) ? [] : [eventPiece('fixed, each event', paying, terms.fixed, fixed)]),
    ...(bounded === 0n ? [] : [eventPiece('least or most of an event', bounded, null, adjusted)]),
  ];
}

/** What of an event pays; null: it is wholly free. */
function paidPart({ freeAmount, freeEvents }: Terms, at: number, running: Ratio, amount: Ratio): Ratio | null {
  if (freeEvents !== null && at >= freeEvents) return amount;
  if (freeAmount === null) return freeEvents === null ? amount : null;
  const after = add(running, amount);
  if (compare(max(running, after), freeAmount) <= 0) return null;
  return subtract(max(ZERO, subtract(after, freeAmount)), max(ZERO, subtract(running, freeAmount)));
}

/** What the least and the most of an event add to its amount. */
function boundBy({ least, most }: Terms, amount: Ratio): Ratio {
  const atLeast = least === null ? amount : max(amount, least);
  return subtract(most === null ? atLeast : min(atLeast, most), amount);
}
