import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { Misread } from '../limit/amount.ts';
import { definePlans } from '../limit/define-plans.ts';
import { ofDecimal } from '../money/ratio.ts';
import { billingOf, meterOf, planText, pricedMeters } from '../testing/priced-plan.ts';
import { readDecimal } from './decimal.ts';
import type { Price } from './price.ts';

const priceOf = (text: string): Price => {
  const [found] = billingOf(planText([text])).prices;
  assert.ok(found);
  return found;
};
const modelOf = (text: string, meter = 'tokens'): unknown => {
  const found = priceOf(`{key: x, meter: ${meter}, ${text}}`);
  return found.kind === 'usage' ? found.model : null;
};
const perOf = (meter: string, per: string): unknown => {
  const found = priceOf(`{key: x, meter: ${meter}, unit: 1, per: ${per}}`);
  return found.kind === 'usage' ? found.per : null;
};

test('a plan has prices of every model', () => {
  const tiers = '[{up_to: 100, unit: 0.09}, {up_to: 1000, unit: 0.08, flat: 5}, {unit: 0.05}]';
  const read = [
    { upTo: '100', unit: '0.09', flat: '0' },
    { upTo: '1000', unit: '0.08', flat: '5' },
    { upTo: null, unit: '0.05', flat: '0' },
  ];
  assert.deepEqual(modelOf('unit: 0.0000001'), { model: 'per_unit', unit: '0.0000001' });
  assert.deepEqual(modelOf(`graduated: ${tiers}`), { model: 'graduated', tiers: read });
  assert.deepEqual(modelOf(`volume: ${tiers}`), { model: 'volume', tiers: read });
  assert.deepEqual(modelOf('package: {size: 100, price: 5 EUR, free: 10}'), {
    model: 'package',
    size: '100',
    price: '5',
    free: '10',
  });
  assert.deepEqual(modelOf('policy: top, blocks: [{size: 10, most: 3, price: 5}, {size: 100, price: 40}]'), {
    model: 'blocks',
    policy: 'top',
    blocks: [
      { size: '10', most: 3, price: '5' },
      { size: '100', most: null, price: '40' },
    ],
  });
  const none = { freeAmount: null, freeEvents: null, least: null, most: null };
  assert.deepEqual(modelOf('percentage: 2.5%', 'sales'), {
    ...none,
    model: 'percentage',
    percent: '2.5',
    fixed: '0',
  });
  assert.deepEqual(
    modelOf('percentage: {percent: 1, fixed: 0.3, free_amount: 50, free_events: 3, least: 0.1, most: 9}', 'sales'),
    { model: 'percentage', percent: '1', fixed: '0.3', freeAmount: '50', freeEvents: 3, least: '0.1', most: '9' },
  );
  assert.deepEqual(modelOf('graduated_percentage: [{up_to: 100, percent: 2}, {percent: 1, flat: 1}]', 'sales'), {
    model: 'graduated_percentage',
    tiers: [
      { upTo: '100', percent: '2', flat: '0' },
      { upTo: null, percent: '1', flat: '1' },
    ],
  });
  assert.deepEqual(modelOf('dynamic: 1.2', 'sales'), { model: 'dynamic', multiplier: '1.2' });
  assert.deepEqual(
    modelOf('matrix: {dimensions: [model], cells: [{where: {model: big}, unit: 2}], otherwise: {unit: 1}}'),
    {
      model: 'matrix',
      dimensions: ['model'],
      cells: [{ where: { model: 'big' }, price: { model: 'per_unit', unit: '2' } }],
      otherwise: { model: 'per_unit', unit: '1' },
    },
  );
});

test('fees, spans, and everything around a model', () => {
  assert.deepEqual(priceOf('{key: base, name: Base fee, fee: 49.00 EUR, tax: books, from: 2026-12-01}'), {
    key: 'base',
    name: 'Base fee',
    tax: 'books',
    from: Date.UTC(2026, 11, 1),
    to: null,
    kind: 'fee',
    amount: '49',
    per: 'period',
    term: 'advance',
    prorate: true,
  });
  assert.deepEqual(priceOf('{key: setup, fee: 10, per: once, term: arrears}'), {
    key: 'setup',
    name: 'setup',
    tax: '',
    from: null,
    to: null,
    kind: 'fee',
    amount: '10',
    per: 'once',
    term: 'arrears',
    prorate: false,
  });
  const { model: _, ...around } = priceOf(
    `{key: t, meter: tokens, unit: 1, per: 1000, round: up, where: {model: [a, b], trafficType: public},
            included: 2000 tokens, discount: 10%, maximum: 100, commitment: {amount: 20, overage: 1.5},
            when: 'dimensions.model != "free" && account.currency == "EUR"'}`,
  ) as Price & { model: unknown };
  assert.deepEqual(around, {
    key: 't',
    name: 't',
    tax: '',
    from: null,
    to: null,
    kind: 'usage',
    meter: 'tokens',
    where: { model: ['a', 'b'], trafficType: ['public'] },
    per: { divideBy: '1000', round: 'up', unit: '1000 token' },
    included: { amount: '2' },
    discountPercent: '10',
    minimum: null,
    maximum: '100',
    commitment: { amount: '20', overage: '1.5' },
    when: 'dimensions.model != "free" && account.currency == "EUR"',
  });
});

test('units are those of the meter, and of a level over time', () => {
  const round = 'none';
  assert.deepEqual(perOf('network.bytes.sent', 'GB'), { divideBy: '1000000000', round, unit: 'GB' });
  assert.deepEqual(perOf('network.bytes.sent', '1.5 GiB'), { divideBy: '1610612736', round, unit: '1.5 GiB' });
  assert.deepEqual(perOf('tokens', '1000'), { divideBy: '1000', round, unit: '1000 token' });
  assert.deepEqual(perOf('stored', 'GB month'), { divideBy: 'month', size: '1000000000', round, unit: 'GB month' });
  assert.deepEqual(perOf('stored', 'GiB h'), { divideBy: '1073741824', round, unit: 'GiB h' });
  assert.deepEqual(perOf('vms', 'month'), { divideBy: 'month', round, unit: 'vm month' });
  assert.deepEqual(perOf('vms', 'hour'), { divideBy: '1', round, unit: 'vm h' });
});

test('periods, anchors and trials as people write them', () => {
  const terms = (text: string) => {
    const { period, anchor, trialDays, minimum } = billingOf(planText([], ['currency: EUR', ...text.split('\n')]));
    return [`${period.count} ${period.unit}`, anchor, trialDays, minimum];
  };
  assert.deepEqual(terms('minimum: 5.50'), ['1 month', 'calendar', 0, '5.5']);
  assert.deepEqual(terms('period: quarter'), ['3 month', 'calendar', 0, null]);
  assert.deepEqual(terms('period: 10 days\ntrial: 14 days'), ['10 day', 'subscription', 14, null]);
  assert.deepEqual(terms('period: year\nanchor: subscription\ntrial: 7'), ['1 year', 'subscription', 7, null]);
});

test('a decimal is read to the last digit, and one number has one text', () => {
  const digits = (max: number) => fc.stringMatching(new RegExp(`^\\d{1,${max}}$`));
  fc.assert(
    fc.property(digits(20), fc.option(digits(18)), (whole, fraction) => {
      const text = fraction === null ? whole : `${whole}.${fraction}`;
      const read = readDecimal(text);
      assert.ok(!(read instanceof Misread));
      const plain = text.replace(/^0+(?=\d)/, '');
      const [a, b] = [ofDecimal(read), ofDecimal(plain)];
      assert.equal(a.n * b.d, b.n * a.d);
      assert.equal(readDecimal(`0${text}${fraction === null ? '' : '0'}`.slice(0, 60)), read);
    }),
  );
});

const example = (name: string): string =>
  readFileSync(new URL(`../../../../../docs/examples/${name}`, import.meta.url), 'utf8');
const exampleMeters = ['service-meters.json', 'stratos-meters.json', 'priced-meters.json'].flatMap((file) =>
  (JSON.parse(example(file)) as unknown[]).map(meterOf),
);

test('the four packages of Stratos have the prices of its package file and include what they included', () => {
  const { value, problems } = definePlans(example('priced-plans.yaml'), [...pricedMeters, ...exampleMeters]);
  assert.deepEqual(problems, null);
  const told = (value ?? []).map(({ key, billing }) => {
    const text = (price: Price): string => {
      if (price.kind === 'fee') return price.amount;
      const free = price.included === null ? '' : 'amount' in price.included ? price.included.amount : 'entitlement';
      const { model } = price;
      return `${price.key} over ${free} ${price.per?.unit}: ${model.model === 'per_unit' ? model.unit : model.model}`;
    };
    return [key, ...(billing?.prices ?? []).map(text)];
  });
  assert.deepEqual(told, [
    ['demo', '0', 'cartridges over 5 cartridge h: 0.1'],
    ['smb', '100', 'cartridges over 24 cartridge h: 0.1'],
    ['professional', '500', 'bandwidth over entitlement MB: 0.03', 'cartridges over 500 cartridge h: 0.1'],
    ['enterprise', '2000', 'bandwidth over entitlement MB: 0.02', 'cartridges over 1000 cartridge h: 0.1'],
  ]);
  // What is included is what stratos-plans.yaml says, and so what the limits say.
  const plain = definePlans(example('stratos-plans.yaml'), [...pricedMeters, ...exampleMeters]).value ?? [];
  assert.deepEqual(
    value?.map((p) => p.entitlements),
    plain.map((p) => p.entitlements),
  );
});
