import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneLimit } from '../testing/one-limit.ts';
import type { LimitRule, RateAlgorithm } from './limit.ts';

const rate = (algorithm: RateAlgorithm, amount: number, windowMs: number, burst = amount): LimitRule => ({
  kind: 'rate',
  amount,
  windowMs,
  algorithm,
  burst,
});

/** Each row: ms, cost -> yes or no, used after it, when it fits, when all is reset. `set` makes a cost the usage. */
function check(rule: LimitRule, rows: string): void {
  const limit = new OneLimit(rule);
  for (const row of rows.trim().split('\n')) {
    const [question = '', answer = ''] = row.split('->');
    const [time, cost = '0'] = question.trim().split(/\s+/);
    const force = cost.endsWith('!');
    const { allowed, used, fitsAt, resetAt } = limit.ask(Number(cost.replace('!', '')), Number(time), force);
    const got = `${allowed ? 'yes' : 'no'} ${used} ${fitsAt ?? '-'} ${resetAt}`;
    assert.equal(got, answer.trim().replaceAll(/\s+/g, ' '), row);
  }
}

test('a fixed window begins anew at every multiple of its length, and a refused call counts nothing', () =>
  check(
    rate('fixed', 10, 1000),
    `
    5300  4 -> yes 4   -        6000
    5900  7 -> no  4   6000     6000
    5900  6 -> yes 10  -        6000
    5999  1 -> no  10  6000     6000
    5999  0 -> yes 10  -        6000
    6000 10 -> yes 10  -        7000
    6000 11 -> no  10  Infinity 7000
    9999  1 -> yes 1   -        10000
  `,
  ));

test('two windows, weighed: what came before leaves evenly, rounded up', () =>
  check(
    rate('sliding', 10, 1000),
    `
    5900 10 -> yes 10  -        6000
    5900  1 -> no  10  6100     6000
    6000  1 -> no  10  6100     7000
    6099  1 -> no  10  6100     7000
    6100  1 -> yes 10  -        7000
    6250  1 -> yes 10  -        7000
    6250  8 -> no  10  7000     7000
    6250  9 -> no  10  7500     7000
    6250 10 -> no  10  8000     7000
    7000  8 -> yes 10  -        8000
    7500  1 -> yes 10  -        8000
    9999  0 -> yes 0   -        10000
  `,
  ));

test('a log counts exactly what was admitted within one window of now', () =>
  check(
    rate('log', 3, 1000),
    `
    5000  1 -> yes 1   -        6000
    5400  2 -> yes 3   -        6400
    5999  1 -> no  3   6000     6400
    5999  2 -> no  3   6400     6400
    5999  4 -> no  3   Infinity 6400
    6000  1 -> yes 3   -        7000
    6400  2 -> yes 3   -        7400
    9000  0 -> yes 0   -        9000
  `,
  ));

test('a bucket admits its burst at once, then as much as has drained', () =>
  check(
    rate('bucket', 10, 1000, 5),
    `
    5000  5 -> yes 5   -        5500
    5000  1 -> no  5   5100     5500
    5099  1 -> no  5   5100     5500
    5100  1 -> yes 5   -        5600
    5100  6 -> no  5   Infinity 5600
    5150  0 -> yes 5   -        5600
    5300  3 -> no  3   5400     5600
    5300  2 -> yes 5   -        5800
    7000  0 -> yes 0   -        7000
  `,
  ));

test('a rate that divides no millisecond loses nothing by rounding: 3 in 7 ms', () =>
  check(
    rate('bucket', 3, 7, 2),
    `
    1000  2 -> yes 2   -        1005
    1002  1 -> no  2   1003     1005
    1003  1 -> yes 2   -        1007
    1004  1 -> no  2   1005     1007
    1005  1 -> yes 2   -        1010
    1006  1 -> no  2   1007     1010
    1007  1 -> yes 2   -        1012
    1007  1 -> no  2   1010     1012
  `,
  ));

test('the clock an hour back: nothing is free again, nothing is negative, no reset comes earlier', () => {
  const hour = 3_600_000;
  const at = 10 * hour + 500;
  for (const algorithm of ['fixed', 'sliding', 'log', 'bucket'] as const) {
    const limit = new OneLimit(rate(algorithm, 2, 1000));
    const first = limit.ask(2, at);
    const back = limit.ask(1, at - hour);
    assert.equal(back.allowed, false, algorithm);
    assert.ok(back.used >= first.used && back.resetAt >= first.resetAt, algorithm);
    assert.equal(limit.ask(2, at + 2000).allowed, true, `${algorithm}: and it goes on when the clock is back`);
  }
});

test('the clock an hour ahead and back: one window’s worth in advance at most, and none until then', () => {
  const hour = 3_600_000;
  for (const algorithm of ['fixed', 'sliding', 'log', 'bucket'] as const) {
    const limit = new OneLimit(rate(algorithm, 2, 1000));
    assert.equal(limit.ask(2, 10 * hour).allowed, true);
    assert.equal(limit.ask(2, 11 * hour).allowed, true, algorithm);
    assert.equal(limit.ask(1, 10 * hour + 100).allowed, false, algorithm);
    assert.equal(limit.ask(1, 11 * hour - 1).allowed, false, algorithm);
    assert.equal(limit.ask(2, 11 * hour + 2000).allowed, true, algorithm);
  }
});

test('what a soft limit counts above its amount is shown and leaves as it should', () => {
  check(rate('log', 2, 1000), '5000 5! -> no 5 Infinity 6000\n5999 1 -> no 5 6000 6000\n6000 2 -> yes 2 - 7000');
  check(rate('bucket', 2, 1000), '5000 5! -> no 5 Infinity 7500\n7000 1 -> yes 2 - 8000');
  check(rate('sliding', 2, 1000), '5000 5! -> no 5 Infinity 6000\n6800 1 -> yes 2 - 7000');
});

test('holds are free again when given back, or after their longest time', () => {
  const limit = new OneLimit({ kind: 'concurrency', amount: 2, holdMs: 1000 });
  limit.ask(1, 5000);
  limit.ask(1, 5100);
  assert.equal(limit.ask(1, 5200).fitsAt, 6000);
  limit.giveBack(1, 5300, 5100);
  assert.equal(limit.ask(1, 5300).allowed, true);
  assert.equal(limit.ask(1, 5999).allowed, false);
  assert.equal(limit.ask(1, 6000).allowed, true, 'the first hold has expired');
  limit.giveBack(1, 6000, 5000);
  assert.equal(limit.used(6000), 2, 'what has expired cannot be given back as well');
});

test('acquire and release for an hour behind one hold that lasts takes no more room', () => {
  const limit = new OneLimit({ kind: 'concurrency', amount: 3, holdMs: 3_600_000 }, undefined, 64);
  limit.ask(1, 0);
  for (let t = 1; t < 3_600_000; t += 37) {
    assert.equal(limit.ask(1, t).allowed, true);
    limit.giveBack(1, t, t);
  }
  assert.equal(limit.used(3_599_999), 1);
  assert.equal(limit.used(3_600_000), 0, 'and the first one did not get younger by it');
});
