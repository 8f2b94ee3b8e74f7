import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChdb } from '../store/chdb/usage-chdb.ts';
import { type GateFields, gate, quotaOf } from './testing/gates.ts';
import { MeteredWorld, NOW } from './testing/metered-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const metered = (fields: GateFields = {}, period: 'day' | 'month' = 'month') =>
  gate(quotaOf(1_000_000, period), { key: 'included', feed: 'metered', meter: 'bytes', account: 'a', ...fields });

const run = (name: string, body: (w: MeteredWorld) => Promise<void>): void => {
  test(name, async () => {
    const w = await MeteredWorld.open();
    try {
      await body(w);
    } finally {
      await w.close();
    }
  });
};

run('usage of before is loaded once, and what is committed since is seen before its sender is answered', async (w) => {
  const own = metered();
  await w.events(0, [NOW - HOUR, 100], [NOW - 40 * DAY, 5000]);
  await w.events(1, [NOW - HOUR, 7]);
  assert.deepEqual(await w.feed.ensure([own], NOW), [], 'it became known');
  assert.equal(w.used(own), 100);
  const { queries } = w;
  await w.events(0, [NOW, 20], [NOW - 2 * HOUR, 3], [NOW - 30 * DAY, 999]);
  assert.equal(w.used(own), 123);
  assert.equal(w.feed.ensure([own], NOW), null, 'nothing to wait for');
  assert.equal(w.queries, queries);
});

run('a subtree, a resource, a value and a sum of meters each have their own counter', async (w) => {
  const gates = [
    metered({ key: 'sub', scope: 'subtree', account: 'root' }),
    metered({ key: 'vm', scope: 'resource', subject: 'vm-0' }),
    metered({ key: 'eu', scope: { dimension: 'region' }, subject: 'eu' }),
    metered({ key: 'both', meter: 'bytes + calls' }),
    metered({ key: 'all', scope: 'subtree', account: '', subject: '' }),
    metered({ key: 'any', scope: { dimension: 'region' }, account: 'b', subject: 'b\nus' }),
    metered({ key: 'peak', meter: 'peak' }),
  ];
  const used = () => gates.map((g) => w.used(g));
  await w.events(0, [NOW - HOUR, 10], [NOW - HOUR, 20, 'us']);
  await w.events(1, [NOW - HOUR, 100, 'us']);
  await w.events(2, [NOW - HOUR, 1000]);
  assert.deepEqual(await w.feed.ensure(gates, NOW), []);
  assert.deepEqual(used(), [130, 30, 10, 32, 1130, 100, 20]);
  await w.events(0, [NOW, 1], [NOW, 2, 'us']);
  await w.events(1, [NOW, 4, 'us']);
  await w.events(2, [NOW, 8]);
  assert.deepEqual(used(), [137, 33, 11, 37, 1145, 104, 20]);
  await w.quiet();
  assert.deepEqual(used(), await Promise.all(gates.map((g) => w.shown(g))));
});

run('who came in time does not make the next one wait in vain', async (w) => {
  for (const account of ['a', 'b', 'c']) {
    const own = metered({ account });
    assert.deepEqual(await w.feed.ensure([own], NOW), [], account);
    await w.feed.ensure([own, metered({ account, key: 'other' })], NOW);
  }
});

run('many counters of one shape are one question', async (w) => {
  const gates = Array.from({ length: 40 }, (_, i) => metered({ account: `x${i}` }));
  await w.feed.ensure([...gates, metered(), metered({ account: 'b' })], NOW);
  assert.equal(w.queries, 1);
});

run('fractions add up exactly and are rounded up once', async (w) => {
  const own = metered();
  await w.feed.ensure([own], NOW);
  for (let i = 0; i < 10; i++) await w.events(0, [NOW, '0.1']);
  assert.equal(w.used(own), 1);
  await w.events(0, [NOW, '0.000000000001']);
  assert.equal(w.used(own), 2);
});

run('a counter moves with its readings; resets wait for the next question, and nothing is taken back', async (w) => {
  const own = metered({ meter: 'network.bytes.sent' });
  await w.readings(0, [
    [NOW - 50 * MINUTE, 1000],
    [NOW - 40 * MINUTE, 1600],
  ]);
  await w.feed.ensure([own], NOW);
  assert.equal(w.used(own), 600);
  await w.readings(0, [
    [NOW - 30 * MINUTE, 1650],
    [NOW - 20 * MINUTE, 1700],
  ]);
  assert.equal(w.used(own), 700);
  await w.readings(0, [[NOW - 10 * MINUTE, 40]]);
  assert.equal(w.used(own), 700);
  await w.catchUp();
  assert.equal(w.used(own), 740);
});

run('of a reading that spans two owners or two periods each gets its exact share', async (w) => {
  const start = Date.UTC(2026, 10, 21);
  const [a, b, day] = [
    metered({ meter: 'network.bytes.sent' }),
    metered({ meter: 'network.bytes.sent', account: 'b' }),
    metered({ meter: 'network.bytes.sent', key: 'daily' }, 'day'),
  ];
  await w.feed.ensure([a, b, day], NOW);
  await w.append({ kind: 'owner', resource: 'vm-0', account: 'b', from: start + HOUR });
  await w.readings(0, [
    [start - HOUR, 0],
    [start + 2 * HOUR, 1000],
  ]);
  const used = () => [a, b, day].map((g) => w.used(g));
  assert.deepEqual(used(), [666, 334, 333]);
  await w.catchUp();
  assert.deepEqual(used(), [666, 334, 333]);
});

run('a late event counts at once, although the records of its window lack it until the next run', async (w) => {
  const own = metered();
  await w.events(0, [NOW - 3 * HOUR, 100]);
  await w.usage.job.run();
  await w.feed.ensure([own], NOW);
  await w.events(0, [NOW - 3 * HOUR, 11]);
  assert.equal(w.used(own), 111);
  assert.equal(await w.shown(own), 100, 'the records lack it');
  await w.append({ kind: 'owner', resource: 'other', account: 'a', from: 0 });
  await w.catchUp();
  assert.equal(w.used(own), 111, 'asked again before the run');
  const late = metered({ key: 'second' });
  await w.feed.ensure([late], NOW);
  assert.equal(w.used(late), 111, 'followed only now');
  await w.quiet();
  assert.deepEqual([w.used(own), w.used(late), await w.shown(own)], [111, 111, 111]);
});

run('a correction moves it down', async (w) => {
  const own = metered();
  await w.feed.ensure([own], NOW);
  const [id = ''] = await w.events(0, [NOW, 500], [NOW, 1]);
  await w.usage.corrections.voidEvent({ tenant: '', source: 'svc', id }, { tenant: '', author: 'x', reason: 'wrong' });
  await w.catchUp();
  assert.equal(w.used(own), 1);
});

run('the next period begins with what was committed for it, and nobody waits', async (w) => {
  const own = metered({}, 'day');
  await w.feed.ensure([own], NOW);
  await w.events(0, [NOW, 50]);
  w.clock.pass(DAY);
  w.gate = new Promise(() => {});
  await w.events(0, [NOW + DAY, 3]);
  assert.equal(w.feed.ensure([own], w.clock.at), null);
  assert.equal(w.used(own), 3);
});

run('while the store is away, fail modes answer, a bound is used up, and no decision waits twice', async (w) => {
  const closed = metered({ fail: { mode: 'closed' } });
  const bounded = metered({ key: 'some', fail: { mode: 'bounded', amount: 3 } });
  w.isDown = true;
  const ask = async (cost: number) =>
    (await w.feed.ensure([closed, bounded], w.clock.at, cost))?.map((g) => g.limit.key);
  assert.deepEqual(await ask(2), ['included']);
  const { queries } = w;
  assert.deepEqual(await ask(2), ['included', 'some']);
  assert.deepEqual(await ask(1), ['included']);
  assert.equal(w.queries, queries);
  w.isDown = false;
  w.clock.pass(2000);
  assert.deepEqual(await ask(1), []);
});

run('a store that is slow keeps a decision no longer than the bound', async (w) => {
  w.gate = new Promise(() => {});
  const waiting = w.feed.ensure([metered()], NOW);
  w.clock.pass(250);
  assert.equal((await waiting)?.length, 1);
  assert.equal((await w.feed.ensure([metered()], w.clock.at))?.length, 1, 'at once');
});

run(
  'who has less patience is answered earlier, by the fail mode, and others still wait as long as they would',
  async (w) => {
    const bounded = metered({ key: 'some', fail: { mode: 'bounded', amount: 3 } });
    let open = (): void => {};
    w.gate = new Promise((resolve) => {
      open = resolve;
    });
    const hurried = w.feed.ensure([metered(), bounded], NOW, 2, 8);
    w.clock.pass(8);
    assert.deepEqual(
      (await hurried)?.map((g) => g.limit.key),
      ['included'],
      'of the bound there is enough',
    );
    const patient = w.feed.ensure([metered()], w.clock.at);
    open();
    assert.deepEqual(await patient, []);
  },
);

run('what is committed while an answer is under way is neither lost nor counted twice', async (w) => {
  const own = metered();
  let open = (): void => {};
  w.gate = new Promise((resolve) => {
    open = resolve;
  });
  const waiting = w.feed.ensure([own], NOW);
  await w.events(0, [NOW, 5]);
  open();
  await waiting;
  assert.equal(w.used(own), 5);
  w.gate = null;
  await w.events(0, [NOW, 6]);
  assert.equal(w.used(own), 11);
});

run('what is committed after the frontier of an answer that is on its way is added to it', async (w) => {
  const own = metered();
  await w.events(0, [NOW, 100]);
  let open = (): void => {};
  w.hold = new Promise((resolve) => {
    open = resolve;
  });
  const waiting = w.feed.ensure([own], NOW);
  while (w.answers === 0) await new Promise((resolve) => setImmediate(resolve));
  await w.events(0, [NOW, 5]);
  open();
  await waiting;
  assert.equal(w.used(own), 105);
});

run('a level is asked again as time passes', async (w) => {
  const level = { version: 1, name: '', epochPath: '', startPath: '', filters: [], validFor: 0, rank: 0, of: [] };
  const rest = { ...level, direction: 'max-of-percentiles' as const, billable: true, deleted: false, groupBy: {} };
  const meter = { ...rest, kind: 'gauge' as const, aggregation: 'integral' as const, eventType: 'size', unit: 'GB' };
  await w.append({ kind: 'meter', meter: { ...meter, key: 'disk', valuePath: '$.gb' } });
  const own = metered({ meter: 'disk' });
  const size = { specversion: '1.0', id: 'l1', source: 'svc', type: 'size', subject: 'vm-0', data: { gb: 10 } };
  const event = JSON.stringify([{ ...size, time: new Date(NOW - HOUR).toISOString() }]);
  await w.feed.ensure([own], NOW);
  await w.ingest.acceptEvents(Buffer.from(event), 'batch', { tenant: '', mayspeak: () => true });
  await w.catchUp();
  const first = w.used(own);
  w.clock.pass(2 * HOUR);
  await w.feed.ensure([own], w.clock.at);
  await w.catchUp();
  assert.ok(w.used(own) >= first + 19, `${first}, then ${w.used(own)}`);
  assert.equal(w.used(own), await w.shown(own));
});

run('counters that nobody needs any more are let go', async (w) => {
  await w.feed.ensure([metered()], NOW);
  w.clock.pass(20 * MINUTE);
  await w.feed.step();
  assert.equal(w.feed.stats().counters, 0);
});

test('on the real usage store: events and readings, late ones, a correction and a restart', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-feed-chdb-'));
  const store = await openChdb({ directory: join(dir, 'store') });
  let w = await MeteredWorld.open({ store });
  try {
    const gates = [
      metered(),
      metered({ key: 'net', meter: 'network.bytes.sent' }),
      metered({ key: 'sub', scope: 'subtree', account: 'root' }),
    ];
    const same = async (what: string) =>
      assert.deepEqual(
        gates.map((g) => w.used(g)),
        await Promise.all(gates.map((g) => w.shown(g))),
        what,
      );
    await w.feed.ensure(gates, NOW);
    const [id = ''] = await w.events(0, [NOW - 5 * HOUR, 100], [NOW, 10]);
    await w.readings(0, [
      [NOW - 2 * HOUR, 0],
      [NOW - HOUR, 1000],
      [NOW, 3000],
    ]);
    await same('before any run');
    await w.quiet();
    await w.events(0, [NOW - 4 * HOUR, 7]);
    await w.readings(0, [[NOW + MINUTE, 3500]]);
    assert.deepEqual(
      gates.map((g) => w.used(g)),
      [117, 3500, 117],
    );
    await w.usage.corrections.voidEvent({ tenant: '', source: 'svc', id }, { tenant: '', author: 'x', reason: 'y' });
    await w.quiet();
    assert.deepEqual(
      gates.map((g) => w.used(g)),
      [17, 3500, 17],
    );
    await same('after the run');
    w = await w.restart();
    await w.feed.ensure(gates, w.clock.at);
    assert.deepEqual(
      gates.map((g) => w.used(g)),
      [17, 3500, 17],
    );
  } finally {
    await w.close();
    await store.close();
    await rm(dir, { recursive: true, force: true });
  }
});
