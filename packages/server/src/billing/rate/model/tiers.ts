/** Tiers as they are priced: each ends above the one before it, and the last has no end. */
import { compare, type Ratio, subtract, ZERO } from '../../../domain/money/ratio.ts';
import type { DecimalText } from '../../../domain/price/price.ts';
import { amountPiece, type Figure, type Piece, readAmount, readSize } from '../piece.ts';
import { RateError } from '../rate-error.ts';

/** (above, upTo]; upTo null in the last only. */
export interface Range {
  above: Ratio;
  upTo: Ratio | null;
  /** `tier 2, above 100 up to 200` */
  text: string;
}

export interface PricedTier extends Range {
  /** Price of one unit, or the factor of an amount. */
  unit: Ratio;
  flat: Ratio;
}

/** Throws RateError: `rate.tiers` where tiers overlap, leave a gap or come to an end. */
export function readTiers<T extends { upTo: DecimalText | null; flat: DecimalText }>(
  tiers: readonly T[],
  unitOf: (tier: T, what: string) => Ratio,
): PricedTier[] {
  if (tiers.length === 0) throw new RateError('rate.tiers', 'a price by tiers needs at least one tier');
  let above = ZERO;
  return tiers.map((tier, at) => {
    const name = `tier ${at + 1}`;
    const upTo = readEnd(tier.upTo, above, name, at === tiers.length - 1);
    const priced: PricedTier = {
      above,
      upTo,
      text: rangeText(name, tiers[at - 1]?.upTo ?? null, tier.upTo),
      unit: unitOf(tier, `the price of ${name}`),
      flat: readAmount(tier.flat, `the flat amount of ${name}`),
    };
    if (upTo !== null) above = upTo;
    return priced;
  });
}

function readEnd(text: DecimalText | null, above: Ratio, name: string, last: boolean): Ratio | null {
  if (last !== (text === null))
    throw new RateError(
      'rate.tiers',
      `${name}: ${last ? 'the last tier must have no end' : 'only the last tier has no end'}`,
    );
  if (text === null) return null;
  const end = readSize(text, `the end of ${name}`);
  if (compare(end, above) > 0) return end;
  throw new RateError('rate.tiers', `${name} ends at ${text}, which is not above the end of the one before it`);
}

function rangeText(name: string, above: DecimalText | null, upTo: DecimalText | null): string {
  const range = `${above === null ? '' : ` above ${above}`}${upTo === null ? '' : ` up to ${upTo}`}`;
  return range === '' ? name : `${name},${range}`;
}

/** What of the quantity falls into the range: null when it does not reach it. */
export function partWithin(quantity: Ratio, { above, upTo }: Range): Ratio | null {
  if (compare(quantity, above) <= 0) return null;
  return subtract(upTo !== null && compare(quantity, upTo) > 0 ? upTo : quantity, above);
}

/** Flat amounts of the tiers that the quantity enters; the first is entered by no usage too, when the convention says so. */
export const flatPieces = ({ quantity, zeroFlat }: Figure, tier: PricedTier): Piece[] => {
  const entered = compare(quantity, tier.above) > 0 || (zeroFlat && tier.above === ZERO);
  return entered && tier.flat.n !== 0n ? [amountPiece(`${tier.text}: flat`, tier.flat)] : [];
};
