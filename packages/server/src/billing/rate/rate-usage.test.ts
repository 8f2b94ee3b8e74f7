import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactText, ONE, ofDecimal } from '../../domain/money/ratio.ts';
import type { SimpleModel, Tier, UsageModel } from '../../domain/price/price.ts';
import { dimensionsOf, type PeriodUsage, type Portion, rateUsage } from './index.ts';
import { amountOf, checkAmount, context, eventsOf, priceOf, stepTexts, usage, used } from './testing/world.ts';

const tiers: Tier[] = [
  { upTo: '100', unit: '0.09', flat: '2' },
  { upTo: '1000', unit: '0.08', flat: '5' },
  { upTo: null, unit: '0.05', flat: '0' },
];
const models: Record<string, SimpleModel> = {
  unit: { model: 'per_unit', unit: '0.005' },
  graduated: { model: 'graduated', tiers },
  volume: { model: 'volume', tiers },
  package: { model: 'package', size: '10', price: '15', free: '5' },
  each: {
    model: 'blocks',
    policy: 'all',
    blocks: [
      { size: '1', most: 10, price: '1' },
      { size: '5', most: null, price: '4' },
    ],
  },
  top: {
    model: 'blocks',
    policy: 'top',
    blocks: [
      { size: '1', most: 10, price: '1' },
      { size: '5', most: null, price: '4' },
    ],
  },
  percent: {
    model: 'percentage',
    percent: '2.5',
    fixed: '0',
    freeAmount: '100',
    freeEvents: null,
    least: null,
    most: null,
  },
  percents: {
    model: 'graduated_percentage',
    tiers: [
      { upTo: '10', percent: '1', flat: '200' },
      { upTo: null, percent: '3', flat: '400' },
    ],
  },
  dynamic: { model: 'dynamic', multiplier: '1.33333' },
};

/** Each row: model, quantity -> exact amount. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [name = '', quantity = '', , expected = ''] = row.trim().split(/\s+/);
    assert.equal(amountOf(models[name] as SimpleModel, quantity), expected, row);
  }
}

test('every model prices edges of its tiers exactly', () =>
  check(`
    unit      0       -> 0
    unit      3       -> 0.015
    graduated 0       -> 2
    graduated 0.5     -> 2.045
    graduated 100     -> 11
    graduated 100.001 -> 16.00008
    graduated 1000    -> 88
    graduated 1001    -> 88.05
    volume    0       -> 2
    volume    100     -> 11
    volume    101     -> 13.08
    volume    1001    -> 50.05
    package   0       -> 0
    package   5       -> 0
    package   5.1     -> 15
    package   15      -> 15
    package   15.1    -> 30
    each      9.5     -> 10
    each      10      -> 10
    each      10.1    -> 14
    each      16      -> 18
    top       10      -> 10
    top       10.1    -> 12
    top       16      -> 16
    percent   100     -> 0
    percent   140     -> 1
    percents  0       -> 200
    percents  10      -> 200.1
    percents  12      -> 600.16
    dynamic   50      -> 66.6665
  `));

test('usage below zero gives back what as much costs', () =>
  check(`
    unit      -3      -> -0.015
    graduated -101    -> -16.08
    volume    -101    -> -13.08
    package   -5.1    -> -15
    each      -10.1   -> -14
    dynamic   -50     -> -66.6665
  `));

test('the flat amount of the first tier is left out without usage where the convention says so', () => {
  for (const model of [models.graduated, models.volume, models.percents] as SimpleModel[]) {
    const rated = rateUsage(priceOf({ model }), usage([used('0')]), context({ zeroUsageFlat: 'skip' }));
    assert.equal(exactText(rated.exact), '0', model.model);
  }
});

test('no usage at all is rated like usage of zero', () => {
  const rated = rateUsage(priceOf({ model: models.graduated as SimpleModel }), usage([]), context());
  assert.deepEqual([exactText(rated.exact), exactText(rated.quantity)], ['2', '0']);
});

const gigabytes = { divideBy: '1000000000', round: 'none', unit: 'GB' } as const;

test('the steps are enough to compute the amount again', () => {
  const price = priceOf({
    model: models.graduated as SimpleModel,
    per: gigabytes,
    maximum: '18',
    discountPercent: '10',
  });
  const rated = rateUsage(price, usage([used('210000000000')], { included: ofDecimal('10') }), context());
  assert.deepEqual(stepTexts(rated), [
    'included: 10 GB = 0',
    'tier 1, up to 100: 100 GB x 0.09 = 9',
    'tier 1, up to 100: flat: = 2',
    'tier 2, above 100 up to 1000: 100 GB x 0.08 = 8',
    'tier 2, above 100 up to 1000: flat: = 5',
    'discount: = -2.4',
    'above the maximum: = -3.6',
  ]);
  assert.deepEqual([exactText(rated.exact), exactText(rated.quantity)], ['18', '210']);
});

const unit = { model: 'per_unit', unit: '10' } as const;
const at = (q: string, before?: string, included?: string | 'unlimited'): PeriodUsage => ({
  now: [used(q)],
  before: before === undefined ? null : [used(before)],
  included: included === undefined || included === 'unlimited' ? (included ?? null) : ofDecimal(included),
});

test('a tier that is reached to its very end enters no other', () => {
  const rated = rateUsage(priceOf({ model: models.graduated as SimpleModel }), usage([used('100')]), context());
  assert.deepEqual(stepTexts(rated), ['tier 1, up to 100: 100 x 0.09 = 9', 'tier 1, up to 100: flat: = 2']);
});

test('what is included is used up from the beginning of the period', () =>
  checkAmount([
    ['0', { model: unit }, at('10', undefined, '10')],
    ['5', { model: unit }, at('10.5', undefined, '10')],
    ['50', { model: unit }, at('15', '0', '10')],
    ['50', { model: unit }, at('10', '5', '10')],
    ['150', { model: unit }, at('15', '20', '10')],
    ['0', { model: unit }, at('1000000', '5', 'unlimited')],
    // Taken back before anything was used: nothing of it was free.
    ['-50', { model: unit }, at('-5', undefined, '10')],
  ]));

test('a quantity is divided, then rounded, then what is included comes off', () => {
  const per = { divideBy: '1000', round: 'ceiling', unit: 'k' } as const;
  checkAmount([
    ['15', { model: unit, per }, at('1400', undefined, '0.5')],
    ['20', { model: unit, per }, at('1001')],
    // The begun thousand is paid with the first part.
    ['0', { model: unit, per }, at('500', '1400')],
    ['10', { model: unit, per }, at('601', '1400')],
  ]);
});

test('a month of a level is the hours of that very month', () => {
  const per = { divideBy: 'month', round: 'none', unit: 'vm month' } as const;
  checkAmount([
    ['20', { model: unit, per }, at('1488'), { hours: ofDecimal('744') }],
    ['10', { model: unit, per }, at('743'), { hours: ofDecimal('743') }],
    ['10', { model: unit, per: { ...per, size: '2' } }, at('1344'), { hours: ofDecimal('672') }],
  ]);
});

test('discount, commitment and maximum bear on the cumulative amount of the period', () =>
  checkAmount([
    ['90', { model: unit, discountPercent: '10' }, at('10')],
    ['10', { model: unit, maximum: '100' }, at('5', '9')],
    ['0', { model: unit, maximum: '100' }, at('5', '12')],
    ['100', { model: unit, maximum: '100', discountPercent: '50' }, at('20')],
    ['110', { model: unit, commitment: { amount: '100', overage: '0.5' } }, at('12')],
    ['130', { model: unit, commitment: { amount: '100', overage: '1.5' } }, at('12')],
    ['40', { model: unit, commitment: { amount: '100', overage: '1.5' } }, at('3', '9'), { last: false }],
  ]));

test('a minimum and a commitment are topped up to with the last part of the period only', () =>
  checkAmount([
    ['100', { model: unit, minimum: '100' }, at('3')],
    ['30', { model: unit, minimum: '100' }, at('3'), { last: false }],
    ['80', { model: unit, minimum: '100' }, at('1', '2')],
    ['50', { model: unit, minimum: '100' }, at('3'), { share: ofDecimal('0.5') }],
    ['120', { model: unit, minimum: '100' }, at('12')],
    ['100', { model: unit, commitment: { amount: '100', overage: '1' } }, at('3')],
  ]));

test('what was missing to a minimum is told apart from usage, and is no step of it', () => {
  const rated = rateUsage(priceOf({ model: unit, minimum: '100' }), at('3'), context());
  assert.deepEqual([rated.topUp?.kind, exactText(rated.topUp?.exact ?? ONE)], ['minimum', '70']);
  assert.deepEqual(stepTexts(rated), ['usage: 3 x 10 = 30']);
});

const inGroup = (region: string, kind: string, quantity: string) => used(quantity, { group: { region, kind } });
const matrix = {
  model: 'matrix',
  dimensions: ['region', 'kind'],
  cells: [
    { where: { region: 'eu' }, price: { model: 'per_unit', unit: '2' } },
    { where: { region: 'eu', kind: 'fast' }, price: { model: 'per_unit', unit: '5' } },
  ],
  otherwise: null,
} as const;

test('of a matrix the cell with most names in it prices a value, and what no cell names is free', () => {
  const portions = [inGroup('us', 'fast', '7'), inGroup('eu', 'slow', '3'), inGroup('eu', 'fast', '4')];
  const rated = rateUsage(priceOf({ model: matrix }), usage(portions), context());
  assert.deepEqual(stepTexts(rated), [
    'region eu, kind fast: usage: 4 x 5 = 20',
    'region eu, kind slow: usage: 3 x 2 = 6',
    'region us, kind fast: free: 7 = 0',
  ]);
  const turned = rateUsage(priceOf({ model: matrix }), usage(portions.toReversed()), context());
  assert.deepEqual(turned, rated, 'the order of rows does not matter');
  assert.deepEqual(dimensionsOf(priceOf({ model: matrix })), ['kind', 'region']);
});

test('what is included is used up once over all values of a matrix', () => {
  const portions = [inGroup('eu', 'fast', '4'), inGroup('eu', 'slow', '3')];
  checkAmount([
    ['4', { model: matrix }, usage(portions, { included: ofDecimal('5') })],
    ['26', { model: { ...matrix, otherwise: unit } }, usage([...portions, inGroup('us', '', '0')])],
  ]);
});

test('beside a cell that looks at each event, what is included and what is taken back bear on the others as ever', () => {
  const percentage = { model: 'percentage', percent: '10', fixed: '1', freeAmount: null, freeEvents: null } as const;
  const cells = [{ where: { kind: 'sale' }, price: { ...percentage, least: null, most: null } }];
  const beside = (otherwise: SimpleModel): UsageModel => ({ model: 'matrix', dimensions: ['kind'], cells, otherwise });
  const model = beside(unit);
  const of = (kind: string, events: string): Portion => ({ ...eventsOf(events), group: { kind } });
  checkAmount([
    ['0', { model }, usage([of('rent', '30 20')], { included: ofDecimal('60') })],
    ['-6.5', { model: beside(models.graduated as SimpleModel) }, usage([of('rent', '-50')])],
    // A sale that is taken back gives back its percentage, and no fixed amount.
    ['-10', { model }, usage([of('sale', '-100')])],
    // 50 of the 60 are used up by rent, the rest by the first sale: 90 of 100 pay, and one event.
    ['10', { model }, usage([of('rent', '30 20'), of('sale', '100')], { included: ofDecimal('60') })],
  ]);
});

test('a condition lets usage through by account and dimensions; the rest is free', () => {
  const when = 'account.zone == "Europe/Berlin" && dimensions.region != "us"';
  const portions = [inGroup('us', 'fast', '7'), inGroup('eu', 'slow', '3')];
  assert.deepEqual(dimensionsOf(priceOf({ model: unit, when })), ['region']);
  checkAmount([
    ['30', { model: unit, when }, usage(portions)],
    ['0', { model: unit, when: 'account.id == "other"' }, usage(portions)],
  ]);
});
