/**
 * Rates one usage price. The amount of a part of a period is the price of everything used in the period up to its end,
 * less the price of everything used up to its beginning: tiers, free units and caps go on from part to part, and the
 * parts sum to the whole.
 */
import { add, negate, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import { ConditionError } from '../../domain/price/condition.ts';
import type { UsagePrice } from '../../domain/price/price.ts';
import { boundAmount, topUpOf } from './bounds.ts';
import { convert, convertEvents } from './convert.ts';
import { splitIncluded } from './included.ts';
import { groupKey, groupText } from './matrix.ts';
import { amountPiece, type Figure, type Piece, type Pricer, stepOf, sumOf } from './piece.ts';
import { RateError } from './rate-error.ts';
import { type ReadyPrice, readyPrice } from './ready.ts';
import type { PeriodUsage, Portion, RateContext, Rated } from './usage.ts';

/** Throws RateError: a price that makes no sense, or usage that it cannot price. */
export function rateUsage(price: UsagePrice, usage: PeriodUsage, context: RateContext): Rated {
  const rating: Rating = { price, ready: readyPrice(price), included: usage.included, context };
  if (!concerns(rating)) return { exact: ZERO, before: ZERO, through: ZERO, topUp: null, quantity: ZERO, steps: [] };
  const { share, shareBefore = share } = context;
  const earlier =
    usage.before === null ? null : priceOf({ ...rating, context: { ...context, share: shareBefore } }, usage.before);
  const all = priceOf(rating, usage.before === null ? usage.now : [...usage.before, ...usage.now]);
  const topUp = context.last ? topUpOf(all.amount, rating.ready.bounds, context.share) : null;
  const before = earlier?.amount ?? ZERO;
  const through = topUp === null ? all.amount : add(all.amount, topUp.exact);
  return {
    exact: subtract(through, before),
    before,
    through,
    topUp,
    quantity: subtract(all.quantity, earlier?.quantity ?? ZERO),
    steps: [
      ...all.pieces,
      ...(before.n === 0n ? [] : [amountPiece('less what earlier parts of the period cost', negate(before))]),
    ].map(stepOf),
  };
}

interface Rating {
  price: UsagePrice;
  ready: ReadyPrice;
  included: PeriodUsage['included'];
  context: RateContext;
}

/** The price of all the usage since the beginning of a period. */
interface Total {
  amount: Ratio;
  /** In priced units. */
  quantity: Ratio;
  pieces: Piece[];
}

function priceOf(rating: Rating, portions: readonly Portion[]): Total {
  const { ready, price, context } = rating;
  let included = rating.included;
  let quantity = ZERO;
  const pieces: Piece[] = [];
  for (const portion of figuresOf(rating, portions)) {
    const converted = convert(price.per, portion.quantity, context.hours);
    quantity = add(quantity, converted);
    const { free, paid } = splitIncluded(converted, included);
    const pricer = ready.pricerFor(portion.group);
    const text = groupText(portion.group, ready.apart);
    const named = (piece: Piece): Piece => (text === '' ? piece : { ...piece, text: `${text}: ${piece.text}` });
    if (pricer === null) {
      pieces.push(named(freePiece('free', converted, price)));
      continue;
    }
    if (free.n !== 0n) pieces.push(named(freePiece('included', free, price)));
    const figure = figureOf(rating, portion, converted, paid, included);
    if (included !== null && included !== 'unlimited') included = subtract(included, free);
    pieces.push(...mirrored(pricer, figure, ready.freeByEvent).map(named));
  }
  const bounded = boundAmount(sumOf(pieces), ready.bounds, context.share);
  return { amount: bounded.amount, quantity, pieces: [...pieces, ...bounded.steps] };
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
  { ready, price, context, included }: Rating,
  portion: Portion,
  converted: Ratio,
  paid: Ratio,
  left: PeriodUsage['included'],
): Figure {
  const zeroFlat = context.zeroUsageFlat === 'charge';
  const unit = unitOf(price);
  if (included === 'unlimited') return { quantity: paid, unit, events: [], free: null, zeroFlat };
  if (!ready.freeByEvent) return { quantity: paid, unit, events: null, free: null, zeroFlat };
  const events = portion.events === null ? null : convertEvents(price.per, portion.events, context.hours);
  const free = left === 'unlimited' ? null : left;
  return { quantity: converted, unit, events, free, zeroFlat };
}

/** Usage below zero (more was taken back than used) gives back what as much usage costs. Single events say it themselves. */
function mirrored(pricer: Pricer, figure: Figure, byEvent: boolean): Piece[] {
  if (byEvent || figure.quantity.n >= 0n) return pricer(figure);
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
