/** A real daemon, a real disk and real sockets: kill -9 with the server away and back. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReadingsBatch } from '@tollgate/event';
import { ReadingsServer } from '../backlog/testing/server.ts';
import { outcomeOf } from '../publish/testing/outcome.ts';

const isLong = process.env.CI === 'true';
const program = fileURLToPath(new URL('../main.js', import.meta.url));
/** Longer than the daemon needs to bring a pass to the disk. */
const SETTLED_MS = 400;

type Mood = 'answer' | 'away' | 'take and drop' | 'busy';

/** What the daemon polls, and where it sends to. Every page shows another value. */
class Surroundings {
  readonly server = new ReadingsServer();
  readonly shown: { value: bigint; at: number }[] = [];
  mood: () => Mood = () => 'answer';
  folder = '';
  url = '';
  readonly #http: Server = createServer((request, response) => void this.#serve(request, response));
  #daemon: ChildProcess | null = null;

  async begin(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'tollgate-daemon-'));
    await new Promise<void>((done) => this.#http.listen(0, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
    const settings = {
      server: { url: this.url },
      source: 'host/x',
      state: { folder: join(this.folder, 'state') },
      log: { level: 'error' },
      pollers: [
        {
          kind: 'openmetrics',
          interval: '1s',
          url: `${this.url}/metrics`,
          rules: [{ metric: 'sent_total', meter: 'network.bytes.sent', identity: 'device' }],
        },
      ],
    };
    await writeFile(join(this.folder, 'agent.yaml'), JSON.stringify(settings));
  }

  async end(): Promise<void> {
    this.#daemon?.kill('SIGKILL');
    this.#http.closeAllConnections();
    await new Promise((done) => this.#http.close(done));
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Runs until it has polled `times` and what it found had time to reach the disk. */
  async live(times: number): Promise<void> {
    const until = this.shown.length + times;
    this.#daemon = spawn(process.execPath, [program, 'run', '--config', join(this.folder, 'agent.yaml')], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, TOLLGATE_KEY: 'k' },
    });
    for (let i = 0; i < 1500 && this.shown.length < until; i++) await sleep(10);
    await sleep(SETTLED_MS);
  }

  async die(signal: NodeJS.Signals): Promise<unknown> {
    const daemon = this.#daemon as ChildProcess;
    daemon.kill(signal);
    const [code, by] = (await once(daemon, 'exit')) as [number | null, string | null];
    return by ?? code;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/metrics') {
      const value = BigInt(this.shown.length + 1) * 1000n;
      this.shown.push({ value, at: performance.now() });
      return void response.end(`# TYPE sent counter\nsent_total{device="eth0"} ${value}\n# EOF\n`);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.url !== '/api/v1/readings') return void response.end('{}');
    const mood = this.mood();
    if (mood === 'away') return void request.socket.destroy();
    if (mood === 'busy') return void response.writeHead(503, { 'retry-after': '0' }).end();
    this.server.take(JSON.parse(Buffer.concat(chunks).toString()) as ReadingsBatch);
    if (mood === 'take and drop') return void request.socket.destroy();
    response.end(outcomeOf(1));
  }

  /** Nothing came twice, and of what was shown only the last page before each end may be missing. */
  check(ends: readonly number[]): void {
    assert.deepEqual([this.server.twice, this.server.faults], [0, []]);
    const there = new Set(this.server.taken.map(({ value }) => value));
    const isUnsettled = (at: number): boolean => ends.some((end) => end - SETTLED_MS < at && at <= end);
    const missing = this.shown.filter(({ value, at }) => !there.has(value) && !isUnsettled(at));
    assert.deepEqual(missing, []);
  }
}

test('kill -9 of a daemon while the server is away: all it had polled arrives when both are back, once', async () => {
  const around = new Surroundings();
  await around.begin();
  try {
    const moods: Mood[] = ['away', 'take and drop', 'busy', 'away'];
    let turn = 0;
    around.mood = () => moods[turn++ % moods.length] as Mood;
    const ends: number[] = [];
    for (let life = 0; life < (isLong ? 5 : 1); life++) {
      await around.live(2);
      assert.equal(await around.die('SIGKILL'), 'SIGKILL');
      ends.push(performance.now());
    }
    const folder = join(around.folder, 'state', 'spool', 'readings');
    assert.ok((await readdir(folder)).some((name) => name.endsWith('.log')));
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    around.mood = () => 'answer';
    await around.live(1);
    assert.equal(await around.die('SIGTERM'), 0);
    around.check(ends);
    assert.equal(
      around.server.taken.at(-1)?.value,
      around.shown.at(-1)?.value,
      'the last pass was sent before it ended',
    );
  } finally {
    await around.end();
  }
});
