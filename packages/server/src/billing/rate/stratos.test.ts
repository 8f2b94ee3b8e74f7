/** What WSO2 Stratos and CloudStack billed wrong comes out right: amounts from their own arithmetic, as cases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DayCount } from '../../domain/billing/conventions.ts';
import { majorText } from '../../domain/money/money.ts';
import { exactText, ofDecimal, type Ratio, ratio, roundTo, ZERO } from '../../domain/money/ratio.ts';
import { discountAmount, readBounds } from './bounds.ts';
import { rateFee, rateUsage } from './index.ts';
import { context, period, priceOf, stepTexts, usage, used } from './testing/world.ts';

const DAY = 86_400_000;
const dollars = (exact: Ratio): string => majorText(roundTo(exact, 2, 'half-up'), 2);
const april = period('2026-04-01', '2026-05-01');

/** A monthly fee for so many days of April, less a discount. */
const feeFor = (amount: string, days: number, discountPercent: string, dayCount: DayCount): Ratio => {
  const fee = { key: 'subscription', amount, per: 'period' as const, prorate: true };
  const { exact } = rateFee(fee, 1n, april, { from: april.from, to: april.from + days * DAY }, dayCount);
  const bounds = readBounds({ discountPercent, minimum: null, maximum: null, commitment: null });
  return discountAmount(exact, bounds).amount;
};

/** Each row: price, discount, days -> what is due. What the original billed stands behind it. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [amount = '', discount = '', days = '', , expected] = row.trim().split(/\s+/);
    for (const dayCount of ['days', 'thirty'] as const)
      assert.equal(dollars(feeFor(amount, Number(days), discount, dayCount)), expected, `${row} by ${dayCount}`);
  }
}

test('Stratos: discounts and parts of a month to the cent', () =>
  check(`
    500   10  30 -> 450.00   449.99
    100   10  30 -> 90.00    89.99
    2000  10  30 -> 1800.00  1799.99
    500   5   30 -> 475.00   474.99
    500   30  30 -> 350.00   349.99
    500   15  30 -> 425.00   425.00
    500   20  30 -> 400.00   400.00
    500   25  30 -> 375.00   375.00
    500   0   17 -> 283.33   284.99
    500   0   28 -> 466.67   500.00
    0     10  30 -> 0.00     null pointer, the whole run rolled back
  `));

test('Stratos: no day count loses a cent', () => {
  for (const price of [100, 500, 2000])
    for (let days = 0; days <= 30; days++) {
      const right = Math.floor((price * 100 * days * 2 + 30) / 60);
      const due = roundTo(feeFor(String(price), days, '0', 'days'), 2, 'half-up');
      assert.equal(due, BigInt(right), `${price} for ${days} days`);
    }
});

const perMegabyte = (unit: string) =>
  priceOf({
    model: { model: 'per_unit', unit },
    per: { divideBy: '1048576', round: 'floor', unit: 'MB' },
    included: { entitlement: 'bandwidth' },
  });
const MB = 1_048_576n;
const overuse = (unit: string, megabytes: bigint, included: Ratio | 'unlimited'): Ratio =>
  rateUsage(perMegabyte(unit), usage([used(ratio(megabytes * MB))], { included }), context()).exact;

test('Stratos: a price of three decimals works, and is rounded once', () => {
  assert.equal(exactText(overuse('0.005', 3n, ZERO)), '0.015');
  assert.equal(dollars(overuse('0.005', 3n, ZERO)), '0.02');
  assert.equal(dollars(overuse('0.005', 1_000_001n, ZERO)), '5000.01');
});

test('Stratos: an unlimited plan has no overuse', () => {
  const rated = rateUsage(perMegabyte('0.03'), usage([used(ratio(10n * MB))], { included: 'unlimited' }), context());
  assert.deepEqual([exactText(rated.exact), stepTexts(rated)], ['0', ['included: 10 MB = 0']]);
  assert.equal(dollars(overuse('0.03', 1537n, ofDecimal('1536'))), '0.03');
});

test('Stratos: a tenant without a price has nothing to discount', () => {
  const price = priceOf({ model: { model: 'per_unit', unit: '0' }, discountPercent: '10' });
  assert.equal(exactText(rateUsage(price, usage([used('50')]), context()).exact), '0');
});

test('CloudStack: a month is the hours it has, not 720', () => {
  const per = { divideBy: 'month', round: 'none', unit: 'vm month' } as const;
  const price = priceOf({ model: { model: 'per_unit', unit: '10' }, per });
  for (const [from, to, zone, hours] of [
    ['2026-01-01', '2026-02-01', 'UTC', '744'],
    ['2026-02-01', '2026-03-01', 'UTC', '672'],
    ['2024-02-01', '2024-03-01', 'UTC', '696'],
    ['2026-04-01', '2026-05-01', 'UTC', '720'],
    ['2026-03-01', '2026-04-01', 'Europe/Berlin', '743'],
    ['2026-10-01', '2026-11-01', 'Europe/Berlin', '745'],
  ] as const) {
    const whole = period(from, to, zone);
    const length = ratio(BigInt(whole.to - whole.from), 3_600_000n);
    assert.equal(exactText(length), hours);
    const all = rateUsage(price, usage([used(length)]), context({ hours: length }));
    assert.equal(exactText(all.exact), '10', 'a machine that ran all month costs its month');
    const hour = rateUsage(price, usage([used('1')]), context({ hours: length }));
    assert.equal(exactText(hour.exact), exactText(ratio(10n, BigInt(hours))));
  }
});
