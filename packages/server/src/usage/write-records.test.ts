/** Law 6: what the store cannot hold of one series is that series' trouble alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Receipt } from '../domain/fact.ts';
import type { CounterRecord } from '../domain/record.ts';
import { StoreError } from '../store/errors.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import { MINUTE } from './testing/counter-stream.ts';
import { openWorld } from './testing/world.ts';

const T0 = 1_790_000_100_000 - (1_790_000_100_000 % 86_400_000);

/** Refuses whatever some series used, as a store whose columns are too narrow for it. */
class NarrowStore extends UsageModel {
  readonly narrow = new Set<number>();
  refusals = 0;
  fault: StoreError | null = null;

  override async writeCounters(records: readonly CounterRecord[], frontier: Receipt): Promise<void> {
    if (this.fault !== null) throw this.fault;
    if (records.some((r) => this.narrow.has(r.series) && r.used > 0n)) {
      this.refusals++;
      throw new StoreError('store.number_range', 'No column holds it.');
    }
    return super.writeCounters(records, frontier);
  }
}

const steady = Array.from({ length: 13 }, (_, i) => [T0 + i * 5 * MINUTE, BigInt(i * 100)] as const);

async function worldOf(resources: number) {
  const store = new NarrowStore();
  const world = await openWorld(T0, { store, groups: 1 });
  const series = [];
  for (let i = 0; i < resources; i++) series.push(await world.series(`nic-${i}`));
  for (const one of series) await world.read(one, steady);
  world.clock.at = T0 + 61 * MINUTE;
  const row = async (i: number) =>
    (await world.rows({ from: T0, to: T0 + 45 * MINUTE, filter: { resources: [`nic-${i}`] } }))[0];
  return { store, world, series, row };
}

test('a series whose records the store refuses is quarantined alone; its group goes on', async () => {
  const { store, world, series, row } = await worldOf(9);
  const bad = [2, 7];
  for (const i of bad) store.narrow.add(series[i]?.id ?? 0);
  for (let i = 0; i < 3; i++) await world.usage.job.run();
  assert.ok(store.refusals > 0, 'the store refused');
  for (const i of series.keys()) {
    const { quantity, state } = (await row(i)) ?? {};
    if (bad.includes(i)) assert.equal(state, 'quarantined', `nic-${i}`);
    else assert.deepEqual([quantity, state], ['900', 'known'], `nic-${i}`);
  }
  const facts = await world.control.facts(0, 1000, { kinds: ['quarantine'] });
  const named = facts.map(({ body }) => (body.kind === 'quarantine' ? body.series : 0));
  assert.deepEqual(
    named.sort((a, b) => a - b),
    bad.map((i) => series[i]?.id),
    'each once, not at every run',
  );
});

test('parts that were recorded before are void in a series whose records the store refuses', async () => {
  const { store, world, series, row } = await worldOf(2);
  const account = {
    kind: 'account',
    id: 'a',
    parent: null,
    name: '',
    zone: 'UTC',
    currency: 'EUR',
    state: 'active',
  } as const;
  await world.append(account, { kind: 'owner', resource: 'nic-0', account: 'a', from: T0 + 20 * MINUTE });
  await world.usage.job.run();
  const [id = 0] = series.map((s) => s.id);
  const parts = async () => (await store.counterRecords([id], T0, T0 + 45 * MINUTE)).filter((r) => !r.isVoid);
  assert.equal((await parts()).length, 4, 'one window is cut');
  store.narrow.add(id);
  await world.append({ kind: 'quarantine', series: id, from: T0, code: 'test' });
  await world.usage.job.run();
  const left = await parts();
  assert.deepEqual(
    left.map((r) => [r.window - T0, r.part, r.used]),
    [0, 15, 30].map((m) => [m * MINUTE, 0, 0n]),
  );
  assert.equal((await row(1))?.quantity, '900');
});

test('a store that cannot write at all quarantines nobody', async () => {
  const { store, world } = await worldOf(2);
  store.fault = new StoreError('store.unavailable', 'The disk is full.');
  await assert.rejects(world.usage.job.run(), { code: 'store.unavailable' });
  assert.deepEqual(await world.control.facts(0, 1000, { kinds: ['quarantine'] }), []);
});
