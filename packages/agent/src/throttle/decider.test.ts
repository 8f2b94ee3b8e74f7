/** Decisions from what is lent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isNow, open } from './testing/decide.ts';
import { reached, settled } from './testing/lender.ts';

test('the first call of a tenant waits for its lease, the next are decided at once', async () => {
  const { decide, ask, lender } = open(1000);
  assert.equal(isNow(decide()), false);
  await settled();
  for (let i = 0; i < 5; i++) {
    const verdict = decide();
    assert.ok(isNow(verdict) && verdict.refusal === null);
  }
  assert.equal(lender.questions.length, 1);
  assert.equal(await ask(), true);
});

test('the whole amount is admitted and not one unit more', async () => {
  const { count, lender, decider, world } = open(250);
  assert.equal(await count(400), 250);
  world.pass(400);
  await settled();
  assert.equal(lender.refused, 150, 'what was refused here is told');
  await decider.close();
  assert.equal(lender.used, 250);
});

test('the next chunk is fetched while calls go on', async () => {
  const { decide, ask, lender } = open(100_000);
  await ask();
  for (let i = 0; i < 11; i++) decide();
  assert.equal(lender.questions.length, 2);
  assert.equal(isNow(decide()), true);
  await settled();
  assert.equal(lender.questions[1]?.want, 32, 'used up early: the next is larger');
});

test('calls at once that wait are served by one question', async () => {
  const { decide, lender } = open(10_000);
  const verdicts = Array.from({ length: 200 }, () => decide());
  await settled();
  assert.equal((await Promise.all(verdicts)).filter(({ refusal }) => refusal === null).length, 200);
  assert.ok(lender.questions.length <= 4, `${lender.questions.length} questions`);
});

test('units of two chunks pay one call', async () => {
  const { ask, lender } = open(40);
  assert.equal(await ask(5), true);
  assert.equal(await ask(12), true);
  assert.equal(lender.questions[1]?.least, 7);
});

test('a lease is over at its time by the clock here, and its rest is returned', async () => {
  const { ask, lender, world } = open(1000);
  lender.delayMs = 5;
  const first = ask();
  world.pass(5);
  await first;
  lender.delayMs = 0;
  // The answer came 5 ms after the question: its time counts from the question.
  world.pass(894);
  assert.equal(lender.units + lender.used, 984);
  world.pass(201);
  await settled();
  assert.deepEqual([lender.units, lender.used, lender.open.size], [999, 1, 0]);
});

test('a unit of a chunk that is over is never spent', async () => {
  const { ask, decide, lender, world } = open(16);
  lender.ttlMs = 890;
  await ask();
  assert.equal(isNow(decide()), true);
  // The first call has waited 10 ms.
  world.pass(879);
  assert.equal(isNow(decide(0)), true);
  world.pass(1);
  assert.equal(isNow(decide(0)), false);
  await settled();
  assert.equal(await ask(3), true);
  assert.equal(lender.units + [...lender.open.values()].reduce((sum, n) => sum + n, 0) + lender.used, 16);
});

test('a refusal is not asked about for each call, and a raised limit works within half a second', async () => {
  const { ask, count, lender, world } = open(1);
  assert.equal(await count(100), 1);
  assert.ok(lender.questions.length <= 3, `${lender.questions.length} questions`);
  lender.units = 1000;
  world.pass(250);
  await ask();
  await settled();
  assert.equal(await ask(), true);
});

test('a rate that has room again in 40 ms is asked then', async () => {
  const { ask, lender, world } = open(1000);
  lender.refusal = { ...reached, retryAfterMs: 40 };
  assert.equal(await ask(), false);
  lender.refusal = null;
  world.pass(30);
  assert.equal(await ask(), true);
});

test('a refused large call does not refuse a small one', async () => {
  const { ask } = open(8);
  assert.equal(await ask(20), false);
  assert.equal(await ask(1), true);
});

test('what is only metered needs no units', async () => {
  const { ask, lender, decide, world } = open(0);
  lender.free = true;
  lender.ttlMs = 500;
  await ask();
  assert.equal(isNow(decide(1_000_000)), true);
  assert.equal(lender.questions.length, 1);
  lender.refusal = reached;
  world.pass(300);
  decide();
  await settled();
  assert.equal(await ask(), false);
});

test('a cost of 0 only asks', async () => {
  const { ask, lender, decider, count } = open(5);
  assert.equal(await ask(0), true);
  assert.equal(await count(9), 5);
  assert.equal(await ask(0), false);
  await decider.close();
  assert.equal(lender.used, 5);
});

test('where something is held, each call has a lease of its own, returned when it is over', async () => {
  const { decide, lender, world } = open(2);
  lender.perCall = true;
  const [one, two, three] = [await decide(), await decide(), await decide()];
  assert.deepEqual([one.refusal, two.refusal, three.refusal?.code], [null, null, 'limit.reached']);
  one.release?.();
  world.pass(200);
  await settled();
  const four = await decide();
  assert.equal(four.refusal, null);
  two.release?.();
  four.release?.();
  world.pass(200);
  await settled();
  assert.deepEqual([lender.units, lender.open.size], [2, 0]);
});

test('a held call whose answer came too late holds nothing', async () => {
  const { decide, lender, world } = open(2);
  lender.perCall = true;
  (await decide()).release?.();
  lender.delayMs = 50;
  const late = decide();
  await settled();
  world.pass(10);
  assert.deepEqual([(await late).refusal, (await late).release], [null, null]);
  lender.delayMs = 0;
  for (let i = 0; i < 5; i++) {
    world.pass(200);
    await settled();
  }
  assert.equal(lender.open.size, 0);
});

test('whatever is asked when, admitted units never exceed what there is, and all are accounted for', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ask' as const), cost: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ kind: fc.constant('delay' as const), ms: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constant('away' as const), away: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 200 }), fc.array(step, { maxLength: 60 }), async (units, steps) => {
      const { world, lender, decider, decide } = open(units, { fail: { mode: 'closed', amount: 0 } });
      lender.fail = { mode: 'closed', amount: 0 };
      let admitted = 0;
      for (const one of steps) {
        if (one.kind === 'ask')
          void Promise.resolve(decide(one.cost)).then(({ refusal }) => {
            if (refusal === null) admitted += one.cost;
          });
        else if (one.kind === 'pass') world.pass(one.ms);
        else if (one.kind === 'delay') lender.delayMs = one.ms;
        else lender.away = one.away;
        await settled();
      }
      [lender.delayMs, lender.away] = [0, false];
      for (let i = 0; i < 10; i++) {
        world.pass(250);
        await settled();
      }
      assert.ok(admitted <= units, `${admitted} of ${units}`);
      await decider.close();
      assert.equal(lender.open.size, 0);
      assert.equal(lender.used, admitted);
      assert.equal(lender.units + lender.used, units);
    }),
    { numRuns: 60 },
  );
});
