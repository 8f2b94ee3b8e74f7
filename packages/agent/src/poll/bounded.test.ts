import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../environment.ts';
import { realClock } from '../real.ts';
import { bounded } from './bounded.ts';
import { realCommands } from './commands.ts';
import { Place } from './place.ts';
import type { Declaration, Poller, PollPass } from './poller.ts';
import { TestHost } from './testing/world.ts';

const declaration: Declaration = {
  kind: 'test',
  identity: [],
  epoch: [],
  width: 64,
  layer: 'L2',
  viewpoint: 'device',
  wirePackets: false,
};
const nothing: PollPass = { at: 1, counted: [], ended: [] };

/** A clock whose sleeps end when the test says so, or when they are aborted. */
const standing = (): { clock: Clock; ring: () => void } => {
  let ring = (): void => undefined;
  const sleep = (_: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      ring = resolve;
      signal?.addEventListener('abort', () => resolve());
    });
  return { clock: { now: () => 0, elapsed: () => 0, sleep }, ring: () => ring() };
};

test('a pass in time is handed on', async () => {
  const poller: Poller = { name: 'p', declaration, poll: async () => nothing };
  const guarded = bounded(poller, standing().clock, 1000);
  assert.equal(await guarded.poll(), nothing);
  assert.equal(await guarded.poll(), nothing);
});

test('a pass that hangs fails at its deadline, and the next ones fail at once until it is through', async () => {
  const { clock, ring } = standing();
  let release = (): void => undefined;
  let told: AbortSignal | undefined;
  const poller: Poller = {
    name: 'p',
    declaration,
    poll: (signal) =>
      new Promise((resolve) => {
        told = signal;
        release = () => resolve(nothing);
      }),
  };
  const guarded = bounded(poller, clock, 1000);
  const late = assert.rejects(guarded.poll(), /no answer within 1000 ms/);
  ring();
  await late;
  assert.equal(told?.aborted, true);
  await assert.rejects(guarded.poll(), /still hangs/);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  const next = guarded.poll();
  release();
  assert.equal(await next, nothing);
});

test('programs are bounded in time and in what they print, and tell why they failed', async () => {
  const bounds = { timeoutMs: 5000, maxBytes: 100 };
  assert.equal(await realCommands.run('printf', ['%s', '$HOME; `x`'], bounds), '$HOME; `x`', 'no shell');
  await assert.rejects(realCommands.run('sleep', ['20'], { timeoutMs: 50, maxBytes: 10 }), /did not end within 50 ms/);
  await assert.rejects(realCommands.run('printf', ['%0200d', '1'], bounds), /more than 100 bytes/);
  await assert.rejects(realCommands.run('no-such-program', [], bounds), /ENOENT/);
  await assert.rejects(realCommands.run('ls', ['/no/such/path'], bounds), /^Error: ls: .*No such file/);
  await assert.rejects(realCommands.run('sleep', ['20'], { ...bounds, signal: AbortSignal.abort() }), /abort/);
  assert.equal(await realCommands.run('cat', [], bounds), '', 'nobody waits for input');
});

test('a machine that does not tell its uptime has no boot time', () => {
  const host = new TestHost();
  assert.equal(new Place(host.disk, host.commands).bootedAt(2_000_000), 999_000);
  const blind = { ...host.disk, read: () => 'x' };
  assert.equal(new Place(blind, host.commands).bootedAt(realClock.now()), 0);
});
