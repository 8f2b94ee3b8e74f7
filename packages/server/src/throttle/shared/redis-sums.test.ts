/** Sums in a real Redis: the same answers as the model that the bound was proven on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../system.ts';
import { openRedisGrants } from './redis-grants.ts';
import type { SumAsk } from './sum-store.ts';
import { needsRedis, startRedis } from './testing/redis.ts';
import { SumModel } from './testing/sum-model.ts';

const asks = fc.array(
  fc.record<SumAsk>({
    counter: fc.constantFrom('a', 'b'),
    delta: fc.oneof(fc.nat(50), fc.constant(Number.MAX_SAFE_INTEGER - 1)),
    again: fc.nat(3),
    // One slice for the whole test, whatever the moment: ages are of the real one's clock.
    keepMs: fc.constant(3e12),
    sliceMs: fc.constant(3e12),
    isJoining: fc.boolean(),
  }),
  { maxLength: 12 },
);

test('the script answers as the model does, also beyond 2^53', { skip: needsRedis() }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  let n = 0;
  await fc.assert(
    fc.asyncProperty(asks, async (all) => {
      const store = await openRedisGrants({
        ...{ url: redis.url, clock: systemClock, report: () => undefined, prefix: `run-${n++}:` },
      });
      const model = new SumModel(systemClock.now);
      try {
        for (const ask of all) {
          const [said] = await store.exchange([ask]);
          const [modelled] = model.exchange([ask]);
          assert.equal(said?.total, modelled?.total);
          const units = (past: typeof said): number[] => (past?.past ?? []).map((slice) => slice.units);
          assert.deepEqual(
            units(said),
            units(modelled)
              .filter((u) => u > 0)
              .map((u) => Math.min(u, Number.MAX_SAFE_INTEGER)),
          );
        }
      } finally {
        await store.close();
      }
    }),
    { numRuns: 25 },
  );
});

test('the past comes in slices by their age, and what is too old is forgotten', { skip: needsRedis() }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const store = await openRedisGrants({ url: redis.url, clock: systemClock, report: () => undefined });
  t.after(() => store.close());
  const ask = { counter: 'c', delta: 0, again: 0, keepMs: 150, sliceMs: 20, isJoining: false };
  const tell = (delta: number) => store.exchange([{ ...ask, delta }]);
  await tell(3);
  await systemClock.sleep(60);
  await tell(4);
  const [joined] = await store.exchange([{ ...ask, isJoining: true }]);
  assert.deepEqual(
    joined?.past.map(({ units }) => units),
    [3, 4],
  );
  assert.ok((joined?.past[0]?.ageMs ?? 0) > (joined?.past[1]?.ageMs ?? 0));
  await systemClock.sleep(200);
  await tell(5);
  const [later] = await store.exchange([{ ...ask, isJoining: true }]);
  assert.deepEqual(
    later?.past.map(({ units }) => units),
    [5],
  );
  assert.equal(later?.total, 12n);
});
