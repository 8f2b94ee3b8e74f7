import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const YAML = 'application/yaml';
const DAY = 1440 * MINUTE;

const demo = (amount: string) => `
plans:
  - key: demo
    entitlements:
      - {key: sent, meter: network.bytes.sent, amount: ${amount}, per: month}
    limits:
      - {key: sent, entitlement: sent, message: Used up., upgrade: https://cloud.example/plans}
`;
const big = 'plans: [{key: big, limits: [{key: calls, meter: requests, rate: 100 per second}]}]';

const apply = (api: TestApi, text: string, query = '') =>
  api.call(api.admin, 'POST', `/api/v1/plans/apply${query}`, { raw: { body: text, type: YAML } });
const applied = async (api: TestApi, text: string, query = '') => {
  const answer = await apply(api, text, query);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const post = async (api: TestApi, url: string, body: unknown) => {
  const answer = await api.call(api.admin, 'POST', url, { body });
  assert.equal(answer.status, 201, answer.text);
  return answer.body.items;
};
const held = async (api: TestApi, account: string, query = '', key = api.admin) =>
  (await api.call(key, 'GET', `/api/v1/accounts/${account}/limits${query}`)).body;
const refused = async (
  api: TestApi,
  method: 'POST' | 'PUT' | 'DELETE',
  url: string,
  body: unknown,
  status: number,
  code: string,
  detail: RegExp = /./,
) => {
  const answer = await api.call(api.admin, method, url, body === undefined ? {} : { body });
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text);
  assert.match(answer.body.detail, detail);
};
const withDemo = async (t: TestContext) => {
  const api = await openApi(t);
  await api.account('a', null, 'Europe/Berlin');
  await applied(api, demo('50 MB'));
  return api;
};

test('a dry run tells every field that would change, and writes nothing', async (t) => {
  const api = await openApi(t);
  const dry = await applied(api, demo('50 MB'), '?dryRun=true');
  assert.equal(dry.applied, false);
  assert.deepEqual([dry.changes[0].plan, dry.changes[0].change], ['demo', 'added']);
  assert.deepEqual((await api.call(api.admin, 'GET', '/api/v1/plans')).body.items, []);
  await applied(api, demo('50 MB'));
  const next = await applied(api, demo('70 MB'), '?dryRun=true');
  assert.deepEqual(next.changes, [
    {
      plan: 'demo',
      change: 'changed',
      fields: [{ path: 'entitlements.sent.amount', before: '50000000', after: '70000000' }],
    },
  ]);
});

test('applying makes versions, in one step, and the same again makes none', async (t) => {
  const api = await withDemo(t);
  assert.equal((await applied(api, demo('70 MB'))).applied, true);
  const again = await applied(api, demo('70 MB'));
  assert.deepEqual([again.applied, again.changes], [false, []]);
  const versions = (await api.call(api.admin, 'GET', '/api/v1/plans/demo/versions')).body;
  assert.deepEqual(
    versions.map((v: { version: number; entitlements: { amount: number }[] }) => [
      v.version,
      v.entitlements[0]?.amount,
    ]),
    [
      [1, 50_000_000],
      [2, 70_000_000],
    ],
  );
  const audit = (await api.call(api.admin, 'GET', '/api/v1/audit?kind=plan')).body.items;
  assert.equal(audit.length, 2);
});

test('a text with problems is refused whole, each problem with its place', async (t) => {
  const api = await withDemo(t);
  const answer = await apply(api, demo('50 MB').replace('month', 'fortnight').replace('message', 'massage'));
  assert.deepEqual([answer.status, answer.body.code], [422, 'plan.invalid']);
  const lines = answer.body.detail.split('\n');
  assert.match(lines[0], /^5:68 plans\[0\]\.entitlements\[0\]\.per: "fortnight" is not known/);
  assert.match(lines[1], /^7:40 plans\[0\]\.limits\[0\]\.massage: unknown field/);
  assert.equal(answer.body.pointer, '/plans/0/entitlements/0/per');
  assert.equal((await api.call(api.admin, 'GET', '/api/v1/plans/demo')).body.version, 1);
});

test('JSON bodies are read without losing a digit', async (t) => {
  const api = await openApi(t);
  const text =
    '{"plans": [{"key": "p", "limits": [{"key": "l", "meter": "requests", "quota": 9007199254740993, "per": "day"}]}]}';
  const raw = { body: text, type: 'application/json' };
  const answer = await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw });
  assert.match(answer.body.detail, /is above 9007199254740991/);
});

test('what was looked at is what is applied: plans that moved meanwhile are refused', async (t) => {
  const api = await withDemo(t);
  const { at } = await applied(api, big, '?dryRun=true');
  await applied(api, demo('60 MB'));
  const late = await apply(api, big, `?at=${at}`);
  assert.deepEqual([late.status, late.body.code], [409, 'plan.moved']);
  const now = await applied(api, big, '?dryRun=true');
  assert.equal((await applied(api, big, `?at=${now.at}`)).applied, true);
});

test('plans that are not in the text stay; with prune they go, unless somebody has them', async (t) => {
  const api = await withDemo(t);
  assert.deepEqual((await applied(api, big)).changes.length, 1);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo' });
  const kept = await apply(api, big, '?prune=true');
  assert.deepEqual([kept.status, kept.body.code], [409, 'plan.in_use']);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'big', from: '2026-11-21T13:00:01+01:00' });
  api.clock.at = START + 2000;
  assert.equal((await applied(api, big, '?prune=true')).changes[0].change, 'removed');
  await refused(api, 'POST', '/api/v1/subscriptions', { account: 'a', plan: 'demo' }, 404, 'plan.unknown');
  assert.equal((await held(api, 'a', '?at=2026-11-21T13:00:00.500%2B01:00')).plan, 'demo');
});

test('a plan changes from now on or later, never in the past', async (t) => {
  const api = await withDemo(t);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo' });
  const past = await apply(api, demo('60 MB'), '?from=2026-11-20');
  assert.deepEqual([past.status, past.body.pointer], [422, '/from']);
  await applied(api, demo('60 MB'), '?from=2026-12-01T00:00:00Z');
  assert.equal((await held(api, 'a')).limits[0].rule.amount, 50_000_000);
  assert.equal((await held(api, 'a', '?at=2026-12-01T01:00:00')).limits[0].rule.amount, 60_000_000);
});

test('no subscription is shown as no plan', async (t) => {
  const api = await withDemo(t);
  const { plan, limits } = await held(api, 'a');
  assert.deepEqual([plan, limits], [null, []]);
});

test('an upgrade is in force at once; the subscription before it ends at that instant; the anchor stays', async (t) => {
  const api = await withDemo(t);
  await applied(api, big);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo', from: '2026-11-01' });
  assert.deepEqual(
    (await held(api, 'a')).limits.map((l: { key: string }) => l.key),
    ['sent'],
  );
  const rows = await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'big' });
  assert.deepEqual(rows, [
    {
      account: 'a',
      plan: 'demo',
      from: '2026-10-31T23:00:00Z',
      to: '2026-11-21T12:00:00Z',
      state: 'ended',
      anchor: '2026-10-31T23:00:00Z',
      ruling: false,
    },
    {
      account: 'a',
      plan: 'big',
      from: '2026-11-21T12:00:00Z',
      state: 'current',
      anchor: '2026-10-31T23:00:00Z',
      ruling: true,
    },
  ]);
  assert.deepEqual(
    (await held(api, 'a')).limits.map((l: { key: string }) => l.key),
    ['calls'],
  );
  assert.equal((await held(api, 'a', '?at=2026-11-21T12:59:59')).plan, 'demo');
});

test('a subscription with an end goes before the other until then', async (t) => {
  const api = await withDemo(t);
  await applied(api, big);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo', from: '2026-11-01' });
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'big', to: '2026-11-25' });
  assert.equal((await held(api, 'a')).plan, 'big');
  assert.equal((await held(api, 'a', '?at=2026-11-25')).plan, 'demo');
  await refused(
    api,
    'POST',
    '/api/v1/subscriptions',
    { account: 'a', plan: 'big', from: '2026-11-25', to: '2026-11-25' },
    422,
    'query.range',
  );
});

test('subscriptions end, and planned ones are called off; what was stays on record', async (t) => {
  const api = await withDemo(t);
  await applied(api, big);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo', from: '2026-11-01' });
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'big', from: '2026-12-01' });
  const off = await api.call(api.admin, 'DELETE', '/api/v1/subscriptions/a?from=2026-12-01');
  assert.deepEqual(
    off.body.items.map((s: { state: string }) => s.state),
    ['current', 'ended'],
  );
  const ended = await api.call(api.admin, 'DELETE', '/api/v1/subscriptions/a');
  assert.equal(ended.body.items[0].state, 'ended');
  assert.equal((await held(api, 'a')).plan, null);
  assert.equal((await held(api, 'a', '?at=2026-11-20')).plan, 'demo');
  await refused(api, 'DELETE', '/api/v1/subscriptions/a', undefined, 404, 'subscription.unknown');
});

test('an override has a unit, an end, and a limit it is of', async (t) => {
  const api = await withDemo(t);
  await post(api, '/api/v1/subscriptions', { account: 'a', plan: 'demo' });
  await post(api, '/api/v1/overrides', { account: 'a', key: 'sent', amount: '70 MB', to: '2026-11-30' });
  assert.equal((await held(api, 'a')).limits[0].rule.amount, 70_000_000);
  assert.equal((await held(api, 'a')).entitlements[0].amount, 70_000_000);
  assert.equal((await held(api, 'a', '?at=2026-11-30')).limits[0].rule.amount, 50_000_000);
  api.clock.at = START + DAY;
  await post(api, '/api/v1/overrides', { account: 'a', key: 'sent', amount: 'unlimited' });
  const { limits, lifted } = await held(api, 'a');
  assert.deepEqual([limits, lifted[0].key], [[], 'sent']);
  await api.call(api.admin, 'DELETE', '/api/v1/overrides/a/sent');
  assert.equal((await held(api, 'a')).limits[0].rule.amount, 50_000_000);
  const bad = (body: object, code: string, detail: RegExp) =>
    refused(
      api,
      'POST',
      '/api/v1/overrides',
      { account: 'a', key: 'sent', ...body },
      code === 'limit.unknown' ? 404 : 422,
      code,
      detail,
    );
  await bad({ key: 'gone', amount: 1 }, 'limit.unknown', /it has sent/);
  await bad({ amount: 0 }, 'limit.invalid', /at least 1/);
  await bad({ amount: '5 apples' }, 'limit.invalid', /unknown unit "apples"/);
});

test('a block is read with its reason, and ends', async (t) => {
  const api = await withDemo(t);
  await post(api, '/api/v1/blocks', { account: 'a', action: 'upload', reason: 'Unpaid since May.' });
  assert.equal((await held(api, 'a', '?action=download')).refusal, undefined);
  assert.deepEqual((await held(api, 'a', '?action=upload')).refusal, {
    code: 'action.blocked',
    reason: 'Unpaid since May.',
    given: 'own',
  });
  await api.call(api.admin, 'DELETE', '/api/v1/blocks/a/upload?reason=paid');
  assert.equal((await held(api, 'a', '?action=upload')).refusal, undefined);
  await refused(api, 'DELETE', '/api/v1/blocks/a/upload', undefined, 404, 'block.unknown');
});

test('a limit of the installation is put, shown, replaced and ended', async (t) => {
  const api = await withDemo(t);
  const put = (text: string, query = '') =>
    api.call(api.admin, 'PUT', `/api/v1/limits${query}`, { raw: { body: text, type: YAML } });
  const made = await put('{key: guard, meter: requests, rate: 10 per second}');
  assert.deepEqual([made.status, made.body.all, made.body.rule.amount], [200, true, 10]);
  await put('{key: guard, meter: requests, rate: 20 per second, scope: subtree}');
  const [shown] = (await held(api, 'a')).limits;
  assert.deepEqual([shown.key, shown.given, shown.rule.amount], ['guard', 'installation', 20]);
  const wrong = await put('{key: guard, meter: requests, rate: 10 per month}');
  assert.deepEqual([wrong.status, wrong.body.code, wrong.body.pointer], [422, 'limit.invalid', '/rate']);
  assert.equal((await put('{key: guard, meter: requests, rate: 1 per second, accounts: [nobody]}')).status, 404);
  assert.equal((await api.call(api.admin, 'DELETE', '/api/v1/limits/guard')).status, 204);
  assert.deepEqual((await held(api, 'a')).limits, []);
  await refused(api, 'DELETE', '/api/v1/limits/guard', undefined, 404, 'limit.unknown');
});

test('a tenant reads what bears on it, and no name of who stands above', async (t) => {
  const api = await openApi(t);
  await api.account('zebra-holding');
  await api.account('child', 'zebra-holding');
  await applied(
    api,
    'plans: [{key: zebra-plan, limits: [{key: l, meter: requests, quota: 9, per: day, scope: subtree}]}]',
  );
  await post(api, '/api/v1/subscriptions', { account: 'zebra-holding', plan: 'zebra-plan' });
  await post(api, '/api/v1/blocks', { account: 'zebra-holding', action: 'x', reason: 'Closed for works.' });
  const key = await api.key('child', ['read']);
  const shown = await held(api, 'child', '?action=x', key);
  assert.deepEqual([shown.limits[0].given, shown.refusal.reason], ['above', 'Closed for works.']);
  assert.ok(!/zebra/.test(JSON.stringify(shown)));
});

test('two changes at once are checked one after the other', async (t) => {
  const api = await withDemo(t);
  await applied(api, big);
  const [pruned, subscribed] = await Promise.all([
    apply(api, big, '?prune=true'),
    api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: { account: 'a', plan: 'demo' } }),
  ]);
  assert.deepEqual([pruned?.status, subscribed?.status].sort(), [200, 404]);
});
