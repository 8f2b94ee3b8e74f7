import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { atOnce, gate, quotaOf, rate } from '../testing/gates.ts';
import { Engine } from './engine.ts';
import { type ReservationBounds, Reservations } from './reservations.ts';
import type { Gate } from './types.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const MONTH_END = Date.parse('2026-12-01T00:00:00Z');
const MINUTE = 60_000;

function make(gates: readonly Gate[], bounds: Partial<ReservationBounds> = {}) {
  const engine = new Engine();
  let last = 0;
  const reservations = new Reservations(engine, () => `r${++last}`, bounds);
  const prepared = engine.prepare(gates);
  const used = (now = NOW): number[] => engine.status(prepared, now).map((s) => s.used);
  return { engine, reservations, prepared, used };
}

test('what was reserved counts until it is settled for what it really was', () => {
  const { reservations, prepared, used } = make([gate(quotaOf(100))]);
  const { id } = reservations.reserve(prepared, 80, MINUTE, NOW);
  assert.equal(reservations.reserve(prepared, 30, MINUTE, NOW).id, null);
  assert.deepEqual(used(), [80]);
  assert.deepEqual(reservations.commit(id!, 25, NOW + 10), { settled: true, above: [] });
  assert.deepEqual(used(), [25]);
  assert.deepEqual(reservations.commit(id!, 25, NOW + 10), { settled: false, why: 'unknown' });
});

test('more than was reserved is charged above the limit, and said', () => {
  const { reservations, prepared, used } = make([gate(quotaOf(100)), gate(quotaOf(1000, 'day'), { key: 'day' })]);
  const { id } = reservations.reserve(prepared, 80, MINUTE, NOW);
  assert.deepEqual(reservations.commit(id!, 130, NOW + 10), { settled: true, above: [0] });
  assert.deepEqual(used(), [130, 130]);
});

test('released or over, all of it comes back', () => {
  const { reservations, prepared, used } = make([gate(quotaOf(100)), gate(atOnce(3, 10 * MINUTE))]);
  const { id } = reservations.reserve(prepared, 40, MINUTE, NOW);
  reservations.reserve(prepared, 20, 2 * MINUTE, NOW);
  reservations.release(id!, NOW + 5);
  assert.deepEqual(used(), [20, 1]);
  assert.equal(reservations.expire(NOW + 2 * MINUTE - 1), 0);
  assert.equal(reservations.expire(NOW + 2 * MINUTE), 1);
  assert.deepEqual([used(NOW + 2 * MINUTE), reservations.size], [[0, 0], 0]);
});

test('a reservation of a period that is over gives nothing back to the new one', () => {
  const { reservations, prepared, used } = make([gate(quotaOf(100))]);
  const before = reservations.reserve(prepared, 60, MINUTE, MONTH_END - 10);
  reservations.reserve(prepared, 50, MINUTE, MONTH_END + 10);
  reservations.release(before.id!, MONTH_END + 20);
  assert.deepEqual(used(MONTH_END + 20), [50]);
});

test('a hold is acquired, renewed, released; not renewed, it expires with its limit’s longest time', () => {
  const { reservations, prepared, used } = make([gate(atOnce(2, MINUTE))]);
  const first = reservations.reserve(prepared, 1, 10 * MINUTE, NOW);
  const second = reservations.reserve(prepared, 1, 10 * MINUTE, NOW + 10);
  assert.equal(reservations.reserve(prepared, 1, MINUTE, NOW + 20).decision.retryAfterMs, MINUTE - 20);
  assert.equal(reservations.renew(first.id!, NOW + MINUTE / 2), NOW + 1.5 * MINUTE);
  assert.equal(reservations.renew(second.id!, NOW + MINUTE + 10), null, 'too late');
  assert.deepEqual(used(NOW + MINUTE + 10), [1], 'and the renewed one is still held');
  const third = reservations.reserve(prepared, 1, MINUTE, NOW + MINUTE + 10);
  reservations.release(first.id!, NOW + MINUTE + 20);
  assert.deepEqual(used(NOW + MINUTE + 20), [1]);
  reservations.commit(third.id!, 1, NOW + MINUTE + 30);
  assert.deepEqual(used(NOW + MINUTE + 30), [0], 'done is let go');
});

test('gates in shadow that were not charged get nothing back', () => {
  const shadow = gate(quotaOf(10), { key: 's', shadow: true });
  const { engine, reservations, prepared, used } = make([gate(quotaOf(100)), shadow]);
  engine.decide(prepared, 8, NOW);
  const { id, decision } = reservations.reserve(prepared, 5, MINUTE, NOW);
  assert.deepEqual(decision.shadowed, [1]);
  reservations.release(id!, NOW);
  assert.deepEqual(used(), [8, 8]);
});

test('open reservations are bounded, by account and together, and a refused one charges nothing', () => {
  const { engine, reservations, prepared, used } = make([gate(quotaOf(100))], { most: 3, perAccount: 2 });
  reservations.reserve(prepared, 1, MINUTE, NOW);
  reservations.reserve(prepared, 1, MINUTE, NOW);
  assert.throws(() => reservations.reserve(prepared, 1, MINUTE, NOW), /2 reservations of acme are open/);
  const other = engine.prepare([gate(quotaOf(100), { account: 'other' })]);
  reservations.reserve(other, 1, MINUTE, NOW);
  const third = engine.prepare([gate(quotaOf(100), { account: 'third' })]);
  assert.throws(() => reservations.reserve(third, 1, MINUTE, NOW), /3 reservations are open/);
  assert.throws(() => reservations.reserve(third, 1, 0, NOW), { code: 'limit.holds' });
  assert.deepEqual(used(), [2]);
});

test('twenty thousand short reservations behind one long one take no more room', () => {
  const { reservations, prepared, used } = make([gate(rate('fixed', 1_000_000, 1000))]);
  reservations.reserve(prepared, 1, 1000 * MINUTE, NOW);
  for (let i = 0; i < 20_000; i++) reservations.release(reservations.reserve(prepared, 1, 900 * MINUTE, NOW).id!, NOW);
  assert.deepEqual([used(), reservations.size, reservations.waiting < 2000], [[1], 1, true]);
});

test('whatever is reserved, settled, released and forgotten, a quota counts what was committed and what is open', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          step: fc.nat(40),
          act: fc.constantFrom('reserve', 'reserve', 'commit', 'release', 'renew'),
          units: fc.nat(8),
          ttl: fc.integer({ min: 1, max: 200 }),
          which: fc.nat(5),
        }),
        { maxLength: 80, size: 'max' },
      ),
      (steps) => {
        const { reservations, prepared, used } = make([gate(quotaOf(60)), gate(atOnce(4, 100))]);
        const open = new Map<string, { amount: number; until: number; ttl: number }>();
        let [now, committed] = [NOW, 0];
        for (const { step, act, units, ttl, which } of steps) {
          now += step;
          for (const [id, { until }] of open) if (until <= now) open.delete(id);
          const sum = (): number => [...open.values()].reduce((total, o) => total + o.amount, committed);
          const holds = (): number => [...open.values()].filter((o) => o.amount > 0).length;
          const id = [...open.keys()][which];
          if (act === 'reserve') {
            const fits = sum() + units <= 60 && holds() + Math.min(1, units) <= 4;
            const reserved = reservations.reserve(prepared, units, ttl, now);
            assert.equal(reserved.id !== null, fits);
            const lasts = Math.min(ttl, 100);
            if (reserved.id !== null) open.set(reserved.id, { amount: units, until: now + lasts, ttl: lasts });
          } else if (id !== undefined) {
            const held = open.get(id)!;
            if (act === 'renew') held.until = reservations.renew(id, now)!;
            else open.delete(id);
            if (act === 'release') reservations.release(id, now);
            if (act === 'commit') reservations.commit(id, units, now);
            if (act === 'commit') committed += units;
            assert.ok(act !== 'renew' || held.until === now + held.ttl);
          }
          reservations.expire(now);
          assert.deepEqual(used(now), [sum(), holds()]);
        }
      },
    ),
    { numRuns: process.env.CI === 'true' ? 2000 : 200 },
  ));
