import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LimitRule } from '../../domain/limit/limit.ts';
import { LimitOracle } from '../../domain/testing/limit-oracle.ts';
import { atOnce, gate, quotaOf, rate } from '../testing/gates.ts';
import { Engine } from './engine.ts';
import type { Gate } from './types.ts';

const RUNS = process.env.CI === 'true' ? 3000 : 150;
const START = Date.parse('2026-03-01T12:00:00Z');

const rules: fc.Arbitrary<LimitRule> = fc.oneof(
  fc
    .record({
      algorithm: fc.constantFrom('fixed' as const, 'sliding' as const, 'log' as const),
      amount: fc.integer({ min: 0, max: 12 }),
      windowMs: fc.integer({ min: 1, max: 300 }),
    })
    .map(({ algorithm, amount, windowMs }) => rate(algorithm, amount, windowMs)),
  fc
    .record({
      amount: fc.integer({ min: 1, max: 12 }),
      windowMs: fc.integer({ min: 1, max: 300 }),
      burst: fc.integer({ min: 1, max: 12 }),
    })
    .map(({ amount, windowMs, burst }) => rate('bucket', amount, windowMs, burst)),
  fc.integer({ min: 0, max: 40 }).map((amount) => quotaOf(amount, 'day')),
  fc
    .record({ amount: fc.integer({ min: 0, max: 6 }), holdMs: fc.integer({ min: 1, max: 300 }) })
    .map((r) => atOnce(r.amount, r.holdMs)),
);

const mode = fc.constantFrom('hard' as const, 'hard' as const, 'hard' as const, 'soft' as const, 'shadow' as const);

/** Up to six limits, of which every call meets some, at subjects of its own. */
const scenes = fc.record({
  limits: fc.array(fc.tuple(rules, mode), { minLength: 1, maxLength: 6 }),
  calls: fc.array(
    fc.record({
      step: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 }), fc.constantFrom(-3_600_000, 3_600_000, -50)),
      cost: fc.integer({ min: 0, max: 5 }),
      meets: fc.array(fc.tuple(fc.nat(5), fc.constantFrom('a', 'b', 'c')), { minLength: 1, maxLength: 5 }),
    }),
    { maxLength: 40, size: 'max' },
  ),
});

test('over any gates a decision is that of the rules taken literally, and charges all of them or none', () =>
  fc.assert(
    fc.property(scenes, ({ limits, calls }) => {
      const engine = new Engine();
      const oracles = new Map<string, LimitOracle>();
      let now = START;
      for (const [id, { step, cost, meets }] of calls.entries()) {
        now += step;
        const met = [
          ...new Map(
            meets.map(([n, subject]) => [`${n % limits.length} ${subject}`, { n: n % limits.length, subject }]),
          ).entries(),
        ];
        const gates: Gate[] = [];
        let [allowed, shadowed] = [true, [] as number[]];
        const charges: { oracle: LimitOracle; units: number; over: boolean; how: string }[] = [];
        for (const [i, [name, { n, subject }]] of met.entries()) {
          const [rule, how] = limits[n]!;
          gates.push(gate(rule, { key: `limit-${n}`, subject, hard: how !== 'soft', shadow: how === 'shadow' }));
          const oracle = oracles.get(name) ?? new LimitOracle(rule);
          oracles.set(name, oracle);
          oracle.see(now);
          const units = rule.kind === 'concurrency' ? Math.min(1, cost) : cost;
          const over = !oracle.fits(units, now);
          if (over && how === 'hard') allowed = false;
          if (over && how === 'shadow') shadowed = [...shadowed, i];
          charges.push({ oracle, units, over, how });
        }
        const prepared = engine.prepare(gates);
        const decision = engine.decide(prepared, cost, now);
        assert.deepEqual([decision.allowed, decision.shadowed], [allowed, shadowed], `call ${id} at ${now}`);
        if (allowed) for (const c of charges) if (!(c.over && c.how === 'shadow')) c.oracle.admit(id, c.units);
        for (const [i, { used, remaining, limit }] of engine.status(prepared, now).entries()) {
          assert.equal(BigInt(used), charges[i]!.oracle.used(now), `gate ${i} after call ${id}`);
          assert.equal(remaining, Math.max(0, limit - used));
        }
      }
    }),
    { numRuns: RUNS },
  ));

test('whatever is granted and when, a strict quota never admits more than its ceiling or its amount', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 50 }),
      fc.array(
        fc.record({
          cost: fc.nat(6),
          grant: fc.option(fc.nat(60), { nil: null }),
          step: fc.integer({ min: -100, max: 100 }),
        }),
        { maxLength: 60, size: 'max' },
      ),
      (amount, calls) => {
        const engine = new Engine();
        const strict = gate(quotaOf(amount));
        const prepared = engine.prepare([strict]);
        engine.setCeiling(strict, 0, START);
        let [now, ceiling, admitted] = [START, 0, 0];
        for (const { cost, grant, step } of calls) {
          now += step;
          if (grant !== null) {
            ceiling = grant;
            engine.setCeiling(strict, grant, now);
          }
          const fits = admitted + cost <= Math.min(amount, ceiling);
          assert.equal(engine.ungranted(prepared, cost, now).length > 0, !fits && admitted + cost <= amount);
          const decision = engine.decide(prepared, cost, now);
          assert.equal(decision.allowed, fits);
          if (fits) admitted += cost;
        }
      },
    ),
    { numRuns: RUNS },
  ));
