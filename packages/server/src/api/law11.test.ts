/**
 * Law 11: a tenant sees only its own and what lies below it, on every route that reads. The list of routes is the
 * description's own: a new route fails here until somebody says what it shows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const span = 'from=2026-11-21T11:00:00Z&to=2026-11-21T12:00:00Z';
const BATCH = 'application/cloudevents-batch+json';

/** Two tenants, each with usage, an event, a conflict in quarantine, a source, a key. `mine` has a child. */
const twoTenants = async (api: TestApi) => {
  const of = async (id: string, parent: string | null = null) => {
    await api.account(id, parent);
    const key = await api.key(id, ['ingest', 'read', 'admin']);
    await api.readings(key, `host-${id}`, `nic-${id}`, [
      [START - 30 * MINUTE, 1],
      [START, 1001],
    ]);
    const event = (n: number) => ({
      specversion: '1.0',
      id: `event-${id}`,
      source: `shop-${id}`,
      type: 'request',
      subject: `subject-${id}`,
      data: { n },
    });
    const raw = { body: JSON.stringify([event(1), event(2)]), type: BATCH };
    await api.call(key, 'POST', '/api/v1/events', { raw, headers: { 'ce-time': '' } });
    return key;
  };
  await api.call(api.admin, 'POST', '/api/v1/meters', {
    body: { key: 'requests', eventType: 'request', aggregation: 'count' },
  });
  const mine = await of('mine');
  await of('below-mine', 'mine');
  const other = await of('zebra');
  // Measured by the installation, owned by one of them.
  for (const id of ['mine', 'zebra']) {
    await api.append({ kind: 'owner', resource: `shared-nic-of-${id}`, account: id, from: 0 });
    await api.readings(api.admin, `rack-of-${id}`, `shared-nic-of-${id}`, [
      [START - 30 * MINUTE, 1],
      [START, 501],
    ]);
  }
  await promise(api, 'mine');
  await promise(api, 'zebra');
  return { mine, other };
};

/** A plan of the account's own, a subscription to it, an override, a block, and a limit of the installation for it. */
const promise = async (api: TestApi, id: string) => {
  const text = `plans: [{key: plan-of-${id}, limits: [{key: calls, meter: network.bytes.sent, quota: 5, per: day}]}]`;
  await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw: { body: text, type: 'application/yaml' } });
  const made = [
    await api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: { account: id, plan: `plan-of-${id}` } }),
    await api.call(api.admin, 'POST', '/api/v1/overrides', { body: { account: id, key: 'calls', amount: 7 } }),
    await api.call(api.admin, 'POST', '/api/v1/blocks', { body: { account: id, action: 'x', reason: `${id} owes` } }),
  ];
  for (const { status, text: told } of made) assert.equal(status, 201, told);
  const limit = `{key: of-${id}, meter: network.bytes.sent, quota: 5, per: day, accounts: [${id}]}`;
  const put = await api.call(api.admin, 'PUT', '/api/v1/limits', { raw: { body: limit, type: 'application/yaml' } });
  assert.equal(put.status, 200, put.text);
};

/** Routes that read, as a tenant would call them. */
const reading: Record<string, string> = {
  'GET /api/v1/accounts': '/api/v1/accounts',
  'GET /api/v1/accounts/{id}': '/api/v1/accounts/mine',
  'GET /api/v1/accounts/{id}/limits': '/api/v1/accounts/mine/limits',
  'GET /api/v1/blocks': '/api/v1/blocks',
  'GET /api/v1/notices': '/api/v1/notices',
  'GET /api/v1/refusals': '/api/v1/refusals',
  'GET /api/v1/refusals/counts': '/api/v1/refusals/counts',
  'GET /api/v1/limits': '/api/v1/limits',
  'GET /api/v1/overrides': '/api/v1/overrides',
  'GET /api/v1/plans': '/api/v1/plans',
  'GET /api/v1/plans/{key}': '/api/v1/plans/plan-of-mine',
  'GET /api/v1/plans/{key}/versions': '/api/v1/plans/plan-of-mine/versions',
  'GET /api/v1/subscriptions': '/api/v1/subscriptions',
  'GET /api/v1/doctor': '/api/v1/doctor',
  'GET /api/v1/events': '/api/v1/events?type=request',
  'GET /api/v1/explain': '/api/v1/explain?ref=event:shop-mine/event-mine',
  'GET /api/v1/export': `/api/v1/export?${span}`,
  'GET /api/v1/keys': '/api/v1/keys',
  'GET /api/v1/meters': '/api/v1/meters',
  'GET /api/v1/meters/{key}': '/api/v1/meters/requests',
  'GET /api/v1/meters/{key}/versions': '/api/v1/meters/requests/versions',
  'GET /api/v1/meters/{key}/query': `/api/v1/meters/network.bytes.received/query?${span}&groupBy=subject`,
  'GET /api/v1/meters/{key}/group-by/{groupByKey}/values':
    '/api/v1/meters/network.bytes.received/group-by/subject/values',
  'GET /api/v1/quarantine': '/api/v1/quarantine',
  'GET /api/v1/resources': '/api/v1/resources',
  'GET /api/v1/resources/{id}/owners': '/api/v1/resources/nic-mine/owners',
  'GET /api/v1/sources': '/api/v1/sources',
  'GET /api/v1/usage': `/api/v1/usage?${span}`,
  'GET /api/v1/job': '/api/v1/job',
};
/** Routes a tenant's key is refused at, whatever its scopes. */
const refused: Record<string, string> = {
  'GET /api/v1/audit': '/api/v1/audit',
  'GET /api/v1/corrections/sets': '/api/v1/corrections/sets',
  'GET /api/v1/rate-limit-domains': '/api/v1/rate-limit-domains',
  'GET /api/v1/limits/reconcile': '/api/v1/limits/reconcile',
  'GET /api/v1/job/runs': '/api/v1/job/runs',
  'GET /api/v1/job/runs/{id}': '/api/v1/job/runs/1',
  'GET /api/v1/job/rerun': '/api/v1/job/rerun',
};
/** Asked with an id that only a refusal has: limit-reports.test.ts. */
const elsewhere = ['GET /api/v1/refusals/{id}'];
const open = ['GET /healthz', 'GET /readyz', 'GET /metrics'];

test('law 11: every route that reads is known here', async (t) => {
  const api = await openApi(t);
  const { paths } = (await api.call(null, 'GET', '/openapi.json')).body as {
    paths: Record<string, Record<string, unknown>>;
  };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((m) => m === 'get')
      .map(() => `GET ${path}`),
  );
  assert.deepEqual(routes.sort(), [...Object.keys(reading), ...Object.keys(refused), ...elsewhere, ...open].sort());
});

test('law 11: no answer to a tenant holds a name of another, every administrator sees all', async (t) => {
  const api = await openApi(t);
  const { mine } = await twoTenants(api);
  for (const [route, url] of Object.entries(reading)) {
    const answer = await api.call(mine, 'GET', url);
    assert.equal(answer.status, 200, `${route}: ${answer.text.slice(0, 300)}`);
    assert.ok(!/zebra/.test(answer.text), `${route} shows another tenant: ${answer.text.slice(0, 2000)}`);
  }
  for (const [route, url] of Object.entries(refused))
    assert.equal((await api.call(mine, 'GET', url)).status, 403, route);
  for (const url of [
    reading['GET /api/v1/usage'],
    reading['GET /api/v1/events'],
    reading['GET /api/v1/resources'],
    reading['GET /api/v1/blocks'],
    reading['GET /api/v1/limits'],
    reading['GET /api/v1/overrides'],
    reading['GET /api/v1/plans'],
    reading['GET /api/v1/subscriptions'],
  ] as string[])
    assert.match((await api.call(api.admin, 'GET', url)).text, /zebra/, `${url} shows all to the installation`);
});

test('law 11: a tenant sees its own, what lies below it, and what others measured of it', async (t) => {
  const api = await openApi(t);
  const { mine } = await twoTenants(api);
  const usage = await api.call(mine, 'GET', `/api/v1/usage?${span}&meter=network.bytes.received&groupBy=resource`);
  assert.deepEqual(
    usage.body.items.map((i: { group: { resource: string }; quantity: string }) => [i.group.resource, i.quantity]),
    [
      ['nic-below-mine', '1000'],
      ['nic-mine', '1000'],
      ['shared-nic-of-mine', '500'],
    ],
  );
});

test('law 11: what a tenant names but does not own does not exist for it', async (t) => {
  const api = await openApi(t);
  const { mine, other } = await twoTenants(api);
  const events = await api.call(other, 'GET', '/api/v1/events?type=request');
  const theirs = await api.call(other, 'GET', `/api/v1/usage?${span}&groupBy=series&meter=network.bytes.received`);
  const record = encodeURIComponent(theirs.body.items[0].explain);
  const items = await api.call(api.admin, 'GET', '/api/v1/quarantine');
  const theirItem = items.body.items.find((i: { tenant: string }) => i.tenant === 'zebra');
  const gone = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown) => {
    const answer = await api.call(mine, method, url, body === undefined ? {} : { body });
    assert.ok([403, 404].includes(answer.status), `${method} ${url}: ${answer.status} ${answer.text.slice(0, 200)}`);
    return answer;
  };
  await gone('GET', '/api/v1/accounts/zebra');
  await gone('PUT', '/api/v1/accounts/zebra', { name: 'mine now' });
  await gone('POST', '/api/v1/accounts', { id: 'x', parent: 'zebra' });
  await gone('GET', `/api/v1/explain?ref=${record}`);
  await gone('GET', `/api/v1/explain?ref=receipt:${events.body[0].receipt}`);
  await gone('GET', '/api/v1/explain?ref=event:shop-zebra/event-zebra');
  await gone('GET', '/api/v1/doctor?account=zebra');
  await gone('GET', '/api/v1/resources/nic-zebra/owners?tenant=zebra');
  await gone('PUT', '/api/v1/resources/nic-zebra', { tenant: 'zebra', name: 'x' });
  await gone('POST', '/api/v1/resources/nic-mine/owner', { account: 'zebra' });
  await gone('POST', '/api/v1/corrections/void', {
    tenant: 'zebra',
    source: 'shop-zebra',
    id: 'event-zebra',
    reason: 'x',
  });
  await gone('POST', '/api/v1/corrections/void', { source: 'shop-zebra', id: 'event-zebra', reason: 'x' });
  await gone('POST', '/api/v1/corrections/void', { receipt: 1, reason: 'x' });
  await gone('POST', '/api/v1/keys', { scopes: ['read'], account: 'zebra' });
  await gone('POST', `/api/v1/quarantine/${theirItem.id}/release`, {});
  await gone('POST', '/api/v1/job/run');
  await gone('GET', '/api/v1/plans/plan-of-zebra');
  await gone('GET', '/api/v1/plans/plan-of-zebra/versions');
  await gone('GET', '/api/v1/accounts/zebra/limits');
  await gone('GET', '/api/v1/subscriptions?account=zebra');
  await gone('GET', '/api/v1/overrides?account=zebra');
  await gone('GET', '/api/v1/blocks?account=zebra');
  await gone('POST', '/api/v1/plans/apply', { plans: [{ key: 'x' }] });
  await gone('POST', '/api/v1/subscriptions', { account: 'mine', plan: 'plan-of-mine' });
  await gone('DELETE', '/api/v1/subscriptions/mine');
  await gone('POST', '/api/v1/overrides', { account: 'mine', key: 'calls', amount: 'unlimited' });
  await gone('POST', '/api/v1/blocks', { account: 'zebra', action: '*', reason: 'x' });
  await gone('DELETE', '/api/v1/blocks/mine/x');
  await gone('PUT', '/api/v1/limits', { key: 'x', meter: 'requests', rate: '1 per second' });
  await gone('DELETE', '/api/v1/limits/of-mine');
  await gone('POST', '/api/v1/decisions', { account: 'zebra' });
  await gone('POST', '/api/v1/decisions', { decisions: [{ account: 'mine' }, { account: 'zebra' }] });
  await gone('DELETE', '/api/v1/rate-limit-domains/x');
  await gone('POST', '/api/v1/meters', { key: 'x', eventType: 'y', aggregation: 'count' });
  const filtered = await api.call(mine, 'GET', `/api/v1/usage?${span}&account=zebra&resource=nic-zebra`);
  assert.deepEqual(filtered.body.items, []);
});

test('law 11: past usage stays with the owner of that time', async (t) => {
  const api = await openApi(t);
  await api.account('first');
  await api.account('second');
  await api.append(
    { kind: 'owner', resource: 'nic', account: 'first', from: 0 },
    { kind: 'owner', resource: 'nic', account: 'second', from: START - 20 * MINUTE },
  );
  await api.readings(api.admin, 'host', 'nic', [
    [START - 40 * MINUTE, 0],
    [START, 4000],
  ]);
  const seen = async (account: string) => {
    const key = await api.key(account, ['read']);
    const { body } = await api.call(key, 'GET', `/api/v1/usage?${span}&groupBy=account`);
    return body.items.map((i: { group: { account: string }; quantity: string }) => [i.group.account, i.quantity]);
  };
  assert.deepEqual(await seen('first'), [['first', '2000']]);
  assert.deepEqual(await seen('second'), [['second', '2000']]);
});
