import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatInstant, parseInstant } from '../../domain/calendar.ts';
import { periodAfter, periodAt } from '../../domain/limit/period.ts';
import type { BillingPeriod } from '../../domain/price/price.ts';
import { type BillingCalendar, type CalendarSpan, gridAt, periodsOf } from './period.ts';

const unitsOf: Record<string, BillingPeriod> = {
  month: { unit: 'month', count: 1 },
  quarter: { unit: 'month', count: 3 },
  year: { unit: 'year', count: 1 },
  '2years': { unit: 'year', count: 2 },
  week: { unit: 'week', count: 1 },
  '2weeks': { unit: 'week', count: 2 },
  day: { unit: 'day', count: 1 },
  '10days': { unit: 'day', count: 10 },
};

/** Each row: zone, length, alignment, anchor, instant -> start, end. All local times of the zone. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [question = '', answer = ''] = row.split('->');
    const [zone = '', length = '', align = '', anchor = '', at = ''] = question.trim().split(/\s+/);
    const calendar: BillingCalendar = {
      zone,
      anchor: parseInstant(anchor, zone),
      period: unitsOf[length] as BillingPeriod,
      align: align === 'calendar' ? 'calendar' : 'subscription',
    };
    const { from, to } = gridAt(calendar, parseInstant(at, zone));
    const local = (t: number): string => formatInstant(t, zone).slice(0, 16);
    assert.equal(`${local(from)} ${local(to)}`, answer.trim().replaceAll(/\s+/g, ' '), row);
  }
}

test('a month begins on the anchor’s day, on its last one where it has none, and on the day again after it', () =>
  check(`
    UTC           month sub 2026-01-15T17:45 2026-11-14T23:59 -> 2026-10-15T00:00 2026-11-15T00:00
    UTC           month sub 2026-01-29T10:00 2026-02-28T00:00 -> 2026-02-28T00:00 2026-03-29T00:00
    UTC           month sub 2026-01-30T10:00 2026-03-01T00:00 -> 2026-02-28T00:00 2026-03-30T00:00
    UTC           month sub 2026-01-31T10:00 2026-03-31T00:00 -> 2026-03-31T00:00 2026-04-30T00:00
    UTC           month sub 2026-01-31T10:00 2026-05-30T23:59 -> 2026-04-30T00:00 2026-05-31T00:00
    UTC           month sub 2026-01-31T10:00 2028-02-29T00:00 -> 2028-02-29T00:00 2028-03-31T00:00
    UTC           month sub 2026-11-30T10:00 2025-02-10T00:00 -> 2025-01-30T00:00 2025-02-28T00:00
    Europe/Berlin month sub 2026-03-01       2026-03-29T12:00 -> 2026-03-01T00:00 2026-04-01T00:00
  `));

test('a leap day’s anniversary is on 28 February in other years, and on 29 in leap years', () =>
  check(`
    UTC year sub 2024-02-29 2025-02-27T23:59 -> 2024-02-29T00:00 2025-02-28T00:00
    UTC year sub 2024-02-29 2025-02-28       -> 2025-02-28T00:00 2026-02-28T00:00
    UTC year sub 2024-02-29 2028-02-28T12:00 -> 2027-02-28T00:00 2028-02-29T00:00
    UTC year sub 2024-02-29 2028-02-29       -> 2028-02-29T00:00 2029-02-28T00:00
  `));

test('quarters, years, weeks and days count from the anchor, or begin where the calendar’s do', () =>
  check(`
    UTC           quarter sub      2025-12-03 2026-02-01 -> 2025-12-03T00:00 2026-03-03T00:00
    UTC           quarter sub      2025-11-30 2026-03-01 -> 2026-02-28T00:00 2026-05-30T00:00
    UTC           quarter calendar 2026-02-11 2026-02-11 -> 2026-01-01T00:00 2026-04-01T00:00
    UTC           month   calendar 2026-02-11 2026-02-11 -> 2026-02-01T00:00 2026-03-01T00:00
    UTC           year    calendar 2026-02-11 2026-02-11 -> 2026-01-01T00:00 2027-01-01T00:00
    UTC           week    calendar 2026-11-18 2026-11-22 -> 2026-11-16T00:00 2026-11-23T00:00
    UTC           week    sub      2026-11-18 2026-11-22 -> 2026-11-18T00:00 2026-11-25T00:00
    UTC           2weeks  calendar 2026-11-18 2026-11-30 -> 2026-11-30T00:00 2026-12-14T00:00
    Europe/Berlin 10days  sub      2026-03-25 2026-03-30 -> 2026-03-25T00:00 2026-04-04T00:00
    Europe/Berlin 10days  sub      2026-03-25 2026-03-20 -> 2026-03-15T00:00 2026-03-25T00:00
    Pacific/Apia  day     sub      2011-12-01 2011-12-29T12:00 -> 2011-12-29T00:00 2011-12-31T00:00
  `));

const month = (zone: string, anchor: number, align: 'subscription' | 'calendar' = 'subscription'): BillingCalendar => ({
  zone,
  anchor,
  period: { unit: 'month', count: 1 },
  align,
});
const END = 8_000_000_000_000;

function periods(spans: readonly CalendarSpan[], until: number, after = 0) {
  const found = [];
  for (const period of periodsOf(spans, after)) {
    if (period.from >= until) break;
    found.push(period);
  }
  return found;
}

const zones = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Apia',
);
const instants = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 });

test('property: billing months are the quota periods of the same anchor and zone', () =>
  fc.assert(
    fc.property(zones, instants, instants, (zone, anchor, t) => {
      assert.deepEqual(gridAt(month(zone, anchor), t), { ...periodAt({ zone, anchor }, 'billing', t) });
    }),
  ));

test('property: after a change of zone billing and quotas go on with the same periods', () =>
  fc.assert(
    fc.property(zones, zones, instants, fc.integer({ min: 1, max: 90 * 86_400_000 }), (a, b, anchor, later) => {
      const moved = anchor + later;
      const spans = [
        { from: anchor, to: moved, calendar: month(a, anchor), own: true },
        { from: moved, to: END, calendar: month(b, anchor), own: true },
      ];
      const found = periods(spans, moved + 120 * 86_400_000);
      // As a quota's counter does it: it keeps its period, and asks for what comes after it when it is over.
      const ends = [periodAt({ zone: a, anchor }, 'billing', anchor).to];
      while (ends.length <= found.length) {
        const end = ends.at(-1) as number;
        const next = periodAfter(end, { zone: end >= moved ? b : a, anchor }, 'billing', end);
        if (next.joined) ends[ends.length - 1] = next.to;
        else ends.push(next.to);
      }
      assert.deepEqual(
        found.map(({ to }) => to),
        ends.slice(0, found.length),
      );
    }),
  ));

test('property: periods follow each other without a hole, wherever one begins to ask', () =>
  fc.assert(
    fc.property(
      zones,
      zones,
      instants,
      fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 4 }),
      (a, b, start, days) => {
        const spans: CalendarSpan[] = [];
        let from = start;
        for (const [i, length] of [...days, 0].entries()) {
          const to = length === 0 ? END : from + length * 86_400_000;
          const period = Object.values(unitsOf)[(i * 3 + length) % 8] as BillingPeriod;
          spans.push({ from, to, calendar: { ...month(i % 2 === 0 ? a : b, start), period }, own: i % 3 !== 1 });
          from = to;
        }
        const all = periods(spans, start + 900 * 86_400_000);
        for (const [i, period] of all.entries()) {
          assert.ok(period.from < period.to);
          assert.ok(period.whole.from <= period.countFrom && period.to <= period.whole.to, JSON.stringify(period));
          if (i > 0) assert.equal(period.from, all[i - 1]?.to);
        }
        const middle = all[Math.floor(all.length / 2)];
        if (middle !== undefined) assert.deepEqual(periods(spans, middle.to, middle.from), [middle]);
      },
    ),
  ));

test('a subscription of 10:30 has its whole first month; one that began in the middle of a calendar month a part', () => {
  const at = (text: string): number => parseInstant(text, 'UTC');
  const [first] = periods(
    [{ from: at('2026-01-10T10:30'), to: END, calendar: month('UTC', at('2026-01-10T10:30')), own: true }],
    END / 4,
  );
  assert.deepEqual([first?.countFrom, first?.leading], [at('2026-01-10'), false]);
  const calendar = month('UTC', at('2026-01-10T10:30'), 'calendar');
  const [part] = periods([{ from: at('2026-01-10T10:30'), to: END, calendar, own: true }], END / 4);
  assert.deepEqual([part?.countFrom, part?.leading, part?.to], [at('2026-01-10T10:30'), true, at('2026-02-01')]);
});
