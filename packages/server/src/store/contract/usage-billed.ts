/** Records as invoices sum them: by span, with a digest that SQL, records and pure functions agree on. */
import assert from 'node:assert/strict';
import type { CounterRecord, TallyRecord } from '../../domain/record.ts';
import { addDigest, counterLine, digestOf, isUndigested, tallyLine } from '../../domain/record-digest.ts';
import { DAY, eventAt, recordAt, tallyAt, type UsageCases, W, write } from './usage-cases.ts';

const D38 = 10n ** 38n - 1n;
const U64 = 2n ** 64n - 1n;
const sumOf = (lines: readonly string[]): bigint => lines.reduce((sum, line) => addDigest(sum, digestOf(line)), 0n);

const counters: readonly CounterRecord[] = [
  recordAt(1, DAY, { used: U64, n: 2 ** 32 - 1, seen: 1, flags: 1, state: 2 }),
  recordAt(1, DAY + W, { used: 0n, part: 450_000, seen: 450_000, flags: 1024 }),
  recordAt(1, DAY + 2 * W, { used: 7n, seen: 12, n: 0, facts: 0 }),
  recordAt(2, DAY, { used: 5n, n: 1, facts: 0 }),
  recordAt(2, DAY + 2 * W, { used: 6n, state: 3 }),
  recordAt(3, DAY + W, { used: 9n }),
];
const tallies: readonly TallyRecord[] = [
  tallyAt(1, DAY, { sum: D38 * 900_000n, count: 10n ** 30n, min: -D38, max: D38, latest: -1n, latestAt: DAY + 1 }),
  tallyAt(1, DAY + W, { sum: -5n * 10n ** 11n, min: 0n, max: 15n * 10n ** 11n, latest: 10n ** 12n, latestAt: DAY + W }),
  tallyAt(2, DAY, { flags: 512, state: 1, part: 3 }),
  tallyAt(2, DAY + W, { sum: 1n }),
];

export const usageBilledCases: UsageCases = {
  'counters are summed by span, whether the spans have edges in common or not': async ({ store }) => {
    await store.writeCounters(counters, 10);
    const spans = [
      { series: 1, from: DAY, to: DAY + 2 * W },
      { series: 2, from: DAY, to: DAY + 3 * W },
      { series: 3, from: DAY, to: DAY + W },
      { series: 1, from: DAY + 2 * W, to: DAY + 3 * W },
      { series: 3, from: DAY + W, to: DAY + 4 * W },
      { series: 2, from: DAY + W, to: DAY + 2 * W },
      { series: 9, from: DAY, to: DAY + 5 * W },
    ];
    const expected = spans.flatMap((span, interval) => {
      const own = counters.filter((r) => r.series === span.series && r.window >= span.from && r.window < span.to);
      if (own.length === 0) return [];
      return [
        {
          series: span.series,
          interval,
          used: own.reduce((n, r) => n + r.used, 0n),
          n: own.reduce((n, r) => n + BigInt(r.n), 0n),
          seen: own.reduce((ms, r) => ms + r.seen, 0),
          flags: own.reduce((bits, r) => bits | r.flags, 0),
          state: Math.max(...own.map((r) => r.state)),
          records: own.length,
          frontier: 10,
          digest: sumOf(own.map(counterLine)),
          lastSeen: own.reduce((ms, r) => (r.window === span.to - W ? ms + r.seen : ms), 0),
          undigested: own.filter(isUndigested).length,
        },
      ];
    });
    const all = await store.billedCounters(spans);
    assert.deepEqual(
      [...all].sort((a, b) => a.interval - b.interval),
      expected,
    );
    // One pair of edges, as most ask: another statement, the same answers.
    for (const [i, span] of spans.entries()) {
      const own = expected.filter((row) => row.interval === i).map((row) => ({ ...row, interval: 0 }));
      assert.deepEqual(await store.billedCounters([span]), own);
    }
    assert.deepEqual(await store.billedCounters([]), []);
    // What lies before the lowest series' own span is nobody's, though another span begins there.
    const late = await store.billedCounters([
      { series: 1, from: DAY + W, to: DAY + 3 * W },
      { series: 2, from: DAY, to: DAY + W },
    ]);
    assert.deepEqual(
      late.sort((a, b) => a.interval - b.interval).map(({ used, records }) => ({ used, records })),
      [
        { used: 7n, records: 2 },
        { used: 5n, records: 1 },
      ],
    );
  },

  'any spans at all, overlapping or not, are each summed alone': async ({ store }) => {
    let state = 7;
    const below = (n: number): number => {
      state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
      return state % n;
    };
    const records = Array.from({ length: 200 }, (_, i) =>
      recordAt(1 + (i % 12) * 3, DAY + Math.floor(i / 12) * W, { used: BigInt(below(1e9)), isVoid: below(9) === 0 }),
    );
    // The widest sum that a 128-bit decimal takes, and the first that it does not.
    const widest = [10n ** 38n - 1n, 10n ** 38n, 1n - 10n ** 38n, -(10n ** 38n)];
    const sums = records.map(({ series, window, isVoid }, i) =>
      tallyAt(series, window, {
        sum: widest[i % 5] ?? BigInt(below(1e9)),
        isVoid,
        latest: 1n,
        latestAt: window - (i % 3),
      }),
    );
    await store.writeCounters(records, 10);
    await store.writeTallies(sums, 10);
    const spans = Array.from({ length: 80 }, () => {
      const from = DAY + below(18) * W;
      return { series: 1 + below(14) * 3, from, to: from + below(9) * W };
    }).filter((a, i, all) => all.findIndex((b) => JSON.stringify(a) === JSON.stringify(b)) === i);
    const inOrder = <T extends { interval: number }>(rows: readonly T[]): T[] =>
      [...rows].sort((a, b) => a.interval - b.interval);
    const held = <T extends { series: number; window: number }>(rows: readonly T[]) =>
      spans.flatMap(({ series, from, to }, interval) => {
        const own = rows.filter((r) => r.series === series && r.window >= from && r.window < to);
        return own.length === 0 ? [] : [{ series, interval, own }];
      });
    assert.deepEqual(
      inOrder(await store.billedCounters(spans)).map(({ series, interval, digest }) => ({ series, interval, digest })),
      held(records).map(({ own, ...of }) => ({ ...of, digest: sumOf(own.filter((r) => !r.isVoid).map(counterLine)) })),
    );
    assert.deepEqual(
      inOrder(await store.billedTallies(spans)).map(({ series, interval, digest }) => ({ series, interval, digest })),
      held(sums).map(({ own, ...of }) => ({ ...of, digest: sumOf(own.filter((r) => !r.isVoid).map(tallyLine)) })),
    );
  },

  'event records are summed by span, digits, decimals, nulls and all': async ({ store }) => {
    await store.writeTallies(tallies, 10);
    const spans = [1, 2, 3].map((series) => ({ series, from: DAY, to: DAY + 2 * W }));
    const [first, second, ...rest] = [...(await store.billedTallies(spans))].sort((a, b) => a.series - b.series);
    assert.deepEqual(rest, []);
    const [sum] = await store.sumTallies([1], [DAY, DAY + 2 * W]);
    assert.deepEqual(first, { ...sum, interval: 0, digest: sumOf(tallies.slice(0, 2).map(tallyLine)) });
    assert.deepEqual(
      [second?.digest, second?.latest, second?.flags, second?.state],
      [sumOf(tallies.slice(2).map(tallyLine)), null, 512, 1],
    );
    const odd = [0, 1, 2, 3, 4, 5].map((i) => ({ series: 1, from: DAY, to: DAY + (1 + i) * W }));
    const digests = (await store.billedTallies(odd)).sort((a, b) => a.interval - b.interval).map((r) => r.digest);
    const [one, both] = [sumOf(tallies.slice(0, 1).map(tallyLine)), first?.digest];
    assert.deepEqual(digests, [one, both, both, both, both, both]);
  },

  'whatever changes in a record changes the digest, and writing it again does not': async ({ store }) => {
    const digestNow = async (): Promise<[bigint | undefined, bigint | undefined]> => [
      (await store.billedCounters([{ series: 1, from: DAY, to: DAY + W }]))[0]?.digest,
      (await store.billedTallies([{ series: 1, from: DAY, to: DAY + W }]))[0]?.digest,
    ];
    const counter = recordAt(1, DAY, { used: 1000n });
    const event = tallyAt(1, DAY, { sum: 10n, min: 1n, max: 2n, latest: 3n, latestAt: DAY });
    const seen = new Set<bigint | undefined>();
    let frontier = 1;
    for (const change of [{}, { used: 1001n }, { seen: 1 }, { n: 4 }, { flags: 1 }, { state: 1 }, { facts: 1 }]) {
      await store.writeCounters([{ ...counter, ...change }], ++frontier);
      seen.add((await digestNow())[0]);
    }
    assert.equal(seen.size, 7);
    const changes = [
      {},
      { sum: 11n },
      { count: 2n },
      { min: null },
      { max: 3n },
      { latest: -3n },
      { latestAt: DAY + 1 },
    ];
    for (const change of [...changes, { flags: 1 }, { state: 1 }]) {
      await store.writeTallies([{ ...event, ...change }], ++frontier);
      seen.add((await digestNow())[1]);
    }
    assert.equal(seen.size, 16);
    const before = await digestNow();
    await store.writeCounters([{ ...counter, facts: 1 }], 100);
    await store.writeTallies([{ ...event, state: 1 }], 100);
    assert.deepEqual(await digestNow(), before);
  },

  'a void record counts nothing and tells its frontier': async ({ store }) => {
    await store.writeCounters(counters, 10);
    await store.writeTallies(tallies, 10);
    await store.writeCounters([recordAt(1, DAY, { isVoid: true, n: 0 })], 20);
    await store.writeTallies([tallyAt(2, DAY + W, { isVoid: true, count: 0n })], 30);
    const [counter] = await store.billedCounters([{ series: 1, from: DAY, to: DAY + W }]);
    assert.deepEqual([counter?.used, counter?.records, counter?.frontier, counter?.digest], [0n, 0, 20, 0n]);
    const [tally] = await store.billedTallies([{ series: 2, from: DAY, to: DAY + 2 * W }]);
    assert.deepEqual([tally?.records, tally?.frontier], [1, 30]);
    assert.deepEqual(await store.rewrittenTallies([1, 2, 3], DAY + 2 * W, 10), [2]);
    assert.deepEqual(await store.rewrittenTallies([1, 2, 3], DAY + W, 10), []);
    assert.deepEqual((await store.rewrittenTallies([1, 2, 3], DAY + W, 9)).sort(), [1, 2]);
  },

  'whose events came since a receipt is told once each, by time and type': async ({ store }) => {
    const at = (receipt: number, subject: string, t: number, more = {}) => eventAt(receipt, { subject, t, ...more });
    await write(store, {
      events: [
        at(1, 'old', DAY),
        at(2, 'new', DAY),
        at(3, 'new', DAY + 1),
        at(4, 'before', DAY - 1),
        at(5, 'after', DAY + W),
        at(6, 'other', DAY, { type: 'other' }),
        at(7, "a'\nb", DAY, { tenant: 't' }),
        at(8, 'later', DAY),
      ],
    });
    const [{ type }] = [eventAt(1)];
    const found = await store.touchedSubjects([type], DAY, DAY + W, 1, 7);
    assert.deepEqual(
      found.sort((a, b) => (a.subject < b.subject ? -1 : 1)),
      [
        { tenant: 't', subject: "a'\nb" },
        { tenant: eventAt(1).tenant, subject: 'new' },
      ],
    );
    assert.deepEqual(await store.touchedSubjects([], DAY, DAY + W, 1, 7), []);
  },
};
