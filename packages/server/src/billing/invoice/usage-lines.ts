/** Usage charges with their metered answers become lines: rated exactly, rounded once each. */
import { formatInstant } from '../../domain/calendar.ts';
import {
  add,
  divide,
  exactText,
  max,
  min,
  multiply,
  ONE,
  type Ratio,
  subtract,
  ZERO,
} from '../../domain/money/ratio.ts';
import type { Metered } from '../../usage/metered.ts';
import {
  divisorOf,
  type Own,
  owesNothing,
  type PeriodUsage,
  type RateContext,
  type Rated,
  rateUsage,
} from '../rate/index.ts';
import { minorOf, placeOf, rateFailure, type UsageCharge } from './charge.ts';
import type { Step } from './document.ts';
import { type Due, derived, trialText } from './due.ts';
import { InvoiceError } from './invoice-error.ts';
import { keyFor } from './key.ts';
import { meteredSum, ordered, portionsOf } from './metered-usage.ts';
import type { Billed } from './settings.ts';

/** A charge and what was metered for it. */
export interface MeteredCharge {
  charge: UsageCharge;
  rows: readonly Metered[];
}

/** `answers` in the order of the charges. Throws InvoiceError `invoice.rate`, `invoice.metered`, `invoice.range`. */
export function usageLines(
  charges: readonly UsageCharge[],
  answers: readonly (readonly Metered[])[],
  billed: Billed,
): Due[] {
  const metered = charges.map((charge, i): MeteredCharge => {
    const rows = answers[i];
    if (rows === undefined)
      throw new InvoiceError('invoice.metered', placeOf(charge), `no answer for ${charge.ask.meter}`);
    return { charge, rows: ordered(rows) };
  });
  return [...chainsOf(metered).values()].flatMap((chain) => chainLines(chain, billed));
}

/** By account, period and chain, in order of the charges. */
function chainsOf(metered: readonly MeteredCharge[]): Map<string, MeteredCharge[]> {
  const chains = new Map<string, MeteredCharge[]>();
  for (const one of metered) {
    const name = `${one.charge.scope.period.from} ${one.charge.account} ${one.charge.chain}`;
    const chain = chains.get(name);
    if (chain === undefined) chains.set(name, [one]);
    else chain.push(one);
  }
  return chains;
}

/** Charges of one price are in order of time, so each finds what the earlier ones came to. */
function chainLines(chain: readonly MeteredCharge[], billed: Billed): Due[] {
  const { tiersAtChange, minimumInPart } = billed.conventions;
  const first: Own = { net: ZERO, owed: minimumInPart === 'full' ? null : owesNothing };
  const known = new Map<string, Own>();
  return chain.flatMap((one) => {
    const rated = rate(one, chain, known.get(one.charge.key) ?? first, billed);
    if (tiersAtChange === 'continue') known.set(one.charge.key, rated.own);
    return linesOf(one, rated, billed);
  });
}

function linesOf(one: MeteredCharge, rated: Rated, billed: Billed): Due[] {
  if (one.charge.holding.trial) return [usageLine(one, rated, [trialStep(one.charge)], ZERO, 0n)];
  const minor = (exact: Ratio): bigint => minorOf(exact, one.charge, billed);
  const own = rated.topUp === null ? rated.through : subtract(rated.through, rated.topUp.exact);
  const exact = rated.topUp === null ? rated.exact : subtract(own, rated.before);
  const usage = usageLine(one, rated, rated.steps, exact, minor(own) - minor(rated.before));
  return rated.topUp === null ? [usage] : [usage, topUpLine(usage, rated.topUp, minor(rated.through) - minor(own))];
}

function usageLine(
  { charge, rows }: MeteredCharge,
  rated: Rated,
  steps: readonly Step[],
  exact: Ratio,
  amount: bigint,
): Due {
  const sum = meteredSum(rows);
  const { price } = charge;
  return {
    key: charge.key,
    kind: 'usage',
    account: charge.account,
    plan: charge.plan,
    planVersion: charge.planVersion,
    price: price.key,
    name: price.name,
    from: charge.from,
    to: charge.to,
    quantity: exactText(rated.quantity),
    unit: price.per?.unit ?? sum.unit,
    metered: sum.metered,
    meter: price.meter,
    state: sum.state,
    flags: sum.flags,
    steps,
    exact: exactText(exact),
    amount,
    taxCategory: price.tax,
    series: sum.series,
    digest: sum.digest,
    scope: charge.scope,
    advance: false,
    addOn: charge.holding.addOn !== null,
  };
}

function trialStep({ to, scope }: UsageCharge): Step {
  const text = trialText(to, (t) => formatInstant(t, scope.period.calendar.zone));
  return { text, quantity: null, unit: null, price: null, amount: '0' };
}

function topUpLine(usage: Due, { kind, exact }: NonNullable<Rated['topUp']>, amount: bigint): Due {
  const text = `up to the ${kind} of the period`;
  const step = { text, quantity: null, unit: null, price: null, amount: exactText(exact) };
  const name = `${usage.name}: ${kind}`;
  return derived(usage, { key: keyFor(usage.key, kind), kind, name, steps: [step], exact: step.amount, amount });
}

function rate(one: MeteredCharge, chain: readonly MeteredCharge[], own: Own, billed: Billed): Rated {
  const { charge } = one;
  const { tiersAtChange, includedInPart } = billed.conventions;
  const earlier = tiersAtChange === 'continue' ? earlierOf(one, chain) : [];
  const now = portionsOf(charge, one.rows);
  const before = earlier.length === 0 ? null : earlier.flatMap(({ charge: c, rows }) => portionsOf(c, rows));
  const context = contextOf(one, chain, billed);
  try {
    if (includedInPart === 'prorated') {
      return rateUsage(charge.price, { now, before, own, ...freeInParts(one, earlier) }, context);
    }
    return rateUsage(charge.price, { now, before, own, included: charge.included }, context);
  } catch (error) {
    throw rateFailure(error, placeOf(charge));
  }
}

/** Each part brings its part of what is included, and what earlier parts left over of theirs is still free. */
function freeInParts(
  { charge }: MeteredCharge,
  earlier: readonly MeteredCharge[],
): Pick<PeriodUsage, 'included' | 'freeBefore'> {
  const { included, share } = charge;
  if (included === null || included === 'unlimited') return { included };
  let [used, left] = [ZERO, ZERO];
  for (const { charge: other, rows } of earlier) {
    const quantity = portionsOf(other, rows).reduce<Ratio>((sum, portion) => add(sum, portion.quantity), ZERO);
    const free = other.included === 'unlimited' ? quantity : add(left, broughtBy(other));
    const here = max(ZERO, min(quantity, free));
    used = add(used, here);
    if (other.included !== 'unlimited') left = subtract(free, here);
  }
  const unit = unitOf(charge);
  return { included: add(divide(left, unit), multiply(included, share)), freeBefore: divide(used, unit) };
}

/** In the meter's unit: plans may price by different ones. */
const broughtBy = (charge: UsageCharge): Ratio =>
  charge.included === null || charge.included === 'unlimited'
    ? ZERO
    : multiply(multiply(charge.included, charge.share), unitOf(charge));

const unitOf = ({ price: { per }, hours }: UsageCharge): Ratio => (per === null ? ONE : divisorOf(per, hours));

/**
 * Charges of earlier parts of the period, each instant in one of them: two prices of one meter are of the same usage. Its
 * own come first, because they were asked for what this price looks at.
 */
function earlierOf({ charge }: MeteredCharge, chain: readonly MeteredCharge[]): MeteredCharge[] {
  const isOther = (one: MeteredCharge): number => (one.charge.key === charge.key ? 0 : 1);
  const candidates = chain
    .filter((other) => other.charge.to <= charge.from)
    .sort((a, b) => isOther(a) - isOther(b) || a.charge.from - b.charge.from || b.charge.to - a.charge.to);
  const chosen: MeteredCharge[] = [];
  for (const other of candidates) {
    if (chosen.every((one) => other.charge.from >= one.charge.to || other.charge.to <= one.charge.from))
      chosen.push(other);
  }
  return chosen.sort((a, b) => a.charge.from - b.charge.from);
}

function contextOf({ charge }: MeteredCharge, chain: readonly MeteredCharge[], billed: Billed): RateContext {
  const { tiersAtChange, minimumInPart, zeroUsageFlat } = billed.conventions;
  const goesOn =
    tiersAtChange === 'continue' &&
    chain.some((other) => other.charge.key === charge.key && other.charge.from > charge.from);
  return {
    account: billed.accountOf(charge.account),
    hours: charge.hours,
    share: minimumInPart === 'full' ? ONE : charge.share,
    last: billed.closes && !goesOn,
    zeroUsageFlat,
  };
}
