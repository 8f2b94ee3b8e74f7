import assert from 'node:assert/strict';
import { test } from 'node:test';
import { creditCap, creditLines, spreadCoupon } from './deductions.ts';
import { RateError } from './rate-error.ts';

test('a coupon takes off what is left of it, never more than the lines are, by their share', () => {
  const rows: [lines: bigint[], coupon: bigint, used: bigint, off: bigint, shares: bigint[]][] = [
    [[4n, 2n], 12n, 0n, 6n, [4n, 2n]],
    [[400n, 200n], 12n, 3n, 9n, [6n, 3n]],
    [[100n, 100n, 100n], 10n, 0n, 10n, [4n, 3n, 3n]],
    [[400n, 200n], 12n, 15n, 0n, [0n, 0n]],
    [[-400n, 200n], 12n, 0n, 0n, [0n, 0n]],
    [[], 12n, 0n, 0n, []],
  ];
  for (const [lines, coupon, used, off, shares] of rows)
    assert.deepEqual(spreadCoupon(lines, coupon, used), { off, shares }, `${coupon} off ${lines}`);
});

test('no more is credited than was paid and is not credited yet', () => {
  assert.deepEqual([creditCap(300n, 200n, 50n), creditCap(100n, 200n, 50n)], [150n, 100n]);
  assert.deepEqual([creditCap(-50n, 200n, 50n), creditCap(100n, 0n, 0n), creditCap(9n, 5n, 7n)], [0n, 0n, 0n]);
});

test('credits pay line by line; some that no line takes are refused', () => {
  assert.deepEqual(creditLines([100n, -20n, 50n, 50n], 175n), [100n, 0n, 50n, 25n]);
  assert.throws(
    () => creditLines([100n, 50n], 151n),
    (error) => error instanceof RateError && error.code === 'rate.usage',
  );
});
