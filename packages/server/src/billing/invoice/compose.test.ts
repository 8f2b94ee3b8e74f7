import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsagePrice } from '../../domain/price/price.ts';
import { check } from './testing/shown.ts';
import { fee, shop, usage, World } from './testing/world.ts';

test('fees are billed before their period, usage after it', () =>
  check(
    shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-10', '150').used('a', '2026-02-01', '999'),
    '2026-02-01',
    `01-01..01-01
     01-01..02-01 fee basic/base 31.00
     = 31.00
     01-01..02-01
     01-01..02-01 usage basic/traffic 5.00
     02-01..03-01 fee basic/base 31.00
     = 36.00`,
  ));

test('an upgrade on the 17th: each plan pays its days, the old fee is taken back in part, tiers and free units go on', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-10', '150')
    .used('a', '2026-01-20', '900');
  world.invoice('a', '2026-01-01');
  check(
    world.subscribe('a', 'pro', '2026-01-17'),
    '2026-02-01',
    `01-01..02-01
     01-01..01-17 adjustment basic/base -15.00 (INV-1:1, change of plan)
     01-01..01-17 usage basic/traffic 5.00
     01-17..02-01 fee pro/base 30.00
     01-17..02-01 usage pro/traffic 2.50
     02-01..03-01 fee pro/base 62.00
     = 84.50`,
  );
});

test('with tiers that restart, each plan has its own free units and tiers from the change on', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-10', '150')
    .used('a', '2026-01-20', '900');
  world.conventions = { ...world.conventions, tiersAtChange: 'restart' };
  check(
    world.subscribe('a', 'pro', '2026-01-17'),
    '2026-02-01',
    `01-01..01-01
     01-01..01-17 fee basic/base 16.00
     01-17..02-01 fee pro/base 30.00
     = 46.00
     01-01..02-01
     01-01..01-17 usage basic/traffic 5.00
     01-17..02-01 usage pro/traffic 0.00
     02-01..03-01 fee pro/base 62.00
     = 67.00`,
  );
});

test('included units of a part of a period are its part where the convention says so', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-04-01')
    .used('a', '2026-04-02', '60')
    .used('a', '2026-04-28', '1000');
  world.conventions = { ...world.conventions, includedInPart: 'prorated' };
  // 15 of 30 days: 50 of 100 units, then 50 + 500 of 1000 since the beginning.
  check(
    world.subscribe('a', 'pro', '2026-04-16'),
    '2026-05-01',
    `04-01..04-01
     04-01..04-16 fee basic/base 15.50
     04-16..05-01 fee pro/base 31.00
     = 46.50
     04-01..05-01
     04-01..04-16 usage basic/traffic 1.00
     04-16..05-01 usage pro/traffic 25.00
     05-01..06-01 fee pro/base 62.00
     = 88.00`,
  );
});

test('free units and tiers go on to a price that tells regions apart, from a plan that did not', () => {
  const eu = { where: { region: 'eu' }, price: { model: 'per_unit' as const, unit: '2' } };
  const matrix = { model: 'matrix' as const, dimensions: ['region'], cells: [eu], otherwise: null };
  for (const terms of [{ model: matrix }, { when: 'dimensions.region == "eu"' }]) {
    const world = new World()
      .account('a')
      .plan('p', [usage('u', '1')])
      .plan('q', [usage('u', '2', { included: { amount: '100' }, ...terms })])
      .subscribe('a', 'p', '2026-04-01')
      .subscribe('a', 'q', '2026-04-16');
    for (const region of ['eu', 'us']) {
      world.used('a', '2026-04-02', '90', { group: { region } }).used('a', '2026-04-20', '50', { group: { region } });
    }
    check(
      world,
      '2026-05-01',
      // Of Europe's 50 the first 10 are free.
      `04-01..05-01
       04-01..04-16 usage p/u 180.00
       04-16..05-01 usage q/u 80.00
       = 260.00`,
    );
  }
});

test('with parts of what is included, another plan without it, without an end to it or in other units counts as it should', () => {
  const kilo = { divideBy: '1000', round: 'none' as const, unit: 'k' };
  const free = (amount: string) => ({ included: { amount } });
  const tiers = {
    model: 'graduated' as const,
    tiers: [
      { upTo: '500', unit: '1', flat: '0' },
      { upTo: null, unit: '0.5', flat: '0' },
    ],
  };
  const rows: [first: Partial<UsagePrice>, second: Partial<UsagePrice>, amount: string][] = [
    [free('2000'), {}, '600.00'],
    [{ included: { entitlement: 'traffic' } }, free('1000'), '100.00'],
    [{ per: kilo, ...free('4') }, free('0'), '0.00'],
    // What is not used of it gives nothing back of what another plan's price was paid for.
    [free('100'), free('2000'), '0.00'],
    [free('100'), { ...free('1000'), model: tiers }, '50.00'],
  ];
  for (const [first, second, amount] of rows) {
    const endless = {
      key: 'traffic',
      meter: 'bytes',
      amount: null,
      per: 'billing' as const,
      overage: 'allow' as const,
    };
    const world = new World()
      .account('a')
      .plan('p', [usage('u', '0', first)], {}, { entitlements: [endless] })
      .plan('q', [usage('u', '1', second)])
      .subscribe('a', 'p', '2026-04-01')
      .subscribe('a', 'q', '2026-04-16')
      .used('a', '2026-04-02', '1000')
      .used('a', '2026-04-28', '600');
    world.conventions = { ...world.conventions, includedInPart: 'prorated' };
    check(
      world,
      '2026-05-01',
      `04-01..05-01
       04-01..04-16 usage p/u 0.00
       04-16..05-01 usage q/u ${amount}
       = ${amount}`,
    );
  }
});

test('a downgrade gives back what was paid ahead for the bigger plan', () => {
  const world = shop().subscribe('a', 'pro', '2026-01-01');
  world.invoice('a', '2026-01-01');
  check(
    world.subscribe('a', 'basic', '2026-01-11'),
    '2026-02-01',
    `01-01..02-01
     01-01..01-11 adjustment pro/base -42.00 (INV-1:1, change of plan)
     01-01..01-11 usage pro/traffic 0.00
     01-11..02-01 fee basic/base 21.00
     01-11..02-01 usage basic/traffic 0.00
     02-01..03-01 fee basic/base 31.00
     = 10.00`,
  );
});

test('a cancelled subscription ends its period: the rest of the fee comes back, nothing is billed after it', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-10', '150')
    .used('a', '2026-01-25', '500');
  world.invoice('a', '2026-01-01');
  check(
    world.cancel('a', '2026-01-21'),
    '2026-06-01',
    `01-01..01-21
     01-01..01-21 adjustment basic/base -11.00 (INV-1:1, change of plan)
     01-01..01-21 usage basic/traffic 5.00
     = -6.00`,
  );
});

test('an advance fee of a plan that was left at the boundary is taken back', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01');
  world.invoice('a', '2026-02-01');
  check(
    world.subscribe('a', 'pro', '2026-02-01'),
    '2026-03-01',
    `02-01..03-01
     02-01..03-01 fee pro/base 62.00
     02-01..03-01 usage pro/traffic 0.00
     03-01..04-01 fee pro/base 62.00
     02-01..03-01 adjustment basic/base -31.00 (INV-2:2, the plan was left)
     = 93.00`,
  );
});

test('a trial costs nothing and says so; the rest of its period pays its part, and tiers begin after it', () => {
  const world = shop()
    .plan('try', [fee('base', '31.00'), fee('setup', '10.00', { per: 'once' }), usage('traffic', '1.00')], {
      trialDays: 14,
    })
    .subscribe('a', 'try', '2026-01-01')
    .used('a', '2026-01-10', '150')
    .used('a', '2026-01-20', '3');
  check(
    world,
    '2026-02-01',
    `01-01..01-01
     01-01..01-15 fee try/base 0.00
     01-15..02-01 fee try/base 17.00
     01-15..02-01 fee try/setup 10.00
     = 27.00
     01-01..02-01
     01-01..01-15 usage try/traffic 0.00
     01-15..02-01 usage try/traffic 3.00
     02-01..03-01 fee try/base 31.00
     = 34.00`,
  );
  const [line] = world.documents[1]?.document.lines ?? [];
  assert.deepEqual([line?.quantity, line?.steps[0]?.text], ['150', 'free of charge: trial until 2026-01-15T00:00:00Z']);
});

test('a change of plan within a trial does not begin another one', () => {
  const world = shop()
    .plan('t1', [fee('base', '31.00')], { trialDays: 10 })
    .plan('t2', [fee('base', '31.00')], { trialDays: 10 })
    .subscribe('a', 't1', '2026-01-01')
    .subscribe('a', 't2', '2026-01-06');
  check(
    world,
    '2026-01-01',
    `01-01..01-01
     01-01..01-06 fee t1/base 0.00
     01-06..01-11 fee t2/base 0.00
     01-11..02-01 fee t2/base 21.00
     = 21.00`,
  );
});

test('an add-on is billed times its quantity, for the part of the period in which it was there', () => {
  const world = shop()
    .plan('disk', [fee('disk', '3.10')])
    .subscribe('a', 'basic', '2026-01-01');
  world.invoice('a', '2026-01-01');
  world.billing({ kind: 'addon', account: 'a', plan: 'disk', quantity: 3, from: world.at('2026-01-22'), to: null });
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage basic/traffic 0.00
     01-22..02-01 fee disk/disk 3.00
     02-01..03-01 fee basic/base 31.00
     02-01..03-01 fee disk/disk 9.30
     = 43.30`,
  );
});

test('what is due once is due when the subscription begins, not again when the plan gets another version', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('base', '31.00'), fee('setup', '10.00', { per: 'once' })])
    .plan('p', [fee('base', '62.00'), fee('setup', '10.00', { per: 'once' })], {}, { from: Date.UTC(2026, 0, 17) })
    .subscribe('a', 'p', '2026-01-01');
  check(
    world,
    '2026-02-01',
    `01-01..01-01
     01-01..01-17 fee p/base 16.00
     01-17..02-01 fee p/base 30.00
     01-01..02-01 fee p/setup 10.00
     = 56.00
     01-01..02-01
     02-01..03-01 fee p/base 62.00
     = 62.00`,
  );
});

test('a version of the plan that leaves a price as it was cuts nothing', () => {
  const world = new World()
    .account('a')
    .plan('p', [usage('traffic', '0.333')])
    .plan(
      'p',
      [usage('traffic', '0.333'), usage('other', '1', { meter: 'requests' })],
      {},
      { from: Date.UTC(2026, 0, 17) },
    )
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-10', '1')
    .used('a', '2026-01-20', '1');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage p/traffic 0.67
     01-17..02-01 usage p/other 0.00
     = 0.67`,
  );
});

test('a fee that is not prorated is paid in full by any part, and once a period', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('base', '30.00', { prorate: false, term: 'arrears' })])
    .plan('q', [fee('base', '50.00', { prorate: false, term: 'arrears' })])
    .subscribe('a', 'p', '2026-01-01')
    .subscribe('a', 'q', '2026-01-10')
    .subscribe('a', 'p', '2026-01-20');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..01-10 fee p/base 30.00
     01-10..01-20 fee q/base 50.00
     = 80.00`,
  );
});

const calendar = (leadingPart: 'prorate' | 'full' | 'free'): World => {
  const world = new World()
    .account('a')
    .plan('p', [fee('base', '31.00'), usage('traffic', '1')], { anchor: 'calendar' });
  world.conventions = { ...world.conventions, leadingPart };
  return world.subscribe('a', 'p', '2026-01-22').used('a', '2026-01-23', '2');
};

for (const [leading, amount] of [
  ['prorate', '10.00'],
  ['full', '31.00'],
  ['free', '0.00'],
] as const) {
  test(`the first part of a calendar month pays by convention ${leading}`, () =>
    check(
      calendar(leading),
      '2026-02-01',
      `01-22..01-22
       01-22..02-01 fee p/base ${amount}
       = ${amount}
       01-22..02-01
       01-22..02-01 usage p/traffic 2.00
       02-01..03-01 fee p/base 31.00
       = 33.00`,
    ));
}

test('a parent pays for its children: their own periods, on its invoices', () => {
  const world = shop()
    .account('kid', { parent: 'a' })
    .account('own', { parent: 'a' })
    .paidByParent('kid')
    .subscribe('a', 'basic', '2026-01-01')
    .subscribe('kid', 'pro', '2026-01-11')
    .subscribe('own', 'pro', '2026-01-11')
    .used('kid', '2026-01-15', '1100');
  check(
    world,
    '2026-03-01',
    `01-01..01-01
     01-01..02-01 fee basic/base 31.00
     01-11..02-11 kid fee pro/base 62.00
     = 93.00
     01-01..02-01
     01-01..02-01 usage basic/traffic 0.00
     02-01..03-01 fee basic/base 31.00
     02-11..03-11 kid fee pro/base 62.00
     = 93.00
     02-01..03-01
     02-01..03-01 usage basic/traffic 0.00
     03-01..04-01 fee basic/base 31.00
     01-11..02-11 kid usage pro/traffic 5.00
     03-11..04-11 kid fee pro/base 62.00
     = 98.00`,
  );
  assert.deepEqual(world.documents[0]?.document.accounts, ['a', 'kid']);
});

test('a parent without a plan of its own pays for its children by calendar months', () =>
  check(
    shop().account('top').account('kid', { parent: 'top' }).paidByParent('kid').subscribe('kid', 'pro', '2026-01-11'),
    '2026-03-01',
    `01-01..02-01
     01-11..02-11 kid fee pro/base 62.00
     02-11..03-11 kid fee pro/base 62.00
     = 124.00
     02-01..03-01
     01-11..02-11 kid usage pro/traffic 0.00
     03-11..04-11 kid fee pro/base 62.00
     = 62.00`,
    'top',
  ));

test('late usage becomes an adjustment that names its line, once', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-10', '150');
  world.invoice('a', '2026-02-01');
  check(
    world.used('a', '2026-01-31', '20'),
    '2026-04-01',
    `02-01..03-01
     02-01..03-01 usage basic/traffic 0.00
     03-01..04-01 fee basic/base 31.00
     01-01..02-01 adjustment basic/traffic 2.00 (INV-2:1, late or corrected usage)
     = 33.00
     03-01..04-01
     03-01..04-01 usage basic/traffic 0.00
     04-01..05-01 fee basic/base 31.00
     = 31.00`,
  );
  world.points.length = 0;
  check(
    world,
    '2026-05-01',
    `04-01..05-01
     04-01..05-01 usage basic/traffic 0.00
     05-01..06-01 fee basic/base 31.00
     01-01..02-01 adjustment basic/traffic -7.00 (INV-2:1, late or corrected usage)
     = 24.00`,
  );
});

test('a lifted allowance is billed from the instant it holds', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-10', '150')
    .used('a', '2026-01-20', '60');
  world.fact({ kind: 'override', account: 'a', key: 'traffic', amount: 200, from: world.at('2026-01-15'), to: null });
  check(
    world,
    '2026-02-01',
    `01-01..01-01
     01-01..02-01 fee basic/base 31.00
     = 31.00
     01-01..02-01
     01-01..01-15 usage basic/traffic 5.00
     01-15..02-01 usage basic/traffic 1.00
     02-01..03-01 fee basic/base 31.00
     = 37.00`,
  );
});

test('an add-on that is also somebody’s plan has its own lines and minimum; more of it in mid-period is billed for its part', () => {
  const world = shop()
    .plan('disk', [fee('disk', '3.10', { term: 'arrears' })], { minimum: '31.00' })
    .subscribe('a', 'disk', '2026-01-01');
  const from = world.at('2026-01-11');
  world.billing({ kind: 'addon', account: 'a', plan: 'disk', quantity: 2, from, to: world.at('2026-01-22') });
  world.billing({ kind: 'addon', account: 'a', plan: 'disk', quantity: 10, from: world.at('2026-01-22'), to: null });
  // Minimum of the add-on: 11 days of 62.00 and 10 of 310.00.
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 fee disk/disk 3.10
     01-11..01-22 fee disk/disk 2.20
     01-22..02-01 fee disk/disk 10.00
     01-01..02-01 minimum disk/plan 27.90
     01-11..02-01 minimum disk/plan 109.80
     = 153.00`,
  );
});

test('two prices of one meter are of the same usage: neither fills the other’s tiers', () => {
  const tiers = {
    model: 'graduated',
    tiers: [
      { upTo: '10', unit: '1', flat: '0' },
      { upTo: null, unit: '2', flat: '0' },
    ],
  } as const;
  const world = new World()
    .account('a')
    .plan('p', [usage('one', '0', { model: tiers }), usage('two', '0', { model: tiers })])
    .plan('q', [usage('one', '0', { model: tiers })])
    .subscribe('a', 'p', '2026-01-01')
    .subscribe('a', 'q', '2026-01-17')
    .used('a', '2026-01-05', '8')
    .used('a', '2026-01-20', '4');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..01-17 usage p/one 8.00
     01-01..01-17 usage p/two 8.00
     01-17..02-01 usage q/one 6.00
     = 22.00`,
  );
});

test('the first invoice looked at once more, when later ones are final, takes nothing of them back', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-05', '150');
  world.invoice('a', '2026-03-01');
  const [first, second] = world.frames('a', '2026-03-01');
  assert.deepEqual(world.draft('a', first!).document.lines, []);
  assert.deepEqual(world.draft('a', second!).document.lines, []);
});

test('a credit given by hand stays: it is no part of what is due', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-05', '150');
  world.invoice('a', '2026-02-01');
  const [, invoice] = world.documents;
  const line = invoice!.document.lines.find(({ kind }) => kind === 'usage')!;
  const credit = { ...line, no: 1, kind: 'credit', amount: '-300', corrects: 'INV-2:1, goodwill' } as const;
  world.documents.push({ number: 'CN-1', document: { ...invoice!.document, kind: 'credit-note', lines: [credit] } });
  const [next] = world.invoice('a', '2026-03-01');
  assert.deepEqual(
    next?.lines.map(({ kind }) => kind),
    ['usage', 'fee'],
  );
});

test('an add-on with periods of another length pays by its own: a year’s by the days of the month, a week’s by weeks', () => {
  const world = shop()
    .plan('year', [fee('f', '365.00', { term: 'arrears' })], { period: { unit: 'year', count: 1 }, minimum: '730.00' })
    .plan('week', [fee('f', '7.00', { term: 'arrears' })], { period: { unit: 'week', count: 1 }, minimum: '14.00' })
    .subscribe('a', 'basic', '2026-04-01');
  for (const plan of ['year', 'week']) {
    world.billing({ kind: 'addon', account: 'a', plan, quantity: 1, from: world.at('2026-04-01'), to: null });
  }
  world.invoice('a', '2026-04-01');
  check(
    world,
    '2026-05-01',
    `04-01..05-01
     04-01..05-01 usage basic/traffic 0.00
     04-01..05-01 fee year/f 30.00
     04-01..04-08 fee week/f 7.00
     04-08..04-15 fee week/f 7.00
     04-15..04-22 fee week/f 7.00
     04-22..04-29 fee week/f 7.00
     04-29..05-01 fee week/f 2.00
     04-01..05-01 minimum year/plan 30.00
     04-01..05-01 minimum week/plan 30.00
     05-01..06-01 fee basic/base 31.00
     = 151.00`,
  );
});
