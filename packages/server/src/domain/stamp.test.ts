import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stamp } from './fact.ts';
import { type Arrival, SKEW_LIMIT_MS, type Stamped, stampReading } from './stamp.ts';

const NOW = 1_800_000_000_000;
const last = { t: NOW - 10_000, value: 1000n, epoch: 7, run: 'r1', sequence: 10 };
const arrival: Arrival = {
  sourceTime: NOW,
  sentAt: NOW,
  receivedAt: NOW,
  skewLimitMs: SKEW_LIMIT_MS,
  last,
  run: 'r1',
  sequence: 11,
  value: 2000n,
  lineBits: 0,
};
const names = (bits: number): string[] =>
  Object.entries(Stamp)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name);

function check(change: Partial<Arrival>, t: number, ...stamps: string[]): Stamped {
  const got = stampReading({ ...arrival, ...change });
  assert.equal(got.t, t);
  assert.deepEqual(names(got.stamps), stamps);
  return got;
}

test('a reading in time is left as it is', () => {
  assert.equal(check({}, NOW).isLast, true);
  check({ last: null }, NOW);
  check({ sourceTime: NOW - 5000, sentAt: NOW - 59_000 }, NOW - 5000);
});

test('a clock that is off by more than the limit is corrected by its measured offset', () => {
  check({ sourceTime: NOW + 3_600_000, sentAt: NOW + 3_600_000 }, NOW, 'skew');
  check({ sourceTime: NOW - 3_605_000, sentAt: NOW - 3_600_000 }, NOW - 5000, 'skew');
  check({ sourceTime: NOW - 60_000, sentAt: NOW - 60_000, last: null }, NOW - 60_000);
  check({ sourceTime: NOW - 60_001, sentAt: NOW - 60_001, last: null }, NOW, 'skew');
});

test('without a sending time nothing is corrected but the future', () => {
  check({ sentAt: 0, sourceTime: NOW + 60_000 }, NOW + 60_000);
  check({ sentAt: 0, sourceTime: NOW + 60_001 }, NOW, 'future');
  check({ sentAt: 0, sourceTime: NOW - 3_600_000, last: null }, NOW - 3_600_000);
});

test('a time ahead of its own batch is clamped to the receipt', () => {
  check({ sourceTime: NOW + 120_000 }, NOW, 'future');
});

test('a clock that steps back while the sequence goes on gives the last time and a millisecond', () => {
  check({ sourceTime: last.t - 5000 }, last.t + 1, 'clockBack');
  check({ sourceTime: last.t }, last.t + 1, 'clockBack');
});

test('an older reading that comes again or from elsewhere is late', () => {
  assert.equal(check({ sourceTime: last.t - 5000, sequence: 9 }, last.t - 5000, 'late').isLast, false);
  check({ sourceTime: last.t - 5000, run: 'r2', sequence: 99 }, last.t - 5000, 'late');
  assert.equal(check({ sourceTime: last.t, sequence: 10, value: 1007n }, last.t).isLast, false);
});

test('what the line cannot carry is stamped fast and does not become the last reading', () => {
  // 8 kbit/s for 10 s: 10,000 bytes x 1.05 + 1,000 of burst.
  check({ lineBits: 8000, value: 1000n + 11_500n }, NOW);
  assert.equal(check({ lineBits: 8000, value: 1000n + 11_501n }, NOW, 'fast').isLast, false);
  check({ lineBits: 8000, value: 10n ** 12n, epoch: 8 }, NOW);
  check({ lineBits: 8000, value: 999n }, NOW);
  check({ lineBits: 8000, sourceTime: last.t - 5000, sequence: 9 }, last.t - 5000, 'late', 'fast');
  check({ lineBits: 8000, value: 0n, end: true }, NOW, 'end');
});

test('a float above 2^53 is stamped inexact', () => {
  check({ inexact: true }, NOW, 'inexact');
});
