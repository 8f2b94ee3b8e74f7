/** Graduated: units in a tier pay its price, and its flat amount is due once the tier is entered. */
import { multiply } from '../../../domain/money/ratio.ts';
import type { PercentTier, Tier } from '../../../domain/price/price.ts';
import { type Pricer, percentOf, readAmount } from '../piece.ts';
import { flatPieces, type PricedTier, partWithin, readTiers } from './tiers.ts';

const graduatedBy =
  (tiers: readonly PricedTier[]): Pricer =>
  (figure) =>
    tiers.flatMap((tier) => {
      const quantity = partWithin(figure.quantity, tier);
      const flat = flatPieces(figure, tier);
      if (quantity === null) return flat;
      const { text, unit: price } = tier;
      return [{ text, quantity, unit: figure.unit, price, amount: multiply(quantity, price) }, ...flat];
    });

export const graduated = ({ tiers }: { tiers: readonly Tier[] }): Pricer =>
  graduatedBy(readTiers(tiers, (tier, what) => readAmount(tier.unit, what)));

/** Of an amount of money: percent of what falls into the tier. */
export const graduatedPercentage = ({ tiers }: { tiers: readonly PercentTier[] }): Pricer =>
  graduatedBy(readTiers(tiers, (tier, what) => percentOf(tier.percent, what)));
