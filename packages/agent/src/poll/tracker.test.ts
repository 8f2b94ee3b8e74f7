import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Seen, Tracker } from './tracker.ts';

const one = (object: string, epoch = 'e1', scope = ''): Seen => ({ object, meter: 'm', epoch, value: 7n, scope });
const startOf = (
  tracked: { counted: readonly { object: string; start: number }[] },
  object: string,
): number | undefined => tracked.counted.find((c) => c.object === object)?.start;

test('what the first pass finds has no known start', () => {
  assert.equal(startOf(new Tracker().take({ at: 1000, seen: [one('a')] }), 'a'), 0);
});

test('a counter that the pass before did not see began after that pass', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [one('a')] });
  const pass = tracker.take({ at: 2000, seen: [one('a'), one('b')] });
  assert.deepEqual([startOf(pass, 'a'), startOf(pass, 'b')], [0, 1000]);
});

test('a counter of a new epoch began after the pass before, and the old one has ended just before the new is read', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [one('a')] });
  const pass = tracker.take({ at: 2000, seen: [one('a', 'e2')] });
  assert.equal(startOf(pass, 'a'), 1000);
  assert.deepEqual(pass.ended, [{ object: 'a', meter: 'm', epoch: 'e1', at: 1999 }]);
});

test('no start lies before the boot', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [] });
  assert.equal(startOf(tracker.take({ at: 9000, seen: [one('a')], notBefore: 8500 }), 'a'), 8500);
});

test('what could not be read has not ended, and what shows up there later claims no start', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [one('a', 'e1', 'x')] });
  const dark = tracker.take({ at: 2000, seen: [], unread: ['x', 'y'] });
  assert.deepEqual(dark.ended, []);
  const pass = tracker.take({ at: 3000, seen: [one('a', 'e1', 'x'), one('b', 'e1', 'y'), one('c', 'e1', 'z')] });
  assert.deepEqual([startOf(pass, 'a'), startOf(pass, 'b'), startOf(pass, 'c')], [0, 0, 2000]);
});

test('a scope is unread with the one it is a part of', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [one('a', 'e1', 'x/a'), one('b', 'e1', 'x/b'), one('c', 'e1', 'xy/c')] });
  assert.deepEqual(
    tracker.take({ at: 2000, seen: [], unread: ['x'] }).ended.map(({ object }) => object),
    ['c'],
  );
  assert.deepEqual(
    tracker.take({ at: 3000, seen: [], unread: ['x/a'] }).ended.map(({ object }) => object),
    ['b'],
  );
  assert.equal(startOf(tracker.take({ at: 4000, seen: [one('d', 'e1', 'x/a'), one('e', 'e1', 'x/b')] }), 'd'), 0);
});

test('a counter that need not begin at zero claims no start', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [] });
  assert.equal(startOf(tracker.take({ at: 2000, seen: [{ ...one('a'), fromZero: false }] }), 'a'), 0);
});

test('no start is claimed that does not lie before the value', () => {
  const check = (at: number, told: number | undefined, start: number): void => {
    const tracker = new Tracker();
    tracker.take({ at: 1000, seen: [] });
    const seen = { ...one('a'), at, ...(told === undefined ? {} : { start: told }) };
    assert.equal(startOf(tracker.take({ at: 2000, seen: [seen] }), 'a'), start, `${at} ${told}`);
  };
  check(1500, undefined, 1000);
  check(1000, undefined, 0);
  check(900, undefined, 0);
  check(1500, 1400, 1400);
  check(1500, 1500, 0);
  check(1500, 1600, 0);
});

test('a clock that stepped back proves nothing of starts', () => {
  const tracker = new Tracker();
  tracker.take({ at: 5000, seen: [] });
  assert.equal(startOf(tracker.take({ at: 4000, seen: [one('a')] }), 'a'), 0);
});

test('series of one object and meter are told apart by their dimensions, in any order of theirs', () => {
  const tracker = new Tracker();
  tracker.take({ at: 1000, seen: [{ ...one('a'), dimensions: { x: '1', y: '2' } }] });
  const same = tracker.take({ at: 2000, seen: [{ ...one('a'), dimensions: { y: '2', x: '1' } }] });
  assert.deepEqual(same.ended, []);
  const other = tracker.take({ at: 3000, seen: [{ ...one('a'), dimensions: { x: '1', y: '3' } }] });
  assert.deepEqual(other.ended[0]?.dimensions, { y: '2', x: '1' });
  assert.equal(other.counted[0]?.start, 2000);
});

test('a restart with its memory goes on as if it had not been, at any point, whatever came and went', () => {
  const object = fc.constantFrom('a', 'b', 'c');
  const look = fc.record({
    seen: fc.uniqueArray(fc.tuple(object, fc.constantFrom('e1', 'e2')), { selector: ([o]) => o }),
    unread: fc.uniqueArray(object),
    restart: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 8 }), (looks) => {
      const steady = new Tracker();
      let restarted = new Tracker();
      for (const [i, { seen, unread, restart }] of looks.entries()) {
        const dark = unread.filter((u) => !seen.some(([o]) => o === u));
        const what = { at: (i + 1) * 1000, seen: seen.map(([o, e]) => one(o, e, o)), unread: dark };
        const [a, b] = [steady.take(what), restarted.take(what)];
        assert.deepEqual([b.counted, b.ended], [a.counted, a.ended]);
        if (restart) restarted = new Tracker(b.memory());
      }
    }),
  );
});

test('a memory that is none is no memory', () => {
  for (const text of ['', '{', '[]', 'null', '{"at":1}', '{"at":1,"unread":[],"rows":[["a"]]}'])
    assert.equal(startOf(new Tracker(text).take({ at: 2000, seen: [one('a')] }), 'a'), 0, text);
});
