import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinMeters } from '../meter.ts';
import { definePlans } from './define-plans.ts';
import type { Plan } from './plan.ts';
import { diffPlans } from './plan-diff.ts';

const planText = (key: string, rate: string, more = '') =>
  `  - {key: ${key}, limits: [{key: calls, meter: requests, rate: ${rate}${more}}]}\n`;
const plansOf = (...texts: string[]) => {
  const { value, problems } = definePlans(`plans:\n${texts.join('')}`, builtinMeters());
  assert.equal(problems, null);
  return value ?? [];
};
const stored = (...texts: string[]): Plan[] =>
  plansOf(...texts).map((plan) => ({
    ...plan,
    billing: plan.billing ?? null,
    version: 1,
    receipt: 1,
    from: 0,
    removed: false,
  }));

const check = (now: Plan[], next: string[], expected: string[], prune = false) =>
  assert.deepEqual(
    diffPlans(now, next.length === 0 ? [] : plansOf(...next), prune).flatMap(({ plan, change, fields }) => [
      `${change} ${plan}`,
      ...fields.map((f) => `${f.path}: ${f.before} -> ${f.after}`),
    ]),
    expected,
  );

const a = planText('a', '5 per second');

test('nothing changes when the same is applied again, whatever the order of plans', () => {
  const b = planText('b', '6 per second');
  check(stored(a, b), [b, a], []);
});

test('only the fields that differ are told', () => {
  check(
    stored(a),
    [planText('a', '7 per second', ', shadow: true')],
    [
      'changed a',
      'limits.calls.rule.amount: 5 -> 7',
      'limits.calls.rule.burst: 5 -> 7',
      'limits.calls.shadow: false -> true',
    ],
  );
});

test('a new plan is told with all its fields, a missing one only when it is to go', () => {
  const [first, ...rest] = diffPlans([], plansOf(a), false);
  assert.deepEqual([first?.change, rest], ['added', []]);
  assert.ok(first?.fields.some((f) => f.path === 'limits.calls.rule.amount' && f.before === null && f.after === '5'));
  check(stored(a), [], []);
  assert.deepEqual(
    diffPlans(stored(a), [], true).map((c) => c.change),
    ['removed'],
  );
});

test('another rule for the same limit shows the fields that go and those that come', () => {
  const [change] = diffPlans(
    stored(a),
    plansOf('  - {key: a, limits: [{key: calls, meter: requests, concurrency: 5}]}\n'),
    false,
  );
  const paths = change?.fields.map((f) => f.path) ?? [];
  assert.ok(paths.includes('limits.calls.rule.windowMs') && paths.includes('limits.calls.rule.holdMs'));
  assert.ok(!paths.includes('limits.calls.rule.amount'));
});

const priced = (unit: string, more = '') => `  - key: a
    limits: [{key: calls, meter: requests, rate: 5 per second}]
    billing:
      currency: EUR
      prices:
        - {key: base, fee: 49${more}}
        - {key: traffic, meter: network.bytes.sent, per: GB, graduated: [{up_to: 100, unit: ${unit}}, {unit: 0.05}]}
`;

test('a price that changes is told field by field, a number written otherwise is not', () => {
  check(stored(priced('0.09')), [priced('0.090')], []);
  check(
    stored(priced('0.09')),
    [priced('0.08', '.5, name: Base')],
    [
      'changed a',
      'billing.prices.base.name: "base" -> "Base"',
      'billing.prices.base.amount: "49" -> "49.5"',
      'billing.prices.traffic.model.tiers[1].unit: "0.09" -> "0.08"',
    ],
  );
  const [change] = diffPlans(stored(a), plansOf(priced('0.09')), false);
  assert.ok(change?.fields.every((f) => f.before === null && f.path.startsWith('billing.')));
  assert.ok(diffPlans(stored(priced('0.09')), plansOf(a), false)[0]?.fields.every((f) => f.after === null));
});
