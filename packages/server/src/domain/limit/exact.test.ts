import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ceilDiv, floorDiv, mulDivUp } from './exact.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const whole = fc.oneof(fc.nat(1000), fc.maxSafeNat(), fc.integer({ min: MAX - 1000, max: MAX }));
const divisor = whole.map((n) => Math.max(1, n));
/** Where rounding would show: a hair beside a multiple. */
const beside = fc
  .tuple(divisor, divisor, fc.integer({ min: -1, max: 1 }))
  .map(([b, k, d]) => [Math.max(0, b * Math.floor(k % (MAX / b)) + d), b] as const)
  .filter(([a]) => a <= MAX);

test('quotients are exact, rounded down and up, up to 2^53 - 1', () =>
  fc.assert(
    fc.property(fc.oneof(fc.tuple(whole, divisor), beside), ([a, b]) => {
      const [n, d] = [BigInt(a), BigInt(b)];
      assert.equal(BigInt(floorDiv(a, b)), n / d);
      assert.equal(BigInt(ceilDiv(a, b)), (n + d - 1n) / d);
    }),
    { numRuns: 5000 },
  ));

test('a product beyond 2^53 is divided without losing a digit', () =>
  fc.assert(
    fc.property(whole, divisor, fc.nat(), (a, c, share) => {
      const b = share % (c + 1);
      const [n, d] = [BigInt(a) * BigInt(b), BigInt(c)];
      assert.equal(BigInt(mulDivUp(a, b, c)), (n + d - 1n) / d);
    }),
    { numRuns: 5000 },
  ));
