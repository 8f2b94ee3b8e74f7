/**
 * The laws of the design by number, and what went wrong elsewhere by its name in the field's issue trackers. What a law
 * needs real parts for is proven by a scenario; the table at the end says where, and that the scenario is still there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { counterRecords, usageOf } from 'tollgate/domain/delta.js';
import { flagNames, State } from 'tollgate/domain/record.js';
import { WINDOW_MS } from 'tollgate/domain/window.js';
import { courseOf, type Row, readingsOf, total, undecided, usedBetween } from './counters.ts';
import { existsSync } from './harness/glob.ts';
import { read, root } from './house/tree.ts';
import { isLong } from './needs.ts';
import { Device } from './simulation/device.ts';
import { Lots } from './simulation/lots.ts';

const RUNS = isLong ? 2000 : 150;
const seeds = fc.integer({ min: 0, max: 2 ** 31 });

/** A device's life as rows, in the order of its polls. Epochs are numbered. */
const lifeOf = (seed: number, polls: number): { device: Device; rows: Row[] } => {
  const lots = new Lots(seed);
  const device = new Device('d', lots.branch(), 1_000_000);
  let now = 1_000_000;
  const rows: Row[] = [];
  for (let n = 0; n < polls; n++) {
    now += lots.int(1, lots.chance(0.1) ? 7200 : 300) * 1000;
    if (lots.chance(0.08)) device.reset(now - 500);
    const poll = device.poll(now);
    rows.push([poll.t / 1000, poll.value, Number(poll.epoch.split('/')[1]) + 1, poll.start / 1000]);
  }
  return { device, rows };
};

test('law 3: usage does not depend on the order in which readings came', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { rows } = lifeOf(seed, 40);
      const shuffled = new Lots(seed + 1).shuffle([...rows, ...rows.slice(0, 10)]);
      assert.equal(total(shuffled), total(rows));
    }),
    { numRuns: RUNS },
  );
});

test('law 3: computed from any part of the windows, in any order, the records are the same', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { rows } = lifeOf(seed, 30);
      const course = courseOf(rows);
      const to = Math.ceil(((rows.at(-1)?.[0] ?? 0) * 1000) / WINDOW_MS + 2) * WINDOW_MS;
      const whole = counterRecords(1, course, 0, to, [], undecided);
      for (const record of new Lots(seed).shuffle(whole).slice(0, 5))
        assert.deepEqual(counterRecords(1, course, record.window, record.window + WINDOW_MS, [], undecided), [record]);
    }),
    { numRuns: RUNS },
  );
});

test('law 4: the records sum to what the device showed; what they miss is what no reading could show', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { device, rows } = lifeOf(seed, 60);
      assert.equal(total(rows), device.shown());
      assert.equal(device.truth - total(rows), device.unseen());
      assert.ok(total(rows) <= device.truth);
    }),
    { numRuns: RUNS },
  );
});

test('law 4: pieces telescope, wherever the boundaries lie', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { rows } = lifeOf(seed, 40);
      const lots = new Lots(seed + 2);
      const last = Math.ceil((rows.at(-1)?.[0] ?? 0) * 1000) + 10_000;
      const cuts = [...new Set([0, ...Array.from({ length: 30 }, () => lots.int(1, last - 1)), last])].sort(
        (a, b) => a - b,
      );
      const pieces = usageOf(courseOf(rows), cuts, undecided);
      assert.equal(
        pieces.reduce((sum, piece) => sum + piece.used, 0n),
        total(rows),
      );
      for (const piece of pieces) assert.ok(piece.used >= 0n);
    }),
    { numRuns: RUNS },
  );
});

test('law 4: a reset without a reading before it leaves an unobserved interval, not a guess', () => {
  const rows: Row[] = [
    [100, 1000, 1],
    [200, 1500, 1],
    [400, 70, 2, 350],
  ];
  assert.equal(total(rows), 570n);
  assert.deepEqual(courseOf(rows).unobserved, [{ from: 200_000, to: 350_000 }]);
});

test('law 5: after the last reading usage is pending, not zero', () => {
  const pieces = usageOf(
    courseOf([
      [0, 5],
      [800, 50],
    ]),
    [0, WINDOW_MS],
    undecided,
  );
  assert.deepEqual(
    pieces.map((p) => [p.used, p.state]),
    [[45n, State.pending]],
  );
});

test('law 8: counters at the edge of 64 bits are exact', () => {
  const top = 2n ** 64n - 1n;
  assert.equal(
    total([
      [0, 0],
      [60, top],
    ]),
    top,
  );
  assert.equal(
    total([
      [0, top - 1n],
      [60, top],
    ]),
    1n,
  );
  assert.equal(
    total([
      [0, 2n ** 53n],
      [60, 2n ** 53n + 1n],
    ]),
    1n,
  );
  assert.equal(
    usedBetween(
      [
        [0, 0],
        [3, top],
      ],
      0,
      1,
    ) +
      usedBetween(
        [
          [0, 0],
          [3, top],
        ],
        1,
        3,
      ),
    top,
  );
});

// The field's known failures (spec: what users complain about).

test('mitos#236: a counter that restarts never makes a negative', () => {
  const rows: Row[] = [
    [0, 100],
    [60, 350],
    [120, 50],
  ];
  assert.equal(total(rows), 300n);
  assert.deepEqual(
    usageOf(courseOf(rows), [60_000, 120_001], undecided).map((p) => [
      p.used,
      flagNames(p.flags).includes('inferredReset'),
    ]),
    [[50n, true]],
  );
});

test('unkey#6861 and 3x-ui#5456: an agent that restarts does not count the whole counter again', () => {
  // The agent forgets everything; the counter's epoch is the same, so its first value after the restart is one more reading.
  const rows: Row[] = [
    [0, 5_000_000],
    [60, 5_000_100],
    [3600, 5_000_200],
  ];
  assert.equal(total(rows), 200n);
});

test('beszel#1983: after a reboot nothing is billed that never flowed', () => {
  assert.equal(
    total([
      [0, 63_000_000_000, 1],
      [60, 63_000_000_500, 1],
      [120, 300, 2, 90],
    ]),
    800n,
  );
});

test('librenms#2799: a total is not billed as a difference', () => {
  assert.equal(total([[0, 50_000_000_000]]), 0n);
});

test('prometheus#3746: nothing is extrapolated to the edges of a window', () => {
  const rows: Row[] = [
    [10, 0],
    [70, 250],
    [130, 500],
    [190, 750],
    [250, 1000],
  ];
  assert.equal(usedBetween(rows, 0, 300), 1000n);
});

test('cumora#285: an empty answer does not wipe the baseline', () => {
  assert.equal(
    total([
      [0, 1000],
      [60, 1500],
      [180, 1700],
    ]),
    700n,
  );
});

test('cloudstack: a reset that climbs past the old value is seen by its epoch', () => {
  assert.equal(
    total([
      [0, 100, 1],
      [60, 200, 1],
      [120, 5000, 2, 61],
    ]),
    5100n,
  );
});

test('cf-abacus#496: facts near the edge of a window give one sum in every order', () => {
  const rows: Row[] = [
    [890, 10],
    [899, 20],
    [900, 30],
    [901, 40],
    [910, 50],
  ];
  const windows = (order: readonly Row[]): bigint[] => [usedBetween(order, 0, 900), usedBetween(order, 900, 1800)];
  const want = windows(rows);
  assert.deepEqual(want, [20n, 20n]);
  for (let seed = 0; seed < 50; seed++) assert.deepEqual(windows(new Lots(seed).shuffle(rows)), want);
});

test('an identical reading counts once however often it comes (law 2)', () => {
  const rows: Row[] = [
    [0, 10],
    [60, 20],
    [60, 20],
    [60, 20],
    [120, 25],
    [0, 10],
  ];
  assert.equal(total(rows), 15n);
  assert.equal(readingsOf(rows).length, 6);
});

/** Where each law is proven with real parts or at length: file and a part of the test's name. */
const elsewhere: readonly [law: string, file: string, name: string][] = [
  ['1', 'test/scenarios/fsync.test.ts', 'files and their directories are synced before every 2xx'],
  ['1', 'test/scenarios/kill.test.ts', 'every acknowledged event is counted once'],
  ['2', 'test/scenarios/disorder.test.ts', 'retry storms'],
  ['3', 'test/scenarios/two-workers.test.ts', 'two workers'],
  ['5', 'test/simulation/simulation.test.ts', 'seed'],
  ['6', 'test/scenarios/hostile.test.ts', 'bad events are named one by one'],
  ['7', 'test/scenarios/two-workers.test.ts', 'two workers'],
  ['10', 'test/field.test.ts', 'law 10'],
  ['11', 'test/field.test.ts', 'law 11'],
  ['12', 'test/field.test.ts', 'law 12'],
];

for (const [law, file, name] of elsewhere) {
  test(`law ${law} is proven by ${file}`, () => {
    assert.ok(existsSync(root, file), `${file} is gone`);
    assert.ok(read(file).includes(name), `${file} has no test "${name}" any more`);
  });
}
