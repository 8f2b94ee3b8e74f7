/** A span judged from the readings around it is what the whole history says of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterRecords, followCounter } from '../domain/delta.ts';
import { type SeriesReading, Stamp } from '../domain/fact.ts';
import { WINDOW_MS } from '../domain/window.ts';
import { pureRecords } from './counters.ts';
import { MINUTE } from './testing/counter-stream.ts';
import { openWorld } from './testing/world.ts';

const T0 = 1_790_000_100_000 - (1_790_000_100_000 % 86_400_000);
const WINDOWS = 24;
const END = T0 + WINDOWS * WINDOW_MS;

type Row = readonly [minutes: number, value: bigint, more: Partial<SeriesReading>];

/** Each span of windows alone, through the store, against the records of all readings. */
async function check(rows: readonly Row[]): Promise<void> {
  const world = await openWorld(T0, { groups: 1 });
  const series = await world.series('nic-1');
  await world.read(
    series,
    rows.map(([minutes, value, more]) => [T0 + minutes * MINUTE, value, more] as const),
  );
  const { store: usage, log, receipts } = world;
  const frontier = receipts.frontier();
  const all = (await usage.readings([series.id], 0, END, frontier)).get(series.id) ?? [];
  const decisions = log.book.decisionsFor(series);
  const expected = counterRecords(series.id, followCounter(all, series, decisions), T0, END, [], decisions);
  assert.ok(expected.length > 8);
  for (let from = T0; from < END; from += WINDOW_MS) {
    for (let to = from + WINDOW_MS; to <= END; to += WINDOW_MS) {
      const found = await pureRecords({ usage, book: log.book, frontier }, [{ series, from, to }]);
      const own = expected.filter((r) => r.window >= from && r.window < to);
      assert.deepEqual(found, own, `windows ${(from - T0) / WINDOW_MS} to ${(to - T0) / WINDOW_MS}`);
    }
  }
}

test('the next reading of an epoch that was silent since before the sight starts no counter', () =>
  check([
    [0, 1_000_000n, { epoch: 3 }],
    [60, 1_500_000n, { epoch: 3 }],
    // It moves: the new place speaks every ten minutes, the old one after two hours for the last time.
    ...Array.from({ length: 14 }, (_, i): Row => [151 + 10 * i, BigInt(i * 7), { epoch: 4 }]),
    [181, 1_700_000n, { epoch: 3, stamps: Stamp.late }],
  ]));

test('two epochs that meet at one instant end where the later one ends', () =>
  check([
    [0, 10n, { epoch: 6 }],
    [50, 20n, { epoch: 6 }],
    [102, 0n, { epoch: 7 }],
    [102, 30n, { epoch: 6 }],
    [110, 5n, { epoch: 7 }],
    [170, 9n, { epoch: 7 }],
    [174, 0n, { epoch: 7, stamps: Stamp.end }],
  ]));

test('a late reading on the edge of a window changes all windows back to the reading before it', async () => {
  for (const minutes of [30, 60, 24 * 60, 4 * 24 * 60]) {
    const world = await openWorld(T0 + 10 * 24 * 60 * MINUTE);
    const series = await world.series('nic-1');
    await world.read(series, [
      [T0, 0n],
      [T0 + 15 * MINUTE, 1000n],
    ]);
    await world.declare(T0 + 9 * 24 * 60 * MINUTE);
    await world.usage.job.run();
    await world.read(series, [[T0 + (15 + minutes) * MINUTE, 9000n]]);
    await world.usage.job.run();
    const records = await world.store.counterRecords([series.id], 0, Number.MAX_SAFE_INTEGER);
    const used = records.reduce((sum, record) => sum + record.used, 0n);
    assert.equal(used, 9000n, `${minutes} minutes later`);
  }
});
