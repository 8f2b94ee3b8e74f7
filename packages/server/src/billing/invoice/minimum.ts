/** The least that all lines of a plan come to in a period: what is missing is a line of its own, after discounts. */
import { decimalsOf } from '../../domain/money/currency.ts';
import { majorText, toMinor } from '../../domain/money/money.ts';
import { add, multiply, ofDecimal, type Ratio, ratio, ZERO } from '../../domain/money/ratio.ts';
import { rateFailure } from './charge.ts';
import { type Due, sumOf, unmetered } from './due.ts';
import type { Scope } from './frames.ts';
import type { Holding } from './history.ts';
import { lineKey } from './key.ts';
import type { Billed } from './settings.ts';
import { shareOf } from './share.ts';

/** `dues`: all of the scope, discounts among them. Throws InvoiceError `invoice.rate`. */
export function minimumLines(dues: readonly Due[], scope: Scope, billed: Billed): Due[] {
  if (scope.stage === 'ahead' || !billed.closes) return [];
  return heldIn(scope).flatMap((held) => {
    const last = held.at(-1) as Holding;
    const least = leastOf(held, scope, billed);
    const isAddOn = last.addOn !== null;
    const lines = dues.filter((due) => due.plan === last.plan.key && due.addOn === isAddOn);
    const missing = least - sumOf(lines);
    return missing > 0n ? [lineOf(held, scope, least, missing, billed)] : [];
  });
}

/** What of the period is held and costs something, by plan; only plans with a minimum. */
function heldIn({ history, period }: Scope): Holding[][] {
  const byPlan = new Map<string, Holding[]>();
  for (const holding of history.holdings) {
    const [from, to] = [Math.max(holding.from, period.from), Math.min(holding.to, period.to)];
    if (from >= to || holding.trial || holding.plan.billing.minimum === null) continue;
    const name = `${holding.addOn === null ? 0 : 1} ${holding.plan.key}`;
    byPlan.set(name, [...(byPlan.get(name) ?? []), { ...holding, from, to }]);
  }
  return [...byPlan.values()];
}

/** In minor units. A part of a period owes its part, or all of it, by convention. */
function leastOf(held: readonly Holding[], scope: Scope, { conventions, currency }: Billed): bigint {
  const last = held.at(-1) as Holding;
  try {
    const exact =
      conventions.minimumInPart === 'full'
        ? minimumOf(last)
        : held.reduce(
            (sum, one) => add(sum, multiply(minimumOf(one), shareOf(scope, one, one, conventions.dayCount))),
            ZERO,
          );
    return toMinor(exact, currency, conventions.rounding);
  } catch (error) {
    throw rateFailure(error, { account: last.account, plan: last.plan.key, price: '' });
  }
}

const minimumOf = ({ plan, quantity }: Holding): Ratio =>
  multiply(ofDecimal(plan.billing.minimum ?? '0'), ratio(quantity));

function lineOf(held: readonly Holding[], scope: Scope, least: bigint, missing: bigint, { currency }: Billed): Due {
  const [first, last] = [held[0] as Holding, held.at(-1) as Holding];
  const { account, plan } = last;
  const decimals = decimalsOf(currency) ?? 0;
  const step = { quantity: null, unit: null, price: null };
  const addOn = last.addOn !== null;
  const group = addOn ? 'addon minimum' : 'minimum';
  return {
    ...unmetered,
    key: lineKey({ account, plan: plan.key, price: '', period: scope.period.from, group }),
    kind: 'minimum',
    account,
    plan: plan.key,
    planVersion: plan.version,
    price: '',
    name: `${plan.name}: minimum`,
    from: first.from,
    to: last.to,
    steps: [
      { ...step, text: 'least for all lines of the plan', amount: majorText(least, decimals) },
      { ...step, text: 'less its lines', amount: majorText(missing - least, decimals) },
    ],
    exact: majorText(missing, decimals),
    amount: missing,
    taxCategory: '',
    scope,
    advance: false,
    addOn,
  };
}
