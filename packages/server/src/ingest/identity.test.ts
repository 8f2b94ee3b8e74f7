/** Law 2: the same identity counts once, whenever and wherever it comes again. */
import assert from 'node:assert/strict';
import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BatchOutcome } from '@tollgate/event';
import { Problem } from '../errors.ts';
import { event, NOW, World } from './testing/world.ts';

const run = (name: string, body: (w: World) => Promise<void>, limits = {}): void => {
  test(name, async () => {
    const w = await World.open(limits);
    try {
      await body(w);
    } finally {
      await w.close();
    }
  });
};
const codes = (o: BatchOutcome) => o.items.map((i) => `${i.position} ${i.code}`);
const counts = (o: BatchOutcome) => [o.accepted, o.duplicates, o.conflicts, o.rejected];
const unavailable = (e: unknown): boolean => e instanceof Problem && e.code === 'store.unavailable';
const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
};

run('the same event again is a duplicate, in one batch and in another', async (w) => {
  const one = event();
  assert.deepEqual(codes(await w.send([one, one, event()])), ['1 event.duplicate']);
  assert.deepEqual(counts(await w.send([one])), [0, 1, 0, 0]);
  assert.equal(w.events.length, 2);
});

run('the same id with another time is a duplicate, and the first time stays', async (w) => {
  const one = event({ time: '2026-11-21T08:00:00Z' });
  await w.send(one);
  const again = await w.send({ ...one, time: '2026-11-21T09:00:00Z' });
  assert.deepEqual(codes(again), ['0 event.duplicate']);
  assert.deepEqual(
    w.events.map((e) => e.t),
    [NOW - 5_400_000],
  );
});

run('key order and white space are not content', async (w) => {
  await w.sendText('{"specversion":"1.0","id":"a","source":"s","type":"t","data":{"a":1,"b":[2,{"c":"é"}]}}');
  const again = '{ "type":"t","data":{ "b" : [2,{"c":"\\u00e9"}],\n\n"a":1},"specversion":"1.0","id":"a","source":"s"}';
  assert.deepEqual(codes(await w.sendText(again)), ['0 event.duplicate']);
  assert.equal(w.events.length, 1);
  assert.equal(w.setAside.length, 0);
});

run(
  'the same id with other content is a conflict: the first stays, the second is set aside and visible once',
  async (w) => {
    const one = event();
    await w.send(one);
    for (let i = 0; i < 2; i++) {
      const other = await w.send([event(), { ...one, data: { bytes: 11 } }]);
      assert.deepEqual(codes(other), ['1 event.conflict']);
    }
    assert.deepEqual(codes(await w.send([{ ...one, type: 'another' }])), ['0 event.conflict']);
    assert.deepEqual(codes(await w.send([{ ...one, subject: 'another' }])), ['0 event.conflict']);
    assert.equal(w.events.length, 3);
    assert.deepEqual(
      w.setAside.map((s) => [s.code, s.state, s.at, JSON.parse(s.content).data]),
      [
        ['event.conflict', 'open', NOW - 1_800_000, '{"bytes":11}'],
        ['event.conflict', 'open', NOW - 1_800_000, JSON.stringify(one.data)],
        ['event.conflict', 'open', NOW - 1_800_000, JSON.stringify(one.data)],
      ],
    );
  },
);

run('a conflict inside one batch is found too', async (w) => {
  const one = event();
  assert.deepEqual(codes(await w.send([one, { ...one, data: 2 }, one])), ['1 event.conflict', '2 event.duplicate']);
});

run('no account can claim the id of another', async (w) => {
  const one = event();
  await w.send(one, { tenant: 'a' });
  assert.deepEqual(counts(await w.send({ ...one, data: 5 }, { tenant: 'b' })), [1, 0, 0, 0]);
  assert.deepEqual(counts(await w.send(one, { tenant: 'b' })), [0, 0, 1, 0]);
});

run('an id is not claimed by another source, and the border between source and id matters', async (w) => {
  const answer = await w.send([event({ source: 'ab', id: 'c' }), event({ source: 'a', id: 'bc' })]);
  assert.deepEqual(counts(answer), [2, 0, 0, 0]);
});

run('openmeter#5118: a commit that failed claims no id, and the retry is accepted and counted once', async (w) => {
  const batch = [event(), event()];
  w.failures.push(0);
  await assert.rejects(w.send(batch), unavailable);
  assert.equal(w.events.length, 0);
  assert.deepEqual(counts(await w.send(batch)), [2, 0, 0, 0]);
  assert.deepEqual(counts(await w.send(batch)), [0, 2, 0, 0]);
  assert.equal(w.events.length, 2);
});

run('langfuse#16017: a retry while the failed commit is still unsettled is not answered as a duplicate', async (w) => {
  const one = event();
  let open = (): void => {};
  w.gate = new Promise((resolve) => {
    open = resolve;
  });
  w.failures.push(0);
  const first = w.send([one]);
  await turns();
  const retry = w.send([one]);
  await turns();
  open();
  await assert.rejects(first, unavailable);
  await assert.rejects(retry, unavailable);
  w.gate = null;
  assert.deepEqual(counts(await w.send([one])), [1, 0, 0, 0]);
});

run('a duplicate of an event still on its way is answered only after that one is durable', async (w) => {
  const one = event();
  let open = (): void => {};
  w.gate = new Promise((resolve) => {
    open = resolve;
  });
  const order: string[] = [];
  const first = w.send([one]).then((o) => void order.push(`first ${counts(o)}`));
  await turns();
  const again = w.send([one]).then((o) => void order.push(`again ${counts(o)}`));
  await turns();
  assert.deepEqual(order, []);
  open();
  await Promise.all([first, again]);
  assert.deepEqual(order, ['first 1,0,0,0', 'again 0,1,0,0']);
});

run('what a torn commit left on disk is recognised when it comes again, even without a time', async (w) => {
  const batch = [event({ time: undefined }), event({ time: undefined }), event({ time: undefined })];
  w.failures.push(2);
  await assert.rejects(w.send(batch), unavailable);
  assert.equal(w.events.length, 2);
  w.now += 1000;
  assert.deepEqual(codes(await w.send(batch)), ['0 event.duplicate', '1 event.duplicate']);
  assert.equal(w.events.length, 3);
});

run('receipts of a failed commit are settled only when it is known what is on disk', async (w) => {
  w.failures.push(1);
  const sent = w.send([event(), event()]);
  await turns(1);
  const before = w.receipts.frontier();
  await assert.rejects(sent, unavailable);
  await turns();
  assert.ok(w.receipts.frontier() > before);
  assert.equal(w.receipts.pending, 0);
});

run(
  'identities are known again after a restart, whether they were in memory or on disk',
  async (w) => {
    const sent: object[] = [];
    for (let i = 0; i < 12; i++) {
      const batch = Array.from({ length: 300 }, () => event());
      sent.push(...batch);
      await w.send(batch);
    }
    await w.ingest.quiet();
    assert.ok(w.ingest.stats().identity.segments > 0);
    const next = await w.restart();
    assert.deepEqual(counts(await next.send(sent.slice(0, 1500))), [0, 1500, 0, 0]);
    assert.deepEqual(counts(await next.send([event()])), [1, 0, 0, 0]);
    await next.ingest.close();
  },
  { tableBits: 11 },
);

run(
  'an index that is torn or missing is made anew from the event table',
  async (w) => {
    const sent: object[] = [];
    for (let i = 0; i < 12; i++) {
      const batch = Array.from({ length: 300 }, () => event());
      sent.push(...batch);
      await w.send(batch);
    }
    await w.ingest.quiet();
    const dir = join(w.dir, 'identity');
    const file = readdirSync(dir).find((f) => f.endsWith('.ids')) ?? '';
    truncateSync(join(dir, file), 1000);
    const next = await w.restart();
    assert.deepEqual(counts(await next.send(sent.slice(0, 1500))), [0, 1500, 0, 0]);
    await next.ingest.close();
  },
  { tableBits: 11 },
);

run(
  'a storm of repetitions is answered from the segments',
  async (w) => {
    const sent = Array.from({ length: 3000 }, () => event());
    for (let i = 0; i < sent.length; i += 300) await w.send(sent.slice(i, i + 300));
    await w.ingest.quiet();
    const storm = await Promise.all([w.send(sent.slice(0, 700)), w.send(sent.slice(0, 700)), w.send(sent.slice(2300))]);
    assert.deepEqual(storm.map(counts), [
      [0, 700, 0, 0],
      [0, 700, 0, 0],
      [0, 700, 0, 0],
    ]);
  },
  { tableBits: 11 },
);

run(
  'at the bound of memory the window shrinks and says so, and older events are refused by name',
  async (w) => {
    assert.deepEqual([w.ingest.identityWindow().reason, w.ingest.identityWindow().days], ['declared', 35]);
    for (let hour = 0; hour < 10; hour++) {
      w.now = NOW + hour * 3_600_000;
      for (let i = 0; i < 4; i++) await w.send(Array.from({ length: 300 }, () => event()));
    }
    await w.ingest.quiet();
    const window = w.ingest.identityWindow();
    assert.equal(window.reason, 'memory');
    assert.ok(window.days < 0.5, `${window.days} days`);
    assert.ok(window.ids < 6000, `${window.ids} ids`);
    const old = await w.send(event({ time: '2026-11-21T09:10:00Z' }));
    assert.deepEqual(codes(old), ['0 event.too_old']);
    assert.equal((await w.send(event({ time: '2026-11-21T09:10:00Z' }), { set: 'import' })).accepted, 1);
  },
  { tableBits: 11, maxIds: 3000 },
);

run(
  'a full queue refuses with busy, loses nothing and goes on by itself',
  async (w) => {
    let open = (): void => {};
    w.gate = new Promise((resolve) => {
      open = resolve;
    });
    const taken = [w.send([event(), event()]), w.send([event(), event()])];
    await turns();
    await assert.rejects(
      w.send([event()]),
      (e) => e instanceof Problem && e.code === 'ingest.queue_full' && e.extra.retryAfterSeconds === 1,
    );
    open();
    await Promise.all(taken);
    assert.equal((await w.send([event()])).accepted, 1);
    assert.equal(w.events.length, 5);
  },
  { queueEvents: 4 },
);

run('numbered batches are settled by their mark, without looking identities up', async (w) => {
  const batch = [event(), event(), event()];
  const ctx = { run: 'r1', sequence: 0, completeThrough: '2026-11-21T09:00:00Z' };
  assert.deepEqual(counts(await w.send(batch, ctx)), [3, 0, 0, 0]);
  assert.deepEqual(counts(await w.send(batch, ctx)), [0, 3, 0, 0]);
  assert.deepEqual(counts(await w.send([...batch.slice(1), event()], { ...ctx, sequence: 1 })), [1, 2, 0, 0]);
  const next = await w.restart();
  assert.deepEqual(counts(await next.send(batch, ctx)), [0, 3, 0, 0]);
  assert.equal(next.ingest.stats().identity.ids, 4);
  assert.deepEqual(
    w.usageState.declarations.map((d) => [d.source, d.run, d.firstSequence, d.lastSequence, d.completeThrough]).at(-1),
    ['svc', 'r1', 0, 2, NOW - 1_800_000],
  );
  await next.ingest.close();
});

run('a numbered batch that others overtook is taken when it comes, also after a restart', async (w) => {
  const batches = Array.from({ length: 3 }, () => [event(), event()]);
  const send = async (world: World, i: number) =>
    counts(await world.send(batches[i] ?? [], { run: 'r1', sequence: 1 + 2 * i }));
  assert.deepEqual(await send(w, 2), [2, 0, 0, 0]);
  assert.deepEqual(await send(w, 0), [2, 0, 0, 0]);
  const next = await w.restart();
  assert.deepEqual(await send(next, 0), [0, 2, 0, 0]);
  assert.deepEqual(await send(next, 1), [2, 0, 0, 0]);
  assert.deepEqual(await send(next, 2), [0, 2, 0, 0]);
  assert.equal(w.events.length, 6);
  await next.ingest.close();
});

run('a numbered batch whose commit failed is accepted when it comes again', async (w) => {
  const batch = [event(), event()];
  const ctx = { run: 'r1', sequence: 0 };
  w.failures.push(1);
  await assert.rejects(w.send(batch, ctx), unavailable);
  assert.deepEqual(counts(await w.send(batch, ctx)), [2, 0, 0, 0]);
  assert.equal(w.events.length, 2);
});
