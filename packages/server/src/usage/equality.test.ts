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
import { controlModelState, openControlModel } from '../store/model/control-model.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { Breaking } from './testing/breaking.ts';
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
  for (const seed of seeds(long ? 20 : 3))
    test(`model, seed ${seed}${operators ? ', operators interfering' : ''}`, () =>
      check(new UsageModel(), seed, { series: 10, hours: 50, operators }));

// On chDB each takes seconds: the short form leaves them to the run that breaks, below, with operators interfering too.
for (const operators of [false, true])
  for (const seed of seeds(long ? 5 : 0))
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
  for (let i = 0; i < (long ? 12 : 6); i++) {
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

for (const seed of seeds(long ? 20 : 3)) test(`model, events, seed ${seed}`, () => meter(new UsageModel(), seed));

// Each takes ten seconds: the short form leaves them out.
for (const seed of seeds(long ? 5 : 0))
  test(`chDB, events, seed ${seed}`, async (t) => meter(await openStore(t), seed));

/** Breaks the run at its n-th call to a store, starts another process, and looks; false: the run has fewer calls. */
async function crash(store: UsageStore, seed: number, call: number, after: boolean): Promise<boolean> {
  const breaking = new Breaking();
  const control = openControlModel(controlModelState(1));
  const options = { store: breaking.usage(store), control: breaking.control(control), groups: 1 };
  const fleet = await Fleet.open(new Random(seed), { series: 3, hours: 14, operators: true }, options);
  await fleet.world.usage.job.run();
  await fleet.pass(7 * HOUR);
  await fleet.world.usage.job.run();
  await fleet.pass(9 * HOUR);
  for (let i = 0; i < 3; i++) await fleet.interfere();
  breaking.arm(call, after);
  const broke = await fleet.world.usage.job.run().then(
    () => false,
    () => true,
  );
  breaking.disarm();
  if (fleet.random.chance(0.5)) await fleet.restart();
  await fleet.pass(HOUR);
  await fleet.finish();
  assert.deepEqual(await fleet.differences(), [], `seed ${seed}, broken at call ${call}`);
  return broke;
}

test('a run that breaks at any call to a store leaves nothing that the next one does not put right', async () => {
  for (const seed of seeds(long ? 2 : 1)) {
    for (const after of [false, true]) {
      let call = 1;
      while (await crash(new UsageModel(), seed, call, after)) call += long ? 1 : 5;
      assert.ok(call > 10, `only ${call} calls`);
    }
  }
});

// A test for each seed: chDB opens one directory per process, and a test closes its own at its end.
for (const seed of seeds(long ? 2 : 1))
  test(`a run that breaks on chDB, seed ${seed}`, async (t) => {
    await crash(await openStore(t), seed, 5 + 7 * seed, seed % 2 === 0);
  });
