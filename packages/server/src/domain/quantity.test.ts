import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  add,
  compare,
  divide,
  formatQuantity,
  parseQuantity,
  QUANTITY_MAX,
  QuantityError,
  type Rounding,
  readQuantity,
  SCALE,
  subtract,
  times,
} from './quantity.ts';

/** Each row: text -> the shortest exact text, or the code it is refused with. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [text = '', expected = ''] = row.split('->').map((s) => s.trim());
    const got = readQuantity(text === '(empty)' ? '' : text);
    assert.equal(typeof got === 'string' ? got : formatQuantity(got), expected, row);
  }
}

test('numbers are read exactly or refused by name', () =>
  check(`
    0                                        -> 0
    -0                                       -> 0
    -0.0e5                                   -> 0
    1                                        -> 1
    -1.50                                    -> -1.5
    0.000000000001                           -> 0.000000000001
    0.0000000000010                          -> 0.000000000001
    0.0000000000001                          -> quantity.precision
    1e-12                                    -> 0.000000000001
    1e-13                                    -> quantity.precision
    10e-13                                   -> 0.000000000001
    1.5E+3                                   -> 1500
    5.35976912e+08                           -> 535976912
    18446744073709551615                     -> 18446744073709551615
    9007199254740993                         -> 9007199254740993
    0.1                                      -> 0.1
    99999999999999999999999999               -> 99999999999999999999999999
    99999999999999999999999999.999999999999  -> 99999999999999999999999999.999999999999
    100000000000000000000000000              -> quantity.range
    1e26                                     -> quantity.range
    1e25                                     -> 10000000000000000000000000
    1e999999999999999999999                  -> quantity.range
    -1e400                                   -> quantity.range
    0e999999999999999999999                  -> 0
    1e-999999999999999999999                 -> quantity.precision
    NaN                                      -> quantity.syntax
    Infinity                                 -> quantity.syntax
    -Infinity                                -> quantity.syntax
    0x10                                     -> quantity.syntax
    +1                                       -> quantity.syntax
    01                                       -> quantity.syntax
    .5                                       -> quantity.syntax
    5.                                       -> quantity.syntax
    1_000                                    -> quantity.syntax
    1 000                                    -> quantity.syntax
    true                                     -> quantity.syntax
    (empty)                                  -> quantity.syntax
  `));

test('a number with a megabyte of digits is refused quickly', () => {
  assert.equal(readQuantity('9'.repeat(1_000_000)), 'quantity.range');
  assert.equal(readQuantity(`0.${'1'.repeat(1_000_000)}`), 'quantity.precision');
  assert.equal(readQuantity(`0.${'0'.repeat(1_000_000)}`), 0n);
  assert.equal(readQuantity(`1${'0'.repeat(1_000_000)}e-1000000`), SCALE);
});

const quantity = fc.oneof(
  fc.bigInt({ min: -QUANTITY_MAX, max: QUANTITY_MAX }),
  fc.constantFrom(QUANTITY_MAX, -QUANTITY_MAX, 0n, 1n, -1n, SCALE, -SCALE, SCALE - 1n),
);

test('what is formatted reads back as itself', () => {
  fc.assert(fc.property(quantity, (q) => parseQuantity(formatQuantity(q)) === q));
});

test('the formatted text is the shortest', () => {
  fc.assert(fc.property(quantity, (q) => !/\.\d*0$|^-0$|\.$|e/.test(formatQuantity(q))));
});

test('sums and products are exact or refused, never wrapped', () => {
  fc.assert(
    fc.property(quantity, quantity, (a, b) => {
      for (const [exact, act] of [
        [a + b, () => add(a, b)],
        [a - b, () => subtract(a, b)],
        [a * 7n, () => times(a, 7n)],
      ] as const) {
        if (exact > QUANTITY_MAX || exact < -QUANTITY_MAX) {
          assert.throws(act, (e) => e instanceof QuantityError && e.code === 'quantity.range');
        } else assert.equal(act(), exact);
      }
      assert.equal(compare(a, b), -compare(b, a) + 0);
    }),
  );
});

/** Each row: a / b and what each mode makes of it. */
test('each rounding mode does what its name says', () => {
  const modes: Rounding[] = ['half-even', 'half-up', 'half-down', 'down', 'up', 'floor', 'ceiling'];
  const rows = `
     5 /  2 ->  2  3  2  2  3  2  3
     7 /  2 ->  4  4  3  3  4  3  4
    -5 /  2 -> -2 -3 -2 -2 -3 -3 -2
     5 / -2 -> -2 -3 -2 -2 -3 -3 -2
    -5 / -2 ->  2  3  2  2  3  2  3
     1 /  3 ->  0  0  0  0  1  0  1
    -1 /  3 ->  0  0  0  0 -1 -1  0
     2 /  3 ->  1  1  1  0  1  0  1
     6 /  3 ->  2  2  2  2  2  2  2
     0 / -3 ->  0  0  0  0  0  0  0
     1 /  2 ->  0  1  0  0  1  0  1
    -1 /  2 ->  0 -1  0  0 -1 -1  0`;
  for (const row of rows.trim().split('\n')) {
    const [a = '', , b = '', , ...expected] = row.trim().split(/\s+/);
    assert.deepEqual(
      modes.map((mode) => String(divide(BigInt(a), BigInt(b), mode))),
      expected,
      row,
    );
  }
  assert.throws(() => divide(1n, 0n, 'down'), RangeError);
});

test('a rounded quotient is never further than one from the truth, and half modes never further than a half', () => {
  const divisor = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).filter((b) => b !== 0n);
  fc.assert(
    fc.property(quantity, divisor, (a, b) => {
      const size = (x: bigint) => (x < 0n ? -x : x);
      for (const mode of ['half-even', 'half-up', 'half-down'] as const) {
        assert.ok(2n * size(divide(a, b, mode) * b - a) <= size(b), mode);
      }
      assert.ok(size(divide(a, b, 'up') * b) >= size(a));
      assert.ok(size(divide(a, b, 'down') * b) <= size(a));
      assert.equal(divide(a, b, 'floor'), -divide(-a, b, 'ceiling'));
    }),
  );
});
