/** Processes on one real store, with clocks 5 s apart, killed at random: what they admitted together, counted by true time. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import type { LimitRule, RateRule } from '../../domain/limit/limit.ts';
import { untold } from '../../domain/limit/sharing.ts';
import { atOnce, rate } from '../testing/gates.ts';
import { type Admitted, SharingFleet } from './testing/fleet.ts';
import { startPostgres } from './testing/postgres.ts';
import { needsRedis, startRedis } from './testing/redis.ts';
import type { SharedWork } from './testing/sharing-process.ts';

const isLong = process.env.CI === 'true';
const WINDOW = 300;
const HOLD = 300;
const SKEWS = [0, 5000, -5000];
const PATIENCE_MS = 30_000;

type Where = Pick<SharedWork, 'redis' | 'postgres'>;

interface Run {
  rule: LimitRule;
  sharing: 'strict' | 'async';
  processes: number;
  burst: number;
  kills: number;
  /** Between two kills, ms. */
  restMs: number;
  /** After the last one, until it holds: a busy machine takes its time. */
  enough(admitted: readonly Admitted[]): boolean;
}

async function run(t: TestContext, where: Where, { kills, processes, restMs, enough, ...work }: Run) {
  const seed = isLong ? Number(process.hrtime.bigint() % 1_000_000n) : 7;
  const [slots = []] = fc.sample(fc.array(fc.nat(processes - 1), { minLength: kills, maxLength: kills }), {
    numRuns: 1,
    seed,
  });
  const fleet = new SharingFleet({ ...where, ...work });
  t.after(() => fleet.drop());
  for (let slot = 0; slot < processes; slot++) fleet.start(slot, SKEWS[slot] ?? 0);
  while (fleet.admitted().length === 0) await wait(20);
  for (const slot of slots) {
    await wait(restMs);
    await fleet.end(slot, 'SIGKILL');
    fleet.start(slot, SKEWS[slot] ?? 0);
  }
  const until = performance.now() + PATIENCE_MS;
  do await wait(100);
  while (performance.now() < until && !enough(fleet.admitted()));
  for (let slot = 0; slot < processes; slot++) await fleet.end(slot, 'SIGTERM');
  return { admitted: fleet.admitted(), lives: fleet.lives, seed };
}

function byWindow(admitted: readonly Admitted[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { at, units } of admitted) {
    const window = Math.floor(at / WINDOW);
    sums.set(window, (sums.get(window) ?? 0) + units);
  }
  return sums;
}

/** Windows before the first and after the last one are not whole. */
const whole = (sums: Map<number, number>): [window: number, units: number][] =>
  [...sums].sort((a, b) => a[0] - b[0]).slice(1, -1);

async function checkWindows(t: TestContext, where: Where, amount: number, burst: number, kills: number): Promise<void> {
  const rule = rate('fixed', amount, WINDOW);
  const isFull = ([, units]: readonly [number, number]): boolean => units >= 0.95 * amount;
  const { admitted, seed } = await run(t, where, {
    ...{ rule, sharing: 'strict', processes: 3, burst, kills, restMs: 3 * WINDOW },
    enough: (so) => whole(byWindow(so)).filter(isFull).length >= 3,
  });
  const sums = byWindow(admitted);
  for (const [window, units] of sums)
    assert.ok(units <= amount, `window ${window}: ${units} of ${amount}, seed ${seed}`);
  const shares = whole(sums).map(([, units]) => (100 * units) / amount);
  t.diagnostic(`${kills} kills, of each window: ${shares.map((share) => `${share.toFixed(0)} %`).join(' ')}`);
  assert.ok(whole(sums).filter(isFull).length >= 3, `no three windows were admitted whole, seed ${seed}`);
}

const onRedis = async (work: (where: Where) => Promise<void>): Promise<void> => {
  const redis = await startRedis();
  try {
    await work({ redis: redis.url, postgres: null });
  } finally {
    await redis.stop();
  }
};
const skip = needsRedis();

test(
  'a strict rate is never exceeded by three processes with clocks 5 s apart, and almost wholly admitted',
  { skip },
  (t) => onRedis((where) => checkWindows(t, where, 600, 20, 0)),
);

test(
  'a strict rate is never exceeded under kill -9',
  { skip: skip || (isLong ? false : 'long form: runs with CI=true') },
  (t) => onRedis((where) => checkWindows(t, where, 600, 20, 4)),
);

/** Most that was held at one instant. */
function mostHeld(admitted: readonly Admitted[]): number {
  const moves = admitted.flatMap(({ at, until }) => [
    { at, by: 1 },
    { at: Math.min(until, at + HOLD), by: -1 },
  ]);
  let [held, most] = [0, 0];
  for (const { by } of moves.sort((a, b) => a.at - b.at || a.by - b.by)) {
    held += by;
    most = Math.max(most, held);
  }
  return most;
}

test('what is held at once is never more than the limit, also under kill -9', { skip }, (t) =>
  onRedis(async (where) => {
    const amount = 12;
    const { admitted, seed } = await run(t, where, {
      ...{ rule: atOnce(amount, HOLD), sharing: 'strict', processes: 3, burst: 3 },
      ...{ kills: isLong ? 4 : 1, restMs: isLong ? 700 : 400 },
      enough: (so) => mostHeld(so) >= amount,
    });
    const most = mostHeld(admitted);
    t.diagnostic(`${admitted.length} calls, at most ${most} of ${amount} at once`);
    assert.equal(most, amount, `seed ${seed}`);
  }),
);

/** Most within one window. True times are whole ms before the decision: a ms either side. */
function mostWithin(admitted: readonly Admitted[], windowMs: number): number {
  let [most, from, inside] = [0, 0, 0];
  for (const { at, units } of admitted) {
    inside += units;
    for (; (admitted[from]?.at ?? 0) <= at - windowMs + 1; from++) inside -= admitted[from]?.units ?? 0;
    most = Math.max(most, inside);
  }
  return most;
}

async function checkAsync(t: TestContext, where: Where, rule: RateRule, kills: number): Promise<void> {
  const { admitted, lives, seed } = await run(t, where, {
    ...{ rule, sharing: 'async', processes: 2, burst: 20, kills, restMs: isLong ? 700 : 400 },
    enough: (so) => mostWithin(so, rule.windowMs) >= 0.95 * rule.amount,
  });
  // Of each killed life what it had not told is forgotten.
  const bound = rule.amount + (lives - 1) * Math.max(3, untold(rule));
  const most = mostWithin(admitted, rule.windowMs);
  t.diagnostic(`${rule.algorithm}: at most ${most} within a window, of ${rule.amount} and a bound of ${bound}`);
  assert.ok(most <= bound, `${most}, bound ${bound}, seed ${seed}`);
  assert.ok(most >= 0.95 * rule.amount, `only ${most} of ${rule.amount}, seed ${seed}`);
}

test('rates that are told to each other stay within their bound, with two processes that are killed', { skip }, (t) =>
  onRedis((where) => checkAsync(t, where, rate('log', 400, 1000) as RateRule, isLong ? 4 : 1)),
);

test('on PostgreSQL a strict rate is shared the same way', {
  skip: isLong ? false : 'long form: runs with CI=true',
}, async (t) => {
  const postgres = await startPostgres();
  try {
    const where = { redis: null, postgres: postgres.connection };
    await checkWindows(t, where, 600, 20, 0);
    await checkWindows(t, where, 600, 20, 2);
  } finally {
    await postgres.stop();
  }
});
