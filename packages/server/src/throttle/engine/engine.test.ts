import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitError } from '../../domain/limit/limit-error.ts';
import { atOnce, gate, quotaOf, rate } from '../testing/gates.ts';
import { Engine } from './engine.ts';
import type { Gate } from './types.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const MONTH_END = Date.parse('2026-12-01T00:00:00Z');
const SECOND = 1000;

const used = (engine: Engine, gates: readonly Gate[], now = NOW): number[] =>
  engine.status(engine.prepare(gates), now).map((s) => s.used);

test('a decision says which gate is closest to its limit, what is used and left, and when it resets', () => {
  const engine = new Engine();
  const prepared = engine.prepare([gate(quotaOf(1000)), gate(rate('fixed', 10, SECOND))]);
  assert.deepEqual(engine.decide(prepared, 4, NOW), {
    allowed: true,
    gate: 1,
    limit: 10,
    used: 4,
    remaining: 6,
    resetAt: NOW + SECOND,
    retryAfterMs: 0,
    shadowed: [],
  });
});

test('a refusal names the gate, charges none of them, and says when to come again', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(1000)), gate(rate('fixed', 10, SECOND))];
  const prepared = engine.prepare(gates);
  engine.decide(prepared, 8, NOW);
  const refused = engine.decide(prepared, 3, NOW + 200);
  assert.deepEqual(refused, {
    allowed: false,
    gate: 1,
    limit: 10,
    used: 8,
    remaining: 2,
    resetAt: NOW + SECOND,
    retryAfterMs: 800,
    shadowed: [],
  });
  assert.deepEqual(used(engine, gates, NOW + 200), [8, 8]);
});

test('of several gates that refuse, the one that takes longest is named', () => {
  const engine = new Engine();
  const prepared = engine.prepare([gate(rate('fixed', 1, SECOND)), gate(quotaOf(1)), gate(rate('log', 1, SECOND))]);
  engine.decide(prepared, 1, NOW);
  assert.deepEqual(((d) => [d.gate, d.retryAfterMs])(engine.decide(prepared, 1, NOW)), [1, MONTH_END - NOW]);
  assert.deepEqual(
    ((d) => [d.gate, d.retryAfterMs])(engine.decide(prepared, 2, NOW)),
    [0, null],
    'a cost above the limit never fits, and the first gate of which that is true is named',
  );
});

test('no gates: allowed, and no numbers are invented', () => {
  const engine = new Engine();
  const decision = engine.decide(engine.prepare([]), 1, NOW);
  assert.deepEqual([decision.allowed, decision.gate], [true, -1]);
});

test('cost 0 only looks', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(2)), gate(atOnce(1, SECOND))];
  const prepared = engine.prepare(gates);
  assert.equal(engine.decide(prepared, 0, NOW).allowed, true);
  assert.deepEqual(used(engine, gates), [0, 0]);
  engine.decide(prepared, 1, NOW);
  assert.equal(engine.decide(prepared, 0, NOW).allowed, true, 'nothing more is asked for');
  assert.deepEqual(used(engine, gates), [1, 1]);
});

test('costs that are no whole numbers of units are refused by name', () => {
  const engine = new Engine();
  const prepared = engine.prepare([gate(quotaOf(2))]);
  for (const cost of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    assert.throws(() => engine.decide(prepared, cost, NOW), { code: 'limit.cost' }, String(cost));
  }
  assert.throws(() => engine.decide(prepared, 1, NOW, [1, 2]), { code: 'limit.cost' });
  assert.equal(engine.decide(prepared, Number.MAX_SAFE_INTEGER, NOW).retryAfterMs, null);
});

test('a limit that cannot be counted exactly is refused when it is first met', () =>
  assert.throws(() => new Engine().prepare([gate(rate('log', 10_001, SECOND))]), LimitError));

test('two limits of one name and different rules are not counted into one counter', () => {
  const gates = [gate(rate('fixed', 5, SECOND), { key: 'x' }), gate(rate('log', 5, SECOND), { key: 'x' })];
  assert.throws(() => new Engine().prepare(gates), /two limits x of acme: name them apart/);
});

test('gates may have costs of their own, all charged or none', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(100), { key: 'a' }), gate(quotaOf(10), { key: 'b' }), gate(quotaOf(1), { key: 'c' })];
  const prepared = engine.prepare(gates);
  assert.equal(engine.decide(prepared, 1, NOW, [50, 5, 0]).allowed, true);
  assert.deepEqual(used(engine, gates), [50, 5, 0]);
  assert.equal(engine.decide(prepared, 1, NOW, [1, 6, 1]).gate, 1);
  assert.deepEqual(used(engine, gates), [50, 5, 0]);
});

test('the same counter twice in one request is charged twice, and never above its limit', () => {
  const engine = new Engine();
  const twice = gate(quotaOf(3));
  const prepared = engine.prepare([twice, { ...twice }]);
  assert.equal(engine.decide(prepared, 1, NOW).allowed, true);
  assert.equal(engine.decide(prepared, 1, NOW).allowed, false);
  assert.deepEqual(used(engine, [twice]), [2]);
});

test('a soft limit admits and counts what is above it', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(10), { hard: false })];
  const prepared = engine.prepare(gates);
  const decision = engine.decide(prepared, 15, NOW);
  assert.deepEqual([decision.allowed, decision.used, decision.remaining], [true, 15, 0]);
});

test('a limit in shadow counts as if it were hard, says when it would have refused, and never does', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(100)), gate(rate('fixed', 10, SECOND), { shadow: true })];
  const prepared = engine.prepare(gates);
  assert.deepEqual(engine.decide(prepared, 8, NOW).shadowed, []);
  const over = engine.decide(prepared, 3, NOW);
  assert.deepEqual([over.allowed, over.shadowed, over.gate], [true, [1], 0]);
  assert.deepEqual(used(engine, gates), [11, 8], 'what it would have refused is not counted in it');
  assert.deepEqual(engine.decide(prepared, 2, NOW).shadowed, []);
});

test('a metered quota is read only: it admits while anything is left, and refuses from then on', () => {
  const engine = new Engine();
  const metered = gate(quotaOf(50_000_000), { feed: 'metered', meter: 'network.bytes.sent' });
  const prepared = engine.prepare([metered, gate(rate('fixed', 10, SECOND))]);
  engine.setUsed(metered, 49_999_999, NOW);
  assert.equal(engine.decide(prepared, 5, NOW).allowed, true);
  assert.deepEqual(used(engine, [metered]), [49_999_999]);
  engine.setUsed(metered, 50_000_000, NOW);
  const refused = engine.decide(prepared, 5, NOW);
  assert.deepEqual([refused.allowed, refused.gate, refused.retryAfterMs], [false, 0, MONTH_END - NOW]);
  engine.setUsed(metered, 10, NOW);
  assert.equal(engine.decide(prepared, 5, NOW).allowed, true, 'a correction moves it down as well');
});

test('a raised quota lifts a refusal at once, a lowered one keeps what was used', () => {
  const engine = new Engine();
  const [small, big] = [gate(quotaOf(50), { version: 1 }), gate(quotaOf(150), { version: 2 })];
  assert.equal(engine.decide(engine.prepare([small]), 50, NOW).allowed, true);
  assert.equal(engine.decide(engine.prepare([small]), 1, NOW).allowed, false);
  assert.equal(engine.decide(engine.prepare([big]), 100, NOW).allowed, true);
  const lowered = engine.decide(engine.prepare([small]), 1, NOW);
  assert.deepEqual([lowered.allowed, lowered.used, lowered.remaining], [false, 150, 0]);
});

test('up to its ceiling a strict quota admits; above it a refusal asks for a grant, not for patience', () => {
  const engine = new Engine();
  const strict = gate(quotaOf(100));
  const prepared = engine.prepare([strict]);
  assert.deepEqual(engine.unknown(prepared, NOW), [0]);
  engine.setCeiling(strict, 10, NOW);
  assert.deepEqual(engine.unknown(prepared, NOW), []);
  assert.deepEqual(engine.ungranted(prepared, 10, NOW), []);
  assert.equal(engine.decide(prepared, 10, NOW).allowed, true);
  assert.deepEqual(engine.ungranted(prepared, 1, NOW), [0]);
  const waits = engine.decide(prepared, 1, NOW);
  assert.deepEqual([waits.allowed, waits.retryAfterMs, waits.remaining], [false, 0, 90]);
  assert.deepEqual(engine.ungranted(prepared, 91, NOW), [], 'no grant makes that fit');
  assert.equal(engine.decide(prepared, 91, NOW).retryAfterMs, MONTH_END - NOW);
  engine.setCeiling(strict, 20, NOW);
  assert.equal(engine.decide(prepared, 10, NOW).allowed, true);
});

test('in a new period nothing is granted yet, and a ceiling for the old one comes too late', () => {
  const engine = new Engine();
  const strict = gate(quotaOf(100));
  const prepared = engine.prepare([strict]);
  engine.setCeiling(strict, 10, NOW);
  assert.equal(engine.decide(prepared, 1, MONTH_END).allowed, false);
  engine.setCeiling(strict, 50, NOW);
  engine.setUsed(strict, 70, NOW);
  assert.equal(engine.decide(prepared, 1, MONTH_END).allowed, false);
  assert.deepEqual(used(engine, [strict], MONTH_END), [0]);
  engine.setCeiling(strict, 5, MONTH_END);
  assert.equal(engine.decide(prepared, 5, MONTH_END).allowed, true);
});

test('a refund gives back what still counts, and nothing of a period that is over', () => {
  const engine = new Engine();
  const gates = [gate(quotaOf(100)), gate(atOnce(2, 60_000))];
  const prepared = engine.prepare(gates);
  engine.decide(prepared, 30, NOW);
  engine.refund(prepared, 30, NOW + 5, NOW);
  assert.deepEqual(used(engine, gates, NOW + 5), [0, 0]);
  engine.decide(prepared, 30, NOW + 10);
  engine.decide(prepared, 40, MONTH_END);
  engine.refund(prepared, 30, MONTH_END, NOW + 10);
  assert.deepEqual(used(engine, gates, MONTH_END), [40, 1]);
});

test('gates that another engine prepared are refused', () =>
  assert.throws(() => new Engine().decide({ gates: [] }, 1, NOW), TypeError));
