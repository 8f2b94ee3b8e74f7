/**
 * `shared`: decisions on one rate that two servers share through one Redis of their own, both in this process with a
 * connection each. `strict` leases chunks of a window of a second, `async` tells sums; both with room for all that is asked
 * (`roomy`) and with a hundredth of it (`tight`). The floor asks Redis for every decision, as one script would.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe, setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@redis/client';
import type { Limit, RateRule, Sharing } from 'tollgate/domain/limit/limit.js';
import { systemClock as clock } from 'tollgate/system.js';
import { Engine } from 'tollgate/throttle/engine/engine.js';
import type { Prepared } from 'tollgate/throttle/engine/types.js';
import { openRedisGrants, type RedisGrants } from 'tollgate/throttle/shared/redis-grants.js';
import { SharedSums } from 'tollgate/throttle/shared/shared-sums.js';
import { UnitLeases } from 'tollgate/throttle/shared/unit-leases.js';
import { type BenchOptions, type BenchResult, inFolder, machine, numberOf, round, say } from './common.ts';

const WINDOW = 1000;

interface Server {
  engine: Engine;
  prepared: Prepared;
  shared: UnitLeases | SharedSums;
  leases: UnitLeases | null;
  trips: () => number;
  close(): Promise<void>;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const seconds = numberOf(options, 'seconds', 5);
  const roomy = numberOf(options, 'roomy', 10_000_000);
  const tight = numberOf(options, 'tight', 20_000);
  return inFolder(options, async (folder) => {
    const redis = await startRedis(folder);
    try {
      const metrics: Record<string, unknown> = {};
      for (const [name, sharing, amount] of [
        ['strict_roomy', 'strict', roomy],
        ['strict_tight', 'strict', tight],
        ['async_roomy', 'async', roomy],
        ['async_tight', 'async', tight],
      ] as const) {
        Object.assign(metrics, await measure(redis.url, name, sharing, amount, seconds));
      }
      Object.assign(metrics, await floor(redis.path, seconds));
      return { bench: 'shared', settings: { seconds, servers: 2, roomy, tight, ...machine() }, metrics };
    } finally {
      redis.child.kill('SIGTERM');
    }
  });
}

async function measure(url: string, name: string, sharing: Sharing, amount: number, seconds: number) {
  const servers = [await open(url, name, sharing, amount), await open(url, name, sharing, amount)];
  const windows = new Map<number, number>();
  let decisions = 0;
  const decideOn = async (server: Server, until: number): Promise<void> => {
    while (performance.now() < until) {
      for (let n = 0; n < 500; n++) {
        const waiting = server.shared.ensure(server.prepared, 1, clock.now());
        if (waiting !== null) await waiting;
        const now = clock.now();
        server.leases?.keepTime(server.prepared, now);
        decisions++;
        if (!server.engine.decide(server.prepared, 1, now).allowed) continue;
        const window = Math.floor(now / WINDOW);
        windows.set(window, (windows.get(window) ?? 0) + 1);
      }
      await breathe();
    }
  };
  const until = performance.now() + seconds * 1000;
  await Promise.all(servers.map((server) => decideOn(server, until)));
  const trips = servers.reduce((sum, server) => sum + server.trips(), 0);
  for (const server of servers) await server.close();
  // The first window and the last are not whole.
  const whole = [...windows].sort((a, b) => a[0] - b[0]).slice(1, -1);
  const admitted = whole.map(([, units]) => units);
  const mean = admitted.reduce((sum, units) => sum + units, 0) / admitted.length;
  say(`${name}: ${Math.round(decisions / seconds)} decisions/s, ${(trips / decisions).toFixed(6)} round trips each`);
  return {
    [`${name}_decisions_per_s`]: Math.round(decisions / seconds),
    [`${name}_trips_per_decision`]: round(trips / decisions, 7),
    [`${name}_used`]: round(mean / amount, 4),
    [`${name}_most_over`]: Math.max(0, ...admitted.map((units) => units - amount)),
  };
}

async function open(url: string, name: string, sharing: Sharing, amount: number): Promise<Server> {
  const redis = await openRedisGrants({ url, clock, prefix: `${name}:`, isNew: true, report: () => undefined });
  let trips = 0;
  const counted: Pick<RedisGrants, 'leaseUnits' | 'exchange'> = {
    leaseUnits: (asks) => {
      trips++;
      return redis.leaseUnits(asks);
    },
    exchange: (asks) => {
      trips++;
      return redis.exchange(asks);
    },
  };
  const engine = new Engine();
  const holder = Math.random().toString(36);
  const deps = { engine, store: counted, clock, holder, report: () => undefined };
  const leases = sharing === 'strict' ? new UnitLeases(deps) : null;
  const shared = leases ?? new SharedSums(deps);
  shared.start();
  const prepared = engine.prepare([
    { limit: limitOf(name, sharing, amount), account: 'acme', subject: 'acme', calendar: { zone: 'UTC', anchor: 0 } },
  ]);
  const close = async (): Promise<void> => {
    await shared.close();
    await redis.close();
  };
  return { engine, prepared, shared, leases, trips: () => trips, close };
}

const limitOf = (key: string, sharing: Sharing, amount: number): Limit => {
  const algorithm = sharing === 'strict' ? 'fixed' : 'sliding';
  const rule: RateRule = { kind: 'rate', algorithm, amount, windowMs: WINDOW, burst: amount };
  return {
    ...{ key, meter: 'requests', feed: 'decided', scope: 'account', rule, sharing, hard: true, shadow: false },
    ...{ thresholds: [], actions: [], fail: { mode: 'closed' }, message: '', upgrade: '', version: 1 },
  };
};

/** One decision, one round trip: 64 on their way at once, as of a busy server. */
async function floor(path: string, seconds: number): Promise<Record<string, unknown>> {
  const client = createClient({ socket: { path, tls: false } });
  await client.connect();
  const script = await client.scriptLoad(
    "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], 1000) end return n",
  );
  let decisions = 0;
  const until = performance.now() + seconds * 1000;
  const ask = async (): Promise<void> => {
    for (; performance.now() < until; decisions++) await client.evalSha(script, { keys: ['floor'], arguments: [] });
  };
  await Promise.all(Array.from({ length: 64 }, ask));
  client.destroy();
  say(`floor: ${Math.round(decisions / seconds)} decisions/s, a round trip each`);
  return { floor_decisions_per_s: Math.round(decisions / seconds) };
}

async function startRedis(folder: string): Promise<{ child: ChildProcess; path: string; url: string }> {
  const path = join(folder, 'redis.sock');
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];
  const args = ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '', ...durable];
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  for (let n = 0; n < 400 && !existsSync(path); n++) await wait(10);
  return { child, path, url: `unix:${path}` };
}
