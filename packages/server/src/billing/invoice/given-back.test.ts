/** What an adjustment still gives back of what credit notes have corrected. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { staysBilled } from './given-back.ts';

type Counted = Parameters<typeof staysBilled>[1][number];
const line = (amount: bigint): Counted => ({ kind: 'adjustment', amount: amount.toString() });
const credit = (amount: bigint): Counted => ({ kind: 'credit', amount: (-amount).toString() });
const sum = (lines: readonly Counted[]): bigint => lines.reduce((all, { amount }) => all + BigInt(amount), 0n);
const isCredit = ({ kind }: Counted): boolean => kind === 'credit';

/** A key as runs and somebody with credits leave it: `due` of each run, credits as far as something is left. */
function played(steps: readonly ({ due: bigint } | { credit: bigint })[]): Counted[] {
  const lines: Counted[] = [];
  for (const step of steps) {
    if ('due' in step) lines.push(line(staysBilled(step.due, lines) - sum(lines.filter((l) => !isCredit(l)))));
    else {
      const left = sum(lines);
      const amount = step.credit < left ? step.credit : left;
      if (amount > 0n) lines.push(credit(amount));
    }
  }
  return lines;
}

const amount = fc.bigInt(0n, 100n);
const step = fc.oneof(fc.record({ due: amount }), fc.record({ credit: fc.bigInt(1n, 60n) }));
const history = fc.array(step, { maxLength: 12 }).map((steps) => [{ due: 50n }, ...steps]);

const check = (name: string, steps: readonly ({ due: bigint } | { credit: bigint })[], left: bigint): void =>
  void test(name, () => assert.equal(sum(played(steps)), left));

check('less is due than was corrected: nothing more', [{ due: 100n }, { credit: 30n }, { due: 80n }], 70n);
check('more is not due than was corrected: the rest', [{ due: 100n }, { credit: 30n }, { due: 60n }], 60n);
check('late usage beside a correction is charged', [{ due: 100n }, { credit: 30n }, { due: 105n }], 75n);
check(
  'and undone again leaves nothing behind',
  [{ due: 100n }, { credit: 30n }, { due: 105n }, { due: 100n }, { due: 0n }, { due: 100n }],
  70n,
);
check(
  'two corrections, the second of what became due later',
  [{ due: 10n }, { credit: 10n }, { due: 100n }, { credit: 90n }, { due: 0n }],
  0n,
);

test('no history gives back more than was billed, and where nothing is due nothing is left', () => {
  fc.assert(
    fc.property(history, (steps) => {
      for (let n = 1; n <= steps.length; n++) {
        const left = sum(played(steps.slice(0, n)));
        assert.ok(left >= 0n, `${left} is left after ${n}`);
      }
      assert.equal(sum(played([...steps, { due: 0n }])), 0n);
    }),
    { numRuns: process.env.CI === 'true' ? 20_000 : 2000 },
  );
});

test('what is left follows from what is due, not from the way there; nobody pays more than is due, nor a fall twice', () => {
  fc.assert(
    fc.property(history, fc.array(amount, { maxLength: 4 }), amount, (steps, detour, due) => {
      const straight = sum(played([...steps, { due }]));
      const around = sum(played([...steps, ...detour.map((d) => ({ due: d })), { due }]));
      assert.equal(around, straight);
      assert.ok(straight <= due);
      const less = sum(played([...steps, { due: due > 0n ? due - 1n : 0n }]));
      assert.ok(less === straight || less === straight - 1n);
    }),
    { numRuns: process.env.CI === 'true' ? 20_000 : 2000 },
  );
});
