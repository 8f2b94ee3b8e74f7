/** Random crashes at any byte that is written: what was kept is delivered, and nothing comes under two numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Lives, type Mood, START } from './testing/lives.ts';
import type { Taken } from './testing/server.ts';
import { QUARTER } from './thin.ts';

const isLong = process.env.CI === 'true';

type Step =
  | { do: 'offer'; series: number; stepMs: number; times: number }
  | { do: 'flush' }
  | { do: 'send'; tries: number; moods: readonly Mood[] }
  | { do: 'die'; bytes: number }
  | { do: 'kill'; keep: number }
  | { do: 'stop' }
  | { do: 'full'; room: number }
  | { do: 'room' }
  | { do: 'unsynced' };

const moods = fc.array(fc.constantFrom<Mood>('answer', 'answer', 'away', 'take and say nothing'), { minLength: 1 });
const steps = (...more: fc.WeightedArbitrary<Step>[]): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 10,
        arbitrary: fc.record({
          do: fc.constant('offer' as const),
          series: fc.nat(4),
          stepMs: fc.constantFrom(1000, 60_000, QUARTER),
          times: fc.integer({ min: 1, max: 12 }),
        }),
      },
      { weight: 6, arbitrary: fc.constant({ do: 'flush' as const }) },
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant('send' as const), tries: fc.integer({ min: 1, max: 5 }), moods }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('die' as const), bytes: fc.nat(900) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), keep: fc.constantFrom(0, 0.5, 1) }) },
      { weight: 1, arbitrary: fc.constant({ do: 'stop' as const }) },
      ...more,
    ),
    { minLength: 5, maxLength: 60 },
  );

const run = async (lives: Lives, work: readonly Step[]): Promise<void> => {
  await lives.open();
  for (const step of work) {
    if (step.do === 'offer')
      for (let i = 0; i < step.times; i++) {
        lives.offer(step.series, step.stepMs);
        if (i % 3 === 2) await lives.backlog.flush();
      }
    else if (step.do === 'flush') await lives.backlog.flush();
    else if (step.do === 'send') {
      let turn = 0;
      lives.mood = () => step.moods[turn++ % step.moods.length] as Mood;
      await lives.send(step.tries);
    } else if (step.do === 'die') lives.disk.diesAfter = step.bytes;
    else if (step.do === 'kill') await lives.kill(step.keep);
    else if (step.do === 'stop') {
      await lives.backlog.close();
      await lives.kill();
    } else if (step.do === 'full') lives.disk.room = lives.disk.used + step.room;
    else if (step.do === 'room') lives.disk.room = Number.POSITIVE_INFINITY;
    else lives.disk.failingSyncs = 1;
    if (lives.disk.dead) await lives.kill(step.do === 'die' ? 0 : 1);
  }
  await lives.kill();
  lives.mood = () => 'answer';
  assert.equal(await lives.send(), true);
  assert.deepEqual(lives.server.faults, []);
};

const nameOf = ({ series, at }: Taken): string => `${series} ${at}`;
const quantityOf = ({ series, at }: Taken): bigint => BigInt(at - START) * BigInt(Number(series.slice(1, -2)) + 1);

/** First and last time of each series. */
const spans = (names: readonly string[]): Map<string, [number, number]> => {
  const found = new Map<string, [number, number]>();
  for (const name of names) {
    const [series = '', , time] = name.split(' ');
    const at = Number(time);
    const [from, to] = found.get(series) ?? [at, at];
    found.set(series, [Math.min(from, at), Math.max(to, at)]);
  }
  return found;
};

/** Nothing is there that was not offered. */
const nothingInvented = (lives: Lives): void => {
  for (const item of lives.server.taken) assert.equal(item.value, quantityOf(item), nameOf(item));
};
const nothingMissing = (lives: Lives): void => {
  const there = new Set(lives.server.taken.map(nameOf));
  assert.deepEqual(
    [...lives.kept].filter((name) => !there.has(name)),
    [],
  );
  nothingInvented(lives);
};

test('crashes, torn writes, lost answers and restarts: all that was kept comes, each reading under one number', () =>
  fc.assert(
    fc.asyncProperty(steps(), async (work) => {
      const lives = new Lives({ segmentBytes: 700 });
      await run(lives, work);
      nothingMissing(lives);
      assert.equal(lives.server.twice, 0);
    }),
    { numRuns: isLong ? 1500 : 80 },
  ));

test('full disks and failing syncs as well: all that was kept comes', () =>
  fc.assert(
    fc.asyncProperty(
      steps(
        { weight: 2, arbitrary: fc.record({ do: fc.constant('full' as const), room: fc.nat(400) }) },
        { weight: 2, arbitrary: fc.constant({ do: 'room' as const }) },
        { weight: 1, arbitrary: fc.constant({ do: 'unsynced' as const }) },
      ),
      async (work) => {
        const lives = new Lives({ segmentBytes: 700, memoryMax: 100_000 });
        await run(lives, work);
        nothingMissing(lives);
      },
    ),
    { numRuns: isLong ? 1500 : 80 },
  ));

test('at the bound, crashed while thinning: first and last of what was kept come, each under one number', () =>
  fc.assert(
    fc.asyncProperty(steps(), async (work) => {
      const lives = new Lives({ segmentBytes: 300, maxBytes: 6000 });
      await run(lives, work);
      nothingInvented(lives);
      assert.equal(lives.server.twice, 0);
      // A bound this small may force out what nothing stands for.
      if (lives.backlog.lostIntervals().length > 0) return;
      for (const [series, [first, last]] of spans([...lives.kept])) {
        const [from, to] = spans(lives.server.taken.map(nameOf)).get(series) ?? [Number.POSITIVE_INFINITY, 0];
        // What reached the disk in the moment of the crash was not said to be kept, and may stand for it.
        assert.ok(from <= first && last <= to, `${series}: ${from} .. ${to} of ${first} .. ${last}`);
      }
    }),
    { numRuns: isLong ? 1500 : 80 },
  ));
