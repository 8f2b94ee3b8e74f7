import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WINDOW_MS } from '../domain/window.ts';
import { replay } from './index.ts';
import { openWorld, type World } from './testing/world.ts';

const T0 = 1_790_000_100_000 - (1_790_000_100_000 % 86_400_000);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const who = { tenant: '', author: 'operator', reason: 'test' };

const requests = {
  kind: 'meter',
  meter: {
    key: 'requests',
    version: 1,
    name: '',
    kind: 'delta',
    eventType: 'request',
    aggregation: 'sum',
    valuePath: '$.n',
    epochPath: '',
    startPath: '',
    groupBy: { path: '$.path' },
    filters: [],
    unit: '1',
    validFor: 0,
    rank: 0,
    of: [],
    direction: 'percentile-of-sum',
    billable: true,
    deleted: false,
  },
} as const;

/** Three events of 1, 2 and 4 in three windows, all closed. */
async function counted(): Promise<World> {
  const world = await openWorld(T0);
  await world.append(requests);
  await world.usage.job.run();
  await world.events([
    { id: 'a', t: T0 + MINUTE, data: '{"n":1,"path":"/"}' },
    { id: 'b', t: T0 + 20 * MINUTE, data: '{"n":2,"path":"/"}', set: 'import' },
    { id: 'c', t: T0 + 40 * MINUTE, data: '{"n":4,"path":"/"}' },
  ]);
  world.clock.at = T0 + 3 * HOUR;
  await world.usage.job.run();
  return world;
}

const total = async (world: World): Promise<string | null | undefined> =>
  (await world.rows({ from: T0, to: T0 + HOUR, filter: { meters: ['requests'] } }))[0]?.quantity;

test('a voided event counts no more; its window keeps a void row, not a stale one', async () => {
  const world = await counted();
  assert.equal(await total(world), '7');
  await world.usage.corrections.voidEvent({ tenant: '', source: 'app', id: 'c' }, who);
  await world.usage.job.run();
  assert.equal(await total(world), '3');
});

test('an amended event counts with its new content, once, also when it is amended again', async () => {
  const world = await counted();
  const ref = { tenant: '', source: 'app', id: 'b' };
  await world.usage.corrections.amendEvent(ref, { data: '{"n":20,"path":"/"}' }, who);
  await world.usage.job.run();
  assert.equal(await total(world), '25');
  await assert.rejects(world.usage.corrections.amendEvent(ref, { data: '{"n":3}' }, who), { code: 'fact.unknown' });
});

test('a backfill set is undone as a whole', async () => {
  const world = await counted();
  await world.usage.corrections.openSet('import', who);
  await world.usage.corrections.undoSet('import', who);
  await world.usage.job.run();
  assert.equal(await total(world), '5');
  await assert.rejects(world.usage.corrections.undoSet('import', who), { code: 'set.undone' });
});

test('unattributed usage goes to the owner once it is known, and nowhere else', async () => {
  const world = await counted();
  assert.equal((await world.usage.unattributed(T0, T0 + HOUR)).length, 1);
  await world.append({
    kind: 'account',
    id: 'acme',
    parent: null,
    name: '',
    zone: 'UTC',
    currency: 'EUR',
    state: 'active',
  });
  await world.usage.corrections.attribute('', 'customer-1', 'acme', T0, who);
  assert.deepEqual(await world.usage.unattributed(T0, T0 + HOUR), []);
  const rows = await world.rows({ from: T0, to: T0 + HOUR, filter: { meters: ['requests'], accounts: ['acme'] } });
  assert.deepEqual(
    rows.map((r) => r.quantity),
    ['7'],
  );
});

test('an owner who takes over inside a window gets the events from that instant on', async () => {
  const world = await counted();
  const account = { kind: 'account', parent: null, name: '', zone: 'UTC', currency: 'EUR', state: 'active' } as const;
  await world.append({ ...account, id: 'a' }, { ...account, id: 'b' });
  await world.usage.corrections.attribute('', 'customer-1', 'a', T0, who);
  await world.usage.corrections.attribute('', 'customer-1', 'b', T0 + 20 * MINUTE, who);
  await world.usage.job.run();
  const rows = await world.rows({ from: T0, to: T0 + HOUR, filter: { meters: ['requests'] } });
  assert.deepEqual(
    rows.map((r) => [r.group.account, r.quantity]),
    [
      ['a', '1'],
      ['b', '6'],
    ],
  );
});

test('a conflicting reading holds its window back until it is decided; dropped, the window is known', async () => {
  const world = await openWorld(T0);
  const nic = await world.series('nic-1');
  await world.usage.job.run();
  await world.read(nic, [
    [T0, 0n],
    [T0 + 5 * MINUTE, 10n],
    [T0 + 5 * MINUTE, 11n],
    [T0 + 20 * MINUTE, 30n],
  ]);
  world.clock.at = T0 + HOUR;
  await world.usage.job.run();
  const row = async () => (await world.rows({ from: T0, to: T0 + WINDOW_MS }))[0];
  assert.deepEqual([(await row())?.quantity, (await row())?.state], ['23', 'quarantined']);
  const [item] = await world.control.setAside({ state: 'open', limit: 10 });
  assert.equal(item?.code, 'reading.conflict');
  await world.usage.corrections.decide(item?.id ?? 0, 'drop', who);
  await world.usage.job.run();
  assert.deepEqual([(await row())?.quantity, (await row())?.state], ['23', 'known']);
});

test('exported facts replay to the records the job wrote', async () => {
  const world = await counted();
  const nic = await world.series('nic-1');
  await world.read(nic, [
    [T0, 0n],
    [T0 + 7 * MINUTE, 100n],
    [T0 + 33 * MINUTE, 40n, { epoch: 8 }],
    [T0 + 70 * MINUTE, 90n, { epoch: 8 }],
  ]);
  await world.usage.corrections.voidEvent({ tenant: '', source: 'app', id: 'c' }, who);
  await world.usage.job.run();
  const replayed = await replay(world.usage.exportFacts({}, T0, T0 + HOUR, null));
  const figures = replayed.map((r) => [
    r.meter,
    (r.window - T0) / WINDOW_MS,
    r.part,
    r.quantity,
    r.state,
    r.flags.join(),
  ]);
  const counters = await world.store.counterRecords([nic.id], T0, T0 + HOUR);
  const stored = counters.map((r) => [(r.window - T0) / WINDOW_MS, String(r.used)]);
  assert.deepEqual(
    figures.filter(([m]) => m === 'network.bytes.sent').map(([, w, , q]) => [w, q]),
    stored,
  );
  assert.deepEqual(
    figures.filter(([m]) => m === 'requests').map(([, w, , q]) => [w, q]),
    [
      [0, '1'],
      [1, '2'],
    ],
  );
});

test('a bad line of facts is named by its number and field', async () => {
  const lines = async function* () {
    yield '{"kind":"header","format":1,"from":0,"to":900000,"frontier":1}';
    yield '{"kind":"reading","series":1,"t":1,"value":"18446744073709551616","epoch":1,"start":0,"receipt":1,"stamps":0,"sourceTime":1}';
  };
  await assert.rejects(replay(lines()), { code: 'replay.line', message: 'line 2: value is missing or not allowed' });
});

test('explain walks from a record to its readings and run, and from an event up to its record', async () => {
  const world = await counted();
  const nic = await world.series('nic-1');
  const receipts = await world.read(nic, [
    [T0, 0n],
    [T0 + 5 * MINUTE, 10n],
    [T0 + 20 * MINUTE, 40n],
  ]);
  world.clock.at = T0 + 4 * HOUR;
  await world.usage.job.run();
  const parse = (text: string) => Number(text);
  const down = await world.usage.explain(`${nic.id}@${T0}`, null, parse);
  assert.equal(down.kind, 'counter');
  if (down.kind !== 'counter') return;
  assert.deepEqual(
    down.records.map((r) => [r.quantity, r.confirmed, r.run?.outcome]),
    [['30', true, 'done']],
  );
  assert.deepEqual(
    down.readings.map((r) => [r.receipt, r.case, r.outcome, r.amount]),
    [
      [receipts[0], 1, 'baseline', null],
      [receipts[1], 2, 'counted', '10'],
      [receipts[2], 2, 'counted', '30'],
    ],
  );
  const up = await world.usage.explain('event:app/a', null, parse);
  if (up.kind !== 'event') return assert.fail('an event explains itself');
  const tally = await world.usage.explain(up.counted[0]?.record ?? '', null, parse);
  if (tally.kind !== 'tally') return assert.fail('its record explains itself');
  assert.deepEqual(
    tally.records.map((r) => [r.quantity, r.events, r.confirmed, r.run?.outcome]),
    [['1', '1', true, 'done']],
  );
  assert.deepEqual(
    tally.events.map((e) => [e.id, e.value]),
    [['a', '1']],
  );
  assert.ok(up.kind === 'event' && up.counted[0]?.meter === 'requests' && up.counted[0].record !== null);
});

test('an event that feeds a counter cannot be amended, only voided', async () => {
  const world = await openWorld(T0);
  const data = '{"value":"5"}';
  await world.events([{ id: 'c', type: 'network.bytes.sent', subject: 'nic-1', t: T0 + MINUTE, data }]);
  const ref = { tenant: '', source: 'app', id: 'c' };
  const amended = world.usage.corrections.amendEvent(ref, { data: '{"value":"6"}' }, who);
  await assert.rejects(amended, { code: 'correction.counter' });
  await world.usage.corrections.voidEvent(ref, who);
});
