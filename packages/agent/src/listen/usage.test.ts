import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sums } from './testing/world.ts';
import { type Quantity, type UsageAbout, UsageError, usageOn } from './usage.ts';

const strict = (decimals: Record<string, number> = {}) => {
  const sums = new Sums();
  return { sums, usage: usageOn(sums, { strict: true, decimals }) };
};

test('a measurement is recorded for its account, resource or subject, with its dimensions', () => {
  const { sums, usage } = strict();
  usage.add('mails', 3, { account: 'acme', region: 'eu' });
  usage.add('mails', 2n ** 70n, { resource: 'box-1' });
  usage.set('seats', '12', { subject: 'acme' });
  usage.add('mails', 0);
  assert.deepEqual(sums.adds, [
    { measure: { meter: 'mails', subject: 'acme', dimensions: { region: 'eu' } }, quantity: 3n },
    { measure: { meter: 'mails', subject: 'box-1' }, quantity: 2n ** 70n },
    { measure: { meter: 'mails', subject: '' }, quantity: 0n },
  ]);
  assert.deepEqual(sums.levels, [{ measure: { meter: 'seats', subject: 'acme' }, level: 12n }]);
});

test('what is no exact quantity is refused', () => {
  const { usage } = strict({ hours: 12 });
  const bad: Quantity[] = [
    Number.NaN,
    Infinity,
    -1,
    -1n,
    '-1',
    0.1,
    2 ** 53,
    '1e3',
    '',
    ' 1',
    '1.',
    '.5',
    '0x10',
    '1'.repeat(39),
  ];
  for (const quantity of [...bad, '0.0000000000001', 2 ** -13, null as unknown as number, {} as unknown as string])
    assert.throws(() => usage.add('hours', quantity), UsageError, String(quantity));
  assert.throws(() => usage.add('whole', 0.5), /smaller unit/);
});

test('a declared number of decimals scales exactly', () => {
  const { sums, usage } = strict({ hours: 3, fine: 12 });
  for (const quantity of [1.5, '1.5', '1.500', 0.125, 7, 7n]) usage.add('hours', quantity);
  usage.add('fine', 2 ** -12);
  assert.deepEqual(
    sums.adds.map(({ quantity }) => quantity),
    [1500n, 1500n, 1500n, 125n, 7000n, 7000n, 244140625n],
  );
});

test('every accepted number is recorded as exactly itself', () => {
  const { sums, usage } = strict({ m: 12 });
  fc.assert(
    fc.property(fc.double({ min: 0, max: 2 ** 40, noNaN: true }), (quantity) => {
      try {
        usage.add('m', quantity);
      } catch (error) {
        assert.ok(error instanceof UsageError);
        return;
      }
      // Over 2^12, a double with at most 12 fractional bits is a whole number: compared without rounding.
      assert.equal(BigInt(sums.adds.at(-1)?.quantity ?? -1) * 4096n, BigInt(quantity * 4096) * 10n ** 12n);
    }),
  );
});

test('names and dimensions that cannot be published are refused', () => {
  const { usage } = strict();
  const bad: UsageAbout[] = [
    { account: 'a', resource: 'b' },
    { account: 'a\n' },
    { account: 'x'.repeat(257) },
    { account: 7 as unknown as string },
    { value: '1' },
    { count: '1' },
    { region: '' },
    { region: 'x'.repeat(129) },
    Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`d${i}`, 'x'])),
  ];
  for (const about of bad)
    assert.throws(() => usage.add('m', 1, about), UsageError, JSON.stringify(about).slice(0, 40));
  assert.throws(() => usage.add('', 1), UsageError);
});

test('in production nothing throws: refusals are counted, with the reason of the last', () => {
  const sums = new Sums();
  const usage = usageOn(sums);
  usage.add('m', Number.NaN);
  usage.set('m', 0.1, { account: 'a' });
  usage.add('m', 1, null as unknown as UsageAbout);
  assert.equal(usage.report().refused, 3);
  const failing = usageOn({
    add: () => {
      throw new Error('no');
    },
    set: () => undefined,
  });
  failing.add('m', 1);
  assert.deepEqual(failing.report(), { refused: 1, lastRefusal: 'the recorder failed' });
  assert.equal(sums.adds.length + sums.levels.length, 0);
  assert.throws(() => usageOn(sums, { decimals: { m: 13 } }), RangeError);
});
