import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WINDOW_MS } from '../domain/window.ts';
import { openWorld, type World } from './testing/world.ts';

const T0 = 1_790_000_100_000 - (1_790_000_100_000 % 86_400_000);
const MINUTE = 60_000;

/** Five-minute readings that rise by 300 each. */
const steady = (from: number, n: number) =>
  Array.from({ length: n }, (_, i) => [from + i * 5 * MINUTE, BigInt(1000 + i * 300)] as const);

async function recordsOf(world: World, resource: string) {
  const series = await world.series(resource);
  const records = await world.store.counterRecords([series.id], 0, Number.MAX_SAFE_INTEGER);
  return records.map(
    (r) => `${(r.window - T0) / WINDOW_MS}+${r.part}: ${r.isVoid ? 'void' : r.used} n${r.n} f${r.flags} s${r.state}`,
  );
}

test('a run closes the windows its sources are complete for, and usage is last minus first', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, steady(T0, 13));
  world.clock.at = T0 + 61 * MINUTE;
  await world.declare(T0 + 60 * MINUTE);
  await world.usage.job.run();
  assert.deepEqual(await recordsOf(world, 'nic-1'), [
    '0+0: 900 n3 f0 s0',
    '1+0: 900 n3 f0 s0',
    '2+0: 900 n3 f0 s0',
    '3+0: 900 n3 f0 s0',
  ]);
  const [row] = await world.rows({ from: T0, to: T0 + 60 * MINUTE });
  assert.deepEqual(
    [row?.quantity, row?.state, row?.flags, row?.group],
    ['3600', 'known', [], { account: 'unattributed', resource: 'nic-1' }],
  );
});

test('what is still open is answered from the facts and marked provisional', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, steady(T0, 3));
  world.clock.at = T0 + 10 * MINUTE;
  const [row] = await world.rows({ from: T0, to: T0 + WINDOW_MS });
  assert.deepEqual([row?.quantity, row?.provisional, row?.state], ['600', true, 'pending']);
});

test('a series silent at closing is pending; its next reading revises the closed windows', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, steady(T0, 2));
  world.clock.at = T0 + 61 * MINUTE;
  await world.usage.job.run();
  assert.deepEqual(await recordsOf(world, 'nic-1'), ['0+0: 300 n2 f0 s2']);
  await world.read(nic, [[T0 + 62 * MINUTE, 1300n + 5700n]]);
  await world.usage.job.run();
  assert.deepEqual(
    (await recordsOf(world, 'nic-1')).map((r) => r.split(' ')[1]),
    ['1300', '1500', '1500'],
  );
});

test('the clock stepping back an hour closes nothing twice and nothing negative', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, steady(T0, 13));
  world.clock.at = T0 + 61 * MINUTE;
  await world.declare(T0 + 60 * MINUTE);
  await world.usage.job.run();
  const before = await recordsOf(world, 'nic-1');
  world.clock.at = T0 + 1 * MINUTE;
  await world.usage.job.run();
  assert.deepEqual(await recordsOf(world, 'nic-1'), before);
  const { closedTo } = await world.usage.job.status();
  assert.equal(closedTo, T0 + 60 * MINUTE);
});

test('a late reading rewrites only the windows it touches', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  const all = steady(T0, 13);
  await world.read(
    nic,
    all.filter((_, i) => i !== 6),
  );
  world.clock.at = T0 + 61 * MINUTE;
  await world.declare(T0 + 60 * MINUTE);
  await world.usage.job.run();
  const first = await world.store.counterRecords([nic.id], 0, T0 + 86_400_000);
  await world.read(nic, [[T0 + 30 * MINUTE, 2700n, { stamps: 1 }]]);
  await world.usage.job.run();
  const second = await world.store.counterRecords([nic.id], 0, T0 + 86_400_000);
  const changed = second.filter((r, i) => r.frontier !== first[i]?.frontier).map((r) => (r.window - T0) / WINDOW_MS);
  assert.deepEqual(changed, [1, 2]);
  assert.equal(second[1]?.used, 800n);
});

test('an owner change in the middle of a window cuts it, and usage before it stays with the owner of that time', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  const account = { kind: 'account', parent: null, name: '', zone: 'UTC', currency: 'EUR', state: 'active' } as const;
  await world.append({ ...account, id: 'a' }, { ...account, id: 'b' });
  await world.append(
    { kind: 'owner', resource: 'nic-1', account: 'a', from: T0 },
    { kind: 'owner', resource: 'nic-1', account: 'b', from: T0 + 20 * MINUTE },
  );
  await world.usage.job.run();
  await world.read(nic, steady(T0, 13));
  world.clock.at = T0 + 61 * MINUTE;
  await world.declare(T0 + 60 * MINUTE);
  await world.usage.job.run();
  const rows = await world.rows({ from: T0, to: T0 + 60 * MINUTE });
  assert.deepEqual(
    rows.map((r) => [r.group.account, r.quantity]),
    [
      ['a', '1200'],
      ['b', '2400'],
    ],
  );
  assert.ok((await recordsOf(world, 'nic-1')).some((r) => r.startsWith('1+300000')));
});

test('a month behind, new windows are closed before the backlog', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, steady(T0, 12 * 24 * 3));
  world.clock.at = T0 + 72 * 60 * MINUTE;
  await world.declare(T0 + 71 * 60 * MINUTE);
  await world.usage.job.run();
  const runs = (await world.control.runs(100)).filter((r) => r.stream === 'counter' && r.windows > 0);
  const order = runs.sort((a, b) => a.id - b.id).map((r) => (r.from - T0) / WINDOW_MS);
  assert.ok((order[0] ?? 0) > 0, `live first: ${order}`);
  assert.ok(order.includes(-1) || order.includes(0) || order.some((o) => o <= 0), `then the backlog: ${order}`);
  const [row] = await world.rows({ from: T0, to: T0 + 71 * 60 * MINUTE });
  assert.deepEqual([row?.quantity, row?.state], [String(71 * 12 * 300), 'known']);
});

test('a delta meter made later covers the past, and counts exactly', async () => {
  const world = await openWorld(T0);
  await world.usage.job.run();
  await world.events([
    { t: T0 + MINUTE, data: '{"n":"0.1"}' },
    { t: T0 + 2 * MINUTE, data: '{"n":0.2}' },
    { t: T0 + 20 * MINUTE, data: '{"n":9007199254740993}' },
  ]);
  world.clock.at = T0 + 120 * MINUTE;
  await world.usage.job.run();
  const meter = {
    key: 'requests',
    version: 1,
    name: '',
    kind: 'delta',
    eventType: 'request',
    aggregation: 'sum',
    valuePath: '$.n',
    epochPath: '',
    startPath: '',
    groupBy: {},
    filters: [],
    unit: '1',
    validFor: 0,
    rank: 0,
    of: [],
    direction: 'percentile-of-sum',
    billable: true,
    deleted: false,
  } as const;
  await world.append({ kind: 'meter', meter });
  await world.usage.job.run();
  const rows = await world.rows({ from: T0, to: T0 + 60 * MINUTE, filter: { meters: ['requests'] } });
  assert.deepEqual(
    rows.map((r) => [r.quantity, r.provisional, r.flags]),
    [['9007199254740993.3', false, ['assumed']]],
  );
});

test('a series that uses more than a record can hold is set aside alone; the others go on', async () => {
  const world = await openWorld(T0);
  const [bad, good] = [await world.series('nic-bad'), await world.series('nic-good')];
  const most = 2n ** 64n - 1n;
  await world.read(bad, [
    [T0, 0n],
    [T0 + MINUTE, most],
    [T0 + 2 * MINUTE, most, { epoch: 8 }],
    [T0 + 40 * MINUTE, most, { epoch: 8 }],
  ]);
  await world.read(good, steady(T0, 13));
  world.clock.at = T0 + 61 * MINUTE;
  await world.usage.job.run();
  await world.usage.job.run();
  const [row] = await world.rows({ from: T0, to: T0 + 45 * MINUTE, filter: { resources: ['nic-good'] } });
  assert.deepEqual([row?.quantity, row?.state], ['2700', 'known']);
  const [held] = await world.rows({ from: T0, to: T0 + 45 * MINUTE, filter: { resources: ['nic-bad'] } });
  assert.equal(held?.state, 'quarantined');
  for (let i = 0; i < 3; i++) await world.usage.job.run();
  const facts = await world.control.facts(0, 1000, { kinds: ['quarantine'] });
  assert.equal(facts.length, 1, 'it is quarantined once, not at every run');
});

test('voiding a bogus zero brings back all that was set aside because of it', async () => {
  const world = await openWorld(T0);
  const [nic] = await world.registry.register([
    {
      tenant: '',
      source: 'host-1',
      resource: 'nic-1',
      meter: 'network.bytes.sent',
      dimensions: {},
      width: 64,
      lineBits: 1000,
      period: 300_000,
      layer: 'L2',
      witnessOf: 0,
      firstReceipt: 0,
    },
  ]);
  assert.ok(nic);
  await world.usage.job.run();
  const big = 10n ** 12n;
  const rows = steady(T0, 25).map(([t, v]) => [t, v + big] as const);
  await world.read(nic, rows.slice(0, 3));
  const [zero = 0] = await world.read(nic, [[T0 + 12 * MINUTE, 0n]]);
  await world.read(
    nic,
    rows.slice(3).map(([t, v]) => [t, v, { stamps: 64 }] as const),
  );
  world.clock.at = T0 + 130 * MINUTE;
  await world.usage.job.run();
  const total = async () => (await world.rows({ from: T0, to: T0 + 105 * MINUTE }))[0];
  assert.equal((await total())?.state, 'quarantined');
  await world.usage.corrections.voidReading(zero, { tenant: '', author: 'operator', reason: 'a bogus zero' });
  await world.usage.job.run();
  assert.deepEqual([(await total())?.quantity, (await total())?.state], ['6300', 'known']);
});

test("an old epoch's last reading comes after its window's edge was passed: the windows of its gap are rewritten", async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, [[T0, 1000n]]);
  await world.read(nic, [[T0 + 61 * MINUTE, 5n, { epoch: 9 }]]);
  world.clock.at = T0 + 75 * MINUTE;
  await world.usage.job.run();
  const sum = async () => (await world.rows({ from: T0, to: T0 + 60 * MINUTE }))[0]?.quantity;
  assert.equal(await sum(), '4');
  await world.read(nic, [[T0 + 62 * MINUTE, 63_000n, { stamps: 1 }]]);
  await world.usage.job.run();
  assert.equal(await sum(), '60004');
});

test('what settled is pending again when its source is given more time', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  const give = (hours: number) =>
    world.append({
      kind: 'source',
      id: 'host-1',
      completeness: 'assumed',
      graceMs: 900_000,
      settleAfterMs: hours * 60 * MINUTE,
    });
  await give(1);
  await world.read(nic, steady(T0, 2));
  const state = async () => (await world.store.counterRecords([nic.id], T0, T0 + WINDOW_MS))[0]?.state;
  for (const [hours, after, expected] of [
    [1, 0.5, 2],
    [1, 3, 1],
    [48, 4, 2],
    [48, 60, 1],
  ] as const) {
    if (after === 4) await give(hours);
    world.clock.at = T0 + after * 60 * MINUTE + WINDOW_MS;
    await world.usage.job.run();
    assert.equal(await state(), expected, `after ${after} hours`);
  }
});

test('runs and reruns asked for at the same moment take turns', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.read(nic, steady(T0, 13));
  world.clock.at = T0 + 90 * MINUTE;
  const { job } = world.usage;
  const all = await Promise.all([
    job.run(),
    job.rerun(T0, T0 + 60 * MINUTE),
    job.run(),
    job.rerun(T0, T0 + 60 * MINUTE),
  ]);
  assert.deepEqual((all[3] as { records: number }).records, 4);
  const [row] = await world.rows({ from: T0, to: T0 + 60 * MINUTE });
  assert.deepEqual([row?.quantity, row?.state], ['3600', 'known']);
});
