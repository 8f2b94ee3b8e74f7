/** The daemon on virtual time, with pollers that count, fail and hang, and a server that goes away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadingsBatch, ResourceHint } from '@tollgate/event';
import type { Clock, HttpAnswer } from '../environment.ts';
import type { Counted, Declaration, Poller, PollPass } from '../poll/poller.ts';
import { outcomeOf } from '../publish/testing/outcome.ts';
import { Daemon } from './daemon.ts';
import type { Seat } from './daemon-beat.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import { MappingFile } from './mapping-watch.ts';

const T0 = Date.UTC(2026, 10, 22);

/** Sleepers wake in the order of their instants; between two wakings everything that can settle has settled. */
class VirtualClock implements Clock {
  #now = T0;
  #sleepers: { at: number; wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }
  elapsed(): number {
    return this.#now;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper = { at: this.#now + Math.max(0, Math.ceil(ms)), wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', abort);
    });
  }
  async run(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
      const next = this.#sleepers.filter((s) => s.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((s) => s !== next);
      this.#now = next.at;
      next.wake();
    }
    this.#now = until;
  }
}

const declaration: Declaration = {
  kind: 'fake',
  identity: ['object'],
  epoch: ['epoch'],
  width: 64,
  layer: 'L3',
  viewpoint: 'guest',
  wirePackets: false,
};

/** Three objects that count 7 bytes a millisecond; the third is made anew every 25 minutes. */
const counting = (clock: Clock, name: string): Poller => {
  let lives = 0;
  return {
    name,
    declaration,
    async poll(): Promise<PollPass> {
      const at = clock.now();
      const life = Math.floor((at - T0) / 1_500_000);
      const born = T0 + life * 1_500_000;
      const counted = ['a', 'b'].map((object): Counted => row(object, 'e', BigInt(at - T0) * 7n, 0));
      counted.push({ ...row('c', `e${life}`, BigInt(at - born) * 7n, life > 0 ? born : 0), name: 'third' });
      const ended = life > lives ? [{ object: 'c', meter: 'network.bytes.sent', epoch: `e${lives}`, at: at - 1 }] : [];
      lives = life;
      return { at, counted, ended };
    },
  };
};
const row = (object: string, epoch: string, value: bigint, start: number): Counted => ({
  object,
  epoch,
  meter: 'network.bytes.sent',
  value,
  start,
});

const OK: HttpAnswer = { status: 200, retryAfter: 0, body: outcomeOf(1) };

interface Given {
  pollers(clock: Clock): Poller[];
  mapping?: string;
  bufferMax?: number;
  memory?: Map<string, string>;
  tunnels?: readonly WatchedTunnel[];
}

const setting = ({ pollers, mapping = '', bufferMax = 500_000, memory = new Map(), tunnels = [] }: Given) => {
  const clock = new VirtualClock();
  const batches: ReadingsBatch[] = [];
  const reports: string[] = [];
  const depths: number[] = [];
  const server = { up: true, answer: (_batch: ReadingsBatch): HttpAnswer => OK };
  const files = { text: mapping, stamp: 1 };
  const seats = pollers(clock).map((poller): Seat => ({ poller, kind: 'fake', intervalMs: 10_000, timeoutMs: 4000 }));
  const report = ({ level, message }: { level: string; message: string }): void =>
    void reports.push(`${level} ${message}`);
  const daemon = new Daemon(
    {
      clock,
      random: { hex: () => 'run', fraction: () => 0.5 },
      network: {
        async post(path, body, _type, signal) {
          await clock.sleep(20, signal);
          if (!server.up || signal?.aborted) throw new Error('connection refused');
          if (path === '/api/v1/sources/host%2Fx/report')
            depths.push((JSON.parse(body) as { spoolDepth: number }).spoolDepth);
          if (path !== '/api/v1/readings') return OK;
          const batch = JSON.parse(body) as ReadingsBatch;
          const answer = server.answer(batch);
          if (answer.status < 300) batches.push(batch);
          return { ...answer, date: clock.now() - 5000 };
        },
      },
      mapping: new MappingFile(
        mapping === '' ? '' : 'm.yaml',
        { read: () => files.text, stamp: () => String(files.stamp) },
        report,
        clock,
      ),
      report,
      memory: { read: (name) => memory.get(name) ?? null, write: (name, content) => void memory.set(name, content) },
      showStatus: () => undefined,
    },
    { source: 'host/x', bufferMax, statusMs: 5000, tunnels },
    seats,
  );
  const stop = new AbortController();
  return { clock, batches, reports, depths, server, files, memory, daemon, stop };
};
type Setting = ReturnType<typeof setting>;

const stopped = async (s: Setting, running: Promise<void>): Promise<void> => {
  s.stop.abort();
  await s.clock.run(10_000);
  await running;
};

/** Usage by series and epoch, as the server would count it: the last value less the first, all of it where a start is told. */
const totals = (batches: readonly ReadingsBatch[]): Record<string, bigint> => {
  const chains = new Map<string, { first: bigint; last: bigint }>();
  for (const { series, readings } of batches)
    for (const [index, , value, start] of readings) {
      const head = series[index];
      const key = `${head?.resource} ${head?.epoch}`;
      const chain = chains.get(key);
      if (chain === undefined)
        chains.set(key, { first: start === undefined ? BigInt(value) : 0n, last: BigInt(value) });
      else chain.last = BigInt(value);
    }
  return Object.fromEntries([...chains].map(([key, { first, last }]) => [key, last - first]));
};

const throughs = (s: Setting): (number | string | undefined)[] => s.batches.map((b) => b.completeThrough);

test('one poller that hangs and one that fails hold up nobody; the source is complete only as far as all have delivered', async () => {
  let release: () => void = () => undefined;
  let broken = true;
  const s = setting({
    pollers: (clock) => [
      counting(clock, 'good'),
      {
        name: 'hanging',
        declaration,
        poll: () =>
          new Promise<PollPass>((resolve) => {
            release = () => resolve({ at: clock.now(), counted: [], ended: [] });
          }),
      },
      {
        name: 'failing',
        declaration,
        poll: async () => {
          if (broken) throw new Error('no such table');
          return { at: clock.now(), counted: [], ended: [] };
        },
      },
    ],
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(600_000);
  const [good, hanging, failing] = s.daemon.status().pollers;
  assert.equal(good?.passes, 61);
  assert.deepEqual([hanging?.passes, hanging?.failures, hanging?.overdueSince], [0, 0, T0 + 4000]);
  // 0, 10, 30, 70, 150, 310 s: each pause twice the one before, up to five minutes.
  assert.deepEqual([failing?.passes, failing?.failures, failing?.lastError], [0, 6, 'no such table']);
  assert.ok(
    throughs(s).every((through) => through === undefined),
    'two have never delivered anything',
  );
  assert.deepEqual(
    s.reports.filter((r) => r.includes('failing')).map((r) => r.replace(/.*next in /, '')),
    ['10 s', '20 s', '80 s'],
  );
  broken = false;
  release();
  await s.clock.run(300_000);
  assert.ok(s.reports.includes('info failing: reads again after 6 failures'));
  assert.equal(s.daemon.status().pollers[2]?.inARow, 0);
  const told = throughs(s).filter((through) => through !== undefined);
  assert.ok(told.length > 0 && told.every((t) => Number(t) <= (s.daemon.status().pollers[1]?.lastPassAt ?? 0)));
  await stopped(s, running);
});

for (const bufferMax of [500_000, 1000])
  test(`a server that is away for an hour and comes back has the totals of an uninterrupted run (${bufferMax} readings in memory)`, async () => {
    const run = async (outage: boolean): Promise<Setting> => {
      const s = setting({ pollers: (clock) => [counting(clock, 'one'), counting(clock, 'two')], bufferMax });
      const running = s.daemon.run(s.stop.signal);
      await s.clock.run(1_000_000);
      s.server.up = !outage;
      await s.clock.run(3_600_000);
      if (outage) assert.ok(s.daemon.status().server.failures > 100);
      s.server.up = true;
      await s.clock.run(1_000_000);
      await stopped(s, running);
      return s;
    };
    const [calm, stormy] = [await run(false), await run(true)];
    assert.deepEqual(totals(stormy.batches), totals(calm.batches));
    assert.equal(Object.keys(totals(calm.batches)).length, 2 * (2 + 4));
    assert.equal(stormy.batches.at(-1)?.completeThrough, calm.batches.at(-1)?.completeThrough);
    assert.equal(stormy.daemon.publisher.waiting, 0);
  });

test('passes keep to their beats, however long each takes', async () => {
  const begun: number[] = [];
  const s = setting({
    pollers: (clock) => [
      {
        name: 'slow',
        declaration,
        poll: async () => {
          begun.push(clock.now() - T0);
          await clock.sleep(begun.length === 3 ? 13_000 : 3000);
          return { at: clock.now(), counted: [], ended: [] };
        },
      },
    ],
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(55_000);
  assert.deepEqual(begun, [0, 10_000, 20_000, 40_000, 50_000]);
  await stopped(s, running);
});

test('what carries instants of its own is declared complete no further than these', async () => {
  const s = setting({
    pollers: (clock) => [
      {
        name: 'late',
        declaration,
        async poll() {
          const at = clock.now();
          const counted = [60_000, 40_000].map((ago, i) => ({ ...row(`o${i}`, 'e', 5n, 0), at: at - ago }));
          return { at, counted: [...counted, row('now', 'e', 5n, 0)], ended: [] };
        },
      },
    ],
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(35_000);
  assert.deepEqual(
    throughs(s),
    [0, 10_000, 20_000, 30_000].map((at) => T0 + at - 60_000),
  );
  await stopped(s, running);
});

test('told to stop, it makes a last pass, sends what waits, and ends within its grace', async () => {
  const s = setting({ pollers: (clock) => [counting(clock, 'one')] });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(13_000);
  s.stop.abort();
  await s.clock.run(100);
  await running;
  assert.equal(s.batches.at(-1)?.completeThrough, T0 + 13_000);
  assert.equal(s.daemon.publisher.waiting, 0);
});

test('told to stop while the server is away and a poller hangs, it ends after its grace', async () => {
  const s = setting({
    pollers: (clock) => [
      counting(clock, 'one'),
      { name: 'hanging', declaration, poll: () => new Promise(() => undefined) },
    ],
  });
  s.server.up = false;
  let ended = false;
  const running = s.daemon.run(s.stop.signal, 3000).then(() => {
    ended = true;
  });
  await s.clock.run(25_000);
  s.stop.abort();
  await s.clock.run(2900);
  assert.equal(ended, false);
  await s.clock.run(200);
  assert.equal(ended, true);
  await running;
  assert.ok(s.daemon.publisher.waiting > 0);
});

test('one pass of each is asked for once: true when all came through and all is acknowledged', async () => {
  const ok = setting({ pollers: (clock) => [counting(clock, 'one'), counting(clock, 'two')] });
  const sent = ok.daemon.once(new AbortController().signal);
  await ok.clock.run(1000);
  assert.equal(await sent, true);
  assert.deepEqual(ok.batches.flatMap((b) => b.series.map((head) => head.resource)).sort(), [
    'host/x/one/a',
    'host/x/one/b',
    'host/x/one/c',
    'host/x/two/a',
    'host/x/two/b',
    'host/x/two/c',
  ]);
  const bad = setting({
    pollers: (clock) => [
      counting(clock, 'one'),
      { name: 'bad', declaration, poll: () => Promise.reject(new Error('no')) },
    ],
  });
  const half = bad.daemon.once(new AbortController().signal);
  await bad.clock.run(1000);
  assert.equal(await half, false);
  assert.equal(bad.daemon.publisher.waiting, 0);
});

const mapping = (...rules: string[]): string => `objects:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`;
const hintsOf = (s: Setting): ResourceHint[] => s.batches.flatMap((b) => [...(b.resources ?? [])]);

test('whose an object is is told once, again when the mapping changes, and the mapping in force outlives a bad one', async () => {
  const s = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping('{ match: { object: a }, account: acme, trafficType: guest, tag: "vni:7", billable: false }'),
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(30_000);
  assert.deepEqual(hintsOf(s), [
    { id: 'host/x/one/a', trafficType: 'guest', tag: 'vni:7', billable: false, owners: [{ account: 'acme', from: 0 }] },
    { id: 'host/x/one/c', name: 'third' },
  ]);
  assert.deepEqual(s.daemon.status().pollers[0]?.unmatchedObjects, ['b', 'c']);
  s.files.text = mapping('{ match: { object: a }, acount: other }');
  s.files.stamp++;
  await s.clock.run(30_000);
  assert.equal(hintsOf(s).length, 2);
  assert.equal(s.daemon.status().mapping.problems.length, 2);
  s.files.text = mapping('{ match: { object: a }, account: acme, from: 2026-11-01T00:00:00Z }');
  s.files.stamp++;
  await s.clock.run(30_000);
  // The owner told for 1970 no longer holds: that instant is told again.
  assert.deepEqual(hintsOf(s).slice(2), [
    {
      id: 'host/x/one/a',
      owners: [
        { account: null, from: 0 },
        { account: 'acme', from: Date.UTC(2026, 10, 1) },
      ],
    },
  ]);
  await stopped(s, running);
});

test('what was told is told once more after a restart, and what was withdrawn meanwhile is taken back', async () => {
  const memory = new Map<string, string>();
  const first = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping('{ match: { object: a }, account: acme }', '{ match: { object: b }, account: acme }'),
    memory,
  });
  const running = first.daemon.run(first.stop.signal);
  await first.clock.run(30_000);
  await stopped(first, running);
  const second = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping('{ match: { object: a }, account: acme }'),
    memory,
  });
  const again = second.daemon.run(second.stop.signal);
  await second.clock.run(30_000);
  await stopped(second, again);
  assert.deepEqual(
    hintsOf(second).map(({ id, owners }) => [id, owners]),
    [
      ['host/x/one/a', [{ account: 'acme', from: 0 }]],
      ['host/x/one/b', [{ account: null, from: 0 }]],
      ['host/x/one/c', undefined],
    ],
  );
});

test('an assignment that begins later is told as a whole, and the traffic type changes when its time comes', async () => {
  const s = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping(
      '{ match: { object: a }, account: acme, trafficType: guest, to: 2026-11-22T00:01:00Z }',
      '{ match: { object: a }, account: globex, trafficType: public, from: 2026-11-22T00:01:00Z }',
    ),
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(90_000);
  const owners = [
    { account: 'acme', from: 0 },
    { account: 'globex', from: T0 + 60_000 },
  ];
  assert.deepEqual(
    hintsOf(s).filter(({ id }) => id.endsWith('/a')),
    [
      { id: 'host/x/one/a', trafficType: 'guest', owners },
      { id: 'host/x/one/a', trafficType: 'public', owners },
    ],
  );
  await stopped(s, running);
});

test('hints that went down with a refused batch are told again', async () => {
  const s = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping('{ match: { object: a }, account: acme }'),
  });
  let refuse = true;
  s.server.answer = () => (refuse ? { status: 400, retryAfter: 0, body: '{"code":"reading.invalid"}' } : OK);
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(15_000);
  refuse = false;
  await s.clock.run(15_000);
  assert.deepEqual(
    hintsOf(s).map(({ id }) => id),
    ['host/x/one/a', 'host/x/one/c'],
  );
  assert.ok(s.daemon.status().queue.lost > 0);
  await stopped(s, running);
});

test('a pass that was refused is not remembered, the next that is taken is', async () => {
  const s = setting({
    pollers: (clock) => {
      const poller = counting(clock, 'one');
      return [{ ...poller, poll: async () => ({ ...(await poller.poll()), memory: () => String(clock.now() - T0) }) }];
    },
  });
  s.server.answer = ({ sequence }) =>
    sequence < 7 ? OK : { status: 400, retryAfter: 0, body: '{"code":"reading.invalid"}' };
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(55_000);
  assert.equal(s.memory.get('pass-one'), '10020');
  s.server.answer = () => OK;
  await s.clock.run(600_000);
  assert.ok(Number(s.memory.get('pass-one')) > 630_000, s.memory.get('pass-one'));
  await stopped(s, running);
});

test('the status tells how far our clock is from the server’s', async () => {
  const s = setting({ pollers: (clock) => [counting(clock, 'one')] });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(15_000);
  // The answer named a second that was 5 s back; it was made within our request and within that second.
  assert.deepEqual(s.daemon.status().server.clock, { offsetMs: 4490, uncertaintyMs: 510, at: T0 + 10_020 });
  await stopped(s, running);
});

test('while the server is away the pass to be remembered is one that was acknowledged, never a later one', async () => {
  const s = setting({
    pollers: (clock) => {
      const poller = counting(clock, 'one');
      return [{ ...poller, poll: async () => ({ ...(await poller.poll()), memory: () => String(clock.now() - T0) }) }];
    },
  });
  // What is kept is worked out when it is written: here the time of that.
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(15_000);
  assert.equal(s.memory.get('pass-one'), '10020');
  s.server.up = false;
  await s.clock.run(600_000);
  assert.equal(s.memory.get('pass-one'), '10020');
  s.server.up = true;
  await s.clock.run(60_000);
  assert.ok(Number(s.memory.get('pass-one')) > 610_000);
  await stopped(s, running);
});

test('an object that went away and came back is told again', async () => {
  let away = false;
  const s = setting({
    pollers: (clock) => [
      {
        name: 'one',
        declaration,
        poll: async () => ({ at: clock.now(), counted: away ? [] : [row('a', 'e', 1n, 0)], ended: [] }),
      },
    ],
    mapping: mapping('{ match: { object: a }, account: acme }'),
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(15_000);
  away = true;
  await s.clock.run(10_000);
  away = false;
  await s.clock.run(10_000);
  assert.deepEqual(
    hintsOf(s).map(({ id }) => id),
    ['host/x/one/a', 'host/x/one/a'],
  );
  await stopped(s, running);
});

test('everything is told once an hour, for accounts that were made meanwhile', async () => {
  const s = setting({
    pollers: (clock) => [counting(clock, 'one')],
    mapping: mapping('{ match: { object: a }, account: acme }'),
  });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(3_590_000);
  const about = (): number => hintsOf(s).filter(({ id }) => id === 'host/x/one/a').length;
  assert.equal(about(), 1);
  await s.clock.run(20_000);
  assert.equal(about(), 2);
  await stopped(s, running);
});

test('the server is told every minute how much waits', async () => {
  const s = setting({ pollers: (clock) => [counting(clock, 'one')] });
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(70_000);
  s.server.answer = () => ({ status: 503, retryAfter: 0, body: '' });
  await s.clock.run(120_000);
  assert.equal(s.depths.length, 3);
  assert.ok((s.depths[0] ?? 1) <= 3 && (s.depths[2] ?? 0) > 20, s.depths.join());
  await stopped(s, running);
});

/** Frames of 1,000 bytes at one a millisecond, and 50 bytes more of each on the underlay. */
const framing = (clock: Clock): Poller => ({
  name: 'devices',
  declaration: { ...declaration, layer: 'L2', wirePackets: true },
  async poll(): Promise<PollPass> {
    const at = clock.now();
    const n = BigInt(at - T0);
    const counted = [row('tap1', 'e', n * 1000n, 0), row('eth1', 'e', n * 1050n, 0)];
    return { at, counted: counted.flatMap((one) => [one, { ...one, meter: 'n', value: n }]), ended: [] };
  },
});
const side = (object: string) => [
  { poller: 'devices', objects: [object], bytes: ['network.bytes.sent'], packets: ['n'] },
];
const vx42: WatchedTunnel = {
  tunnel: 'vx42',
  rule: { kind: 'vxlan', outer: 4 },
  method: 'measured',
  poller: 'devices',
  payload: side('tap1'),
  underlay: side('eth1'),
};

test('what a tunnel adds is told as the counter of a resource that stands on no bill, over outages and restarts', async () => {
  const memory = new Map<string, string>();
  const start = () =>
    setting({
      pollers: (clock) => [framing(clock)],
      mapping: mapping('{ match: { poller: tunnel, name: vx42 }, account: operator }'),
      memory,
      tunnels: [vx42],
    });
  const s = start();
  const running = s.daemon.run(s.stop.signal);
  await s.clock.run(60_000);
  s.server.up = false;
  await s.clock.run(3_600_000);
  s.server.up = true;
  await s.clock.run(60_000);
  await stopped(s, running);
  const told = s.batches.flatMap(({ series, readings }) =>
    readings.flatMap(([index, at, value]) => {
      const head = series[index];
      return head?.meter === 'network.encapsulation.bytes' ? [{ head, at, value: BigInt(value) }] : [];
    }),
  );
  assert.ok(told.length > 300);
  for (const [i, { value }] of told.entries())
    assert.equal(value, BigInt(Number(told[i - 1]?.at ?? T0 + 10_000) - T0) * 50n, 'what the look before found');
  assert.equal(told.at(-1)?.head.resource, 'host/x/tunnel/vx42');
  assert.deepEqual(
    hintsOf(s)
      .filter(({ id }) => id === 'host/x/tunnel/vx42')
      .at(-1),
    { id: 'host/x/tunnel/vx42', billable: false, owners: [{ account: 'operator', from: 0 }] },
  );
  const [shown] = s.daemon.status().tunnels;
  assert.deepEqual([shown?.residualBytes, shown?.overheadBytes], ['0', String(told.at(-1)?.value)]);
  // Its clock begins at the same instant again, so the counters fall, and the watch the memory holds is over.
  const again = start();
  const sent = again.daemon.once(new AbortController().signal);
  await again.clock.run(1000);
  assert.equal(await sent, true);
  const ends = again.batches.flatMap(({ series, ended = [] }) => ended.map(([i, at]) => [series[i]?.epoch, at]));
  assert.deepEqual(ends, [[told[0]?.head.epoch, told.at(-1)?.at]]);
});
