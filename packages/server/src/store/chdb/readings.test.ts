import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Lane } from './lane.ts';
import { nearest } from './readings.ts';
import { RowReader } from './row-reader.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FIRST = Date.UTC(2026, 0, 1);

/** Stretches of time the statements of one question read rows of, in order, when nothing is found anywhere. */
async function stretches(side: 'before' | 'after', t: number): Promise<[number, number][]> {
  const asked: [number, number][] = [];
  const lane: Pick<Lane, 'rows'> = {
    rows: async (sql) => {
      const [, from, to] = /t >= (\d+) AND t < (\d+)/.exec(sql) ?? [];
      if (from !== undefined && to !== undefined) asked.push([Number(from), Number(to)]);
      return new RowReader(new Uint8Array());
    },
  };
  await nearest(lane as Lane, side, [7], t, 100);
  return asked;
}

test('the nearest reading is looked for further and further out, in no stretch of time twice, and at least to the end of the day', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('before', 'after'), fc.nat(10 * DAY), async (side, offset) => {
      const t = FIRST + 5 * DAY + offset;
      const asked = await stretches(side, t);
      const day = t - (t % DAY);
      let reached = t;
      for (const [from, to] of asked) {
        assert.ok(from < to);
        assert.equal(side === 'before' ? to : from, reached);
        reached = side === 'before' ? from : to;
      }
      assert.ok(side === 'before' ? reached <= day : reached >= day + DAY);
      assert.ok(Math.abs(reached - t) >= 3 * HOUR);
    }),
  );
});
