/** Parts of a period sum to the whole, for every model and whatever the cuts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { add, exactText, ofDecimal, type Ratio, ratio, roundTo, ZERO } from '../../domain/money/ratio.ts';
import type { SimpleModel, UsagePrice } from '../../domain/price/price.ts';
import { type PeriodUsage, type Portion, rateUsage } from './index.ts';
import { context, priceOf, used } from './testing/world.ts';

const decimal = (max: number) =>
  fc
    .tuple(fc.integer({ min: 0, max }), fc.integer({ min: 0, max: 6 }))
    .map(([n, d]) => exactText(ratio(BigInt(n), 10n ** BigInt(d))));
const size = fc.integer({ min: 1, max: 500 }).map((n) => exactText(ratio(BigInt(n), 10n)));
const ends = fc
  .uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 4 })
  .map((list) => [...list.sort((a, b) => a - b).map(String), null]);
const tiers = ends.chain((list) =>
  fc.tuple(...list.map((upTo) => fc.record({ upTo: fc.constant(upTo), unit: decimal(2000), flat: decimal(2000) }))),
);
const percents = ends.chain((list) =>
  fc.tuple(...list.map((upTo) => fc.record({ upTo: fc.constant(upTo), percent: decimal(2000), flat: decimal(2000) }))),
);
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const model: fc.Arbitrary<SimpleModel> = fc.oneof(
  fc.record({ model: fc.constant('per_unit' as const), unit: decimal(9999) }),
  fc.record({ model: fc.constant('graduated' as const), tiers }),
  fc.record({ model: fc.constant('volume' as const), tiers }),
  fc.record({ model: fc.constant('package' as const), size, price: decimal(999), free: decimal(999) }),
  fc.record({
    model: fc.constant('blocks' as const),
    policy: fc.constantFrom('all' as const, 'top' as const),
    blocks: fc.tuple(
      fc.record({ size, most: fc.integer({ min: 1, max: 9 }), price: decimal(999) }),
      fc.record({ size, most: fc.constant(null), price: decimal(999) }),
    ),
  }),
  fc.record({
    model: fc.constant('percentage' as const),
    percent: decimal(999),
    fixed: decimal(99),
    freeAmount: orNull(decimal(999)),
    freeEvents: orNull(fc.integer({ min: 0, max: 5 })),
    least: orNull(fc.constant('0.5')),
    most: orNull(fc.constant('7.25')),
  }),
  fc.record({ model: fc.constant('graduated_percentage' as const), tiers: percents }),
  fc.record({ model: fc.constant('dynamic' as const), multiplier: decimal(999) }),
);
const bounds = fc.record({
  discountPercent: orNull(fc.integer({ min: 0, max: 100 }).map(String)),
  minimum: orNull(fc.constant('40')),
  maximum: orNull(fc.constant('90.5')),
  commitment: orNull(fc.record({ amount: fc.constant('30'), overage: fc.constant('1.25') })),
});
const per = orNull(
  fc.record({
    divideBy: fc.constantFrom('3', '1024', 'month' as const),
    round: fc.constantFrom('none' as const, 'ceiling' as const, 'half-even' as const),
    unit: fc.constant('u'),
  }),
);
const included = fc.oneof(fc.constant(null), fc.constant('unlimited' as const), decimal(9999).map(ofDecimal));
const part = fc.array(decimal(99_999).map(ofDecimal), { maxLength: 4 });
const parts = fc.array(part, { minLength: 1, maxLength: 5 });

const portionOf = (events: readonly Ratio[]): Portion =>
  used(events.reduce(add, ZERO), { count: BigInt(events.length), events });

const cents = (r: Ratio): bigint => roundTo(r, 2, 'half-up');

function checkParts(price: UsagePrice, list: readonly (readonly Ratio[])[], free: PeriodUsage['included']): void {
  const whole = rateUsage(price, { now: [portionOf(list.flat())], before: null, included: free }, context());
  let [sum, quantity, billed] = [ZERO, ZERO, 0n];
  for (const [at, events] of list.entries()) {
    const before = at === 0 ? null : list.slice(0, at).map(portionOf);
    const last = at === list.length - 1;
    const rated = rateUsage(price, { now: [portionOf(events)], before, included: free }, context({ last }));
    sum = add(sum, rated.exact);
    quantity = add(quantity, rated.quantity);
    billed += cents(rated.through) - cents(rated.before);
    const stepped = rated.steps.reduce((all, step) => add(all, fractionOf(step.amount)), rated.topUp?.exact ?? ZERO);
    assert.equal(exactText(stepped), exactText(rated.exact), 'the steps of a part sum to it');
  }
  assert.equal(exactText(sum), exactText(whole.exact));
  assert.equal(exactText(quantity), exactText(whole.quantity));
  assert.equal(billed, cents(whole.exact), 'to the cent');
}

/** Of a step's text, which may have more decimals than a price. */
const fractionOf = (text: string): Ratio => {
  const [n = '', d = '1'] = text.split('/');
  const [whole = '', decimals = ''] = n.split('.');
  return ratio(BigInt(whole + decimals), BigInt(d) * 10n ** BigInt(decimals.length));
};

test('parts of a period sum to the whole, to the cent, and so do their steps', () => {
  fc.assert(
    fc.property(model, bounds, per, parts, included, (m, b, p, list, free) => {
      const price = priceOf({ model: m, per: p, included: free === null ? null : { amount: '1' }, ...b });
      checkParts(price, list, free);
    }),
    { numRuns: process.env.CI === 'true' ? 5000 : 300 },
  );
});
