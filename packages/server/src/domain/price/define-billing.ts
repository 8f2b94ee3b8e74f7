/** `billing` of a plan: how often it is billed, in which currency, and its prices. */
import { Misread, quoted } from '../limit/amount.ts';
import { Fields } from '../limit/fields.ts';
import type { Flaw, Tree } from '../limit/located.ts';
import type { MetersByKey } from '../limit/metered-unit.ts';
import type { Entitlement } from '../limit/plan.ts';
import { isCurrency } from '../money/currency.ts';
import { readMoney } from './decimal.ts';
import { followsCalendar, readPeriod, readTrial } from './define-period.ts';
import { readPrice } from './define-price.ts';
import type { BillingPeriod, DecimalText, PlanBilling, Price } from './price.ts';

const PRICES_MAX = 200;
const MONTH: BillingPeriod = { unit: 'month', count: 1 };

/** Problems are added to the flaws. */
export function readBilling(
  tree: Tree,
  meters: MetersByKey,
  entitlements: readonly Entitlement[],
  flaws: Flaw[],
): PlanBilling {
  const known = ['currency', 'period', 'anchor', 'trial', 'minimum', 'prices'];
  const fields = new Fields(tree, flaws, known, '`billing`');
  if (tree.kind === 'branch' && !fields.has('currency')) fields.wrong('currency', 'is missing: such as EUR');
  const currency = fields.read('currency', '', 'a currency such as EUR', readCurrency);
  const period = fields.read('period', MONTH, 'a period such as month', readPeriod);
  const anchor = readAnchor(fields, period);
  const items = fields.items('prices', 'a list of prices', PRICES_MAX);
  const around = { meters, entitlements, currency, period, anchor };
  const prices = items.map((item) => readPrice(item, around, flaws));
  refuseTwice(items, prices, flaws);
  return {
    currency,
    period,
    anchor,
    trialDays: fields.read('trial', 0, 'a number of days', readTrial),
    prices,
    minimum: fields.read<DecimalText | null>('minimum', null, 'an amount', (text) => readMoney(text, currency)),
  };
}

const readCurrency = (text: string): string | Misread =>
  isCurrency(text) ? text : new Misread(`${quoted(text)} is no currency of ISO 4217, such as EUR`);

function readAnchor(fields: Fields, period: BillingPeriod): PlanBilling['anchor'] {
  const possible = followsCalendar(period);
  const anchor = fields.oneOf('anchor', ['calendar', 'subscription'], possible ? 'calendar' : 'subscription');
  if (anchor === 'calendar' && !possible)
    fields.wrong('anchor', `the calendar has no periods of ${period.count} ${period.unit}s: subscription`);
  return anchor;
}

/** Lines are known by the key of their price. */
function refuseTwice(items: readonly Tree[], prices: readonly Price[], flaws: Flaw[]): void {
  prices.forEach(({ key }, i) => {
    const first = prices.findIndex((p) => p.key === key);
    const tree = items[i];
    if (first < i && key !== '' && tree !== undefined)
      flaws.push({
        ...tree.at,
        path: tree.path,
        message: `ambiguous: there is a price ${quoted(key)} already, in line ${items[first]?.at.line ?? 0}`,
      });
  });
}
