import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Measure } from './recorder.ts';
import { Sums, type SumsSettings } from './sums.ts';

const START = 1_790_000_000_000;

const make = (settings: Partial<SumsSettings> = {}) => {
  const clock = { at: START, now: () => clock.at, elapsed: () => 0, sleep: async () => undefined };
  const sums = new Sums(clock, { bucketMs: 10_000, keysMax: 100, ...settings });
  /** Fresh sums of the open bucket, as `meter subject dimensions: sum (count)`. */
  const open = (): string[] =>
    sums.open.cells.map(
      ({ key, freshSum, freshCount }) =>
        `${[key.meter, key.subject, ...key.dimensions].join(' ').trim()}: ${freshSum} (${freshCount})`,
    );
  return { clock, sums, open };
};

test('what has the same meter, subject and dimensions is one sum, in whatever order dimensions are written', () => {
  const { sums, open } = make();
  sums.add({ meter: 'm', subject: 'a' }, 1);
  sums.add({ meter: 'm', subject: 'a', dimensions: {} }, 2);
  sums.add({ meter: 'm', subject: 'a', dimensions: { x: '1', y: '2' } }, 3);
  sums.add({ meter: 'm', subject: 'a', dimensions: { y: '2', x: '1' } }, 4n);
  sums.add({ meter: 'm', subject: 'b' }, 5);
  sums.add({ meter: 'n', subject: 'a' }, 6);
  assert.deepEqual(open(), ['m a: 3 (2)', 'm a x 1 y 2: 7 (2)', 'm b: 5 (1)', 'n a: 6 (1)']);
});

test('sums are exact beyond 2^53', () => {
  const { sums, open } = make();
  for (let i = 0; i < 3; i++) sums.add({ meter: 'm', subject: 'a' }, Number.MAX_SAFE_INTEGER);
  sums.add({ meter: 'm', subject: 'a' }, 2n ** 70n);
  assert.deepEqual(open(), [`m a: ${3n * (2n ** 53n - 1n) + 2n ** 70n} (4)`]);
});

test('what is no whole number, or what the server would refuse, is refused and counted', () => {
  const { sums, open } = make();
  const ok: Measure = { meter: 'm', subject: 'a' };
  for (const quantity of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -1n]) sums.add(ok, quantity);
  sums.set(ok, -1);
  sums.add({ meter: '', subject: 'a' }, 1);
  sums.add({ meter: 'm', subject: 'a\nb' }, 1);
  sums.add({ meter: 'm', subject: 'ä'.repeat(257) }, 1);
  sums.add({ meter: 'm', subject: '\ud800' }, 1);
  sums.add({ ...ok, dimensions: { value: '1' } }, 1);
  sums.add({ ...ok, dimensions: { n: 5 as unknown as string } }, 1);
  assert.deepEqual(open(), []);
  assert.equal(sums.refused, 13);
});

test('keys beyond the bound lose their subject, not their quantity', () => {
  const { sums, open } = make({ keysMax: 2 });
  for (const subject of ['a', 'b', 'c', 'd', 'a']) sums.add({ meter: 'm', subject }, 10);
  assert.deepEqual(
    open(),
    ['m a: 20 (2)', 'm b: 10 (1)', 'm overflow true: 20 (2)'].map((t) => t.replace('m o', 'm  o')),
  );
  assert.equal(sums.overflowed, 2);
});

test('buckets lie on the grid, and a bucket that is over is handed on once', () => {
  const { sums, clock } = make();
  sums.add({ meter: 'm', subject: 'a' }, 1);
  assert.deepEqual([sums.open.start % 10_000, sums.open.end - sums.open.start], [0, 10_000]);
  assert.equal(sums.takeOver().length, 0);
  clock.at = sums.open.end;
  sums.add({ meter: 'm', subject: 'a' }, 2);
  const over = sums.takeOver();
  assert.deepEqual([over.length, over[0]?.end, over[0]?.over], [1, sums.open.start, true]);
  assert.equal(sums.takeOver().length, 0);
});

test('a clock that steps back a little stays in its bucket, one that steps back far is believed', () => {
  const { sums, clock } = make();
  const { start } = sums.open;
  clock.at = start - 5000;
  sums.add({ meter: 'm', subject: 'a' }, 1);
  assert.equal(sums.open.start, start);
  clock.at = start - 3_600_000;
  sums.add({ meter: 'm', subject: 'a' }, 1);
  assert.equal(sums.open.start, start - 3_600_000);
});

test('a frozen measure that is used again and again is the same sum as a fresh one, in every bucket', () => {
  const measure = fc.record({
    meter: fc.constantFrom('m', 'n'),
    subject: fc.constantFrom('', 'a', 'b'),
    dimensions: fc.constantFrom({}, { x: '1' }, { x: '1', y: '2' }),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(measure, fc.nat(100), fc.nat(9000))), (steps) => {
      const [frozen, fresh] = [make(), make()];
      const known = new Map<string, Measure>();
      for (const [own, quantity, ms] of steps) {
        const text = JSON.stringify(own);
        const kept = known.get(text) ?? Object.freeze({ ...own, dimensions: Object.freeze({ ...own.dimensions }) });
        known.set(text, kept);
        frozen.clock.at = fresh.clock.at += ms;
        frozen.sums.add(kept, quantity);
        fresh.sums.add({ ...own, dimensions: { ...own.dimensions } }, quantity);
        assert.deepEqual(frozen.open(), fresh.open());
      }
    }),
  );
});
