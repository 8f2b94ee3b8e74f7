/** What is done again and again in the background. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Loop } from './loop.ts';

/** Sleeps until told, and hears an abort. */
class Nap {
  slept: number[] = [];
  wake: () => void = () => undefined;
  now = (): number => 0;
  elapsed = (): number => 0;
  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.slept.push(ms);
      this.wake = resolve;
      signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work is repeated at its pace, a failure is told and ends nothing, and a stop ends a sleep', async () => {
  const clock = new Nap();
  const failures: string[] = [];
  let done = 0;
  const work = async (): Promise<void> => {
    if (++done === 2) throw new Error('away');
  };
  const loop = new Loop({ clock, paceMs: 250, work, failed: (error) => void failures.push(String(error)) });
  loop.start();
  loop.start();
  await turn();
  assert.deepEqual([done, clock.slept], [1, [250]]);
  clock.wake();
  await turn();
  assert.deepEqual([done, failures], [2, ['Error: away']]);
  clock.wake();
  await turn();
  assert.equal(done, 3);
  await loop.stop();
  assert.deepEqual([done, loop.signal.aborted], [3, true]);
});

test('a stop waits for the work that is under way, and what was never begun stays so', async () => {
  let end = (): void => undefined;
  let isDone = false;
  const work = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    isDone = true;
  };
  const settings = { clock: new Nap(), paceMs: 1, work, failed: () => undefined };
  const loop = new Loop(settings);
  loop.start();
  let isStopped = false;
  const stopping = loop.stop().then(() => {
    isStopped = true;
  });
  await turn();
  assert.equal(isStopped, false);
  end();
  await stopping;
  assert.equal(isDone, true);
  const idle = new Loop(settings);
  await idle.stop();
  idle.start();
  await idle.stop();
});
