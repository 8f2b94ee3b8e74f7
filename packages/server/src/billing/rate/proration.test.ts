import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DayCount } from '../../domain/billing/conventions.ts';
import { parseInstant } from '../../domain/calendar.ts';
import { exactText, fractionText, roundTo, subtract } from '../../domain/money/ratio.ts';
import { type BilledPeriod, partShare, RateError, rateFee } from './index.ts';
import { period } from './testing/world.ts';

/** Each row: convention, zone, period, part -> the part's share of the period. Days of the zone. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [dayCount = '', zone = '', whole = '', part = '', , expected] = row.trim().split(/\s+/);
    const [from = '', to = ''] = whole.split('/');
    const [begin = '', end = ''] = part.split('/').map((day) => parseInstant(day, zone));
    const share = partShare(dayCount as DayCount, period(from, to, zone), { from: begin as number, to: end as number });
    assert.equal(fractionText(subtract(share.through, share.before)), expected, row);
  }
}

test('a part of a period is its share by the convention', () =>
  check(`
    days      UTC           2026-03-01/2026-04-01 2026-03-15/2026-04-01       -> 17/31
    days      UTC           2024-02-01/2024-03-01 2024-02-28/2024-03-01       -> 2/29
    days      UTC           2026-03-01/2026-04-01 2026-03-01/2026-03-01       -> 0
    days      UTC           2026-03-01/2026-04-01 2026-03-01/2026-04-01       -> 1
    days      Europe/Berlin 2026-03-01/2026-04-01 2026-03-29/2026-03-30       -> 1/31
    days      Europe/Berlin 2026-10-01/2026-11-01 2026-10-25/2026-10-26       -> 1/31
    days      UTC           2026-03-01/2026-04-01 2026-03-15T10:00/2026-03-15T18:00 -> 0
    days      UTC           2026-03-01/2026-04-01 2026-03-15T10:00/2026-03-16T18:00 -> 1/31
    days      Pacific/Apia  2011-12-01/2012-01-01 2011-12-29/2012-01-01       -> 1/15
    exact     UTC           2026-04-01/2026-05-01 2026-04-16/2026-05-01       -> 1/2
    exact     UTC           2026-04-01/2026-05-01 2026-04-16T12:00/2026-05-01 -> 29/60
    exact     Europe/Berlin 2026-03-01/2026-04-01 2026-03-29/2026-03-30       -> 23/743
    inclusive UTC           2024-03-01/2024-04-01 2024-03-15/2024-04-01       -> 17/31
    inclusive UTC           2026-03-01/2026-04-01 2026-03-15T10:00/2026-03-16T18:00 -> 2/31
    inclusive UTC           2026-03-01/2026-04-01 2026-03-15T10:00/2026-03-15T10:00 -> 0
    thirty    UTC           2026-03-01/2026-04-01 2026-03-01/2026-03-18       -> 17/30
    thirty    UTC           2026-03-01/2026-04-01 2026-03-18/2026-04-01       -> 13/30
    thirty    UTC           2026-03-01/2026-04-01 2026-03-31/2026-04-01       -> 0
    thirty    UTC           2026-02-01/2026-03-01 2026-02-01/2026-03-01       -> 1
    thirty    UTC           2026-02-01/2026-03-01 2026-02-28/2026-03-01       -> 1/10
  `));

test('a year is 360 days of thirty, and weeks are counted in days', () => {
  const share = (whole: BilledPeriod, to: string): string =>
    fractionText(partShare('thirty', whole, { from: whole.from, to: parseInstant(to, 'UTC') }).through);
  assert.equal(share(period('2026-01-01', '2027-01-01', 'UTC', 'year'), '2026-02-01'), '31/360');
  assert.equal(share({ ...period('2026-01-01', '2026-04-01'), count: 3 }, '2026-01-31'), '1/3');
  assert.equal(share(period('2026-01-05', '2026-01-12', 'UTC', 'week'), '2026-01-08'), '3/7');
});

test('what is no part of its period is refused', () => {
  const whole = period('2026-03-01', '2026-04-01');
  const parts = [
    { from: whole.from - 1, to: whole.to },
    { from: whole.from, to: whole.to + 1 },
    { from: whole.to, to: whole.from },
    { from: whole.from, to: Number.NaN },
  ];
  for (const part of parts)
    for (const dayCount of ['days', 'exact', 'inclusive', 'thirty'] as const)
      assert.throws(
        () => partShare(dayCount, whole, part),
        (error) => error instanceof RateError && error.code === 'rate.period',
      );
  const blink = { ...whole, to: whole.from + 1, from: whole.from };
  assert.throws(() => partShare('days', { ...blink, from: blink.from + 1, to: blink.to + 1 }, blink), RateError);
  const noMidnight = { ...whole, from: whole.from + 1, to: whole.from + 2 };
  assert.throws(() => partShare('days', noMidnight, noMidnight), /the period has no days/);
});

const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Apia', 'Asia/Kathmandu');
const months = fc.tuple(fc.integer({ min: 2010, max: 2030 }), fc.integer({ min: 1, max: 12 }));
const pad = (n: number): string => String(n).padStart(2, '0');

test('parts of a fee sum to the whole to the cent, whatever the cuts', () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
  const counts = fc.constantFrom('days' as const, 'exact' as const, 'thirty' as const);
  const amount = fc
    .integer({ min: 0, max: 999_999 })
    .map((n) => `${Math.floor(n / 1000)}.${String(n % 1000).padStart(3, '0')}`);
  fc.assert(
    fc.property(zones, months, cuts, counts, amount, (zone, [year, month], at, dayCount, text) => {
      const next = month === 12 ? `${year + 1}-01-01` : `${year}-${pad(month + 1)}-01`;
      const whole = period(`${year}-${pad(month)}-01`, next, zone);
      const edges = [0, ...at.sort((a, b) => a - b), 1].map(
        (f) => whole.from + Math.round((whole.to - whole.from) * f),
      );
      const fee = { key: 'base', amount: text, per: 'period' as const, prorate: true };
      const cents = (part: { from: number; to: number }): bigint => {
        const { before, through } = rateFee(fee, 3n, whole, part, dayCount);
        return roundTo(through, 2, 'half-up') - roundTo(before, 2, 'half-up');
      };
      const sum = edges.slice(1).reduce((all, to, i) => all + cents({ from: edges[i] as number, to }), 0n);
      assert.equal(sum, cents(whole));
    }),
    { numRuns: process.env.CI === 'true' ? 3000 : 200 },
  );
});

test('a fee says how its part came about', () => {
  const whole = period('2026-05-01', '2026-06-01');
  const fee = { key: 'base', amount: '49.00', per: 'period' as const, prorate: true };
  const part = { from: whole.from, to: parseInstant('2026-05-18', 'UTC') };
  const rated = rateFee(fee, 2n, whole, part, 'days');
  assert.deepEqual(rated.steps, [
    { text: 'fee, 17 of 31 days', quantity: '34/31', unit: null, price: '49', amount: '1666/31' },
  ]);
  const all = { text: 'fee', quantity: '2', unit: null, price: '49', amount: '98' };
  for (const whole_ of [
    rateFee(fee, 2n, whole, whole, 'days'),
    rateFee({ ...fee, prorate: false }, 2n, whole, part, 'days'),
    rateFee({ ...fee, per: 'once' }, 2n, whole, part, 'days'),
  ]) {
    assert.equal(exactText(whole_.exact), '98');
    assert.deepEqual(whole_.steps, [all]);
  }
});
