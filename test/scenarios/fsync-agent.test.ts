/** What an agent publishes is on its own disk before: a trace of a running service shows how its spool is written. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needs } from '../needs.ts';

const child = fileURLToPath(new URL('../../../packages/agent/dist/publish/testing/child.js', import.meta.url));

/** Resolves to the calls of a service that measured until it had sent a batch. */
const traced = async (folder: string): Promise<string[]> => {
  let posted = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === '/api/v1/events') posted++;
    response.end('{"accepted":1,"duplicates":0,"conflicts":0,"rejected":0,"items":[],"receipts":null}');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const file = join(folder, 'trace');
  const calls = 'trace=openat,fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg';
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const service = spawn(
    'strace',
    ['-f', '-y', '-s', '64', '-e', calls, '-o', file, process.execPath, child, url, join(folder, 'spool')],
    { stdio: ['ignore', 'ignore', 'inherit'], detached: true },
  );
  const ended = new Promise((done) => service.once('exit', done));
  for (let tries = 0; posted < 3 && tries < 400; tries++) await new Promise((done) => setTimeout(done, 50));
  // A tracer does not hand signals on: the whole group gets them.
  const group = -(service.pid as number);
  process.kill(group, 'SIGTERM');
  const late = setTimeout(() => process.kill(group, 'SIGKILL'), 10_000);
  await ended;
  clearTimeout(late);
  server.closeAllConnections();
  server.close();
  assert.ok(posted >= 3, 'batches were sent');
  return readFileSync(file, 'utf8').split('\n');
};

test('every write of the spool waits for the disk, and its folder knows the file before anything is sent', {
  skip: needs('linux', 'strace'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-spool-trace-'));
  try {
    const lines = await traced(folder);
    const made = lines.filter((line) => /openat\(.*\/\d{10}\.log", .*O_CREAT/.test(line));
    assert.ok(made.length > 0, 'a segment was made');
    for (const line of made) assert.match(line, /O_DSYNC/);
    const first = lines.indexOf(made[0] as string);
    const synced = lines.findIndex((line, at) => at > first && /f(data)?sync\(\d+<[^>]*\/spool>/.test(line));
    const sent = lines.findIndex((line) => line.includes('POST /api/v1/events'));
    const written = lines.findIndex((line, at) => at > first && /write\(\d+<[^>]*\/\d{10}\.log>/.test(line));
    assert.ok(
      sent > 0 && written > first && written < synced && synced < sent,
      [first, written, synced, sent].join(' '),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
