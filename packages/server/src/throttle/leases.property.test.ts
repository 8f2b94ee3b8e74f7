/** Units lent by several servers with clocks of their own: never more than the limit, whoever dies, and nearly all of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Book } from '../domain/book.ts';
import type { ControlBody } from '../domain/control-fact.ts';
import { openControlModel } from '../store/model/control-model.ts';
import { Engine } from './engine/engine.ts';
import { DurableGrants, type GrantStore } from './grants.ts';
import { Leases } from './leases.ts';
import { gate, quotaOf } from './testing/gates.ts';
import { Throttle } from './throttle.ts';

/** In the middle of a month, so that no step of an hour leaves it. */
const T = Date.UTC(2026, 10, 15);
const HOUR = 3_600_000;
const ASK = { account: 'acme', action: '', meter: 'requests', resource: '', dimensions: {} };

const bookOf = (amount: number): Book => {
  const { limit } = gate(quotaOf(amount), { key: 'calls' });
  const facts: ControlBody[] = [
    { kind: 'account', id: 'acme', parent: null, name: 'acme', zone: 'UTC', currency: 'EUR', state: 'active' },
    { kind: 'limit', limit, accounts: [], from: 0, to: null },
  ];
  return Book.at(
    facts.map((body, i) => ({ receipt: i + 1, tenant: '', author: 'test', reason: '', recordedAt: 0, body })),
    99,
  );
};

interface Server {
  clock: { at: number };
  leases: Leases;
  grants: DurableGrants;
  told: { admitted: number };
}

let ids = 0;

function server(store: GrantStore, amount: number, at: number): Server {
  const clock = {
    at,
    monotonic: 0,
    now: () => clock.at,
    elapsed: () => clock.monotonic++ * 300,
    sleep: (_ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
  };
  const engine = new Engine();
  const grants = new DurableGrants({ engine, store, clock, report: () => undefined });
  const told = { admitted: 0 };
  const book = bookOf(amount);
  const parts = { book: () => book, clock, engine, feed: { ensure: () => null }, grants };
  const throttle = new Throttle({ ...parts, decided: () => undefined });
  const leases = new Leases({
    throttle,
    engine,
    clock,
    makeId: () => `lease-${ids++}`,
    decided: (_ask, _question, units, { allowed }) => {
      if (allowed) told.admitted += units;
    },
  });
  return { clock, leases, grants, told };
}

const step = fc.record({
  who: fc.nat(2),
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constant('take' as const) },
    { weight: 10, arbitrary: fc.constant('settle' as const) },
    { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'stop' as const, 'back' as const) },
    { weight: 1, arbitrary: fc.constant('forward' as const) },
    { weight: 3, arbitrary: fc.constant('pass' as const) },
  ),
  units: fc.integer({ min: 1, max: 50 }),
});

test('servers 5 s apart that lend, are killed and have their clocks set never lend more than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 200 }),
      fc.integer({ min: 1, max: 80 }),
      async (steps, amount) => {
        const store = openControlModel();
        const servers = [0, 5000, 10_000].map((off) => server(store, amount, T + off));
        const lent: { who: number; id: string; granted: number }[] = [];
        let used = 0;
        for (const { who, what, units } of steps) {
          const one = servers[who] as Server;
          if (what === 'take') {
            const { id, granted, ttlMs } = await one.leases.take({ ...ASK, want: units, least: 1 });
            assert.ok(ttlMs <= 900);
            if (id !== null) lent.push({ who, id, granted: granted ?? 0 });
          } else if (what === 'settle') {
            const lease = lent.shift();
            // Its holder uses part of it, whatever becomes of the server meanwhile.
            const part = lease === undefined ? 0 : Math.min(lease.granted, units);
            used += part;
            if (lease !== undefined) servers[lease.who]?.leases.settle(lease.id, part, true, () => true);
          } else if (what === 'pass') one.clock.at += units * 50;
          else if (what === 'forward') one.clock.at += HOUR;
          else if (what === 'back') one.clock.at -= HOUR;
          else {
            if (what === 'stop') await one.grants.close();
            servers[who] = server(store, amount, one.clock.at);
          }
          const open = lent.reduce((sum, { granted }) => sum + granted, 0);
          assert.ok(used + open <= amount, `${used} used and ${open} lent of ${amount}`);
        }
      },
    ),
    { numRuns: process.env.CI === 'true' ? 300 : 40 },
  );
});

test('all of a limit is lent when there is enough demand, and what is told is what was used', async () => {
  const store = openControlModel();
  const servers = [0, 1].map(() => server(store, 1000, T));
  let used = 0;
  for (let n = 0; n < 200; n++) {
    const one = servers[n % 2] as Server;
    const { id, granted } = await one.leases.take({ ...ASK, want: 30, least: 1 });
    const part = Math.ceil((granted ?? 0) / 2);
    if (id !== null)
      assert.equal(
        one.leases.settle(id, part, true, () => true),
        true,
      );
    used += part;
    if (n === 150) await servers[1]?.grants.close();
  }
  assert.ok(used >= 990 && used <= 1000, `${used} of 1000`);
  assert.equal(servers[0]?.told.admitted, used - (servers[1]?.told.admitted ?? 0));
});
