import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Level, type LevelRules, levelPieces, levelRecords } from './gauge.ts';
import { compare, QUANTITY_MAX, SCALE } from './quantity.ts';
import { flagNames, stateName } from './record.ts';
import { WINDOW_MS } from './window.ts';

const COMPLETE: LevelRules = { validFor: 0, completeThrough: Number.MAX_SAFE_INTEGER, settledBefore: 0 };
const levels = (...list: [t: number, value: number][]): Level[] =>
  list.map(([t, value]) => ({ t, value: BigInt(value) * SCALE }));

/** Each piece as `from-to integral changes min/max/latest covered state flags`; all at unit scale. */
function check(
  list: Level[],
  boundaries: number[],
  expected: string[],
  rules: Partial<LevelRules> = {},
  start: Level | null = null,
): void {
  const unit = (x: bigint | null): string => (x === null ? '-' : String(x / SCALE));
  const got = levelPieces(list, start, boundaries, { ...COMPLETE, ...rules }).map((p) =>
    `${p.from}-${p.to} ${unit(p.integral)} ${p.changes} ${unit(p.min)}/${unit(p.max)}/${unit(p.latest.value)} ${p.covered} ${stateName(p.state)} ${flagNames(p.flags)}`.trim(),
  );
  assert.deepEqual(got, expected);
}

test('a level holds until it changes and counts level x time', () =>
  check(
    levels([10, 5], [30, 2]),
    [0, 20, 40, 60],
    ['0-20 50 1 5/5/5 10 known', '20-40 70 1 2/5/2 20 known', '40-60 40 0 2/2/2 20 known'],
  ));

test('before the first level there is nothing, and the piece it begins in is known', () =>
  check(levels([25, 1]), [0, 10, 20, 30], ['20-30 5 1 1/1/1 5 known']));

test('a checkpoint carries the level in, so that no piece looks back further', () => {
  check([], [100, 110], ['100-110 70 0 7/7/7 10 known'], {}, { t: 3, value: 7n * SCALE });
  check(levels([104, 1]), [100, 110], ['100-110 34 1 1/7/1 10 known'], {}, { t: 3, value: 7n * SCALE });
});

test('a change on a boundary belongs right', () =>
  check(levels([0, 9], [10, 1]), [0, 10, 20], ['0-10 90 1 9/9/9 10 known', '10-20 10 1 1/1/1 10 known']));

test('of two levels at one instant the last rules and the other never was', () =>
  check(levels([0, 9], [5, 100], [5, 1]), [0, 10], ['0-10 50 2 1/9/1 10 known']));

test('a sample stays valid for its time; after it nothing is known', () =>
  check(
    levels([0, 2], [30, 4]),
    [0, 10, 20, 30, 40, 50],
    [
      '0-10 20 1 2/2/2 10 known',
      '10-20 4 0 2/2/2 2 unobserved unobserved',
      '20-30 0 0 -/-/2 0 unobserved unobserved',
      '30-40 40 1 4/4/4 10 known',
      '40-50 8 0 4/4/4 2 unobserved unobserved',
    ],
    { validFor: 12 },
  ));

test('beyond what the source has reported a level is pending, until it has settled', () => {
  const list = levels([0, 1]);
  check(list, [0, 10, 20], ['0-10 10 1 1/1/1 10 known', '10-20 10 0 1/1/1 10 pending'], { completeThrough: 15 });
  check(list, [0, 10, 20], ['0-10 10 1 1/1/1 10 known', '10-20 10 0 1/1/1 10 unobserved unobserved'], {
    completeThrough: 15,
    settledBefore: 20,
  });
});

test('an integral beyond 38 digits is quarantined, not wrapped', () => {
  const [piece] = levelPieces([{ t: 0, value: QUANTITY_MAX }], null, [0, 2], COMPLETE);
  assert.equal(stateName(piece?.state ?? 0), 'quarantined');
  assert.equal(piece?.integral, 0n);
  assert.equal(levelPieces([{ t: 0, value: QUANTITY_MAX }], null, [0, 1], COMPLETE)[0]?.integral, QUANTITY_MAX);
});

test('records lie on the window grid and are cut at owner changes', () => {
  const span = { ...COMPLETE, from: 0, to: 2 * WINDOW_MS, breakpoints: [100, 100, WINDOW_MS, 5 * WINDOW_MS] };
  const records = levelRecords(3, levels([0, 1]), null, span);
  assert.deepEqual(
    records.map((r) => [r.window, r.part, r.sum / SCALE, r.count]),
    [
      [0, 0, 100n, 1n],
      [0, 100, BigInt(WINDOW_MS - 100), 0n],
      [WINDOW_MS, 0, BigInt(WINDOW_MS), 0n],
    ],
  );
  assert.deepEqual(records.at(-1)?.latestAt, 0);
});

test('pieces equal a walk over every millisecond, and any cut of them adds up', () => {
  const list = fc.array(fc.record({ t: fc.nat(60), value: fc.bigInt({ min: -20n, max: 20n }) }), { maxLength: 8 });
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 69 }), { maxLength: 6 });
  fc.assert(
    fc.property(list, cuts, fc.constantFrom(0, 1, 7, 100), (unsorted, inner, validFor) => {
      const sorted = [...unsorted].sort((a, b) => a.t - b.t);
      const edges = [0, ...inner.sort((a, b) => a - b), 70];
      const rules = { ...COMPLETE, validFor };
      const pieces = levelPieces(sorted, null, edges, rules);
      const levelAt = (t: number): bigint | null => {
        const level = sorted.findLast((l) => l.t <= t);
        return level === undefined || (validFor > 0 && t >= level.t + validFor) ? null : level.value;
      };
      for (const p of pieces) {
        const walk = Array.from({ length: p.to - p.from }, (_, i) => levelAt(p.from + i))
          .filter((v) => v !== null)
          .sort(compare);
        assert.equal(
          p.integral,
          walk.reduce((n, v) => n + v, 0n),
        );
        assert.equal(p.covered, walk.length);
        assert.equal(p.max, walk.at(-1) ?? null);
        assert.equal(p.min, walk[0] ?? null);
        assert.equal(p.state === 0, walk.length === p.to - Math.max(p.from, sorted[0]?.t ?? 0));
      }
      const whole = levelPieces(sorted, null, [0, 70], rules).reduce((n, p) => n + p.integral, 0n);
      assert.equal(
        pieces.reduce((n, p) => n + p.integral, 0n),
        whole,
      );
    }),
    { numRuns: process.env.CI === 'true' ? 10_000 : 500 },
  );
});

test('a checkpoint in the middle gives the same pieces as starting from the beginning', () => {
  const list = fc.uniqueArray(fc.record({ t: fc.nat(60), value: fc.bigInt({ min: 0n, max: 20n }) }), {
    maxLength: 8,
    selector: (l) => l.t,
  });
  fc.assert(
    fc.property(list, fc.integer({ min: 1, max: 69 }), fc.constantFrom(0, 7), (unsorted, middle, validFor) => {
      const sorted = [...unsorted].sort((a, b) => a.t - b.t);
      const rules = { ...COMPLETE, validFor };
      const all = levelPieces(sorted, null, [0, middle, 70], rules);
      const checkpoint = all.find((p) => p.to === middle)?.latest ?? null;
      const later = sorted.filter((l) => l.t >= middle);
      assert.deepEqual(
        levelPieces(later, checkpoint, [middle, 70], rules),
        all.filter((p) => p.from === middle),
      );
    }),
  );
});
