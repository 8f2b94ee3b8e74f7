import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, openApi, START } from './testing/api.ts';

const limit = {
  ...{ key: 'daily', meter: 'network.bytes.received', feed: 'metered' as const, scope: 'account' as const },
  ...{ rule: { kind: 'quota' as const, amount: 500, period: 'day' as const }, hard: true, shadow: false },
  ...{ thresholds: [80], actions: [], fail: { mode: 'closed' as const }, message: '', upgrade: '' },
};

test('notices, refusals and the usage behind them are told to those they are about', async (t) => {
  const api = await openApi(t);
  const { throttle, aftermath } = api.context;
  await api.account('a');
  await api.account('b');
  await api.append({ kind: 'owner', resource: 'nic', account: 'a', from: 0 });
  await api.append({ kind: 'limit', limit, accounts: [], from: 0, to: null });
  await api.readings(api.admin, 'host', 'nic', [
    [START - 60 * MINUTE, 0],
    [START - 30 * MINUTE, 900],
  ]);
  const ask = { account: 'a', action: 'upload', meter: 'requests', resource: '', dimensions: {} };
  assert.equal((await throttle.decide(ask, 1)).allowed, false);
  await aftermath.notices.work();
  const [own, other] = [await api.key('a', ['read']), await api.key('b', ['read'])];
  const items = async (url: string, key: string) => (await api.call(key, 'GET', url)).body.items;
  const [notice] = await items('/api/v1/notices', own);
  assert.deepEqual([notice.account, notice.percent, notice.used, notice.from], ['a', 80, 900, '2026-11-21T00:00:00Z']);
  const [refusal] = await items('/api/v1/refusals', own);
  assert.deepEqual([refusal.limit, refusal.used, refusal.amount, refusal.action], ['daily', 900, 500, 'upload']);
  const [counted] = await items('/api/v1/refusals/counts', own);
  assert.deepEqual([counted.limit, counted.calls, counted.minute], ['daily', 1, '2026-11-21T12:00:00Z']);
  const why = await api.call(own, 'GET', `/api/v1/refusals/${encodeURIComponent(refusal.id)}`);
  const [row] = why.body.usage;
  assert.deepEqual([row.resource, row.quantity], ['nic', '900'], why.text);
  const walked = await api.call(own, 'GET', `/api/v1/explain?ref=${encodeURIComponent(refusal.id)}`);
  assert.deepEqual(walked.body, { kind: 'refusal', ...why.body }, 'explain walks it too');
  const explained = await api.call(own, 'GET', `/api/v1/explain?ref=${encodeURIComponent(row.explain)}`);
  assert.equal(explained.body.kind, 'counter', explained.text);
  for (const url of ['/api/v1/notices', '/api/v1/refusals', '/api/v1/refusals/counts'])
    assert.deepEqual(await items(url, other), [], url);
  for (const url of ['/api/v1/refusals/', '/api/v1/explain?ref='])
    for (const [key, id] of [
      [other, refusal.id],
      [own, 'refusal:before-1'],
    ] as const) {
      const { status, body } = await api.call(key, 'GET', `${url}${encodeURIComponent(id)}`);
      assert.deepEqual([status, body.code], [404, 'fact.unknown'], url);
    }
});

test('the books are for those who run the installation', async (t) => {
  const api = await openApi(t);
  const { throttle } = api.context;
  await api.account('a');
  const rule = { kind: 'quota' as const, amount: 5, period: 'day' as const };
  await api.append({
    kind: 'limit',
    limit: { ...limit, meter: 'requests', feed: 'decided', rule },
    accounts: [],
    from: 0,
    to: null,
  });
  for (let i = 0; i < 7; i++)
    await throttle.decide({ account: 'a', action: '', meter: 'requests', resource: '', dimensions: {} }, 1);
  assert.equal((await api.call(await api.key('a', ['read']), 'GET', '/api/v1/limits/reconcile')).status, 403);
  const answer = await api.call(api.admin, 'GET', '/api/v1/limits/reconcile');
  const { offered, admitted, refused, isBalanced, metered } = JSON.parse(answer.text);
  assert.deepEqual([offered, admitted, refused, isBalanced, metered], ['7', '5', '2', true, null]);
});
