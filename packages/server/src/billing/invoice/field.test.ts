/** What other billing systems got wrong, by name: each must come out right here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './testing/shown.ts';
import { fee, shop, usage, World } from './testing/world.ts';

test('stratos: the invoice of the 1st is for the month that is over, not for the one that has just begun', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-31T23:59:59', '110')
    .used('a', '2026-02-01', '500');
  world.invoice('a', '2026-01-01');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage basic/traffic 1.00
     02-01..03-01 fee basic/base 31.00
     = 32.00`,
  );
});

test('stratos: a change on day 29 bills no more than a month of either plan', () =>
  check(
    shop().subscribe('a', 'basic', '2026-01-01').subscribe('a', 'pro', '2026-01-29'),
    '2026-01-01',
    `01-01..01-01
     01-01..01-29 fee basic/base 28.00
     01-29..02-01 fee pro/base 6.00
     = 34.00`,
  ));

test('stratos: a big plan just before the end of the month does not wipe out what went over the small one', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-20', '300')
    .subscribe('a', 'open', '2026-01-31');
  world.invoice('a', '2026-01-01');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..01-31 usage basic/traffic 20.00
     01-31..02-01 usage open/traffic 0.00
     02-01..03-01 fee open/base 93.00
     = 113.00`,
  );
});

test('stratos: who comes back pays for the time before and after, not for the time between', () => {
  const world = shop()
    .subscribe('a', 'basic', '2026-01-01')
    .used('a', '2026-01-05', '120')
    .cancel('a', '2026-01-11')
    .used('a', '2026-01-15', '1000')
    .subscribe('a', 'basic', '2026-01-22')
    .used('a', '2026-01-25', '50');
  check(
    world,
    '2026-02-01',
    `01-01..01-01
     01-01..01-11 fee basic/base 10.00
     = 10.00
     01-01..01-11
     01-01..01-11 usage basic/traffic 2.00
     = 2.00
     01-22..01-22
     01-22..02-01 fee basic/base 10.00
     = 10.00
     01-22..02-01
     01-22..02-01 usage basic/traffic 0.00
     02-01..03-01 fee basic/base 31.00
     = 31.00`,
  );
});

test('stratos: who leaves still pays for what went over', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-05', '120').cancel('a', '2026-01-11');
  const lines = world.invoice('a', '2026-02-01').flatMap(({ lines: of }) => of);
  assert.deepEqual(
    lines.map(({ kind, amount }) => [kind, amount]),
    [
      ['fee', '1000'],
      ['usage', '200'],
    ],
  );
});

test('stratos: unlimited is never gone over', () => {
  const world = shop().subscribe('a', 'open', '2026-01-01').used('a', '2026-01-05', '10');
  const [, second] = world.invoice('a', '2026-02-01');
  const line = second?.lines.find(({ kind }) => kind === 'usage');
  assert.deepEqual([line?.amount, line?.quantity], ['0', '10']);
});

test('stratos: a discount is exact, and a free plan with one costs nothing', () => {
  for (const [amount, percent, off] of [
    ['500', '10', '5000'],
    ['100', '10', '1000'],
    ['2000', '10', '20000'],
    ['500', '5', '2500'],
    ['500', '30', '15000'],
    ['0', '10', undefined],
  ] as const) {
    const world = new World()
      .account('a')
      .plan('p', [fee('f', amount)])
      .subscribe('a', 'p', '2026-01-01')
      .billing({ kind: 'coupon', key: 'c', name: 'c', off: { percent }, on: [], periods: null, removed: false })
      .billing({ kind: 'discount', account: 'a', coupon: 'c', from: 0, to: null });
    const { lines } = world.invoice('a', '2026-01-01')[0]!;
    assert.equal(lines.find(({ kind }) => kind === 'discount')?.amount, off === undefined ? undefined : `-${off}`);
  }
});

test('lago-api#6194: a part of a quarter is divided by the days of the quarter', () => {
  const quarter = { period: { unit: 'month', count: 3 } } as const;
  const world = new World()
    .account('a')
    .plan('p', [fee('f', '91.00')], quarter)
    .plan('q', [fee('f', '182.00')], quarter)
    .subscribe('a', 'p', '2026-04-01')
    .subscribe('a', 'q', '2026-05-13');
  check(
    world,
    '2026-04-01',
    `04-01..04-01
     04-01..05-13 fee p/f 42.00
     05-13..07-01 fee q/f 98.00
     = 140.00`,
  );
});

test('lago-api#4760: a second and a third change within a period pay each plan for its own days', () => {
  const world = shop().subscribe('a', 'basic', '2026-01-01');
  world.invoice('a', '2026-01-01');
  world.subscribe('a', 'pro', '2026-01-11').subscribe('a', 'open', '2026-01-21').subscribe('a', 'basic', '2026-01-31');
  const lines = world
    .invoice('a', '2026-02-01')[0]!
    .lines.filter(({ price, from }) => price === 'base' && from < world.at('2026-02-01'));
  assert.deepEqual(
    lines.map(({ plan, amount }) => [plan, amount]),
    [
      ['basic', '-2000'],
      ['pro', '2000'],
      ['open', '3000'],
    ],
  );
});

test('cloudstack#7210: a price for a month of hours is divided by the hours of that month', () => {
  const hours = { meter: 'vm.hours', per: { divideBy: 'month', round: 'none', unit: 'month' } } as const;
  for (const [zone, from, until, used] of [
    ['UTC', '2026-01-01', '2026-02-01', '744'],
    ['UTC', '2026-02-01', '2026-03-01', '672'],
    ['Europe/Berlin', '2026-03-01', '2026-04-01', '743'],
    ['Europe/Berlin', '2026-10-01', '2026-11-01', '745'],
  ] as const) {
    const world = new World(zone)
      .account('a')
      .plan('p', [usage('vm', '10.00', hours)])
      .subscribe('a', 'p', from)
      .used('a', `${from}T12:00`, used, { meter: 'vm.hours' });
    assert.deepEqual(
      world.invoice('a', until).map(({ total }) => total),
      ['1000'],
      `${zone} ${from}`,
    );
  }
});

test('killbill#1934: the same usage costs the same, whatever the season in which the account was made', () => {
  const invoices = ['2026-01-15', '2026-07-15'].map((begin) => {
    const world = shop('America/Los_Angeles')
      .subscribe('a', 'basic', begin)
      .used('a', '2026-11-14T23:30', '150')
      .used('a', '2026-11-15T00:30', '150');
    return world
      .invoice('a', '2026-12-15')
      .slice(-2)
      .map(({ from, to, lines }) => [from, to, lines.map(({ amount }) => amount)]);
  });
  assert.deepEqual(invoices[0], invoices[1]);
  assert.deepEqual(
    invoices[0]?.map(([, , amounts]) => amounts),
    [
      ['500', '3100'],
      ['500', '3100'],
    ],
  );
});

test('a month in which clocks change has its days, and a change of plan in it the right ones', () =>
  check(
    shop('Europe/Berlin').subscribe('a', 'basic', '2026-03-01').subscribe('a', 'pro', '2026-03-29'),
    '2026-03-01',
    `03-01..03-01
     03-01..03-29 fee basic/base 28.00
     03-29..04-01 fee pro/base 6.00
     = 34.00`,
  ));

test('a year from 29 February is whole in every year', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('f', '365.00')], { period: { unit: 'year', count: 1 } })
    .subscribe('a', 'p', '2024-02-29');
  assert.deepEqual(
    world
      .invoice('a', '2029-01-01')
      .map(({ from, to, total }) => [
        new Date(from).toISOString().slice(0, 10),
        new Date(to).toISOString().slice(0, 10),
        total,
      ]),
    [
      ['2024-02-29', '2024-02-29', '36500'],
      ['2024-02-29', '2025-02-28', '36500'],
      ['2025-02-28', '2026-02-28', '36500'],
      ['2026-02-28', '2027-02-28', '36500'],
      ['2027-02-28', '2028-02-29', '36500'],
    ],
  );
});

test('a subscription of a yearly plan that goes over to a monthly one ends its year, and the rest comes back', () => {
  const world = shop()
    .plan('year', [fee('f', '365.00')], { period: { unit: 'year', count: 1 } })
    .subscribe('a', 'year', '2026-01-01');
  world.invoice('a', '2026-01-01');
  check(
    world.subscribe('a', 'basic', '2026-03-01'),
    '2026-03-01',
    `01-01..03-01
     01-01..03-01 adjustment year/f -306.00 (INV-1:1, change of plan)
     03-01..04-01 fee basic/base 31.00
     = -275.00`,
  );
});

test('an account that moves to another zone finishes its month as it began, and pays whole months', () => {
  const world = shop('Europe/Berlin').subscribe('a', 'basic', '2026-01-01');
  world.account('a', { zone: 'America/New_York', recordedAt: world.at('2026-02-10') });
  world.account('a', { zone: 'Asia/Tokyo', recordedAt: world.at('2026-04-10') });
  const invoices = world.invoice('a', '2026-06-01');
  for (const { total } of invoices) assert.equal(total, '3100');
  assert.equal(invoices.length, 6);
});
