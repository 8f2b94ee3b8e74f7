/** Decisions from above: what is told when something is not known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book } from '../domain/book.ts';
import type { ControlBody } from '../domain/control-fact.ts';
import type { Limit } from '../domain/limit/limit.ts';
import { Engine } from './engine/engine.ts';
import type { Gate } from './engine/types.ts';
import type { Grants, MeteredFeed } from './ports.ts';
import { gate, quotaOf } from './testing/gates.ts';
import { Throttle } from './throttle.ts';

const T = 1_795_000_000_000;
const acme: ControlBody = {
  ...{ kind: 'account', id: 'acme', parent: null, name: 'acme', zone: 'UTC', currency: 'EUR', state: 'active' },
};

interface Ports {
  feed?: MeteredFeed['ensure'];
  grants?: Grants['ensure'];
}

function world(limit: Limit, { feed = () => null, grants = () => null }: Ports = {}) {
  const bodies: ControlBody[] = [acme, { kind: 'limit', limit, accounts: [], from: 0, to: null }];
  const facts = bodies.map((body, i) => ({ receipt: i + 1, tenant: '', author: '', reason: '', recordedAt: 0, body }));
  const book = Book.at(facts, 9);
  const engine = new Engine();
  const clock = { at: T, now: () => clock.at, elapsed: () => clock.at, sleep: async () => undefined };
  const ports = { feed: { ensure: feed }, grants: { ensure: grants } };
  const throttle = new Throttle({ book: () => book, clock, engine, ...ports, decided: () => undefined });
  const ask = { account: 'acme', action: '', meter: 'requests', resource: '', dimensions: {} };
  return { throttle, engine, clock, ask };
}

const nothing =
  (engine: () => Engine): Grants['ensure'] =>
  ({ gates }, _cost, now) => {
    for (const one of gates) engine().setCeiling(one, 0, now);
    return null;
  };

test('a refusal that lacks nothing but a grant says that the limit is not known, not that it is reached', async () => {
  const { throttle, engine, ask } = world(gate(quotaOf(10)).limit, { grants: nothing(() => engine) });
  const { allowed, reason, detail, gate: refusing } = await throttle.decide(ask, 1);
  assert.deepEqual([allowed, reason, refusing?.limit.key], [false, 'limit.unknown', 'quota']);
  assert.match(detail, /not known at the moment/);
});

test('a refusal of a limit that is used up says that it is reached', async () => {
  const { throttle, ask } = world(gate(quotaOf(1)).limit);
  assert.equal((await throttle.decide(ask, 1)).allowed, true);
  assert.equal((await throttle.decide(ask, 1)).reason, 'limit.reached');
});

test('gates of another making are waited for no longer than a proxy waits, all tries together', async () => {
  const waits: (number | undefined)[] = [];
  const { throttle, engine, clock } = world(gate(quotaOf(10)).limit, {
    grants: (prepared, cost, now, waitMs) => {
      waits.push(waitMs);
      nothing(() => engine)(prepared, cost, now);
      clock.at += 3;
      return Promise.resolve([]);
    },
  });
  const prepared = engine.prepare([gate(quotaOf(10))]);
  const { decision } = await throttle.decideGates(prepared, [1]);
  assert.deepEqual([decision?.allowed, decision?.retryAfterMs], [false, 0]);
  assert.deepEqual(waits, [8, 5, 2]);
});

test('of gates of another making, an unknown one that fails open does not refuse, and one that fails shut is named', async () => {
  const gates = (mode: 'open' | 'closed'): Gate[] => [
    gate(quotaOf(1), { key: 'metered', feed: 'metered', fail: { mode } }),
    gate(quotaOf(5), { key: 'decided' }),
  ];
  const check = async (mode: 'open' | 'closed', allowed: boolean, shut: string | undefined): Promise<void> => {
    const all = gates(mode);
    const { throttle, engine } = world(gate(quotaOf(10)).limit, { feed: async () => all.slice(0, 1) });
    engine.setUsed(all[0] as Gate, 1, T);
    const answer = await throttle.decideGates(engine.prepare(all), [1, 2]);
    assert.deepEqual([answer.decision?.allowed ?? false, answer.shut?.limit.key], [allowed, shut], mode);
    assert.equal(engine.status(engine.prepare(all), T)[1]?.used, allowed ? 2 : 0, mode);
  };
  await check('open', true, undefined);
  await check('closed', false, 'metered');
});
