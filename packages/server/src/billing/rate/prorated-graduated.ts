/**
 * Graduated prices of a level that changes in mid-period and is paid for by its part of it (seats, volumes): each change
 * is placed into the tiers by its full quantity and charged by its part of the period. Flat amounts of every tier that was
 * ever entered are due. What comes out below zero is nothing.
 */
import {
  add,
  compare,
  divide,
  isZero,
  max,
  min,
  multiply,
  negate,
  type Ratio,
  subtract,
  ZERO,
} from '../../domain/money/ratio.ts';
import type { Tier } from '../../domain/price/price.ts';
import { type PricedTier, readTiers } from './model/tiers.ts';
import { readAmount } from './piece.ts';

export interface LevelChange {
  quantity: Ratio;
  /** Times its part of the period. */
  prorated: Ratio;
}

/** Changes in order of time. Throws RateError. */
export function proratedGraduated(tiers: readonly Tier[], changes: readonly LevelChange[]): Ratio {
  const priced = readTiers(tiers, (tier, what) => readAmount(tier.unit, what));
  let [level, highest, amount] = [ZERO, ZERO, ZERO];
  for (const { quantity, prorated } of changes) {
    if (isZero(quantity)) continue;
    const after = add(level, quantity);
    const share = divide(prorated, quantity);
    amount = add(amount, multiply(share, subtract(unitsPrice(priced, after), unitsPrice(priced, level))));
    level = after;
    highest = max(highest, level);
  }
  const flats = priced.filter(({ above }) => compare(highest, above) > 0);
  return max(
    ZERO,
    flats.reduce((sum, { flat }) => add(sum, flat), amount),
  );
}

/** What a level costs without flat amounts. Below zero it takes back at the price of the first tier. */
function unitsPrice(tiers: readonly PricedTier[], level: Ratio): Ratio {
  if (level.n < 0n) return negate(multiply(negate(level), tiers[0]?.unit ?? ZERO));
  return tiers.reduce((sum, { above, upTo, unit }) => {
    const inTier = subtract(upTo === null ? level : min(level, upTo), above);
    return inTier.n > 0n ? add(sum, multiply(inTier, unit)) : sum;
  }, ZERO);
}
