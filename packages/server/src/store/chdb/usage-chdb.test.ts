import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ALL, DAY, MINUTE, ramp, W, write } from '../contract/usage-cases.ts';
import { usageContract } from '../contract/usage-contract.ts';
import { Lane } from './lane.ts';
import { openChdb } from './usage-chdb.ts';

/** Where syncs cost nothing: these cases ask what is stored, the crash tests ask whether it is on disk. One store for all cases, emptied. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const shared = mkdtempSync(join(memory, 'tollgate-chdb-'));
const directory = join(shared, 'store');
const limits = { memory: 1e9, seconds: 60, threads: 1 };
/** Keeps the engine up between cases: starting it takes longer than most of them. */
let keep: Lane | undefined;
const closeEngine = async (): Promise<void> => {
  await keep?.close();
  keep = undefined;
};
after(async () => {
  await closeEngine();
  await rm(shared, { recursive: true, force: true });
});

const emptied = async (): Promise<void> => {
  keep ??= new Lane(directory, limits);
  const tables = await keep.rows(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_version'`,
  );
  while (tables.more) await keep.execute(`TRUNCATE TABLE ${tables.text()}`);
};

usageContract('chDB', async () => {
  const folder = await mkdtemp(join(memory, 'tollgate-chdb-'));
  let store = await openChdb({ directory });
  return {
    store,
    folder,
    again: async () => {
      await store.close();
      // What comes back is what is on disk.
      await closeEngine();
      store = await openChdb({ directory });
      return store;
    },
    drop: async () => {
      await emptied();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

test('chDB: before closing, what computes is ended and begins no more, while commits of facts go on', async (t) => {
  await closeEngine();
  const directory = await mkdtemp(join(memory, 'tollgate-chdb-'));
  const store = await openChdb({ directory });
  const lane = new Lane(directory, limits);
  t.after(async () => {
    await lane.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  const long = lane.rows('SELECT count() FROM numbers(100000000000) WHERE cityHash64(number) = 3');
  const ended = assert.rejects(long, { code: 'store.failed' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await store.interrupt();
  await ended;
  await assert.rejects(store.sumCounters([1], [0, 900_000]), { code: 'store.unavailable' });
  const writer = store.writer();
  writer.reading({ series: 1, t: 5, value: 7n, epoch: 1, start: 0, receipt: 1, stamps: 0, sourceTime: 5 });
  await writer.commit();
});

test('chDB: a storm of repeated readings that nothing has merged yet makes no series odd', async (t) => {
  await closeEngine();
  const directory = await mkdtemp(join(memory, 'tollgate-chdb-'));
  const store = await openChdb({ directory });
  const lane = new Lane(directory, limits);
  t.after(async () => {
    await lane.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  await lane.execute('SYSTEM STOP MERGES reading');
  const [few, all] = [100, 2_001];
  const of = (id: number) => ramp(id, DAY - 5 * MINUTE, DAY + W, 5 * MINUTE, 1000n, id * 10);
  const ids = Array.from({ length: all }, (_, i) => i + 1);
  const readings = ids.flatMap(of);
  await write(store, { readings });
  await write(store, { readings: readings.map((r) => ({ ...r, receipt: r.receipt + 100_000 })) });
  assert.equal((await lane.rows('SELECT count() FROM reading')).u64(), 2 * readings.length);

  const span = { firstSeries: 1, lastSeries: all, from: DAY, to: DAY + W };
  const some = await store.closeCounters({ ...span, lastSeries: few }, ALL - 1, []);
  assert.deepEqual(some, { odd: ids.slice(0, few), written: 0 }, 'so few are left to the pure path');
  assert.deepEqual(await store.closeCounters(span, ALL, []), { odd: [], written: all });
  const records = await store.counterRecords(ids, DAY, DAY + W);
  assert.deepEqual(
    records.map(({ series, used, n }) => [series, used, n]),
    ids.map((id) => {
      const used = (of(id).at(-1)?.value ?? 0n) - (of(id).find((r) => r.t === DAY)?.value ?? 0n);
      return [id, used, 3];
    }),
  );
});
