/**
 * The server as a process, with both engines: first start, kill -9, second start, clean stop, and what refuses to start.
 * Long form: each start takes seconds.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const skip = process.env.CI === 'true' && process.platform === 'linux' ? false : 'long form: runs with CI=true';
const bin = fileURLToPath(new URL('../bin/tollgate.js', import.meta.url));

interface Server {
  child: ChildProcess;
  output(): string;
  ended: Promise<number | null>;
}

const folder = (t: TestContext): string => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-serve-'));
  // PostgreSQL may run as another user, who walks through here.
  chmodSync(dir, 0o711);
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'data');
};

const environment = (data: string) => ({
  ...process.env,
  TOLLGATE_DATA_DIR: data,
  TOLLGATE_HTTP_PORT: '0',
  TOLLGATE_POLL_SECONDS: '1',
});

const start = (t: TestContext, data: string, args: readonly string[] = []): Server => {
  const child = spawn(process.execPath, [bin, 'serve', ...args], {
    env: environment(data),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
    await ended;
  });
  return { child, output: () => text, ended };
};

const ready = async (server: Server): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    if (server.output().includes('Ctrl-C stops it')) return;
    if (server.child.exitCode !== null) break;
    await pause(100);
  }
  assert.fail(`not ready: ${server.output()}`);
};

const tollgate = (data: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args], { env: environment(data) }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });

const metered = async (data: string, wanted: (bytes: bigint) => boolean): Promise<bigint> => {
  let bytes = 0n;
  for (let i = 0; i < 60; i++) {
    const { out } = await tollgate(data, 'usage', '--json', '--meter', 'network.bytes.received');
    const rows = JSON.parse(out) as { quantity: string | null; group: { resource: string } }[];
    bytes = BigInt(rows.find((r) => r.group.resource.endsWith('/lo'))?.quantity ?? '0');
    if (wanted(bytes)) return bytes;
    await pause(500);
  }
  return assert.fail(`metered ${bytes}`);
};

test('a first start meters this machine, survives kill -9, and a second start continues where it stopped', {
  skip,
}, async (t) => {
  const data = folder(t);
  const first = start(t, data);
  await ready(first);
  const key = /^ +(tg_[\w-]+)$/m.exec(first.output())?.[1] ?? '';
  assert.equal(readFileSync(join(data, 'admin.key'), 'utf8').trim(), key);
  for (const file of ['admin.key', 'server.json', 'collector.key'])
    assert.equal(statSync(join(data, file)).mode & 0o777, 0o600, file);
  const before = await metered(data, (bytes) => bytes > 0n);
  assert.equal((await tollgate(data, 'doctor')).code, 0);

  first.child.kill('SIGKILL');
  await first.ended;
  const gone = await tollgate(data, 'usage');
  assert.equal(gone.code, 3, gone.err);

  const second = start(t, data);
  await ready(second);
  assert.ok(!second.output().includes('tg_'), 'the key is shown once');
  await metered(data, (bytes) => bytes > before);
  const rival = start(t, data);
  assert.equal(await rival.ended, 1);
  assert.match(rival.output(), /Another Tollgate server \(pid \d+\) is using/);

  second.child.kill('SIGINT');
  assert.equal(await second.ended, 0, second.output());
  assert.match(second.output(), /Stopped\.\n$/);
  assert.doesNotMatch(readFileSync(join(data, 'tollgate.log'), 'utf8'), /tg_|did not close/);
});

test('a copy is served without taking anything in, and a stop waits for nobody', { skip }, async (t) => {
  const data = folder(t);
  const first = start(t, data);
  await ready(first);
  await metered(data, (bytes) => bytes > 0n);
  // A request that never comes whole: the stop cuts it.
  const { url } = JSON.parse(readFileSync(join(data, 'server.json'), 'utf8')) as { url: string };
  const half = connect(Number(new URL(url).port), '127.0.0.1');
  half.on('error', () => undefined);
  const key = readFileSync(join(data, 'admin.key'), 'utf8').trim();
  half.write(`POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: 99\r\n\r\n{`);
  await pause(200);
  const told = performance.now();
  first.child.kill('SIGINT');
  assert.equal(await first.ended, 0, first.output());
  assert.ok(performance.now() - told < 5000, `${performance.now() - told} ms`);

  const copy = `${data}-copy`;
  cpSync(data, copy, { recursive: true, preserveTimestamps: true });
  const owner = statSync(join(data, 'postgres'));
  execFileSync('chown', ['-R', `${owner.uid}:${owner.gid}`, join(copy, 'postgres')]);
  const reader = start(t, copy, ['--read-only']);
  await ready(reader);
  assert.match(reader.output(), /nothing: this server only reads/);
  const { out } = await tollgate(copy, 'usage', '--json', '--meter', 'network.bytes.received');
  assert.ok((JSON.parse(out) as unknown[]).length > 0);
  for (const line of [
    ['accounts', 'create', 'x'],
    ['job', 'run'],
    ['keys', 'create', '--scope', 'read'],
  ]) {
    const { code, err } = await tollgate(copy, ...line);
    assert.deepEqual([code, /\[server.read_only\]/.test(err)], [1, true], `${line.join(' ')}: ${err}`);
  }
  const status = JSON.parse((await tollgate(copy, 'job', 'status', '--json')).out) as {
    running: boolean;
    nextRunAt: unknown;
  };
  assert.deepEqual([status.running, status.nextRunAt], [false, null]);
  reader.child.kill('SIGINT');
  await pause(10);
  reader.child.kill('SIGINT');
  await reader.ended;
});

test('what keeps it from starting is said in a sentence, and nothing is left running', { skip }, async (t) => {
  const check = async (expected: RegExp, data: string, ...args: string[]): Promise<void> => {
    const server = start(t, data, args);
    const code = await server.ended;
    assert.match(server.output(), expected);
    assert.notEqual(code, 0);
    assert.doesNotMatch(server.output(), /^\s+at /m, 'no stack for a person');
  };
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await pause(50);
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await check(/Port \d+ of 127.0.0.1 is taken/, folder(t), '--http-port', String(port));
  await check(/--http-port: "http" is refused, wants a whole number/, folder(t), '--http-port', 'http');
  await check(/can be reached from outside/, folder(t), '--http-host', '0.0.0.0');
  await check(/is no data directory: there is nothing to serve/, folder(t), '--read-only');
  await check(/Cannot write to .*: a part of the path is a file/, join(bin, 'data'));
});
