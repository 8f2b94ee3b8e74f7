/**
 * Laws and known failures of the field, through ingest, job and queries of one server on the model stores: named by the
 * issue where somebody's users found them first.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ControlBody } from 'tollgate/domain/control-fact.js';
import { defineMeter } from 'tollgate/domain/define-meter.js';
import type { UsageRow, WindowSize } from 'tollgate/usage/index.js';
import { type Disk, Machine, type MachineOptions, makeDisk, removeDisk } from './simulation/machine.ts';
import { type MachineClock, VirtualTime } from './simulation/time.ts';

const T0 = Date.UTC(2026, 2, 28, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const author = { tenant: '', author: 'test', reason: 'test' };
const who = { tenant: '', author: 'test', reason: 'test' };

let disk: Disk;
let time: VirtualTime;
let clock: MachineClock;
let machine: Machine;

const meterFact = (input: Record<string, unknown>): ControlBody => {
  const meter = defineMeter({ unit: '1', ...input }, undefined);
  assert.ok(!Array.isArray(meter), JSON.stringify(meter));
  const { receipt: _, ...rest } = meter;
  return { kind: 'meter', meter: rest };
};

const boot = (options: Partial<MachineOptions> = {}): Promise<Machine> => Machine.boot(disk, { clock, ...options });
const setup = async (): Promise<void> => {
  disk = makeDisk();
  time = new VirtualTime(T0);
  clock = time.clock();
  machine = await boot();
  await machine.log.append(
    [meterFact({ key: 'work', name: 'Work', kind: 'delta', aggregation: 'sum', eventType: 'work', valuePath: '$.n' })],
    author,
  );
};

const event = (
  id: string,
  t: number,
  n: number | string,
  more: Record<string, unknown> = {},
): Record<string, unknown> => ({
  specversion: '1.0',
  id,
  source: 'app',
  type: 'work',
  subject: 'acme',
  time: new Date(t).toISOString(),
  data: { n },
  ...more,
});

let sequence = 1;
const readings = async (
  rows: readonly (readonly [t: number, value: number | string, epoch?: string, start?: number])[],
  complete = 0,
  resource = 'nic',
  run = 'run',
) => {
  const epochs = [...new Set(rows.map((row) => row[2] ?? 'boot'))];
  // Nobody reads a counter in the future: time is at the last row when they are sent.
  await time.run(Math.max(time.now, ...rows.map(([t]) => t)));
  const batch = {
    source: 'host',
    run,
    sequence,
    sentAt: time.now,
    ...(complete > 0 ? { completeThrough: complete } : {}),
    series: epochs.map((epoch) => ({ resource, meter: 'network.bytes.sent', epoch, period: MINUTE })),
    readings: rows.map(([t, value, epoch = 'boot', start = 0]) => [
      epochs.indexOf(epoch),
      t,
      String(value),
      ...(start > 0 ? [start] : []),
    ]),
  };
  sequence += rows.length;
  return machine.readings(batch);
};

interface Asked {
  meter?: string;
  from?: number;
  to?: number;
  windowSize?: WindowSize;
  zone?: string;
  viewer?: ReadonlySet<string> | null;
  asOf?: number | null;
}
const ask = async ({
  meter = 'work',
  from = T0 - 24 * HOUR,
  to = T0 + 48 * HOUR,
  windowSize = 'total',
  zone = 'UTC',
  viewer = null,
  asOf = null,
}: Asked = {}): Promise<UsageRow[]> => {
  const query = { filter: { meters: [meter] }, from, to, windowSize, zone, groupBy: ['account', 'resource'] };
  return (await machine.usage.query(query, viewer, asOf)).rows;
};
const quantity = async (asked: Asked = {}): Promise<string | null> => {
  const rows = await ask(asked);
  return rows.length === 0 ? null : String(rows.reduce((sum, row) => sum + Number(row.quantity ?? 0), 0));
};
/** Lets time pass and runs the job. */
const job = async (ms = 0): Promise<void> => {
  await time.run(time.now + ms);
  await time.until(machine.usage.job.run());
};

before(setup);
beforeEach(async () => {
  removeDisk(disk);
  await setup();
});
after(() => removeDisk(disk));

test('openmeter#5118: an id is not claimed before its event is durable, so the retry of a failed write counts', async () => {
  let fail = true;
  machine = await boot({
    faults: () => ({
      pause: async () => undefined,
      fate: (call) => (fail && call === 'commit' ? 'failed' : 'written'),
    }),
  });
  const refused = await time.until(machine.events([event('1', T0, 7)]));
  assert.deepEqual([refused.status, refused.code], [503, 'store.unavailable']);
  fail = false;
  await time.run(time.now + 10_000);
  const retried = await time.until(machine.events([event('1', T0, 7)]));
  assert.equal(retried.outcome?.accepted, 1, JSON.stringify(retried));
  assert.equal(await quantity(), '7');
});

test('a write whose answer was lost is recognised when it is tried again', async () => {
  let lose = true;
  machine = await boot({
    faults: () => ({
      pause: async () => undefined,
      fate: (call) => (lose && call === 'commit' ? 'answer lost' : 'written'),
    }),
  });
  assert.equal((await time.until(machine.events([event('1', T0, 7)]))).status, 503);
  lose = false;
  await time.run(time.now + 10_000);
  const retried = await time.until(machine.events([event('1', T0 + 5000, 7)]));
  assert.equal(retried.outcome?.duplicates, 1, JSON.stringify(retried));
  assert.equal(await quantity(), '7');
});

test('openmeter#4902: what a restart finds in the event table decides what is a replay, nothing else', async () => {
  await machine.events([event('1', T0, 1), event('2', T0, 2)]);
  machine.life.end();
  machine = await boot();
  const replay = await machine.events([event('1', T0, 1), event('2', T0, 2), event('3', T0, 4)]);
  assert.deepEqual([replay.outcome?.accepted, replay.outcome?.duplicates], [1, 2]);
  assert.equal(await quantity(), '7');
});

test('langfuse#16017 and flexprice#2763: the same event again, also with another time, counts once', async () => {
  await machine.events([event('1', T0, 7)]);
  for (let n = 0; n < 5; n++) {
    const again = await machine.events([event('1', T0 + n * HOUR, 7)]);
    assert.deepEqual([again.outcome?.accepted, again.outcome?.duplicates], [0, 1]);
  }
  assert.equal(await quantity(), '7');
});

test('law 2: the same id with other content is a conflict: the first stays, the second is visible', async () => {
  await machine.events([event('1', T0, 7)]);
  const second = await machine.events([event('1', T0, 8)]);
  assert.equal(second.outcome?.conflicts, 1);
  assert.equal(await quantity(), '7');
  const aside = await disk.control.setAside({ limit: 10 });
  assert.equal(aside.length, 1);
  assert.match(aside[0]?.content ?? '', /8/);
});

test('law 2: no account can claim another’s identity', async () => {
  await machine.events([event('1', T0, 7)], 'one');
  const other = await machine.events([event('1', T0, 5)], 'two');
  assert.equal(other.outcome?.accepted, 1);
  assert.equal(await quantity(), '12');
});

test('lago-api#4772: a batch with a duplicate inside stores the rest and tells of the one', async () => {
  const reply = await machine.events([event('1', T0, 1), event('2', T0, 2), event('1', T0, 1), event('3', T0, 4)]);
  assert.deepEqual([reply.outcome?.accepted, reply.outcome?.duplicates], [3, 1]);
  assert.equal(reply.outcome?.items[0]?.position, 2);
  assert.equal(await quantity(), '7');
});

test('lago-api#5327: events that differ only in type, source or tenant are different events', async () => {
  await machine.log.append(
    [meterFact({ key: 'rest', name: 'Rest', kind: 'delta', aggregation: 'sum', eventType: 'rest', valuePath: '$.n' })],
    author,
  );
  await machine.events([event('1', T0, 1)]);
  await machine.events([event('1', T0, 2, { source: 'other' })]);
  assert.equal(await quantity(), '3');
});

test('cloudstack#13112: running the job again and again over the same days makes no second record', async () => {
  await readings(
    [
      [T0, 0],
      [T0 + HOUR, 1000],
      [T0 + 2 * HOUR, 3000],
    ],
    T0 + 2 * HOUR,
  );
  await job(4 * HOUR);
  const first = await disk.usage.counterRecords(
    [...machine.registry.all()].map((s) => s.id),
    0,
    T0 + 24 * HOUR,
  );
  assert.ok(first.length >= 8);
  for (let n = 0; n < 20; n++) await job(MINUTE);
  await machine.usage.job.rerun(T0 - HOUR, T0 + 3 * HOUR);
  const last = await disk.usage.counterRecords(
    [...machine.registry.all()].map((s) => s.id),
    0,
    T0 + 24 * HOUR,
  );
  const bare = (rows: typeof first) => rows.map(({ frontier: _, ...row }) => row);
  assert.deepEqual(bare(last), bare(first));
  assert.equal(await quantity({ meter: 'network.bytes.sent' }), '3000');
});

test('cloudstack, clock going back: a server clock that steps back an hour makes no negative, empty or repeated window', async () => {
  await readings(
    [
      [T0, 0],
      [T0 + 30 * MINUTE, 600],
    ],
    T0 + 30 * MINUTE,
  );
  await job(HOUR);
  clock.offset = -HOUR;
  await job(MINUTE);
  await readings([[T0 + 45 * MINUTE, 900]], T0 + 45 * MINUTE);
  await job(20 * MINUTE);
  clock.offset = 0;
  await job(2 * HOUR);
  const records = (
    await disk.usage.counterRecords(
      [...machine.registry.all()].map((s) => s.id),
      0,
      T0 + 24 * HOUR,
    )
  ).filter((r) => !r.isVoid);
  assert.equal(new Set(records.map((r) => r.window)).size, records.length);
  for (const record of records) assert.ok(record.used >= 0n);
  assert.equal(await quantity({ meter: 'network.bytes.sent' }), '900');
});

test('unkey#6861: a new agent run over the same counter counts only what is new', async () => {
  await readings([
    [T0, 5_000_000],
    [T0 + MINUTE, 5_000_500],
  ]);
  const batch = {
    source: 'host',
    run: 'another run',
    sequence: 1,
    sentAt: clock.now(),
    series: [{ resource: 'nic', meter: 'network.bytes.sent', epoch: 'boot' }],
    readings: [[0, T0 + 2 * MINUTE, '5000700']],
  };
  await time.run(T0 + 3 * MINUTE);
  assert.equal((await machine.readings(batch)).outcome?.accepted, 1);
  assert.equal(await quantity({ meter: 'network.bytes.sent' }), '700');
});

test('openmeter#3313: a month in a zone begins at the zone’s midnight', async () => {
  const zone = 'America/New_York';
  // 1 April 2026 00:00 in New York is 04:00 UTC.
  const edge = Date.UTC(2026, 3, 1, 4);
  await time.run(edge + HOUR);
  await machine.events([event('before', edge - 1, 1), event('at', edge, 10)]);
  const rows = await ask({ from: Date.UTC(2026, 2, 15), to: Date.UTC(2026, 3, 15), windowSize: 'month', zone });
  assert.deepEqual(
    rows.map((row) => [row.from, row.to, row.quantity]),
    [
      [Date.UTC(2026, 2, 15), edge, '1'],
      [edge, Date.UTC(2026, 3, 15), '10'],
    ],
  );
});

test('killbill#1934: the days of the clock change have 23 and 25 hours, and every hour is in one of them', async () => {
  // Berlin: 29 March 2026 has 23 hours, 25 October 2026 has 25.
  for (const [start, hours] of [
    [Date.UTC(2026, 2, 28, 23), 23],
    [Date.UTC(2026, 9, 24, 22), 25],
  ] as const) {
    await time.run(start + 40 * HOUR);
    const events = Array.from({ length: 36 }, (_, h) => event(`${start}-${h}`, start + h * HOUR, 1));
    assert.equal((await machine.events(events)).outcome?.accepted, 36);
    const rows = await ask({ from: start, to: start + 36 * HOUR, windowSize: 'day', zone: 'Europe/Berlin' });
    assert.deepEqual(
      rows.map((row) => row.quantity),
      [String(hours), String(36 - hours)],
    );
  }
});

test('law 10: a late fact rewrites its window at a higher S, and the answer as of the old S stays', async () => {
  await readings(
    [
      [T0, 0],
      [T0 + HOUR, 4000],
    ],
    T0 + HOUR,
  );
  await machine.events([event('1', T0 + MINUTE, 5)]);
  await job(3 * HOUR);
  const frontier = machine.receipts.frontier();
  const asked = { meter: 'network.bytes.sent', from: T0, to: T0 + HOUR, windowSize: 'window' as const };
  const before = await ask({ ...asked, asOf: frontier });
  assert.deepEqual(
    before.map((r) => r.quantity),
    ['1000', '1000', '1000', '1000'],
  );
  // From another collector run: in one run a later number with an earlier time is a clock that stepped back.
  await readings([[T0 + 30 * MINUTE, 3000]], 0, 'nic', 'late run');
  await machine.events([event('2', T0 + MINUTE, 6)]);
  await job(MINUTE);
  assert.deepEqual(
    (await ask(asked)).map((r) => r.quantity),
    ['1500', '1500', '500', '500'],
  );
  assert.equal(await quantity(), '11');
  assert.deepEqual(await ask({ ...asked, asOf: frontier }), before);
  assert.equal(await quantity({ asOf: frontier }), '5');
});

test('law 5: a source that says nothing leaves usage pending, a silent one that vouches leaves zero', async () => {
  await readings([
    [T0, 0],
    [T0 + MINUTE, 500],
  ]);
  await job(HOUR);
  const rows = await ask({ meter: 'network.bytes.sent', from: T0, to: T0 + HOUR });
  assert.equal(rows[0]?.state, 'pending', JSON.stringify(rows));
});

const account = (id: string, parent: string | null): ControlBody => ({
  kind: 'account',
  id,
  parent,
  name: id,
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});

test('law 11: a tenant sees its own and its descendants’, and past usage stays with the owner of that time', async () => {
  await machine.log.append([account('reseller', null), account('acme', 'reseller'), account('other', null)], who);
  await machine.log.append(
    [
      { kind: 'owner', resource: 'nic', account: 'acme', from: T0 },
      { kind: 'owner', resource: 'nic', account: 'other', from: T0 + 30 * MINUTE },
    ],
    who,
  );
  await readings(
    [
      [T0, 0],
      [T0 + HOUR, 3600],
    ],
    T0 + HOUR,
  );
  await job(3 * HOUR);
  const meter = 'network.bytes.sent';
  assert.deepEqual(
    (await ask({ meter, viewer: new Set(['acme']) })).map((r) => [r.group.account, r.quantity]),
    [['acme', '1800']],
  );
  assert.deepEqual(
    (await ask({ meter, viewer: new Set(['other']) })).map((r) => [r.group.account, r.quantity]),
    [['other', '1800']],
  );
  assert.deepEqual(
    (await ask({ meter, viewer: new Set(['reseller', 'acme']) })).map((r) => r.group.account),
    ['acme'],
  );
  assert.deepEqual(await ask({ meter, viewer: new Set(['nobody']) }), []);
  assert.equal(await quantity({ meter }), '3600');
});

test('C7: what nobody owns is unattributed and visible, and counts for its owner once that is known', async () => {
  await readings(
    [
      [T0, 0],
      [T0 + HOUR, 3600],
    ],
    T0 + HOUR,
  );
  await job(3 * HOUR);
  const meter = 'network.bytes.sent';
  assert.deepEqual(
    (await ask({ meter })).map((r) => [r.group.account, r.quantity]),
    [['unattributed', '3600']],
  );
  await machine.log.append(
    [account('acme', null), { kind: 'owner', resource: 'nic', account: 'acme', from: T0 - HOUR }],
    who,
  );
  await job(MINUTE);
  assert.deepEqual(
    (await ask({ meter })).map((r) => [r.group.account, r.quantity]),
    [['acme', '3600']],
  );
});

test('law 12: one can walk from a record to its readings with the case of each, and from an event to where it counts', async () => {
  await readings(
    [
      [T0, 0],
      [T0 + 5 * MINUTE, 500],
      [T0 + 20 * MINUTE, 40],
    ],
    T0 + 20 * MINUTE,
  );
  await machine.events([event('1', T0 + MINUTE, 5)]);
  await job(3 * HOUR);
  const [row] = await ask({ meter: 'network.bytes.sent', from: T0, to: T0 + HOUR });
  assert.ok(row?.explain);
  const parse = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);
  const down = await machine.usage.explain(row.explain, null, parse);
  assert.ok(down.kind === 'counter');
  assert.deepEqual(
    down.readings.map((r) => [r.value, r.amount]),
    [
      ['0', null],
      ['500', '500'],
      ['40', '40'],
    ],
  );
  assert.equal(
    down.records.reduce((sum, r) => sum + BigInt(r.quantity), 0n),
    540n,
  );
  assert.ok(down.records.every((r) => r.confirmed && r.run !== null));
  const up = await machine.usage.explain('event:app/1', null, parse);
  assert.ok(up.kind === 'event');
  assert.deepEqual(
    up.counted.map((c) => c.meter),
    ['work'],
  );
});

test('law 6: one series that cannot be computed stops nobody else', async () => {
  const top = (2n ** 64n - 1n).toString();
  // Three full wraps' worth in one window: the sum does not fit a record.
  await readings(
    [
      [T0, 0, 'a'],
      [T0 + 1000, top, 'a'],
      [T0 + 2000, 0, 'b', T0 + 1500],
      [T0 + 3000, top, 'b', T0 + 1500],
      [T0 + 4000, '5', 'b', T0 + 1500],
    ],
    0,
    'bad',
  );
  await readings(
    [
      [T0, 0],
      [T0 + HOUR, 1000],
    ],
    T0 + HOUR,
  );
  await job(3 * HOUR);
  const rows = await ask({ meter: 'network.bytes.sent', from: T0, to: T0 + HOUR });
  assert.equal(rows.find((r) => r.group.resource === 'nic')?.quantity, '1000');
  assert.equal(rows.find((r) => r.group.resource === 'bad')?.state, 'quarantined', JSON.stringify(rows));
});
