import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allocate } from './allocate.ts';
import { decimalsOf, isCurrency } from './currency.ts';
import {
  decimalsOrThrow,
  formatMoney,
  inMoneyRange,
  MINOR_MAX,
  MoneyError,
  majorText,
  minorOfText,
  toMinor,
} from './money.ts';
import { ofDecimal, type Ratio, ratio } from './ratio.ts';

/** Each row: text and currency -> minor units, text for people, or the code it is refused with. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [left = '', expected = ''] = row.split('->').map((s) => s.trim());
    const [text = '', currency = ''] = left.split(/\s+/);
    let got: string;
    try {
      const minor = minorOfText(text, currency);
      assert.equal(minorOfText(majorText(minor, decimalsOrThrow(currency)), currency), minor, row);
      got = `${minor} = ${formatMoney({ currency, minor })}`;
    } catch (error) {
      if (!(error instanceof MoneyError)) throw error;
      got = error.code;
    }
    assert.equal(got, expected, row);
  }
}

test('money is read and written by the decimals of its currency', () =>
  check(`
    1234.50    EUR -> 123450 = 1,234.50 EUR
    0.005      EUR -> money.precision
    0.050      EUR -> 5 = 0.05 EUR
    -0.05      EUR -> -5 = -0.05 EUR
    -1234567   USD -> -123456700 = -1,234,567.00 USD
    1234       JPY -> 1234 = 1,234 JPY
    12.5       JPY -> money.precision
    1.234      KWD -> 1234 = 1.234 KWD
    0.0001     CLF -> 1 = 0.0001 CLF
    1000000000000000000   EUR -> 100000000000000000000 = 1,000,000,000,000,000,000.00 EUR
    1000000000000000000.01 EUR -> money.range
    1          EURO -> money.currency
    1          eur -> money.currency
    1          XAU -> money.currency
    1e3        EUR -> money.syntax
    twelve     EUR -> money.syntax
  `));

test('currencies have the decimals of ISO 4217', () => {
  for (const [code, decimals] of [
    ['JPY', 0],
    ['EUR', 2],
    ['MGA', 2],
    ['TND', 3],
    ['UYW', 4],
  ] as const)
    assert.equal(decimalsOf(code), decimals, code);
  assert.deepEqual([isCurrency('CHF'), isCurrency(''), isCurrency('XTS')], [true, false, false]);
});

test('an amount is rounded once, by the currency and a named mode', () => {
  const amount = ofDecimal('1.255');
  assert.equal(toMinor(amount, 'EUR', 'half-up'), 126n);
  assert.equal(toMinor(amount, 'EUR', 'half-down'), 125n);
  assert.equal(toMinor(amount, 'JPY', 'half-even'), 1n);
  assert.equal(toMinor(amount, 'KWD', 'down'), 1255n);
});

test('an amount beyond 10^20 minor units is refused', () => {
  assert.equal(inMoneyRange(-MINOR_MAX), -MINOR_MAX);
  for (const act of [() => inMoneyRange(MINOR_MAX + 1n), () => toMinor(ratio(-(10n ** 19n)), 'EUR', 'down')])
    assert.throws(act, (error) => error instanceof MoneyError && error.code === 'money.range');
});

/** A row: total, weights -> shares. */
function checkShares(rows: [total: bigint, weights: bigint[], shares: bigint[]][]): void {
  for (const [total, weights, shares] of rows)
    assert.deepEqual(allocate(total, weights), shares, `${total} by ${weights}`);
}

test('shares are by largest remainder, ties by position', () =>
  checkShares([
    [100n, [1n, 1n, 1n], [34n, 33n, 33n]],
    [-100n, [1n, 1n, 1n], [-34n, -33n, -33n]],
    [2n, [1n, 1n, 1n], [1n, 1n, 0n]],
    [10n, [1n, 0n, 5n], [2n, 0n, 8n]],
    [6n, [4n, 2n], [4n, 2n]],
    [0n, [1n, -1n], [0n, 0n]],
    [0n, [], []],
    [10n, [-1n, -1n], [5n, 5n]],
    [10n, [3n, -1n], [15n, -5n]],
    [7n, [10n ** 30n, 10n ** 30n], [4n, 3n]],
  ]));

test('a total that nobody has a share in is refused', () => {
  for (const weights of [[], [0n, 0n], [1n, -1n]])
    assert.throws(
      () => allocate(1n, weights),
      (error) => error instanceof MoneyError && error.code === 'money.weights',
    );
});

const totals = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });
const weights = fc.array(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 15n }), { minLength: 1, maxLength: 30 });

test('shares sum to the whole, and each is within one unit of exact', () => {
  fc.assert(
    fc.property(totals, weights, (total, list) => {
      const sum = list.reduce((a, b) => a + b, 0n);
      fc.pre(sum !== 0n);
      const shares = allocate(total, list);
      assert.equal(
        shares.reduce((a, b) => a + b, 0n),
        total,
      );
      for (const [at, share] of shares.entries()) {
        const off = (share * sum - total * (list[at] as bigint)) * (sum < 0n ? -1n : 1n);
        const bound = sum < 0n ? -sum : sum;
        assert.ok(off > -bound && off < bound, `${share} of ${total} by ${list[at]}/${sum}`);
      }
    }),
  );
});

test('ratios share as integers of the same proportion do', () => {
  const parts = fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 1000n }), fc.bigInt({ min: 1n, max: 60n })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(totals, parts, (total, list) => {
      const ratios: Ratio[] = list.map(([n, d]) => ratio(n, d));
      const common = list.reduce((product, [, d]) => product * d, 1n);
      assert.deepEqual(
        allocate(total, ratios),
        allocate(
          total,
          list.map(([n, d]) => (n * common) / d),
        ),
      );
    }),
  );
});
