/** What the property test does not reach: joined meters, events, references, what changed, and where a difference lies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatQuantity, SCALE } from '../domain/quantity.ts';
import { addDigest, counterLine, digestOf, digestText } from '../domain/record-digest.ts';
import { WINDOW_MS as W } from '../domain/window.ts';
import type { Metered, MeteredAsk } from './metered.ts';
import { openWorld, type World } from './testing/world.ts';

const T0 = 1_795_219_200_000;
const HOUR = 4 * W;
const END = T0 + 2 * HOUR;

const ask = (more: Partial<MeteredAsk> = {}): MeteredAsk => ({
  account: 'a',
  meter: 'network.bytes.sent',
  from: T0,
  to: END,
  where: {},
  by: [],
  events: false,
  ...more,
});

const account = (id: string) =>
  ({ kind: 'account', id, parent: null, name: '', zone: 'UTC', currency: 'EUR', state: 'active' }) as const;
const own = (resource: string, id: string, from = 0) => ({ kind: 'owner', resource, account: id, from }) as const;
const calls = {
  kind: 'meter' as const,
  meter: {
    key: 'calls',
    version: 1,
    name: '',
    kind: 'delta' as const,
    eventType: 'request',
    aggregation: 'sum' as const,
    valuePath: '$.n',
    epochPath: '',
    startPath: '',
    groupBy: { region: '$.region' },
    filters: [],
    unit: '1',
    validFor: 0,
    rank: 0,
    of: [],
    direction: 'percentile-of-sum' as const,
    billable: true,
    deleted: false,
  },
};

/** Accounts a and b with a NIC each, read every 15 minutes: 100 bytes a window sent, 10 received by a. */
async function open(): Promise<World> {
  const world = await openWorld(T0, { groups: 1 });
  await world.append(account('a'), account('b'), own('nic-a', 'a'), own('nic-b', 'b'), calls);
  const edges = Array.from({ length: 12 }, (_, i) => i);
  for (const [name, meter, step] of [
    ['nic-a', 'network.bytes.sent', 100n],
    ['nic-a', 'network.bytes.received', 10n],
    ['nic-b', 'network.bytes.sent', 7n],
  ] as const) {
    const series = await world.series(name, meter);
    await world.read(
      series,
      edges.map((i) => [T0 + i * W, 1000n + BigInt(i) * step] as const),
    );
  }
  await pass(world, T0 + 12 * W);
  return world;
}

async function pass(world: World, at: number): Promise<void> {
  world.clock.at = at;
  await world.declare(at);
  await world.declare(at, 'app');
  await world.usage.job.run();
}

async function one(world: World, of: MeteredAsk, asOf: number | null = null): Promise<Metered | undefined> {
  const [rows] = await (await world.usage.meteredAt(asOf)).read([of]);
  return rows?.[0];
}
const text = (row: Metered | undefined): string | null | undefined =>
  row === undefined ? undefined : row.quantity === null ? null : formatQuantity(row.quantity);

test('joined meters are added, and each series tells what it had part in', async () => {
  const world = await open();
  const row = await one(world, ask({ meter: 'network.bytes.sent + network.bytes.received' }));
  assert.deepEqual([text(row), row?.unit, row?.state, row?.count], ['880', 'By', 'known', 16n]);
  assert.deepEqual(
    row?.series.map((s) => s.quantity),
    [800n * SCALE, 80n * SCALE],
  );
  assert.equal(await one(world, ask({ account: 'nobody' })), undefined);
});

test('meters of different units are not added, and an unknown one is named', async () => {
  const world = await open();
  const reader = await world.usage.meteredAt();
  await assert.rejects(reader.read([ask({ meter: 'network.bytes.sent + calls' })]), { code: 'request.invalid' });
  await assert.rejects(reader.read([ask({ meter: 'nonsense' })]), { code: 'meter.unknown' });
});

test('what is not billable never counts, and an account has nothing of another', async () => {
  const world = await open();
  const resource = { kind: 'resource', id: 'nic-a', trafficType: null, tag: '', billable: false, name: '' } as const;
  const before = world.receipts.frontier();
  await world.append(resource);
  await pass(world, T0 + 13 * W);
  assert.equal(await one(world, ask()), undefined);
  assert.equal(text(await one(world, ask({ account: 'b' }))), '56');
  assert.equal(text(await one(world, ask(), before)), '800');
});

test('each event is told in the order of time, and by what is grouped', async () => {
  const world = await open();
  const at = (t: number, n: string, region: string) => ({ t, subject: 'a', data: `{"n":${n},"region":"${region}"}` });
  await world.events([at(T0 + 5000, '2.5', 'x'), at(T0 + 1000, '1', 'x'), at(T0 + 5000, '4', 'y')]);
  await world.events([at(T0 + W, '8', 'x'), at(END, '100', 'x'), { ...at(T0 + 10, '50', 'x'), subject: 'b' }]);
  await pass(world, T0 + 14 * W);
  const reader = await world.usage.meteredAt();
  const wanted = ask({ meter: 'calls', events: true });
  const [all, groups, none] = await reader.read([
    wanted,
    { ...wanted, by: ['region'] },
    ask({ events: true, to: T0 + W }),
  ]);
  const shown = (rows: Metered[] | undefined) => rows?.map((r) => [r.group, text(r), r.events?.map(formatQuantity)]);
  assert.deepEqual(shown(all), [[{}, '15.5', ['1', '2.5', '4', '8']]]);
  assert.deepEqual(shown(groups), [
    [{ region: 'x' }, '11.5', ['1', '2.5', '8']],
    [{ region: 'y' }, '4', ['4']],
  ]);
  assert.equal(none?.[0]?.events, null);
});

test('readings that came and were taken back between two runs are there as of a receipt between', async () => {
  const world = await open();
  await world.append(own('nic-c', 'a'));
  const series = await world.series('nic-c');
  const receipts = await world.read(series, [
    [T0, 0n],
    [T0 + W, 5n],
  ]);
  const between = world.receipts.frontier();
  for (const receipt of receipts)
    await world.usage.corrections.voidReading(receipt, { tenant: '', author: 'x', reason: 'x' });
  await pass(world, T0 + 15 * W);
  assert.equal(text(await one(world, ask())), '800');
  assert.equal(text(await one(world, ask(), between)), '805');
});

test('events that came and were taken back between two runs are there as of a receipt between', async () => {
  const world = await open();
  const data = '{"n":3,"region":"x"}';
  await world.events([{ t: T0 + 1000, subject: 'a', data, id: 'e' }]);
  const between = world.receipts.frontier();
  await world.usage.corrections.voidEvent(
    { tenant: '', source: 'app', id: 'e' },
    { tenant: '', author: 'x', reason: 'x' },
  );
  await pass(world, T0 + 15 * W);
  const wanted = ask({ meter: 'calls' });
  assert.equal(text(await one(world, wanted)), undefined);
  const then = await one(world, wanted, between);
  assert.equal(text(then), '3');
});

test('the digest is that of the records, and of the facts, and one byte of a record changes it', async () => {
  const world = await open();
  const [series] = world.registry.ofResource('', 'nic-a');
  assert.ok(series !== undefined);
  const records = await world.store.counterRecords([series.id], T0, END);
  const expected = digestText(records.reduce((sum, r) => addDigest(sum, digestOf(counterLine(r))), 0n));
  const billed = await one(world, ask());
  assert.deepEqual(billed?.series, [{ series: series.id, quantity: 800n * SCALE, digest: expected }]);
  // Nothing above this frontier, and no record of it: facts alone.
  const frontier = world.receipts.frontier();
  await world.store.writeCounters(records, frontier + 1_000_000);
  assert.deepEqual((await one(world, ask(), frontier))?.series, billed?.series);
  const [first] = records;
  assert.ok(first !== undefined);
  const other = await open();
  await other.store.writeCounters([{ ...first, used: first.used + 1n }], first.frontier);
  assert.notEqual((await one(other, ask()))?.series[0]?.digest, expected);
});

test('a damaged record is found, with its readings', async () => {
  const world = await open();
  const reader = await world.usage.meteredAt();
  const [rows] = await reader.read([ask()]);
  const then = rows?.[0]?.series ?? [];
  assert.equal(await reader.firstDifference(ask(), then), null);
  const [series] = world.registry.ofResource('', 'nic-a');
  const [, record] = await world.store.counterRecords([series?.id ?? 0], T0, END);
  assert.ok(record !== undefined);
  await world.store.writeCounters([{ ...record, used: 101n }], record.frontier);
  const found = await (await world.usage.meteredAt(reader.frontier)).firstDifference(ask(), then);
  assert.equal(found?.kind, 'record');
  assert.deepEqual(
    [found.series, found.window, found.stored, found.computed, found.facts.map((f) => f.text)],
    [series?.id, T0 + W, counterLine({ ...record, used: 101n }), counterLine(record), ['1100']],
  );
});

test('other facts than those that were billed are named by their series', async () => {
  const world = await open();
  const reader = await world.usage.meteredAt();
  const series = world.registry.ofResource('', 'nic-a')[0]?.id ?? 0;
  const found = await reader.firstDifference(ask(), [{ series, quantity: 1n, digest: 'ff'.repeat(32) }]);
  assert.equal(found?.kind, 'facts');
  assert.deepEqual([found.series, found.billed, found.facts.length], [series, 'ff'.repeat(32), 8]);
});

test('a reference explains what was billed, also when more has come since', async () => {
  const world = await open();
  const reader = await world.usage.meteredAt();
  const refs = await reader.references(ask());
  const series = world.registry.ofResource('', 'nic-a')[0];
  assert.deepEqual(refs, [`${series?.id}@${T0}/${END}`]);
  assert.ok(series !== undefined);
  await world.read(series, [[T0 + 100_000, 1090n, { stamps: 1 }]]);
  await pass(world, T0 + 16 * W);
  const explain = async (asOf: number | null) => {
    const explained = await world.usage.explain(refs[0] ?? '', null, Number, asOf);
    return explained.kind === 'counter' ? explained.readings.length : -1;
  };
  assert.equal((await explain(null)) - (await explain(reader.frontier)), 1);
});

test('accounts whose usage facts may have changed since are named, the others not', async () => {
  const world = await open();
  const changed = async (then: number, from = T0, to = END): Promise<string[] | 'all'> => {
    const present = await world.usage.meteredAt(world.receipts.frontier());
    const { all, has } = await present.changedSince(then, from, to);
    return all ? 'all' : ['a', 'b', 'c'].filter(has);
  };
  const check = async (what: string, change: () => Promise<unknown>, expected: string[] | 'all', to = END) => {
    const then = world.receipts.frontier();
    await change();
    assert.deepEqual(await changed(then, T0, to), expected, what);
  };
  const [a, b] = [world.registry.ofResource('', 'nic-a')[0], world.registry.ofResource('', 'nic-b')[0]];
  assert.ok(a !== undefined && b !== undefined);
  const who = { tenant: '', author: 'x', reason: 'x' };
  const data = '{"n":3,"region":"x"}';
  await check('nothing', async () => undefined, []);
  await check('a tick', () => world.append({ kind: 'tick', at: T0 + 20 * W }), []);
  await check('a reading after the span', () => world.read(b, [[T0 + 30 * W, 2000n]]), []);
  await check('a late reading', () => world.read(a, [[T0 + 1000, 1001n, { stamps: 1 }]]), ['a']);
  await check('an event', () => world.events([{ t: T0 + 1000, subject: 'b', data, id: 'e' }]), ['b']);
  await check('an event of another time', () => world.events([{ t: END, subject: 'b', data }]), []);
  await check('its void', () => world.usage.corrections.voidEvent({ tenant: '', source: 'app', id: 'e' }, who), ['b']);
  await check('another owner', () => world.append(own('nic-b', 'a', T0 + W)), ['a', 'b']);
  await check('an owner of later', () => world.append(own('nic-a', 'b', END)), []);
  await check('an owner instead of another', () => world.append(own('nic-b', 'c', T0 + W)), ['a', 'b', 'c']);
  await check('a loss', () => world.append({ kind: 'unobserved', series: a.id, source: null, from: T0, to: END }), [
    'a',
  ]);
  await check('a definition', () => world.append(calls), 'all');
});

test('who has facts beyond the clock as recorded by S is named once the clock has passed them', async () => {
  const level = { ...calls.meter, key: 'level', kind: 'gauge' as const, eventType: 'level' };
  const check = async (of: MeteredAsk, arrive: (world: World) => Promise<unknown>) => {
    const world = await open();
    await world.append(account('c'), { kind: 'meter', meter: level });
    await arrive(world);
    const then = world.receipts.frontier();
    const before = text(await one(world, of, then));
    await world.append({ kind: 'tick', at: of.to + HOUR });
    assert.notEqual(text(await one(world, of, world.receipts.frontier())), before, of.meter);
    const present = await world.usage.meteredAt(world.receipts.frontier());
    const changed = async (to: number) => ['a', 'b', 'c'].filter((await present.changedSince(then, T0, to)).has);
    // Where the clock had been before, its moving on changes nothing.
    assert.deepEqual(await changed(T0 + 12 * W), [], of.meter);
    assert.ok((await changed(of.to)).includes(of.account), of.meter);
  };
  const to = T0 + 20 * W;
  const event = (type: string, t: number) => ({ type, t, subject: 'c', data: '{"n":3,"region":"x"}' });
  const read = async (world: World) => world.read(await world.series('nic-a'), [[T0 + 17 * W, 9000n]]);
  await check(ask({ to }), read);
  const calling = ask({ account: 'c', meter: 'calls', to });
  await check(calling, (world) => world.events([event('request', T0 + 17 * W)]));
  await check({ ...calling, meter: 'level' }, (world) => world.events([event('level', T0 + 1000)]));
});

test('silence at the end is pending, and unobserved once it is settled', async () => {
  const world = await open();
  const late = ask({ account: 'b', from: T0 + 8 * W, to: T0 + 14 * W });
  await pass(world, T0 + 14 * W);
  const pending = await one(world, late);
  assert.deepEqual([text(pending), pending?.state, pending?.flags], ['21', 'pending', []]);
  await pass(world, T0 + 8 * 24 * HOUR);
  const settled = await one(world, late);
  assert.deepEqual([text(settled), settled?.state, settled?.flags], ['21', 'unobserved', ['unobserved']]);
});
