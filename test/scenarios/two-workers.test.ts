/**
 * Two workers on one store, pausing over lease takeovers: no record is ever wrong (law 7), and what was asked "as of S"
 * is answered with the same bytes later (law 3).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WINDOW_MS, windowCeil } from 'tollgate/domain/window.js';
import { controlModelState, openControlModel } from 'tollgate/store/model/control-model.js';
import { UsageModel } from 'tollgate/store/model/usage-model.js';
import { isLong } from '../needs.ts';
import { Device } from '../simulation/device.ts';
import { Life, lazily, noFate } from '../simulation/faulty.ts';
import { Lots } from '../simulation/lots.ts';
import { VirtualTime } from '../simulation/time.ts';
import {
  bytesOf,
  checkOwnFrontier,
  Feeder,
  jobSettings,
  makeWorker,
  pureAt,
  Receipts,
  storedRecords,
} from '../simulation/workers.ts';

const SEEDS = isLong ? 200 : 2;
const GROUPS = 2;
const T0 = Date.UTC(2026, 0, 5);
const HOURS = 5;
const MINUTE = 60_000;

interface Asked {
  frontier: number;
  from: number;
  to: number;
  bytes: string[];
}

const play = async (seed: number): Promise<{ takeovers: number; records: number }> => {
  const lots = new Lots(seed);
  const time = new VirtualTime(T0);
  const clock = time.clock();
  const stores = { usage: new UsageModel(), control: openControlModel(controlModelState(GROUPS)) };
  const receipts = await Receipts.open(stores.control);
  const feeder = new Feeder(stores, receipts, clock);
  const devices = Array.from({ length: 4 }, (_, n) => new Device(`nic${n}`, lots.branch(), T0));
  await feeder.register(devices.map((d) => d.name));

  const pauses = lots.branch();
  const life = new Life();
  const faults = { life, fate: noFate, pause: lazily(pauses, (ms) => time.sleep(ms), 0.02, 2 * jobSettings.leaseMs) };
  const workers = [];
  for (const holder of ['first', 'second'])
    workers.push(await makeWorker(stores, receipts, clock, holder, faults, GROUPS));
  for (const { job } of workers) job.start();

  const asked: Asked[] = [];
  const held: { index: number; poll: ReturnType<Device['poll']> }[] = [];
  const end = T0 + HOURS * 60 * MINUTE;
  let tokens = 0;
  const feed = async (): Promise<void> => {
    while (time.now < end) {
      await time.sleep(lots.int(20, 200) * 1000);
      const polls = devices.map((device, index) => {
        if (lots.chance(0.01)) device.reset(time.now);
        return { index, poll: device.poll(time.now) };
      });
      // Some polls are kept back and come late, in any order, some twice.
      const now = polls.filter((p) => {
        if (!lots.chance(0.05)) return true;
        held.push(p);
        return false;
      });
      if (lots.chance(0.1)) now.push(...lots.shuffle(held.splice(0)));
      if (now.length > 0)
        await feeder.write(lots.chance(0.1) ? [...now, lots.pick(now)] : now, held.length > 0 ? 0 : time.now);
      if (lots.chance(0.05)) {
        const span = { from: T0, to: windowCeil(time.now) + WINDOW_MS, frontier: receipts.frontier() };
        asked.push({ ...span, bytes: bytesOf(await pureAt(stores, feeder.series, span.from, span.to, span.frontier)) });
      }
      if (lots.chance(0.03)) await checkOwnFrontier(stores, feeder.series, T0, end + 60 * MINUTE);
      tokens = Math.max(tokens, ...(await stores.control.leases()).map((l) => l.token), 0);
    }
    await feeder.write(lots.shuffle(held.splice(0)), time.now);
    const last = devices.map((device, index) => ({ index, poll: device.poll(time.now) }));
    await feeder.write(last, time.now);
  };
  await time.until(feed());
  // Both work on for an hour of quiet, then stop.
  await time.run(time.now + 60 * MINUTE);
  const stopping = Promise.all(workers.map(({ job }) => job.stop()));
  await time.until(stopping);
  const quiet = { life: new Life(), fate: noFate, pause: async () => undefined };
  const last = await makeWorker(stores, receipts, clock, 'last', quiet, GROUPS);
  await time.run(time.now + 4 * jobSettings.leaseMs);
  await time.until(last.job.run());
  await time.until(last.job.run());

  await checkOwnFrontier(stores, feeder.series, T0, end + 60 * MINUTE);
  for (const progress of await stores.control.progress()) {
    if (progress.stream !== 'counter') continue;
    const mine = feeder.series.filter((s) => s.id >>> 26 === progress.group);
    const [from, to] = [Math.max(T0, progress.from), progress.closedTo];
    const stored = bytesOf(await storedRecords(stores, mine, from, to));
    assert.deepEqual(
      stored,
      bytesOf(await pureAt(stores, mine, from, to, progress.frontier)),
      'all closed windows account for all facts',
    );
  }
  for (const { frontier, from, to, bytes } of asked)
    assert.deepEqual(
      bytesOf(await pureAt(stores, feeder.series, from, to, frontier)),
      bytes,
      `as of ${frontier}, asked again`,
    );
  const total = (await pureAt(stores, feeder.series, T0, end + 120 * MINUTE, receipts.frontier())).reduce(
    (sum, r) => sum + r.used,
    0n,
  );
  assert.equal(
    total,
    devices.reduce((sum, d) => sum + d.shown(), 0n),
    'the sum is what the devices showed',
  );
  return { takeovers: tokens, records: (await storedRecords(stores, feeder.series, T0, end)).length };
};

test(`two workers that pause over takeovers never leave a wrong record, ${SEEDS} seeds`, async () => {
  const first = Number(process.env.TOLLGATE_TEST_SEED ?? 1);
  let takeovers = 0;
  let records = 0;
  for (let seed = first; seed < first + SEEDS; seed++) {
    try {
      const result = await play(seed);
      takeovers += result.takeovers;
      records += result.records;
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
  assert.ok(records > SEEDS * 10, `records were written: ${records}`);
  assert.ok(takeovers > SEEDS * 2, `leases were taken over: ${takeovers}`);
});
