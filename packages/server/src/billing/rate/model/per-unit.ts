/** Per unit, and dynamic: the meter says what it cost, and the price is times that. */
import { isZero, multiply, type Ratio } from '../../../domain/money/ratio.ts';
import type { DecimalText } from '../../../domain/price/price.ts';
import { type Pricer, readAmount } from '../piece.ts';

const times =
  (text: string, price: Ratio): Pricer =>
  ({ quantity, unit }) =>
    isZero(quantity) ? [] : [{ text, quantity, unit, price, amount: multiply(quantity, price) }];

export const perUnit = ({ unit }: { unit: DecimalText }): Pricer =>
  times('usage', readAmount(unit, 'the price of one unit'));

export const dynamic = ({ multiplier }: { multiplier: DecimalText }): Pricer =>
  times('cost as metered', readAmount(multiplier, 'the multiplier'));
