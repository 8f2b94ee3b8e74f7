/**
 * `decide`: decisions over three levels (tenant > project > user) with a million live counters, in this process. A call is
 * timed alone, between two readings of the monotonic clock; what reading it costs is not subtracted and stands in
 * `clock_ns`. `decide` works on gates prepared before, as the server keeps them per question; `..._from_names` prepares
 * them for every call, from names to the answer. The peer, rate-limiter-flexible in memory with one consume a level, knows
 * only the latter: `ratio` compares it with decide, `ratio_from_names` with the whole way.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Limit, LimitRule, RateRule } from 'tollgate/domain/limit/limit.js';
import { Engine } from 'tollgate/throttle/engine/engine.js';
import type { Calendar, Gate, Prepared } from 'tollgate/throttle/engine/types.js';
import { type BenchOptions, type BenchResult, machine, numberOf, round, say } from './common.ts';

/** So much that nothing is refused: a refusal is cheaper. */
const PLENTY = 1_000_000;
const UTC: Calendar = { zone: 'UTC', anchor: 0 };

interface Keys {
  tenant: string;
  project: string;
  user: string;
}

/** A linear congruential generator: the same accesses in every run. */
function lots(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Ranks by Zipf's law with exponent 1, near enough: the logarithm of the rank is even. */
const picks = {
  uniform: (n: number, lot: () => number) => Math.floor(lot() * n),
  zipf: (n: number, lot: () => number) => Math.min(n - 1, Math.floor(n ** lot())),
};

type Access = keyof typeof picks;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const users = numberOf(options, 'keys', 1_000_000);
  const calls = numberOf(options, 'calls', 1_000_000);
  const keys = makeKeys(users);
  const limits = makeLimits();
  const before = memory();
  const engine = new Engine();
  for (const key of keys) engine.decide(engine.prepare(gatesOf(limits, key)), 1, Date.now());
  const bytes = memory() - before;
  const live = engine.stats().counters;
  say(`${live} counters live, ${Math.round(bytes / live)} bytes each`);

  const prepared = prepareSome(engine, limits, keys, numberOf(options, 'prepared', 100_000));
  const alone = (access: Access): Timed =>
    timedCalls(orderOf(access, prepared.length, calls), (i, now) => engine.decide(prepared[i] as Prepared, 1, now));
  const whole = (access: Access): Timed =>
    timedCalls(orderOf(access, keys.length, calls), (i, now) =>
      engine.decide(engine.prepare(gatesOf(limits, keys[i] as Keys)), 1, now),
    );
  const [uniform, zipf, wholeUniform, wholeZipf] = [alone('uniform'), alone('zipf'), whole('uniform'), whole('zipf')];
  const peer = await measurePeer(keys, orderOf('uniform', keys.length, Math.min(calls, 300_000)));
  return {
    bench: 'decide',
    settings: {
      levels: 3,
      rules: 'month quota, sliding window, bucket',
      users,
      calls,
      prepared: prepared.length,
      peer: 'rate-limiter-flexible in memory: one consume a level, names to answer, uniform',
      ...machine(),
    },
    metrics: {
      decisions_per_s: uniform.per_s,
      p50_ns: uniform.p50_ns,
      p99_ns: uniform.p99_ns,
      peer_decisions_per_s: peer,
      ratio: round(uniform.per_s / peer, 2),
      ratio_from_names: round(wholeUniform.per_s / peer, 2),
      live_keys: live,
      bytes_per_key: Math.round(bytes / live),
      clock_ns: timedCalls(orderOf('uniform', 1, 100_000), () => undefined).p50_ns,
      uniform,
      zipf,
      uniform_from_names: wholeUniform,
      zipf_from_names: wholeZipf,
    },
  };
}

/** 1,000 users a tenant, 10 projects in it. */
function makeKeys(users: number): Keys[] {
  return Array.from({ length: users }, (_, i) => ({
    tenant: `tenant-${Math.floor(i / 1000)}`,
    project: `tenant-${Math.floor(i / 1000)}/project-${i % 10}`,
    user: `user-${i}@example.test`,
  }));
}

type Limits = Readonly<Record<keyof Keys, Limit>>;

const makeLimits = (): Limits => ({
  tenant: limitOf('tenant', { kind: 'quota', amount: PLENTY, period: 'month' }, 'account'),
  project: limitOf('project', rate('sliding'), 'account'),
  user: limitOf('user', rate('bucket'), { dimension: 'user' }),
});

const rate = (algorithm: 'sliding' | 'bucket'): RateRule => ({
  ...{ kind: 'rate', algorithm, amount: PLENTY, burst: PLENTY, windowMs: 1000 },
});

const limitOf = (key: string, rule: LimitRule, scope: Limit['scope']): Limit => ({
  ...{ key, rule, scope, meter: 'requests', feed: 'decided', hard: true, shadow: false, version: 1 },
  ...{ thresholds: [], actions: [], fail: { mode: 'open' }, message: '', upgrade: '' },
});

const gatesOf = (limits: Limits, { tenant, project, user }: Keys): Gate[] => [
  { limit: limits.tenant, account: tenant, subject: tenant, calendar: UTC },
  { limit: limits.project, account: project, subject: project, calendar: UTC },
  { limit: limits.user, account: tenant, subject: user, calendar: UTC },
];

/** Spread over all users. */
function prepareSome(engine: Engine, limits: Limits, keys: readonly Keys[], most: number): Prepared[] {
  const every = Math.max(1, Math.floor(keys.length / most));
  const some: Prepared[] = [];
  for (let i = 0; i < keys.length; i += every) some.push(engine.prepare(gatesOf(limits, keys[i] as Keys)));
  return some;
}

function orderOf(access: Access, n: number, calls: number): Uint32Array {
  const lot = lots(7);
  // A rank's place is scattered, or the favourites of zipf would be neighbours in memory.
  return Uint32Array.from({ length: calls }, () => (picks[access](n, lot) * 7919) % n);
}

interface Timed {
  per_s: number;
  p50_ns: number;
  p99_ns: number;
  p999_ns: number;
}

/**
 * Each call between two readings of the clock, at an instant read before, as it is an argument. The rate is of the same
 * calls once more without them.
 */
function timedCalls(order: Uint32Array, call: (i: number, now: number) => unknown): Timed {
  for (const i of order.subarray(0, 50_000)) call(i, Date.now());
  const took = new Float64Array(order.length);
  for (let n = 0; n < order.length; n++) {
    const now = Date.now();
    const from = performance.now();
    call(order[n] as number, now);
    took[n] = performance.now() - from;
  }
  const spent = cpuSeconds();
  for (const i of order) call(i, Date.now());
  const per_s = Math.round(order.length / (cpuSeconds() - spent));
  took.sort();
  const ns = (share: number): number => Math.round((took[Math.floor(took.length * share)] as number) * 1e6);
  return { per_s, p50_ns: ns(0.5), p99_ns: ns(0.99), p999_ns: ns(0.999) };
}

/** Rates are by processor time, ours and the peer's: others may be at work on the machine, and both sides are one thread. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The faster of its two ways: one level after the other, and all at once. */
async function measurePeer(keys: readonly Keys[], order: Uint32Array): Promise<number> {
  const of = (keyPrefix: string): RateLimiterMemory =>
    new RateLimiterMemory({ keyPrefix, points: PLENTY, duration: 24 * 3600 });
  const [tenant, project, user] = [of('t'), of('p'), of('u')] as const;
  for (const key of keys) {
    await tenant.consume(key.tenant);
    await project.consume(key.project);
    await user.consume(key.user);
  }
  const inTurn = await rateOf(order, async (i) => {
    const key = keys[i] as Keys;
    await tenant.consume(key.tenant);
    await project.consume(key.project);
    await user.consume(key.user);
  });
  const together = await rateOf(order, (i) => {
    const key = keys[i] as Keys;
    return Promise.all([tenant.consume(key.tenant), project.consume(key.project), user.consume(key.user)]);
  });
  return Math.max(inTurn, together);
}

async function rateOf(order: Uint32Array, call: (i: number) => Promise<unknown>): Promise<number> {
  for (const i of order.subarray(0, 50_000)) await call(i);
  const spent = cpuSeconds();
  for (const i of order) await call(i);
  return Math.round(order.length / (cpuSeconds() - spent));
}

/** Heap and typed arrays, after a collection when node allows one. */
function memory(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
}
