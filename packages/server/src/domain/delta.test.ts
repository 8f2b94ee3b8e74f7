/** The 20 cases of the counter rules, one after another; README.md says where those are decided that are not here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterRecords, followCounter, usageOf } from './delta.ts';
import { readingDigest } from './record-digest.ts';
import { at, check, DAY, readingsOf, undecided } from './testing/counter-table.ts';
import { WINDOW_MS } from './window.ts';

test('case 1: the first reading is a baseline and counts nothing', () => check('10:05 a 5000', '10:00 0 1/0 pending'));

test('case 1: the first reading counts when its start is vouched for', () =>
  check(
    `10:10 a 600 start 10:04
     10:20 a 700`,
    `10:00 650 1/660 known spread
     10:15 50 1/300 pending spread`,
  ));

test('case 1: a start at or after the reading itself says that the start is not known', () =>
  check(
    `10:05 a 600 start 10:05
     10:10 a 700`,
    '10:00 100 2/300 pending',
  ));

test('case 2: readings in order count their difference', () =>
  check(
    `10:00 a 100
     10:05 a 150
     10:10 a 150
     10:15 a 400`,
    `10:00 300 3/900 known
     10:15 0 1/0 pending`,
  ));

test('case 3: an identical reading counts once, whenever it comes again', () =>
  check(
    `10:00 a 100
     10:05 a 150
     10:05 a 150
     10:10 a 160
     10:00 a 100`,
    `10:00 60 3/600 pending
     #3 3 duplicate
     #5 3 duplicate`,
  ));

test('case 4: another value for the same time is set aside, the first stays', () =>
  check(
    `10:00 a 100
     10:05 a 150
     10:05 a 170
     10:15 a 200`,
    `10:00 100 2/900 quarantined setAside
     10:15 0 1/0 pending
     #3 4 reading.conflict`,
  ));

test('case 5: a late reading that fits leaves the total and refines the split', () => {
  check(
    `10:00 a 100
     10:30 a 400`,
    `10:00 150 1/900 known spread gap
     10:15 150 0/900 known spread gap
     10:30 0 1/0 pending
     #2 11 counted`,
  );
  check(
    `10:00 a 100
     10:30 a 400
     10:15 a 110 late`,
    `10:00 10 1/900 known
     10:15 290 1/900 known
     10:30 0 1/0 pending
     #3 5 counted`,
  );
});

test('case 6: a late reading that fits nowhere is set aside', () => {
  check(
    `10:00 a 100
     10:10 a 400
     10:05 a 401 late`,
    `10:00 300 2/600 quarantined setAside
     #3 6 reading.late_inconsistent`,
  );
  check(
    `10:00 a 100
     10:10 a 400
     10:05 a 99 late`,
    `10:00 300 2/600 quarantined setAside
     #3 6 reading.late_inconsistent`,
  );
});

test('case 6: before the first reading only what is not above it fits', () =>
  check(
    `10:05 a 400
     10:00 a 500 late
     10:01 a 300 late`,
    `10:00 100 2/240 quarantined setAside
     #2 6 reading.late_inconsistent`,
  ));

test('case 6: where a reset lies, a late reading may belong to either side of it', () =>
  check(
    `10:00 a 1000
     10:10 a 50
     10:02 a 1200 late
     10:08 a 20 late
     10:05 a 600 late`,
    `10:00 250 4/600 quarantined inferredReset setAside
     #3 5 counted
     #4 9 counted
     #5 6 reading.late_inconsistent`,
  ));

test('case 7: a 32-bit counter wraps when the line can explain it', () =>
  check(
    `10:00 a 4294967000
     10:05 a 704`,
    `10:00 1000 2/300 pending wrapped
     #2 7 counted`,
    { width: 32, lineBits: 10_000_000 },
  ));

test('case 7: without a line speed, with a slow line or after too long a time a fall is a reset', () => {
  const readings = `10:00 a 4294967000
     10:05 a 704`;
  const reset = `10:00 704 2/300 pending inferredReset
     #2 9 counted`;
  check(readings, reset, { width: 32 });
  check(readings, reset, { width: 64, lineBits: 10_000_000 });
  // 3.4 s to wrap at 10 Gb/s: more than one wrap fits into five minutes.
  check(readings, reset, { width: 32, lineBits: 10_000_000_000 });
  // The rate the wrap implies is more than 8 kb/s can carry.
  check(
    `10:00 a 4290000000
     10:05 a 704`,
    reset,
    { width: 32, lineBits: 8000 },
  );
});

test('case 8: after a reset with a known start the value counts, and what was lost before it is unobserved', () =>
  check(
    `10:00 a 1000
     10:05 a 1500
     10:20 b 300 start 10:10
     10:30 b 400`,
    `10:00 650 2/600 unobserved spread unobserved reset
     10:15 250 1/900 known spread reset
     10:30 0 1/0 pending
     unobserved 10:05 10:10
     #3 8 counted`,
  ));

test('case 8: with an unknown start the value counts from where the epoch before was lost, all of it unobserved', () =>
  check(
    `10:00 a 1000
     10:05 a 1500
     10:10 b 300`,
    `10:00 800 3/600 pending unobserved reset
     unobserved 10:05 10:10
     #3 8 counted`,
  ));

test('case 9: a fall without evidence counts the new value and says so', () =>
  check(
    `10:00 a 1000
     10:05 a 200
     10:10 a 300`,
    `10:00 300 3/600 pending inferredReset
     #2 9 counted`,
  ));

test('case 10: a restart of the agent alone is nothing', () =>
  check(
    `10:00 a 1000
     10:12 a 1800`,
    '10:00 800 2/720 pending',
  ));

test('case 11: over a gap the difference is exact and its time is not', () =>
  check(
    `10:00 a 1000
     10:50 a 1100`,
    `10:00 30 1/900 known spread gap
     10:15 30 0/900 known spread gap
     10:30 30 0/900 known spread gap
     10:45 10 1/300 pending spread gap
     #2 11 counted`,
  ));

test('case 11: a gap is judged by the declared poll period', () =>
  check(
    `10:00 a 1000
     10:45 a 1090`,
    `10:00 30 1/900 known spread
     10:15 30 0/900 known spread
     10:30 30 0/900 known spread
     10:45 0 1/0 pending`,
    { period: 900_000 },
  ));

test('case 11: after more than 35 days the difference is held in the window of the later reading', () => {
  const readings = readingsOf(`10:00 a 1000
     +36d10:05 a 5000`);
  const course = followCounter(readings, { width: 64, lineBits: 0, period: 300_000 }, undecided);
  const records = counterRecords(1, course, DAY, DAY + 40 * 86_400_000, [], undecided);
  assert.equal(records.length, 36 * 96 + 1);
  assert.ok(records.slice(0, -1).every((r) => r.used === 0n && r.flags === (4 | 32) && r.state === 1));
  assert.deepEqual(records.at(-1), {
    series: 1,
    window: at('+36d10:00'),
    part: 0,
    seen: 300_000,
    used: 4000n,
    n: 1,
    flags: 32,
    state: 2,
    facts: readingDigest(at('+36d10:05'), 5000n),
    isVoid: false,
  });
});

test('case 11: exactly 35 days are still spread, and a held difference ends with its window when it ends on the edge', () => {
  const of = (text: string) => {
    const course = followCounter(readingsOf(text), { width: 64, lineBits: 0, period: 0 }, undecided);
    return usageOf(course, [at('10:00'), at('+20d'), at('+35d10:00'), at('+36d10:00'), at('+37d')], undecided).map(
      (p) => p.used,
    );
  };
  assert.deepEqual(
    of(`10:00 a 0
        +35d10:00 a 3500`),
    [1958n, 1542n, 0n],
  );
  assert.deepEqual(
    of(`10:00 a 0
        +36d10:00 a 3500`),
    [0n, 0n, 3500n, 0n],
  );
});

test('cases 12 and 13: times that arrival had to correct are flagged where they lie', () =>
  check(
    `10:00 a 1000
     10:14:59 a 1100
     10:15 a 1200 clockBack
     10:29 a 1300 future
     10:31 a 1400 skew`,
    `10:00 200 2/900 known
     10:15 150 2/900 known spread clamped
     10:30 50 1/60 pending spread clamped
     #3 12 counted
     #4 13 counted
     #5 13 counted`,
  ));

test('case 14: an interface created again under the same name goes on in a new epoch', () =>
  check(
    `10:00 a 27552092
     10:05 a 27552192
     10:05 a -
     10:10 b 266 start 10:06`,
    `10:00 366 3/540 pending unobserved reset
     unobserved 10:05 10:06
     #3 19 end
     #4 8 counted`,
  ));

test('case 15: while an object moves both hosts count their own traffic', () =>
  check(
    `10:00 a 1000
     10:04 b 10 start 10:03
     10:05 a 1100
     10:09 b 50`,
    `10:00 150 4/540 pending reset
     #2 15 counted`,
  ));

test('case 15: a missing final reading is unobserved', () =>
  check(
    `10:00 a 1000
     10:09 b 50 start 10:03`,
    `10:00 50 2/360 pending unobserved reset
     unobserved 10:00 10:03
     #2 8 counted`,
  ));

test('case 16: more than the line can carry is set aside, and what follows is measured without it', () =>
  check(
    `10:00 a 1000
     10:05 a 999999999999
     10:10 a 3000
     10:15 a 4000`,
    `10:00 3000 2/900 quarantined setAside
     10:15 0 1/0 pending
     #2 16 reading.impossible_rate`,
    { lineBits: 1_000_000 },
  ));

test('case 16: the bound is line speed x 1.05 and a second of burst, to the byte', () => {
  // 8 Mb/s is 1,000,000 bytes a second: 300 s x 1.05 + 1 s.
  const most = 1_000_000 * 315 + 1_000_000;
  const given = { lineBits: 8_000_000 };
  check(
    `10:00 a 0
     10:05 a ${most}`,
    `10:00 ${most} 2/300 pending`,
    given,
  );
  check(
    `10:00 a 0
     10:05 a ${most + 1}`,
    `10:00 0 1/0 quarantined setAside
     #2 16 reading.impossible_rate`,
    given,
  );
});

test('case 16: a fall of a byte is not a reset that brings the whole history again', () =>
  check(
    `10:00 a 9000000000000000
     10:05 a 8999999999999999
     10:10 a 9000000000000100`,
    `10:00 100 2/600 quarantined setAside
     #2 16 reading.impossible_rate`,
    { lineBits: 10_000_000_000 },
  ));

test('case 19: an end marker closes the series; what was not read before it is unobserved', () => {
  check(
    `10:00 a 1000
     10:05 a 1500
     10:08 a -`,
    `10:00 500 2/300 unobserved unobserved
     unobserved 10:05 10:08
     ended 10:08
     #3 19 end`,
  );
  check(
    `10:00 a 1000
     10:05 a 1500
     10:05 a -`,
    `10:00 500 2/300 known
     ended 10:05
     #3 19 end`,
  );
});

test('case 19: an end marker that the counter outlived changes nothing, but explains a fall after it', () => {
  check(
    `10:00 a 1000
     10:04 a -
     10:10 a 1500`,
    `10:00 500 2/600 pending
     #2 19 end`,
  );
  check(
    `10:00 a 1000
     10:04 a -
     10:10 a 300`,
    `10:00 300 2/360 pending unobserved reset
     unobserved 10:00 10:04
     #2 19 end
     #3 8 counted`,
  );
});

test('case 19: the end of an old epoch does not end the one that lives', () =>
  check(
    `10:00 a 1000
     10:04 b 10 start 10:03
     10:05 a 1100
     10:06 a -`,
    `10:00 110 3/300 pending unobserved reset
     unobserved 10:05 10:06
     #2 15 counted
     #4 19 end`,
  ));

test('case 19: a marker of an epoch nobody read ends what was read last before it', () =>
  check(
    `10:00 a 1000
     10:05 a 1100
     10:06 z -`,
    `10:00 100 2/300 unobserved unobserved
     unobserved 10:05 10:06
     ended 10:06
     #3 19 end`,
  ));

test('pending becomes unobserved when the source has settled or an operator says so', () => {
  const readings = `10:00 a 1000
     10:05 a 1100`;
  const settled = '10:00 100 2/300 unobserved unobserved';
  check(readings, settled, { decisions: { settledBefore: at('10:15') } });
  check(readings, '10:00 100 2/300 pending', { decisions: { settledBefore: at('10:14') } });
  const spans = (...list: [string, string][]) => ({
    decisions: { unobserved: list.map(([f, t]) => ({ from: at(f), to: at(t) })) },
  });
  check(readings, settled, spans(['10:10', '10:20'], ['10:00', '10:11']));
  check(readings, '10:00 100 2/300 pending', spans(['10:06', '10:20']));
});

test('a quarantined series holds its windows back from there on', () =>
  check(
    `10:00 a 1000
     10:15 a 1100
     10:30 a 1200`,
    `10:00 100 1/900 known
     10:15 100 1/900 quarantined
     10:30 0 1/0 quarantined`,
    { decisions: { quarantinedFrom: at('10:20') } },
  ));

test('a released reading counts after all', () =>
  check(
    `10:00 a 1000
     10:05 a 999999
     10:10 a 1000010`,
    '10:00 999010 3/600 pending',
    { lineBits: 8000, decisions: { released: new Set([2]) } },
  ));

test('a released conflict takes the place of the reading it contradicts', () =>
  check(
    `10:00 a 100
     10:05 a 150
     10:05 a 170`,
    `10:00 70 2/300 pending setAside
     #2 4 reading.replaced`,
    { decisions: { released: new Set([3]) } },
  ));

test('a dropped reading stays out and holds nothing back; its duplicates go with it', () => {
  check(
    `10:00 a 100
     10:05 a 150
     10:05 a 170
     10:10 a 200`,
    `10:00 100 3/600 pending setAside
     #3 0 reading.dropped`,
    { decisions: { dropped: new Set([3]) } },
  );
  check(
    `10:00 a 100
     10:05 a 900
     10:05 a 900
     10:10 a 200`,
    `10:00 100 2/600 pending setAside
     #2 0 reading.dropped
     #3 3 duplicate`,
    { decisions: { dropped: new Set([2]) } },
  );
});

test('a voided reading is as if it had not been sent, and so are its duplicates', () =>
  check(
    `10:00 a 100
     10:05 a 900
     10:05 a 900
     10:10 a 200`,
    `10:00 100 2/600 pending
     #2 0 voided
     #3 3 duplicate`,
    { decisions: { voided: new Set([2]) } },
  ));

test('dropping a quarantined series drops what was known of it by then', () =>
  check(
    `10:00 a 100
     10:05 a 9000
     10:10 a 9999
     10:12 a 300`,
    `10:00 200 2/720 pending setAside
     #2 0 reading.dropped
     #3 0 reading.dropped`,
    { decisions: { discarded: [{ from: at('10:04'), before: 4 }] } },
  ));

test('a reading that waits for a decision outside all coverage has a record of its own', () => {
  check(
    `10:20 a 400
     10:01 a 500 late`,
    `10:00 0 0/0 quarantined setAside
     10:15 0 1/0 pending
     #2 6 reading.late_inconsistent`,
  );
  check(
    `10:20 a 400
     10:01 a 500 late`,
    `10:15 0 1/0 pending
     #2 0 reading.dropped`,
    { decisions: { dropped: new Set([2]) } },
  );
});

test('a reading on a boundary belongs right, its segment left', () =>
  check(
    `10:00 a 100
     10:15 a 200
     10:30 a 300`,
    `10:00 100 1/900 known
     10:15 100 1/900 known
     10:30 0 1/0 pending`,
  ));

test('an owner change cuts a window into parts that add up to it', () =>
  check(
    `10:00 a 0
     10:10 a 10
     10:20 a 1000`,
    `10:00 3 1/200 known spread
     10:03:20 4 0/233.334 known spread
     10:07:13.334 498 1/466.666 known spread
     10:15 495 1/300 pending spread`,
    { breakpoints: ['10:03:20', '10:07:13.334', '10:15', '11:00'] },
  ));

test('the value at a boundary is rounded down, so that pieces telescope', () =>
  check(
    `10:14 a 0
     10:17 a 100`,
    `10:00 33 1/60 known spread
     10:15 67 1/120 pending spread`,
  ));

test('a value at the edge of 64 bits counts exactly', () =>
  check(
    `10:00 a 0
     10:07 a 18446744073709551615
     10:20 a 18446744073709551615
     10:25 a 1`,
    `10:00 18446744073709551615 2/900 known
     10:15 1 2/600 pending inferredReset
     #4 9 counted`,
  ));

test('a sum beyond 64 bits is an error of this series, not a wrong record', () => {
  const readings = readingsOf(`10:00 a 0
    10:05 a 18446744073709551615
    10:06 a 0
    10:07 a 18446744073709551615`);
  const course = followCounter(readings, { width: 64, lineBits: 0, period: 0 }, undecided);
  assert.throws(() => counterRecords(1, course, DAY, DAY + 50 * WINDOW_MS, [], undecided), {
    code: 'counter.overflow',
  });
});

test('records are asked for on the window grid, pieces between ascending boundaries', () => {
  const course = followCounter([], { width: 64, lineBits: 0, period: 0 }, undecided);
  assert.deepEqual(counterRecords(1, course, DAY, DAY + WINDOW_MS, [], undecided), []);
  assert.throws(() => counterRecords(1, course, DAY + 1, DAY + WINDOW_MS, [], undecided), RangeError);
  assert.throws(() => usageOf(course, [2, 1], undecided), RangeError);
  assert.deepEqual(usageOf(course, [1], undecided), []);
});

test('explain tells what each reading added and what it was measured from', () => {
  const { verdicts } = followCounter(
    readingsOf(`10:00 a 100
      10:05 a 150
      10:05 a 170
      10:10 b 30 start 10:06`),
    { width: 64, lineBits: 0, period: 0 },
    undecided,
  );
  assert.deepEqual(verdicts.get(1), { case: 1, code: 'baseline', amount: null, against: null });
  assert.deepEqual(verdicts.get(2), { case: 2, code: 'counted', amount: 50n, against: 1 });
  assert.deepEqual(verdicts.get(3), { case: 4, code: 'reading.conflict', amount: null, against: 2 });
  assert.deepEqual(verdicts.get(4), { case: 8, code: 'counted', amount: 30n, against: null });
});
