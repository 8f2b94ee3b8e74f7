import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defineMeter, type Meter } from './meter.ts';
import { formatQuantity, parseQuantity } from './quantity.ts';
import { flagNames, stateName } from './record.ts';
import { compileMeter, tallyRecords } from './tally.ts';
import { WINDOW_MS } from './window.ts';

interface Event {
  type: string;
  subject: string;
  t: number;
  receipt: number;
  data: string;
}
const meter = (more: object = {}): Meter => {
  const got = defineMeter({ key: 'm', eventType: 'use', valuePath: '$.v', ...more });
  assert.ok(!Array.isArray(got), JSON.stringify(got));
  return got;
};
let receipts = 0;
const event = (data: string, t = 0, more: Partial<Event> = {}): Event => ({
  type: 'use',
  subject: 's',
  t,
  receipt: ++receipts,
  data,
  ...more,
});

/** Records as `window+part sum count min max latest state flags`; one series per subject and dimensions. */
function rows(of: Meter, events: Iterable<Event>, breakpoints: number[] = []): string[] {
  const names: string[] = [];
  const seriesOf = (e: Event, dimensions: Readonly<Record<string, string>>): number => {
    const name = JSON.stringify([e.subject, dimensions]);
    if (!names.includes(name)) names.push(name);
    return names.indexOf(name);
  };
  const { records } = tallyRecords(of, events, { seriesOf, breakpoints: () => breakpoints });
  const q = (x: bigint | null): string => (x === null ? '-' : formatQuantity(x));
  return records.map((r) =>
    `${r.series}@${r.window}+${r.part} ${q(r.sum)} ${r.count} ${q(r.min)} ${q(r.max)} ${q(r.latest)} ${stateName(r.state)} ${flagNames(r.flags)}`.trim(),
  );
}

test('events add up by window and group', () => {
  const events = [
    event('{"v":1.5}'),
    event('{"v":"2"}', 10),
    event('{"v":-4}', WINDOW_MS),
    event('{"v":7}', 5, { subject: 'other' }),
    event('{"v":9}', 5, { type: 'else' }),
  ];
  assert.deepEqual(rows(meter(), events), [
    '0@0+0 3.5 2 1.5 2 2 known',
    `0@${WINDOW_MS}+0 -4 1 -4 -4 -4 known`,
    '1@0+0 7 1 7 7 7 known',
  ]);
});

test('values are read exactly as they were written', () => {
  const events = ['9007199254740993', '0.000000000001', '1e3', '-0.1'].map((v) => event(`{"v":${v}}`));
  assert.deepEqual(rows(meter(), events), ['0@0+0 9007199254741992.900000000001 4 -0.1 9007199254740993 -0.1 known']);
});

test('a value that is no number is named by its JSON pointer, and holds its window back', () => {
  const of = meter({ valuePath: '$.a.b/c' });
  const program = compileMeter(of);
  const cases: [string, string][] = [
    ['{"a":{"b/c":"x"}}', 'is not a number'],
    ['{"a":{"b/c":true}}', 'is not a number'],
    ['{"a":{"b/c":null}}', 'is not a number'],
    ['{"a":{"b/c":[1]}}', 'is not a number'],
    ['{"a":{"b/c":""}}', 'is not a number'],
    ['{"a":{"b/c":" 1"}}', 'is not a number'],
    ['{"a":{"b/c":"NaN"}}', 'is not a number'],
    ['{"a":{}}', 'is missing'],
    ['{"a":1}', 'is missing'],
    ['', 'is missing'],
    ['not json', 'is missing'],
    ['{"a":{"b/c":1},"a":{"b/c":2}}', 'is missing'],
    ['{"a":{"b/c":1e400}}', 'is out of range'],
    ['{"a":{"b/c":1e-13}}', 'has more than 12 decimals'],
  ];
  for (const [data, what] of cases) {
    const value = program.valueOf(event(data));
    assert.deepEqual(
      value,
      { code: 'event.value_invalid', pointer: '/data/a/b~1c', message: `/data/a/b~1c ${what}` },
      data,
    );
  }
  const { records, problems } = tallyRecords(meter(), [event('{"v":1}'), event('{"v":"x"}', 5, { receipt: 77 })], {
    seriesOf: () => 1,
  });
  assert.deepEqual(
    problems.map((p) => [p.receipt, p.pointer]),
    [[77, '/data/v']],
  );
  assert.equal(records[0]?.count, 1n);
  assert.equal(stateName(records[0]?.state ?? 0), 'quarantined');
});

test('filters keep events out, group-by tells them apart', () => {
  const of = meter({
    aggregation: 'count',
    valuePath: undefined,
    filters: [{ path: '$.status', in: ['200', '204'] }],
    groupBy: { method: '$.m', region: '$.r_e' },
  });
  const program = compileMeter(of);
  const dimensions = (data: string) => program.dimensionsOf(event(data));
  assert.deepEqual(dimensions('{"status":200,"m":"GET","r_e":7}'), { method: 'GET', region: '7' });
  assert.deepEqual(dimensions('{"status":"204","m":null,"r_e":true}'), { method: '', region: 'true' });
  assert.deepEqual(dimensions('{"status":204.0,"m":"GET"}'), null);
  assert.deepEqual(dimensions('{"m":"GET"}'), null);
  assert.deepEqual(dimensions('garbage'), null);
  assert.deepEqual(rows(of, [event('{"status":200}'), event('{"status":500}'), event('{"status":204}')]), [
    '0@0+0 2 2 1 1 1 known',
  ]);
});

test('the latest of two events at one instant is the one with the higher receipt', () => {
  const events = [
    event('{"v":1}', 9, { receipt: 5 }),
    event('{"v":2}', 9, { receipt: 6 }),
    event('{"v":3}', 8, { receipt: 7 }),
  ];
  for (const list of [events, [...events].reverse()])
    assert.match(rows(meter({ aggregation: 'latest' }), list)[0] ?? '', / 2 known$/);
});

test('meters of distinct values count events here; the values are read as text', () => {
  const of = meter({ aggregation: 'unique' });
  const program = compileMeter(of);
  const values = ['{"v":"a"}', '{"v":1}', '{"v":"1"}', '{"v":1.0}'].map((d) => program.textOf(event(d)));
  assert.deepEqual(values, ['a', '1', '1', '1.0']);
  assert.deepEqual(rows(of, [event('{"v":"a"}'), event('{"v":"b"}')]), ['0@0+0 0 2 - - - known']);
});

test('an owner change inside a window cuts it into parts', () => {
  const events = [event('{"v":1}', 99), event('{"v":2}', 100), event('{"v":4}', 200)];
  assert.deepEqual(rows(meter(), events, [100, WINDOW_MS]), ['0@0+0 1 1 1 1 1 known', '0@0+100 6 2 2 4 4 known']);
});

test('a sum beyond 38 digits is quarantined, not wrapped', () => {
  const most = '99999999999999999999999999.999999999999';
  assert.deepEqual(rows(meter(), [event(`{"v":${most}}`)]), [`0@0+0 ${most} 1 ${most} ${most} ${most} known`]);
  assert.match(
    rows(meter(), [event(`{"v":${most}}`), event('{"v":1e-12}')])[0] ?? '',
    /^0@0\+0 0 2 .* quarantined setAside$/,
  );
  // Whatever the order: the sum decides, not the way there.
  assert.match(rows(meter(), [event(`{"v":${most}}`), event('{"v":1}'), event('{"v":-1}')])[0] ?? '', / known$/);
});

test('the order of events does not matter, and the parts of a split window merge into the whole', () => {
  const value = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map(formatQuantity);
  const list = fc.array(fc.record({ v: value, t: fc.nat(2 * WINDOW_MS) }), { maxLength: 20 });
  fc.assert(
    fc.property(
      list.chain((l) =>
        fc.tuple(
          fc.constant(l),
          fc.shuffledSubarray(
            l.map((_, i) => i),
            { minLength: l.length },
          ),
        ),
      ),
      fc.nat(WINDOW_MS),
      ([list, order], cut) => {
        const events = list.map(({ v, t }, i) => event(`{"v":${v}}`, t, { receipt: i + 1 }));
        const shuffled = order.flatMap((i) => events[i] ?? []);
        assert.deepEqual(rows(meter(), shuffled), rows(meter(), events));
        const { records } = tallyRecords(meter(), events, { seriesOf: () => 1, breakpoints: () => [cut] });
        assert.equal(
          records.reduce((n, r) => n + r.sum, 0n),
          list.reduce((n, { v }) => n + parseQuantity(v), 0n),
        );
        assert.equal(
          records.reduce((n, r) => n + r.count, 0n),
          BigInt(list.length),
        );
      },
    ),
  );
});
