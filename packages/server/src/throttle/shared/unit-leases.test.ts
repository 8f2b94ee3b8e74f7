/** Strict rates and strict concurrency between servers: never more than the limit, by whatever crashes and clocks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FailMode, LimitRule } from '../../domain/limit/limit.ts';
import { controlModelState, openControlModel } from '../../store/model/control-model.ts';
import { Engine } from '../engine/engine.ts';
import type { Prepared } from '../engine/types.ts';
import { atOnce, gate, rate } from '../testing/gates.ts';
import { UnitLeases } from './unit-leases.ts';

const T = 1_795_000_000_000;
const WINDOW = 1000;

/** True time, the store's clock. Servers see it with an offset of their own, which may jump; elapsed time is theirs alone. */
class World {
  t = T;
  readonly store;
  isAway = false;
  /** Until the store reads its clock, and until its answer is here, ms. */
  lag = 0;
  private readonly state = controlModelState();

  constructor() {
    this.state.now = () => Math.floor(this.t);
    const model = openControlModel(this.state);
    this.store = {
      leaseUnits: async (asks: Parameters<typeof model.leaseUnits>[0]) => {
        if (this.isAway) throw new Error('away');
        this.t += this.lag;
        const leases = await model.leaseUnits(asks);
        this.t += this.lag;
        return leases;
      },
    };
  }
}

class Node {
  skew: number;
  readonly engine = new Engine();
  readonly leases: UnitLeases;
  /** True time of the last decision: a question that went out beside it may have taken time since. */
  decidedAt = 0;
  private readonly world: World;
  private readonly prepared: Prepared;

  constructor(world: World, rule: LimitRule, skew = 0, fail: FailMode = { mode: 'closed' }) {
    this.world = world;
    this.skew = skew;
    const clock = {
      now: () => Math.floor(world.t) + this.skew,
      elapsed: () => world.t - T,
      // A deadline is never reached: the store answers or refuses at once.
      sleep: (_ms: number, signal?: AbortSignal): Promise<void> =>
        new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
    };
    const holder = String(nodes++);
    this.leases = new UnitLeases({ engine: this.engine, store: world.store, clock, holder, report: () => undefined });
    this.prepared = this.engine.prepare([gate(rule, { sharing: 'strict', fail })]);
  }

  get now(): number {
    return Math.floor(this.world.t) + this.skew;
  }

  /** As the facade does it. */
  async decide(cost = 1): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const waiting = this.leases.ensure(this.prepared, cost, this.now);
      const unknown = waiting === null ? [] : await waiting;
      if (unknown.length > 0) return false;
      this.leases.keepTime(this.prepared, this.now);
      this.decidedAt = this.world.t;
      const { allowed, retryAfterMs } = this.engine.decide(this.prepared, cost, this.now);
      if (allowed || retryAfterMs !== 0 || tries === 5) return allowed;
    }
  }

  async many(times: number, cost = 1): Promise<number> {
    let admitted = 0;
    for (let i = 0; i < times; i++) if (await this.decide(cost)) admitted += cost;
    return admitted;
  }

  release(charged: number): void {
    const at = { charged, heldFrom: charged, shadowed: [] };
    this.engine.settle(this.prepared, 1, 0, this.now, at);
  }

  review(): void {
    this.leases.review();
  }
}
let nodes = 0;

const calm = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const fixed = (amount: number): LimitRule => rate('fixed', amount, WINDOW);

test('one server admits a window of a strict rate whole, and not one more; the next window begins anew', async () => {
  const world = new World();
  const one = new Node(world, fixed(250));
  assert.equal(await one.many(300), 250);
  world.t += WINDOW;
  assert.equal(await one.many(300), 250);
});

test('what was refused while the store was away is not leased afterwards', async () => {
  const world = new World();
  const rule = rate('fixed', 1000, 60_000);
  const [one, other] = [new Node(world, rule), new Node(world, rule)];
  world.isAway = true;
  assert.equal(await one.many(500), 0);
  world.isAway = false;
  world.t += 300;
  assert.equal(await one.decide(), true);
  assert.equal(await other.many(1000), 990);
});

test('three servers with clocks 5 s apart admit one amount a window of the store together', async () => {
  const world = new World();
  const all = [0, 5000, -5000].map((skew) => new Node(world, fixed(300), skew));
  for (let n = 0; n < 3; n++) {
    let admitted = 0;
    for (let i = 0; i < 400; i++) for (const node of all) if (await node.decide()) admitted++;
    assert.equal(admitted, 300);
    world.t += WINDOW;
  }
});

test('a clock that steps by an hour in the middle of a window mints nothing, also by what is given back', async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const world = new World();
    const node = new Node(world, fixed(100));
    const charged = node.now;
    assert.equal(await node.many(60), 60);
    node.skew += step;
    assert.equal(await node.many(60), 40);
    world.t += WINDOW;
    assert.equal(await node.many(150), 100);
    for (let i = 0; i < 50; i++) node.release(charged);
    assert.equal(await node.many(50), 0, `after a step of ${step}`);
  }
});

test('a lease that ended early because its answer was slow is not counted anew when the same window is leased again', async () => {
  const world = new World();
  world.t = T - (T % WINDOW);
  world.lag = 200;
  const node = new Node(world, fixed(100));
  assert.equal(await node.decide(60), true);
  world.lag = 0;
  // By the server's clock, which counts from its question, the window is over; by the store's it is not.
  world.t = T - (T % WINDOW) + 900;
  assert.equal(await node.many(100), 40);
});

test('more asked for than allowed, by servers of unequal weight, at least 95 % of each window is admitted', async () => {
  const amount = 600;
  const world = new World();
  world.t = T - (T % WINDOW) + WINDOW;
  const [heavy, light, rare] = [1, 2, 3].map(() => new Node(world, fixed(amount))) as [Node, Node, Node];
  for (let n = 0; n < 5; n++) {
    let admitted = await rare.many(1);
    for (let ms = 0; ms < WINDOW; ms += 5) {
      admitted += (await heavy.many(2, 3)) + (await light.many(1));
      if (ms % 50 === 0) {
        for (const node of [heavy, light, rare]) node.review();
        await calm();
      }
      world.t += 5;
    }
    assert.ok(admitted <= amount && admitted >= 0.95 * amount, `${admitted} of ${amount} in window ${n}`);
  }
});

test('what a server does not use comes back for the others within the window', async () => {
  const world = new World();
  const [idle, busy] = [new Node(world, fixed(1000)), new Node(world, fixed(1000))];
  assert.equal(await idle.decide(), true);
  for (let n = 0; n < 4; n++) {
    world.t += 80;
    idle.review();
    await calm();
  }
  assert.equal(await busy.many(1100), 999);
});

test('slots are held by one server at a time, and come back when calls end, with their server or when it is silent', async () => {
  const world = new World();
  const rule = atOnce(10, 3000);
  const [one, other] = [new Node(world, rule), new Node(world, rule, 5000)];
  const charged = one.now;
  assert.equal(await one.many(12), 10);
  assert.equal(await other.many(2), 0);
  for (let i = 0; i < 4; i++) one.release(charged);
  for (let n = 0; n < 4; n++) {
    world.t += 200;
    one.review();
    await calm();
  }
  assert.equal(await other.many(6), 4);
  // Killed: what it held may run on for as long as it may be held.
  world.t += 2500;
  const third = new Node(world, rule);
  assert.equal(await third.many(2), 0);
  world.t += 4000;
  assert.equal(await third.many(12), 10);
});

async function checkOutage(fail: FailMode, expected: number): Promise<void> {
  const world = new World();
  const node = new Node(world, fixed(100), 0, fail);
  world.isAway = true;
  assert.equal(await node.many(20), expected, fail.mode);
  world.isAway = false;
  world.t += 300;
  assert.equal(await node.many(200), 100 - expected, `${fail.mode}, when the store is back`);
}

test('while the store is away the fail mode answers, and what it admitted counts afterwards', async () => {
  await checkOutage({ mode: 'closed' }, 0);
  await checkOutage({ mode: 'last' }, 0);
  await checkOutage({ mode: 'open' }, 20);
  await checkOutage({ mode: 'bounded', amount: 7 }, 7);
});

interface Step {
  who: number;
  what: 'decide' | 'kill' | 'stop' | 'review' | 'pass' | 'away' | 'lag';
  cost: number;
  ms: number;
}
const steps = fc.array(
  fc.record<Step>({
    who: fc.nat(2),
    what: fc.oneof(
      { weight: 30, arbitrary: fc.constant('decide' as const) },
      { weight: 6, arbitrary: fc.constantFrom('pass' as const, 'review' as const) },
      { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'stop' as const, 'away' as const, 'lag' as const) },
    ),
    cost: fc.integer({ min: 1, max: 4 }),
    ms: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 700 })),
  }),
  { minLength: 50, maxLength: 300 },
);
const runs = { numRuns: process.env.CI === 'true' ? 200 : 40 };

test('under random kills, stops, outages and clocks no window of the store has more than the amount', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.integer({ min: -5000, max: 5000 })),
      fc.constantFrom(0, 5, 60, 200),
      async (all, amount, skews, lag) => {
        const world = new World();
        world.lag = lag;
        const make = (who: number): Node => new Node(world, fixed(amount), skews[who] ?? 0);
        const servers = [0, 1, 2].map(make);
        const admitted = new Map<number, number>();
        for (const { who, what, cost, ms } of all) {
          const node = servers[who] as Node;
          if (what === 'pass') world.t += ms;
          else if (what === 'away') world.isAway = !world.isAway;
          else if (what === 'lag') world.lag = ms % 2 === 0 ? 0 : ms % 250;
          else if (what === 'review') {
            node.review();
            await calm();
          } else if (what === 'decide') {
            if (!(await node.decide(cost))) continue;
            const window = Math.floor(node.decidedAt / WINDOW);
            admitted.set(window, (admitted.get(window) ?? 0) + cost);
            assert.ok((admitted.get(window) ?? 0) <= amount, `${admitted.get(window)} of ${amount}`);
          } else {
            if (what === 'stop') await node.leases.close();
            servers[who] = make(who);
          }
        }
      },
    ),
    runs,
  );
});

test('under random kills, stops and releases no more is held at once than the amount', async () => {
  const HOLD = 400;
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 8 }), fc.constantFrom(0, 5, 60), async (all, amount, lag) => {
      const world = new World();
      world.lag = lag;
      const make = (): Node => new Node(world, atOnce(amount, HOLD));
      const servers = [make(), make(), make()];
      let held: { node: Node | null; at: number; until: number }[] = [];
      for (const { who, what, ms } of all) {
        const node = servers[who] as Node;
        if (what === 'pass') world.t += ms;
        else if (what === 'review') {
          node.review();
          await calm();
          const mine = held.find((hold) => hold.node === node && hold.until > world.t);
          if (mine === undefined) continue;
          node.release(mine.at);
          held = held.filter((hold) => hold !== mine);
        } else if (what === 'decide') {
          if (await node.decide()) held.push({ node, at: node.decidedAt, until: node.decidedAt + HOLD });
        } else if (what !== 'away' && what !== 'lag') {
          // What runs behind a killed server runs on.
          for (const hold of held) if (hold.node === node) hold.node = null;
          if (what === 'stop') await node.leases.close();
          servers[who] = make();
        }
        const running = held.filter(({ until }) => until > world.t).length;
        assert.ok(running <= amount, `${running} of ${amount}`);
      }
    }),
    runs,
  );
});
