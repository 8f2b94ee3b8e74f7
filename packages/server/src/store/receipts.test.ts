import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StoreError } from './errors.ts';
import { controlModelState, openControlModel } from './model/control-model.ts';
import { Receipts, type Taken } from './receipts.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A control store whose answers are let through by hand. */
const slow = () => {
  let next = 1;
  const waiting: { count: number; answer(): void; fail(error: Error): void }[] = [];
  return {
    waiting,
    leaseReceipts: (count: number): Promise<number> =>
      new Promise((resolve, reject) => {
        const answer = (): void => {
          resolve(next);
          next += count;
        };
        waiting.push({ count, answer, fail: reject });
      }),
  };
};
const opened = async (block: number) => {
  const control = slow();
  const opening = Receipts.open(control, { block });
  control.waiting.shift()?.answer();
  return { control, receipts: await opening };
};

test('numbers are consecutive, and the frontier follows the lowest one that is not done', async () => {
  const receipts = await Receipts.open(openControlModel(), { block: 100 });
  assert.equal(receipts.frontier(), 0);
  const [a, b, c] = [await receipts.take(3), await receipts.take(1), await receipts.take(2)];
  assert.deepEqual([a.first, b.first, c.first], [1, 4, 5]);
  assert.equal(receipts.frontier(), 0);
  c.done();
  assert.equal(receipts.frontier(), 0);
  a.done();
  a.done();
  assert.equal(receipts.frontier(), 3);
  b.done();
  assert.equal(receipts.frontier(), 6);
  assert.equal(receipts.pending, 0);
});

test('takeNow answers at once while the block has room, and leases the next one early', async () => {
  const { control, receipts } = await opened(10);
  assert.equal(receipts.takeNow(5)?.first, 1);
  assert.equal(control.waiting.length, 0);
  assert.equal(receipts.takeNow(1)?.first, 6);
  assert.equal(control.waiting.length, 1, 'less than half a block is left');
  assert.equal(receipts.takeNow(5), undefined, 'four are left and the next block is not here yet');
  assert.equal(receipts.takeNow(4)?.first, 7);
  control.waiting.shift()?.answer();
  await tick();
  assert.equal(receipts.takeNow(6)?.first, 11);
});

test('take waits for a block, also for more numbers than a block holds', async () => {
  const { control, receipts } = await opened(10);
  const big = receipts.take(25);
  await tick();
  assert.equal(control.waiting[0]?.count, 25);
  control.waiting.shift()?.answer();
  assert.equal((await big).first, 11);
  const next = receipts.take(1);
  while (control.waiting.length > 0) {
    control.waiting.shift()?.answer();
    await tick();
  }
  assert.equal((await next).first, 36);
});

test('a block that cannot be leased is an error for who waits for it, and the next one asks again', async () => {
  const { control, receipts } = await opened(10);
  receipts.takeNow(10);
  control.waiting.shift()?.fail(new StoreError('store.unavailable', 'no answer'));
  await tick();
  const failing = receipts.take(1);
  control.waiting.shift()?.fail(new StoreError('store.unavailable', 'no answer'));
  await assert.rejects(failing, { code: 'store.unavailable' });
  const waiting = receipts.take(1);
  control.waiting.shift()?.answer();
  assert.equal((await waiting).first, 11);
});

test('after a crash numbers go on in the next block: none is given twice, and all before are settled', async () => {
  const state = controlModelState();
  const before = await Receipts.open(openControlModel(state), { block: 100 });
  const taken = await before.take(7);
  const after = await Receipts.open(openControlModel(state), { block: 100 });
  assert.equal(after.frontier(), 100);
  assert.equal((await after.take(1)).first, 101);
  assert.ok(taken.first + 7 <= 100);
});

test('wrong counts are refused', async () => {
  const receipts = await Receipts.open(openControlModel());
  for (const n of [0, -1, 0.5, Number.NaN]) assert.throws(() => receipts.takeNow(n), { code: 'store.misuse' });
});

test('under any order of taking and settling: no number twice, ascending, and an exact frontier that never goes back', () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.oneof(fc.record({ take: fc.integer({ min: 1, max: 20 }) }), fc.record({ settle: fc.nat() })), {
        maxLength: 60,
      }),
      async (block, steps) => {
        const receipts = await Receipts.open(openControlModel(), { block });
        const open: { taken: Taken; n: number }[] = [];
        let last = 0;
        let frontier = receipts.frontier();
        for (const step of steps) {
          if ('take' in step) {
            const taken = await receipts.take(step.take);
            assert.ok(taken.first > last);
            last = taken.first + step.take - 1;
            open.push({ taken, n: step.take });
          } else if (open.length > 0) open.splice(step.settle % open.length, 1)[0]?.taken.done();
          const now = receipts.frontier();
          assert.equal(now, open.length > 0 ? Math.min(...open.map((o) => o.taken.first)) - 1 : Math.max(last, now));
          assert.ok(now >= frontier);
          frontier = now;
        }
      },
    ),
    { numRuns: 300 },
  ));

test('a long stream with an old straggler settles in bounded memory and time', async () => {
  const receipts = await Receipts.open(openControlModel());
  for (let i = 0; i < 200_000; i++) (await receipts.take(1)).done();
  const straggler = await receipts.take(1);
  for (let i = 0; i < 50_000; i++) (await receipts.take(2)).done();
  assert.equal(receipts.frontier(), straggler.first - 1);
  straggler.done();
  assert.equal(receipts.frontier(), 300_001);
});
