/**
 * Rates one usage price. The amount of a part of a period is the price of everything used in the period up to its end,
 * less the price of everything used up to its beginning: tiers and free units go on from part to part, and the parts sum
 * to the whole. Least, most and commitment are of what this price's own parts came to: what another plan's price was paid
 * in the same period counts towards none of them.
 */
import { add, max, min, negate, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import { ConditionError } from '../../domain/price/condition.ts';
import type { UsagePrice } from '../../domain/price/price.ts';
import { boundAmount, discountAmount, isBounded, owedWith, owesNothing, topUpOf } from './bounds.ts';
import { convert, convertEvents } from './convert.ts';
import { splitIncluded } from './included.ts';
import { groupKey, groupText } from './matrix.ts';
import { amountPiece, type Figure, type Piece, type Pricer, stepOf, sumOf } from './piece.ts';
import { RateError } from './rate-error.ts';
import { type ReadyPrice, readyPrice } from './ready.ts';
import type { Own, PeriodUsage, Portion, RateContext, Rated } from './usage.ts';

/** Throws RateError: a price that makes no sense, or usage that it cannot price. */
export function rateUsage(price: UsagePrice, usage: PeriodUsage, context: RateContext): Rated {
  const rating: Rating = { price, ready: readyPrice(price), context };
  if (!concerns(rating)) return withoutPrice(rating, usage.own ?? nothing.own);
  const { before: earlierUsage, now } = usage;
  const through = earlierUsage === null ? now : [...earlierUsage, ...now];
  const free = freeIn(rating, usage, through);
  const earlier = earlierUsage === null ? null : priceOf(rating, earlierUsage, free.before);
  const all = priceOf(rating, through, free.through);
  const charged = chargedFor(rating, all.net, earlier?.net ?? null, usage.own);
  const { before } = charged;
  return {
    exact: subtract(charged.through, before),
    before,
    through: charged.through,
    own: charged.own,
    topUp: charged.topUp,
    quantity: earlier === null ? all.quantity : subtract(all.quantity, earlier.quantity),
    steps: [
      ...all.pieces,
      ...charged.pieces,
      ...(before.n === 0n ? [] : [amountPiece('less what earlier parts of the period cost', negate(before))]),
    ].map(stepOf),
  };
}

const nothing: Rated = {
  exact: ZERO,
  before: ZERO,
  through: ZERO,
  own: { net: ZERO, owed: owesNothing },
  topUp: null,
  quantity: ZERO,
  steps: [],
};

/** The part costs nothing; with the last one what is missing to what earlier ones owe is due all the same. */
function withoutPrice({ ready: { bounds }, context }: Rating, own: Own): Rated {
  const owed = own.owed ?? owesNothing;
  const { amount } = boundAmount(own.net, bounds, owed);
  const topUp = context.last ? topUpOf(amount, owed) : null;
  if (topUp === null) return { ...nothing, own };
  return { ...nothing, own, topUp, exact: topUp.exact, before: amount, through: add(amount, topUp.exact) };
}

/** What was free up to where the part begins, and up to its end. What a part does not use of it makes no earlier part free. */
function freeIn(
  rating: Rating,
  { before, included, freeBefore }: PeriodUsage,
  through: readonly Portion[],
): { before: PeriodUsage['included']; through: PeriodUsage['included'] } {
  if (before === null || freeBefore === undefined || included === null || included === 'unlimited')
    return { before: included, through: included };
  const earlier = max(ZERO, payingOf(rating, before));
  const used = min(freeBefore, earlier);
  const now = max(ZERO, subtract(payingOf(rating, through), earlier));
  return { before: used, through: add(used, min(now, included)) };
}

/** What there is a price for, in priced units. */
const payingOf = (rating: Rating, portions: readonly Portion[]): Ratio =>
  figuresOf(rating, portions)
    .filter(({ group }) => rating.ready.pricerFor(group) !== null)
    .reduce((sum, { quantity }) => add(sum, convert(rating.price.per, quantity, rating.context.hours)), ZERO);

/** What a part is charged for by what all usage costs up to its end, and up to its beginning. */
function chargedFor(
  { ready: { bounds }, context }: Rating,
  all: Ratio,
  earlier: Ratio | null,
  own: Own = { net: earlier ?? ZERO, owed: null },
): Pick<Rated, 'before' | 'through' | 'own' | 'topUp'> & { pieces: Piece[] } {
  const owed = owedWith(bounds, context.share, own.owed ?? owesNothing);
  // Only bounds ask whose usage it was. Without them plans of one price stay one sum, rounded as one.
  const others = earlier !== null && isBounded(bounds, own.owed ?? owesNothing) ? subtract(own.net, earlier) : ZERO;
  const bounded = boundAmount(others === ZERO ? all : add(all, others), bounds, owed);
  const topUp = context.last ? topUpOf(bounded.amount, owed) : null;
  return {
    before: earlier === null ? ZERO : boundAmount(add(earlier, others), bounds, own.owed ?? owed).amount,
    through: topUp === null ? bounded.amount : add(bounded.amount, topUp.exact),
    own: { net: earlier === null ? all : add(own.net, subtract(all, earlier)), owed: own.owed === null ? null : owed },
    topUp,
    pieces: [
      ...(others.n === 0n ? [] : [amountPiece('usage of earlier parts under other terms', others)]),
      ...bounded.steps,
    ],
  };
}

interface Rating {
  price: UsagePrice;
  ready: ReadyPrice;
  context: RateContext;
}

/** The price of all the usage since the beginning of a period. */
interface Total {
  /** After discount. */
  net: Ratio;
  /** In priced units. */
  quantity: Ratio;
  pieces: Piece[];
}

function priceOf(rating: Rating, portions: readonly Portion[], free: PeriodUsage['included']): Total {
  const { ready, price, context } = rating;
  let included = free;
  let quantity = ZERO;
  const pieces: Piece[] = [];
  for (const portion of figuresOf(rating, portions)) {
    const converted = convert(price.per, portion.quantity, context.hours);
    quantity = add(quantity, converted);
    const split = splitIncluded(converted, included);
    const pricer = ready.pricerFor(portion.group);
    const text = groupText(portion.group, ready.apart);
    const named = (piece: Piece): Piece => (text === '' ? piece : { ...piece, text: `${text}: ${piece.text}` });
    if (pricer === null) {
      pieces.push(named(freePiece('free', converted, price)));
      continue;
    }
    if (split.free.n !== 0n) pieces.push(named(freePiece('included', split.free, price)));
    const figure = figureOf(rating, portion, pricer, converted, split.paid, included);
    if (included !== null && included !== 'unlimited') included = subtract(included, split.free);
    pieces.push(...mirrored(pricer, figure).map(named));
  }
  const { amount, steps } = discountAmount(sumOf(pieces), ready.bounds);
  return { net: amount, quantity, pieces: [...pieces, ...steps] };
}

const unitOf = ({ per }: UsagePrice): string => per?.unit ?? '';

const freePiece = (text: string, quantity: Ratio, price: UsagePrice): Piece => ({
  text,
  quantity,
  unit: unitOf(price),
  price: null,
  amount: ZERO,
});

function figureOf(
  { price, context }: Rating,
  portion: Portion,
  { byEvent }: Pricer,
  converted: Ratio,
  paid: Ratio,
  left: PeriodUsage['included'],
): Figure {
  const zeroFlat = context.zeroUsageFlat === 'charge';
  const unit = unitOf(price);
  if (left === 'unlimited') return { quantity: paid, unit, events: [], free: null, zeroFlat };
  if (byEvent !== true) return { quantity: paid, unit, events: null, free: null, zeroFlat };
  const events = portion.events === null ? null : convertEvents(price.per, portion.events, context.hours);
  return { quantity: converted, unit, events, free: left, zeroFlat };
}

/** Usage below zero (more was taken back than used) gives back what as much usage costs. Single events say it themselves. */
function mirrored(pricer: Pricer, figure: Figure): Piece[] {
  if (pricer.byEvent === true || figure.quantity.n >= 0n) return pricer(figure);
  return pricer({ ...figure, quantity: negate(figure.quantity) }).map((piece) => ({
    ...piece,
    quantity: piece.quantity === null ? null : negate(piece.quantity),
    amount: negate(piece.amount),
  }));
}

/** What is priced apart: one figure of all usage that the condition lets through, or one for each value of the dimensions. */
function figuresOf(rating: Rating, portions: readonly Portion[]): Portion[] {
  const { apart } = rating.ready;
  const paying = portions.filter((portion) => pays(rating, portion));
  if (apart.length === 0) return [paying.length === 1 ? (paying[0] as Portion) : merged({}, paying)];
  const byKey = new Map<string, Portion[]>();
  for (const portion of paying) {
    const key = groupKey(portion.group, apart);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [portion]);
    else known.push(portion);
  }
  return [...byKey.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, list]) => merged(list[0]?.group ?? {}, list));
}

function merged(group: Portion['group'], portions: readonly Portion[]): Portion {
  const all = { quantity: ZERO, count: 0n };
  const events: Ratio[] = [];
  for (const portion of portions) {
    all.quantity = add(all.quantity, portion.quantity);
    all.count += portion.count;
    for (const event of portion.events ?? []) events.push(event);
  }
  return { group, ...all, events: portions.some((portion) => portion.events === null) ? null : events };
}

/** An account that the condition is not for owes no flat amount and no minimum either. */
const concerns = (rating: Rating): boolean =>
  rating.ready.condition?.dimensions.length !== 0 || pays(rating, { group: {} });

function pays({ ready, price, context }: Rating, { group }: Pick<Portion, 'group'>): boolean {
  if (ready.condition === null) return true;
  try {
    return ready.condition.holds({ account: context.account, dimensions: group });
  } catch (error) {
    if (error instanceof ConditionError) throw new RateError('rate.condition', `${price.key}: ${error.message}`);
    throw error;
  }
}
