import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../domain/environment.ts';
import type { FactWriter, UsageStore } from '../store/usage-store.ts';
import { Committer } from './commit.ts';
import type { IdentityIndex } from './identity/identity-index.ts';
import { ingestLimits } from './ingest.ts';
import { silent } from './testing/world.ts';

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A committer on a disk that writes when it is told to, and a clock whose sleeps end when they are told to. */
class Desk {
  private at = 0;
  private numbers = 1;
  private writes: (() => void)[] = [];
  private ring: (() => void) | null = null;
  /** How long each sleep was to be, ms. */
  readonly sleeps: number[] = [];
  /** Facts of each group, as they are handed to the disk. */
  readonly written: number[] = [];
  readonly committer: Committer;

  constructor() {
    const clock: Clock = {
      now: () => this.at,
      elapsed: () => this.at,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          this.sleeps.push(ms);
          this.ring = resolve;
          signal?.addEventListener('abort', () => resolve());
        }),
    };
    const index = { beginGroup() {}, settled() {}, room: 1_000_000, current: null };
    const take = (count: number) => {
      const first = this.numbers;
      this.numbers += count;
      return { first, done: () => undefined };
    };
    this.committer = new Committer({
      usage: { writer: () => this.writer() } as unknown as UsageStore,
      index: index as unknown as IdentityIndex,
      receipts: { takeNow: take, take: async (count) => take(count) },
      clock,
      log: silent,
      limits: ingestLimits,
      restore: () => undefined,
    });
    this.committer.listen(({ events }) => this.written.push(events));
  }

  private writer(): FactWriter {
    const commit = () => new Promise<void>((resolve) => this.writes.push(resolve));
    return { size: 1, event() {}, reading() {}, declaration() {}, commit };
  }

  /** A request of so many facts, and what its arrival sets off. */
  async arrives(facts: number): Promise<void> {
    const taken = this.committer.numbers(facts);
    assert.ok(!(taken instanceof Promise));
    assert.ok(this.committer.enter(taken, facts, facts, 0) !== null);
    await turns();
  }

  get writing(): boolean {
    return this.writes.length > 0;
  }

  /** The group being written is on disk, this long after it was begun. */
  async lands(ms: number): Promise<void> {
    this.at += ms;
    const write = this.writes.shift();
    assert.ok(write !== undefined, 'nothing is being written');
    write();
    await turns();
  }

  async wakes(): Promise<void> {
    assert.ok(this.ring !== null, 'nobody sleeps');
    this.ring();
    await turns();
  }
}

test('the first group is written at once', async () => {
  const desk = new Desk();
  await desk.arrives(1);
  assert.deepEqual([desk.writing, desk.sleeps], [true, []]);
});

test('a group gathers until it has half of what the last one had', async () => {
  const desk = new Desk();
  await desk.arrives(100);
  await desk.arrives(20);
  await desk.lands(20);
  assert.deepEqual([desk.writing, desk.sleeps], [false, [20]]);
  await desk.arrives(29);
  assert.equal(desk.writing, false);
  await desk.arrives(1);
  assert.equal(desk.writing, true);
  await desk.lands(1);
  assert.deepEqual(desk.written, [100, 50]);
});

test('a group that gets no company is written when the last one’s time is over', async () => {
  const desk = new Desk();
  await desk.arrives(100);
  await desk.arrives(1);
  await desk.lands(20);
  await desk.wakes();
  await desk.lands(20);
  assert.deepEqual(desk.written, [100, 1]);
});

const gathers = (name: string, last: { facts: number; ms: number }, next: number, sleeps: number[]): void => {
  test(`${name}: ${sleeps.length === 0 ? 'no waiting' : `${sleeps} ms at most`}`, async () => {
    const desk = new Desk();
    await desk.arrives(last.facts);
    await desk.arrives(next);
    await desk.lands(last.ms);
    assert.deepEqual([desk.sleeps, desk.writing], [sleeps, sleeps.length === 0]);
  });
};
gathers('after a group that took long', { facts: 100, ms: 900 }, 1, [50]);
gathers('after a group that took next to nothing', { facts: 100, ms: 0.5 }, 1, []);
gathers('a group that has half of the last one already', { facts: 100, ms: 20 }, 50, []);
gathers('a group that lacks one of half', { facts: 100, ms: 20 }, 49, [20]);

test('a group behind which another waits is full, and does not gather', async () => {
  const desk = new Desk();
  await desk.arrives(2.5 * ingestLimits.groupEvents);
  await desk.arrives(ingestLimits.groupEvents);
  await desk.arrives(1);
  await desk.lands(20);
  assert.deepEqual([desk.writing, desk.sleeps], [true, []]);
});

test('closing ends the wait: what is gathered is written, and the close resolves behind it', async () => {
  const desk = new Desk();
  await desk.arrives(100);
  await desk.arrives(1);
  await desk.lands(20);
  let closed = false;
  const closing = desk.committer.close().then(() => {
    closed = true;
  });
  await turns();
  assert.deepEqual([desk.writing, closed], [true, false]);
  await desk.lands(1);
  await closing;
  assert.deepEqual(desk.written, [100, 1]);
});
