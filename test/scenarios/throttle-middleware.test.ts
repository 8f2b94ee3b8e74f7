/** The middleware and the real server: what is blocked, raised, and what happens while the server is away. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type HttpThrottle, type HttpThrottleOptions, httpNetwork, type Network, throttleHttp } from '@tollgate/agent';
import Fastify from 'fastify';
import { call, eventually, post } from '../http.ts';
import { isLong, LONG_FORM } from '../needs.ts';
import { makeDataDir, removeDataDir, type Server, startServer } from '../server.ts';

const PLANS = `plans:
  - key: small
    limits:
      - {key: calls, meter: requests, quota: 60, per: month, upgrade: 'https://cloud.example/plans'}
  - key: big
    limits:
      - {key: calls, meter: requests, quota: 100000, per: month}
`;

suite('the middleware on a real server', { skip: !isLong && LONG_FORM }, () => {
  const dataDir = makeDataDir();
  let server: Server;

  before(async () => {
    server = await startServer({ dataDir });
    const applied = await call(server, 'POST', '/api/v1/plans/apply', PLANS, { 'content-type': 'application/yaml' });
    assert.equal(applied.status, 200, applied.text);
    for (const id of ['acme', 'globex', 'initech']) {
      await post(server, '/api/v1/accounts', { id, zone: 'UTC' });
      await post(server, '/api/v1/subscriptions', { account: id, plan: 'small' });
    }
  });
  after(async () => {
    await server?.stop();
    await removeDataDir(dataDir);
  });

  const throttleOf = (more: Partial<HttpThrottleOptions> = {}): HttpThrottle =>
    throttleHttp({
      url: server.url,
      key: server.key,
      tenantOf: { header: 'x-tenant' },
      action: 'call',
      waitMs: 500,
      ...more,
    });
  const block = (account: string) =>
    post(server, '/api/v1/blocks', { account, action: 'call', reason: 'Please call us.' });
  const usedOf = async (account: string): Promise<number> =>
    (await post<{ used: number }>(server, '/api/v1/decisions', { account, cost: 0 })).used;

  /** An application behind the middleware; what it ran is counted. */
  const serve = async (t: TestContext, throttle: HttpThrottle, tenant: string) => {
    const counts = { ran: 0 };
    const app = createServer((request, response) =>
      throttle(request, response, () => {
        counts.ran++;
        response.end('served');
      }),
    );
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    t.after(() => {
      app.closeAllConnections();
      app.close();
    });
    const { port } = app.address() as AddressInfo;
    const ask = async (account = tenant) => {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-tenant': account } });
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    };
    /** Milliseconds until it answers so; a second at most. */
    const soon = async (status: number): Promise<number> => {
      const began = performance.now();
      await eventually(ask, (answer) => answer.status === status, 1000);
      return Math.round(performance.now() - began);
    };
    return { counts, ask, soon };
  };

  test('two servers admit exactly what the plan says; a bigger plan, a block and its end work within a second', async (t) => {
    const throttles = [throttleOf(), throttleOf()];
    const [one, two] = await Promise.all(throttles.map((throttle) => serve(t, throttle, 'acme')));
    assert.ok(one && two);
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) statuses.push(...(await Promise.all([one.ask(), two.ask()])).map((a) => a.status));
    // What one of them still holds comes back to the other.
    await wait(1200);
    for (let i = 0; i < 60; i++) statuses.push((await one.ask()).status);
    assert.equal(statuses.filter((status) => status === 200).length, 60);
    assert.equal(one.counts.ran + two.counts.ran, 60, 'a refusal never runs the application');
    const refused = await one.ask();
    assert.equal(refused.status, 429);
    assert.match(refused.text, /"upgrade":"https:\/\/cloud\.example\/plans"/);
    assert.match(refused.headers.get('ratelimit') ?? '', /^"calls";r=0;t=\d+$/);
    assert.equal((await one.ask('globex')).status, 200, 'a neighbour does not notice');

    await post(server, '/api/v1/subscriptions', { account: 'acme', plan: 'big' });
    t.diagnostic(`a bigger plan worked after ${await one.soon(200)} ms`);
    await block('acme');
    t.diagnostic(`a block worked after ${await one.soon(403)} ms`);
    assert.match((await one.ask()).text, /Please call us\./);
    const lifted = await call(server, 'DELETE', '/api/v1/blocks/acme/call');
    assert.ok(lifted.status < 300, lifted.text);
    t.diagnostic(`its end worked after ${await one.soon(200)} ms`);

    const ran = one.counts.ran + two.counts.ran - 1;
    await Promise.all(throttles.map((throttle) => throttle.close()));
    assert.equal(await usedOf('acme'), ran, 'the unused came back');
  });

  test('in Fastify it is an onRequest hook, and a refused route does not run', async () => {
    await block('initech');
    const throttle = throttleOf();
    const app = Fastify();
    let ran = 0;
    app.addHook('onRequest', (request, reply, done) =>
      throttle(request.raw, reply.raw, (error) => done(error as Error)),
    );
    app.get('/', () => {
      ran++;
      return 'served';
    });
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const ask = (tenant: string) => fetch(url, { headers: { 'x-tenant': tenant } });
    const refused = await ask('initech');
    assert.deepEqual([refused.status, ran], [403, 0]);
    await refused.arrayBuffer();
    const served = await ask('globex');
    assert.equal(await served.text(), 'served');
    assert.match(served.headers.get('ratelimit') ?? '', /^"calls";r=\d+;/);
    await app.close();
    await throttle.close();
  });

  test('while the server is away calls are admitted at once, and charged when it is back', async (t) => {
    let target = httpNetwork(server.url, server.key, 1000);
    const network: Network = { post: (...args) => target.post(...args) };
    const throttle = throttleOf({ network, waitMs: 10, report: () => undefined });
    const { ask } = await serve(t, throttle, 'globex');
    await ask();
    await server.kill();
    await wait(1000);
    const began = performance.now();
    for (let i = 0; i < 20; i++) assert.equal((await ask()).status, 200);
    t.diagnostic(`20 calls while it was away: ${Math.round(performance.now() - began)} ms`);
    const { owed, unseen } = throttle.report();
    assert.ok(owed > 0 && owed <= unseen && unseen <= 21, `${owed} owed, ${unseen} unseen`);
    server = await startServer({ dataDir });
    target = httpNetwork(server.url, server.key, 1000);
    await eventually(
      () => Promise.resolve(throttle.report().owed),
      (left) => left === 0,
      5000,
    );
    const used = await usedOf('globex');
    assert.ok(used >= unseen, `${used} used, ${unseen} unseen`);
    await throttle.close();
  });
});
