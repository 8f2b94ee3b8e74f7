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

test('a subject with many keys keeps each apart, and each is one sum', () => {
  const { sums, open } = make();
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 20; i++) sums.add({ meter: `m${i % 5}`, subject: 'a', dimensions: { x: `${i}` } }, i);
  assert.deepEqual(
    open(),
    Array.from({ length: 20 }, (_, i) => `m${i % 5} a x ${i}: ${2 * i} (2)`),
  );
});

test('what was put off belongs to the bucket and the measure of its call, however many wait', () => {
  const { sums, clock, open } = make();
  const own = { meter: 'm', subject: 'a' };
  for (let i = 0; i < 3000; i++) sums.add(own, 1);
  own.subject = 'b';
  sums.add(own, 5);
  clock.at = sums.open.end;
  sums.add(own, 7);
  const [over] = sums.takeOver();
  assert.deepEqual(
    over?.cells.map(({ key, freshSum }) => [key.subject, freshSum]),
    [
      ['a', 3000],
      ['b', 5],
    ],
  );
  assert.deepEqual([open(), sums.added], [['m b: 7 (1)'], 3002]);
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

test('whatever order keys come in, the sums are those of a map by the joined key', () => {
  const measure = fc.record({
    meter: fc.constantFrom('m', 'n', 'o'),
    subject: fc.constantFrom('', 'a', 'b'),
    dimensions: fc.constantFrom(
      {},
      { x: '1' },
      { y: '1' },
      { x: '1', y: '2' },
      { x: '1\u00001' },
      { x: '2' },
      { z: '' },
    ),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(measure, fc.nat(100)), { size: '+1' }), (steps) => {
      const { sums, open } = make();
      const truth = new Map<string, { sum: number; count: number }>();
      for (const [own, quantity] of steps) {
        sums.add(own, quantity);
        const key = [own.meter, own.subject, ...Object.entries(own.dimensions).flat()].join(' ').trim();
        if (key.includes('\0')) continue;
        const { sum, count } = truth.get(key) ?? { sum: 0, count: 0 };
        truth.set(key, { sum: sum + quantity, count: count + 1 });
      }
      assert.deepEqual(
        open(),
        [...truth].map(([key, { sum, count }]) => `${key}: ${sum} (${count})`),
      );
    }),
  );
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

test('a quantity that stands for several measurements counts as so many', () => {
  const { sums, open } = make();
  sums.add({ meter: 'm', subject: 'a' }, 7, 3);
  sums.add({ meter: 'm', subject: 'a' }, 1);
  for (const times of [0, -1, 1.5]) sums.add({ meter: 'm', subject: 'a' }, 1, times);
  assert.deepEqual(open(), ['m a: 8 (4)']);
  assert.deepEqual([sums.added, sums.refused], [4, 3]);
});

test('who adds up for itself is asked before the sums are taken: right after a bucket’s end for that bucket', () => {
  const { clock, sums, open } = make();
  let held = 5;
  const leave = sums.beforeTake(() => {
    sums.add({ meter: 'm', subject: 'a' }, held);
  });
  const { end } = sums.open;
  clock.at = end + 20;
  assert.deepEqual(
    sums.takeOver().map(({ cells }) => cells[0]?.freshSum),
    [5],
  );
  assert.deepEqual(open(), []);
  held = 6;
  clock.at = end + 9_999;
  sums.turn();
  clock.at += 60_000;
  held = 7;
  assert.deepEqual(
    sums.takeOver().map(({ cells }) => cells[0]?.freshSum),
    [6],
  );
  assert.deepEqual(open(), ['m a: 7 (1)'], 'long after the end');
  leave();
  sums.turn();
  assert.deepEqual(open(), []);
});

test('a dimension that holds what keys are joined with is refused, and added to no other key', () => {
  const { sums } = make();
  for (let i = 0; i < 20; i++) sums.add({ meter: 'm', subject: 's', dimensions: { p: String(i), q: '2' } }, 1);
  sums.add({ meter: 'm', subject: 's', dimensions: { p: '15\0q\x002' } }, 100);
  assert.equal(sums.refused, 1);
  assert.ok(sums.open.cells.every(({ freshSum }) => freshSum === 1));
});
