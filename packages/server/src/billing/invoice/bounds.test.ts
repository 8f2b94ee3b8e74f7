/** A price's minimum, maximum and commitment are of what its own parts of the period cost, whatever other plans were there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsagePrice } from '../../domain/price/price.ts';
import { check } from './testing/shown.ts';
import { usage, World } from './testing/world.ts';

/** `old` until the middle of April, then `new` with these terms: usage of one meter at 1.00 in both. */
const changed = (terms: Partial<UsagePrice>, before: string, after: string, old: Partial<UsagePrice> = {}): World => {
  const world = new World()
    .account('a')
    .plan('old', [usage('u', '1', old)])
    .plan('new', [usage('u', '1', terms)])
    .subscribe('a', 'old', '2026-04-01')
    .subscribe('a', 'new', '2026-04-16');
  return world.used('a', '2026-04-02', before).used('a', '2026-04-20', after);
};

test('what another plan’s price was paid fills no minimum of this one', () =>
  check(
    changed({ minimum: '20.00' }, '100', '3'),
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 100.00
     04-16..05-01 usage new/u 3.00
     04-16..05-01 minimum new/u 7.00
     = 110.00`,
  ));

test('what another plan’s price was paid fills no commitment of this one: below it there is no overage', () =>
  check(
    changed({ commitment: { amount: '20.00', overage: '3' } }, '100', '8'),
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 100.00
     04-16..05-01 usage new/u 8.00
     04-16..05-01 commitment new/u 2.00
     = 110.00`,
  ));

test('beyond its commitment own usage costs the overage, and nothing is missing to it', () =>
  check(
    changed({ commitment: { amount: '20.00', overage: '3' } }, '100', '12'),
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 100.00
     04-16..05-01 usage new/u 16.00
     = 116.00`,
  ));

test('a maximum that was reached under another plan does not make this price free', () =>
  check(
    changed({ maximum: '50.00' }, '100', '60', { maximum: '40.00' }),
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 40.00
     04-16..05-01 usage new/u 50.00
     = 90.00`,
  ));

test('tiers and free units go on from the plan before, bounds do not', () => {
  const model = {
    model: 'graduated' as const,
    tiers: [
      { upTo: '100', unit: '1', flat: '0' },
      { upTo: null, unit: '0.5', flat: '0' },
    ],
  };
  check(
    changed({ model, included: { amount: '10' }, discountPercent: '50', maximum: '18.00' }, '90', '100'),
    '2026-05-01',
    // 80 of the first tier are used up: 20 at 1.00 and 80 at 0.50, half of it is 30.00.
    `04-01..05-01
     04-01..04-16 usage old/u 90.00
     04-16..05-01 usage new/u 18.00
     = 108.00`,
  );
});

test('a plan that comes back goes on with what its own parts came to', () => {
  const world = changed({ maximum: '50.00', minimum: '45.00' }, '10', '30')
    .subscribe('a', 'old', '2026-04-21')
    .used('a', '2026-04-22', '500')
    .subscribe('a', 'new', '2026-04-26')
    .used('a', '2026-04-27', '90');
  check(
    world,
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 10.00
     04-21..04-26 usage old/u 500.00
     04-16..04-21 usage new/u 30.00
     04-26..05-01 usage new/u 20.00
     = 560.00`,
  );
});

test('where tiers restart each part has its bounds for itself', () => {
  const world = changed({ maximum: '50.00', minimum: '12.00' }, '10', '30')
    .subscribe('a', 'old', '2026-04-21')
    .subscribe('a', 'new', '2026-04-26')
    .used('a', '2026-04-27', '90');
  world.conventions = { ...world.conventions, tiersAtChange: 'restart' };
  check(
    world,
    '2026-05-01',
    `04-01..05-01
     04-01..04-16 usage old/u 10.00
     04-21..04-26 usage old/u 0.00
     04-16..04-21 usage new/u 30.00
     04-26..05-01 usage new/u 50.00
     = 90.00`,
  );
});

test('an add-on’s bounds are of all of them together, and of no usage of the plan', () => {
  const world = new World()
    .account('a')
    .plan('p', [usage('u', '1')])
    .plan('extra', [usage('u', '2', { maximum: '50.00', included: { amount: '10' } })])
    .subscribe('a', 'p', '2026-04-01')
    .used('a', '2026-04-02', '100');
  world.billing({ kind: 'addon', account: 'a', plan: 'extra', quantity: 3, from: world.at('2026-04-01'), to: null });
  check(
    world,
    '2026-05-01',
    `04-01..05-01
     04-01..05-01 usage p/u 100.00
     04-01..05-01 usage extra/u 50.00
     = 150.00`,
  );
});

test('a maximum holds over a change of what is included', () => {
  const world = new World().account('a');
  const plan = (amount: string, from: number): World =>
    world.plan('p', [usage('u', '1', { included: { amount }, maximum: '20.00' })], {}, { from });
  plan('0', 0).subscribe('a', 'p', '2026-04-01');
  plan('1000', world.at('2026-04-16')).used('a', '2026-04-02', '15').used('a', '2026-04-20', '1010');
  check(
    world,
    '2026-05-01',
    // 25 of the last 1010 pay, 5 of them until the maximum is reached.
    `04-01..05-01
     04-01..04-16 usage p/u 15.00
     04-16..05-01 usage p/u 5.00
     = 20.00`,
  );
});

test('the steps of a bounded part say what of the usage before is not its own, and sum to it', () => {
  const world = changed({ maximum: '50.00' }, '100', '60');
  const [, document] = world.invoice('a', '2026-05-01').flatMap(({ lines }) => lines);
  assert.deepEqual(
    document?.steps.map(({ text, amount }) => `${text} ${amount}`),
    ['usage 160', 'usage of earlier parts under other terms -100', 'above the maximum -10'],
  );
  assert.equal(document?.exact, '50');
});

test('each version of a plan owes its minimum and commitment for as long as it is in force', () => {
  const versions = (first: Partial<UsagePrice>, second: Partial<UsagePrice>): World => {
    const world = new World().account('a').plan('p', [usage('u', '1', first)]);
    return world.plan('p', [usage('u', '1', second)], {}, { from: world.at('2026-04-16') });
  };
  const half = (kind: string): string => `04-01..05-01
     04-01..04-16 usage p/u 0.00
     04-16..05-01 usage p/u 0.00
     04-16..05-01 ${kind} p/u 10.00
     = 10.00`;
  const commitment = { amount: '20.00', overage: '2' };
  check(versions({}, { minimum: '20.00' }).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('minimum'));
  check(versions({ minimum: '20.00' }, {}).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('minimum'));
  check(versions({}, { commitment }).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('commitment'));
  check(versions({ commitment }, {}).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('commitment'));
  // Also where the later version is no price for this account any more.
  const when = 'account.id == "b"';
  check(versions({ minimum: '20.00' }, { when }).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('minimum'));
  check(versions({ when }, { minimum: '20.00' }).subscribe('a', 'p', '2026-04-01'), '2026-05-01', half('minimum'));
});
