/** Packages: whole ones are paid for, a begun one counts; free units are in none of them. */
import { compare, divide, multiply, type Ratio, ratio, roundTo, subtract, ZERO } from '../../../domain/money/ratio.ts';
import type { DecimalText } from '../../../domain/price/price.ts';
import { type Piece, type Pricer, readAmount, readSize } from '../piece.ts';

/** How many packages of a size hold a quantity. */
export const packagesOf = (quantity: Ratio, size: Ratio): Ratio =>
  compare(quantity, ZERO) <= 0 ? ZERO : ratio(roundTo(divide(quantity, size), 0, 'ceiling'));

export const packaged = (model: { size: DecimalText; price: DecimalText; free: DecimalText }): Pricer => {
  const size = readSize(model.size, 'the size of a package');
  const price = readAmount(model.price, 'the price of a package');
  const free = readAmount(model.free, 'the free units');
  return ({ quantity, unit }) => {
    const paid = subtract(quantity, free);
    const packages = packagesOf(paid, size);
    if (packages.n === 0n) return [];
    const text = `packages of ${model.size} ${unit}${free.n === 0n ? '' : ` after ${model.free} free`}`.trim();
    const piece: Piece = { text, quantity: packages, unit: 'packages', price, amount: multiply(packages, price) };
    return [piece];
  };
};
