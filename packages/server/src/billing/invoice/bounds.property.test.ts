/** Bounds and free units over random changes of plans and their versions, against references that count whole cents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { UsagePrice } from '../../domain/price/price.ts';
import type { Rounding } from '../../domain/quantity.ts';
import { usage, World } from './testing/world.ts';

/** All in cents and units of even numbers, so that half price and days of thirty leave no fractions. */
interface Terms {
  included: number;
  tier: number;
  units: readonly [number, number];
  half: boolean;
  minimum: number | null;
  maximum: number | null;
  commitment: { amount: number; overage: number } | null;
}
/** From a day of April on: a plan, on these terms. */
interface Stretch {
  day: number;
  plan: string;
  terms: Terms;
}

const times = (by: number, max: number) => fc.integer({ min: 0, max }).map((n) => n * by);
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const terms: fc.Arbitrary<Terms> = fc.record({
  included: times(2, 60),
  tier: fc.integer({ min: 1, max: 200 }).map((n) => n * 2),
  units: fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 })),
  half: fc.boolean(),
  minimum: orNull(times(30, 60)),
  maximum: orNull(fc.integer({ min: 1800, max: 3000 })),
  commitment: orNull(fc.record({ amount: times(30, 60), overage: fc.integer({ min: 1, max: 3 }) })),
});
const stretches: fc.Arbitrary<Stretch[]> = fc
  .uniqueArray(fc.integer({ min: 2, max: 30 }), { maxLength: 5 })
  .map((days) => [1, ...days.sort((a, b) => a - b)])
  .chain((days) =>
    fc.tuple(...days.map((day) => fc.record({ day: fc.constant(day), plan: fc.constantFrom('p', 'q'), terms }))),
  );
const rounding = fc.constantFrom<Rounding>('half-up', 'half-even', 'half-down', 'up', 'down', 'ceiling', 'floor');
/** Of each day of the month. */
const used = fc.array(times(2, 100), { minLength: 30, maxLength: 30 });

const money = (cents: number): string => `${Math.trunc(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const moneyOrNull = (cents: number | null): string | null => (cents === null ? null : money(cents));

const priceOf = ({ included, tier, units, half, minimum, maximum, commitment }: Terms): UsagePrice =>
  usage('u', '0', {
    included: { amount: String(included) },
    model: {
      model: 'graduated',
      tiers: [
        { upTo: String(tier), unit: money(units[0]), flat: '0' },
        { upTo: null, unit: money(units[1]), flat: '0' },
      ],
    },
    discountPercent: half ? '50' : null,
    minimum: moneyOrNull(minimum),
    maximum: moneyOrNull(maximum),
    commitment: commitment && { amount: money(commitment.amount), overage: String(commitment.overage) },
  });

const dayText = (day: number): string => `2026-04-${String(day).padStart(2, '0')}`;

function worldOf(list: readonly Stretch[], daily: readonly number[]): World {
  const world = new World().account('a');
  for (const plan of ['p', 'q']) world.plan(plan, []);
  for (const [i, { day, plan, terms: of }] of list.entries()) {
    world.plan(plan, [priceOf(of)], {}, { from: world.at(dayText(day)) });
    if (list[i - 1]?.plan !== plan) world.subscribe('a', plan, dayText(day));
  }
  for (const [i, quantity] of daily.entries()) world.used('a', dayText(i + 1), String(quantity));
  return world;
}

function costOf({ included, tier, units, half }: Terms, quantity: number): number {
  const paid = Math.max(0, quantity - included);
  const gross = Math.min(paid, tier) * units[0] + Math.max(0, paid - tier) * units[1];
  return half ? gross / 2 : gross;
}

/** What each plan's price is due for the month, in cents. */
function reference(list: readonly Stretch[], daily: readonly number[]): Record<string, number> {
  const sums = new Map<string, { own: number; least: number; promised: number; due: number; last: Terms }>();
  let all = 0;
  for (const [i, { day, plan, terms: of }] of list.entries()) {
    const end = list[i + 1]?.day ?? 31;
    const now = daily.slice(day - 1, end - 1).reduce((sum, one) => sum + one, 0);
    const sum = sums.get(plan) ?? { own: 0, least: 0, promised: 0, due: 0, last: of };
    const bounded = (own: number, promised: number): number => {
      const beyond = of.commitment === null ? 0 : Math.max(0, own - promised) * (of.commitment.overage - 1);
      return Math.min(own + beyond, of.maximum ?? Number.POSITIVE_INFINITY);
    };
    const before = bounded(sum.own, sum.promised);
    sum.own += costOf(of, all + now) - costOf(of, all);
    sum.promised += ((of.commitment?.amount ?? 0) * (end - day)) / 30;
    sum.least += ((of.minimum ?? 0) * (end - day)) / 30;
    const through = bounded(sum.own, sum.promised);
    sum.due += through - before;
    const isLast = !list.slice(i + 1).some((later) => later.plan === plan);
    if (isLast) sum.due += Math.max(0, sum.least - through, sum.promised - through);
    all += now;
    sums.set(plan, sum);
  }
  return Object.fromEntries([...sums].map(([plan, { due }]) => [plan, due]));
}

function billed(world: World): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { plan, amount } of world.invoice('a', '2026-05-01').flatMap(({ lines }) => lines))
    sums[plan] = (sums[plan] ?? 0) + Number(amount);
  return sums;
}

test('property: each plan’s price is due what its own parts come to, within its bounds, whatever the changes', () =>
  fc.assert(
    fc.property(stretches, used, (list, daily) => {
      const changed = list.map((one) => ({
        ...one,
        terms: list.find(({ plan }) => plan === one.plan)?.terms ?? one.terms,
      }));
      assert.deepEqual(billed(worldOf(changed, daily)), reference(changed, daily));
    }),
    { numRuns: process.env.CI === 'true' ? 1000 : 40 },
  ));

test('property: so it is when a new version of the plan changes the terms', () =>
  fc.assert(
    fc.property(stretches, used, (list, daily) => {
      assert.deepEqual(billed(worldOf(list, daily)), reference(list, daily));
    }),
    { numRuns: process.env.CI === 'true' ? 1000 : 40 },
  ));

test('property: a price whose least is its most is due that to the cent, by any rounding', () =>
  fc.assert(
    fc.property(stretches, used, rounding, (list, daily, mode) => {
      const world = new World().account('a');
      world.conventions = { ...world.conventions, minimumInPart: 'full', rounding: mode };
      world
        .plan('p', [usage('u', '0.012345', { minimum: '10.01', maximum: '10.01' })])
        .plan('q', [usage('u', '0.0333')]);
      for (const { day, plan } of list) world.subscribe('a', plan, dayText(day));
      for (const [i, quantity] of daily.entries()) world.used('a', dayText(i + 1), String(quantity));
      assert.equal(billed(world).p, list.some(({ plan }) => plan === 'p') ? 1001 : undefined);
    }),
    { numRuns: process.env.CI === 'true' ? 1000 : 40 },
  ));

/** What each plan is due where each part has its part of what is included, and what is left of the parts before. */
function referenceOfParts(list: readonly Stretch[], daily: readonly number[]): Record<string, number> {
  const due: Record<string, number> = {};
  let [left, paid] = [0, 0];
  for (const [i, { day, plan, terms: of }] of list.entries()) {
    const end = list[i + 1]?.day ?? 31;
    const now = daily.slice(day - 1, end - 1).reduce((sum, one) => sum + one, 0);
    left += (of.included * (end - day)) / 30;
    const free = Math.min(left, now);
    const whole = { ...of, included: 0 };
    due[plan] = (due[plan] ?? 0) + costOf(whole, paid + now - free) - costOf(whole, paid);
    left -= free;
    paid += now - free;
  }
  return due;
}

test('property: parts of what is included are used up by their parts and what follows, and give nothing back', () =>
  fc.assert(
    fc.property(stretches, used, (list, daily) => {
      const free = { minimum: null, maximum: null, commitment: null };
      const parts = list
        .map((one) => ({ ...one, terms: { ...one.terms, ...free, included: one.terms.included * 30 } }))
        // What does not change is one part.
        .filter(({ plan, terms: of }, i, all) => !isDeepStrictEqual([plan, of], [all[i - 1]?.plan, all[i - 1]?.terms]));
      const world = worldOf(parts, daily);
      world.conventions = { ...world.conventions, includedInPart: 'prorated' };
      assert.deepEqual(billed(world), referenceOfParts(parts, daily));
    }),
    { numRuns: process.env.CI === 'true' ? 1000 : 40 },
  ));
