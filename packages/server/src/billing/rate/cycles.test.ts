import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInstant } from '../../domain/calendar.ts';
import { fractionText } from '../../domain/money/ratio.ts';
import { billingCycles } from './cycles.ts';
import { RateError } from './rate-error.ts';

/** Each row: months, day of the month, start/end (or ..), target -> cycles. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [months, day, span = '', target = '', , expected] = row.trim().split(/\s+/);
    const [start = '', end = ''] = span.split('/');
    const cycles = billingCycles({
      zone: 'UTC',
      start: parseInstant(start, 'UTC'),
      end: end === '..' ? null : parseInstant(end, 'UTC'),
      target: parseInstant(target, 'UTC'),
      months: Number(months),
      day: Number(day),
    });
    assert.equal(fractionText(cycles), expected, row);
  }
}

test('cycles begin on their day, on the last one of shorter months, and parts count by their own cycle', () =>
  check(`
    1  31 2026-01-31/..         2026-01-30 -> 0
    1  31 2026-01-31/..         2026-01-31 -> 1
    1  31 2026-01-31/..         2026-02-27 -> 1
    1  31 2026-01-31/..         2026-02-28 -> 2
    1  31 2026-01-31/2026-03-14 2026-03-31 -> 45/31
    1  31 2024-01-31/2024-03-01 2024-03-31 -> 32/31
    1  30 2026-02-10/..         2026-02-10 -> 18/29
    3  30 2025-11-30/2026-02-28 2026-02-27 -> 1
    12 29 2024-02-29/2025-02-28 2026-01-01 -> 1
    12 29 2024-02-29/2025-03-01 2026-01-01 -> 366/365
    1  15 2026-03-20/2026-04-04 2026-03-20 -> 15/31
    1  15 2026-01-01/2026-01-11 2026-06-01 -> 10/31
  `));

test('a cycle without a length, or on a day that no month has, is refused', () => {
  const terms = { zone: 'UTC', start: 0, end: null, target: 0, months: 1, day: 1 };
  for (const wrong of [{ months: 0 }, { months: Number.NaN }, { day: 0 }, { day: 32 }])
    assert.throws(() => billingCycles({ ...terms, ...wrong }), RateError);
});
