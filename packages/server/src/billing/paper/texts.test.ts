import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { at, hostile } from './testing/samples.ts';
import { amountText, clean, cleanLines, grouped, moneyText, quantityText, spanText } from './texts.ts';

const check = (cases: readonly (readonly [shown: string, expected: string])[]): void => {
  for (const [shown, expected] of cases) assert.equal(shown, expected);
};

test('figures are grouped and filled up to the decimals of the currency, and no digit is changed', () => {
  check([
    [grouped('1234567.891'), '1,234,567.891'],
    [grouped('-1234'), '-1,234'],
    [grouped('123'), '123'],
    [grouped('10000/3'), '10,000/3'],
    [amountText('-5', { decimals: 2 }), '-0.05'],
    [amountText(10n ** 20n, { decimals: 2 }), '1,000,000,000,000,000,000.00'],
    [amountText('1234', { decimals: 0 }), '1,234'],
    [moneyText('49', { decimals: 2 }), '49.00'],
    [moneyText('0.0777777', { decimals: 2 }), '0.0777777'],
    [moneyText('-10000/3', { decimals: 2 }), '-10,000/3'],
    [moneyText('7', { decimals: 0 }), '7'],
    [quantityText('1048576', 'By'), '1,048,576 bytes'],
    [quantityText('6383', '{token}'), '6,383 token'],
    [quantityText('720', '{vm}.h'), '720 vm hours'],
    [quantityText('5', 'By.h'), '5 byte hours'],
    [quantityText('7', 'vm hour'), '7 vm hour'],
    [quantityText('3', '1'), '3'],
    [quantityText('3', ''), '3'],
  ]);
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.integer({ min: 0, max: 4 }),
      (minor, decimals) => {
        assert.equal(BigInt(amountText(minor, { decimals }).replace(/[.,]/g, '')), minor);
      },
    ),
  );
});

test('a span names its first and last day, and the times of day where it ends within one', () => {
  const zone = 'Europe/Berlin';
  check([
    [spanText(at('2026-10-01'), at('2026-11-01'), zone), '2026-10-01 to 2026-10-31'],
    [spanText(at('2026-10-01'), at('2026-10-02'), zone), '2026-10-01'],
    [spanText(at('2026-10-01'), at('2026-10-01'), zone), 'from 2026-10-01'],
    [
      spanText(at('2026-10-24T12:00'), at('2026-10-25T12:00'), zone),
      '2026-10-24 12:00:00+02:00 until 2026-10-25 12:00:00+01:00',
    ],
    [spanText(at('2026-10-01'), at('2026-11-01'), 'UTC'), '2026-09-30 22:00:00Z until 2026-10-31 23:00:00Z'],
  ]);
});

test('a text from outside becomes one line without characters that act on others', () => {
  check([
    [clean('two\nlines\r\nand\ta tab'), 'two lines and a tab'],
    [clean('nul \u0000'), 'nul \ufffd'],
    [clean('\u202etxt.exe'), '\ufffdtxt.exe'],
    [clean('a\u200bb'), 'ab'],
    [clean('lone \ud800'), 'lone \ufffd'],
    [clean('x'.repeat(5000)), `${'x'.repeat(300)}… (5,000 characters)`],
    [clean('Straße'), 'Straße'],
    [cleanLines('Straße 1\nKöln').join('|'), 'Straße 1|Köln'],
  ]);
  const bad = /[\p{Cc}\p{Surrogate}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;
  for (const text of hostile) assert.doesNotMatch(clean(text), bad);
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.doesNotMatch(clean(text), bad)));
});
