/** Random crashes at any write: what is delivered is the truth less what was reported lost, and nothing comes twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { segmentNumber } from './log.ts';
import { type Answer, Life } from './testing/life.ts';

const isLong = process.env.CI === 'true';

type Step =
  | { do: 'add'; key: number; quantity: bigint }
  | { do: 'set'; key: number; level: number; times: number }
  | { do: 'tick'; ms: number }
  | { do: 'pass'; ticks: number }
  | { do: 'send'; line: 'fresh' | 'backlog'; max: number; answer: Answer }
  | { do: 'die'; bytes: number; keep: Keep }
  | { do: 'kill'; keep: Keep }
  | { do: 'stop' }
  | { do: 'full'; room: number; ticks: number }
  | { do: 'declare' }
  | { do: 'tell' }
  | { do: 'unsynced' }
  | { do: 'clock'; ms: number }
  | { do: 'jump'; ms: number; key: number };

/** Of what was not synced, the share that survives in files of even and of odd numbers. */
type Keep = readonly [number, number];
const share = fc.oneof(fc.constant(1), fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true }));
const keep = fc.tuple(share, share);
const die = fc.record({ do: fc.constant('die' as const), bytes: fc.nat(600), keep });
const kill = fc.record({ do: fc.constant('kill' as const), keep });
const unsynced = fc.record({ do: fc.constant('unsynced' as const) });
const steps: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('add' as const), key: fc.nat(12), quantity: fc.bigInt(0n, 1n << 60n) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      key: fc.nat(3),
      level: fc.nat(9),
      times: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ticks: fc.integer({ min: 2, max: 8 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      line: fc.constantFrom('fresh' as const, 'backlog' as const),
      max: fc.integer({ min: 1, max: 20 }),
      answer: fc.constantFrom('taken' as const, 'taken' as const, 'unanswered' as const, 'away' as const),
    }),
  },
  { weight: 2, arbitrary: die },
  { weight: 1, arbitrary: kill },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('full' as const), room: fc.nat(200), ticks: fc.nat(6) }) },
  { weight: 1, arbitrary: unsynced },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('declare' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tell' as const) }) },
];
/** More than a bucket: what is less is taken for the bucket that was begun. */
const ms = fc.oneof(fc.integer({ min: -20_000, max: -3000 }), fc.integer({ min: 1, max: 20_000 }));
const clockStep = fc.record({ do: fc.constant('clock' as const), ms });
const jump = fc.record({ do: fc.constant('jump' as const), ms, key: fc.nat(12) });

const measureOf = (key: number) => ({ meter: `m${key % 3}`, subject: key === 0 ? '' : `tenant-${key}` });

class Run {
  // Joins soon, in three lengths, and often: a few ticks without a sending are enough.
  readonly life = new Life({
    segmentBytes: 700,
    portionRecords: 3,
    // Half of the portions are read back from the disk.
    cacheBytes: 200,
    maxBytes: 1_000_000,
    joinPart: 1000,
    behindMs: 1,
    joinMs: [5000, 10_000, 15_000],
  });
  #keep: Keep = [1, 1];

  async again(): Promise<void> {
    const { life } = this;
    life.disk.revive((unsynced, name) => Math.floor(unsynced * (this.#keep[segmentNumber(name) % 2] ?? 1)));
    life.disk.failingSyncs = 0;
    life.clock.at += 5;
    await life.open();
  }

  async step(step: Step): Promise<void> {
    const { life } = this;
    if (step.do === 'add') life.add(measureOf(step.key), step.quantity);
    else if (step.do === 'set') {
      // One after the other is one in the same flush; of other keys they fill portions.
      for (let i = 0; i < step.times; i++) life.set(measureOf(step.key + i), step.level + i);
    } else if (step.do === 'tick') await life.tick(step.ms);
    else if (step.do === 'pass') for (let i = 0; i < step.ticks && !life.disk.dead; i++) await life.tick(400);
    else if (step.do === 'send') await life.send(step.line, step.max, step.answer);
    else if (step.do === 'die') {
      life.disk.diesAfter = step.bytes;
      this.#keep = step.keep;
    } else if (step.do === 'kill') {
      this.#keep = step.keep;
      life.disk.dead = true;
    } else if (step.do === 'stop') {
      await life.spool.close().catch(() => undefined);
      if (!life.disk.dead) await this.again();
    } else if (step.do === 'full') {
      life.disk.room = life.disk.used + step.room;
      for (let i = 0; i < step.ticks && !life.disk.dead; i++) {
        life.add(measureOf(i), i);
        await life.tick(100);
      }
      life.disk.room = Number.POSITIVE_INFINITY;
    } else if (step.do === 'declare') life.declare();
    else if (step.do === 'tell') life.tell();
    else if (step.do === 'unsynced') life.disk.failingSyncs = 1;
    else if (step.do === 'jump') {
      life.clock.set(step.ms);
      life.add(measureOf(step.key), 1);
    } else {
      // What is only in memory when the clock is set may be of another time than what is said to be lost.
      life.disk.diesAfter = Number.POSITIVE_INFINITY;
      life.disk.failingSyncs = 0;
      await life.tick(1);
      life.clock.set(step.ms);
      await life.tick(1);
    }
    if (life.disk.dead) await this.again();
  }
}

const play = async (steps: readonly Step[]): Promise<Life> => {
  const run = new Run();
  const { life } = run;
  await life.open();
  for (const step of steps) await run.step(step);
  life.disk.failingSyncs = 0;
  life.disk.diesAfter = Number.POSITIVE_INFINITY;
  await life.tick(5000);
  await life.drain();
  // The last sending was a little while ago, so nothing is held back any more.
  await life.tick(5000);
  await life.drain();
  return life;
};

const checkExact = (life: Life): void => {
  assert.deepEqual(sorted(life.totals()), sorted(life.expected(life.lost)));
  life.checkLevels(life.lost);
  for (const { from, to } of life.lost) assert.ok(to - from <= 1100 + life.longest, `${to - from} ms are lost`);
};

test('whatever write the machine dies in, totals are the truth less the reported intervals, nothing twice', async () => {
  const many = fc.array(fc.oneof(...steps), { minLength: 1, maxLength: 120, size: '+1' });
  await fc.assert(
    fc.asyncProperty(many, async (steps) => checkExact(await play(steps))),
    { numRuns: isLong ? 4000 : 200 },
  );
});

test('with a clock that is set back and forth as well, nothing is missing that is not in an interval', async () => {
  const withClock = fc.oneof(...steps, { weight: 3, arbitrary: clockStep });
  await fc.assert(
    fc.asyncProperty(fc.array(withClock, { minLength: 1, maxLength: 80, size: '+1' }), async (steps) => {
      const life = await play(steps);
      const [totals, all] = [life.totals(), life.expected([])];
      for (const [key, least] of life.expected(life.lost)) {
        const total = totals.get(key) ?? 0n;
        assert.ok(least <= total && total <= (all.get(key) ?? 0n), `${key}: ${least} <= ${total} <= ${all.get(key)}`);
      }
    }),
    { numRuns: isLong ? 4000 : 100 },
  );
});

test('whenever a clock is set, between any two steps, no declaration covers what comes later, and all comes once', async () => {
  const harmless = steps.filter(({ arbitrary }) => arbitrary !== die && arbitrary !== kill && arbitrary !== unsynced);
  const withJumps = fc.oneof(...harmless, { weight: 6, arbitrary: jump });
  await fc.assert(
    fc.asyncProperty(fc.array(withJumps, { minLength: 1, maxLength: 80, size: '+1' }), async (steps) => {
      const life = await play(steps);
      assert.deepEqual(life.lost, []);
      assert.deepEqual(sorted(life.totals()), sorted(life.expected([])));
    }),
    { numRuns: isLong ? 2000 : 100 },
  );
});

// What long runs have found, as it shrank.

test('a portion an earlier life made by a clock ahead does not pass over a bucket that has just ended', async () => {
  const life = await play([
    { do: 'stop' },
    { do: 'clock', ms: -5433 },
    { do: 'die', bytes: 46, keep: [1, 0] },
    { do: 'pass', ticks: 3 },
    { do: 'full', room: 0, ticks: 4 },
    { do: 'tick', ms: 1 },
    { do: 'clock', ms: -14_839 },
    { do: 'clock', ms: -8369 },
    { do: 'kill', keep: [0, 0] },
    { do: 'add', key: 0, quantity: 1n },
    { do: 'add', key: 0, quantity: 0n },
    { do: 'send', line: 'backlog', max: 1, answer: 'unanswered' },
    { do: 'pass', ticks: 2 },
  ]);
  checkExact(life);
});

test('a crash right after a segment that took over what no disk had taken for long is told up to the crash', async () => {
  const life = await play([
    { do: 'full', room: 0, ticks: 3 },
    { do: 'unsynced' },
    { do: 'tick', ms: 270 },
    { do: 'unsynced' },
    { do: 'add', key: 0, quantity: 0n },
    { do: 'tick', ms: 264 },
    { do: 'add', key: 0, quantity: 0n },
    { do: 'unsynced' },
    { do: 'tick', ms: 356 },
    { do: 'add', key: 0, quantity: 1n },
    { do: 'die', bytes: 107, keep: [1, 0] },
    { do: 'tick', ms: 1 },
    { do: 'kill', keep: [0, 0] },
  ]);
  checkExact(life);
});

test('a heartbeat that speaks of a segment the life before could not begin says nothing of one begun since', async () => {
  const life = await play([
    { do: 'unsynced' },
    { do: 'set', key: 0, level: 0, times: 2 },
    { do: 'tick', ms: 1 },
    { do: 'unsynced' },
    { do: 'tick', ms: 1 },
    { do: 'kill', keep: [0, 0] },
    { do: 'tick', ms: 42 },
    { do: 'add', key: 0, quantity: 0n },
    { do: 'tick', ms: 400 },
    { do: 'tick', ms: 327 },
    { do: 'tick', ms: 321 },
    { do: 'add', key: 0, quantity: 1n },
    { do: 'die', bytes: 0, keep: [1, 1] },
    { do: 'pass', ticks: 2 },
  ]);
  checkExact(life);
});

const sorted = (totals: Map<string, bigint>): [string, bigint][] =>
  [...totals].filter(([, total]) => total > 0n).sort(([a], [b]) => (a < b ? -1 : 1));
