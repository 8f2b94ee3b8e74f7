/** Usage charges of one account's period. */
import type { Conventions } from '../../domain/billing/conventions.ts';
import type { Book } from '../../domain/book.ts';
import { entitlementAt } from '../../domain/limit/in-force.ts';
import { divide, multiply, ofDecimal, type Ratio, ratio } from '../../domain/money/ratio.ts';
import type { UsagePrice } from '../../domain/price/price.ts';
import type { MeteredAsk } from '../../usage/metered.ts';
import { dimensionsOf, divisorOf, needsEvents } from '../rate/index.ts';
import { canonicalText } from './canonical.ts';
import { keyOf, rateFailure, type UsageCharge } from './charge.ts';
import type { Scope } from './frames.ts';
import { InvoiceError } from './invoice-error.ts';
import { isUsage, type Piece, piecesOf } from './pieces.ts';
import { shareOf } from './share.ts';

const HOUR_MS = 3_600_000n;

export function usageChargesOf(book: Book, scope: Scope, conventions: Conventions): UsageCharge[] {
  const hours = ratio(BigInt(scope.period.whole.to - scope.period.whole.from), HOUR_MS);
  const includes = (piece: Piece<UsagePrice>) => includedIn(book, piece, hours);
  const charges = piecesOf(scope, isUsage, (a, b) => sameIncluded(includes(a), includes(b))).map((piece) =>
    usageCharge(scope, piece, hours, includes(piece), conventions),
  );
  return askedAlike(charges);
}

/** What a price looks at, single events or dimensions, it looks at from the beginning of its chain, also where another plan did not. */
function askedAlike(charges: UsageCharge[]): UsageCharge[] {
  const looking = charges.filter(({ ask }) => ask.events || ask.by.length > 0);
  if (looking.length === 0) return charges;
  return charges.map((charge) => {
    const others = looking.filter((other) => other !== charge && other.chain === charge.chain);
    const events = charge.ask.events || others.some(({ ask }) => ask.events);
    const by = charge.ask.events ? charge.ask.by : dimensionsAlso(charge, others);
    const isAsked = events === charge.ask.events && by === charge.ask.by;
    return isAsked ? charge : { ...charge, ask: { ...charge.ask, events, by } };
  });
}

/** Those that what comes later tells apart. Not asked of a price by events itself: told apart they are in no order of time. */
const dimensionsAlso = ({ ask, to }: UsageCharge, others: readonly UsageCharge[]): readonly string[] => {
  const later = others.filter(({ from }) => from >= to).flatMap((other) => other.ask.by);
  return later.length === 0 ? ask.by : [...new Set([...ask.by, ...later])].sort();
};

const sameIncluded = (a: Ratio | 'unlimited' | null, b: Ratio | 'unlimited' | null): boolean =>
  a === null || b === null || a === 'unlimited' || b === 'unlimited' ? a === b : a.n * b.d === b.n * a.d;

function usageCharge(
  scope: Scope,
  piece: Piece<UsagePrice>,
  hours: Ratio,
  included: Ratio | 'unlimited' | null,
  conventions: Conventions,
): UsageCharge {
  const { holding, price, from, to } = piece;
  const { account, plan } = holding;
  return {
    key: keyOf(scope, piece),
    account,
    plan: plan.key,
    planVersion: plan.version,
    receipt: plan.receipt,
    scope,
    holding,
    price,
    from,
    to,
    ask: askOf(piece),
    included,
    chain: chainOf(piece),
    hours,
    share: shareFor(scope, piece, conventions),
  };
}

function askOf({ holding: { account, plan }, price, from, to }: Piece<UsagePrice>): MeteredAsk {
  const { meter, where } = price;
  try {
    return { account, meter, from, to, where, by: dimensionsOf(price), events: needsEvents(price) };
  } catch (error) {
    throw rateFailure(error, { account, plan: plan.key, price: price.key });
  }
}

/** A trial's usage fills no tiers; an add-on counts for itself. */
function chainOf({ holding, price }: Piece<UsagePrice>): string {
  let usage = usages.get(price);
  if (usage === undefined) {
    usage = canonicalText([price.meter, price.where]);
    usages.set(price, usage);
  }
  return `${usage} ${holding.trial} ${holding.addOn === null ? '' : canonicalText(holding.addOn.plan)}`;
}

/** What a price is of, as text: prices are the same objects for all accounts of a plan. */
const usages = new WeakMap<UsagePrice, string>();

function shareFor(scope: Scope, piece: Piece<UsagePrice>, { dayCount }: Conventions): Ratio {
  const { holding, price } = piece;
  try {
    return shareOf(scope, holding, piece, dayCount);
  } catch (error) {
    throw rateFailure(error, { account: holding.account, plan: holding.plan.key, price: price.key });
  }
}

/** What the plan includes, in priced units: of its entitlement with overrides, as at the beginning of the piece. */
function includedIn(book: Book, piece: Piece<UsagePrice>, hours: Ratio): Ratio | 'unlimited' | null {
  const { holding, price, from } = piece;
  const times = ratio(holding.quantity);
  if (price.included === null) return null;
  if ('amount' in price.included) return multiply(ofDecimal(price.included.amount), times);
  const { account, plan } = holding;
  const held = entitlementAt(book, account, plan.key, price.included.entitlement, from);
  if (held === undefined) {
    const message = `the plan has no entitlement ${JSON.stringify(price.included.entitlement)}`;
    throw new InvoiceError('invoice.entitlement', { account, plan: plan.key, price: price.key }, message);
  }
  if (held.amount === null) return 'unlimited';
  const amount = multiply(ratio(BigInt(held.amount)), times);
  if (price.per === null) return amount;
  try {
    return divide(amount, divisorOf(price.per, hours));
  } catch (error) {
    throw rateFailure(error, { account, plan: plan.key, price: price.key });
  }
}
