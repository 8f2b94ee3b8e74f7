/**
 * Real traffic. A known number of bytes goes through a veth pair; the agent in the namespace publishes to the real
 * server; the records must equal what the kernel counted over the same span, and what the sender says it sent.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { type Server, withServer } from '../server.ts';
import { usageRows, wholeSum } from '../usage.ts';
import { bytesOfDatagrams, type Counters, RIGHT_ADDRESS, Wire } from './namespace.ts';
import { Outlet } from './outlet.ts';

const SOURCE = 'host/left';
const agentMain = join(import.meta.dirname, '..', '..', '..', 'packages', 'agent', 'dist', 'main.js');
const traffic = fileURLToPath(new URL('./traffic.js', import.meta.url));

const METERS = {
  receivedBytes: 'network.bytes.received',
  sentBytes: 'network.bytes.sent',
  receivedPackets: 'network.packets.received',
  sentPackets: 'network.packets.sent',
} as const;
type Figures = Record<keyof typeof METERS, bigint>;

interface Stage {
  readonly wire: Wire;
  readonly server: Server;
  readonly from: number;
  startAgent(): Promise<void>;
  stopAgent(signal: NodeJS.Signals): Promise<void>;
  /** What the records say of the interface since the start of the test, the open window included. */
  recorded(): Promise<Figures>;
  /** Waits until the records show these figures, and keep showing them. */
  expect(figures: Figures, why: string): Promise<void>;
}

const difference = (after: Counters, before: Counters): Figures => ({
  receivedBytes: after.receivedBytes - before.receivedBytes,
  receivedPackets: after.receivedPackets - before.receivedPackets,
  sentBytes: after.sentBytes - before.sentBytes,
  sentPackets: after.sentPackets - before.sentPackets,
});
const add = (a: Figures, b: Figures): Figures => ({
  receivedBytes: a.receivedBytes + b.receivedBytes,
  receivedPackets: a.receivedPackets + b.receivedPackets,
  sentBytes: a.sentBytes + b.sentBytes,
  sentPackets: a.sentPackets + b.sentPackets,
});
const NOTHING: Figures = { receivedBytes: 0n, receivedPackets: 0n, sentBytes: 0n, sentPackets: 0n };
const same = (a: Figures, b: Figures): boolean =>
  Object.keys(METERS).every((k) => a[k as keyof Figures] === b[k as keyof Figures]);

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (part: Buffer) => {
      text += part.toString();
      if (text.includes('\n')) resolve(text.split('\n')[0] ?? '');
    });
    child.on('exit', (code) => reject(new Error(`ended with ${code} before it was ready: ${text}`)));
  });

const onStage = (tag: string, play: (stage: Stage) => Promise<void>): Promise<void> =>
  withServer(
    async (server) => {
      const dir = mkdtempSync(join(tmpdir(), 'tollgate-netns-'));
      const wire = new Wire(`${process.pid}${tag}`);
      const outlet = new Outlet(wire, dir, server.url);
      const from = Date.now() - 60_000;
      let agent: ChildProcess | undefined;
      let complaints = '';
      const stage: Stage = {
        wire,
        server,
        from,
        async startAgent() {
          agent = wire.spawn(
            wire.left,
            [
              process.execPath,
              agentMain,
              '--url',
              outlet.url,
              '--source',
              SOURCE,
              '--interval',
              '1',
              '--state',
              join(dir, 'state'),
            ],
            { TOLLGATE_KEY: server.key },
          );
          agent.stderr?.on('data', (part: Buffer) => {
            complaints += part.toString();
          });
        },
        async stopAgent(signal) {
          const child = agent;
          if (!child) return;
          const gone = new Promise((resolve) => child.on('exit', resolve));
          child.kill(signal);
          await gone;
        },
        async recorded() {
          const figures = { ...NOTHING };
          for (const [name, meter] of Object.entries(METERS)) {
            const rows = await usageRows(server, {
              meter,
              from,
              to: Date.now() + 60_000,
              more: { resource: `${SOURCE}/${wire.nic}` },
            });
            figures[name as keyof Figures] = wholeSum(rows);
          }
          return figures;
        },
        async expect(figures, why) {
          try {
            await eventually(stage.recorded, (now) => same(now, figures), 15_000);
          } catch (error) {
            if (error instanceof Error)
              error.message = `${why}: wanted ${JSON.stringify(figures, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}: ${error.message}\n${complaints}`;
            throw error;
          }
          await wait(1500);
          assert.deepEqual(await stage.recorded(), figures, `${why}, and a pass later`);
        },
      };
      try {
        await play(stage);
      } finally {
        await stage.stopAgent('SIGKILL');
        outlet.close();
        wire.close();
        rmSync(dir, { recursive: true, force: true });
      }
    },
    { env: { TOLLGATE_JOB_SECONDS: '1' } },
  );

/** The agent has passed over the present interface: its baseline is on record before traffic flows. */
const settled = async (stage: Stage): Promise<void> => {
  await wait(2500);
  void stage;
};

const sendDatagrams = async (wire: Wire, count: number, payload: number): Promise<void> => {
  const taker = wire.spawn(wire.right, [process.execPath, traffic, 'udp-take', RIGHT_ADDRESS, '9000']);
  try {
    await firstLine(taker);
    assert.equal(
      wire
        .in(wire.left, process.execPath, traffic, 'udp-send', RIGHT_ADDRESS, '9000', String(count), String(payload))
        .trim(),
      `done ${count * payload}`,
    );
  } finally {
    taker.kill('SIGKILL');
  }
};

const sendStream = async (wire: Wire, bytes: number): Promise<void> => {
  const taker = wire.spawn(wire.right, [process.execPath, traffic, 'tcp-take', RIGHT_ADDRESS, '9001']);
  try {
    await firstLine(taker);
    assert.equal(
      wire.in(wire.left, process.execPath, traffic, 'tcp-send', RIGHT_ADDRESS, '9001', String(bytes)).trim(),
      `done ${bytes}`,
    );
  } finally {
    taker.kill('SIGKILL');
  }
};

// Half a minute of real time for the windows to close.
const skip = isLong ? needs('linux', 'netns') : LONG_FORM;

test(
  'records equal the kernel’s counters and the sender’s count, across agent restarts, a re-created interface and a reset',
  { skip },
  () =>
    onStage('a', async (stage) => {
      const { wire } = stage;
      const scale = isLong ? 10 : 1;
      await stage.startAgent();
      await settled(stage);
      let before = wire.counters();

      await sendDatagrams(wire, 500 * scale, 900);
      let flowed = difference(wire.counters(), before);
      assert.equal(
        flowed.sentBytes,
        bytesOfDatagrams(500 * scale, 900),
        'the kernel counts what the sender handed over',
      );
      assert.equal(flowed.sentPackets, BigInt(500 * scale));
      await stage.expect(flowed, 'datagrams');

      await sendStream(wire, 3_000_000 * scale);
      flowed = difference(wire.counters(), before);
      assert.ok(flowed.sentBytes > BigInt(3_000_000 * scale), 'headers included');
      assert.ok(flowed.receivedPackets > 0n, 'acknowledgements came back');
      await stage.expect(flowed, 'a TCP stream, both directions');

      // The agent is killed, traffic goes on, the agent comes back: nothing is lost and nothing counts twice.
      await stage.stopAgent('SIGKILL');
      await sendDatagrams(wire, 300, 1200);
      await stage.startAgent();
      flowed = difference(wire.counters(), before);
      await stage.expect(flowed, 'traffic while the agent was away');

      // The interface is removed and made again under its name: another index, a counter from zero.
      const oldIndex = wire.counters().ifindex;
      wire.unplug();
      wire.plug();
      const anew = wire.counters();
      assert.notEqual(anew.ifindex, oldIndex);
      await sendDatagrams(wire, 200, 700);
      let total = add(flowed, difference(wire.counters(), { ...anew, ...NOTHING }));
      await stage.expect(total, 'a re-created interface');

      // Re-created while the agent was away: its memory says that what it finds began after its last pass.
      await stage.stopAgent('SIGTERM');
      wire.unplug();
      wire.plug();
      await sendDatagrams(wire, 150, 400);
      await stage.startAgent();
      total = add(total, difference(wire.counters(), { ...wire.counters(), ...NOTHING }));
      await stage.expect(total, 're-created while the agent was away');

      // A reset without evidence: same name, same index, counter from zero. Only the fall of the value shows it.
      before = wire.counters();
      wire.unplug();
      wire.plug(before.ifindex);
      await sendDatagrams(wire, 20, 100);
      const reset = difference(wire.counters(), { ...before, ...NOTHING });
      await stage.expect(add(total, reset), 'a counter reset');
    }),
);
