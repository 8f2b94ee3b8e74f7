import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Rounding } from '../quantity.ts';
import { safeInteger } from './integer.ts';
import {
  add,
  compare,
  divide,
  exactText,
  fractionText,
  isZero,
  max,
  min,
  multiply,
  negate,
  ONE,
  ofDecimal,
  ofQuantity,
  type Ratio,
  RatioError,
  ratio,
  roundTo,
  subtract,
  ZERO,
} from './ratio.ts';

/** Each row: text -> the exact text, or the code it is refused with. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [text = '', expected = ''] = row.split('->').map((s) => s.trim());
    let got: string;
    try {
      got = exactText(ofDecimal(text === '(empty)' ? '' : text));
    } catch (error) {
      if (!(error instanceof RatioError)) throw error;
      got = error.code;
    }
    assert.equal(got, expected, row);
  }
}

test('decimals are read exactly or refused by name', () =>
  check(`
    0                       -> 0
    -0                      -> 0
    -0.00                   -> 0
    49.00                   -> 49
    -1.50                   -> -1.5
    0.000000000000000001    -> 0.000000000000000001
    0.0000000000000000010   -> 0.000000000000000001
    0.0000000000000000001   -> ratio.precision
    99999999999999999999999999999999999999.999999999999999999 -> 99999999999999999999999999999999999999.999999999999999999
    100000000000000000000000000000000000000 -> ratio.range
    9007199254740993        -> 9007199254740993
    (empty)                 -> ratio.syntax
    1e3                     -> ratio.syntax
    +1                      -> ratio.syntax
    01                      -> ratio.syntax
    .5                      -> ratio.syntax
    1.                      -> ratio.syntax
    1,5                     -> ratio.syntax
    0x10                    -> ratio.syntax
    NaN                     -> ratio.syntax
  `));

test('texts are the shortest exact decimals, or fractions in lowest terms', () => {
  const texts: [Ratio, string, string][] = [
    [ratio(1n, 2n), '0.5', '1/2'],
    [ratio(-2n, 6n), '-1/3', '-1/3'],
    [ratio(3n, 1024n), '0.0029296875', '3/1024'],
    [ratio(10n, -4n), '-2.5', '-5/2'],
    [ratio(17n, 31n), '17/31', '17/31'],
    [ratio(31n, 31n), '1', '1'],
    [ratio(0n, 31n), '0', '0'],
    [ratio(1n, 2n ** 30n), '0.000000000931322574615478515625', '1/1073741824'],
    [ratio(5n, 10n ** 70n), `0.${'0'.repeat(69)}5`, `1/${'2'}${'0'.repeat(69)}`],
  ];
  for (const [r, exact, fraction] of texts) assert.deepEqual([exactText(r), fractionText(r)], [exact, fraction]);
});

test('a quantity is the number it stands for', () => {
  assert.equal(exactText(ofQuantity(1_500_000_000_000n)), '1.5');
  assert.deepEqual(ofQuantity(3_000_000_000_000n), { n: 3n, d: 1n });
});

test('nothing is divided by zero', () => {
  for (const act of [() => ratio(1n, 0n), () => divide(ONE, ZERO)])
    assert.throws(act, (error) => error instanceof RatioError && error.code === 'ratio.zero');
});

test('only whole numbers that a double holds leave the exact ones', () => {
  assert.equal(safeInteger(-42n), -42);
  assert.throws(() => safeInteger(2n ** 53n), RangeError);
});

const big = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });
const ratios = fc.tuple(big, fc.bigInt({ min: 1n, max: 10n ** 25n })).map(([n, d]) => ratio(n, d));
const same = (a: Ratio, b: Ratio): void => assert.equal(compare(a, b), 0, `${fractionText(a)} != ${fractionText(b)}`);

test('ratios are a field', () => {
  fc.assert(
    fc.property(ratios, ratios, ratios, (a, b, c) => {
      same(add(a, b), add(b, a));
      same(add(add(a, b), c), add(a, add(b, c)));
      same(multiply(a, b), multiply(b, a));
      same(multiply(multiply(a, b), c), multiply(a, multiply(b, c)));
      same(multiply(a, add(b, c)), add(multiply(a, b), multiply(a, c)));
      same(add(a, ZERO), a);
      same(multiply(a, ONE), a);
      same(add(a, negate(a)), ZERO);
      same(subtract(a, b), negate(subtract(b, a)));
      if (!isZero(b)) same(multiply(divide(a, b), b), a);
    }),
  );
});

test('order fits to the arithmetic, whatever the denominators', () => {
  fc.assert(
    fc.property(ratios, ratios, ratios, (a, b, c) => {
      assert.equal(compare(a, b), -compare(b, a) || 0);
      assert.equal(compare(add(a, c), add(b, c)), compare(a, b));
      same(add(min(a, b), max(a, b)), add(a, b));
      assert.ok(compare(min(a, b), max(a, b)) <= 0);
      assert.ok(a.d > 0n && add(a, b).d > 0n && multiply(a, b).d > 0n);
    }),
  );
});

test('what is read and written comes back', () => {
  const texts = fc.tuple(fc.bigInt({ min: -(10n ** 36n), max: 10n ** 36n }), fc.integer({ min: 0, max: 18 }));
  fc.assert(
    fc.property(texts, ([n, decimals]) => {
      const r = ratio(n, 10n ** BigInt(decimals));
      assert.equal(exactText(ofDecimal(exactText(r))), exactText(r));
      same(ofDecimal(exactText(r)), r);
    }),
  );
});

/** Rounding by looking: of all whole numbers near the value the one that the mode's words name. Shares no code with it. */
function nearest({ n, d }: Ratio, mode: Rounding): bigint {
  let low = n / d - 2n;
  while ((low + 1n) * d <= n) low += 1n;
  if (low * d === n) return low;
  const [below, above] = [low, low + 1n];
  const toZero = n > 0n ? below : above;
  const fromZero = n > 0n ? above : below;
  const [left, right] = [n - below * d, above * d - n];
  const near = left < right ? below : above;
  const even = below % 2n === 0n ? below : above;
  const words: Record<Rounding, bigint> = {
    floor: below,
    ceiling: above,
    down: toZero,
    up: fromZero,
    'half-up': left === right ? fromZero : near,
    'half-down': left === right ? toZero : near,
    'half-even': left === right ? even : near,
  };
  return words[mode];
}

const modes: Rounding[] = ['half-even', 'half-up', 'half-down', 'down', 'up', 'floor', 'ceiling'];

test('each rounding does what its name says', () => {
  const halves = fc.bigInt({ min: -2000n, max: 2000n }).map((n) => ratio(n, 200n));
  fc.assert(
    fc.property(
      fc.oneof(halves, ratios),
      fc.constantFrom(...modes),
      fc.integer({ min: 0, max: 4 }),
      (r, mode, places) => {
        const scaled = ratio(r.n * 10n ** BigInt(places), r.d);
        assert.equal(roundTo(r, places, mode), nearest(scaled, mode), `${fractionText(r)} ${mode} ${places}`);
      },
    ),
    { numRuns: 500 },
  );
});
