/** Counter records: closing, touching, writing and summing. What a record must say is the pure function's to define. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { counterRecords, type Decisions, followCounter } from '../../domain/delta.ts';
import { type SeriesReading, Stamp } from '../../domain/fact.ts';
import { type CounterRecord, Flag, State } from '../../domain/record.ts';
import type { Touched, UsageStore } from '../usage-store.ts';
import { ALL, DAY, MINUTE, ramp, readingAt, recordAt, U64_MAX, type UsageCases, W, write } from './usage-cases.ts';

const undecided: Decisions = {
  released: new Set(),
  dropped: new Set(),
  quarantinedFrom: null,
  unobserved: [],
  settledBefore: 0,
};
const SPEC = { width: 64 as const, lineBits: 0, period: 300_000 };
const GROUP = { firstSeries: 0, lastSeries: 2 ** 26 - 1 };

const pure = (
  series: number,
  readings: readonly SeriesReading[],
  from: number,
  to: number,
  frontier: number,
): CounterRecord[] =>
  counterRecords(
    series,
    followCounter(
      readings.filter((r) => r.receipt <= frontier),
      SPEC,
      undecided,
    ),
    from,
    to,
    [],
    undecided,
  );

const plain = ({ frontier: _frontier, ...record }: CounterRecord & { frontier: number }): CounterRecord => record;

/** Every series is either reported as odd, or has exactly the records of the pure function. Returns the odd ones. */
async function checkClosed(
  store: UsageStore,
  bySeries: ReadonlyMap<number, readonly SeriesReading[]>,
  from: number,
  to: number,
  frontier: number,
): Promise<number[]> {
  const ids = [...bySeries.keys()];
  const span = { firstSeries: Math.min(...ids), lastSeries: Math.max(...ids), from, to };
  const { odd, written } = await store.closeCounters(span, frontier, []);
  const computed = await store.computeCounters(span, ids, frontier);
  const records = await store.counterRecords(ids, from, to);
  let rows = 0;
  for (const [series, readings] of bySeries) {
    const expected = pure(series, readings, from, to, frontier);
    if (!odd.includes(series)) {
      const found = records.filter((r) => r.series === series && r.frontier === frontier).map(plain);
      assert.deepEqual(found, expected, `series ${series}`);
      rows += found.length;
    }
    if (!computed.odd.includes(series)) {
      const found = computed.records.filter((r) => r.series === series);
      assert.deepEqual(found, expected, `computed series ${series}`);
    }
  }
  assert.equal(written, rows);
  return odd;
}

const groupUp = (readings: readonly SeriesReading[]): Map<number, SeriesReading[]> => {
  const out = new Map<number, SeriesReading[]>();
  for (const r of readings) out.set(r.series, [...(out.get(r.series) ?? []), r]);
  return out;
};

const covers = (touched: readonly Touched[], series: number, window: number): boolean =>
  touched.some((t) => t.series === series && t.from < window + W && t.to > window);

export const usageCounterCases: UsageCases = {
  'closing writes what the pure function says for every series it does not report': async ({ store }) => {
    const readings = [
      ...ramp(1, DAY - 20 * MINUTE, DAY + 5 * W, 5 * MINUTE, 1000n, 1),
      // Readings on the edges themselves; a value that stands still; the largest steps there are.
      ...ramp(2, DAY - W, DAY + 5 * W, W, 7n, 1000),
      ...ramp(3, DAY - 7 * MINUTE, DAY + 5 * W, 7 * MINUTE, 0n, 2000),
      readingAt(4, 3000, { t: DAY - 1, value: 1n }),
      ...[1, 2, 3, 4].map((i) => readingAt(4, 3000 + i, { t: DAY - 1 + i * W, value: i < 3 ? 2n : U64_MAX })),
      readingAt(4, 3005, { t: DAY + 5 * W - 1, value: U64_MAX }),
      ...ramp(5, DAY - 10_000, DAY + 5 * W, 10_000, 123_456_789_012_345n, 4000),
    ];
    await write(store, { readings });
    const odd = await checkClosed(store, groupUp(readings), DAY, DAY + 4 * W, ALL - 1);
    if (store.engine !== 'model') assert.deepEqual(odd, []);
    // A window at a time gives the same.
    for (let w = DAY; w < DAY + 4 * W; w += W) await checkClosed(store, groupUp(readings), w, w + W, ALL);
  },

  'oddities in and next to the span are reported': async ({ store }) => {
    const odd: Record<number, (base: SeriesReading[]) => void> = {
      1: (r) => r.splice(0, 3),
      2: (r) => r.splice(-3),
      3: (r) => r.splice(3, 3),
      4: (r) => void Object.assign(r[6] as object, { value: 1n }),
      5: (r) => {
        for (const x of r.slice(7)) x.epoch = 8;
      },
      6: (r) => void Object.assign(r.at(-1) as object, { stamps: Stamp.late }),
      7: (r) => void Object.assign(r[0] as object, { stamps: Stamp.inexact }),
      8: (r) => void r.push({ ...(r[6] as SeriesReading), receipt: 99, value: 10n }),
      9: (r) => void r.push({ ...(r.at(-1) as SeriesReading), receipt: 99, value: 1n }),
      10: (r) => void r.push({ ...(r[1] as SeriesReading), receipt: 99, value: 99_999n }),
      11: (r) => void r.push(readingAt(11, 99, { t: (r[7] as SeriesReading).t + 1, stamps: Stamp.end })),
    };
    const all: SeriesReading[] = [];
    for (const [id, spoil] of Object.entries(odd)) {
      const series = Number(id);
      const own = ramp(series, DAY - W, DAY + 2 * W - 1, 5 * MINUTE, 1000n, series * 100).map((r, i) => ({
        ...r,
        value: BigInt(1000 * (i + 1)),
      }));
      spoil(own);
      all.push(...own.map((r) => (r.receipt === 99 ? { ...r, receipt: series * 100 + 99 } : r)));
    }
    all.push(...ramp(12, DAY - W, DAY + 2 * W - 1, 5 * MINUTE, 1n, 5000));
    await write(store, { readings: all });
    const span = { ...GROUP, from: DAY, to: DAY + W };
    const closed = await store.closeCounters(span, ALL, [12, 77]);
    assert.deepEqual(closed, { odd: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 77], written: 0 });
    const other = await store.closeCounters({ ...span, firstSeries: 12, lastSeries: 12 }, ALL, [3]);
    if (store.engine !== 'model') assert.deepEqual(other, { odd: [], written: 1 });
  },

  'late readings between two that came in time are normal': async ({ store }) => {
    const own = ramp(1, DAY - W, DAY + 3 * W, 5 * MINUTE, 10n, 1);
    const last = (own.at(-1) as SeriesReading).receipt;
    const readings = own.map((r, i) => (i % 4 === 2 ? { ...r, receipt: last + i, stamps: Stamp.late } : r));
    await write(store, { readings });
    const odd = await checkClosed(store, groupUp(readings), DAY, DAY + 2 * W, ALL);
    if (store.engine !== 'model') assert.deepEqual(odd, []);
  },

  'a series silent through the span is reported when its gap reaches beyond both ends': async ({ store }) => {
    const day = 96 * W;
    await write(store, {
      readings: [
        ...ramp(1, DAY - W, DAY + 3 * W, 5 * MINUTE, 1n, 1),
        readingAt(2, 500, { t: DAY - 3 * day }),
        readingAt(2, 501, { t: DAY + 2 * day, value: 10n }),
        readingAt(3, 502, { t: DAY - 10 * W }),
        readingAt(4, 503, { t: DAY + 10 * W }),
        readingAt(5, 504, { t: DAY - 5 * W }),
        readingAt(5, 505, { t: DAY + 5 * W, value: 3n }),
      ],
    });
    const { odd } = await store.closeCounters({ ...GROUP, from: DAY, to: DAY + 2 * W }, ALL, []);
    assert.deepEqual(
      odd.filter((id) => id === 2 || id === 5),
      [2, 5],
    );
    if (store.engine !== 'model') assert.deepEqual(odd, [2, 5]);
  },

  'a silent series is found among those registered, however many others are read': async ({ store }) => {
    const day = 96 * W;
    await write(store, {
      readings: [
        ...ramp(1, DAY - W, DAY + 3 * W, 5 * MINUTE, 1n, 1),
        // Read, and not among those told: a meter that was deleted leaves such series.
        ...ramp(7, DAY - W, DAY + 3 * W, 5 * MINUTE, 1n, 200),
        readingAt(2, 500, { t: DAY - 3 * day }),
        readingAt(2, 501, { t: DAY + 2 * day, value: 10n }),
        readingAt(5, 504, { t: DAY - 5 * W }),
        readingAt(5, 505, { t: DAY + 5 * W, value: 3n }),
      ],
    });
    const span = { ...GROUP, from: DAY, to: DAY + 2 * W };
    const oddOf = async (forced: number[], told: number[]): Promise<number[]> =>
      (await store.closeCounters(span, ALL, forced, told)).odd.filter((id) => id === 2 || id === 5);
    assert.equal((await oddOf([], [1, 2]))[0], 2);
    assert.deepEqual(await oddOf([9], [1, 2, 5]), [2, 5]);
    assert.deepEqual(await oddOf([2], [1, 2, 5]), [2, 5]);
  },

  'random streams: closed or odd, never wrong, as of any frontier': async ({ store }) => {
    const long = process.env.CI === 'true';
    let normal = 0;
    let series = 1;
    let receipt = 1;
    const step = fc.record({
      ms: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 1, max: W }) },
        { weight: 10, arbitrary: fc.constantFrom(5 * MINUTE, W) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 12 * W }) },
      ),
      delta: fc.oneof(
        { weight: 30, arbitrary: fc.bigInt({ min: 0n, max: 5000n }) },
        { weight: 3, arbitrary: fc.constant(0n) },
        { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 1n << 55n }) },
        { weight: 1, arbitrary: fc.constant(-900n) },
      ),
      twist: fc.constantFrom('', '', '', '', '', '', '', '', '', '', '', '', '', '', '', 'twin', 'early', 'epoch'),
      // How many of the next readings arrive before this one.
      delay: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, 3),
    });
    const streams = fc.array(fc.array(step, { minLength: 1, maxLength: 40 }), { minLength: 20, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(streams, fc.integer({ min: 1, max: 20 }), async (all, windows) => {
        const bySeries = new Map<number, SeriesReading[]>();
        const first = receipt;
        for (const [place, steps] of all.entries()) {
          const sent: { reading: SeriesReading; place: number }[] = [];
          let t = DAY - 2 * W;
          let value = 1n << 40n;
          let epoch = 7;
          for (const [i, { ms, delta, twist, delay }] of steps.entries()) {
            if (twist === 'epoch') epoch++;
            t += ms;
            value = value + delta < 0n ? 0n : value + delta > U64_MAX ? value : value + delta;
            const at = twist === 'early' ? t - 3 * W : t;
            sent.push({ reading: readingAt(series, 0, { t: at, value, epoch }), place: i + delay });
            if (twist === 'twin') sent.push({ reading: readingAt(series, 0, { t: at, value, epoch }), place: i + 7 });
          }
          const own: SeriesReading[] = [];
          let newest = 0;
          for (const { reading } of sent.sort((a, b) => a.place - b.place)) {
            // In turns, so that a frontier in the middle cuts every stream.
            const turn = first + own.length * all.length + place;
            receipt = Math.max(receipt, turn + 1);
            own.push({ ...reading, receipt: turn, stamps: reading.t < newest ? Stamp.late : 0 });
            newest = Math.max(newest, reading.t);
          }
          bySeries.set(series++, own);
        }
        const rows = [...bySeries.values()].flat();
        await write(store, { readings: rows.filter((r) => r.receipt % 2 === 0) });
        await write(store, { readings: rows.filter((r) => r.receipt % 2 === 1) });
        const middle = Math.floor((first + receipt) / 2);
        for (const frontier of [middle, receipt]) {
          const odd = await checkClosed(store, bySeries, DAY, DAY + windows * W, frontier);
          normal += all.length - odd.length;
        }
      }),
      { numRuns: long ? 120 : 3 },
    );
    assert.ok(store.engine === 'model' || normal > 0);
  },

  'of two records with one key the one computed at the higher frontier wins, whenever it comes': async ({
    store,
    again,
  }) => {
    const at = (used: bigint, more: Partial<CounterRecord> = {}): CounterRecord => recordAt(1, DAY, { used, ...more });
    await store.writeCounters([at(5n), at(1n, { part: 60_000 })], 10);
    await store.writeCounters([at(7n)], 12);
    await store.writeCounters([at(6n), at(2n, { part: 60_000, n: 9 })], 11);
    const expected = [
      { ...at(7n), frontier: 12 },
      { ...at(2n, { part: 60_000, n: 9 }), frontier: 11 },
    ];
    assert.deepEqual(await store.counterRecords([1], DAY, DAY + W), expected);
    const reopened = await again();
    await reopened.writeCounters([at(9n)], 9);
    assert.deepEqual(await reopened.counterRecords([1], DAY, DAY + W), expected);
    await reopened.writeCounters([at(0n, { isVoid: true, n: 0, seen: 0 })], 13);
    assert.deepEqual((await reopened.counterRecords([1], DAY, DAY + W))[0]?.isVoid, true);
    assert.deepEqual((await reopened.sumCounters([1], [DAY, DAY + W]))[0]?.used, 2n);
  },

  'sums go beyond 64 bits, and take the worst state and all flags': async ({ store }) => {
    const records = Array.from({ length: 8 }, (_, i) =>
      recordAt(1, DAY + i * W, { used: U64_MAX, n: 2 ** 31, flags: 2 ** i }),
    );
    await store.writeCounters(records, 5);
    await store.writeCounters(
      [recordAt(1, DAY + 8 * W, { state: State.pending, used: 1n }), recordAt(2, DAY, { used: 3n })],
      6,
    );
    const [whole] = await store.sumCounters([1], [DAY, DAY + 8 * W]);
    assert.deepEqual(whole, {
      series: 1,
      interval: 0,
      used: 8n * U64_MAX,
      n: 8n * 2n ** 31n,
      seen: 8 * W,
      flags: 255,
      state: 0,
      records: 8,
      frontier: 5,
    });
    const parts = await store.sumCounters([1, 2, 3], [DAY, DAY + W, DAY + 7 * W, DAY + 9 * W]);
    assert.deepEqual(
      parts.map((s) => [s.series, s.interval, s.used, s.state, s.frontier]),
      [
        [1, 0, U64_MAX, 0, 5],
        [1, 1, 6n * U64_MAX, 0, 5],
        [1, 2, U64_MAX + 1n, State.pending, 6],
        [2, 0, 3n, 0, 6],
      ],
    );
    assert.deepEqual(await store.sumCounters([1], [DAY]), []);
    assert.deepEqual(await store.sumCounters([], [DAY, DAY + W]), []);
  },

  'a list of 30,000 series is one question': async ({ store }) => {
    const ids = Array.from({ length: 30_000 }, (_, i) => i * 3);
    await store.writeCounters(
      ids.filter((id) => id % 2 === 0).map((id) => recordAt(id, DAY, { used: BigInt(id) })),
      1,
    );
    const sums = await store.sumCounters(ids, [DAY, DAY + W]);
    assert.equal(sums.length, 15_000);
    assert.ok(sums.every((s) => s.used === BigInt(s.series)));
  },

  'a usage that is no 64-bit count is refused, not wrapped': async ({ store }) => {
    for (const used of [-1n, U64_MAX + 1n]) {
      await assert.rejects(store.writeCounters([recordAt(1, DAY, { used })], 1), { code: 'store.number_range' });
    }
    await store.writeCounters(
      [recordAt(1, DAY, { used: U64_MAX, part: W - 1, flags: Flag.inexactSource, state: State.quarantined })],
      2 ** 53 - 1,
    );
    const [record] = await store.counterRecords([1], 0, DAY + W);
    assert.deepEqual(
      [record?.used, record?.part, record?.flags, record?.state, record?.frontier],
      [U64_MAX, W - 1, 1024, 3, 2 ** 53 - 1],
    );
  },

  'pending and quarantined records are named with their windows until they are rewritten': async ({ store }) => {
    await store.writeCounters(
      [
        recordAt(1, DAY, { state: State.pending }),
        recordAt(1, DAY + W),
        recordAt(2, DAY, { state: State.quarantined }),
      ],
      1,
    );
    await store.writeCounters([recordAt(2, DAY, { state: State.unobserved })], 2);
    const span = { ...GROUP, from: DAY, to: DAY + 2 * W };
    assert.deepEqual(await store.pendingCounters(span), [{ series: 1, from: DAY, to: DAY + W }]);
    assert.deepEqual(await store.pendingCounters({ ...span, from: DAY + W }), []);
  },

  'new readings touch the windows they lie in, and no other series': async ({ store }) => {
    const span = { ...GROUP, from: DAY, to: DAY + 4 * W };
    await write(store, {
      readings: [
        ...ramp(1, DAY - W, DAY + 5 * W, 5 * MINUTE, 1n, 1),
        ...ramp(2, DAY - W, DAY + 5 * W, 5 * MINUTE, 1n, 101),
      ],
    });
    await write(store, {
      readings: [readingAt(1, 300, { t: DAY + 2 * W + 1, stamps: Stamp.late }), readingAt(3, 301, { t: DAY + 9 * W })],
    });
    const touched = await store.touchedCounters(span, 200, 301);
    assert.ok(covers(touched, 1, DAY + 2 * W));
    assert.ok(!covers(touched, 1, DAY) && !covers(touched, 1, DAY + 3 * W));
    assert.ok(!touched.some((t) => t.series === 2));
    assert.deepEqual(await store.touchedCounters(span, 301, 400), []);
    assert.deepEqual(await store.touchedCounters({ ...span, firstSeries: 2 }, 200, 300), []);
    // Not yet known as of an earlier frontier.
    assert.deepEqual(await store.touchedCounters(span, 200, 299), []);
  },

  'a first reading after the span that declares its start inside it is reported': async ({ store }) => {
    await write(store, {
      readings: [
        ...ramp(1, DAY - W, DAY + 3 * W, 5 * MINUTE, 1n, 1),
        readingAt(2, 500, { t: DAY + 40 * W, start: DAY + W, value: 40n }),
        readingAt(3, 501, { t: DAY + 40 * W, start: DAY + 30 * W, value: 40n }),
      ],
    });
    const { odd } = await store.closeCounters({ ...GROUP, from: DAY, to: DAY + 2 * W }, ALL, []);
    assert.ok(odd.includes(2));
    if (store.engine !== 'model') assert.ok(!odd.includes(3));
  },

  'two epochs that live at once each end their own silence': async ({ store }) => {
    const span = { ...GROUP, from: DAY, to: DAY + 4 * W };
    await write(store, {
      readings: [
        readingAt(1, 1, { t: DAY, epoch: 1, value: 5n }),
        readingAt(1, 2, { t: span.to + 1, epoch: 2, value: 1n }),
        readingAt(2, 3, { t: DAY, epoch: 1, value: 5n }),
        readingAt(2, 4, { t: span.to + 1, epoch: 1, value: 0n, stamps: Stamp.end }),
      ],
    });
    const later = { t: span.to + 2, epoch: 1, value: 9n };
    await write(store, { readings: [readingAt(1, 10, { ...later, stamps: Stamp.late }), readingAt(2, 11, later)] });
    const touched = await store.touchedCounters(span, 4, ALL);
    assert.ok(covers(touched, 1, span.to - W), 'the older epoch speaks once more');
    assert.ok(covers(touched, 2, span.to - W), 'what had ended goes on');
  },

  'a silent series is touched by its first reading after the span, however late that is': async ({ store }) => {
    const span = { ...GROUP, from: DAY, to: DAY + 4 * W };
    for (const [i, gap] of [1, 4 * W, 300 * W].entries()) {
      const series = 10 + i;
      await write(store, { readings: ramp(series, DAY - W, DAY + 2 * W, 5 * MINUTE, 1n, 1000 * series) });
      await write(store, { readings: [readingAt(series, 50_000 + 2 * i, { t: span.to + gap, value: 99n })] });
      assert.ok(covers(await store.touchedCounters(span, 49_999 + 2 * i, ALL), series, span.to - W));
      // The next one changes nothing there.
      await write(store, { readings: [readingAt(series, 50_001 + 2 * i, { t: span.to + gap + 1, value: 99n })] });
      assert.ok(!(await store.touchedCounters(span, 50_000 + 2 * i, ALL)).some((t) => t.series === series));
    }
    // One that may have been set aside did not end the silence for sure.
    await write(store, {
      readings: [
        readingAt(20, 60_000, { t: DAY, value: 5n }),
        readingAt(20, 60_001, { t: span.to, value: 9n, stamps: Stamp.fast }),
      ],
    });
    await write(store, { readings: [readingAt(20, 60_002, { t: span.to + 9, value: 6n })] });
    assert.ok(covers(await store.touchedCounters(span, 60_001, ALL), 20, span.to - W));
  },

  'a new last reading before the span touches its first window': async ({ store }) => {
    const span = { ...GROUP, from: DAY, to: DAY + 4 * W };
    await write(store, {
      readings: [
        readingAt(1, 1, { t: DAY - 200 * W }),
        readingAt(1, 2, { t: DAY + 2 * W, value: 5n }),
        ...ramp(2, DAY - 200 * W, DAY + W, 5 * MINUTE, 1n, 100),
      ],
    });
    await write(store, {
      readings: [
        readingAt(1, 5000, { t: DAY - 100 * W, value: 1n, stamps: Stamp.late }),
        readingAt(2, 5001, { t: DAY - 100 * W + 1, value: 1n, stamps: Stamp.late }),
      ],
    });
    const touched = await store.touchedCounters(span, 4999, ALL);
    assert.ok(covers(touched, 1, DAY));
    assert.ok(!touched.some((t) => t.series === 2));
  },
};
