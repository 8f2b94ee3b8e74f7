/** For how long one price of one plan is in force within a period, unchanged: what becomes one charge. */
import type { FeePrice, Price, UsagePrice } from '../../domain/price/price.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import { canonicalText } from './canonical.ts';
import type { Scope } from './frames.ts';
import type { Holding } from './history.ts';

/** The holding is that at its beginning: what it says of this price holds throughout. */
export interface Piece<P extends Price = Price> extends Interval {
  holding: Holding;
  price: P;
}

/**
 * In the order of plans and their prices, then of time. Neighbours with the same content are one piece: a version of the
 * plan that leaves a price as it was cuts nothing. `same` says what else has to be equal.
 */
export function piecesOf<P extends Price>(
  { history, period }: Scope,
  isWanted: (price: Price) => price is P,
  same: (a: Piece<P>, b: Piece<P>) => boolean,
): Piece<P>[] {
  const byPrice = new Map<string, Piece<P>[]>();
  for (const holding of history.holdings) {
    if (holding.from >= period.to || holding.to <= period.from) continue;
    for (const price of holding.plan.billing.prices) {
      if (!isWanted(price)) continue;
      const from = Math.max(holding.from, period.from, price.from ?? 0);
      const to = Math.min(holding.to, period.to, price.to ?? Number.POSITIVE_INFINITY);
      if (from >= to) continue;
      const name = `${holding.addOn === null ? 0 : 1} ${holding.plan.key} ${price.key}`;
      const pieces = byPrice.get(name);
      if (pieces === undefined) byPrice.set(name, [{ from, to, holding, price }]);
      else append(pieces, { from, to, holding, price }, same);
    }
  }
  return [...byPrice.values()].flat();
}

function append<P extends Price>(pieces: Piece<P>[], piece: Piece<P>, same: (a: Piece<P>, b: Piece<P>) => boolean) {
  const last = pieces.at(-1);
  const goesOn =
    last !== undefined &&
    last.to === piece.from &&
    last.holding.trial === piece.holding.trial &&
    last.holding.quantity === piece.holding.quantity &&
    samePrice(last.price, piece.price) &&
    same(last, piece);
  if (goesOn) pieces[pieces.length - 1] = { ...last, to: piece.to };
  else pieces.push(piece);
}

/** Versions of a plan share no objects, so unlike objects may still say the same. */
const samePrice = (a: Price, b: Price): boolean => a === b || canonicalText(a) === canonicalText(b);

export const isFee = (price: Price): price is FeePrice => price.kind === 'fee';
export const isUsage = (price: Price): price is UsagePrice => price.kind === 'usage';

/** Where a piece is counted from: on the day a subscription begins, from that day's midnight. */
export const countedFrom = ({ period }: Scope, from: Instant): Instant =>
  from === period.from ? period.countFrom : from;
