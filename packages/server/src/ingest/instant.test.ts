import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseInstant } from './instant.ts';

const check = (text: string, want: number): void => {
  test(`${text || '(nothing)'} is ${Number.isNaN(want) ? 'refused' : want}`, () =>
    assert.equal(parseInstant(text), want));
};

check('1970-01-01T00:00:00Z', 0);
check('2026-11-21T09:30:00Z', 1_795_253_400_000);
check('2026-11-21t09:30:00z', 1_795_253_400_000);
check('2026-11-21 09:30:00Z', 1_795_253_400_000);
check('2026-11-21T09:30:00.5Z', 1_795_253_400_500);
check('2026-11-21T09:30:00.123999999Z', 1_795_253_400_123);
check('2026-11-21T10:30:00+01:00', 1_795_253_400_000);
check('2026-11-21T00:00:00-09:30', 1_795_253_400_000);
check('1969-12-31T23:59:59.999Z', -1);
check('2016-12-31T23:59:60Z', 1_483_228_800_000);
for (const text of [
  '',
  '2026-11-21',
  '2026-11-21T09:30:00',
  '2026-11-21T09:30Z',
  '2026-11-21T09:30:00.Z',
  '2026-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-00-01T00:00:00Z',
  '2026-01-32T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T00:60:00Z',
  '2026-01-01T00:00:61Z',
  '2026-01-01T00:00:00+24:00',
  '2026-01-01T00:00:00+0100',
  '2026-01-01T00:00:00Z ',
  '2026-01-01T00:00:00ZZ',
  '+026-01-01T00:00:00Z',
  '20a6-01-01T00:00:00Z',
  '1795253400000',
])
  check(text, Number.NaN);

test('every instant that JavaScript prints is read back', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(-62_135_596_800_000), max: new Date(253_402_300_799_999), noInvalidDate: true }),
      (d) => {
        assert.equal(parseInstant(d.toISOString()), d.getTime());
      },
    ),
  );
});
