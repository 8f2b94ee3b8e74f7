import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BurnGrant, burnDown } from './burn.ts';
import { rollover } from './rollover.ts';

const grant = (id: string, more: Partial<BurnGrant> = {}): BurnGrant => ({
  id,
  amount: 100n,
  priority: 1,
  effectiveAt: -10,
  expiresAt: null,
  endedAt: null,
  recurs: null,
  ...more,
});

/** Grants (all start full), uses as [at, quantity], over [0, 1000) -> what is left of each, and the overage. */
function check(
  rows: [what: string, grants: BurnGrant[], uses: [at: number, quantity: bigint][], left: bigint[], overage: bigint][],
): void {
  for (const [what, grants, uses, left, overage] of rows) {
    const starting = new Map(grants.filter((g) => g.effectiveAt < 0).map((g) => [g.id, g.amount]));
    const list = uses.map(([at, quantity]) => ({ at, quantity }));
    const burnt = burnDown(grants, list, { from: 0, until: 1000, starting });
    assert.deepEqual(
      grants.map(({ id }) => burnt.balances.get(id)),
      left,
      what,
    );
    assert.equal(burnt.overage, overage, what);
  }
}

test('grants pay by priority, then the one that ends first, then the oldest, then by id', () =>
  check([
    ['priority', [grant('a', { priority: 2, expiresAt: 2000 }), grant('b')], [[1, 30n]], [100n, 70n], 0n],
    [
      'expiry',
      [grant('a'), grant('b', { expiresAt: 3000 }), grant('c', { expiresAt: 2000 })],
      [[1, 150n]],
      [100n, 50n, 0n],
      0n,
    ],
    ['age', [grant('a', { effectiveAt: -5 }), grant('b')], [[1, 30n]], [100n, 70n], 0n],
    ['id', [grant('b'), grant('a')], [[1, 30n]], [100n, 70n], 0n],
  ]));

test('what grants cannot pay is overage', () =>
  check([
    ['none', [], [[1, 50n]], [], 50n],
    [
      'too little',
      [grant('a')],
      [
        [1, 50n],
        [2, 70n],
      ],
      [0n],
      20n,
    ],
  ]));

test('a grant pays from when it takes effect until it ends', () =>
  check([
    [
      'not yet',
      [grant('a', { effectiveAt: 10 })],
      [
        [9, 1n],
        [10, 2n],
      ],
      [98n],
      1n,
    ],
    [
      'expired',
      [grant('a', { expiresAt: 10 })],
      [
        [9, 1n],
        [10, 2n],
      ],
      [0n],
      2n,
    ],
    [
      'taken back',
      [grant('a', { endedAt: 10, expiresAt: 500 })],
      [
        [9, 1n],
        [10, 2n],
      ],
      [0n],
      2n,
    ],
    ['over before', [grant('a', { expiresAt: 0 })], [[5, 2n]], [0n], 2n],
    ['ends with the span', [grant('a', { expiresAt: 1000 })], [[999, 2n]], [98n], 0n],
    [
      'outside the span',
      [grant('a')],
      [
        [-1, 2n],
        [1000, 2n],
      ],
      [100n],
      0n,
    ],
  ]));

test('a grant that recurs is full again, from its anchor either way', () => {
  const recurs = { every: 100, anchor: 50 };
  check([
    [
      'before and after',
      [grant('a', { recurs })],
      [
        [1, 90n],
        [49, 20n],
        [50, 20n],
        [949, 30n],
        [951, 5n],
      ],
      [95n],
      10n,
    ],
    ['anchor later', [grant('a', { recurs: { every: 100, anchor: 650 } })], [[949, 90n]], [100n], 0n],
    ['until its end', [grant('a', { recurs, expiresAt: 300 })], [[1, 5n]], [0n], 0n],
    [
      'only once it is in force',
      [grant('a', { recurs, effectiveAt: 120 })],
      [
        [60, 5n],
        [130, 5n],
      ],
      [100n],
      5n,
    ],
  ]);
  assert.throws(() =>
    burnDown([grant('a', { recurs: { every: 0, anchor: 0 } })], [], { from: 0, until: 9, starting: new Map() }),
  );
});

const grants = fc
  .array(
    fc.record({
      amount: fc.bigInt({ min: 0n, max: 500n }),
      priority: fc.integer({ min: 0, max: 3 }),
      effectiveAt: fc.integer({ min: -50, max: 900 }),
      expiresAt: fc.option(fc.integer({ min: 0, max: 1200 }), { nil: null }),
      endedAt: fc.option(fc.integer({ min: 0, max: 1200 }), { nil: null }),
      recurs: fc.option(
        fc.record({ every: fc.integer({ min: 50, max: 400 }), anchor: fc.integer({ min: -500, max: 500 }) }),
        { nil: null },
      ),
    }),
    { maxLength: 6 },
  )
  .map((list) => list.map((g, at): BurnGrant => ({ id: `g${at}`, ...g })));
const uses = fc.array(
  fc.record({ at: fc.integer({ min: 0, max: 999 }), quantity: fc.bigInt({ min: 0n, max: 300n }) }),
  { maxLength: 12 },
);

test('every use is paid by grants or is overage, and the order of rows does not matter', () => {
  fc.assert(
    fc.property(grants, uses, (list, used) => {
      const span = {
        from: 0,
        until: 1000,
        starting: new Map(list.filter((g) => g.effectiveAt < 0).map((g) => [g.id, g.amount])),
      };
      const burnt = burnDown(list, used, span);
      const paid = burnt.uses.reduce((sum, { amount }) => sum + amount, 0n);
      assert.equal(
        paid + burnt.overage,
        used.reduce((sum, { quantity }) => sum + quantity, 0n),
      );
      for (const { id, amount } of list) {
        const left = burnt.balances.get(id) as bigint;
        assert.ok(left >= 0n && left <= amount);
      }
      for (const { use, grant: id } of burnt.uses) {
        const at = used[use]?.at as number;
        const payer = list.find((g) => g.id === id) as BurnGrant;
        assert.ok(at >= payer.effectiveAt && at < (payer.expiresAt ?? 9999) && at < (payer.endedAt ?? 9999));
      }
      const turned = burnDown(list.toReversed(), used, span);
      assert.deepEqual([...turned.balances].sort(), [...burnt.balances].sort());
      assert.deepEqual(turned.uses, burnt.uses);
    }),
  );
});

test('what is left of a grant is not filled up by its taking effect', () => {
  const span = { from: 5, until: 6, starting: new Map([['a', 30n]]) };
  const burnt = burnDown([grant('a', { effectiveAt: 5 })], [{ at: 5, quantity: 50n }], span);
  assert.deepEqual([burnt.balances.get('a'), burnt.overage], [0n, 20n]);
});

test('what is cut into two spans burns down like the whole', () => {
  fc.assert(
    fc.property(grants, uses, fc.integer({ min: 1, max: 999 }), (list, used, cut) => {
      const starting = new Map(list.filter((g) => g.effectiveAt < 0).map((g) => [g.id, g.amount]));
      const whole = burnDown(list, used, { from: 0, until: 1000, starting });
      const first = burnDown(list, used, { from: 0, until: cut, starting });
      const second = burnDown(list, used, { from: cut, until: 1000, starting: first.balances });
      assert.deepEqual(second.balances, whole.balances);
      assert.equal(first.overage + second.overage, whole.overage);
    }),
  );
});

test('a rollover keeps a balance within its bounds, less overage where that is kept', () => {
  const terms = { least: 0n, most: 50n, keepOverage: false };
  assert.deepEqual(rollover(90n, 0n, terms), { balance: 50n, overage: 0n });
  assert.deepEqual(rollover(30n, 0n, terms), { balance: 30n, overage: 0n });
  assert.deepEqual(rollover(0n, 20n, { ...terms, least: 10n }), { balance: 10n, overage: 0n });
  assert.deepEqual(rollover(0n, 4n, { ...terms, least: 10n, keepOverage: true }), { balance: 6n, overage: 0n });
  assert.deepEqual(rollover(0n, 14n, { ...terms, least: 10n, keepOverage: true }), { balance: 0n, overage: 4n });
  assert.throws(() => rollover(1n, 0n, { ...terms, least: 60n }), RangeError);
});
