/** Delta and gauge meters: sums of events in one go, and their records. */
import assert from 'node:assert/strict';
import type { Meter } from '../../domain/meter.ts';
import type { TallyRecord } from '../../domain/record.ts';
import { compileMeter, Tally } from '../../domain/tally.ts';
import type { TallyClose, UsageStore } from '../usage-store.ts';
import { ALL, DAY, eventAt, eventsOf, MINUTE, tallyAt, texts, type UsageCases, W, write } from './usage-cases.ts';

const SCALE = 10n ** 12n;
const D38_MAX = 10n ** 38n - 1n;

const meter = (more: Partial<Meter> = {}): Meter => ({
  key: 'bytes',
  version: 1,
  name: 'Bytes',
  kind: 'delta',
  eventType: 'api.call',
  aggregation: 'sum',
  valuePath: '$.bytes',
  epochPath: '',
  startPath: '',
  groupBy: {},
  filters: [],
  unit: 'B',
  validFor: 0,
  rank: 0,
  of: [],
  direction: 'max-of-percentiles',
  billable: true,
  deleted: false,
  receipt: 1,
  ...more,
});

const tally = (store: UsageStore, m: Meter, from = DAY, to = DAY + 2 * W): Promise<TallyClose> =>
  store.tally(m, from, to, ALL, [], []);

/** What the pure function says, except for the groups that were left to it. */
async function checkTally(store: UsageStore, m: Meter): Promise<TallyClose> {
  const found = await tally(store, m);
  const program = compileMeter(m);
  const cells = new Map<string, Tally>();
  const left = new Set(found.odd.map((o) => JSON.stringify([o.tenant, o.source, o.subject])));
  for (const e of await eventsOf(store, { from: DAY, to: DAY + 2 * W })) {
    const dimensions = program.dimensionsOf(e);
    if (dimensions === null || left.has(JSON.stringify([e.tenant, e.source, e.subject]))) continue;
    const key = JSON.stringify([e.tenant, e.source, e.subject, Object.values(dimensions), e.t - (e.t % W)]);
    const cell = cells.get(key) ?? new Tally();
    cells.set(key, cell);
    cell.add(program, e);
  }
  const expected = [...cells].map(([key, cell]) => {
    assert.equal(cell.invalid, 0, `${key} should have been left to the pure path`);
    return [key, cell.amounts()] as const;
  });
  const rows = found.rows
    .filter((r) => !left.has(JSON.stringify([r.tenant, r.source, r.subject])))
    .map(
      ({ tenant, source, subject, dimensions, window, ...amounts }) =>
        [JSON.stringify([tenant, source, subject, dimensions, window]), amounts] as const,
    );
  assert.deepEqual(new Map(rows), new Map(expected));
  return found;
}

/** Values as an event may write them; the last ones no engine number carries. */
const values = [
  '1',
  '0',
  '-0',
  '-5',
  '0.5',
  '1.50',
  '123456789.000000001',
  '0.000000000001',
  '99999999999999999999999999.999999999999',
  '18446744073709551615',
  '18446744073709551616',
  '9007199254740993',
  '"12.25"',
  '"18446744073709551616"',
  '1e3',
  '1E-3',
  '0.1234567890123',
  '0.1000000000000',
  '100000000000000000000000000',
  '"abc"',
  '""',
  '"1e3"',
  '" 1"',
  'null',
  'true',
  '[1]',
  '{"a":1}',
  '"\\u0031"',
];

export const usageTallyCases: UsageCases = {
  'a tally takes plain numbers exactly and leaves everything else to the pure path': async ({ store }) => {
    const events = values.map((text, i) => eventAt(i + 1, { subject: `v${i}`, data: `{"bytes":${text}}` }));
    await write(store, {
      events: [
        ...events,
        eventAt(900, { subject: 'missing', data: '{}' }),
        eventAt(901, { subject: 'empty', data: '' }),
        eventAt(902, { subject: 'broken', data: '{"bytes":1' }),
      ],
    });
    const { odd } = await checkTally(store, meter());
    const left = new Set(odd.map((o) => o.subject));
    if (store.engine !== 'model')
      for (const plain of ['1', '-5', '0.5', '123456789.000000001', '18446744073709551615', '"12.25"']) {
        assert.ok(!left.has(`v${values.indexOf(plain)}`), `${plain} is left to the pure path`);
      }
    for (const name of ['missing', 'empty', 'broken']) assert.ok(left.has(name), name);
  },

  'nested, repeated and escaped names do not mislead a tally': async ({ store }) => {
    const data = [
      '{"a":{"bytes":1},"bytes":2}',
      '{"a":{"bytes":1.5},"bytes":2.5}',
      '{"a":{"bytes":1.5}}',
      '{"note":"\\"bytes\\":7","bytes":3.25}',
      '{"x":"bytes","bytes":4.125}',
      '{"b\\u0079tes":5}',
      '{ "bytes" :\n\t6.5 }',
      '{"bytes":7.5,"big":99999999999999999999999}',
      '{"bytes":-1.25}',
      '[{"bytes":1}]',
      '7',
    ];
    await write(store, { events: data.map((d, i) => eventAt(i + 1, { subject: `s${i}`, data: d })) });
    await checkTally(store, meter());
    await checkTally(store, meter({ valuePath: '$.a.bytes' }));
  },

  'a tally groups and filters by text, as it was written': async ({ store }) => {
    const zones = [
      '"eu"',
      '"us"',
      '7',
      '7.0',
      '-0',
      '0',
      'true',
      'null',
      '[1]',
      '{"x":1}',
      '"7"',
      '"é\\n\\t\\\\"',
      '18446744073709551615',
      '1e2',
      '"it\'s"',
    ];
    const events = zones.flatMap((zone, i) => [
      eventAt(2 * i + 1, { subject: `s${i}`, data: `{"bytes":${i},"at":{"zone":${zone}},"status":200}` }),
      eventAt(2 * i + 2, { subject: `s${i}`, t: DAY + W, data: `{"bytes":1,"at":{"zone":${zone}},"status":500}` }),
    ]);
    await write(store, { events: [...events, eventAt(500, { data: '{"bytes":9}' })] });
    await checkTally(store, meter({ groupBy: { zone: '$.at.zone' } }));
    await checkTally(
      store,
      meter({
        groupBy: { status: '$.status', zone: '$.at.zone' },
        filters: [{ path: '$.status', in: ['200', "' OR 1"] }],
      }),
    );
    await checkTally(store, meter({ filters: [{ path: '$.at.zone', in: ['7', 'true', '', "it's"] }] }));
    await checkTally(store, meter({ groupBy: { zone: "$['at']['zone']", 'odd name': '$.at' } }));
    await checkTally(store, meter({ valuePath: "$['by tes']" }));
  },

  'a tally counts without values, and never twice': async ({ store }) => {
    const events = texts.map((text, i) =>
      eventAt(i + 1, { id: `e${i}`, subject: text, source: text, tenant: text, t: DAY + i * MINUTE }),
    );
    await write(store, { events });
    await write(store, { events: events.map((e) => ({ ...e, receipt: e.receipt + 1000 })) });
    for (const m of [
      meter({ aggregation: 'count', valuePath: '' }),
      meter({ aggregation: 'count' }),
      meter({ aggregation: 'unique' }),
    ]) {
      const { rows } = await checkTally(store, m);
      assert.equal(
        rows.reduce((n, r) => n + r.count, 0n),
        BigInt(texts.length),
      );
    }
  },

  'the latest of a tally is by time, then receipt; what is voided or undone is left out': async ({ store }) => {
    const value = (n: number): { data: string } => ({ data: `{"bytes":${n}}` });
    await write(store, {
      events: [
        eventAt(1, { t: DAY + 5, ...value(10) }),
        eventAt(2, { t: DAY + 9, ...value(20) }),
        eventAt(3, { t: DAY + 9, ...value(15) }),
        eventAt(4, { t: DAY + 7, ...value(40) }),
        eventAt(5, { t: DAY + 8, ...value(50), set: 'batch' }),
      ],
    });
    const [all] = (await tally(store, meter())).rows;
    assert.deepEqual(
      [all?.sum, all?.count, all?.min, all?.max, all?.latest, all?.latestAt],
      [135n * SCALE, 5n, 10n * SCALE, 50n * SCALE, 15n * SCALE, DAY + 9],
    );
    const [some] = (await store.tally(meter(), DAY, DAY + W, ALL, [3, 1], ['batch'])).rows;
    assert.deepEqual([some?.sum, some?.latest], [60n * SCALE, 20n * SCALE]);
    const [early] = (await store.tally(meter(), DAY, DAY + W, 2, [], [])).rows;
    assert.deepEqual([early?.sum, early?.latest], [30n * SCALE, 20n * SCALE]);
    assert.deepEqual((await tally(store, meter(), DAY + W)).rows, []);
  },

  'a sum beyond 38 digits is left to the pure path': async ({ store }) => {
    const data = '{"bytes":99999999999999999999999999.999999999999}';
    await write(store, {
      events: [eventAt(1, { data }), eventAt(2, { data, subject: 'other' }), eventAt(3, { data })],
    });
    const { odd } = await checkTally(store, meter());
    assert.deepEqual(
      odd.map((o) => o.subject),
      ['shop'],
    );
  },

  'tally records hold every digit, and the highest frontier wins': async ({ store, again }) => {
    const records: TallyRecord[] = [
      tallyAt(1, DAY, { sum: D38_MAX, count: 10n ** 30n, min: -D38_MAX, max: D38_MAX, latest: 1n, latestAt: DAY + 1 }),
      tallyAt(1, DAY + W, { sum: -1n, min: -1n, max: 0n, latest: 0n, latestAt: DAY + W, flags: 4, state: 1 }),
      tallyAt(1, DAY + 2 * W, { sum: D38_MAX * 900_000n, part: 5 }),
    ];
    await store.writeTallies(records, 10);
    await store.writeTallies([tallyAt(1, DAY + W, { sum: 77n })], 9);
    const reopened = await again();
    assert.deepEqual(
      await reopened.tallyRecords([1, 2], DAY, DAY + 3 * W),
      records.map((r) => ({ ...r, frontier: 10 })),
    );
    const [sum] = await reopened.sumTallies([1], [DAY, DAY + 3 * W]);
    assert.deepEqual(sum, {
      series: 1,
      interval: 0,
      sum: D38_MAX * 900_001n - 1n,
      count: 10n ** 30n + 2n,
      min: -D38_MAX,
      max: D38_MAX,
      latest: 0n,
      latestAt: DAY + W,
      flags: 4,
      state: 1,
      records: 3,
      frontier: 10,
    });
    assert.deepEqual(await reopened.lastTallies([1, 2], DAY + 2 * W), new Map([[1, records[1]]]));
    await reopened.writeTallies([tallyAt(1, DAY + W, { isVoid: true, count: 0n })], 11);
    assert.deepEqual((await reopened.lastTallies([1], DAY + 2 * W)).get(1)?.window, DAY);
    assert.equal((await reopened.sumTallies([1], [DAY + W, DAY + 2 * W])).length, 0);
  },

  'a quantity beyond its column is refused, not cut': async ({ store }) => {
    for (const bad of [{ max: D38_MAX + 1n }, { latest: -D38_MAX - 1n }, { sum: 10n ** 76n }]) {
      await assert.rejects(store.writeTallies([tallyAt(1, DAY, bad)], 1), { code: 'store.number_range' });
    }
    assert.deepEqual(await store.tallyRecords([1], 0, DAY + W), []);
  },
};
