/** Volume: the tier that the whole quantity reaches prices all of it. */
import { compare, isZero, multiply } from '../../../domain/money/ratio.ts';
import type { Tier } from '../../../domain/price/price.ts';
import { type Pricer, readAmount } from '../piece.ts';
import { flatPieces, readTiers } from './tiers.ts';

export const volume = ({ tiers }: { tiers: readonly Tier[] }): Pricer => {
  const priced = readTiers(tiers, (tier, what) => readAmount(tier.unit, what));
  return (figure) => {
    const { quantity, unit } = figure;
    const tier = priced.find(({ upTo }) => upTo === null || compare(quantity, upTo) <= 0);
    if (tier === undefined) return [];
    const flat = flatPieces(figure, tier);
    if (isZero(quantity)) return flat;
    const { text, unit: price } = tier;
    return [{ text: `all by ${text}`, quantity, unit, price, amount: multiply(quantity, price) }, ...flat];
  };
};
