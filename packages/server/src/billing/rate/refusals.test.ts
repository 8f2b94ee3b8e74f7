/** Prices that make no sense are refused where they are defined; what gets past that is refused here, by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimpleModel, UsageModel, UsagePrice } from '../../domain/price/price.ts';
import { type Portion, RateError, rateFee, rateUsage } from './index.ts';
import { context, eventsOf, period, priceOf, usage, used } from './testing/world.ts';

type Row = [code: string, about: RegExp, model: UsageModel, more?: Partial<UsagePrice>, now?: Portion];

/** Each row: the code and the words of the refusal, and what was rated. */
function check(rows: Row[]): void {
  for (const [code, about, model, more, now = used('5')] of rows)
    assert.throws(
      () => rateUsage(priceOf({ model, ...more }), usage([now]), context()),
      (error) => {
        assert.ok(error instanceof RateError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, about);
        return true;
      },
    );
}

const unit = { model: 'per_unit', unit: '1' } as const;
const graduated = (...tiers: [upTo: string | null, unit?: string, flat?: string][]): SimpleModel => ({
  model: 'graduated',
  tiers: tiers.map(([upTo, price = '1', flat = '0']) => ({ upTo, unit: price, flat })),
});
const blocks = (...list: [size: string, most: number | null, price?: string][]): SimpleModel => ({
  model: 'blocks',
  policy: 'all',
  blocks: list.map(([size, most, price = '1']) => ({ size, most, price })),
});
const percentage = (more: Partial<SimpleModel & { model: 'percentage' }>): SimpleModel => ({
  model: 'percentage',
  percent: '1',
  fixed: '0',
  freeAmount: null,
  freeEvents: null,
  least: null,
  most: null,
  ...more,
});

test('tiers that overlap, leave a gap or come to an end are refused', () =>
  check([
    ['rate.tiers', /at least one tier/, graduated()],
    ['rate.tiers', /tier 2 ends at 10/, graduated(['10'], ['10'], [null])],
    ['rate.tiers', /tier 2 ends at 5/, graduated(['10'], ['5'], [null])],
    ['rate.tiers', /tier 2: the last tier must have no end/, graduated(['10'], ['20'])],
    ['rate.tiers', /tier 1: only the last/, graduated([null], [null])],
    ['rate.size', /the end of tier 1/, graduated(['0'], [null])],
    ['rate.size', /the end of tier 1/, graduated(['-5'], [null])],
    ['rate.tiers', /tier 1/, { model: 'volume', tiers: [{ upTo: '5', unit: '1', flat: '0' }] }],
    ['rate.tiers', /tier 1/, { model: 'graduated_percentage', tiers: [{ upTo: '5', percent: '1', flat: '0' }] }],
    ['rate.tiers', /at least one/, blocks()],
    ['rate.tiers', /only the last/, blocks(['1', null], ['1', null])],
    ['rate.tiers', /any number/, blocks(['1', 5])],
  ]));

test('negative prices and texts that are no decimals are refused', () =>
  check([
    ['rate.price', /the price of one unit is negative: -1/, { model: 'per_unit', unit: '-1' }],
    ['rate.price', /the price of one unit: not a decimal number: 1e3/, { model: 'per_unit', unit: '1e3' }],
    ['rate.price', /the price of tier 1 is negative/, graduated([null, '-0.5'])],
    ['rate.price', /the flat amount of tier 1/, graduated([null, '1', 'x'])],
    ['rate.price', /the price of a package/, { model: 'package', size: '1', price: '-1', free: '0' }],
    ['rate.price', /the free units/, { model: 'package', size: '1', price: '1', free: '-1' }],
    ['rate.price', /the price of a block of tier 1/, blocks(['1', null, '-1'])],
    ['rate.price', /the multiplier/, { model: 'dynamic', multiplier: '-1' }],
    ['rate.price', /the percentage/, percentage({ percent: '-1' })],
    ['rate.price', /the fixed amount/, percentage({ fixed: '-1' })],
    ['rate.price', /above the most/, percentage({ least: '2', most: '1' })],
    ['rate.price', /the number of free events/, percentage({ freeEvents: -1 })],
    ['rate.price', /more than 18 decimals/, { model: 'per_unit', unit: '0.0000000000000000001' }],
  ]));

test('sizes that are not above zero are refused', () =>
  check([
    ['rate.size', /the size of a package/, { model: 'package', size: '0', price: '1', free: '0' }],
    ['rate.size', /the size of a block of tier 1/, blocks(['0', null])],
    ['rate.size', /a whole number of blocks/, blocks(['1', 0], ['1', null])],
    ['rate.size', /divided by/, unit, { per: { divideBy: '0', round: 'none', unit: '' } }],
    ['rate.size', /size of a priced unit/, unit, { per: { divideBy: 'month', size: '-1', round: 'none', unit: '' } }],
  ]));

test('bounds that contradict each other are refused', () =>
  check([
    ['rate.price', /the minimum, 5, is above the maximum, 4/, unit, { minimum: '5', maximum: '4' }],
    ['rate.price', /above 100 percent/, unit, { discountPercent: '100.1' }],
    ['rate.price', /the maximum is negative/, unit, { maximum: '-1' }],
    ['rate.price', /the overage/, unit, { commitment: { amount: '1', overage: '-1' } }],
  ]));

test('conditions that fail, and cells that name what nobody looks at, are refused', () =>
  check([
    ['rate.condition', /does not compile/, unit, { when: 'account.' }],
    [
      'rate.condition',
      /traffic: .*failed/,
      unit,
      { when: 'int(dimensions.size) > 3' },
      used('1', { group: { size: 'big' } }),
    ],
    [
      'rate.price',
      /the dimension zone/,
      { model: 'matrix', dimensions: ['region'], cells: [{ where: { zone: 'a' }, price: unit }], otherwise: null },
    ],
  ]));

test('a price by single events is refused without them', () =>
  check([
    ['rate.usage', /looks at each event/, percentage({ least: '1' }), {}, used('5')],
    ['rate.usage', /looks at each event/, percentage({ freeEvents: 1 }), {}, { ...eventsOf('5'), events: null }],
  ]));

test('a month without hours is refused', () => {
  const price = priceOf({ model: unit, per: { divideBy: 'month', round: 'none', unit: '' } });
  assert.throws(() => rateUsage(price, usage([used('1')]), context({ hours: { n: 0n, d: 1n } })), /no hours/);
});

test('fees that are negative, or due a negative number of times, are refused', () => {
  const whole = period('2026-05-01', '2026-06-01');
  const fee = { key: 'base', amount: '-1', per: 'period' as const, prorate: true };
  assert.throws(() => rateFee(fee, 1n, whole, whole, 'days'), /the fee base is negative/);
  assert.throws(() => rateFee({ ...fee, amount: '1' }, -1n, whole, whole, 'days'), /cannot be due -1 times/);
});
