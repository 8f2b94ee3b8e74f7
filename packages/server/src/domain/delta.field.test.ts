/** Counter defects other meters shipped, and the six edges the prototype of ours fell over, each by its name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { followCounter, usageOf } from './delta.ts';
import { at, check, outcome, readingsOf, undecided } from './testing/counter-table.ts';

const spec = { width: 64, lineBits: 0, period: 300_000 } as const;
const total = (text: string): bigint =>
  followCounter(readingsOf(text), spec, undecided).segments.reduce((n, s) => n + s.amount, 0n);

test('unkey#6861: an agent that forgot its baseline does not bill the accumulated counter again', () =>
  check(
    `10:00 a 5000000
     10:05 a 5000100
     10:10 a 5000200`,
    '10:00 200 3/600 pending',
  ));

test('mitos#236: 100, 350, 50 is 300, not minus 50', () => {
  assert.equal(
    total(`10:00 a 0
      10:01 a 100
      10:02 a 350
      10:03 a 50`),
    400n,
  );
  check(
    `10:00 a 100
     10:01 a 350
     10:02 a 50`,
    `10:00 300 3/120 pending inferredReset
     #3 9 counted`,
  );
});

test('3x-ui#5456: a node that restarts and sends its cumulative traffic again adds nothing', () =>
  check(
    `10:00 a 1000
     10:05 a 70000
     10:05 a 70000
     10:00 a 1000
     10:06 a 70000`,
    `10:00 69000 3/360 pending
     #3 3 duplicate
     #4 3 duplicate`,
  ));

test('beszel#1983: a reboot is no spike of 63 GB', () =>
  check(
    `10:00 a 63000000000
     10:01 a 63000001000
     10:04 b 500 start 10:03
     10:05 b 700`,
    `10:00 1700 4/180 pending unobserved reset
     unobserved 10:01 10:03
     #3 8 counted`,
  ));

test('librenms#2799: a total is not taken for a difference', () => {
  check('10:05 a 1875000000000', '10:00 0 1/0 pending');
  check(
    `10:00 a 5000
     10:05 a 1875000000000
     10:10 a 9000`,
    `10:00 4000 2/600 quarantined setAside
     #2 16 reading.impossible_rate`,
    { lineBits: 1_000_000_000 },
  );
});

test('gnocchi#1, #1044, #1079: usage is never negative, whatever the counter does', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 20 }), (values) => {
      const readings = values.map((value, i) => ({
        t: at('10:00') + i * 60_000,
        value,
        epoch: 1,
        start: 0,
        receipt: i,
        stamps: 0,
      }));
      const course = followCounter(readings, spec, undecided);
      const edges = Array.from({ length: 40 }, (_, i) => at('09:50') + i * 45_000);
      assert.ok(usageOf(course, edges, undecided).every((p) => p.used >= 0n));
    }),
  );
});

test('cf-abacus#496: the order of arrival does not decide the sum', () => {
  const values = [0n, 3n, 10n, 18n, 20n, 22n];
  const inOrder = values.map((value, i) => ({
    t: at('10:00') + i * 60_000,
    value,
    epoch: 1,
    start: 0,
    receipt: i,
    stamps: 0,
  }));
  fc.assert(
    fc.property(fc.shuffledSubarray(inOrder, { minLength: inOrder.length }), (arrived) => {
      const readings = arrived.map((r, receipt) => ({ ...r, receipt }));
      const course = followCounter(readings, spec, undecided);
      assert.equal(
        course.segments.reduce((n, s) => n + s.amount, 0n),
        22n,
      );
    }),
  );
});

test('prometheus#3746: 1,000 bytes between five samples are 1,000 bytes, not 1,250', () => {
  const course = followCounter(
    readingsOf(`10:00:10 a 7000
      10:01:10 a 7250
      10:02:10 a 7500
      10:03:10 a 7750
      10:04:10 a 8000`),
    spec,
    undecided,
  );
  assert.equal(usageOf(course, [at('10:00'), at('10:05')], undecided)[0]?.used, 1000n);
});

test('prometheus#12967: what a new counter counted before it was first read is not lost when its start is known', () =>
  check('10:05 a 5000000000 start 10:01', '10:00 5000000000 1/240 pending'));

test('field 4.3: a silent reset that climbed past the old value is seen by its epoch', () =>
  check(
    `10:00 a 1000
     10:10 b 5000 start 10:02`,
    `10:00 5000 2/480 pending unobserved reset
     unobserved 10:00 10:02
     #2 8 counted`,
  ));

test('prototype 1: a tie on the edge holds back the window right of it, and only that one', () =>
  check(
    `10:05 a 100
     10:15 a 200
     10:15 a 250
     10:25 a 300
     10:30 a 310`,
    `10:00 100 1/600 known
     10:15 110 2/900 quarantined setAside
     10:30 0 1/0 pending
     #3 4 reading.conflict`,
  ));

test('prototype 2: a rejected reading is no neighbour of anything', () =>
  check(
    `10:00 a 100
     10:20 a 400
     10:10 a 900 late
     10:12 a 250 late`,
    `10:00 206 2/900 quarantined spread setAside
     10:15 94 1/300 pending spread
     #3 6 reading.late_inconsistent
     #4 5 counted`,
  ));

test('prototype 3: the next reading of a series that was silent at closing revises its tail', () => {
  const silent = `10:00 a 100
    10:10 a 200`;
  check(silent, '10:00 100 2/600 pending');
  check(
    `${silent}
     10:40 a 500`,
    `10:00 150 2/900 known spread gap
     10:15 150 0/900 known spread gap
     10:30 100 1/600 pending spread gap
     #3 11 counted`,
  );
});

test('prototype 4: a reading exactly on a boundary belongs right, its segment left', () =>
  check(
    `10:10 a 100
     10:15 a 190
     10:30 a 190`,
    `10:00 90 1/300 known
     10:15 0 1/900 known
     10:30 0 1/0 pending`,
  ));

test('prototype 5: a late reading can empty windows, and the total falls to what is true', () => {
  const before = `10:00 a 1000
    10:05 a 1200
    11:05 b 3600`;
  const late = `${before}
    10:58 b 10 start 10:57 late`;
  const windows = (text: string) => outcome(readingsOf(text)).filter((row) => /^\d\d:\d\d \d+ \d+\//.test(row));
  assert.deepEqual(
    windows(before).map((row) => row.split(' ').slice(0, 2).join(' ')),
    ['10:00 800', '10:15 900', '10:30 900', '10:45 900', '11:00 300'],
  );
  assert.equal(total(before), 3800n);
  // Between 10:15 and 10:45 nothing is left: the job writes void or emptied records there.
  assert.deepEqual(windows(late), [
    '10:00 200 2/300 unobserved unobserved',
    '10:15 0 0/0 unobserved unobserved',
    '10:30 0 0/0 unobserved unobserved',
    '10:45 1035 1/180 unobserved spread unobserved reset',
    '11:00 2565 1/300 pending spread',
  ]);
  assert.equal(total(late), 3800n);
});

test('prototype 6: a first sample is one only when nothing lies further out', () => {
  const text = `-1d10:00 a 100
    10:05 a 400
    10:14 a 500`;
  const [, ...near] = readingsOf(text);
  const given = { from: '10:00', to: '10:15' };
  assert.deepEqual(outcome(near, given).slice(0, 1), ['10:00 100 2/540 pending']);
  assert.deepEqual(outcome(readingsOf(text), given).slice(0, 1), ['10:00 102 2/840 pending spread gap']);
});
