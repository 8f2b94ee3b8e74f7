/** Parts of the tests that poll real counters: a poller inside a namespace, known traffic, differences of passes. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Declaration, type Passes, type PollPass, realClock, realCommands, realDisk } from '@tollgate/agent';
import { Wire } from './namespace.ts';
import { Overlay } from './overlay.ts';
import { TwoGuests } from './two-guests.ts';

export const traffic = fileURLToPath(new URL('./traffic.js', import.meta.url));
const polling = fileURLToPath(new URL('./polling.js', import.meta.url));
export const world = { clock: realClock, disk: realDisk, commands: realCommands };
export const TIMEOUT = 60_000;
export const RX = 'network.bytes.received';
export const TX = 'network.bytes.sent';
export const TX_PACKETS = 'network.packets.sent';
export const RX_PACKETS = 'network.packets.received';

export interface Polled {
  pass: PollPass;
  declaration: Declaration;
  cpuMs: number;
}

/** A poller inside a namespace. Ended with the test, also when it fails. */
export class Inside {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(t: TestContext, wire: Wire, namespace: string, kind: string, setting: string) {
    const child = wire.spawn(namespace, [process.execPath, polling, kind, setting]);
    this.#child = child;
    t.after(() => child.kill('SIGKILL'));
    assert.ok(child.stdout);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async poll(): Promise<Polled> {
    this.#child.stdin?.write('\n');
    const line = await Promise.race([this.#lines.next(), wait(15_000, null, { ref: false })]);
    const answer = JSON.parse(line?.value ?? '{"error":"no answer"}', (key, value) =>
      key === 'value' ? BigInt(value) : value,
    ) as Polled & { error?: string };
    assert.equal(answer.error, undefined);
    return answer;
  }
}

/** Takes the namespaces of a tag away when the test ends, also those of a wire that was only half made. */
const sweep = (t: TestContext, tag: string): void =>
  t.after(() => {
    for (const name of [`tgl-${tag}`, `tgr-${tag}`, `tgg-${tag}`, `tgh-${tag}`])
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore', timeout: 20_000 });
      } catch {
        // Not made.
      }
  });

export const openWire = (t: TestContext, letter: string): Wire => {
  const tag = `${process.pid}${letter}`;
  sweep(t, tag);
  return new Wire(tag);
};

/** The overlay with a second guest in a network of its own. */
export const openTwoGuests = (t: TestContext, letter: string): TwoGuests => {
  const tag = `${process.pid}${letter}`;
  sweep(t, tag);
  return new TwoGuests(tag);
};

export const openOverlay = (t: TestContext, letter: string, version: 4 | 6): Overlay => {
  const tag = `${process.pid}${letter}`;
  sweep(t, tag);
  return new Overlay(tag, version);
};

/** From one namespace to an address another one listens on. */
export const send = async (
  wire: Wire,
  from: string,
  to: string,
  at: { address: string; port: number },
  count: number,
  payload: number,
) => {
  const taker = wire.spawn(to, [process.execPath, traffic, 'udp-take', at.address, String(at.port)]);
  try {
    assert.ok(taker.stdout);
    await Promise.race([once(taker.stdout, 'data'), wait(10_000, null, { ref: false })]);
    const words = ['udp-send', at.address, at.port, count, payload].map(String);
    const sender = wire.spawn(from, [process.execPath, traffic, ...words]);
    let said = '';
    sender.stdout?.on('data', (part: Buffer) => {
      said += part.toString();
    });
    await once(sender, 'close');
    assert.equal(said.trim(), `done ${count * payload}`);
  } finally {
    taker.kill('SIGKILL');
  }
};

export const valueIn = (pass: PollPass, object: string, meter: string): bigint => {
  const found = pass.counted.find((c) => c.object === object && c.meter === meter);
  assert.ok(found, `${object} ${meter}`);
  return found.value;
};
/** What a counter moved between two passes. */
export const moved = (before: PollPass, after: PollPass, object: string, meter: string): bigint =>
  valueIn(after, object, meter) - valueIn(before, object, meter);
export const passesOf = (...polled: { name: string; pass: PollPass; declaration: Declaration }[]): Passes =>
  new Map(polled.map(({ name, pass, declaration }) => [name, { pass, declaration }]));

export const loadRules = (wire: Wire, namespace: string, rules: string): void => {
  wire.in(namespace, 'sh', '-c', `nft -f - <<'END'\n${rules}\nEND`);
};
