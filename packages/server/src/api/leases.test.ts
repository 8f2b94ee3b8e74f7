/** Units lent over HTTP: what is lent is charged, what is returned comes back, what nobody speaks of counts as used. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openApi, type TestApi } from './testing/api.ts';

const plan = (limits: string) => `plans:\n  - key: p\n    limits:\n${limits}`;

const withLimits = async (t: TestContext, limits: string) => {
  const api = await openApi(t);
  await api.account('acme');
  await api.account('other');
  const raw = { body: plan(limits), type: 'application/yaml' };
  const applied = await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw });
  assert.equal(applied.status, 200, applied.text);
  for (const account of ['acme', 'other']) {
    const made = await api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: { account, plan: 'p' } });
    assert.equal(made.status, 201, made.text);
  }
  return api;
};

const take = async (api: TestApi, body: Record<string, unknown>, key = api.admin) => {
  const answer = await api.call(key, 'POST', '/api/v1/leases', { body: { account: 'acme', want: 10, ...body } });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const settle = async (api: TestApi, id: string, used: number, done = true, key = api.admin) =>
  (await api.call(key, 'POST', `/api/v1/leases/${id}`, { body: { used, done } })).body.settled;
const usedOf = async (api: TestApi) => {
  const body = { account: 'acme', cost: 0 };
  return (await api.call(api.admin, 'POST', '/api/v1/decisions', { body })).body.used;
};

const CALLS = '      - {key: calls, meter: requests, quota: 100, per: month}\n';

test('a lease is charged when it is lent, and its rest comes back when it is done', async (t) => {
  const api = await withLimits(t, CALLS);
  const lease = await take(api, { want: 10 });
  assert.deepEqual([lease.granted, lease.ttlMs, lease.perCall, lease.refusal], [10, 900, false, []]);
  assert.equal(await usedOf(api), 10);
  assert.equal(await settle(api, lease.id, 4, false), true);
  assert.equal(await usedOf(api), 10);
  assert.equal(await settle(api, lease.id, 7), true);
  assert.equal(await usedOf(api), 7);
  assert.equal(await settle(api, lease.id, 3), false, 'it is over');
});

test('nobody takes more than a quarter of what is left, and the last units are lent too', async (t) => {
  const api = await withLimits(t, CALLS);
  let granted = 0;
  for (let i = 0; i < 50; i++) granted += (await take(api, { want: 1000 })).granted;
  assert.equal(granted, 100);
  const { id, granted: none, refusal, policies, fail } = await take(api, { want: 1000 });
  assert.deepEqual([id, none], [null, 0]);
  assert.equal(refusal[0].code, 'limit.reached');
  assert.deepEqual([refusal[0].limit, refusal[0].used, refusal[0].amount], ['calls', 100, 100]);
  assert.equal(policies[0].remaining, 0);
  assert.equal(policies[0].charged, true);
  assert.equal(typeof fail.mode, 'string');
});

test('a lease that nobody speaks of again counts as used, wholly', async (t) => {
  const api = await withLimits(t, CALLS);
  const lease = await take(api, { want: 10 });
  await settle(api, lease.id, 2, false);
  api.clock.at += 6000;
  assert.equal(await settle(api, lease.id, 2), false);
  assert.equal(await usedOf(api), 10);
});

test('fewer than are of use are not lent, and cost nothing', async (t) => {
  const api = await withLimits(t, CALLS);
  assert.equal((await take(api, { least: 40 })).granted, 40);
  assert.equal((await take(api, { least: 61 })).refusal[0].code, 'limit.reached');
  assert.equal((await take(api, { least: 101 })).refusal[0].retryAfterMs, null);
  assert.equal(await usedOf(api), 40);
});

test('what was admitted while nobody answered is charged above any limit', async (t) => {
  const api = await withLimits(t, CALLS);
  const { refusal } = await take(api, { owed: 130 });
  assert.equal(refusal[0].code, 'limit.reached');
  assert.equal(await usedOf(api), 130);
});

test('what a limit in shadow would have refused is told, of what was used', async (t) => {
  const api = await withLimits(t, '      - {key: tried, meter: requests, quota: 5, per: month, shadow: true}\n');
  const { id, granted } = await take(api, { want: 10 });
  assert.equal(granted, 10);
  await settle(api, id, 8);
  const { items } = (await api.call(api.admin, 'GET', '/api/v1/refusals')).body;
  assert.deepEqual([items.length, items[0]?.kind, items[0]?.cost], [1, 'shadowed', 8]);
});

test('what was refused elsewhere is told by the refusal that was given', async (t) => {
  const api = await withLimits(t, '      - {key: calls, meter: requests, quota: 1, per: month}\n');
  await take(api, {});
  await take(api, {});
  await take(api, { refused: 7 });
  const { items } = (await api.call(api.admin, 'GET', '/api/v1/refusals')).body;
  assert.deepEqual([items.length, items[0]?.cost, items[0]?.limit], [1, 7, 'calls']);
});

test('a metered limit lends nothing and says how long the answer holds', async (t) => {
  const api = await withLimits(
    t,
    '      - {key: sent, meter: network.bytes.sent, feed: metered, quota: 5, per: month}\n',
  );
  const lease = await take(api, {});
  assert.deepEqual([lease.id, lease.granted, lease.ttlMs, lease.policies[0].charged], [null, null, 500, false]);
});

test('a concurrency limit lends one call at a time, until it ends', async (t) => {
  const api = await withLimits(t, '      - {key: open, meter: requests, concurrency: 2, hold: 1 min}\n');
  const [one, two] = [await take(api, { want: 1 }), await take(api, { want: 1 })];
  assert.deepEqual([one.perCall, one.ttlMs], [true, 60_000]);
  assert.equal((await take(api, { want: 1 })).refusal[0].code, 'limit.reached');
  assert.equal(await settle(api, two.id, 1), true);
  assert.deepEqual((await take(api, { want: 1 })).refusal, []);
});

test('a block is a refusal with the words of who made it', async (t) => {
  const api = await withLimits(t, CALLS);
  const block = { account: 'acme', action: 'download', reason: 'Please call us.' };
  await api.call(api.admin, 'POST', '/api/v1/blocks', { body: block });
  const { granted, refusal } = await take(api, { action: 'download' });
  assert.deepEqual([granted, refusal[0].code, refusal[0].detail], [0, 'action.blocked', 'Please call us.']);
  assert.deepEqual((await take(api, { action: 'upload' })).refusal, []);
});

test('a key neither asks for nor settles what is of another account', async (t) => {
  const api = await withLimits(t, CALLS);
  const stranger = await api.key('other', ['ingest']);
  const body = { account: 'acme', want: 1 };
  assert.equal((await api.call(stranger, 'POST', '/api/v1/leases', { body })).body.code, 'account.unknown');
  const reader = await api.key(null, ['read']);
  assert.equal((await api.call(reader, 'POST', '/api/v1/leases', { body })).body.code, 'auth.scope');
  const { id } = await take(api, {});
  assert.equal(await settle(api, id, 0, true, stranger), false);
  await take(api, { account: 'other', settled: [{ id, used: 0 }] }, stranger);
  assert.equal(await usedOf(api), 10);
});
