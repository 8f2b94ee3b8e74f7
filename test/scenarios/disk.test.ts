/** A disk that fills up and is given room again; a store whose last write was torn. Nothing acknowledged is lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BATCH, call, eventually, JSON_TYPE, post } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { makeDataDir, removeDataDir, type Server, startServer, stopPostgres, withServer } from '../server.ts';
import { runJob, usageRows, wholeSum } from '../usage.ts';

const TYPE = 'disk.work';
const FROM = Math.floor((Date.now() - 7_200_000) / 900_000) * 900_000;

const batch = (n: number): { body: string; sum: bigint } => {
  const events = Array.from({ length: 200 }, (_, i) => ({
    specversion: '1.0',
    id: `${n}-${i}`,
    source: 'app/disk',
    type: TYPE,
    subject: 's',
    time: new Date(FROM + ((n * 200 + i) % 3600) * 1000).toISOString(),
    data: { value: i + 1, ballast: `${n}.${i}.`.repeat(50) },
  }));
  return { body: JSON.stringify(events), sum: 20_100n };
};

const makeMeter = (server: Server): Promise<unknown> =>
  post(server, '/api/v1/meters', {
    slug: 'disk_work',
    name: 'Work',
    aggregation: 'SUM',
    eventType: TYPE,
    valueProperty: '$.value',
  });
const total = async (server: Server): Promise<bigint> => {
  await runJob(server);
  return wholeSum(await usageRows(server, { meter: 'disk_work', from: FROM, to: FROM + 7_200_000 }));
};

/** A file that takes up all room but `leave` bytes. Returns how to give it back. */
const fill = (dir: string, leave: number): (() => void) => {
  const path = join(dir, 'ballast');
  const file = openSync(path, 'w');
  const chunk = Buffer.alloc(1 << 16, 1);
  let size = 0;
  try {
    for (;;) size += writeSync(file, chunk);
  } catch {
    // Full.
  }
  fsyncSync(file);
  closeSync(file);
  truncateSync(path, Math.max(0, size - leave));
  return () => unlinkSync(path);
};

test('a full disk answers 503 with Retry-After, loses nothing acknowledged, and recovers by itself', {
  skip: isLong ? needs('tmpfs') : LONG_FORM,
}, async () => {
  const mount = mkdtempSync(join(tmpdir(), 'tollgate-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m,mode=0711', 'none', mount]);
  const dataDir = join(mount, 'data');
  try {
    const server = await startServer({ dataDir });
    try {
      await makeMeter(server);
      let acknowledged = 0n;
      let n = 0;
      const send = async (): Promise<number> => {
        const { body, sum } = batch(n);
        const answer = await call(server, 'POST', '/api/v1/events', body, { 'content-type': BATCH });
        if (answer.status < 300) {
          acknowledged += sum;
          n++;
        } else {
          assert.equal(answer.status, 503, answer.text.slice(0, 500));
          assert.ok(Number(answer.headers.get('retry-after')) >= 1, 'Retry-After says when to come again');
        }
        return answer.status;
      };
      for (let i = 0; i < 5; i++) assert.ok((await send()) < 300);
      const empty = fill(mount, 1 << 20);
      let refused = 0;
      for (let i = 0; i < 300 && refused < 3; i++) if ((await send()) === 503) refused++;
      assert.equal(refused, 3, 'the disk filled up');
      assert.equal((await call(server, 'GET', '/healthz')).status, 200, 'the process lives');
      empty();
      await eventually(send, (status) => status < 300, 60_000);
      for (let i = 0; i < 5; i++) assert.ok((await send()) < 300);
      assert.equal(
        await eventually(
          () => total(server),
          (sum) => sum === acknowledged,
          30_000,
        ),
        acknowledged,
      );
    } finally {
      await server.stop();
    }
    const again = await startServer({ dataDir });
    try {
      assert.equal((await call(again, 'GET', '/readyz')).status, 200);
    } finally {
      await again.stop();
    }
  } finally {
    stopPostgres(dataDir);
    await eventually(async () => unmounted(mount), Boolean, 15_000);
    rmSync(mount, { recursive: true, force: true });
  }
});

const unmounted = (mount: string): boolean => {
  try {
    execFileSync('umount', [mount], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Every file below a folder with its size. */
const filesOf = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? filesOf(path) : entry.isFile() ? [path] : [];
  });

test('a store with a torn last write opens, and what was acknowledged before it is all there', {
  skip: isLong ? needs('linux') : LONG_FORM,
}, async () => {
  const dataDir = makeDataDir();
  try {
    let sum = 0n;
    await withServer(
      async (server) => {
        await makeMeter(server);
        for (let n = 0; n < 5; n++) {
          const next = batch(n);
          const answer = await call(server, 'POST', '/api/v1/events', next.body, { 'content-type': BATCH });
          assert.ok(answer.status < 300, answer.text);
          sum += next.sum;
        }
        await server.kill();
        stopPostgres(dataDir);
      },
      { dataDir },
    );
    // What a power loss leaves of a write that was under way and never acknowledged: a part under its temporary name,
    // cut off in the middle.
    const torn = tear(dataDir);
    assert.ok(torn > 0, 'there was something to tear');
    await withServer(
      async (server) => {
        assert.equal(await total(server), sum);
        const next = batch(99);
        assert.ok((await call(server, 'POST', '/api/v1/events', next.body, { 'content-type': BATCH })).status < 300);
        assert.equal(
          await eventually(
            () => total(server),
            (now) => now === sum + next.sum,
          ),
          sum + next.sum,
        );
      },
      { dataDir },
    );
  } finally {
    await removeDataDir(dataDir);
  }
});

/** Copies the newest part of each table to a temporary name and cuts its files in half. Returns the number of files cut. */
const tear = (dataDir: string): number => {
  const parts = new Map<string, string>();
  for (const file of filesOf(dataDir)) {
    const match = /^(.*\/)([^/]*_\d+_\d+_\d+)\/(?:data|[\w.%]+)\.(?:bin|cmrk\d|mrk\d)$/.exec(file);
    if (match) parts.set(match[1] ?? '', match[2] ?? '');
  }
  let cut = 0;
  for (const [table, part] of parts) {
    const copy = join(table, `tmp_insert_${part}`);
    execFileSync('cp', ['-a', join(table, part), copy]);
    for (const file of filesOf(copy)) {
      truncateSync(file, Math.floor(statSync(file).size / 2));
      cut++;
    }
    chmodSync(copy, 0o750);
  }
  return cut;
};

const readings = (sequence: number): string =>
  JSON.stringify({
    source: 'host/disk',
    run: 'r',
    sequence,
    sentAt: Date.now(),
    series: [{ resource: 'host/disk/eth0', meter: 'network.bytes.sent', epoch: 'boot' }],
    readings: Array.from({ length: 10 }, (_, n) => [0, FROM + (sequence + n) * 60_000, String((sequence + n) * 1000)]),
  });

/** The engine does not sync the files of a projection (see fsync.test.ts): what a power loss can leave of them. */
for (const [name, spoil] of [
  ['empty', (file: string) => truncateSync(file, 0)],
  ['cut off', (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2))],
  ['gone', (file: string) => unlinkSync(file)],
] as const) {
  // Each way costs two starts of the server.
  if (!isLong) break;
  test(`readings whose projection is ${name} after a power loss are all there`, { skip: needs('linux') }, async () => {
    const dataDir = makeDataDir();
    const used = async (server: Server): Promise<bigint> => {
      await runJob(server);
      return wholeSum(await usageRows(server, { meter: 'network.bytes.sent', from: FROM, to: FROM + 7_200_000 }));
    };
    try {
      await withServer(
        async (server) => {
          for (const sequence of [0, 10, 20]) {
            const answer = await call(server, 'POST', '/api/v1/readings', readings(sequence), {
              'content-type': JSON_TYPE,
            });
            assert.ok(answer.status < 300, answer.text);
          }
          await server.kill();
          stopPostgres(dataDir);
        },
        { dataDir },
      );
      const files = filesOf(dataDir).filter((file) => /\.proj\//.test(file));
      assert.notEqual(files.length, 0, 'there is a projection to spoil');
      for (const file of files) spoil(file);
      await withServer(
        async (server) => {
          assert.equal(await used(server), 29_000n);
          const answer = await call(server, 'POST', '/api/v1/readings', readings(30), { 'content-type': JSON_TYPE });
          assert.ok(answer.status < 300, answer.text);
          assert.equal(await used(server), 39_000n);
        },
        { dataDir },
      );
    } finally {
      await removeDataDir(dataDir);
    }
  });
}
