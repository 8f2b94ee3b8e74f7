import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '../store/control-store.ts';
import { RecentFacts } from './recent-facts.ts';
import { missingIn, type UsageFact } from './usage-fact.ts';
import { EVENTS, Reach } from './usage-reach.ts';

const EVER = { from: 0, to: 1_000_000 };
const row = (change: Partial<Progress>): Progress => ({
  ...{ id: 1, stream: 'event', group: 0, from: 100, closedTo: 500, to: null, frontier: 50 },
  ...change,
});
const fact = (change: Partial<UsageFact> = {}): UsageFact => ({
  ...{ meter: 'm', resource: 'r', dimensions: {}, account: 'a', held: EVER, receipt: 70, stream: EVENTS },
  ...{ from: 600, to: 600, amount: 10n, scale: 1n, isLate: false },
  ...change,
});

const check = (what: string, rows: Progress[], change: Partial<UsageFact>, missing: bigint, before = rows): void => {
  test(what, () => assert.equal(missingIn(fact(change), EVER, new Reach(80, before, rows)), missing));
};

check('what is above the frontier is missing', [row({})], { receipt: 81 }, 10n);
check('an open window holds all up to the frontier', [row({})], {}, 0n);
check('a closed window holds what its records account for', [row({})], { from: 400, to: 400, receipt: 50 }, 0n);
check('a closed window lacks what came after its run', [row({})], { from: 400, to: 400, receipt: 51 }, 10n);
check('of a counter the part in closed windows is missing', [row({})], { from: 400, to: 600 }, 5n);
check(
  'nothing is computed in a backlog',
  [row({ to: 900 }), row({ id: 2, from: 900, closedTo: 950 })],
  { receipt: 9 },
  10n,
);
check('what lies before all spans is missing', [row({})], { from: 50, to: 50, receipt: 9 }, 10n);
const spans = [row({ to: 500 }), row({ id: 2, from: 500, closedTo: 550, frontier: 60 })];
check('of several spans each lacks its own part', spans, { from: 400, to: 600, amount: 200n }, 150n);
check('and none what its runs have seen', spans, { from: 400, to: 600, amount: 200n, receipt: 55 }, 100n);
check('without any run all windows are open', [], { from: 50, to: 50 }, 0n);
check(
  'where the job went on meanwhile, the frontier from before counts in windows closed by then',
  [row({ closedTo: 700, frontier: 75 })],
  {},
  10n,
  [row({})],
);

test('only what the period overlaps makes an answer partial', () => {
  const reach = new Reach(80, [], [row({ to: 900 }), row({ id: 2, from: 900, closedTo: 950 })]);
  assert.deepEqual(
    [
      { from: 0, to: 500 },
      { from: 0, to: 501 },
      { from: 899, to: 2000 },
      { from: 900, to: 2000 },
    ].map((i) => reach.hasGap(i)),
    [false, true, true, false],
  );
});

test('a moved job is told from one that stood', () => {
  assert.equal(new Reach(1, [row({}), row({ id: 2 })], [row({ id: 2 }), row({})]).isStill, true);
  assert.equal(new Reach(1, [row({})], [row({ closedTo: 501 })]).isStill, false);
});

test('facts are kept while an answer may lack them, and forgetting too many is known', () => {
  const recent = new RecentFacts();
  recent.add(fact({ receipt: 1 }));
  recent.trim(1, 0);
  recent.add(fact({ receipt: 2 }));
  recent.add(fact({ receipt: 3, isLate: true }));
  recent.trim(3, 0);
  assert.deepEqual(
    [...recent.above(3)].map((f) => f.receipt),
    [3],
  );
  for (let i = 0; i < 100_000; i++) recent.add(fact({ receipt: 10 + i }));
  recent.trim(9, 3);
  assert.deepEqual([recent.lostTo, [...recent.above(9)].length], [0, 100_000]);
  recent.add(fact({ receipt: 200_000 }));
  recent.trim(9, 3);
  assert.equal(recent.lostTo, 10);
});
