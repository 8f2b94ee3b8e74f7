/**
 * What happens to the amount of a period after its usage is priced: discount, commitment, maximum, minimum, in this
 * order. All of it on cumulative amounts, so that a cap bites once however often the period is cut.
 */
import {
  add,
  compare,
  exactText,
  max,
  min,
  multiply,
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

/** The amount of everything used from the beginning of the period, after discount, overage and maximum. */
export function boundAmount(gross: Ratio, bounds: Bounds, share: Ratio): Bounded {
  const steps: Piece[] = [];
  const take = (text: string, change: Ratio): Ratio => {
    if (change.n !== 0n) steps.push(amountPiece(text, change));
    return change;
  };
  let amount = gross;
  amount = add(amount, take('discount', multiply(gross, { n: -bounds.discount.n, d: bounds.discount.d })));
  if (bounds.commitment !== null) {
    const promised = multiply(bounds.commitment.amount, share);
    const beyond = max(ZERO, subtract(amount, promised));
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
export function topUpOf(amount: Ratio, { commitment, minimum }: Bounds, share: Ratio): TopUp | null {
  const missing = (owed: Ratio | undefined): Ratio =>
    owed === undefined ? ZERO : max(ZERO, subtract(multiply(owed, share), amount));
  const toCommitment = missing(commitment?.amount);
  const toMinimum = missing(minimum ?? undefined);
  if (toCommitment.n === 0n && toMinimum.n === 0n) return null;
  return compare(toCommitment, toMinimum) >= 0
    ? { kind: 'commitment', exact: toCommitment }
    : { kind: 'minimum', exact: toMinimum };
}
