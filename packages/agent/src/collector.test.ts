import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadingsBatch } from '@tollgate/event';
import { Collector } from './collector.ts';
import { outcomeOf } from './publish/testing/outcome.ts';
import { realClock, realRandomness } from './real.ts';

const settings = { source: 'host/test', intervalMs: 5, statePath: '/state' };

const world = () => {
  const files = new Map<string, string>();
  const batches: ReadingsBatch[] = [];
  let received = 100;
  return {
    files,
    batches,
    disk: {
      read: (path: string): string => {
        if (path === '/proc/net/dev') return `h\nh\neth0: ${received++} 1 0 0 0 0 0 0 2 3 0 0 0 0 0 0\n`;
        if (path.endsWith('boot_id')) return 'boot';
        if (path.endsWith('ifindex')) return '2';
        const file = files.get(path);
        if (file === undefined) throw new Error('ENOENT');
        return file;
      },
      list: () => ['eth0'],
      inode: () => 1,
      replace: (path: string, content: string) => {
        files.set(path, content);
      },
    },
    network: {
      post: async (_path: string, body: string) => {
        batches.push(JSON.parse(body) as ReadingsBatch);
        return { status: 200, retryAfter: 0, body: outcomeOf(1) };
      },
    },
    clock: realClock,
    random: realRandomness,
  };
};

test('it polls on its beat, publishes four counters an interface, and sends a last pass when stopped', async () => {
  const w = world();
  const seen: string[] = [];
  const collector = new Collector(w, settings, {
    report: ({ message }) => assert.fail(message),
    seen: async (interfaces) => {
      seen.push(...interfaces.map((i) => i.id));
    },
  });
  const stop = new AbortController();
  const running = collector.run(stop.signal);
  while (w.batches.length < 3) await realClock.sleep(2);
  stop.abort();
  await running;
  assert.deepEqual(
    w.batches[0]?.series.map((s) => [s.resource, s.meter]),
    [
      ['host/test/eth0', 'network.bytes.received'],
      ['host/test/eth0', 'network.bytes.sent'],
      ['host/test/eth0', 'network.packets.received'],
      ['host/test/eth0', 'network.packets.sent'],
    ],
  );
  assert.equal(collector.publisher.waiting, 0);
  assert.equal(seen[0], 'eth0');
  const remembered = JSON.parse(w.files.get('/state') ?? '{}') as { interfaces?: unknown };
  assert.deepEqual(remembered.interfaces, { eth0: 2 });
});

test('a pass that fails is reported and the next one goes on', async () => {
  const w = world();
  const reports: string[] = [];
  let failed = false;
  const read = w.disk.read;
  const collector = new Collector(w, settings, { report: ({ message }) => reports.push(message) });
  w.disk.read = (path) => {
    if (path === '/proc/net/dev' && !failed) {
      failed = true;
      throw new Error('EMFILE');
    }
    return read(path);
  };
  const stop = new AbortController();
  const running = collector.run(stop.signal);
  while (w.batches.length < 2) await realClock.sleep(2);
  stop.abort();
  await running;
  assert.deepEqual(reports, ['pass failed: EMFILE']);
});

test('a server that never answers does not hold up the stop longer than its grace', async () => {
  const w = world();
  const collector = new Collector(
    {
      ...w,
      network: {
        post: (_path, _body, _type, signal) =>
          new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted')))),
      },
    },
    settings,
    { report: () => undefined },
  );
  const stop = new AbortController();
  const running = collector.run(stop.signal, 30);
  await realClock.sleep(10);
  stop.abort();
  await running;
  assert.ok(collector.publisher.waiting > 0);
});
