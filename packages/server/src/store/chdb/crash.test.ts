/** Kills, a full disk, refusals and other versions: what the store does when things go wrong, on a real disk. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ALL, DAY, eventAt, eventsOf, ramp, readingAt, recordAt, W, write } from '../contract/usage-cases.ts';
import { Lane } from './lane.ts';
import { openChdb, type UsageChdb } from './usage-chdb.ts';

const long = process.env.CI === 'true';
const writerProgram = fileURLToPath(new URL('./testing/writer.js', import.meta.url));

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-chdb-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function withStore<T>(directory: string, work: (store: UsageChdb) => Promise<T>): Promise<T> {
  const store = await openChdb({ directory });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

const exited = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()));

/** Lets a child commit, kills it after `ms`, and returns the last receipt it was told is on disk. */
async function killedWriter(directory: string, first: number, ms: number): Promise<number> {
  let acknowledged = first - 1;
  const child = fork(writerProgram, [directory, String(first)], { stdio: 'ignore' });
  const began = new Promise<void>((resolve) => {
    child.on('message', (receipt) => {
      acknowledged = Number(receipt);
      resolve();
    });
  });
  const gone = exited(child);
  await Promise.race([began, gone]);
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await gone;
  return acknowledged;
}

suite('chDB when things go wrong', { concurrency: 1 }, () => {
  test('every acknowledged fact is there after kill -9 during commits', async () => {
    await inFolder(async (folder) => {
      const directory = join(folder, 'store');
      let first = 1;
      const promised = new Set<number>();
      for (let round = 0; round < (long ? 15 : 2); round++) {
        const acknowledged = await killedWriter(directory, first, 30 + ((round * 37) % 170));
        for (let receipt = first; receipt <= acknowledged; receipt++) promised.add(receipt);
        await withStore(directory, async (store) => {
          const events = await eventsOf(store);
          const readings = [...(await store.readings([1], 0, DAY * 2, ALL)).values()].flat();
          const declared = await store.acceptedNumbers();
          const [found, read] = [new Set(events.map((e) => e.receipt)), new Set(readings.map((r) => r.receipt))];
          for (const receipt of promised) {
            assert.ok(found.has(receipt) && read.has(receipt), `receipt ${receipt} of ${acknowledged} is lost`);
          }
          assert.ok(Math.max(...declared.map((d) => d.last)) >= acknowledged);
          assert.equal(events.length, found.size, 'an event is there twice');
          first = Math.max(...found, ...read, acknowledged) + 1;
        });
      }
      assert.ok(promised.size > 0);
    });
  });

  test('a second process is refused by name, and the first goes on', async () => {
    await inFolder(async (folder) => {
      const directory = join(folder, 'store');
      await withStore(directory, async (store) => {
        const child = fork(writerProgram, [directory, '1'], { stdio: 'ignore' });
        const said = new Promise<unknown>((resolve) => child.once('message', resolve));
        const gone = exited(child);
        assert.equal(await said, 'store.locked');
        await gone;
        await write(store, { events: [eventAt(1)] });
      });
    });
  });

  test('a directory of a newer version is refused, and left as it is', async () => {
    await inFolder(async (folder) => {
      const directory = join(folder, 'store');
      await withStore(directory, async (store) => write(store, { events: [eventAt(1)] }));
      const lane = new Lane(directory, { memory: 1e9, seconds: 10, threads: 1 });
      await lane.execute('INSERT INTO schema_version VALUES (99)');
      await assert.rejects(openChdb({ directory }), { code: 'store.newer_schema' });
      await lane.execute('TRUNCATE TABLE schema_version');
      await lane.execute('INSERT INTO schema_version VALUES (1)');
      await lane.close();
      await withStore(directory, async (store) => assert.equal((await eventsOf(store)).length, 1));
    });
  });

  test('a directory that cannot be made is refused by name', async () => {
    await inFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      await assert.rejects(openChdb({ directory: join(folder, 'file', 'store') }), { name: 'StoreError' });
    });
  });

  test('a statement over its memory or time is refused, and commits go on beside it', async () => {
    await inFolder(async (folder) => {
      const limits = { reader: { memory: 30_000_000, seconds: 1 } };
      const store = await openChdb({ directory: join(folder, 'store'), limits });
      const lane = new Lane(join(folder, 'store'), { memory: 30_000_000, seconds: 1, threads: 1 });
      try {
        await write(store, { readings: ramp(1, DAY, DAY + W, 1000, 1n, 1) });
        const refusals = [
          assert.rejects(lane.execute('SELECT groupArray(number) FROM numbers(100000000)'), {
            code: 'store.limit_memory',
          }),
          assert.rejects(lane.execute('SELECT sum(sipHash64(number)) FROM numbers(10000000000)'), {
            code: 'store.limit_time',
          }),
        ];
        await write(store, { readings: [readingAt(2, 5000)] });
        await Promise.all(refusals);
        assert.equal((await store.lastReadings()).size, 2);
      } finally {
        await lane.close();
        await store.close();
      }
    });
  });

  test('a close too large for its memory is done in halves', async () => {
    await inFolder(async (folder) => {
      const limits = { job: { memory: 60_000_000 } };
      const store = await openChdb({ directory: join(folder, 'store'), limits });
      try {
        const series = Array.from({ length: 4000 }, (_, i) => i);
        const polls = Array.from({ length: 22 }, (_, k) => k - 2);
        await write(store, {
          readings: polls.flatMap((k) =>
            series.map((id) =>
              readingAt(id, (k + 2) * 4000 + id + 1, { t: DAY + k * 600_000 + id, value: BigInt((k + 2) * 100) }),
            ),
          ),
        });
        const span = { firstSeries: 0, lastSeries: 2 ** 26 - 1, from: DAY, to: DAY + 12 * W };
        const closed = await store.closeCounters(span, ALL, []);
        assert.deepEqual(closed, { odd: [], written: 48_000 });
        const sums = await store.sumCounters(series, [DAY, DAY + 12 * W]);
        assert.equal(
          sums.reduce((n, s) => n + s.records, 0),
          48_000,
        );
      } finally {
        await store.close();
      }
    });
  });

  test('a full disk refuses commits by name, loses nothing, and is left behind when there is space again', async (t) => {
    const volume = await mkdtemp(join(tmpdir(), 'tollgate-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', volume], { stdio: 'ignore' });
    } catch {
      await rm(volume, { recursive: true, force: true });
      if (long) throw new Error('this test needs to mount a small volume');
      t.skip('needs to mount a small volume (root)');
      return;
    }
    try {
      await withStore(join(volume, 'store'), async (store) => {
        const filler = join(volume, 'filler');
        await write(store, { events: [eventAt(1)] });
        await writeFile(filler, Buffer.alloc(90_000_000)).catch(() => undefined);
        const data = JSON.stringify({ text: Array.from({ length: 90_000 }, (_, i) => (i * 7919) % 65_521).join() });
        const refusedAt: number[] = [];
        let receipt = 2;
        for (; refusedAt.length === 0 && receipt < 200; receipt++) {
          await write(store, { events: [eventAt(receipt, { data })] }).catch((error: unknown) => {
            assert.equal((error as { code?: string }).code, 'store.disk_full', String(error));
            refusedAt.push(receipt);
          });
        }
        assert.equal(refusedAt.length, 1);
        assert.equal((await store.health()).writable, false);
        await rm(filler);
        assert.equal((await store.health()).writable, true);
        await write(store, { events: [eventAt(receipt)] });
        const found = new Set((await eventsOf(store)).map((e) => e.receipt));
        for (let r = 1; r <= receipt; r++) assert.ok(found.has(r) || refusedAt.includes(r), `receipt ${r} is lost`);
      });
    } finally {
      execFileSync('umount', [volume], { stdio: 'ignore' });
      await rm(volume, { recursive: true, force: true });
    }
  });

  test('current records come out as one Parquet file', async () => {
    await inFolder(async (folder) => {
      await withStore(join(folder, 'store'), async (store) => {
        await store.writeCounters(
          [recordAt(1, DAY, { used: 7n }), recordAt(2, DAY), recordAt(1, DAY + W, { isVoid: true })],
          3,
        );
        await store.writeCounters([recordAt(1, DAY, { used: 9n })], 4);
        await mkdir(join(folder, "it's"));
        const file = join(folder, "it's", 'records.parquet');
        assert.equal(await store.exportParquet('counter', DAY, DAY + 96 * W, file), 2);
        assert.equal((await readFile(file)).subarray(0, 4).toString(), 'PAR1');
        assert.equal(await store.exportParquet('tally', DAY, DAY + W, `${file}.empty`), 0);
        await assert.rejects(store.exportParquet('counter', DAY, DAY + W, join(folder, 'nowhere', 'x')), {
          name: 'StoreError',
        });
        await assert.rejects(stat(join(folder, 'nowhere')), { code: 'ENOENT' });
        const lane = new Lane(join(folder, 'store'), { memory: 1e9, seconds: 10, threads: 1 });
        const rows = await lane.rows(
          `SELECT sum(used), max(frontier) FROM file('${file.replace("'", "\\'")}', Parquet)`,
        );
        assert.deepEqual([rows.u64(), rows.u64()], [9, 4]);
        await lane.close();
      });
    });
  });
});
