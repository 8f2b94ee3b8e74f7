import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { edges, parseInstant } from './calendar.ts';
import { bitsPerSecond, type DirectionRule, nearestRank, percentile, SAMPLE_MS, Samples } from './percentile.ts';
import { formatQuantity } from './quantity.ts';
import { Flag } from './record.ts';

const DAY = 86_400_000;

/** Samples from time 0 on; null is an interval that was never seen, undefined one that nothing was added to. */
function samplesOf(values: readonly (number | bigint | null | undefined)[], length = values.length): Samples {
  const out = new Samples(0, length * SAMPLE_MS);
  values.forEach((value, i) => {
    if (value === null) out.unobserved(i * SAMPLE_MS);
    else if (value !== undefined) out.add(i * SAMPLE_MS, BigInt(value));
  });
  return out;
}
const oneTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

test('the 95th percentile of a month drops a twentieth and bills the next: the contract table', () => {
  const rows: [days: number, samples: number, billed: number, dropped: number][] = [
    [28, 8064, 7661, 403],
    [29, 8352, 7935, 417],
    [30, 8640, 8208, 432],
    [31, 8928, 8482, 446],
  ];
  for (const [days, samples, billed, dropped] of rows) {
    assert.equal(nearestRank(950, samples), billed);
    // Each sample is its own rank, in an order that is not theirs.
    const values = oneTo(samples).map((i) => ((i * 4409) % samples) + 1);
    const got = percentile(950, 'max-of-percentiles', [samplesOf(values)]);
    assert.equal(got.expected, (days * DAY) / SAMPLE_MS);
    assert.deepEqual([got.observed, got.bytes, got.position, got.dropped], [samples, BigInt(billed), billed, dropped]);
    assert.equal(got.coverage, 1000);
  }
});

test('a sample is the nearest rank, never between two', () => {
  const rows: [rank: number, n: number, position: number][] = [
    [950, 1, 1],
    [950, 19, 19],
    [950, 20, 19],
    [950, 21, 20],
    [500, 4, 2],
    [500, 5, 3],
    [1, 1000, 1],
    [1, 1001, 2],
    [1000, 7, 7],
    [950, 0, 0],
  ];
  for (const [rank, n, position] of rows) {
    const got = percentile(rank, 'percentile-of-sum', [samplesOf(oneTo(n))]);
    assert.equal(got.position, position, `rank ${rank} of ${n}`);
    assert.equal(got.bytes, n === 0 ? null : BigInt(position));
  }
});

test('a local month has 12 samples more or fewer when its clock is put back or forward', () => {
  const zone = 'Europe/Berlin';
  const expected = (month: string): number => {
    const [from = 0, to = 0] = edges(zone, 'month', parseInstant(month, zone), parseInstant(month, zone) + 1);
    return new Samples(from, to).expected;
  };
  assert.deepEqual(['2026-03-01', '2026-10-01', '2026-12-01'].map(expected), [8916, 8940, 8928]);
});

test('the three rules give three answers', () => {
  const received = samplesOf([10, 20, 30, 100]);
  const sent = samplesOf([90, 40, 25, 1]);
  const check = (rule: DirectionRule, bytes: bigint) =>
    assert.equal(percentile(750, rule, [received, sent]).bytes, bytes, rule);
  // Third smallest of each: 30 and 40; of 90 40 30 100; of 100 60 55 101.
  check('max-of-percentiles', 40n);
  check('percentile-of-max', 90n);
  check('percentile-of-sum', 100n);
  const highest = percentile(750, 'max-of-percentiles', [received, sent]);
  assert.equal(highest.winner, 1);
  assert.deepEqual(
    highest.directions.map((d) => d.bytes),
    [30n, 40n],
  );
});

test('ports are added by interval before ranking: percentiles do not add', () => {
  const both = samplesOf([100, 0, 0, 0]);
  [0n, 100n, 0n, 0n].forEach((bytes, i) => void both.add(i * SAMPLE_MS + 1, bytes));
  // Each port alone has 0 at rank 750.
  assert.equal(percentile(750, 'max-of-percentiles', [both]).bytes, 100n);
});

test('what was not seen is left out and N shrinks; it does not count as zero', () => {
  const got = percentile(500, 'max-of-percentiles', [samplesOf([8, null, undefined, 9, 7, null], 8)]);
  assert.deepEqual([got.bytes, got.observed, got.expected, got.coverage], [8n, 3, 8, 375]);
  assert.equal(got.flags, Flag.unobserved);
  // One of two ports was not seen: the sum of the rest is no sample.
  const ports = samplesOf([1, 2, 3]);
  ports.unobserved(2 * SAMPLE_MS);
  ports.add(2 * SAMPLE_MS, 50n);
  assert.deepEqual([percentile(1000, 'percentile-of-sum', [ports]).bytes], [2n]);
  // One of two directions was not seen: the interval has neither a sum nor a maximum.
  for (const rule of ['percentile-of-sum', 'percentile-of-max'] as const) {
    const half = percentile(1000, rule, [samplesOf([1, 2, 3]), samplesOf([1, undefined, null])]);
    assert.deepEqual([half.observed, half.coverage, half.flags], [1, 333, Flag.unobserved]);
    // A direction without any sample does not exist for this account.
    assert.equal(percentile(1000, rule, [samplesOf([1, 2, 3]), samplesOf([], 3)]).bytes, 3n);
  }
  const worst = percentile(1000, 'max-of-percentiles', [samplesOf([1, 2, 3, 4]), samplesOf([1, null, 3, null])]);
  assert.deepEqual([worst.bytes, worst.observed, worst.coverage], [4n, 4, 500]);
});

test('nothing observed has no percentile, and it is not zero', () => {
  for (const rule of ['max-of-percentiles', 'percentile-of-max', 'percentile-of-sum'] as const) {
    const got = percentile(950, rule, [samplesOf([null, undefined]), samplesOf([null, null])]);
    assert.deepEqual([got.bytes, got.bitsPerSecond, got.exact, got.coverage, got.dropped], [null, null, null, 0, 0]);
  }
  assert.equal(percentile(950, 'percentile-of-sum', [new Samples(0, 0)]).coverage, 0);
  assert.equal(percentile(950, 'percentile-of-sum', [samplesOf([0, 0])]).bytes, 0n);
});

test('the answer says how many samples were spread or made from a gap', () => {
  const samples = new Samples(0, 4 * SAMPLE_MS);
  samples.add(0, 1n, Flag.spread);
  samples.add(SAMPLE_MS, 1n, Flag.spread | Flag.gap);
  samples.add(2 * SAMPLE_MS, 1n, Flag.inferredReset);
  samples.add(3 * SAMPLE_MS, 1n, Flag.gap);
  samples.unobserved(3 * SAMPLE_MS);
  const got = percentile(950, 'percentile-of-sum', [samples]);
  assert.deepEqual([got.observed, got.spread, got.synthetic], [3, 2, 1]);
  assert.equal(got.flags, Flag.spread | Flag.gap | Flag.inferredReset | Flag.unobserved);
});

test('an interval that a boundary cuts belongs to neither side', () => {
  const samples = new Samples(1, 3 * SAMPLE_MS - 1);
  assert.deepEqual([samples.from, samples.expected], [SAMPLE_MS, 1]);
  for (let i = -1; i < 4; i++) samples.add(i * SAMPLE_MS, BigInt(10 + i));
  assert.equal(percentile(950, 'percentile-of-sum', [samples]).bytes, 11n);
  assert.equal(new Samples(1, 2).expected, 0);
});

test('bytes in 5 minutes are bits per second exactly, with one named rounding', () => {
  const rows: [bytes: bigint, bits: string][] = [
    [0n, '0'],
    [1n, '0.026666666667'],
    [75n, '2'],
    [37_500_000_000n, '1000000000'],
    [2n ** 64n - 1n, '491913175298921376.4'],
  ];
  for (const [bytes, bits] of rows) assert.equal(formatQuantity(bitsPerSecond(bytes)), bits);
  assert.equal(formatQuantity(bitsPerSecond(1n, 'down')), '0.026666666666');
  const got = percentile(950, 'percentile-of-sum', [samplesOf([1n])], 'ceiling');
  assert.deepEqual(got.exact, { numerator: 8n, denominator: 300n });
  assert.equal(formatQuantity(got.bitsPerSecond ?? 0n), '0.026666666667');
});

test('a question that makes no sense is refused', () => {
  const samples = samplesOf([1]);
  for (const rank of [0, -1, 1001, 95.5, Number.NaN])
    assert.throws(() => percentile(rank, 'percentile-of-sum', [samples]), RangeError);
  assert.throws(() => percentile(950, 'percentile-of-sum', []), RangeError);
  assert.throws(() => percentile(950, 'percentile-of-sum', [samples, samplesOf([1, 2])]), RangeError);
  assert.throws(() => samples.add(0, -1n), RangeError);
});

/** Math.max takes no bigint. */
const most2 = (a: bigint, b: bigint): bigint => [a, b].sort((x, y) => (x > y ? -1 : 1))[0] ?? a;

/** Another way to the same: the smallest sample that at least rank per mille of all do not exceed. */
function oracle(rank: number, values: readonly bigint[]): bigint | null {
  const enough = values.filter((v) => 1000 * values.filter((other) => other <= v).length >= rank * values.length);
  return enough.reduce<bigint | null>((least, v) => (least === null || v < least ? v : least), null);
}

test('every rule agrees with an oracle that counts instead of sorting', () => {
  const cell = fc.oneof(
    fc.constant(null),
    fc.bigInt({ min: 0n, max: 20n }),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  );
  // Two directions of two ports each.
  const grid = fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 40 });
  const sumOf = (a: bigint | null, b: bigint | null): bigint | null => (a === null || b === null ? null : a + b);
  const present = (list: readonly (bigint | null)[]): bigint[] => list.filter((v) => v !== null);
  fc.assert(
    fc.property(grid, fc.integer({ min: 1, max: 1000 }), (rows, rank) => {
      const directions = [0, 2].map((port) => {
        const out = new Samples(0, rows.length * SAMPLE_MS);
        for (const p of [port, port + 1]) {
          rows.forEach((row, i) => {
            const bytes = row[p] ?? null;
            if (bytes === null) out.unobserved(i * SAMPLE_MS);
            else out.add(i * SAMPLE_MS, bytes);
          });
        }
        return out;
      });
      const sums = [0, 2].map((port) => rows.map((row) => sumOf(row[port] ?? null, row[port + 1] ?? null)));
      const [a = [], b = []] = sums.filter((list) => present(list).length > 0);
      const only = b.length === 0;
      const total = a.map((v, i) => (only ? v : sumOf(v, b[i] ?? null)));
      const most = a.map((v, i) => {
        const other = only ? v : (b[i] ?? null);
        return v === null || other === null ? null : most2(v, other);
      });
      const each = sums.map((list) => oracle(rank, present(list)) ?? -1n).reduce(most2);
      assert.equal(percentile(rank, 'percentile-of-sum', directions).bytes, oracle(rank, present(total)));
      assert.equal(percentile(rank, 'percentile-of-max', directions).bytes, oracle(rank, present(most)));
      assert.equal(percentile(rank, 'max-of-percentiles', directions).bytes ?? -1n, each);
    }),
    { numRuns: process.env.CI === 'true' ? 20_000 : 500 },
  );
});
