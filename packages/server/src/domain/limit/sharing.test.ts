import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LimitRule, RateAlgorithm, Sharing } from './limit.ts';
import { checkSharing, excessPerServer, memoryMs, sharingOf, untold } from './sharing.ts';

const rate = (algorithm: RateAlgorithm, amount = 1000, windowMs = 1000, burst = amount) =>
  ({ kind: 'rate', algorithm, amount, windowMs, burst }) as const;
const quota = { kind: 'quota', amount: 9, period: 'month' } as const;
const held = { kind: 'concurrency', amount: 5, holdMs: 1000 } as const;

function check(
  rule: LimitRule,
  sharing: Sharing | null,
  expected: { is: Sharing; excess: number | null },
  feed = 'decided',
) {
  const limit = { rule, feed: feed as 'decided', ...(sharing === null ? {} : { sharing }) };
  assert.deepEqual({ is: sharingOf(limit), excess: excessPerServer(limit) }, expected);
}

test('a limit of which nothing is said is shared as it always was, and says how far servers may go beyond it', () => {
  check(quota, null, { is: 'strict', excess: 0 });
  check(quota, null, { is: 'none', excess: null }, 'metered');
  check(rate('sliding'), null, { is: 'none', excess: 1000 });
  check(rate('bucket', 10, 1000, 30), null, { is: 'none', excess: 30 });
  check(held, null, { is: 'none', excess: 5 });
});

test('a strict one is never exceeded, an asynchronous one by what a server may leave untold', () => {
  check(rate('fixed'), 'strict', { is: 'strict', excess: 0 });
  check(held, 'strict', { is: 'strict', excess: 0 });
  check(rate('sliding'), 'async', { is: 'async', excess: 100 });
  check(rate('log', 100, 60_000), 'async', { is: 'async', excess: 1 });
  assert.equal(untold({ amount: 10, windowMs: 50 }), 10);
  assert.equal(untold({ amount: 1001, windowMs: 1000 }, 10), 11);
});

test('how a rule cannot be shared is refused, and what to do instead is said', () => {
  const wrong = (sharing: Sharing, rule: LimitRule, feed = 'decided') => checkSharing(sharing, rule, feed) ?? 'fine';
  assert.match(wrong('strict', rate('sliding')), /algorithm: fixed/);
  assert.match(wrong('async', rate('fixed')), /strict, or another algorithm/);
  assert.match(wrong('async', held), /strict, or none/);
  assert.match(wrong('none', quota), /leave it away/);
  assert.match(wrong('strict', quota, 'metered'), /leave it away/);
  for (const algorithm of ['sliding', 'log', 'bucket'] as const) assert.equal(wrong('async', rate(algorithm)), 'fine');
  assert.equal(wrong('strict', rate('fixed')), 'fine');
  assert.equal(wrong('none', rate('fixed')), 'fine');
});

test('a server that comes later is told of as much of the past as can still count', () => {
  assert.equal(memoryMs(rate('log')), 1000);
  assert.equal(memoryMs(rate('sliding')), 2000);
  assert.equal(memoryMs(rate('bucket', 10, 1000, 30)), 3000);
});
