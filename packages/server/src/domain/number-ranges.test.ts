import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NumberRanges } from './number-ranges.ts';

const span = fc
  .tuple(fc.nat(40), fc.integer({ min: -1, max: 9 }))
  .map(([first, more]) => [first, first + more] as const);

test('ranges are the set of the numbers added, in any order, and neither overlap nor touch', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 20 }), (spans) => {
      const ranges = new NumberRanges();
      const numbers = new Set<number>();
      for (const [first, last] of spans) {
        ranges.add(first, last);
        for (let n = first; n <= last; n++) numbers.add(n);
      }
      for (let n = -1; n <= 52; n++) assert.equal(ranges.has(n), numbers.has(n), `${n}`);
      const listed = [...ranges];
      for (const [i, [first, last]] of listed.entries()) {
        assert.ok(first <= last);
        assert.ok(i === 0 || first > (listed[i - 1]?.[1] ?? 0) + 1, 'a number lies between two ranges');
      }
      assert.equal(
        listed.reduce((sum, [first, last]) => sum + last - first + 1, 0),
        numbers.size,
      );
    }),
  );
});

test('a copy goes its own way', () => {
  const one = new NumberRanges();
  one.add(1, 5);
  const copy = new NumberRanges(one);
  copy.add(6, 7);
  assert.deepEqual([[...one], [...copy]], [[[1, 5]], [[1, 7]]]);
});
