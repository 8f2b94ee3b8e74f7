import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { counterOf, decimal, digits, parseJson } from './exact.ts';

test('whole numbers of any size leave JSON as they stood, and digits inside texts are left alone', () => {
  const text =
    '{"a": 18446744073709551615, "b": 12, "c": "x 18446744073709551615 \\" 99999999999999999999", "d": -9223372036854775808, "e": 1.5}';
  assert.deepEqual(parseJson(text), {
    a: '18446744073709551615',
    b: 12,
    c: 'x 18446744073709551615 " 99999999999999999999',
    d: '-9223372036854775808',
    e: 1.5,
  });
});

test('a counter printed as a signed number is the same 64 bits', () => {
  assert.equal(counterOf(-6), 18446744073709551610n);
  assert.equal(counterOf('18446744073709551615'), 18446744073709551615n);
  for (const bad of [1.5, '1e3', null, '18446744073709551616', '', 2 ** 53, '-9223372036854775809'])
    assert.equal(counterOf(bad), null, String(bad));
});

test('float notation is read exactly', () => {
  const is = (text: string, whole: bigint, exact = true): void =>
    assert.deepEqual(decimal(text), { whole, exact }, text);
  is('5.35976912e+08', 535_976_912n);
  is('1.8446744073709552e+19', 18_446_744_073_709_552_000n);
  is('0', 0n);
  is('1e3', 1000n);
  is('12.', 12n);
  is('.5', 0n, false);
  is('12.75', 12n, false);
  is('12.0', 12n);
  is('-3', -3n);
  assert.deepEqual(decimal('12.75', 3), { whole: 12_750n, exact: true });
  for (const bad of ['NaN', '+Inf', '', '.', 'e5', '0x10', '1e400', '1_000', ' 1'])
    assert.equal(decimal(bad), null, bad);
});

test('any whole number below 2^53 survives its way through a float as Go prints it', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (n) => {
      const float = n.toExponential().replace(/e\+(\d)$/, 'e+0$1');
      assert.deepEqual(decimal(float), { whole: BigInt(n), exact: true });
    }),
  );
});

test('digits take what a counter can be', () => {
  assert.equal(digits('18446744073709551615'), 18446744073709551615n);
  for (const bad of ['18446744073709551616', '-1', '', '1.0', 'x']) assert.equal(digits(bad), null, bad);
});
