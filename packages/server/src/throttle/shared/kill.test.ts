/**
 * Several processes decide on one strict limit, on one store, and are killed at random. What they admitted together never
 * exceeds the limit, and without kills it is nearly all of it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import type { Work } from './testing/deciding-process.ts';
import { startPostgres } from './testing/postgres.ts';
import { needsRedis, startRedis } from './testing/redis.ts';

const isLong = process.env.CI === 'true';
const program = join(import.meta.dirname, 'testing', 'deciding-process.js');
const PROCESSES = 3;

class Fleet {
  private readonly dir: string;
  private readonly work: Omit<Work, 'file'>;
  private readonly children = new Map<number, ChildProcess>();
  private started = 0;

  constructor(work: Omit<Work, 'file'>, t: TestContext) {
    this.dir = mkdtempSync(join(tmpdir(), 'tg-fleet-'));
    this.work = work;
    t.after(() => {
      for (const child of this.children.values()) child.kill('SIGKILL');
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  start(slot: number): void {
    const file = join(this.dir, String(this.started++));
    const args = [program, JSON.stringify({ ...this.work, file } satisfies Work)];
    this.children.set(slot, spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
  }

  async end(slot: number, signal: NodeJS.Signals): Promise<void> {
    const child = this.children.get(slot) as ChildProcess;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await gone;
  }

  admitted(): number {
    return readdirSync(this.dir).reduce((sum, name) => sum + statSync(join(this.dir, name)).size, 0);
  }

  /** Until nothing was admitted for longer than it takes to ask again for a limit that others seem to have used up. */
  async spent(): Promise<void> {
    for (let [last, since] = [-1, performance.now()]; performance.now() - since < 1200; await wait(100)) {
      if (this.admitted() !== last) [last, since] = [this.admitted(), performance.now()];
    }
  }
}

async function run(t: TestContext, work: Omit<Work, 'file'>, kills: number, seed: number): Promise<number> {
  const fleet = new Fleet(work, t);
  for (let slot = 0; slot < PROCESSES; slot++) fleet.start(slot);
  const [waits = [], slots = []] = fc.sample(
    fc.array(fc.nat(200), { minLength: Math.max(kills, 1), maxLength: Math.max(kills, 1) }),
    { numRuns: 2, seed },
  );
  while (fleet.admitted() === 0) await wait(20);
  for (let n = 0; n < kills; n++) {
    await wait(100 + (waits[n] as number));
    const slot = (slots[n] as number) % PROCESSES;
    await fleet.end(slot, 'SIGKILL');
    fleet.start(slot);
    const { amount } = work;
    assert.ok(fleet.admitted() <= amount, `${fleet.admitted()} of ${amount}, seed ${seed}`);
  }
  await fleet.spent();
  if (isLong) {
    // What two of them return, the third one admits.
    for (let slot = 1; slot < PROCESSES; slot++) await fleet.end(slot, 'SIGTERM');
    await fleet.spent();
  }
  for (let slot = 0; slot < PROCESSES; slot++) await fleet.end(slot, 'SIGTERM');
  const admitted = fleet.admitted();
  assert.ok(admitted <= work.amount, `${admitted} of ${work.amount}, seed ${seed}`);
  t.diagnostic(`${admitted} of ${work.amount} after ${kills} kills, seed ${seed}`);
  return admitted;
}

/** A killed process takes at most two chunks along: the one in use, and the one on its way. */
async function check(t: TestContext, work: Omit<Work, 'file'>, kills: number): Promise<void> {
  const seed = isLong ? process.hrtime.bigint() % 1_000_000n : 7n;
  const admitted = await run(t, work, kills, Number(seed));
  const least = !isLong
    ? 0.8 * work.amount
    : kills === 0
      ? 0.99 * work.amount
      : work.amount - kills * 2 * (work.amount / 100 + 3);
  assert.ok(admitted >= least, `${admitted} of ${work.amount}, at least ${least}, seed ${seed}`);
}

test('three processes on one Redis admit nearly all of a strict limit, and under kills never more than it', {
  skip: needsRedis(),
}, async (t) => {
  const onOne = async (amount: number, kills: number): Promise<void> => {
    const redis = await startRedis();
    try {
      await check(t, { redis: redis.url, postgres: null, amount }, kills);
    } finally {
      await redis.stop();
    }
  };
  if (isLong) await onOne(3000, 0);
  await onOne(isLong ? 30_000 : 2000, isLong ? 10 : 1);
});

test('three processes on one PostgreSQL do the same', {
  skip: isLong ? false : 'long form: runs with CI=true',
}, async (t) => {
  const postgres = await startPostgres();
  try {
    const work = { redis: null, postgres: postgres.connection };
    await check(t, { ...work, amount: 30_000 }, 10);
  } finally {
    await postgres.stop();
  }
});
