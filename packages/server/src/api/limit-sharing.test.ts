/** Limits that servers share, over HTTP: what they say of themselves, and changes of them that come later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApi, START, type TestApi } from './testing/api.ts';

const put = (api: TestApi, body: string, query = '') =>
  api.call(api.admin, 'PUT', `/api/v1/limits${query}`, { raw: { body, type: 'application/yaml' } });
const limit = (sharing: string, more = 'algorithm: fixed', rate = '2 per minute') =>
  `{ key: calls, meter: requests, rate: ${rate}, ${more}, sharing: ${sharing} }`;

test('a shared limit prints how far servers may go beyond it, and one that cannot be shared so is refused', async (t) => {
  const api = await openApi(t);
  const strict = await put(api, limit('strict'));
  assert.deepEqual([strict.body.sharing, strict.body.excessPerServer], ['strict', 0], strict.text);
  const told = await put(api, limit('async', 'algorithm: log', '1000 per second'));
  assert.deepEqual([told.body.sharing, told.body.excessPerServer], ['async', 100], told.text);
  const wrong = await put(api, limit('strict', 'algorithm: sliding'));
  assert.equal(wrong.status, 422, wrong.text);
  assert.match(wrong.text, /only a fixed window can be leased ahead/);
});

test('a strict rate decides with one server as with several', async (t) => {
  const api = await openApi(t);
  await api.account('acme');
  await put(api, limit('strict'));
  const answers = [];
  for (let n = 0; n < 3; n++) {
    const { body } = await api.call(api.admin, 'POST', '/api/v1/decisions', { body: { account: 'acme' } });
    answers.push([body.allowed, body.reason ?? null, body.used]);
  }
  assert.deepEqual(answers, [
    [true, null, 1],
    [true, null, 2],
    [false, 'limit.reached', 2],
  ]);
});

test('a change that is scheduled stands beside what holds until then, and goes with it when that is ended', async (t) => {
  const api = await openApi(t);
  await put(api, limit('none'));
  const from = new Date(START + 86_400_000).toISOString();
  const later = await put(api, limit('none', 'algorithm: fixed', '5 per minute'), `?from=${encodeURIComponent(from)}`);
  assert.deepEqual([later.body.state, later.body.rule.amount], ['scheduled', 5], later.text);
  const listed = async () => {
    const { body } = await api.call(api.admin, 'GET', '/api/v1/limits');
    return body.items.map((l: { rule: { amount: number }; state: string }) => `${l.rule.amount} ${l.state}`);
  };
  assert.deepEqual(await listed(), ['2 current', '5 scheduled']);
  assert.equal((await api.call(api.admin, 'DELETE', '/api/v1/limits/calls')).status, 204);
  assert.deepEqual(await listed(), ['2 ended']);
});
