/** Prices, usage and periods in few words. */
import assert from 'node:assert/strict';
import { parseInstant } from '../../../domain/calendar.ts';
import { add, exactText, ONE, ofDecimal, type Ratio, ZERO } from '../../../domain/money/ratio.ts';
import type { SimpleModel, UsagePrice } from '../../../domain/price/price.ts';
import {
  type BilledPeriod,
  type PeriodUsage,
  type Portion,
  type RateContext,
  type Rated,
  rateUsage,
} from '../index.ts';

export const priceOf = (more: Partial<UsagePrice> & Pick<UsagePrice, 'model'>): UsagePrice => ({
  kind: 'usage',
  key: 'traffic',
  name: 'Traffic',
  tax: '',
  from: null,
  to: null,
  meter: 'network.bytes.sent',
  where: {},
  per: null,
  included: null,
  discountPercent: null,
  minimum: null,
  maximum: null,
  commitment: null,
  when: '',
  ...more,
});

export const context = (more: Partial<RateContext> = {}): RateContext => ({
  account: { id: 'acme', name: 'Acme', zone: 'Europe/Berlin', currency: 'EUR' },
  hours: ofDecimal('744'),
  share: ONE,
  last: true,
  zeroUsageFlat: 'charge',
  ...more,
});

export const used = (quantity: string | Ratio, more: Partial<Portion> = {}): Portion => ({
  group: {},
  quantity: typeof quantity === 'string' ? ofDecimal(quantity) : quantity,
  count: 1n,
  events: null,
  ...more,
});

/** Usage of single events: `50 100 250`. */
export const eventsOf = (text: string): Portion => {
  const events = text
    .split(' ')
    .filter((e) => e !== '')
    .map(ofDecimal);
  return used(events.reduce(add, ZERO), { count: BigInt(events.length), events });
};

export const usage = (now: Portion[], more: Partial<PeriodUsage> = {}): PeriodUsage => ({
  now,
  before: null,
  included: null,
  ...more,
});

/** The exact amount of one quantity by a model. */
export const amountOf = (model: SimpleModel, quantity: string, more: Partial<UsagePrice> = {}): string =>
  exactText(rateUsage(priceOf({ model, ...more }), usage([used(quantity)]), context()).exact);

/** `tier 1, up to 100: 100 GB x 0.09 = 9`. */
export const stepTexts = ({ steps }: Rated): string[] =>
  steps.map(({ text, quantity, unit, price, amount }) => {
    const times = quantity === null ? '' : ` ${quantity} ${unit ?? ''}`.trimEnd();
    return `${text}:${times}${price === null ? '' : ` x ${price}`} = ${amount}`;
  });

/** A period by local days: `2026-03-01`. */
export const period = (from: string, to: string, zone = 'UTC', unit: BilledPeriod['unit'] = 'month'): BilledPeriod => ({
  from: parseInstant(from, zone),
  to: parseInstant(to, zone),
  unit,
  count: 1,
  zone,
});

/** An amount of one price, with settings of the price, the usage and the context. */
export function checkAmount(
  rows: [expected: string, price: Parameters<typeof priceOf>[0], usage: PeriodUsage, context?: Partial<RateContext>][],
): void {
  for (const [expected, price, asked, more] of rows) {
    const rated = rateUsage(priceOf(price), asked, context(more));
    assert.equal(exactText(rated.exact), expected, JSON.stringify(stepTexts(rated)));
  }
}
