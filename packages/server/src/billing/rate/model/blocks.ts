/** Blocks: whole ones are paid for, a begun one counts; tiers hold so many blocks each. */
import { add, compare, min, multiply, type Ratio, ratio, subtract, ZERO } from '../../../domain/money/ratio.ts';
import type { Block } from '../../../domain/price/price.ts';
import { type Figure, type Piece, type Pricer, readAmount, readSize } from '../piece.ts';
import { RateError } from '../rate-error.ts';
import { packagesOf } from './package.ts';

interface PricedBlock {
  size: Ratio;
  /** Units that the tier holds; null: all. */
  holds: Ratio | null;
  price: Ratio;
  text: string;
}

export const blocks = (model: { policy: 'all' | 'top'; blocks: readonly Block[] }): Pricer => {
  const tiers = readBlocks(model.blocks);
  return (figure) => (model.policy === 'all' ? eachByItsOwn(tiers, figure) : allByTop(tiers, figure));
};

function readBlocks(list: readonly Block[]): PricedBlock[] {
  if (list.length === 0) throw new RateError('rate.tiers', 'a price by blocks needs at least one of them');
  return list.map(({ size: sizeText, most, price }, at) => {
    const name = `tier ${at + 1}`;
    const last = at === list.length - 1;
    if (last !== (most === null))
      throw new RateError(
        'rate.tiers',
        `${name}: ${last ? 'the last one holds any number of blocks' : 'only the last one holds any number'}`,
      );
    if (most !== null && (!Number.isSafeInteger(most) || most < 1))
      throw new RateError('rate.size', `${name} must hold a whole number of blocks, at least 1: ${most}`);
    const size = readSize(sizeText, `the size of a block of ${name}`);
    return {
      size,
      holds: most === null ? null : multiply(size, ratio(BigInt(most))),
      price: readAmount(price, `the price of a block of ${name}`),
      text: `${name}, blocks of ${sizeText}`,
    };
  });
}

const piece = ({ size, price, text }: PricedBlock, quantity: Ratio, unit: string): Piece => {
  const count = packagesOf(quantity, size);
  return { text: `${text} ${unit}`.trim(), quantity: count, unit: 'blocks', price, amount: multiply(count, price) };
};

/** Each tier is filled before the next begins. */
function eachByItsOwn(tiers: readonly PricedBlock[], { quantity, unit }: Figure): Piece[] {
  const out: Piece[] = [];
  let left = quantity;
  for (const tier of tiers) {
    if (compare(left, ZERO) <= 0) break;
    const here = tier.holds === null ? left : min(left, tier.holds);
    out.push(piece(tier, here, unit));
    left = subtract(left, here);
  }
  return out;
}

/** The tier that the whole quantity reaches prices all of it. */
function allByTop(tiers: readonly PricedBlock[], { quantity, unit }: Figure): Piece[] {
  if (compare(quantity, ZERO) <= 0) return [];
  let end = ZERO;
  for (const tier of tiers) {
    if (tier.holds === null) return [piece(tier, quantity, unit)];
    end = add(end, tier.holds);
    if (compare(quantity, end) <= 0) return [piece(tier, quantity, unit)];
  }
  return [];
}
