import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CalendarError,
  type CalendarUnit,
  EDGES_MAX,
  edges,
  endOfDay,
  formatInstant,
  formatRange,
  isZone,
  parseInstant,
} from './calendar.ts';

const utc = (text: string): number => parseInstant(text, 'UTC');
const hours = (ms: number): number => ms / 3_600_000;
const lengths = (list: readonly number[]): number[] => list.slice(1).map((edge, i) => hours(edge - (list[i] ?? 0)));
const refused = (code: string) => (error: unknown) =>
  error instanceof CalendarError && error instanceof RangeError && error.code === code;

/** Each row: zone, unit, from, to (local times of the zone) -> the edges in local time. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [question = '', answer = ''] = row.split('->');
    const [zone = '', unit = '', from = '', to = ''] = question.trim().split(/\s+/);
    const got = edges(zone, unit as CalendarUnit, parseInstant(from, zone), parseInstant(to, zone));
    assert.equal(got.map((edge) => formatInstant(edge, zone)).join(' '), answer.trim().replaceAll(/\s+/g, ' '), row);
  }
}

test('edges fall on local midnights, Mondays, firsts of the month and whole hours, and cover the range', () =>
  check(`
    UTC                day    2026-11-21       2026-11-23        -> 2026-11-21T00:00:00Z 2026-11-22T00:00:00Z 2026-11-23T00:00:00Z
    UTC                day    2026-11-21T05:00 2026-11-22T05:00  -> 2026-11-21T00:00:00Z 2026-11-22T00:00:00Z 2026-11-23T00:00:00Z
    UTC                day    2026-11-21       2026-11-21        -> 2026-11-21T00:00:00Z
    UTC                day    2026-11-21T05:00 2026-11-21T05:00  -> 2026-11-21T00:00:00Z 2026-11-22T00:00:00Z
    UTC                week   2026-11-21       2026-11-24        -> 2026-11-16T00:00:00Z 2026-11-23T00:00:00Z 2026-11-30T00:00:00Z
    UTC                week   1970-01-07       1970-01-08        -> 1970-01-05T00:00:00Z 1970-01-12T00:00:00Z
    UTC                month  2028-02-29       2028-03-01        -> 2028-02-01T00:00:00Z 2028-03-01T00:00:00Z
    UTC                month  2026-12-31T23:59 2027-01-01T00:01  -> 2026-12-01T00:00:00Z 2027-01-01T00:00:00Z 2027-02-01T00:00:00Z
    Europe/Berlin      month  2026-10-15       2026-11-02        -> 2026-10-01T00:00:00+02:00 2026-11-01T00:00:00+01:00 2026-12-01T00:00:00+01:00
    Asia/Kathmandu     hour   2026-01-01T00:30 2026-01-01T01:30  -> 2026-01-01T00:00:00+05:45 2026-01-01T01:00:00+05:45 2026-01-01T02:00:00+05:45
    Asia/Kolkata       day    2026-01-01       2026-01-02        -> 2026-01-01T00:00:00+05:30 2026-01-02T00:00:00+05:30
    Pacific/Chatham    day    2026-01-01       2026-01-02        -> 2026-01-01T00:00:00+13:45 2026-01-02T00:00:00+13:45
    Asia/Kathmandu     minute 2026-01-01T00:01:30 2026-01-01T00:02:30 -> 2026-01-01T00:01:00+05:45 2026-01-01T00:02:00+05:45 2026-01-01T00:03:00+05:45
  `));

test('a day that loses or gains an hour is 23 or 25 hours long, and its hours are cut at the change', () => {
  check(`
    Europe/Berlin      day    2026-03-29       2026-03-30        -> 2026-03-29T00:00:00+01:00 2026-03-30T00:00:00+02:00
    Europe/Berlin      hour   2026-03-29T01:00 2026-03-29T04:00  -> 2026-03-29T01:00:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T04:00:00+02:00
    Europe/Berlin      hour   2026-10-25T01:00 2026-10-25T03:00  -> 2026-10-25T01:00:00+02:00 2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T03:00:00+01:00
    Australia/Lord_Howe hour  2026-04-05T01:00 2026-04-05T02:00  -> 2026-04-05T01:00:00+11:00 2026-04-05T01:30:00+10:30 2026-04-05T02:00:00+10:30
    Australia/Lord_Howe hour  2026-10-04T01:00 2026-10-04T03:00  -> 2026-10-04T01:00:00+10:30 2026-10-04T02:30:00+11:00 2026-10-04T03:00:00+11:00
  `);
  const day = (date: string, next: string) =>
    lengths(edges('Europe/Berlin', 'day', parseInstant(date, 'Europe/Berlin'), parseInstant(next, 'Europe/Berlin')));
  assert.deepEqual(day('2026-03-29', '2026-03-30'), [23]);
  assert.deepEqual(day('2026-10-25', '2026-10-26'), [25]);
  assert.equal(edges('Europe/Berlin', 'hour', utc('2026-10-24T22:00:00Z'), utc('2026-10-25T23:00:00Z')).length, 26);
});

test('a day whose midnight is skipped begins at the first instant it has; one that has two, at the first', () =>
  check(
    `
    America/Sao_Paulo  day    2018-11-03       2018-11-05        -> 2018-11-03T00:00:00-03:00 2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00
    America/Sao_Paulo  day    2018-02-17       2018-02-18        -> 2018-02-17T00:00:00-02:00 2018-02-18T00:00:00-03:00
    Africa/Cairo       day    2023-04-28       2023-04-29        -> 2023-04-28T01:00:00+03:00 2023-04-29T00:00:00+03:00
    Africa/Cairo       day    2026-10-29       2026-10-30        -> 2026-10-29T00:00:00+03:00 2026-10-30T00:00:00+02:00
    Asia/Beirut        day    2026-03-29       2026-03-30        -> 2026-03-29T01:00:00+03:00 2026-03-30T00:00:00+03:00
    Asia/Beirut        hour   2026-03-28T23:00 2026-03-29T02:00  -> 2026-03-28T23:00:00+02:00 2026-03-29T01:00:00+03:00 2026-03-29T02:00:00+03:00
    America/Havana     day    2026-11-01       2026-11-02        -> 2026-11-01T00:00:00-04:00 2026-11-02T00:00:00-05:00
    Pacific/Apia       day    2011-12-29       2011-12-31T01:00  -> 2011-12-29T00:00:00-10:00 2011-12-31T00:00:00+14:00 2012-01-01T00:00:00+14:00
  `
      .split('\n')
      .filter((row) => !row.includes('1919'))
      .join('\n'),
  ));

test('a midnight that strikes twice a minute apart from an hour counts once, and the range stays covered', () => {
  // St. John's until 2011: at 00:01 back to 23:01 of the day before.
  const zone = 'America/St_Johns';
  const second = parseInstant('2010-11-06T23:30:00-03:30', zone);
  const got = edges(zone, 'day', second, second + 3_600_000);
  assert.deepEqual(
    got.map((edge) => formatInstant(edge, zone)),
    ['2010-11-07T00:00:00-02:30', '2010-11-08T00:00:00-03:30'],
  );
});

test('openmeter#3313: a month in a zone begins at its own midnight, with the offset of that day and not of the query', () => {
  const months = edges('America/New_York', 'month', utc('2026-10-10T00:00:00Z'), utc('2026-12-10T00:00:00Z'));
  assert.deepEqual(
    months.map((edge) => formatInstant(edge, 'UTC')),
    ['2026-10-01T04:00:00Z', '2026-11-01T04:00:00Z', '2026-12-01T05:00:00Z', '2027-01-01T05:00:00Z'],
  );
  // An hour before its first in UTC, the month has begun in Berlin.
  const berlin = edges('Europe/Berlin', 'month', utc('2026-10-31T23:30:00Z'), utc('2026-10-31T23:45:00Z'));
  assert.equal(formatInstant(berlin[0] ?? 0, 'UTC'), '2026-10-31T23:00:00Z');
});

test('killbill#1934: the boundaries of a month are the same whatever season they are asked from', () => {
  const zone = 'America/New_York';
  const year = [utc('2026-01-20T12:00:00Z'), utc('2027-01-20T12:00:00Z')] as const;
  const all = edges(zone, 'month', ...year);
  for (let t = year[0]; t < year[1]; t += 86_400_000 * 5) {
    assert.deepEqual(edges(zone, 'month', t, year[1]), all.slice(all.findLastIndex((edge) => edge <= t)));
  }
  assert.deepEqual([...new Set(all.map((edge) => formatInstant(edge, zone).slice(8, 19)))], ['01T00:00:00']);
});

/** The long form takes all: reading the rules of a zone takes longer than what is asked of it. What is left out is of every continent. */
const someZones = (): string[] =>
  Intl.supportedValuesOf('timeZone').filter((_, i) => process.env.CI === 'true' || i % 5 === 0);

test('every zone in use: edges ascend on the window grid and cover 2026 and 2027, and a month is the sum of its days', () => {
  const from = utc('2026-01-01T00:00:00Z');
  const to = utc('2028-01-01T00:00:00Z');
  assert.ok(Intl.supportedValuesOf('timeZone').length > 400);
  for (const zone of someZones()) {
    const days = covering(zone, 'day', from - 31 * 86_400_000, to + 31 * 86_400_000);
    for (const length of lengths(days)) assert.ok(length >= 22 && length <= 26, `${zone}: a day of ${length} hours`);
    assert.ok(holds(days, covering(zone, 'week', from, to)), `${zone}: a week is the sum of its days`);
    assert.ok(holds(days, covering(zone, 'month', from, to)), `${zone}: a month is the sum of its days`);
    assert.ok(holds(covering(zone, 'hour', from, to), days.slice(32, -32)), `${zone}: a day is the sum of its hours`);
  }
});

/** Every edge of `coarse` is one of `fine`. */
function holds(fine: readonly number[], coarse: readonly number[]): boolean {
  let at = 0;
  return coarse.every((edge) => {
    while (at < fine.length && (fine[at] ?? 0) < edge) at++;
    return fine[at] === edge;
  });
}

function covering(zone: string, unit: CalendarUnit, from: number, to: number): number[] {
  const got = edges(zone, unit, from, to);
  assert.ok((got[0] ?? Number.NaN) <= from && (got[1] ?? Number.NaN) > from, `${zone} ${unit}: begins right`);
  assert.ok((got.at(-1) ?? Number.NaN) >= to && (got.at(-2) ?? Number.NaN) < to, `${zone} ${unit}: ends right`);
  for (let i = 0; i < got.length; i++) {
    const edge = got[i] ?? Number.NaN;
    // Not by assert: there are millions of them.
    if (edge % 900_000 !== 0 || (i > 0 && edge <= (got[i - 1] ?? 0))) assert.fail(`${zone} ${unit}: ${edge}`);
  }
  return got;
}

test('local time agrees with the platform in every zone', () => {
  // Steps of a prime number of minutes: in time they meet every hour of the day.
  const step = (process.env.CI === 'true' ? 367 : 36_007) * 60_000;
  for (const zone of someZones()) {
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
    for (let t = utc('2026-01-01T00:00:00Z'); t < utc('2028-01-01T00:00:00Z'); t += step) {
      const text = formatInstant(t, zone);
      assert.equal(text.slice(0, 19).replace('T', ' '), format.format(t), `${zone} at ${t}`);
      assert.equal(parseInstant(text, zone), t);
    }
  }
});

test('edges of a part of a range are those of the whole', () =>
  fc.assert(
    fc.property(
      fc.constantFrom(...Intl.supportedValuesOf('timeZone')),
      fc.constantFrom('hour' as const, 'day' as const, 'week' as const, 'month' as const),
      fc.integer({ min: 0, max: 70 * 365 }),
      fc.array(fc.integer({ min: 0, max: 40 * 1440 }), { minLength: 2, maxLength: 2 }),
      (zone, unit, day, minutes) => {
        const start = day * 86_400_000;
        const whole = edges(zone, unit, start, start + 40 * 86_400_000);
        const [from = 0, to = 0] = minutes.map((m) => start + m * 60_000).sort((a, b) => a - b);
        const first = whole.findLastIndex((edge) => edge <= from);
        const last = whole.findIndex((edge) => edge >= to);
        const end = from === to && whole[first] !== from ? first + 1 : last;
        assert.deepEqual(edges(zone, unit, from, to), whole.slice(first, end + 1));
      },
    ),
    { numRuns: process.env.CI === 'true' ? 5_000 : 300 },
  ));

/** Each row: text, zone -> the instant in UTC, or the code it is refused with. */
function checkParse(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [question = '', answer = ''] = row.split('->').map((part) => part.trim());
    const [text = '', zone = ''] = question.split('|').map((part) => part.trim());
    if (answer.startsWith('calendar.')) assert.throws(() => parseInstant(text, zone), refused(answer), row);
    else assert.equal(formatInstant(parseInstant(text, zone), 'UTC'), answer, row);
  }
}

test('instants are read in RFC 3339, or as local dates and times of the zone, and refused by name', () =>
  checkParse(`
    2026-11-21T23:00:00Z             | Europe/Berlin     -> 2026-11-21T23:00:00Z
    2026-11-21t23:00:00.1239z        | Europe/Berlin     -> 2026-11-21T23:00:00.123Z
    2026-11-21T23:00:00+01:00        | Asia/Tokyo        -> 2026-11-21T22:00:00Z
    2026-11-21 23:00:00-0330         | Asia/Tokyo        -> 2026-11-22T02:30:00Z
    2026-11-21                       | Europe/Berlin     -> 2026-11-20T23:00:00Z
    2026-11-21T23:00                 | Europe/Berlin     -> 2026-11-21T22:00:00Z
    2026-11-21T23:00:01.5            | Asia/Kathmandu    -> 2026-11-21T17:15:01.500Z
    2016-12-31T23:59:60Z             | UTC               -> 2017-01-01T00:00:00Z
    2026-03-29T02:30                 | Europe/Berlin     -> 2026-03-29T01:30:00Z
    2026-10-25T02:30                 | Europe/Berlin     -> 2026-10-25T00:30:00Z
    2018-11-04                       | America/Sao_Paulo -> 2018-11-04T03:00:00Z
    2018-11-04T00:00                 | America/Sao_Paulo -> 2018-11-04T03:00:00Z
    2011-12-30                       | Pacific/Apia      -> 2011-12-30T10:00:00Z
    1970-01-01                       | America/New_York  -> 1970-01-01T05:00:00Z
    1970-01-01                       | Europe/Berlin     -> calendar.range
    0000-01-01                       | UTC               -> calendar.range
    2026-02-29                       | UTC               -> calendar.instant
    2026-13-01                       | UTC               -> calendar.instant
    2026-00-10                       | UTC               -> calendar.instant
    2026-01-00                       | UTC               -> calendar.instant
    2026-11-21T24:00                 | UTC               -> calendar.instant
    2026-11-21T23:60                 | UTC               -> calendar.instant
    2026-11-21T23:00:00+24:00        | UTC               -> calendar.instant
    2026-11-21T23                    | UTC               -> calendar.instant
    2026-11-21Z                      | UTC               -> calendar.instant
    2026-11                          | UTC               -> calendar.instant
    yesterday                        | UTC               -> calendar.instant
    2026-11-21T23:00:00[Asia/Tokyo]  | UTC               -> calendar.instant
                                     | UTC               -> calendar.instant
    2026-11-21T23:00:00Z             | Europe/Atlantis   -> calendar.zone
  `));

test('instants and ranges are written with the offset of their own day', () => {
  const t = utc('2026-11-21T22:00:00Z');
  assert.equal(formatInstant(t, 'Europe/Berlin'), '2026-11-21T23:00:00+01:00');
  assert.equal(formatInstant(t, 'Europe/London'), '2026-11-21T22:00:00+00:00');
  assert.equal(formatInstant(t + 7, 'America/St_Johns'), '2026-11-21T18:30:00.007-03:30');
  assert.equal(formatInstant(0, 'Africa/Monrovia'), '1969-12-31T23:15:30-00:44:30');
  const [from = 0, to = 0] = edges('Europe/Berlin', 'month', utc('2026-10-10T00:00:00Z'), utc('2026-10-11T00:00:00Z'));
  assert.equal(formatRange(from, to, 'Europe/Berlin'), '2026-10-01T00:00:00+02:00/2026-11-01T00:00:00+01:00');
});

test('a zone is a name of the IANA database and nothing that only looks like one', () => {
  for (const name of [
    'UTC',
    'Europe/Berlin',
    'America/Argentina/ComodRivadavia',
    'Etc/GMT+5',
    'America/Port-au-Prince',
    'EST5EDT',
  ])
    assert.equal(isZone(name), true, name);
  for (const name of [
    '',
    'Z',
    '+01:00',
    'europe/berlin',
    'Local',
    'Europe/Atlantis',
    'UTC\n',
    '../../etc/passwd',
    "Europe/Berlin'",
    '2026-01-01T00:00[Europe/Berlin]',
    'toString',
    'x'.repeat(100_000),
  ])
    assert.equal(isZone(name), false, name.slice(0, 40));
  assert.throws(() => edges('Mars/Olympus', 'day', 0, 1), refused('calendar.zone'));
});

test('a range that is none, or that has too many edges, is refused at once', () => {
  assert.throws(() => edges('UTC', 'day', 1, 0), refused('calendar.range'));
  assert.throws(() => edges('UTC', 'day', 0.5, 1), refused('calendar.range'));
  assert.throws(() => edges('UTC', 'day', 0, Number.NaN), refused('calendar.range'));
  assert.throws(() => edges('UTC', 'day', 0, Number.POSITIVE_INFINITY), refused('calendar.range'));
  assert.throws(() => edges('Europe/Berlin', 'day', 8e15, 8e15), refused('calendar.range'));
  assert.throws(() => edges('UTC', 'minute', 0, Number.MAX_SAFE_INTEGER), refused('calendar.too_many'));
  assert.equal(edges('Europe/Berlin', 'minute', 0, (EDGES_MAX - 1) * 60_000).length, EDGES_MAX);
  assert.throws(() => edges('Europe/Berlin', 'minute', 0, EDGES_MAX * 60_000), refused('calendar.too_many'));
  assert.throws(() => edges('Europe/Berlin', 'hour', 0, (EDGES_MAX + 20) * 3_600_000), refused('calendar.too_many'));
});

test('a month of days takes far less than a millisecond once the zone is known', () => {
  const [from, to] = [utc('2026-03-01T00:00:00Z'), utc('2026-04-01T00:00:00Z')];
  edges('Europe/Berlin', 'day', from, to);
  const rounds = 200;
  const before = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) edges('Europe/Berlin', 'day', from, to);
  const ms = Number(process.hrtime.bigint() - before) / 1e6 / rounds;
  assert.ok(ms < 1, `${ms} ms`);
});

test('a term of days ends with the local day, whatever the clock does on the way', () => {
  const term = (zone: string, from: string, days: number, end: string): void =>
    assert.equal(formatInstant(endOfDay(zone, parseInstant(from, zone), days), zone), end, `${zone} ${from} + ${days}`);
  term('UTC', '2026-11-22', 0, '2026-11-23T00:00:00Z');
  term('UTC', '2026-11-22T23:59:59.999', 0, '2026-11-23T00:00:00Z');
  term('UTC', '2026-12-25T12:00', 14, '2027-01-09T00:00:00Z');
  term('Europe/Berlin', '2026-10-20T13:00', 14, '2026-11-04T00:00:00+01:00');
  term('Europe/Berlin', '2026-10-25T00:30', 0, '2026-10-26T00:00:00+01:00');
  term('Europe/Berlin', '2026-03-28T23:30', 1, '2026-03-30T00:00:00+02:00');
  // Midnight is skipped: the day before lasts until the clock shows one.
  term('Africa/Cairo', '2026-04-22T10:00', 1, '2026-04-24T01:00:00+03:00');
  // The 30th was skipped.
  term('Pacific/Apia', '2011-12-28T10:00', 1, '2011-12-31T00:00:00+14:00');
});
