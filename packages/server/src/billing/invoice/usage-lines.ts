/** Usage charges with their metered answers become lines: rated exactly, rounded once each. */
import { formatInstant } from '../../domain/calendar.ts';
import { toMinor } from '../../domain/money/money.ts';
import { add, exactText, multiply, ONE, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import type { Metered } from '../../usage/metered.ts';
import { type Portion, type RateContext, type Rated, rateUsage } from '../rate/index.ts';
import { placeOf, type UsageCharge } from './charges.ts';
import type { Step } from './document.ts';
import { type Due, trialText, unmetered } from './due.ts';
import { InvoiceError } from './invoice-error.ts';
import { keyFor } from './key.ts';
import { meteredSum, ordered, portionsOf } from './metered-usage.ts';
import type { Billed } from './settings.ts';
import { rateFailure } from './usage-charges.ts';

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
  return [...chainsOf(metered).values()].flatMap((chain) => chain.flatMap((one) => linesOf(one, chain, billed)));
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

function linesOf(one: MeteredCharge, chain: readonly MeteredCharge[], billed: Billed): Due[] {
  const rated = rate(one, chain, billed);
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
  return {
    ...usage,
    ...unmetered,
    key: keyFor(usage.key, kind),
    kind,
    name,
    steps: [step],
    exact: step.amount,
    amount,
  };
}

function minorOf(exact: Ratio, charge: UsageCharge, { currency, conventions }: Billed): bigint {
  try {
    return toMinor(exact, currency, conventions.rounding);
  } catch (error) {
    throw rateFailure(error, placeOf(charge));
  }
}

function rate(one: MeteredCharge, chain: readonly MeteredCharge[], billed: Billed): Rated {
  const { charge } = one;
  const { tiersAtChange, includedInPart } = billed.conventions;
  const earlier = tiersAtChange === 'continue' ? earlierOf(one, chain) : [];
  const now = portionsOf(charge, one.rows);
  const before = earlier.length === 0 ? null : earlier.flatMap(({ charge: c, rows }) => portionsOf(c, rows));
  const context = contextOf(one, chain, earlier, billed);
  try {
    if (includedInPart === 'full') {
      return rateUsage(charge.price, { now, before, included: charge.included }, context);
    }
    const brought = earlier.map((other) => other.charge);
    if (before === null) return rateUsage(charge.price, { now, before, included: broughtBy([charge]) }, context);
    return ratePart(charge, before, now, brought, context);
  } catch (error) {
    throw rateFailure(error, placeOf(charge));
  }
}

/** What is free grows from part to part, so what earlier parts cost is by what was free up to there. */
function ratePart(
  charge: UsageCharge,
  before: readonly Portion[],
  now: readonly Portion[],
  brought: readonly UsageCharge[],
  context: RateContext,
): Rated {
  const earlier = {
    now: before,
    before: null,
    included: charge.included === 'unlimited' ? charge.included : broughtBy(brought),
  };
  const all = { now: [...before, ...now], before: null, included: broughtBy([...brought, charge]) };
  const first = rateUsage(charge.price, earlier, {
    ...context,
    share: context.shareBefore ?? context.share,
    last: false,
  });
  const both = rateUsage(charge.price, all, context);
  const less = exactText(subtract(ZERO, first.through));
  const step = {
    text: 'less what earlier parts of the period cost',
    quantity: null,
    unit: null,
    price: null,
    amount: less,
  };
  return {
    ...both,
    exact: subtract(both.through, first.through),
    before: first.through,
    quantity: subtract(both.quantity, first.quantity),
    steps: [...both.steps, step],
  };
}

/** What these parts have free together, each its part; the last one says whether there is an end to it. */
function broughtBy(charges: readonly UsageCharge[]): UsageCharge['included'] {
  const last = charges.at(-1)?.included ?? null;
  if (last === null || last === 'unlimited') return last;
  return charges.reduce<Ratio>(
    (sum, { included, share }) =>
      included === null || included === 'unlimited' ? sum : add(sum, multiply(included, share)),
    ZERO,
  );
}

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

function contextOf(
  one: MeteredCharge,
  chain: readonly MeteredCharge[],
  earlier: readonly MeteredCharge[],
  billed: Billed,
): RateContext {
  const { charge } = one;
  const { tiersAtChange, minimumInPart, zeroUsageFlat } = billed.conventions;
  if (chain.length === 1) {
    const share = minimumInPart === 'full' ? ONE : charge.share;
    return {
      account: billed.accountOf(charge.account),
      hours: charge.hours,
      share,
      last: billed.closes,
      zeroUsageFlat,
    };
  }
  const anew = tiersAtChange === 'restart';
  const ofPrice = chain.filter((other) => other.charge.key === charge.key);
  const isLast = ofPrice.every((other) => other.charge.from <= charge.from);
  const counted = anew ? [one] : ofPrice.filter((other) => other.charge.from <= charge.from);
  const shareOf = (parts: readonly MeteredCharge[]) => parts.reduce((sum, part) => add(sum, part.charge.share), ZERO);
  const share = shareOf(counted);
  // What another price has used fills no commitment of this one: there both are judged by the same.
  const isOwn = earlier.every((other) => other.charge.key === charge.key);
  const shareBefore = minimumInPart === 'full' || !isOwn ? {} : { shareBefore: shareOf(earlier) };
  return {
    ...shareBefore,
    account: billed.accountOf(charge.account),
    hours: charge.hours,
    share: minimumInPart === 'full' ? ONE : share,
    last: billed.closes && (anew || isLast),
    zeroUsageFlat,
  };
}
