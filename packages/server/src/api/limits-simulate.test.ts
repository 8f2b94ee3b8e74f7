import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const daily = '{key: daily, meter: network.bytes.received, feed: metered, quota: 500, per: day}';
const simulated = async (api: TestApi, body: string, key = api.admin, from = '2026-11-20T00:00:00Z') => {
  const url = `/api/v1/limits/simulate?from=${from}`;
  return api.call(key, 'POST', url, { raw: { body, type: 'application/yaml' } });
};

test('a simulation tells who would have been refused, and changes nothing', async (t) => {
  const api = await openApi(t);
  await api.account('a');
  await api.append({ kind: 'owner', resource: 'nic', account: 'a', from: 0 });
  await api.readings(api.admin, 'host', 'nic', [
    [START - 60 * MINUTE, 0],
    [START - 30 * MINUTE, 900],
  ]);
  const answer = await simulated(api, daily);
  assert.equal(answer.status, 200, answer.text);
  const steps = answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const [found] = steps.filter((s) => s.kind === 'refusal');
  const { account, amount, used, over, from, firstFrom } = found.refusal;
  assert.deepEqual([account, amount, used, over, from], ['a', 500, '900', '400', '2026-11-21T00:00:00Z']);
  assert.equal(firstFrom, '2026-11-21T11:15:00Z');
  assert.equal(steps.at(-1).kind, 'progress');
  assert.deepEqual((await api.call(api.admin, 'GET', '/api/v1/limits')).body.items, []);
});

test('what is wrong with the limit or the time is told, and a tenant may not ask about all', async (t) => {
  const api = await openApi(t);
  await api.account('a');
  const codeOf = async (body: string, key = api.admin, from?: string) => {
    const { status, body: problem } = await simulated(api, body, key, from);
    return [status, problem.code];
  };
  assert.deepEqual(await codeOf('{key: daily, meter: nothing, quota: 5, per: day}'), [422, 'limit.invalid']);
  assert.deepEqual(await codeOf('{key: many, meter: network.bytes.received, rate: 5 per minute}'), [
    422,
    'limit.invalid',
  ]);
  assert.deepEqual(await codeOf(daily, api.admin, '2027-01-01T00:00:00Z'), [422, 'query.range']);
  const [status] = await codeOf(daily, await api.key('a', ['read', 'admin']));
  assert.equal(status, 403);
});
