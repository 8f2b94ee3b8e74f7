/** Rates that servers count together: never further above the limit than the bound that is printed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FailMode, RateRule } from '../../domain/limit/limit.ts';
import { untold } from '../../domain/limit/sharing.ts';
import { Engine } from '../engine/engine.ts';
import type { Prepared } from '../engine/types.ts';
import { gate, rate } from '../testing/gates.ts';
import { SharedSums } from './shared-sums.ts';
import type { SumAsk } from './sum-store.ts';
import { SumModel } from './testing/sum-model.ts';

const T = 1_795_000_000_000;
const SYNC = 100;

/** The store does what it is asked at once; answers are on their way until a test delivers them. */
class World {
  t = T;
  isAway = false;
  exchanges = 0;
  readonly model = new SumModel(() => this.t);
  private readonly onTheWay: (() => void)[] = [];
  private readonly isPrompt: boolean;

  constructor(isPrompt = true) {
    this.isPrompt = isPrompt;
  }

  readonly store = {
    exchange: async (asks: readonly SumAsk[]) => {
      this.exchanges++;
      if (this.isAway) throw new Error('away');
      const said = this.model.exchange(asks);
      if (!this.isPrompt) await new Promise<void>((resolve) => this.onTheWay.push(resolve));
      return said;
    },
  };

  deliver(which: number): void {
    const [resolve] = this.onTheWay.splice(which % Math.max(1, this.onTheWay.length), 1);
    resolve?.();
  }

  get isQuiet(): boolean {
    return this.onTheWay.length === 0;
  }
}

class Node {
  readonly sums: SharedSums;
  private readonly world: World;
  private readonly skew: number;
  private readonly engine = new Engine();
  private readonly prepared: Prepared;

  constructor(world: World, rule: RateRule, skew = 0, fail: FailMode = { mode: 'closed' }) {
    this.world = world;
    this.skew = skew;
    const clock = {
      now: () => world.t + skew,
      elapsed: () => world.t - T,
      sleep: (_ms: number, signal?: AbortSignal): Promise<void> =>
        new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
    };
    const settings = { syncMs: SYNC };
    this.sums = new SharedSums({ engine: this.engine, store: world.store, clock, report: () => undefined, settings });
    this.prepared = this.engine.prepare([gate(rule, { sharing: 'async', fail })]);
  }

  async decide(cost = 1): Promise<boolean> {
    const now = (): number => this.world.t + this.skew;
    for (let tries = 1; ; tries++) {
      const waiting = this.sums.ensure(this.prepared, cost, now());
      const unknown = waiting === null ? [] : await waiting;
      if (unknown.length > 0) return false;
      const { allowed, retryAfterMs } = this.engine.decide(this.prepared, cost, now());
      if (allowed || retryAfterMs !== 0 || tries === 5) return allowed;
    }
  }

  async many(times: number, cost = 1): Promise<number> {
    let admitted = 0;
    for (let i = 0; i < times; i++) if (await this.decide(cost)) admitted += cost;
    return admitted;
  }
}

const calm = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const logOf = (amount: number, windowMs = 1000) => rate('log', amount, windowMs) as RateRule;

test('two servers that take turns admit the limit together, and what each told the other knows', async () => {
  for (const algorithm of ['log', 'sliding', 'bucket'] as const) {
    const world = new World();
    const rule = rate(algorithm, 100, 1000) as RateRule;
    const [one, other] = [new Node(world, rule), new Node(world, rule)];
    let admitted = 0;
    for (let i = 0; i < 150; i++) {
      if (await one.decide()) admitted++;
      if (await other.decide()) admitted++;
    }
    assert.ok(admitted >= 100 && admitted <= 100 + untold(rule, SYNC), `${algorithm}: ${admitted}`);
  }
});

test('a server that comes later knows what others have admitted before it', async () => {
  for (const algorithm of ['log', 'sliding', 'bucket'] as const) {
    const world = new World();
    const rule = rate(algorithm, 100, 60_000) as RateRule;
    const first = new Node(world, rule);
    assert.equal(await first.many(120), 100);
    await first.sums.close();
    world.t += 200;
    assert.equal(await new Node(world, rule).many(10), 0, algorithm);
  }
});

test('calls that what is known refuses are refused without a question', async () => {
  const world = new World();
  const one = new Node(world, logOf(10));
  await one.many(20);
  const before = world.exchanges;
  assert.equal(await one.many(50), 0);
  assert.equal(world.exchanges, before);
});

test('a server alone is not slowed: it tells as often as its untold units ask for', async () => {
  const world = new World();
  const one = new Node(world, logOf(1000));
  assert.equal(await one.many(1000), 1000);
  assert.ok(world.exchanges <= 12, `${world.exchanges} exchanges`);
});

test('calls at once wait for their turn, and all are admitted that fit', async () => {
  const world = new World();
  const one = new Node(world, logOf(500, 10_000));
  const answers = await Promise.all(Array.from({ length: 300 }, () => one.decide()));
  assert.equal(answers.filter(Boolean).length, 300);
});

test('while the store is away the fail mode answers, and nothing is minted when it is back', async () => {
  for (const [fail, alone] of [
    [{ mode: 'closed' }, 0],
    [{ mode: 'last' }, 100],
    [{ mode: 'open' }, 100],
  ] as const) {
    const world = new World();
    const rule = logOf(100, 60_000);
    const [one, other] = [new Node(world, rule, 0, fail), new Node(world, rule, 0, fail)];
    world.isAway = true;
    assert.equal(await one.many(120), alone, fail.mode);
    world.isAway = false;
    world.t += 300;
    one.sums.exchange();
    await calm();
    assert.equal(await other.many(120), 100 - alone, fail.mode);
    other.sums.exchange();
    await calm();
    assert.ok((await one.many(10)) <= untold(rule, SYNC), fail.mode);
  }
});

test('a store that comes back empty is told again, so that a new server does not count from nothing', async () => {
  const world = new World();
  const rule = logOf(100, 60_000);
  const one = new Node(world, rule);
  assert.equal(await one.many(100), 100);
  one.sums.exchange();
  await calm();
  world.model.forget();
  for (let n = 0; n < 2; n++) {
    world.t += 1100;
    one.sums.exchange();
    await calm();
  }
  assert.equal(await new Node(world, rule).many(10), 0);
});

interface Admission {
  at: number;
  units: number;
}
const unitsIn = (all: readonly Admission[], from: number, to: number): number =>
  all.reduce((sum, { at, units }) => (at >= from && at < to ? sum + units : sum), 0);

/** Most that may be in force at the last admission, by counting all of them again. */
const oracles = {
  log: (all: readonly Admission[], { windowMs }: RateRule, t: number) => unitsIn(all, t - windowMs + 1, t + 1),
  sliding: (all: readonly Admission[], { windowMs }: RateRule, t: number) => {
    const start = t - (t % windowMs);
    const before = unitsIn(all, start - windowMs, start);
    return unitsIn(all, start, t + 1) + Math.ceil((before * (start + windowMs - t)) / windowMs);
  },
  bucket: (all: readonly Admission[], { amount, windowMs }: RateRule, t: number) => {
    const spans = all.map(({ at }) => unitsIn(all, at, t + 1) - ((t - at) * amount) / windowMs);
    return Math.ceil(Math.max(0, ...spans));
  },
};

interface Step {
  what: 'decide' | 'pass' | 'tick' | 'deliver' | 'kill' | 'away';
  who: number;
  cost: number;
  ms: number;
}
const steps = fc.array(
  fc.record<Step>({
    what: fc.oneof(
      { weight: 40, arbitrary: fc.constant('decide' as const) },
      {
        weight: 12,
        arbitrary: fc.constantFrom('deliver' as const, 'deliver' as const, 'pass' as const, 'tick' as const),
      },
      { weight: 1, arbitrary: fc.constantFrom('kill' as const, 'away' as const) },
    ),
    who: fc.nat(2),
    cost: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) }),
    ms: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 600 })),
  }),
  { minLength: 50, maxLength: 400 },
);

async function checkBound(
  algorithm: keyof typeof oracles,
  rule: RateRule,
  all: readonly Step[],
  skews: readonly number[],
) {
  const world = new World(false);
  const make = (who: number): Node => new Node(world, rule, skews[who] ?? 0);
  const servers = [0, 1, 2].map(make);
  const admitted: Admission[] = [];
  const heaviest = Math.max(untold(rule, SYNC), ...all.map(({ cost }) => cost));
  let lives = servers.length;
  const decide = async (node: Node, cost: number): Promise<void> => {
    if (!(await node.decide(cost)) || !servers.includes(node)) return;
    admitted.push({ at: world.t, units: cost });
    const used = oracles[algorithm](admitted, rule, world.t);
    const capacity = algorithm === 'bucket' ? rule.burst : rule.amount;
    assert.ok(used <= capacity + (lives - 1) * heaviest, `${used} of ${capacity} + ${lives - 1} x ${heaviest}`);
  };
  const failures: unknown[] = [];
  const running: Promise<unknown>[] = [];
  for (const { what, who, cost, ms } of all) {
    const node = servers[who] as Node;
    if (what === 'pass') world.t += ms;
    else if (what === 'tick') node.sums.exchange();
    else if (what === 'deliver') world.deliver(ms);
    else if (what === 'decide') running.push(decide(node, cost).catch((error: unknown) => failures.push(error)));
    else if (what === 'away') world.isAway = !world.isAway;
    else {
      // What it had not told nobody knows: it counts as one server more.
      servers[who] = make(who);
      lives++;
    }
    await calm();
  }
  world.isAway = false;
  for (let quiet = 0; quiet < 20; quiet = world.isQuiet ? quiet + 1 : 0) {
    world.deliver(0);
    world.t += 50;
    await calm();
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

for (const algorithm of ['log', 'sliding', 'bucket'] as const)
  test(`${algorithm}: under random schedules, kills and outages all together stay within the limit and its bound`, async () => {
    const amounts = fc.record({ amount: fc.integer({ min: 1, max: 60 }), burst: fc.integer({ min: 1, max: 30 }) });
    // Windows of servers whose clocks differ are cut elsewhere: what a sliding window promises holds by each one's own cut.
    const skew = algorithm === 'sliding' ? fc.constant(0) : fc.integer({ min: -5000, max: 5000 });
    await fc.assert(
      fc.asyncProperty(
        steps,
        amounts,
        fc.array(skew, { minLength: 3, maxLength: 3 }),
        (all, { amount, burst }, skews) =>
          checkBound(
            algorithm,
            rate(algorithm, amount, 1000, algorithm === 'bucket' ? burst : amount) as RateRule,
            all,
            skews,
          ),
      ),
      { numRuns: process.env.CI === 'true' ? 200 : 25 },
    );
  });
