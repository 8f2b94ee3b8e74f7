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
