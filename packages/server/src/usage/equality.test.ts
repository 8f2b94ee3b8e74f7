/**
 * Law 3, the hard way: whatever arrives in whatever order, whenever the job runs, is stopped or crashes, the current
 * records are what the pure functions make of the whole history.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openChdb } from '../store/chdb/usage-chdb.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { HOUR } from './testing/counter-stream.ts';
import { EventFleet } from './testing/event-fleet.ts';
import { Fleet, type FleetTerms } from './testing/fleet.ts';
import { Random } from './testing/random.ts';

const long = process.env.CI === 'true';
const first = Number(process.env.SEED ?? 1);
const seeds = (count: number): number[] =>
  process.env.SEED ? [first] : Array.from({ length: count }, (_, i) => i + 1);

async function openStore(t: TestContext): Promise<UsageStore> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-equality-'));
  const store = await openChdb({ directory: join(folder, 'store') });
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  return store;
}

async function live(fleet: Fleet): Promise<void> {
  const { random } = fleet;
  await fleet.world.usage.job.run();
  while (!fleet.done) {
    await fleet.pass(random.below(random.pick([HOUR, 6 * HOUR, 40 * HOUR])));
    if (random.chance(0.1)) await fleet.restart();
    if (fleet.terms.operators) for (let n = random.below(4); n > 0; n--) await fleet.interfere();
    if (random.chance(0.1)) fleet.world.clock.at -= random.below(3 * HOUR);
    await fleet.world.usage.job.run();
    if (process.env.EACH) assert.deepEqual((await fleet.differences()).slice(0, 12), []);
  }
  await fleet.pass(random.below(30 * HOUR));
  await fleet.finish();
}

async function check(store: UsageStore, seed: number, terms: FleetTerms): Promise<void> {
  const random = new Random(seed);
  const settings = { chunkWindows: random.pick([3, 16, 96]), rewriteGroupAt: random.pick([2, 4, 2000]) };
  const fleet = await Fleet.open(random, terms, { store, settings, groups: long ? 4 : 1 });
  await live(fleet);
  const wrong = await fleet.differences();
  assert.deepEqual(wrong.slice(0, 20), [], `seed ${seed}: ${wrong.length} records differ`);
}

for (const operators of [false, true])
  for (const seed of seeds(long ? 60 : 6))
    test(`model, seed ${seed}${operators ? ', operators interfering' : ''}`, () =>
      check(new UsageModel(), seed, { series: 10, hours: 50, operators }));

for (const operators of [false, true])
  for (const seed of seeds(long ? 30 : 4))
    test(`chDB, seed ${seed}${operators ? ', operators interfering' : ''}`, async (t) =>
      check(await openStore(t), seed, { series: 6, hours: 24, operators }));

async function meter(store: UsageStore, seed: number): Promise<void> {
  const random = new Random(seed);
  const fleet = await EventFleet.open(random, {
    store,
    settings: { chunkWindows: random.pick([3, 16, 96]) },
    groups: 1,
  });
  await fleet.world.usage.job.run();
  for (let i = 0; i < 12; i++) {
    await fleet.pass(random.below(random.pick([HOUR, 6 * HOUR, 20 * HOUR])));
    if (random.chance(0.15)) await fleet.restart();
    for (let n = random.below(4); n > 0; n--) await fleet.interfere();
    await fleet.world.usage.job.run();
    if (process.env.EACH) assert.deepEqual((await fleet.differences()).slice(0, 12), []);
  }
  await fleet.finish();
  const wrong = await fleet.differences();
  assert.deepEqual(wrong.slice(0, 20), [], `seed ${seed}: ${wrong.length} records differ`);
}

for (const seed of seeds(long ? 60 : 6)) test(`model, events, seed ${seed}`, () => meter(new UsageModel(), seed));

for (const seed of seeds(long ? 30 : 4))
  test(`chDB, events, seed ${seed}`, async (t) => meter(await openStore(t), seed));
