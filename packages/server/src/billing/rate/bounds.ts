/**
 * What happens to the amount of a period after its usage is priced: discount, commitment, maximum, minimum, in this
 * order. All of it on cumulative amounts, so that a cap bites once however often the period is cut. The discount is of
 * any usage; the others are of what the price itself was paid in the period.
 */
import {
  add,
  compare,
  exactText,
  max,
  min,
  multiply,
  negate,
  ONE,
  type Ratio,
  subtract,
  ZERO,
} from '../../domain/money/ratio.ts';
import type { UsagePrice } from '../../domain/price/price.ts';
import { amountPiece, type Piece, percentOf, readAmount } from './piece.ts';
import { RateError } from './rate-error.ts';

export interface Bounds {
  discount: Ratio;
  commitment: { amount: Ratio; overage: Ratio } | null;
  maximum: Ratio | null;
  minimum: Ratio | null;
}

export type BoundTexts = Pick<UsagePrice, 'discountPercent' | 'minimum' | 'maximum' | 'commitment'>;

/** Throws RateError. */
export function readBounds({ discountPercent, minimum, maximum, commitment }: BoundTexts): Bounds {
  const discount = discountPercent === null ? ZERO : percentOf(discountPercent, 'the discount');
  if (compare(discount, ONE) > 0)
    throw new RateError('rate.price', `the discount is above 100 percent: ${discountPercent}`);
  const least = minimum === null ? null : readAmount(minimum, 'the minimum');
  const most = maximum === null ? null : readAmount(maximum, 'the maximum');
  if (least !== null && most !== null && compare(least, most) > 0)
    throw new RateError('rate.price', `the minimum, ${minimum}, is above the maximum, ${maximum}`);
  const promised =
    commitment === null
      ? null
      : {
          amount: readAmount(commitment.amount, 'the commitment'),
          overage: readAmount(commitment.overage, 'the overage of the commitment'),
        };
  return { discount, commitment: promised, maximum: most, minimum: least };
}

export interface Bounded {
  /** The amount without what is missing to a minimum or commitment. */
  amount: Ratio;
  steps: Piece[];
}

/** Due in any case; null: nothing is. */
export interface Owed {
  minimum: Ratio | null;
  commitment: Ratio | null;
}

export const owesNothing: Owed = { minimum: null, commitment: null };

/** What earlier parts owe by the terms that held there, and a share of the period by these. */
export function owedWith({ minimum, commitment }: Bounds, share: Ratio, before: Owed): Owed {
  if (minimum === null && commitment === null) return before;
  return {
    minimum: sumWith(before.minimum, minimum, share),
    commitment: sumWith(before.commitment, commitment?.amount ?? null, share),
  };
}

const sumWith = (before: Ratio | null, amount: Ratio | null, share: Ratio): Ratio | null =>
  amount === null ? before : add(before ?? ZERO, multiply(amount, share));

/** Not just the sum of what usage costs: there is a least, a most or a commitment. */
export const isBounded = ({ commitment, maximum, minimum }: Bounds, before: Owed): boolean =>
  [commitment, maximum, minimum, before.commitment, before.minimum].some((bound) => bound !== null);

export function discountAmount(gross: Ratio, { discount }: Bounds): Bounded {
  if (discount.n === 0n || gross.n === 0n) return { amount: gross, steps: [] };
  const off = multiply(gross, negate(discount));
  return { amount: add(gross, off), steps: [amountPiece('discount', off)] };
}

/** After overage and maximum; `net`: after discount, of all that the price is for from the beginning of the period. */
export function boundAmount(net: Ratio, bounds: Bounds, owed: Owed): Bounded {
  const steps: Piece[] = [];
  if (bounds.commitment === null && bounds.maximum === null) return { amount: net, steps };
  const take = (text: string, change: Ratio): Ratio => {
    if (change.n !== 0n) steps.push(amountPiece(text, change));
    return change;
  };
  let amount = net;
  if (bounds.commitment !== null) {
    const beyond = max(ZERO, subtract(amount, owed.commitment ?? ZERO));
    const more = multiply(beyond, subtract(bounds.commitment.overage, ONE));
    amount = add(
      amount,
      take(`beyond the commitment at ${exactText(bounds.commitment.overage)} times the price`, more),
    );
  }
  if (bounds.maximum !== null)
    amount = add(amount, take('above the maximum', subtract(min(amount, bounds.maximum), amount)));
  return { amount, steps };
}

export type TopUp = { kind: 'minimum' | 'commitment'; exact: Ratio };

/** What is missing to the commitment or the minimum at the end of the period, whichever is more. */
export function topUpOf(amount: Ratio, { commitment, minimum }: Owed): TopUp | null {
  const missing = (owed: Ratio | null): Ratio => (owed === null ? ZERO : max(ZERO, subtract(owed, amount)));
  const [toCommitment, toMinimum] = [missing(commitment), missing(minimum)];
  if (toCommitment.n === 0n && toMinimum.n === 0n) return null;
  return compare(toCommitment, toMinimum) >= 0
    ? { kind: 'commitment', exact: toCommitment }
    : { kind: 'minimum', exact: toMinimum };
}
