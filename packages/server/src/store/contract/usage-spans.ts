/** Many questions at once, each with times of its own: the answers are those to each alone. */
import assert from 'node:assert/strict';
import type { SeriesReading } from '../../domain/fact.ts';
import { Stamp } from '../../domain/fact.ts';
import { ALL, DAY, MINUTE, readingAt, type UsageCases, W, write } from './usage-cases.ts';

/** The short form asks every eleventh question once more alone, and fewer frontiers: a real engine takes milliseconds for each. */
const EVERY = process.env.CI === 'true' ? 1 : 11;
const HOUR = 60 * MINUTE;
const D = 24 * HOUR;

/** Near each other, hours apart, days apart; some of a later receipt, one twice, an end marker. */
const times = [0, 1, 5 * MINUTE, W - 1, W, 2 * HOUR, 3 * HOUR + 7, 20 * HOUR, 23 * HOUR, D, 3 * D + HOUR, 40 * D];
const readings: readonly SeriesReading[] = [1, 2, 3, 4].flatMap((series) =>
  times.flatMap((at, i) => {
    if (i % series !== 0) return [];
    const own = readingAt(series, series * 100 + i, { t: DAY + at + series, value: BigInt(at) });
    return [own, { ...own, receipt: own.receipt + 1000 }, ...(i === 4 ? [{ ...own, stamps: Stamp.end }] : [])];
  }),
);
/** What a frontier hides, and where a whole day is hidden. */
const FRONTIERS = [ALL, 105, 410, 0].slice(0, EVERY === 1 ? 4 : 2);
const instants = [-2 * HOUR, 0, 1, 2, 3, W, 4 * HOUR, 5 * HOUR, 23 * HOUR, D, 2 * D, 5 * D, 39 * D, 41 * D];

export const usageSpanCases: UsageCases = {
  'readings of many spans are those of each span': async ({ store }) => {
    await write(store, { readings });
    const spans = [1, 2, 3, 4, 9].flatMap((series) =>
      instants.flatMap((at, i) =>
        [1, 3 * MINUTE, W, 5 * HOUR, 4 * D].map((width) => ({ series, from: DAY + at + i, to: DAY + at + i + width })),
      ),
    );
    const none = { series: 1, from: DAY + 5, to: DAY + 5 };
    for (const frontier of FRONTIERS) {
      for (const asked of [[...spans, none, ...spans.slice(0, 3)], spans.slice(0, 2), [none]]) {
        const found = await store.readingsWithin(asked, frontier);
        assert.equal(found.length, asked.length);
        for (const [i, { series, from, to }] of asked.entries()) {
          if (i % EVERY !== 0) continue;
          const own = (await store.readings([series], from, to, frontier)).get(series) ?? [];
          assert.deepEqual(found[i], own, `series ${series}, ${from - DAY} to ${to - DAY}, frontier ${frontier}`);
        }
      }
    }
    assert.deepEqual(await store.readingsWithin([], ALL), []);
  },

  'the nearest reading of many instants is that of each instant': async ({ store }) => {
    await write(store, { readings });
    const asks = [1, 2, 3, 4, 9].flatMap((series) => instants.map((at) => ({ series, t: DAY + at })));
    for (const frontier of FRONTIERS) {
      for (const side of ['before', 'after'] as const) {
        const found = await store.nearestReadings(side, asks, frontier);
        const few = await store.nearestReadings(side, asks.slice(0, 2), frontier);
        assert.deepEqual(few, found.slice(0, 2));
        for (const [i, { series, t }] of asks.entries()) {
          if (i % EVERY !== 0) continue;
          const call = side === 'before' ? store.readingBefore : store.readingAfter;
          const alone = (await call.call(store, [series], t, frontier)).get(series) ?? null;
          assert.equal(found[i], alone, `series ${series}, ${side} ${t - DAY}, frontier ${frontier}`);
        }
      }
    }
    assert.deepEqual(await store.nearestReadings('after', [], ALL), []);
  },
};
