/**
 * A tenant on a small plan downloads through a metered web app: a notice at 80 %, a refusal with a page when the plan is used
 * up, served again at once on a bigger plan; the same limit refuses through Envoy's protocol, and the books balance.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { meterHttp, openUsage, throttleHttp } from '@tollgate/agent';
import { packages, RATE_LIMIT_SERVICE } from 'tollgate/throttle/rls/schema.js';
import { call, eventually, get, post } from '../http.ts';
import { isLong, LONG_FORM } from '../needs.ts';
import { type Server, withServer } from '../server.ts';

const MB = 1_000_000;
const PLANS = `plans:
  - key: small
    entitlements: [{ key: traffic, meter: service.bytes.sent, amount: 50 MB, per: month }]
    limits:
      - key: traffic
        entitlement: traffic
        thresholds: [80]
        message: Your plan includes 50 MB a month.
        upgrade: https://cloud.example/plans
      - { key: calls, meter: requests, feed: decided, quota: 1000, per: month }
  - key: big
    entitlements: [{ key: traffic, meter: service.bytes.sent, amount: 5 GB, per: month }]
    limits:
      - { key: traffic, entitlement: traffic }
      - { key: calls, meter: requests, feed: decided, quota: 1000, per: month }
`;

const examples = join(import.meta.dirname, '..', '..', '..', 'docs', 'examples');

async function cloud(server: Server): Promise<void> {
  for (const meter of JSON.parse(readFileSync(join(examples, 'service-meters.json'), 'utf8')) as object[])
    await post(server, '/api/v1/meters', meter);
  await post(server, '/api/v1/meters', {
    ...{ key: 'requests', kind: 'delta', eventType: 'requests', aggregation: 'sum', valuePath: '$.value', unit: '1' },
  });
  const applied = await call(server, 'POST', '/api/v1/plans/apply', PLANS, { 'content-type': 'application/yaml' });
  assert.equal(applied.status, 200, applied.text);
  await post(server, '/api/v1/accounts', { id: 'acme', zone: 'Europe/Berlin' });
  await post(server, '/api/v1/subscriptions', { account: 'acme', plan: 'small' });
}

/** A web app that answers `/t/<tenant>/<megabytes>`, metered and throttled by a few lines. */
async function webApp(t: TestContext, server: Server) {
  const spool = await mkdtemp(join(tmpdir(), 'tollgate-throttle-'));
  const { url, key } = server;
  const usage = await openUsage({ url, key, source: 'shop/web-1', spool, bucketMs: 1000 });
  const tenant = { path: '/t/<tenant>/...' };
  const throttle = throttleHttp({ url, key, tenantOf: tenant, action: 'download', waitMs: 500 });
  let ran = 0;
  const app = createServer((request, response) =>
    throttle(request, response, () => {
      ran++;
      response.end(Buffer.alloc(Number(request.url?.split('/')[3]) * MB));
    }),
  );
  meterHttp(app, { recorder: usage.recorder, kind: 'webapp', tenant });
  usage.start();
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(async () => {
    app.closeAllConnections();
    app.close();
    await throttle.close();
    await usage.stop(0);
    await rm(spool, { recursive: true, force: true });
  });
  const { port } = app.address() as AddressInfo;
  const download = async (megabytes: number) => {
    const answer = await fetch(`http://127.0.0.1:${port}/t/acme/${megabytes}`);
    const body = Buffer.from(await answer.arrayBuffer());
    return {
      status: answer.status,
      headers: answer.headers,
      bytes: body.length,
      text: body.subarray(0, 2000).toString(),
    };
  };
  return { download, ran: () => ran };
}

interface Notice {
  limit: string;
  percent: number;
  used: number;
}

/** What Envoy would be told. */
async function envoy(t: TestContext, server: Server): Promise<() => Promise<string>> {
  const address = /Envoy.*?(127\.0\.0\.1:\d+)/.exec(server.output())?.[1] ?? '';
  const client = new Client(address, credentials.createInsecure());
  t.after(() => client.close());
  const method = (packages()[RATE_LIMIT_SERVICE] as unknown as Record<string, Method>).ShouldRateLimit as Method;
  const entries = [{ key: 'account', value: 'acme' }];
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { domain: 'tollgate', descriptors: [{ entries, hitsAddend: { value: '0' } }] },
        (error, response) => (error === null ? resolve(response?.overallCode ?? '') : reject(error)),
      );
    });
}
interface Method {
  path: string;
  requestSerialize(message: object): Buffer;
  responseDeserialize(bytes: Buffer): { overallCode: string };
}

test('a plan’s traffic is noticed, refused, raised and served, and the books balance', {
  skip: !isLong && LONG_FORM,
}, async (t) => {
  await withServer(async (server) => {
    await cloud(server);
    const { download, ran } = await webApp(t, server);
    const ask = await envoy(t, server);
    assert.equal((await download(20)).status, 200);
    assert.equal((await download(21)).status, 200);
    const notices = await eventually(
      () => get<{ items: Notice[] }>(server, '/api/v1/notices'),
      ({ items }) => items.length > 0,
      20_000,
    );
    assert.deepEqual(
      notices.items.map(({ limit, percent }) => [limit, percent]),
      [['traffic', 80]],
    );
    assert.equal(await ask(), 'OK');

    assert.equal((await download(10)).status, 200);
    const crossed = performance.now();
    const decide = () => post<{ allowed: boolean }>(server, '/api/v1/decisions', { account: 'acme', cost: 0 });
    await eventually(decide, ({ allowed }) => !allowed, 20_000);
    const known = performance.now();
    const refused = await eventually(
      () => download(0),
      ({ status }) => status === 429,
      5000,
    );
    const after = performance.now();
    t.diagnostic(
      `refused ${Math.round(after - crossed)} ms after crossing, ${Math.round(after - known)} ms after it was known`,
    );
    assert.ok(after - known < 1000);
    assert.match(refused.text, /Your plan includes 50 MB a month\./);
    assert.match(refused.text, /https:\/\/cloud\.example\/plans/);
    assert.match(refused.text, /"resetsAt"|"resetAt"/);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(await ask(), 'OVER_LIMIT');
    const before = ran();
    assert.equal((await download(1)).status, 429);
    assert.equal(ran(), before, 'a refused request runs nothing');

    await post(server, '/api/v1/subscriptions', { account: 'acme', plan: 'big' });
    assert.equal(await ask(), 'OK');
    const raised = performance.now();
    await eventually(
      () => download(1),
      ({ status }) => status === 200,
      1000,
    );
    t.diagnostic(`served ${Math.round(performance.now() - raised)} ms after the bigger plan`);
    await balanced(server);
  });
});

interface Balance {
  limit: string;
  isBalanced: boolean;
  admitted: string;
  metered: string | null;
  difference: string | null;
}

/** Everything admitted is metered, once it is published. */
async function balanced(server: Server): Promise<void> {
  const rows = async (): Promise<Balance[]> => {
    const { status, text } = await call(server, 'GET', '/api/v1/limits/reconcile');
    assert.equal(status, 200, text);
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Balance]));
  };
  const done = await eventually(
    rows,
    (all) =>
      all.length > 0 &&
      all.every(({ metered, difference }) => metered === null || difference === '0') &&
      all.some(({ metered }) => metered !== null),
    45_000,
  );
  for (const row of done) assert.equal(row.isBalanced, true, JSON.stringify(row));
}
