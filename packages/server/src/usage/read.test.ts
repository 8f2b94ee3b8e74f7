import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Meter } from '../domain/meter.ts';
import { openWorld, type World } from './testing/world.ts';

/** 2026-03-29 00:00 in Berlin is 2026-03-28T23:00Z; that day has 23 hours. */
const BERLIN_DAY = 1_774_738_800_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T0 = BERLIN_DAY;

const meterOf = (more: Partial<Meter> & Pick<Meter, 'key' | 'kind' | 'eventType' | 'aggregation'>) => ({
  kind: 'meter' as const,
  meter: {
    version: 1,
    name: '',
    valuePath: '$.v',
    epochPath: '',
    startPath: '',
    groupBy: {},
    filters: [],
    unit: '1',
    validFor: 0,
    rank: 0,
    of: [],
    direction: 'max-of-percentiles' as const,
    billable: true,
    deleted: false,
    ...more,
  },
});

/** A world in which a counter rose by one a second over three days, all closed. */
async function risen(): Promise<World> {
  const world = await openWorld(T0 - HOUR);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  const rows = Array.from(
    { length: 12 * 24 * 3 + 1 },
    (_, i) => [T0 - HOUR + i * 5 * MINUTE, BigInt(i * 300)] as const,
  );
  await world.read(nic, rows);
  world.clock.at = T0 + 3 * 24 * HOUR - HOUR;
  await world.declare(world.clock.at);
  await world.usage.job.run();
  await world.usage.job.run();
  return world;
}

test("a day of the account's zone has the seconds it has: 23 hours when summer time begins", async () => {
  const world = await risen();
  const rows = await world.rows({ from: T0, to: T0 + 47 * HOUR, windowSize: 'day', zone: 'Europe/Berlin' });
  assert.deepEqual(
    rows.map((r) => [(r.from - T0) / HOUR, r.quantity, r.state]),
    [
      [0, String(23 * 3600), 'known'],
      [23, String(24 * 3600), 'known'],
    ],
  );
});

test('any instant is a boundary: pieces add up to the whole, to the millisecond', async () => {
  const world = await risen();
  const cut = T0 + 7 * HOUR + 123_456;
  const sum = async (from: number, to: number) => BigInt((await world.rows({ from, to }))[0]?.quantity ?? '-1');
  const end = T0 + 20 * HOUR + 1;
  assert.equal((await sum(T0, cut)) + (await sum(cut, end)), await sum(T0, end));
  assert.equal(await sum(T0, cut), 7n * 3600n + 123n);
});

test('minutes come from the facts, hours of one day from records, and both sum to the same', async () => {
  const world = await risen();
  const total = (rows: { quantity: string | null }[]) => rows.reduce((n, r) => n + BigInt(r.quantity ?? 0), 0n);
  const span = { from: T0, to: T0 + 6 * HOUR, zone: 'UTC' };
  const minutes = await world.rows({ ...span, windowSize: 'minute' });
  assert.equal(minutes.length, 360);
  assert.equal(total(minutes), total(await world.rows({ ...span, windowSize: 'hour' })));
});

test('as of S gives again what was known at S', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, [
    [T0, 0n],
    [T0 + 30 * MINUTE, 3000n],
  ]);
  world.clock.at = T0 + 40 * MINUTE;
  await world.declare(T0 + 30 * MINUTE);
  await world.usage.job.run();
  const query = { filter: {}, from: T0, to: T0 + 30 * MINUTE, windowSize: 'window' as const, zone: 'UTC', groupBy: [] };
  const then = await world.usage.query(query, null);
  await world.read(nic, [[T0 + 10 * MINUTE, 100n, { stamps: 1 }]]);
  await world.usage.job.run();
  const now = await world.usage.query(query, null);
  assert.notDeepEqual(now.rows, then.rows);
  const again = await world.usage.query(query, null, then.frontier);
  const figures = (rows: typeof then.rows) => rows.map((r) => [r.from, r.quantity, r.state, r.flags]);
  assert.deepEqual(figures(again.rows), figures(then.rows));
});

test('unknown is null, not zero', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, [
    [T0, 0n],
    [T0 + 5 * MINUTE, 10n],
  ]);
  world.clock.at = T0 + 5 * HOUR;
  await world.usage.job.run();
  const rows = await world.rows({ from: T0, to: T0 + 2 * HOUR, windowSize: 'hour' });
  assert.deepEqual(
    rows.map((r) => [r.quantity, r.state]),
    [
      ['10', 'pending'],
      [null, 'pending'],
    ],
  );
});

test('what is pending settles to unobserved, and is known again when the reading comes after all', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, [
    [T0, 0n],
    [T0 + 5 * MINUTE, 300n],
  ]);
  const state = async () => (await world.rows({ from: T0, to: T0 + HOUR }))[0]?.state;
  world.clock.at = T0 + 2 * HOUR;
  await world.usage.job.run();
  assert.equal(await state(), 'pending');
  world.clock.at = T0 + 9 * 24 * HOUR;
  await world.usage.job.run();
  assert.equal(await state(), 'unobserved');
  await world.read(nic, [[T0 + 9 * 24 * HOUR, 900_000n]]);
  await world.usage.job.run();
  assert.equal(await state(), 'known');
});

test('a tenant sees only its own and its descendants', async () => {
  const world = await openWorld(T0);
  const account = { kind: 'account', name: '', zone: 'UTC', currency: 'EUR', state: 'active' } as const;
  await world.append(
    { ...account, id: 'reseller', parent: null },
    { ...account, id: 'shop', parent: 'reseller' },
    { ...account, id: 'other', parent: null },
  );
  for (const [resource, owner] of [
    ['nic-1', 'shop'],
    ['nic-2', 'other'],
    ['nic-3', null],
  ] as const) {
    const nic = await world.series(resource);
    if (owner !== null) await world.append({ kind: 'owner', resource, account: owner, from: 0 });
    await world.read(nic, [
      [T0, 0n],
      [T0 + HOUR, 7n],
    ]);
  }
  world.clock.at = T0 + HOUR;
  const query = {
    filter: {},
    from: T0,
    to: T0 + HOUR,
    windowSize: 'total' as const,
    zone: 'UTC',
    groupBy: ['account'],
  };
  const seen = async (viewer: ReadonlySet<string> | null) =>
    (await world.usage.query(query, viewer)).rows.map((r) => r.group.account);
  assert.deepEqual(await seen(new Set(['reseller', 'shop'])), ['shop']);
  assert.deepEqual(await seen(new Set(['other'])), ['other']);
  assert.deepEqual(await seen(null), ['other', 'shop', 'unattributed']);
  const series = await world.series('nic-2');
  const parse = (text: string) => Number(text);
  await assert.rejects(world.usage.explain(`${series.id}@${T0}`, new Set(['shop']), parse), { code: 'series.unknown' });
});

test('delta aggregations, exactly: a tenth and two tenths are three tenths', async () => {
  const world = await openWorld(T0);
  await world.usage.job.run();
  const kinds = ['sum', 'count', 'avg', 'min', 'max', 'latest', 'unique'] as const;
  await world.append(
    ...kinds.map((aggregation) => meterOf({ key: aggregation, kind: 'delta', eventType: 'request', aggregation })),
  );
  await world.events([
    { t: T0 + MINUTE, data: '{"v":0.1}' },
    { t: T0 + 2 * MINUTE, data: '{"v":"0.2"}' },
    { t: T0 + 3 * MINUTE, data: '{"v":0.2}' },
  ]);
  const figures = async () => {
    const rows = await world.rows({ from: T0, to: T0 + HOUR, filter: { meters: [...kinds] } });
    return Object.fromEntries(rows.map((r) => [r.meter, r.quantity]));
  };
  const expected = {
    sum: '0.5',
    count: '3',
    avg: '0.166666666667',
    min: '0.1',
    max: '0.2',
    latest: '0.2',
    unique: '2',
  };
  world.clock.at = T0 + 4 * MINUTE;
  assert.deepEqual(await figures(), expected);
  world.clock.at = T0 + 2 * HOUR;
  await world.usage.job.run();
  assert.deepEqual(await figures(), expected);
});

test('a level is integrated over time, and a window does not look back months for it', async () => {
  const world = await openWorld(T0);
  await world.usage.job.run();
  await world.append(
    meterOf({ key: 'stored', kind: 'gauge', eventType: 'level', aggregation: 'integral', unit: 'GB' }),
    meterOf({ key: 'stored.last', kind: 'gauge', eventType: 'level', aggregation: 'last', unit: 'GB' }),
  );
  await world.events([
    { t: T0, type: 'level', data: '{"v":10}' },
    { t: T0 + 2 * HOUR, type: 'level', data: '{"v":4}' },
  ]);
  for (let day = 1; day <= 3; day++) {
    world.clock.at = T0 + day * 24 * HOUR + HOUR;
    await world.usage.job.run();
  }
  const rows = await world.rows({ from: T0, to: T0 + 72 * HOUR, filter: { meters: ['stored', 'stored.last'] } });
  assert.deepEqual(
    rows.map((r) => [r.meter, r.quantity, r.unit]),
    [
      ['stored', String(2 * 10 + 70 * 4), 'GB.h'],
      ['stored.last', '4', 'GB'],
    ],
  );
  // A late change rewrites from there to the next one.
  await world.events([{ t: T0 + HOUR, type: 'level', data: '{"v":0}' }]);
  await world.usage.job.run();
  const [later] = await world.rows({ from: T0, to: T0 + 72 * HOUR, filter: { meters: ['stored'] } });
  assert.equal(later?.quantity, String(10 + 70 * 4));
  const [cut] = await world.rows({
    from: T0 + 30 * MINUTE + 1,
    to: T0 + 30 * MINUTE + 361,
    filter: { meters: ['stored'] },
  });
  assert.equal(cut?.quantity, '0.001');
});

test('the 95th percentile ranks whole 5-minute samples of both directions', async () => {
  const world = await openWorld(T0);
  await world.usage.job.run();
  const of = ['network.bytes.received', 'network.bytes.sent'];
  await world.append(
    meterOf({ key: 'p95', kind: 'percentile', eventType: '', aggregation: 'sum', rank: 950, of, unit: 'bit/s' }),
  );
  const nic = await world.series('nic-1', 'network.bytes.sent');
  let value = 0n;
  const rows = Array.from({ length: 101 }, (_, i) => {
    value += i === 0 ? 0n : BigInt(i) * 300n;
    return [T0 + i * 5 * MINUTE, value] as const;
  });
  await world.read(nic, rows);
  world.clock.at = T0 + 600 * MINUTE;
  const [row] = await world.rows({ from: T0, to: T0 + 500 * MINUTE, filter: { meters: ['p95'] } });
  assert.deepEqual([row?.quantity, row?.unit], [String(95 * 8), 'bit/s']);
});

test('a percentile leaves out the samples of a port that went silent, and says that they are pending', async () => {
  const world = await openWorld(T0);
  await world.usage.job.run();
  const meter = {
    key: 'p95',
    kind: 'percentile',
    eventType: '',
    aggregation: 'sum',
    rank: 950,
    unit: 'bit/s',
  } as const;
  await world.append(meterOf({ ...meter, of: ['network.bytes.sent'] }));
  const port = (value: bigint, n: number) =>
    Array.from({ length: n }, (_, i) => [T0 + i * 5 * MINUTE, BigInt(i) * value] as const);
  await world.read(await world.series('nic-1'), port(300n, 41));
  await world.read(await world.series('nic-2'), port(600n, 21));
  world.clock.at = T0 + 200 * MINUTE;
  const ask = async () =>
    (await world.rows({ from: T0, to: T0 + 200 * MINUTE, filter: { meters: ['p95'] }, groupBy: [] }))[0];
  const row = await ask();
  assert.deepEqual([row?.quantity, row?.state, row?.flags], ['24', 'pending', ['unobserved']]);
  world.clock.at = T0 + 30 * 24 * HOUR;
  await world.usage.job.run();
  assert.equal((await ask())?.state, 'unobserved');
});
