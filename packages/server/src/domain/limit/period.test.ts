import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatInstant, parseInstant } from '../calendar.ts';
import { OneLimit } from '../testing/one-limit.ts';
import { type QuotaPeriod, quotaPeriods } from './limit.ts';
import { periodAfter, periodAt } from './period.ts';

/** Each row: zone, period, [anchor,] instant -> start, end, hours. All local times of the zone. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [question = '', answer = ''] = row.split('->');
    const [zone = '', period = '', first = '', second] = question.trim().split(/\s+/);
    const [anchor, at] = second === undefined ? [0, first] : [parseInstant(first, zone), second];
    const { from, to } = periodAt({ zone, anchor }, period as QuotaPeriod, parseInstant(at, zone));
    const local = (t: number): string => formatInstant(t, zone).slice(0, 16);
    assert.equal(`${local(from)} ${local(to)} ${(to - from) / 3_600_000}`, answer.trim().replaceAll(/\s+/g, ' '), row);
  }
}

test('days, weeks, months and years are those of the account’s zone', () =>
  check(`
    UTC            day   2026-11-22T12:00 -> 2026-11-22T00:00 2026-11-23T00:00 24
    UTC            day   2026-11-22T00:00 -> 2026-11-22T00:00 2026-11-23T00:00 24
    Asia/Kathmandu day   2026-11-22T23:59 -> 2026-11-22T00:00 2026-11-23T00:00 24
    Europe/Berlin  week  2026-11-22T12:00 -> 2026-11-16T00:00 2026-11-23T00:00 168
    Europe/Berlin  month 2026-11-30T23:59 -> 2026-11-01T00:00 2026-12-01T00:00 720
    Europe/Berlin  month 2027-02-10T00:00 -> 2027-02-01T00:00 2027-03-01T00:00 672
    Europe/Berlin  year  2026-12-31T23:59 -> 2026-01-01T00:00 2027-01-01T00:00 8760
    Europe/Berlin  year  2028-01-01T00:00 -> 2028-01-01T00:00 2029-01-01T00:00 8784
    Pacific/Chatham year 2026-06-01T00:00 -> 2026-01-01T00:00 2027-01-01T00:00 8760
  `));

test('a day has 23 or 25 hours where the clock changes, and a month one less or more', () =>
  check(`
    Europe/Berlin       day   2026-03-29T12:00 -> 2026-03-29T00:00 2026-03-30T00:00 23
    Europe/Berlin       day   2026-10-25T12:00 -> 2026-10-25T00:00 2026-10-26T00:00 25
    Europe/Berlin       month 2026-03-15T12:00 -> 2026-03-01T00:00 2026-04-01T00:00 743
    Europe/Berlin       month 2026-10-15T12:00 -> 2026-10-01T00:00 2026-11-01T00:00 745
    Australia/Lord_Howe day   2026-04-05T12:00 -> 2026-04-05T00:00 2026-04-06T00:00 24.5
  `));

test('where midnight is skipped the day begins at the first instant it has; a skipped date is in no day', () =>
  check(`
    America/Sao_Paulo day     2018-11-04T12:00            -> 2018-11-04T01:00 2018-11-05T00:00 23
    Asia/Beirut       day     2026-03-29T12:00            -> 2026-03-29T01:00 2026-03-30T00:00 23
    Pacific/Apia      day     2011-12-29T12:00            -> 2011-12-29T00:00 2011-12-31T00:00 24
    Pacific/Apia      month   2011-12-15T12:00            -> 2011-12-01T00:00 2012-01-01T00:00 720
    Pacific/Apia      billing 2011-01-30 2011-12-29T12:00 -> 2011-11-30T00:00 2011-12-31T00:00 720
    Pacific/Apia      billing 2011-01-30 2011-12-31T00:00 -> 2011-12-31T00:00 2012-01-30T00:00 720
  `));

test('a billing period begins on the day of the subscription at midnight, clamped to short months, and returns to it', () =>
  check(`
    UTC           billing 2026-01-15T17:45 2026-11-22T00:00 -> 2026-11-15T00:00 2026-12-15T00:00 720
    UTC           billing 2026-01-15T17:45 2026-11-14T23:59 -> 2026-10-15T00:00 2026-11-15T00:00 744
    UTC           billing 2026-01-31T10:00 2026-01-31T12:00 -> 2026-01-31T00:00 2026-02-28T00:00 672
    UTC           billing 2026-01-31T10:00 2026-03-01T00:00 -> 2026-02-28T00:00 2026-03-31T00:00 744
    UTC           billing 2026-01-31T10:00 2026-03-31T00:00 -> 2026-03-31T00:00 2026-04-30T00:00 720
    UTC           billing 2026-01-31T10:00 2028-02-15T00:00 -> 2028-01-31T00:00 2028-02-29T00:00 696
    UTC           billing 2026-01-29T10:00 2027-02-28T00:00 -> 2027-02-28T00:00 2027-03-29T00:00 696
    UTC           billing 2026-01-30T10:00 2100-02-28T00:00 -> 2100-02-28T00:00 2100-03-30T00:00 720
    UTC           billing 2026-12-31T10:00 2026-02-15T00:00 -> 2026-01-31T00:00 2026-02-28T00:00 672
    Europe/Berlin billing 2026-01-29T00:00 2026-03-29T12:00 -> 2026-03-29T00:00 2026-04-29T00:00 743
    America/Sao_Paulo billing 2018-01-04T09:00 2018-11-10T12:00 -> 2018-11-04T01:00 2018-12-04T00:00 719
  `));

const zones = [
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'Asia/Beirut',
  'America/St_Johns',
  'Pacific/Kiritimati',
];

test('periods follow each other without a gap, and every instant of one finds it', () =>
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.constantFrom(...quotaPeriods),
      fc.integer({ min: parseInstant('1987-01-01', 'UTC'), max: parseInstant('2037-01-01', 'UTC') }),
      fc.integer({ min: parseInstant('2010-01-01', 'UTC'), max: parseInstant('2027-01-01', 'UTC') }),
      fc.nat(1000),
      (zone, period, t, anchor, share) => {
        const calendar = { zone, anchor };
        const { from, to } = periodAt(calendar, period, t);
        assert.ok(from <= t && t < to);
        assert.equal(periodAt(calendar, period, to).from, to);
        assert.equal(periodAt(calendar, period, from - 1).to, from);
        const inside = from + Math.floor(((to - from - 1) * share) / 1000);
        assert.deepEqual(periodAt(calendar, period, inside), { from, to });
      },
    ),
    { numRuns: process.env.CI === 'true' ? 5000 : 300 },
  ));

test('an account that moves to another zone finishes its period; what zones differ by is added to it, not given', () => {
  const at = (text: string): number => parseInstant(text, 'UTC');
  const newYork = { zone: 'America/New_York', anchor: 0 };
  const berlinOctoberEnds = at('2026-10-31T23:00:00Z');
  assert.deepEqual(periodAfter(berlinOctoberEnds, newYork, 'month', berlinOctoberEnds), {
    from: berlinOctoberEnds,
    to: at('2026-11-01T04:00:00Z'),
    joined: true,
  });
  const newYorkOctoberEnds = at('2026-11-01T04:00:00Z');
  assert.deepEqual(periodAfter(newYorkOctoberEnds, { zone: 'Europe/Berlin', anchor: 0 }, 'month', newYorkOctoberEnds), {
    from: newYorkOctoberEnds,
    to: at('2026-11-30T23:00:00Z'),
    joined: false,
  });
});

test('a quota counts through a move to another zone, and no budget is given for the hours between', () => {
  const limit = new OneLimit({ kind: 'quota', amount: 10, period: 'month' }, { zone: 'Europe/Berlin', anchor: 0 });
  assert.equal(limit.ask(10, parseInstant('2026-10-15T00:00:00Z', 'UTC')).allowed, true);
  limit.calendar.zone = 'America/New_York';
  assert.equal(limit.ask(1, parseInstant('2026-10-31T22:59:59Z', 'UTC')).allowed, false);
  assert.equal(limit.ask(1, parseInstant('2026-10-31T23:00:00Z', 'UTC')).allowed, false);
  assert.equal(limit.ask(10, parseInstant('2026-11-01T04:00:00Z', 'UTC')).allowed, true);
});

test('a week is a week from Monday and a month a month: not 604,800 s from 1970, not 30 days', () => {
  const week = new OneLimit({ kind: 'quota', amount: 1, period: 'week' });
  assert.equal(week.ask(1, parseInstant('2026-11-25', 'UTC')).allowed, true);
  // A Thursday: the windows of envoyproxy/ratelimit begin here.
  assert.equal(week.ask(1, parseInstant('2026-11-26', 'UTC')).allowed, false);
  assert.equal(week.ask(1, parseInstant('2026-11-30', 'UTC')).allowed, true);
  const month = new OneLimit({ kind: 'quota', amount: 1, period: 'month' });
  assert.equal(month.ask(1, parseInstant('2026-10-01', 'UTC')).allowed, true);
  assert.equal(month.ask(1, parseInstant('2026-10-31T23:59:59Z', 'UTC')).allowed, false);
  assert.equal(month.ask(1, parseInstant('2026-11-01', 'UTC')).allowed, true);
});

test('a quota opens no period twice: the clock an hour back over midnight finds the new one still', () => {
  const midnight = parseInstant('2026-11-22', 'UTC');
  const limit = new OneLimit({ kind: 'quota', amount: 5, period: 'day' });
  limit.ask(5, midnight - 1000);
  assert.equal(limit.ask(5, midnight).allowed, true);
  const back = limit.ask(1, midnight - 3_600_000);
  assert.deepEqual([back.allowed, back.resetAt], [false, midnight + 86_400_000]);
  assert.equal(limit.ask(1, midnight + 10).allowed, false);
});
