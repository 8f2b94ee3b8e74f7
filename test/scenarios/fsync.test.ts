/** An acknowledgement means durable: a trace of the running server shows the syncs before each answer (law 1). */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BATCH, call, JSON_TYPE } from '../http.ts';
import { isLong, needs } from '../needs.ts';
import { withServer } from '../server.ts';
import { answersOf } from './trace.ts';

const sound = [
  '11 openat(AT_FDCWD</>, "/d/store/tmp_insert_1/data.bin", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 5</d/store/tmp_insert_1/data.bin>',
  '11 write(5</d/store/tmp_insert_1/data.bin>, "abc", 3) = 3',
  '11 fsync(5</d/store/tmp_insert_1/data.bin> <unfinished ...>',
  '12 read(7</x>, "", 1) = 0',
  '11 <... fsync resumed>) = 0',
  '11 rename("/d/store/tmp_insert_1", "/d/store/1_1_0") = 0',
  '11 fsync(6</d/store/1_1_0>) = 0',
  '10 writev(9<TCP:[1]>, [{iov_base="HTTP/1.1 200 OK\\r\\n", iov_len=17}], 1) = 17',
];
const watched = (path: string): boolean => path.includes('/store/');
const without = (n: number): string => sound.filter((_, at) => at !== n).join('\n');

test('the reader of traces finds a missing sync of a file, of a directory, and a write after the sync', () => {
  assert.deepEqual(answersOf(sound.join('\n'), watched), [
    { answer: 'HTTP/1.1 200 OK', files: ['/d/store/tmp_insert_1/data.bin'], complaints: [] },
  ]);
  assert.match(answersOf(without(2), watched)[0]?.complaints[0] ?? '', /data\.bin was not synced/);
  assert.match(answersOf(without(4), watched)[0]?.complaints[0] ?? '', /data\.bin was not synced/);
  assert.match(answersOf(without(6), watched)[0]?.complaints[0] ?? '', /directory/);
  const lateWrite = [...sound.slice(0, 5), sound[1], ...sound.slice(5)].join('\n');
  assert.match(answersOf(lateWrite, watched)[0]?.complaints[0] ?? '', /after its last write/);
});

/**
 * A file of a part that is being written. Projections are left out: the engine does not sync their files and needs none
 * of them, what is lost of them is found by its checksum and done without (disk.test.ts takes them away).
 */
const isPart = (path: string): boolean => /\/tmp_insert_/.test(path) && !/\.proj\//.test(path);

const CALLS = 'openat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sendto,sendmsg,rename,renameat,renameat2';

/** Attaches to the running process and all its threads; resolves when the trace has begun. */
const attach = (pid: number, file: string): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const tracer = spawn('strace', ['-f', '-y', '-s', '32', '-e', `trace=${CALLS}`, '-o', file, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    tracer.stderr.on('data', (part: Buffer) => {
      said += part.toString();
      if (/attached/.test(said)) resolve(tracer);
    });
    tracer.on('exit', () => reject(new Error(`strace ended: ${said}`)));
  });

const detach = (tracer: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    tracer.on('exit', () => resolve());
    tracer.kill('SIGINT');
  });

const eventBatch = (n: number): string =>
  JSON.stringify(
    Array.from({ length: 20 }, (_, i) => ({
      specversion: '1.0',
      id: `e-${n}-${i}`,
      source: 'app/fsync',
      type: 'fsync.work',
      subject: 's',
      time: new Date().toISOString(),
      data: { value: i },
    })),
  );

const readingBatch = (n: number): string =>
  JSON.stringify({
    source: 'host/fsync',
    run: 'r',
    sequence: n + 1,
    sentAt: Date.now(),
    completeThrough: Date.now(),
    series: [{ resource: 'host/fsync/eth0', meter: 'network.bytes.sent', epoch: 'boot' }],
    readings: [[0, Date.now(), String(n * 1000)]],
  });

test('files and their directories are synced before every 2xx', { skip: needs('linux', 'root', 'strace') }, () =>
  withServer(async (server) => {
    const file = join(tmpdir(), `tollgate-trace-${process.pid}`);
    const rounds = isLong ? 20 : 4;
    const tracer = await attach(server.pid, file);
    try {
      for (let n = 0; n < rounds; n++) {
        const events = await call(server, 'POST', '/api/v1/events', eventBatch(n), { 'content-type': BATCH });
        assert.ok(events.status >= 200 && events.status < 300, events.text);
        const readings = await call(server, 'POST', '/api/v1/readings', readingBatch(n), { 'content-type': JSON_TYPE });
        assert.ok(readings.status >= 200 && readings.status < 300, readings.text);
      }
    } finally {
      await detach(tracer);
    }
    const reports = answersOf(readFileSync(file, 'utf8'), (path) => isPart(path) && path.startsWith(server.dataDir));
    assert.equal(reports.length, rounds * 2, 'every answer is in the trace');
    for (const { answer, files, complaints } of reports) {
      assert.match(answer, /^HTTP\/1\.1 2/);
      assert.notEqual(files.length, 0, 'the answer came before anything was written');
      assert.deepEqual(complaints, []);
    }
    rmSync(file);
  }),
);
