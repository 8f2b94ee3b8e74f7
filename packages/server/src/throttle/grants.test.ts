/** Strict limits: never exceeded, by whatever crashes and however many servers; and almost wholly given out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AMOUNT_MAX, type FailMode } from '../domain/limit/limit.ts';
import { openControlModel } from '../store/model/control-model.ts';
import { Engine } from './engine/engine.ts';
import { DurableGrants, type GrantStore } from './grants.ts';
import { type GateFields, gate, quotaOf } from './testing/gates.ts';

const T = 1_795_000_000_000;

class StepClock {
  at = T;
  now = (): number => this.at;
  elapsed = (): number => this.at;
  /** Time passes only where a test says so; a deadline is never reached. */
  sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));
}

interface Node {
  engine: Engine;
  grants: DurableGrants;
  /** Decides as the facade does. */
  decide(cost?: number): Promise<boolean>;
  used(): number;
}

interface NodeParts {
  clock: StepClock;
  report(event: string): void;
}

function node(
  store: GrantStore,
  amount: number,
  { clock = new StepClock(), report = () => undefined, ...fields }: GateFields & Partial<NodeParts> = {},
): Node {
  const engine = new Engine();
  const grants = new DurableGrants({ engine, store, clock, report });
  const asked = gate(quotaOf(amount), fields);
  const prepared = engine.prepare([asked]);
  return {
    engine,
    grants,
    decide: async (cost = 1) => {
      for (let tries = 1; ; tries++) {
        const unknown = (await grants.ensure(prepared, cost, clock.now())) ?? [];
        if (unknown.length > 0 && unknown[0]?.limit.fail.mode === 'closed') return false;
        const { allowed, retryAfterMs } = engine.decide(prepared, cost, clock.now());
        if (allowed || retryAfterMs !== 0 || unknown.length > 0 || tries === 5) return allowed;
      }
    },
    used: () => engine.status(prepared, clock.now())[0]?.used ?? 0,
  };
}

const count = async (times: number, ask: () => Promise<boolean>): Promise<number> => {
  let admitted = 0;
  for (let i = 0; i < times; i++) if (await ask()) admitted++;
  return admitted;
};

test('one server admits the whole amount and not one more', async () => {
  const one = node(openControlModel(), 250);
  assert.equal(await count(300, () => one.decide()), 250);
  assert.equal(one.used(), 250);
});

test('calls at once share one question, and none of them is refused for lack of a grant', async () => {
  const store = openControlModel();
  let questions = 0;
  const counted = {
    ...store,
    takeGrants: (asks: Parameters<GrantStore['takeGrants']>[0]) => {
      questions++;
      return store.takeGrants(asks);
    },
  };
  const one = node(counted, 1000);
  const answers = await Promise.all(Array.from({ length: 400 }, () => one.decide()));
  assert.equal(answers.filter(Boolean).length, 400);
  assert.ok(questions <= 3, `${questions} questions`);
});

test('after kill -9 what was granted counts as used; a clean stop returns what was not', async () => {
  const store = openControlModel();
  const killed = node(store, 1000);
  assert.equal(await killed.decide(), true);
  const second = node(store, 1000);
  await second.decide();
  assert.equal(second.used(), 11);
  await second.grants.close();
  const third = node(store, 1000);
  await third.decide();
  assert.equal(third.used(), 12);
});

test('a raised amount admits at once, a lowered one refuses and keeps what was used', async () => {
  const store = openControlModel();
  const clock = new StepClock();
  const small = node(store, 10, { clock });
  assert.equal(await count(12, () => small.decide()), 10);
  await small.grants.close();
  const raised = node(store, 20, { clock });
  assert.equal(await count(30, () => raised.decide()), 10);
});

const fails = (store: GrantStore): GrantStore & { isAway: boolean } => {
  const away = {
    ...store,
    isAway: true,
    takeGrants: (asks: Parameters<GrantStore['takeGrants']>[0]) =>
      away.isAway ? Promise.reject(new Error('away')) : store.takeGrants(asks),
  };
  return away;
};

async function checkOutage(fail: FailMode, expected: number): Promise<void> {
  const store = fails(openControlModel());
  const clock = new StepClock();
  const one = node(store, 100, { clock, fail });
  assert.equal(await count(20, () => one.decide()), expected, fail.mode);
  store.isAway = false;
  clock.at += 2000;
  // What was admitted unseen is taken first: what is left is what the amount has beyond it.
  assert.equal(await count(200, () => one.decide()), 100 - expected, fail.mode);
  assert.equal(one.grants.owed(), 0);
  const { from, to } = one.engine.period(gate(quotaOf(100)), clock.now());
  const counter = JSON.stringify(['quota', 'acme', 'acme']);
  const [grant] = await store.takeGrants([{ tenant: 'acme', counter, from, to, want: 1, amount: 100 }]);
  assert.deepEqual(grant, { granted: 0, taken: 100 });
}

test('while the store is away the fail mode answers, and what it admitted is settled afterwards', async () => {
  await checkOutage({ mode: 'closed' }, 0);
  await checkOutage({ mode: 'open' }, 20);
  await checkOutage({ mode: 'bounded', amount: 7 }, 7);
});

test('who has less patience is answered by the fail mode within it, and owes no more than was admitted', async () => {
  const clock = new StepClock();
  const waits: number[] = [];
  clock.sleep = async (ms) => {
    waits.push(ms);
  };
  const store: GrantStore = { ...openControlModel(), takeGrants: () => new Promise(() => undefined) };
  const engine = new Engine();
  const grants = new DurableGrants({ engine, store, clock, report: () => undefined });
  const prepared = engine.prepare([gate(quotaOf(100), { fail: { mode: 'bounded', amount: 3 } })]);
  let admitted = 0;
  for (let i = 0; i < 5; i++) {
    const unknown = (await grants.ensure(prepared, 1, clock.now(), 8)) ?? [];
    if (unknown.length === 0 && engine.decide(prepared, 1, clock.now()).allowed) admitted++;
  }
  assert.deepEqual([admitted, grants.owed(), Math.max(...waits)], [3, 3, 8]);
});

test('a store that answers less than it was asked is told of, and asked again later', async () => {
  const inner = openControlModel();
  let isShort = true;
  const store: GrantStore = {
    ...inner,
    takeGrants: (asks) => (isShort ? Promise.resolve([]) : inner.takeGrants(asks)),
  };
  const clock = new StepClock();
  const reports: string[] = [];
  const one = node(store, 10, { clock, report: (event) => void reports.push(event) });
  assert.equal(await one.decide(), false);
  assert.deepEqual(reports, ['grants.failed']);
  isShort = false;
  clock.at += 1000;
  assert.equal(await one.decide(), true);
});

test('what was refused while the store was away is not asked for afterwards', async () => {
  const store = fails(openControlModel());
  const clock = new StepClock();
  const one = node(store, 1000, { clock, fail: { mode: 'closed' } });
  assert.equal(await count(500, () => one.decide()), 0);
  store.isAway = false;
  clock.at += 2000;
  assert.equal(await one.decide(), true);
  // Its server is killed: what it had been granted is lost, and that is a chunk.
  const other = node(store, 1000, { clock });
  assert.equal(await count(1000, () => other.decide()), 990);
});

test('a store that is away is asked once a second, not by every call', async () => {
  let questions = 0;
  const store: GrantStore = {
    ...openControlModel(),
    takeGrants: () => {
      questions++;
      return Promise.reject(new Error('away'));
    },
  };
  const one = node(store, 100, { fail: { mode: 'closed' } });
  await count(50, () => one.decide());
  assert.equal(questions, 1);
});

test('a store that cannot forget what is over grants all the same, and who lacks a grant still waits for its answer', async () => {
  let held: Promise<unknown> = Promise.resolve();
  const inner = openControlModel();
  const store: GrantStore = {
    ...inner,
    takeGrants: (asks) => held.then(() => inner.takeGrants(asks)),
    forgetGrants: () => Promise.reject(new Error('read only')),
  };
  const clock = new StepClock();
  const one = node(store, 10, { clock, fail: { mode: 'closed' } });
  assert.equal(await count(4, () => one.decide()), 4);
  clock.at += 3_600_000;
  let release: (value: unknown) => void = () => undefined;
  held = new Promise((resolve) => {
    release = resolve;
  });
  let isAnswered = false;
  const waiting = one.decide(3).then((answer) => {
    isAnswered = true;
    return answer;
  });
  await new Promise(setImmediate);
  assert.equal(isAnswered, false, 'the store has not answered yet');
  release(null);
  assert.equal(await waiting, true);
});

test('whoever was answered goes on at once, however large the amount is', async () => {
  for (const amount of [1000, AMOUNT_MAX]) {
    const inner = openControlModel();
    let questions = 0;
    const never = new Promise<never>(() => undefined);
    const store: GrantStore = {
      ...inner,
      takeGrants: (asks) => (++questions === 1 ? inner.takeGrants(asks) : never),
    };
    const one = node(store, amount, { fail: { mode: 'closed' } });
    const first = one.decide();
    void one.decide(amount);
    const turns = new Promise((resolve) => setImmediate(() => resolve('still waits for the second answer')));
    assert.equal(await Promise.race([first, turns]), true, String(amount));
    assert.equal(questions, 2);
  }
});

test('a new period is granted anew', async () => {
  const store = openControlModel();
  const clock = new StepClock();
  const one = node(store, 5, { clock });
  assert.equal(await count(9, () => one.decide()), 5);
  clock.at += 31 * 86_400_000;
  assert.equal(await count(9, () => one.decide()), 5);
});

test('servers under random kills and stops never admit more than the amount, and nearly all of it', async () => {
  const steps = fc.array(
    fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      what: fc.oneof(
        { weight: 20, arbitrary: fc.constant('decide' as const) },
        { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'stop' as const) },
      ),
      cost: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 50, maxLength: 400 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 600 }), async (all, amount) => {
      const store = openControlModel();
      const clock = new StepClock();
      const nodes = [0, 1, 2].map(() => node(store, amount, { clock }));
      let admitted = 0;
      let kills = 0;
      for (const { who, what, cost } of all) {
        if (what === 'decide') {
          if (await (nodes[who] as Node).decide(cost)) admitted += cost;
        } else {
          if (what === 'stop') await nodes[who]?.grants.close();
          else kills++;
          nodes[who] = node(store, amount, { clock });
        }
        assert.ok(admitted <= amount, `${admitted} of ${amount}`);
      }
      clock.at += 2000;
      for (const other of nodes.slice(1)) await other.grants.close();
      // Another moment: what the others returned is seen when the limit is asked again.
      admitted += await count(amount + 5, (nodes[0] as Node).decide);
      assert.ok(admitted <= amount);
      const lost = kills * (Math.ceil(amount / 100) + 4);
      assert.ok(admitted >= amount - lost, `${admitted} of ${amount} after ${kills} kills`);
    }),
    { numRuns: process.env.CI === 'true' ? 300 : 40 },
  );
});
