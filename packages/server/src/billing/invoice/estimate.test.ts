import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksUntil, estimate, runningCharges } from './estimate.ts';
import { money } from './testing/shown.ts';
import { fee, shop, usage, World } from './testing/world.ts';

/** `so far: ...`, `forecast: ...` of account a at an instant. */
function check(world: World, now: string, expected: string[]): void {
  const at = world.at(now);
  const charges = runningCharges(world.book(), 'a', at, world.conventions);
  const answers = asksUntil(charges, at).map((ask) => world.answer(ask));
  const { soFar, forecast } = estimate(world.book(), charges, answers, at);
  const text = ({ lines, total }: typeof soFar): string =>
    [
      ...lines.map(({ account, plan, price, amount }) => `${account} ${plan}/${price} ${money(String(amount))}`),
      `= ${money(String(total))}`,
    ].join(', ');
  assert.deepEqual([`so far: ${text(soFar)}`, `forecast: ${text(forecast)}`], expected);
}

test('usage goes on as it went, fees are those of the period, tiers count', () =>
  check(shop().subscribe('a', 'basic', '2026-01-01').used('a', '2026-01-02', '80'), '2026-01-11', [
    'so far: a basic/base 31.00, a basic/traffic 0.00, = 31.00',
    'forecast: a basic/base 31.00, a basic/traffic 14.80, = 45.80',
  ]));

test('a change of plan that is known goes into the forecast, at the pace of before it', () =>
  check(
    shop().subscribe('a', 'basic', '2026-01-01').subscribe('a', 'pro', '2026-01-21').used('a', '2026-01-02', '1000'),
    '2026-01-11',
    [
      'so far: a basic/base 20.00, a basic/traffic 90.00, a pro/base 22.00, = 132.00',
      'forecast: a basic/base 20.00, a basic/traffic 190.00, a pro/base 22.00, a pro/traffic 55.00, = 287.00',
    ],
  ));

test('a minimum is due at the end only, and taxes are of the estimated lines', () =>
  check(
    new World()
      .account('a')
      .tax('10')
      .taxed('a')
      .plan('p', [usage('u', '1', { minimum: '5.00' })], { minimum: '30.00' })
      .subscribe('a', 'p', '2026-01-01')
      .used('a', '2026-01-02', '1'),
    '2026-01-11',
    ['so far: a p/u 1.00, = 1.10', 'forecast: a p/u 3.10, a p/u 1.90, a p/ 25.00, = 33.00'],
  ));

test('a minimum of a plan to come is forecast by its own usage', () =>
  check(
    new World()
      .account('a')
      .plan('old', [usage('u', '1')])
      .plan('new', [usage('u', '1', { minimum: '100.00' })])
      .subscribe('a', 'old', '2026-04-01')
      .subscribe('a', 'new', '2026-04-16')
      .used('a', '2026-04-02', '20'),
    '2026-04-11',
    ['so far: a old/u 20.00, = 20.00', 'forecast: a old/u 30.00, a new/u 30.00, a new/u 20.00, = 80.00'],
  ));

test('children are estimated in their own periods', () =>
  check(
    new World()
      .account('a')
      .account('kid', { parent: 'a' })
      .paidByParent('kid')
      .plan('p', [fee('f', '1.00'), usage('u', '1')])
      .subscribe('a', 'p', '2026-01-01')
      .subscribe('kid', 'p', '2026-01-21')
      .used('kid', '2026-01-25', '2'),
    '2026-01-31',
    [
      'so far: a p/f 1.00, a p/u 0.00, kid p/f 1.00, kid p/u 2.00, = 4.00',
      'forecast: a p/f 1.00, a p/u 0.00, kid p/f 1.00, kid p/u 6.20, = 8.20',
    ],
  ));

test('a highest or last value does not grow with time', () => {
  const world = shop().plan('m', [usage('u', '1', { meter: 'peak' })]);
  world.fact({
    kind: 'meter',
    meter: {
      key: 'peak',
      version: 1,
      name: 'peak',
      kind: 'gauge',
      eventType: 'x',
      aggregation: 'max',
      valuePath: '$.v',
      epochPath: '',
      startPath: '',
      groupBy: {},
      filters: [],
      unit: '1',
      validFor: 0,
      rank: 0,
      of: [],
      direction: 'max-of-percentiles',
      billable: true,
      deleted: false,
    },
  });
  check(world.subscribe('a', 'm', '2026-01-01').used('a', '2026-01-02', '7', { meter: 'peak' }), '2026-01-11', [
    'so far: a m/u 7.00, = 7.00',
    'forecast: a m/u 7.00, = 7.00',
  ]);
});
