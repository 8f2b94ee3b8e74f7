/** A Redis that has lost everything, and one behind TLS. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { UnitLeaseAsk } from '../../store/unit-leases.ts';
import { systemClock } from '../../system.ts';
import { Engine } from '../engine/engine.ts';
import { gate, rate } from '../testing/gates.ts';
import { openRedisGrants, type RedisGrantSettings, type RedisGrants } from './redis-grants.ts';
import { makeCertificates, needsOpenssl } from './testing/certificates.ts';
import { needsRedis, startRedis } from './testing/redis.ts';
import { UnitLeases } from './unit-leases.ts';

const skip = needsRedis();
const HOUR = 3_600_000;
const ask = (more: Partial<UnitLeaseAsk> = {}): UnitLeaseAsk => ({
  ...{ tenant: '', counter: 'calls', holder: 'a', change: 10, owed: 0, amount: 100 },
  ...{ windowMs: 366 * 24 * HOUR, ttlMs: 0, has: 0, hasUntil: 0 },
  ...more,
});

const opened = async (t: TestContext, more: Partial<RedisGrantSettings> & { url: string }): Promise<RedisGrants> => {
  const grants = await openRedisGrants({ clock: systemClock, report: () => undefined, ...more });
  t.after(() => grants.close());
  return grants;
};

/** As soon as it answers again. */
async function lease(grants: RedisGrants, asked: UnitLeaseAsk): Promise<{ own: number; total: number; until: number }> {
  for (let n = 0; ; n++) {
    const found = await grants.leaseUnits([asked]).catch(() => []);
    if (found[0] !== undefined) return found[0];
    assert.ok(n < 200, 'Redis is not back');
    await wait(20);
  }
}

test('a Redis that was never used leases at once; one that is found empty leases nothing of what it cannot know', {
  skip,
}, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const grants = await opened(t, { url: redis.url, isNew: true });
  const { own, until } = await lease(grants, ask({ change: 60 }));
  assert.equal(own, 60);
  await redis.lose();
  await redis.start();
  // The holder keeps what it has; nobody gets more, here or in another life, until the window is over.
  const kept = await lease(grants, ask({ change: 60, has: 60, hasUntil: until }));
  assert.deepEqual([kept.own, kept.total], [60, 100]);
  const other = await opened(t, { url: redis.url });
  assert.equal((await lease(other, ask({ holder: 'b' }))).own, 0);
  assert.equal((await lease(other, ask({ holder: 'b', has: 5, hasUntil: until - 1 }))).own, 0);
});

test('windows that begin after the loss are leased again, and slots when nobody can hold any from before', {
  skip,
}, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const grants = await opened(t, { url: redis.url, isNew: false });
  const short = { windowMs: 200 };
  const slots = { windowMs: 0, ttlMs: 300, counter: 'slots' };
  const [window, held] = await grants.leaseUnits([ask(short), ask(slots)]);
  assert.deepEqual([window?.own, held?.own], [0, 0]);
  await wait(310);
  const [later, free] = await grants.leaseUnits([ask(short), ask(slots)]);
  assert.deepEqual([later?.own, free?.own], [10, 10]);
});

test('servers go on with what they hold, get no more of that window, and all of the next', { skip }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const WINDOW = 1000;
  const asked = gate(rate('fixed', 100, WINDOW), { sharing: 'strict', fail: { mode: 'closed' } });
  const open = async (holder: string) => {
    const store = await opened(t, { url: redis.url, isNew: holder === 'one' });
    const engine = new Engine();
    const leases = new UnitLeases({ engine, store, clock: systemClock, holder, report: () => undefined });
    const prepared = engine.prepare([asked]);
    leases.start();
    t.after(() => leases.close());
    return async (times: number): Promise<void> => {
      for (let n = 0; n < times; n++) {
        const unknown = (await leases.ensure(prepared, 1, systemClock.now())) ?? [];
        // Before the decision: what it was granted for had begun by then.
        const at = systemClock.now();
        leases.keepTime(prepared, at);
        if (unknown.length > 0 || !engine.decide(prepared, 1, at).allowed) continue;
        const key = `${Math.floor(at / WINDOW)} ${holder}`;
        admitted.set(key, (admitted.get(key) ?? 0) + 1);
      }
    };
  };
  const admitted = new Map<string, number>();
  const now = (): number => Math.floor(systemClock.now() / WINDOW);
  const of = (window: number, holder: string): number => admitted.get(`${window} ${holder}`) ?? 0;
  const all = (window: number): number => of(window, 'one') + of(window, 'other');

  const one = await open('one');
  await wait(WINDOW - (systemClock.now() % WINDOW));
  const before = now();
  await one(60);
  await redis.lose();
  await redis.start();
  const [other, after] = [await open('other'), now()];
  for (; all(now() - 1) < 100 || now() <= after + 1; await wait(20)) {
    await one(10);
    await other(10);
    assert.ok(now() < before + 15, 'no window is ever admitted whole again');
  }
  for (let window = before; window <= after; window++) {
    assert.ok(all(window) <= 100, `${all(window)} of 100`);
    assert.equal(of(window, 'other'), 0);
  }
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

test('rediss: speaks TLS, trusts the authority it is given, and nobody else', {
  skip: skip || needsOpenssl(),
}, async (t) => {
  const made = makeCertificates();
  const port = await freePort();
  const tls = ['--tls-cert-file', made.certFile, '--tls-key-file', made.keyFile, '--tls-ca-cert-file', made.caFile];
  const redis = await startRedis(['--tls-port', String(port), '--tls-auth-clients', 'no', ...tls]);
  t.after(async () => {
    await redis.stop();
    made.drop();
  });
  const url = `rediss://127.0.0.1:${port}`;
  const trusting = await opened(t, { url, ca: made.ca, isNew: true });
  assert.equal((await lease(trusting, ask())).own, 10);
  const told: string[] = [];
  const wary = await opened(t, { url, report: (event, { error }) => told.push(`${event} ${String(error)}`) });
  await assert.rejects(wary.leaseUnits([ask()]), /not connected/);
  assert.match(told.join('\n'), /limits\.redis_away.*(certificate|issuer)/i);
});
