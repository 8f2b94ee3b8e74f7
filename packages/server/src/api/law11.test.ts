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
  await api.context.billing.runs.run();
  return { mine, other };
};

/** A plan of the account's own, a subscription to it, an override, a block, and a limit of the installation for it. */
const promise = async (api: TestApi, id: string) => {
  const billing = '{currency: EUR, prices: [{key: base, fee: 1}]}';
  const calls = '{key: calls, meter: network.bytes.sent, quota: 5, per: day}';
  const text = `plans: [{key: plan-of-${id}, limits: [${calls}], billing: ${billing}}]`;
  await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw: { body: text, type: 'application/yaml' } });
  const made = [
    await api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: { account: id, plan: `plan-of-${id}` } }),
    await api.call(api.admin, 'POST', '/api/v1/overrides', { body: { account: id, key: 'calls', amount: 7 } }),
    await api.call(api.admin, 'POST', '/api/v1/blocks', { body: { account: id, action: 'x', reason: `${id} owes` } }),
  ];
  const coupon = { percent: '5', on: [`plan-of-${id}`], name: `Coupon of ${id}` };
  await api.call(api.admin, 'PUT', `/api/v1/billing/coupons/for-${id}`, { body: coupon });
  made.push(
    await api.call(api.admin, 'POST', '/api/v1/billing/discounts', { body: { account: id, coupon: `for-${id}` } }),
    await api.call(api.admin, 'POST', '/api/v1/billing/add-ons', { body: { account: id, plan: `plan-of-${id}` } }),
  );
  const profile = { body: `name: ${id} Ltd`, type: 'application/yaml' };
  await api.call(api.admin, 'PUT', `/api/v1/accounts/${id}/billing-profile`, { raw: profile });
  const credit = { account: id, amount: '5', currency: 'EUR', key: `credit-of-${id}`, reason: `for ${id}`, lowAt: 100 };
  const payment = { account: id, amount: '7', currency: 'EUR', reference: `payment-of-${id}` };
  made.push(
    await api.call(api.admin, 'POST', '/api/v1/credits', { body: credit }),
    await api.call(api.admin, 'POST', '/api/v1/payments', { body: payment }),
  );
  const notice = { account: id, grant: `${id}/credit-of-${id}`, percent: 20, rest: 1n, at: START };
  await api.context.control.billing.change(id, {}, () => ({ notices: [notice] }));
  for (const { status, text: told } of made) assert.equal(status, 201, told);
  const limit = `{key: of-${id}, meter: network.bytes.sent, quota: 5, per: day, accounts: [${id}]}`;
  const put = await api.call(api.admin, 'PUT', '/api/v1/limits', { raw: { body: limit, type: 'application/yaml' } });
  assert.equal(put.status, 200, put.text);
};

/** Routes that read, as a tenant would call them. */
const reading: Record<string, string> = {
  'GET /api/v1/accounts': '/api/v1/accounts',
  'GET /api/v1/accounts/{id}': '/api/v1/accounts/mine',
  'GET /api/v1/accounts/{id}/billing-profile': '/api/v1/accounts/mine/billing-profile',
  'GET /api/v1/accounts/{id}/limits': '/api/v1/accounts/mine/limits',
  'GET /api/v1/accounts/{id}/balance': '/api/v1/accounts/mine/balance',
  'GET /api/v1/accounts/{id}/cost': '/api/v1/accounts/mine/cost',
  'GET /api/v1/credits': '/api/v1/credits',
  'GET /api/v1/credits/notices': '/api/v1/credits/notices',
  'GET /api/v1/payments': '/api/v1/payments',
  'GET /api/v1/invoices': '/api/v1/invoices',
  'GET /api/v1/invoices/{ref}': '/api/v1/invoices/INV-000001',
  'GET /api/v1/invoices/lines.csv': '/api/v1/invoices/lines.csv',
  'GET /api/v1/invoices/{ref}/paper': '/api/v1/invoices/INV-000001/paper',
  'GET /api/v1/invoices/{ref}/lines': '/api/v1/invoices/INV-000001/lines',
  'GET /api/v1/invoices/verify': '/api/v1/invoices/verify',
  'GET /api/v1/billing/add-ons': '/api/v1/billing/add-ons',
  'GET /api/v1/billing/discounts': '/api/v1/billing/discounts',
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
  'GET /api/v1/invoices/reconcile': '/api/v1/invoices/reconcile',
  'GET /api/v1/invoices/runs': '/api/v1/invoices/runs',
  'GET /api/v1/invoices/runs/{ref}': '/api/v1/invoices/runs/1',
  'GET /api/v1/ledger': '/api/v1/ledger',
  'GET /api/v1/ledger/books': '/api/v1/ledger/books',
  'GET /api/v1/audit': '/api/v1/audit',
  'GET /api/v1/billing/coupons': '/api/v1/billing/coupons',
  'GET /api/v1/billing/entities': '/api/v1/billing/entities',
  'GET /api/v1/billing/taxes': '/api/v1/billing/taxes',
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
    reading['GET /api/v1/credits'],
    reading['GET /api/v1/credits/notices'],
    reading['GET /api/v1/payments'],
    reading['GET /api/v1/invoices'],
    refused['GET /api/v1/ledger'],
    reading['GET /api/v1/billing/add-ons'],
    reading['GET /api/v1/billing/discounts'],
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
  await gone('GET', '/api/v1/credits?account=zebra');
  await gone('GET', '/api/v1/credits/notices?account=zebra');
  await gone('GET', '/api/v1/payments?account=zebra');
  await gone('GET', '/api/v1/accounts/zebra/balance');
  await gone('GET', '/api/v1/invoices?account=zebra');
  for (const path of ['', '/lines', '/paper']) await gone('GET', `/api/v1/invoices/INV-000002${path}`);
  await gone('GET', `/api/v1/invoices/draft:${START}:${START}:zebra`);
  await gone('POST', '/api/v1/invoices/run', {});
  await gone('POST', '/api/v1/invoices/INV-000001/credit', { line: 1, amount: '1', reason: 'x' });
  await gone('POST', '/api/v1/invoices/INV-000001/void', { reason: 'x' });
  await gone('POST', `/api/v1/invoices/draft:${START}:${START}:mine/finalise`);
  await gone('POST', '/api/v1/credits', { account: 'mine', amount: '5', currency: 'EUR' });
  await gone('POST', '/api/v1/credits/expire');
  await gone('DELETE', '/api/v1/credits/1');
  await gone('POST', '/api/v1/payments', { account: 'mine', amount: '5', currency: 'EUR', reference: 'x' });
  await gone('POST', '/api/v1/refunds', { account: 'mine', amount: '5', currency: 'EUR', reference: 'x' });
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
  await gone('GET', '/api/v1/accounts/zebra/billing-profile');
  await gone('PUT', '/api/v1/accounts/mine/billing-profile', { payer: 'parent' });
  await gone('GET', '/api/v1/billing/discounts?account=zebra');
  await gone('GET', '/api/v1/billing/add-ons?account=zebra');
  await gone('POST', '/api/v1/billing/discounts', { account: 'mine', coupon: 'for-mine' });
  await gone('DELETE', '/api/v1/billing/discounts/mine/for-mine');
  await gone('POST', '/api/v1/billing/add-ons', { account: 'mine', plan: 'plan-of-mine' });
  await gone('DELETE', '/api/v1/billing/add-ons/mine/plan-of-mine');
  await gone('PUT', '/api/v1/billing/entities', { name: 'mine' });
  await gone('PUT', '/api/v1/billing/coupons/x', { percent: '100' });
  await gone('DELETE', '/api/v1/billing/coupons/for-mine');
  await gone('POST', '/api/v1/billing/taxes', { jurisdiction: 'DE', percent: '0' });
  await gone('DELETE', '/api/v1/billing/taxes/DE');
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
