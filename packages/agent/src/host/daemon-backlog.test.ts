/** The daemon with its readings on disk: the server goes away, the daemon is killed, and nothing shows of it afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadingsBatch } from '@tollgate/event';
import { Backlog } from '../backlog/backlog.ts';
import { ReadingsServer } from '../backlog/testing/server.ts';
import type { Clock } from '../environment.ts';
import type { Counted, Poller } from '../poll/poller.ts';
import { Tracker } from '../poll/tracker.ts';
import { outcomeOf } from '../publish/testing/outcome.ts';
import { START, VirtualClock } from '../publish/testing/world.ts';
import { MemoryDisk } from '../spool/testing/memory-disk.ts';
import { Daemon, passMemory } from './daemon.ts';
import { MappingFile } from './mapping-watch.ts';

const [MINUTE, HOUR] = [60_000, 3_600_000];
const BEAT = MINUTE;

/** Two counters that stay, and one that is made anew every `lifetime`. `memory`: what the life before remembered. */
const counting = (clock: Clock, name: string, lifetime: number, memory: string | null): Poller => {
  const tracker = new Tracker(memory);
  return {
    name,
    declaration: {
      kind: 'fake',
      identity: ['object'],
      epoch: ['epoch'],
      width: 64,
      layer: 'L3',
      viewpoint: 'guest',
      wirePackets: false,
    },
    async poll() {
      const at = clock.now();
      const life = Math.floor((at - START) / lifetime);
      const value = (since: number): bigint => BigInt(at - since) * 7n;
      const seen = ['a', 'b'].map((object): Omit<Counted, 'start'> => row(object, 'e', value(START)));
      seen.push(row('c', `e${life}`, value(START + life * lifetime)));
      return tracker.take({ at, seen });
    },
  };
};
const row = (object: string, epoch: string, value: bigint) => ({ object, epoch, meter: 'network.bytes.sent', value });

class Host {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk();
  readonly memory = new Map<string, string>();
  readonly server = new ReadingsServer();
  readonly reports: string[] = [];
  readonly told: { spoolDepth: number; lost?: object[] }[] = [];
  isUp = true;
  lifetime = 25 * MINUTE;
  daemon!: Daemon;
  #stop = new AbortController();
  #running = Promise.resolve();
  #backlog!: Backlog;
  #lives = 0;
  #kill: () => void = () => undefined;

  async start(maxBytes = 1024 ** 3): Promise<void> {
    const { memory } = this;
    let isAlive = true;
    this.#kill = () => {
      isAlive = false;
    };
    // Nothing that a killed process waits for comes to pass.
    const clock: Clock = {
      now: this.clock.now,
      elapsed: this.clock.elapsed,
      sleep: (ms, signal) =>
        this.clock.sleep(ms, signal).then(() => (isAlive ? undefined : new Promise(() => undefined))),
    };
    const random = { hex: () => `life${++this.#lives}`, fraction: () => 0.5 };
    const report = ({ level, message }: { level: string; message: string }): void =>
      void this.reports.push(`${level} ${message}`);
    const settings = { source: 'host/x', maxBytes, segmentBytes: 64 * 1024, memoryMax: 10_000 };
    this.#backlog = await Backlog.open({ disk: this.disk, random, report }, settings);
    const pollers = ['one', 'two'].map((name) =>
      counting(clock, name, this.lifetime, memory.get(passMemory(name)) ?? null),
    );
    this.daemon = new Daemon(
      {
        clock,
        random,
        backlog: this.#backlog,
        network: { post: (path, body) => this.#post(clock, path, body) },
        mapping: new MappingFile('', { read: () => '', stamp: () => '' }, report),
        report,
        memory: { read: (name) => memory.get(name) ?? null, write: (name, content) => void memory.set(name, content) },
        showStatus: () => undefined,
      },
      { source: 'host/x', bufferMax: 1000, statusMs: HOUR },
      pollers.map((poller) => ({ poller, kind: 'fake', intervalMs: BEAT, timeoutMs: 4000 })),
    );
    this.#stop = new AbortController();
    this.#running = this.daemon.run(this.#stop.signal);
  }

  async kill(): Promise<void> {
    this.#kill();
    this.disk.dead = true;
    await this.clock.pass(0);
    this.disk.revive(() => 0);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    let hasEnded = false;
    const ending = this.#running.then(() => {
      hasEnded = true;
    });
    while (!hasEnded) await this.clock.pass(10);
    await ending;
    await this.#backlog.close();
  }

  async #post(clock: Clock, path: string, body: string) {
    await clock.sleep(20);
    if (!this.isUp) throw new Error('connection refused');
    if (path === '/api/v1/readings') this.server.take(JSON.parse(body) as ReadingsBatch);
    else this.told.push(JSON.parse(body) as { spoolDepth: number });
    return { status: 200, retryAfter: 0, body: outcomeOf(1) };
  }
}

/** Begins with a pass; `ends` at the same instant whatever happened in between. */
const play = async (story: (host: Host) => Promise<void>): Promise<Host> => {
  const host = new Host();
  await host.start();
  await host.clock.pass(17 * MINUTE + 5000);
  await story(host);
  host.isUp = true;
  await host.clock.pass(START + 2 * HOUR + 5000 - host.clock.at);
  await host.stop();
  return host;
};

const calm = play(async () => undefined);

const sameAsCalm = async (host: Host): Promise<void> => {
  const { server } = await calm;
  assert.deepEqual([host.server.twice, host.server.faults], [0, []]);
  assert.deepEqual(host.server.rows(), server.rows());
  assert.equal(host.server.completeThrough, server.completeThrough);
  assert.equal(host.daemon.publisher.waiting, 0);
  // Two pollers, five epochs of the counter that is made anew.
  assert.equal(server.totals().size, 2 * (2 + 5));
};

test('with the server away for an hour and back, the readings are those of an uninterrupted run', async () =>
  sameAsCalm(
    await play(async (host) => {
      host.isUp = false;
      await host.clock.pass(HOUR);
      assert.ok(host.daemon.status().queue.waiting > 300);
      assert.ok((host.daemon.status().disk?.bytes ?? 0) > 2000);
    }),
  ));

test('with the daemon killed every ten minutes of that hour, the readings are still those of an uninterrupted run', async () =>
  sameAsCalm(
    await play(async (host) => {
      host.isUp = false;
      for (let i = 0; i < 6; i++) {
        await host.clock.pass(9 * MINUTE);
        await host.kill();
        // Begins again when a pass is due.
        await host.clock.pass(BEAT - 5000);
        await host.start();
        await host.clock.pass(5000);
      }
    }),
  ));

test('stopped in an orderly way while the server is away, the next life sends what waits', async () => {
  const host = await play(async (host) => {
    host.isUp = false;
    await host.clock.pass(20 * MINUTE);
    await host.stop();
    assert.ok(host.daemon.publisher.waiting > 100);
    await host.clock.pass(START + 40 * MINUTE - host.clock.at);
    await host.start();
  });
  assert.deepEqual([host.server.twice, host.server.faults], [0, []]);
  assert.deepEqual([...host.server.totals()].sort(), [...(await calm).server.totals()].sort());
});

test('what a small bound forces out is told the server as intervals, once it is back', async () => {
  const host = new Host();
  host.isUp = false;
  host.lifetime = MINUTE;
  await host.start(8000);
  await host.clock.pass(2 * HOUR);
  const { queue, disk } = host.daemon.status();
  assert.ok(queue.lost > 0 && (disk?.thinned ?? 0) > 0, JSON.stringify({ queue, disk }));
  host.isUp = true;
  await host.clock.pass(3 * MINUTE + 5000);
  await host.stop();
  const intervals = host.told.flatMap(({ lost = [] }) => lost);
  assert.ok(intervals.length > 0);
  assert.equal(host.told.at(-1)?.lost, undefined, 'each is told once');
  assert.deepEqual([host.server.twice, host.server.faults], [0, []]);
});
