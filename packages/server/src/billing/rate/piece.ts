/** The rows of a calculation while they are still exact, and as an invoice writes them down. */
import { add, exactText, ofDecimal, type Ratio, RatioError, ZERO } from '../../domain/money/ratio.ts';
import type { DecimalText } from '../../domain/price/price.ts';
import type { Step } from '../invoice/document.ts';
import { RateError } from './rate-error.ts';

export interface Piece {
  text: string;
  quantity: Ratio | null;
  unit: string | null;
  price: Ratio | null;
  amount: Ratio;
}

/** One figure of usage, in priced units, after what is included. */
export interface Figure {
  quantity: Ratio;
  unit: string;
  /** As Portion.events, in priced units. */
  events: readonly Ratio[] | null;
  /** Free units for models of single events, which use them up one after the other; the quantity still has them in it. */
  free: Ratio | null;
  /** The flat amount of the first tier is due when there was no usage. */
  zeroFlat: boolean;
}

/** A model made ready: prices read and checked once, then asked for each line. */
export interface Pricer {
  (figure: Figure): Piece[];
  /** Free units go to single events rather than off the sum, and usage below zero is its own affair. */
  readonly byEvent?: true;
}

export const sumOf = (pieces: readonly Piece[]): Ratio => pieces.reduce((sum, { amount }) => add(sum, amount), ZERO);

const textOf = (r: Ratio | null): string | null => (r === null ? null : exactText(r));

export const stepOf = ({ text, quantity, unit, price, amount }: Piece): Step => ({
  text,
  quantity: textOf(quantity),
  unit,
  price: textOf(price),
  amount: exactText(amount),
});

/** A row that has nothing but an amount. */
export const amountPiece = (text: string, amount: Ratio): Piece => ({
  text,
  quantity: null,
  unit: null,
  price: null,
  amount,
});

/** A decimal of a price; throws RateError `rate.price` by the name of what it is. */
function read(text: DecimalText, what: string): Ratio {
  try {
    return ofDecimal(text);
  } catch (error) {
    if (error instanceof RatioError) throw new RateError('rate.price', `${what}: ${error.message}`);
    throw error;
  }
}

/** A price, flat amount, multiplier or percentage: zero or more. Throws RateError. */
export function readAmount(text: DecimalText, what: string): Ratio {
  const r = read(text, what);
  if (r.n < 0n) throw new RateError('rate.price', `${what} is negative: ${text}`);
  return r;
}

/** A size or divisor: above zero. Throws RateError. */
export function readSize(text: DecimalText, what: string): Ratio {
  const r = read(text, what);
  if (r.n <= 0n) throw new RateError('rate.size', `${what} must be above zero: ${text}`);
  return r;
}

/** n percent as a factor. */
export const percentOf = (text: DecimalText, what: string): Ratio => {
  const r = readAmount(text, what);
  return { n: r.n, d: r.d * 100n };
};
