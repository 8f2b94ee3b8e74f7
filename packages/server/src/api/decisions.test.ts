/** Decisions over HTTP: fed by what is metered, moved by plans at once, and the same through Envoy's JSON. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApi, START, type TestApi } from './testing/api.ts';

const PLANS = `plans:
  - key: small
    entitlements: [{ key: traffic, meter: web.bytes, amount: 50 MB, per: month }]
    limits:
      - { key: traffic, entitlement: traffic, message: Fifty megabytes a month, upgrade: 'https://example.test/plans' }
      - { key: calls, rate: 3 per minute, meter: requests, algorithm: fixed }
  - key: big
    entitlements: [{ key: traffic, meter: web.bytes, amount: 5 GB, per: month }]
    limits: [{ key: traffic, entitlement: traffic }]
`;

async function cloud(t: Parameters<typeof openApi>[0]): Promise<TestApi> {
  const api = await openApi(t);
  await api.account('acme');
  const meter = { key: 'web.bytes', kind: 'delta', eventType: 'web.bytes', aggregation: 'sum', valuePath: '$.value' };
  const made = [
    await api.call(api.admin, 'POST', '/api/v1/meters', { body: { ...meter, unit: 'By' } }),
    await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw: { body: PLANS, type: 'application/yaml' } }),
    await subscribe(api, 'small'),
  ];
  for (const { status, text } of made) assert.ok(status < 300, text);
  return api;
}

const subscribe = (api: TestApi, plan: string) =>
  api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: { account: 'acme', plan } });

const decide = async (api: TestApi, more: object = {}) => {
  const { status, body, text } = await api.call(api.admin, 'POST', '/api/v1/decisions', {
    body: { account: 'acme', ...more },
  });
  assert.equal(status, 200, text);
  return body;
};

let ids = 0;
const serve = (api: TestApi, bytes: number) =>
  api.call(api.admin, 'POST', '/api/v1/events', {
    raw: {
      type: 'application/cloudevents-batch+json',
      body: JSON.stringify([
        {
          specversion: '1.0',
          id: `e${ids++}`,
          source: 'web',
          type: 'web.bytes',
          subject: 'acme',
          time: new Date(START).toISOString(),
          data: { value: bytes },
        },
      ]),
    },
  });

test('usage refuses when it is over what the plan includes, and a bigger plan is served by the next call', async (t) => {
  const api = await cloud(t);
  assert.equal((await decide(api, { cost: 0 })).allowed, true);
  await serve(api, 49_999_999);
  assert.equal((await decide(api, { cost: 0 })).allowed, true);
  await serve(api, 1);
  const refused = await decide(api);
  assert.deepEqual(
    [refused.allowed, refused.reason, refused.limit, refused.used, refused.remaining, refused.upgrade],
    [false, 'limit.reached', 'traffic', 50_000_000, 0, 'https://example.test/plans'],
  );
  assert.match(refused.detail, /^Fifty megabytes a month \(traffic: 50000000 of 50000000/);
  api.clock.at += 1;
  await subscribe(api, 'big');
  assert.equal((await decide(api)).allowed, true);
});

test('a rate admits its amount, a batch is decided in order, and the window begins anew', async (t) => {
  const api = await cloud(t);
  const batch = await api.call(api.admin, 'POST', '/api/v1/decisions', {
    body: { decisions: Array.from({ length: 4 }, () => ({ account: 'acme' })) },
  });
  const { decisions } = batch.body as { decisions: { allowed: boolean; retryAfterSeconds: number | null }[] };
  assert.deepEqual(
    decisions.map((d) => d.allowed),
    [true, true, true, false],
  );
  assert.equal(decisions[3]?.retryAfterSeconds, 60);
  api.clock.at += 60_000;
  assert.equal((await decide(api)).allowed, true);
});

test('a block and a state refuse before any limit is asked, with their reason', async (t) => {
  const api = await cloud(t);
  await api.call(api.admin, 'POST', '/api/v1/blocks', {
    body: { account: 'acme', action: 'upload', reason: 'Please pay.' },
  });
  const blocked = await decide(api, { action: 'upload' });
  assert.deepEqual([blocked.allowed, blocked.reason, blocked.detail], [false, 'action.blocked', 'Please pay.']);
  assert.equal((await decide(api, { action: 'download' })).allowed, true);
});

test('the same limit refuses through Envoy’s protocol', async (t) => {
  const api = await cloud(t);
  const ask = () =>
    api.call(api.admin, 'POST', '/json', {
      body: { domain: 'tollgate', descriptors: [{ entries: [{ key: 'account', value: 'acme' }] }] },
    });
  assert.equal((await ask()).status, 200);
  await serve(api, 50_000_000);
  const refused = await ask();
  assert.deepEqual([refused.status, refused.body.overallCode], [429, 'OVER_LIMIT']);
  const { items } = (await api.call(api.admin, 'GET', '/api/v1/refusals')).body;
  assert.deepEqual(
    items.map((r: { account: string; limit: string; cost: number }) => [r.account, r.limit, r.cost]),
    [['acme', 'traffic', 1]],
  );
  const { offered, admitted } = JSON.parse((await api.call(api.admin, 'GET', '/api/v1/limits/reconcile')).text);
  assert.deepEqual([offered, admitted], ['2', '1']);
});

test('a configuration of envoyproxy/ratelimit is taken as it is, refused by line, and counts at once', async (t) => {
  const api = await cloud(t);
  const put = (body: string) =>
    api.call(api.admin, 'POST', '/api/v1/rate-limit-domains', { raw: { body, type: 'application/yaml' } });
  const text = 'domain: shop\ndescriptors:\n  - { key: user, rate_limit: { unit: day, requests_per_unit: 1 } }\n';
  assert.equal((await put(text.replace('day', 'aeon'))).status, 422);
  const { body } = await put(text);
  assert.deepEqual([body.items[0].domain, body.items[0].rules], ['shop', 1]);
  const ask = () =>
    api.call(api.admin, 'POST', '/json', {
      body: { domain: 'shop', descriptors: [{ entries: [{ key: 'user', value: 'a' }] }] },
    });
  assert.deepEqual([(await ask()).status, (await ask()).status], [200, 429]);
  await api.call(api.admin, 'DELETE', '/api/v1/rate-limit-domains/shop');
  assert.equal((await ask()).status, 200);
});
