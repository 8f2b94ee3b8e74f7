import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stamp } from '../domain/fact.ts';
import { Problem } from '../errors.ts';
import { NOW, World } from './testing/world.ts';

const run = (name: string, body: (w: World) => Promise<void>): void => {
  test(name, async () => {
    const w = await World.open();
    try {
      await body(w);
    } finally {
      await w.close();
    }
  });
};
const SENT = 'network.bytes.sent';
const batch = (change: object = {}) => ({
  source: 'agent-1',
  run: 'r1',
  sequence: 0,
  sentAt: NOW,
  series: [{ resource: 'nic-1', meter: SENT, epoch: 'boot-1' }],
  readings: [
    [0, NOW - 20_000, '100'],
    [0, NOW - 10_000, '18446744073709551615', NOW - 60_000],
  ],
  ...change,
});

run('readings are stored exactly, with their series, epoch and receipts', async (w) => {
  const answer = await w.report(batch({ completeThrough: NOW - 5000, ended: [[0, NOW - 1000]] }));
  assert.deepEqual([answer.accepted, answer.rejected], [3, 0]);
  assert.deepEqual(
    w.readings.map((r) => [r.t - NOW, r.value, r.start && r.start - NOW, r.stamps]),
    [
      [-20_000, 100n, 0, 0],
      [-10_000, 18446744073709551615n, -60_000, 0],
      [-1000, 0n, 0, Stamp.end],
    ],
  );
  const [first] = w.readings;
  assert.equal(first?.receipt, answer.receipts?.first);
  assert.equal(await w.controlState.epochs.values().next().value?.text, 'boot-1');
  const [declared] = w.usageState.declarations;
  assert.deepEqual([declared?.firstSequence, declared?.lastSequence, declared?.completeThrough], [0, 2, NOW - 5000]);
  assert.ok((declared?.receipt ?? 0) > (w.readings.at(-1)?.receipt ?? 0));
});

run('a batch that comes again is a duplicate by its sequence, also after a restart', async (w) => {
  await w.report(batch());
  assert.equal((await w.report(batch())).duplicates, 2);
  const next = await w.restart();
  assert.equal((await next.report(batch())).duplicates, 2);
  assert.equal((await next.report(batch({ run: 'r2' }))).accepted, 2);
  assert.equal(w.readings.length, 2);
  await next.ingest.close();
});

run('a batch that others overtook is taken when it comes, not for a repetition, also after a restart', async (w) => {
  const of = (sequence: number) =>
    batch({ sequence, readings: [sequence, sequence + 1].map((n) => [0, NOW - 60_000 + n * 1000, String(n)]) });
  const counts = async (world: World, sequence: number) => {
    const { accepted, duplicates } = await world.report(of(sequence));
    return [accepted, duplicates];
  };
  assert.deepEqual(await counts(w, 6), [2, 0]);
  assert.deepEqual(await counts(w, 2), [2, 0]);
  assert.deepEqual(await counts(w, 2), [0, 2]);
  assert.deepEqual(await counts(w, 3), [1, 1], 'half of it came before');
  const next = await w.restart();
  assert.deepEqual(await counts(next, 6), [0, 2]);
  assert.deepEqual(await counts(next, 4), [1, 1]);
  assert.deepEqual(await counts(next, 0), [2, 0]);
  assert.deepEqual(await counts(next, 0), [0, 2]);
  assert.deepEqual(
    w.readings.map((r) => Number(r.value)).sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  await next.ingest.close();
});

run('a run that began with nothing to say loses nothing after a restart', async (w) => {
  await w.report(batch({ series: [], readings: [], completeThrough: NOW - 1000 }));
  const next = await w.restart();
  assert.equal((await next.report(batch())).accepted, 2);
  await next.ingest.close();
});

run('of batches that fail together nothing stays claimed, whatever their order was', async (w) => {
  await w.report(batch({ sequence: 2 }));
  w.failures.push(0);
  const of = (sequence: number) => batch({ sequence, readings: [[0, NOW - sequence, String(sequence)]] });
  const failed = await Promise.allSettled([w.report(of(7)), w.report(of(1)), w.report(of(0))]);
  assert.deepEqual(new Set(failed.map((f) => f.status)), new Set(['rejected']));
  for (const sequence of [7, 1, 0]) assert.equal((await w.report(of(sequence))).accepted, 1, `${sequence}`);
  assert.equal((await w.report(batch({ sequence: 2 }))).duplicates, 2);
});

run('a batch whose commit failed moves no mark and no last reading', async (w) => {
  w.failures.push(1);
  await assert.rejects(w.report(batch()), (e) => e instanceof Problem && e.code === 'store.unavailable');
  const again = await w.report(batch());
  assert.deepEqual([again.accepted, again.duplicates], [2, 0]);
  assert.deepEqual(
    w.readings.map((r) => r.stamps),
    [0, 0],
  );
});

run('a heartbeat declares completeness without a reading', async (w) => {
  await w.report(batch());
  const answer = await w.report(batch({ sequence: 2, series: [], readings: [], completeThrough: NOW - 1000 }));
  assert.deepEqual(answer, { accepted: 0, duplicates: 0, conflicts: 0, rejected: 0, items: [], receipts: null });
  assert.equal(w.usageState.declarations.at(-1)?.completeThrough, NOW - 1000);
  assert.equal((await w.report(batch({ sequence: 2 }))).accepted, 2);
});

run('a clock that is an hour ahead is corrected, in readings and in what is declared', async (w) => {
  const ahead = 3_600_000;
  await w.report(
    batch({
      sentAt: NOW + ahead,
      readings: [[0, NOW + ahead - 10_000, '1']],
      completeThrough: NOW + ahead - 5000,
    }),
  );
  assert.deepEqual([w.readings[0]?.t, w.readings[0]?.sourceTime], [NOW - 10_000, NOW + ahead - 10_000]);
  assert.equal(w.readings[0]?.stamps, Stamp.skew);
  assert.equal(w.usageState.declarations[0]?.completeThrough, NOW - 5000);
});

run('late readings are stamped in the order of their receipts', async (w) => {
  await w.report(batch());
  await w.report(batch({ run: 'other', readings: [[0, NOW - 15_000, '150']] }));
  assert.equal(w.readings.at(-1)?.stamps, Stamp.late);
});

run('two collectors of one counter epoch: the second is a witness (case 18)', async (w) => {
  await Promise.all([w.report(batch()), w.report(batch({ source: 'agent-2' }))]);
  const [first, second] = [...w.registry.all()];
  assert.equal(first?.witnessOf, 0);
  assert.equal(second?.witnessOf, first?.id);
});

const rejects = (name: string, change: object, code: string, pointer: string): void =>
  run(`${name} is rejected with ${code}, and the rest is stored`, async (w) => {
    const good = { resource: 'nic-2', meter: SENT, epoch: 'boot-1' };
    const base = { series: [good], readings: [[0, NOW - 1000, '1']] };
    const {
      series = [good],
      readings = base.readings,
      ...rest
    } = change as { series?: object[]; readings?: unknown[] };
    const answer = await w.report(
      batch({ ...rest, series, readings: [...readings, [series.length - 1, NOW - 500, '7']] }),
    );
    const bad = answer.items.map((i) => [i.code, i.pointer]);
    assert.deepEqual(bad, [[code, pointer]]);
    assert.equal(answer.accepted, readings.length + ('ended' in rest ? 1 : 0));
  });
const good = { resource: 'nic-2', meter: SENT, epoch: 'boot-1' };
rejects('a value beyond 2^64', { readings: [[0, NOW, '18446744073709551616']] }, 'reading.bad_value', '/readings/0/2');
rejects('a negative value', { readings: [[0, NOW, '-1']] }, 'reading.bad_value', '/readings/0/2');
rejects('a float beyond 2^53', { readings: [[0, NOW, 2 ** 53]] }, 'reading.bad_value', '/readings/0/2');
rejects('a fraction', { readings: [[0, NOW, 1.5]] }, 'reading.bad_value', '/readings/0/2');
rejects('no value', { readings: [[0, NOW, null]] }, 'reading.bad_value', '/readings/0/2');
rejects('a time as a text', { readings: [[0, '2026-11-21', '1']] }, 'reading.bad_field', '/readings/0/1');
rejects('a time after 2106', { readings: [[0, 2 ** 42, '1']] }, 'reading.bad_field', '/readings/0/1');
rejects('a row of two', { readings: [[0, NOW]] }, 'reading.bad_field', '/readings/0');
rejects('a series that is not there', { readings: [[5, NOW, '1']] }, 'reading.bad_field', '/readings/0/0');
rejects(
  'a series without epoch',
  { series: [{ resource: 'n', meter: SENT }, good], readings: [[0, NOW, '1']] },
  'reading.bad_field',
  '/series/0/epoch',
);
rejects(
  'a line break in a resource',
  { series: [{ ...good, resource: 'a\n\nb' }, good], readings: [[0, NOW, '1']] },
  'reading.bad_field',
  '/series/0/resource',
);
rejects(
  'an unknown meter',
  { series: [{ ...good, meter: 'nope' }, good], readings: [[0, NOW, '1']] },
  'meter.unknown',
  '/series/0/meter',
);

const refuses = (name: string, change: object, code: string, pointer: string): void =>
  run(`${name} refuses the batch with ${code}`, async (w) => {
    await assert.rejects(
      w.report(batch(change)),
      (e) => e instanceof Problem && e.code === code && e.extra.pointer === pointer,
    );
    assert.equal(w.readings.length, 0);
  });
refuses('a missing source', { source: undefined }, 'request.invalid', '/source');
refuses('a negative sequence', { sequence: -1 }, 'request.invalid', '/sequence');
refuses('a sentAt that is no time', { sentAt: 'now' }, 'request.invalid', '/sentAt');
refuses('readings that are no list', { readings: {} }, 'request.invalid', '/readings');
refuses('a source that is not granted', { source: 'foreign' }, 'auth.source', '/source');
