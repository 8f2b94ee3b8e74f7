/** Fees: an amount for a period, or for a part of it. */
import type { DayCount } from '../../domain/billing/conventions.ts';
import { compare, multiply, type Ratio, ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import type { FeePrice } from '../../domain/price/price.ts';
import type { Step } from '../invoice/document.ts';
import { type Piece, readAmount, stepOf } from './piece.ts';
import { type BilledPeriod, partShare, type Span } from './proration.ts';
import { RateError } from './rate-error.ts';

/** As Rated: the line is round(through) - round(before), so parts of one fee sum to the rounded whole. */
export interface FeePart {
  exact: Ratio;
  before: Ratio;
  through: Ratio;
  steps: readonly Step[];
}

/**
 * `quantity`: how many of it, for add-ons. A fee that is not prorated, or due once, is whole for any part; for which parts
 * it is due at all is not decided here. Throws RateError.
 */
export function rateFee(
  price: Pick<FeePrice, 'key' | 'amount' | 'per' | 'prorate'>,
  quantity: bigint,
  period: BilledPeriod,
  part: Span,
  dayCount: DayCount,
): FeePart {
  if (quantity < 0n) throw new RateError('rate.usage', `the fee ${price.key} cannot be due ${quantity} times`);
  const unit = readAmount(price.amount, `the fee ${price.key}`);
  const whole = multiply(unit, ratio(quantity));
  const piece: Piece = { text: 'fee', quantity: ratio(quantity), unit: null, price: unit, amount: whole };
  if (price.per === 'once' || !price.prorate)
    return { exact: whole, before: ZERO, through: whole, steps: [stepOf(piece)] };
  const { text, ...share } = partShare(dayCount, period, part);
  const [before, through] = [multiply(whole, share.before), multiply(whole, share.through)];
  const exact = subtract(through, before);
  if (compare(exact, whole) === 0) return { exact, before, through, steps: [stepOf(piece)] };
  const times = multiply(ratio(quantity), subtract(share.through, share.before));
  return {
    exact,
    before,
    through,
    steps: [stepOf({ ...piece, text: `fee, ${text}`, quantity: times, amount: exact })],
  };
}
