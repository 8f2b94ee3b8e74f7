import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LimitOracle } from '../testing/limit-oracle.ts';
import { OneLimit } from '../testing/one-limit.ts';
import type { LimitRule } from './limit.ts';

const RUNS = process.env.CI === 'true' ? 4000 : 150;
const HOUR = 3_600_000;
const START = Date.parse('2026-03-01T00:00:00Z');

interface Call {
  /** ms since the call before; may be negative. */
  step: number;
  cost: number;
  /** Charged although it does not fit. */
  soft: boolean;
  /** Which admission, counted back from the last, is refunded before; -1: none. */
  refund: number;
}

const amounts = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 10_000 }));
const windows = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(1000, 60_000, HOUR));

const rateRule: fc.Arbitrary<LimitRule> = fc
  .record({
    algorithm: fc.constantFrom('fixed' as const, 'sliding' as const, 'log' as const, 'bucket' as const),
    amount: amounts,
    windowMs: windows,
    burst: fc.integer({ min: 1, max: 50 }),
  })
  .map(({ algorithm, amount, windowMs, burst }) =>
    algorithm === 'bucket'
      ? { kind: 'rate', algorithm, windowMs, amount: Math.max(1, amount), burst }
      : { kind: 'rate', algorithm, windowMs, amount, burst: amount },
  );

const anyRule: fc.Arbitrary<LimitRule> = fc.oneof(
  { weight: 4, arbitrary: rateRule },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('concurrency' as const), amount: amounts, holdMs: windows }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('quota' as const),
      amount: amounts,
      period: fc.constantFrom('day' as const, 'week' as const, 'month' as const),
    }),
  },
);

const lengthOf = (rule: LimitRule): number =>
  rule.kind === 'rate' ? rule.windowMs : rule.kind === 'quota' ? 40 * HOUR : rule.holdMs;

/** Steps around the length of the window, where things happen; an hour both ways in between. */
const callsOf = (rule: LimitRule, refunds: boolean): fc.Arbitrary<Call[]> =>
  fc.array(
    fc.record({
      step: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 8, arbitrary: fc.integer({ min: 0, max: lengthOf(rule) }) },
        { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 * lengthOf(rule) }) },
        { weight: 1, arbitrary: fc.constantFrom(HOUR, -HOUR, -1, -lengthOf(rule)) },
      ),
      cost: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 0, max: Math.max(2, Math.ceil(rule.amount / 3)) }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: rule.amount + 2 }) },
      ),
      soft: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      refund: refunds ? fc.integer({ min: -3, max: 3 }) : fc.constant(-1),
    }),
    { minLength: 1, maxLength: 40, size: 'max' },
  );

const cases = (refunds: boolean) =>
  anyRule.chain((rule) =>
    fc.tuple(fc.constant(rule), callsOf(rule, refunds), fc.constantFrom('UTC', 'Asia/Kathmandu')),
  );

test('every algorithm admits exactly what its rule says, at any costs and times, the clock going back as well', () =>
  fc.assert(
    fc.property(cases(false), ([rule, calls, zone]) => {
      const [limit, oracle] = [new OneLimit(rule, { zone, anchor: 0 }), new LimitOracle(rule, zone)];
      let [now, resetAt] = [START, 0];
      for (const [id, { step, cost, soft }] of calls.entries()) {
        now += step;
        oracle.see(now);
        const fits = oracle.fits(cost, now);
        const asked = limit.ask(cost, now, soft);
        assert.equal(asked.allowed, fits, `call ${id} at ${now}`);
        if (fits || soft) oracle.admit(id, cost);
        assert.equal(BigInt(asked.used), oracle.used(now), `used after call ${id} at ${now}`);
        if (asked.fitsAt !== null && !soft) checkRetry(oracle, rule, cost, now, asked.fitsAt);
        assert.ok(asked.resetAt >= resetAt, `reset of call ${id} comes earlier than the one before`);
        resetAt = asked.resetAt;
      }
    }),
    { numRuns: RUNS },
  ));

/** Told to come again at an instant: then it fits, and a ms before it does not. */
function checkRetry(oracle: LimitOracle, rule: LimitRule, cost: number, now: number, fitsAt: number): void {
  const most = rule.kind === 'rate' && rule.algorithm === 'bucket' ? rule.burst : rule.amount;
  assert.equal(fitsAt === Number.POSITIVE_INFINITY, cost > most);
  if (cost > most) return;
  assert.ok(fitsAt > now);
  assert.equal(oracle.fits(cost, fitsAt), true, `fits at ${fitsAt}`);
  assert.equal(oracle.fits(cost, fitsAt - 1), false, `does not fit at ${fitsAt - 1}`);
}

test('a refund never frees more than if the call had not been', () =>
  fc.assert(
    fc.property(cases(true), ([rule, calls, zone]) => {
      const [limit, oracle] = [new OneLimit(rule, { zone, anchor: 0 }), new LimitOracle(rule, zone)];
      const admitted: { id: number; cost: number; at: number }[] = [];
      let now = START;
      for (const [id, { step, cost, soft, refund }] of calls.entries()) {
        now += step;
        oracle.see(now);
        const [back] = refund < 0 || refund >= admitted.length ? [] : admitted.splice(admitted.length - 1 - refund, 1);
        if (back !== undefined) {
          limit.giveBack(back.cost, now, back.at);
          oracle.remove(back.id);
        }
        const fits = oracle.fits(cost, now);
        const { allowed } = limit.ask(cost, now, soft);
        assert.ok(!allowed || fits, `call ${id} at ${now} was admitted against the rule`);
        if (allowed || soft) {
          oracle.admit(id, cost);
          admitted.push({ id, cost, at: now });
        }
        assert.ok(BigInt(limit.used(now)) >= oracle.used(now), `call ${id} at ${now}`);
      }
    }),
    { numRuns: RUNS },
  ));

test('a refund at once undoes the call', () =>
  fc.assert(
    fc.property(anyRule, fc.nat(30), fc.nat(5000), (rule, cost, later) => {
      const limit = new OneLimit(rule);
      limit.ask(1, START);
      const before = limit.used(START + later);
      if (limit.ask(cost, START + later).allowed) limit.giveBack(cost, START + later, START + later);
      assert.equal(limit.used(START + later), before);
    }),
    { numRuns: RUNS },
  ));

test('out of room, a log or a set of holds counts longer, never shorter', () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 3 })), { maxLength: 60, size: 'max' }),
      (calls) => {
        const rule: LimitRule = { kind: 'concurrency', amount: 1000, holdMs: 1000 };
        const [limit, oracle] = [new OneLimit(rule, undefined, 8), new LimitOracle(rule)];
        let now = START;
        for (const [id, [step, cost]] of calls.entries()) {
          now += step;
          oracle.see(now);
          if (limit.ask(cost, now).allowed) oracle.admit(id, cost);
          assert.ok(BigInt(limit.used(now)) >= oracle.used(now));
        }
        assert.equal(limit.used(now + 1000), 0);
      },
    ),
    { numRuns: RUNS },
  ));

test('of two weighed windows, at fraction f at most (1 + f) times the amount was admitted within one window of now', () => {
  let most = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 2, max: 500 }),
      fc.array(fc.nat(200), { maxLength: 60, size: 'max' }),
      (amount, windowMs, steps) => {
        const limit = new OneLimit({ kind: 'rate', algorithm: 'sliding', amount, burst: amount, windowMs });
        const taken: { at: number; cost: number }[] = [];
        let now = windowMs - 1;
        for (const step of [0, ...steps]) {
          now += step % windowMs;
          const cost = amount - limit.used(now);
          if (limit.ask(cost, now).allowed) taken.push({ at: now, cost });
          const within = taken.reduce((sum, t) => (t.at > now - windowMs ? sum + t.cost : sum), 0);
          assert.ok((within - amount) * windowMs <= amount * (now % windowMs), `${within} of ${amount} at ${now}`);
          most = Math.max(most, within / amount);
        }
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(most > 1.5 && most < 2, `the bound is near: ${most} times the amount was reached`);
});
