/** Retry storms on a disk that fails and tears: what was answered is stored, and nothing is stored twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Stamp } from '../domain/fact.ts';
import { Problem } from '../errors.ts';
import { NOW, World } from './testing/world.ts';

const LONG = process.env.CI === 'true';

/** Half of the events have no time: then only the identity tells a repetition from a second event. */
const eventOf = (n: number): object => ({
  specversion: '1.0',
  id: `e${n}`,
  source: `s${n % 3}`,
  type: 't',
  ...(n % 2 === 0 ? { time: '2026-11-21T09:00:00Z' } : {}),
  data: { n },
});

interface Step {
  /** Batches sent at the same time, as first number and length. */
  batches: [first: number, length: number][];
  /** Rows of the next commit that reach the disk before it fails; null: it succeeds. */
  fails: number | null;
  restart: boolean;
}
const step: fc.Arbitrary<Step> = fc.record({
  batches: fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 30 })), { minLength: 1, maxLength: 4 }),
  fails: fc.option(fc.nat(20), { freq: 2 }),
  restart: fc.boolean(),
});

const TORN_AND_ROTATED: Step[] = [
  {
    batches: [
      [3, 3],
      [6, 29],
      [0, 1],
    ],
    fails: 1,
    restart: false,
  },
  { batches: [[0, 1]], fails: null, restart: true },
  { batches: [[0, 1]], fails: null, restart: false },
];

async function tryToSend(w: World, first: number, length: number, answered: Set<number>): Promise<void> {
  const numbers = Array.from({ length }, (_, i) => first + i);
  try {
    const outcome = await w.send(numbers.map(eventOf));
    assert.equal(outcome.accepted + outcome.duplicates, length, JSON.stringify(outcome.items));
    for (const n of numbers) answered.add(n);
  } catch (error) {
    assert.ok(error instanceof Problem && error.code === 'store.unavailable', String(error));
  }
}

test('a storm of retries over failing commits and restarts: nothing answered is lost, nothing counts twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      let w = await World.open({ tableBits: 6, groupEvents: 20 });
      const worlds = [w];
      const answered = new Set<number>();
      const sent = new Set<number>();
      try {
        for (const { batches, fails, restart } of steps) {
          w.now += 1000;
          if (fails !== null) w.failures.push(fails);
          for (const [first, length] of batches) for (let i = 0; i < length; i++) sent.add(first + i);
          await Promise.all(batches.map(([first, length]) => tryToSend(w, first, length, answered)));
          if (!restart) continue;
          await w.ingest.close();
          w = await w.restart();
          worlds.push(w);
        }
        w.failures.length = 0;
        for (const n of sent) await tryToSend(w, n, 1, answered);
        assert.deepEqual([...answered].sort(), [...sent].sort());
        const stored = w.events.map((e) => e.id);
        assert.deepEqual([...stored].sort(), [...sent].map((n) => `e${n}`).sort());
        assert.equal(w.receipts.pending, 0);
      } finally {
        await w.close();
      }
    }),
    {
      numRuns: LONG ? 300 : 12,
      // Found by this test: what survived the torn commit was noted in a table younger than the group's own, and the
      // frontier written with the group's table said that it was on disk.
      examples: [[TORN_AND_ROTATED]],
    },
  );
});

test('readings in storms of retries are stored once, and stamped as if nothing had failed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(fc.nat(6), { freq: 1 }), { minLength: 1, maxLength: 12 }), async (failures) => {
      const w = await World.open();
      try {
        for (const [i, fails] of failures.entries()) {
          if (fails !== null) w.failures.push(fails);
          const batch = {
            source: 'a',
            run: 'r',
            sequence: i * 3,
            sentAt: NOW,
            series: [{ resource: 'nic', meter: 'network.bytes.sent', epoch: 'b' }],
            readings: [0, 1, 2].map((k) => [0, NOW - 100_000 + (i * 3 + k) * 1000, String(i * 3 + k)]),
          };
          for (let attempt = 0; ; attempt++) {
            assert.ok(attempt < 3);
            const done = await w.report(batch).catch(() => null);
            if (done !== null && done.accepted + done.duplicates === 3) break;
          }
        }
        assert.deepEqual(
          w.readings.map((r) => [Number(r.value), r.stamps & ~Stamp.fast]),
          Array.from({ length: failures.length * 3 }, (_, n) => [n, 0]),
        );
      } finally {
        await w.close();
      }
    }),
    { numRuns: LONG ? 300 : 15 },
  );
});
