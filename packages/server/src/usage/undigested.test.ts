/** Records that were written before the readings in them were digested, as a server finds them after an upgrade. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WINDOW_MS as W } from '../domain/window.ts';
import { openWorld } from './testing/world.ts';

const T0 = 1_795_219_200_000;
const END = T0 + 8 * W;

test('records without digests of their readings are billed, explained and compared by the facts', async () => {
  const world = await openWorld(T0, { groups: 1 });
  const { store, clock, usage } = world;
  await world.append(
    { kind: 'account', id: 'a', parent: null, name: '', zone: 'UTC', currency: 'EUR', state: 'active' },
    { kind: 'owner', resource: 'nic', account: 'a', from: 0 },
  );
  const { id } = await world.series('nic');
  const series = world.registry.byId(id);
  assert.ok(series);
  await world.read(
    series,
    Array.from({ length: 12 }, (_, i) => [T0 + i * W, BigInt(i * 100)] as const),
  );
  await world.declare(T0 + 11 * W);
  clock.at = T0 + 20 * W;
  await usage.job.run();
  const whole = { account: 'a', meter: 'network.bytes.sent', from: T0, to: END, where: {}, by: [], events: false };
  const digests = async (factsOnly: boolean): Promise<string[]> => {
    const reader = await usage.meteredAt(null, factsOnly);
    return ((await reader.read([whole]))[0] ?? []).flatMap((row) => row.series.map(({ digest }) => digest));
  };
  const expected = await digests(true);
  assert.deepEqual(await digests(false), expected);

  const records = await store.counterRecords([id], T0, END);
  assert.ok(records.every(({ n, facts }) => n === 0 || facts !== 0));
  for (const { frontier, ...record } of records) await store.writeCounters([{ ...record, facts: 0 }], frontier);
  assert.deepEqual(await digests(false), expected);
  const reader = await usage.meteredAt(null);
  const [row] = (await reader.read([whole]))[0] ?? [];
  assert.equal(await reader.firstDifference(whole, row?.series ?? []), null);
  const explained = await usage.explain(`${id}@${T0}/${END}`, null, Number);
  assert.ok(explained.kind === 'counter');
  assert.deepEqual([...new Set(explained.records.map(({ confirmed }) => confirmed))], [true]);

  // What else such a record says is held against the facts as ever.
  for (const { frontier, ...record } of records)
    await store.writeCounters([{ ...record, facts: 0, used: record.used + 1n }], frontier);
  const wrong = await usage.explain(`${id}@${T0}/${END}`, null, Number);
  assert.ok(wrong.kind === 'counter' && wrong.records.every(({ confirmed }) => !confirmed));
});
