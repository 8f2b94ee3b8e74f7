/** The middleware over sockets: who is refused, with what, and that the application does not notice. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type HttpThrottleOptions, throttleHttp } from './http.ts';
import { blocked, Lender, reached, World } from './testing/lender.ts';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

async function open(t: TestContext, units: number, more: Partial<HttpThrottleOptions> = {}) {
  const world = new World();
  const lender = new Lender(world, units);
  const throttle = throttleHttp({
    url: 'http://127.0.0.1:9',
    key: 'tg_x',
    tenantOf: { header: 'x-tenant' },
    network: lender,
    clock: world,
    timers: world,
    report: () => undefined,
    ...more,
  });
  const ran: string[] = [];
  const errors: unknown[] = [];
  const server = createServer((request, response) =>
    throttle(request, response, (error) => {
      if (error !== undefined) errors.push(error);
      ran.push(request.url ?? '');
      response.end('the application');
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await throttle.close();
  });
  const { port } = server.address() as AddressInfo;
  const call = (path = '/', headers: Record<string, string> = { 'x-tenant': 'acme' }, body = ''): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const method = body === '' ? 'GET' : 'POST';
      const out = send({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      });
      out.on('error', reject);
      out.end(body);
    });
  return { lender, world, throttle, call, ran, errors };
}

test('a refusal says why and until when, and the application does not run', async (t) => {
  const { call, ran, throttle } = await open(t, 1);
  assert.equal((await call('/a')).text, 'the application');
  const refused = await call('/b');
  assert.deepEqual(ran, ['/a']);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['content-type'], 'application/problem+json');
  assert.deepEqual(JSON.parse(refused.text), {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Limit reached',
    status: 429,
    detail: reached.detail,
    code: 'limit.reached',
    limit: 'calls',
    version: 7,
    used: 5,
    amount: 5,
    resetAt: reached.resetAt,
    'violated-policies': ['calls'],
    upgrade: reached.upgrade,
  });
  assert.equal(refused.headers['ratelimit-policy'], '"calls";q=100');
  assert.equal(refused.headers.ratelimit, '"calls";r=0;t=60');
  assert.equal(refused.headers['retry-after'], '3600');
  const { admitted, refused: count } = throttle.report();
  assert.deepEqual([admitted, count], [1, 1]);
});

test('a block is a 403 in its own words, without a time to come again', async (t) => {
  const { call, ran, lender } = await open(t, 100);
  lender.refusal = blocked;
  const { status, text, headers } = await call();
  assert.deepEqual([status, ran.length, headers['retry-after']], [403, 0, undefined]);
  const { type, code, detail } = JSON.parse(text);
  assert.deepEqual([type, code, detail], ['about:blank', 'action.blocked', 'Please call us.']);
});

test('a limit that fails closed is a 503 while nobody answers', async (t) => {
  const { call, ran, lender } = await open(t, 100, { fail: 'closed' });
  lender.away = true;
  const { status, text, headers } = await call();
  assert.deepEqual([status, ran.length, headers['retry-after']], [503, 0, '1']);
  assert.equal(JSON.parse(text).code, 'limit.unknown');
});

test('admitted answers tell what is left, with what is at hand here', async (t) => {
  const { call } = await open(t, 100);
  assert.equal((await call()).headers.ratelimit, '"calls";r=99;t=60');
  assert.equal((await call()).headers.ratelimit, '"calls";r=98;t=60');
  const silent = await open(t, 100, { headers: false });
  assert.equal((await silent.call()).headers.ratelimit, undefined);
  const legacy = await open(t, 100, { legacyHeaders: true });
  assert.equal((await legacy.call()).headers['x-ratelimit-remaining'], '99');
});

test('what a request costs and is for is asked of it', async (t) => {
  const cost = ({ headers }: { headers: Record<string, unknown> }) => Number(headers['x-cost']);
  const { call, lender, throttle } = await open(t, 100, { cost, action: (request) => `${request.method} action` });
  await call('/', { 'x-tenant': 'acme', 'x-cost': '7' });
  assert.deepEqual([lender.questions[0]?.action, lender.questions[0]?.least], ['GET action', 7]);
  await throttle.close();
  assert.equal(lender.used, 7);
});

test('nobody in particular is let through, and counted', async (t) => {
  const { call, lender, throttle } = await open(t, 100);
  assert.equal((await call('/health', {})).text, 'the application');
  assert.deepEqual([throttle.report().nobody, lender.questions.length], [1, 0]);
});

test('a function that throws, and a cost that is none, go to the application as an error', async (t) => {
  const check = async (more: Partial<HttpThrottleOptions>, message: RegExp) => {
    const { call, errors } = await open(t, 100, more);
    await call();
    assert.match(String(errors[0]), message);
  };
  await check({ tenantOf: () => assert.fail('no tenant') }, /no tenant/);
  await check({ cost: () => -1 }, /-1 is not a whole number/);
  await check({ cost: () => 0.5 }, /0.5 is not a whole number/);
});

test('a page of your own comes with the status and the fields', async (t) => {
  const { call } = await open(t, 0, {
    page: ({ detail, resetAt }, _request, response) => response.end(`<p>${detail}, until ${resetAt}</p>`),
  });
  const { status, text, headers } = await call();
  assert.equal(status, 429);
  assert.equal(text, `<p>${reached.detail}, until ${reached.resetAt}</p>`);
  assert.equal(headers['retry-after'], '3600');
});

test('a refused upload is not read by the application, and the connection goes on', async (t) => {
  const { call, ran } = await open(t, 0);
  const body = 'x'.repeat(500_000);
  const answers = await Promise.all(Array.from({ length: 5 }, () => call('/', { 'x-tenant': 'acme' }, body)));
  assert.deepEqual([answers.map(({ status }) => status), ran.length], [[429, 429, 429, 429, 429], 0]);
});

test('what is held is free again when the response is closed', async (t) => {
  const { call, lender, world } = await open(t, 1);
  lender.perCall = true;
  assert.equal((await call()).status, 200);
  world.pass(200);
  assert.equal((await call()).status, 200);
});

test('the target is read as it came, though a framework has rewritten it', async (t) => {
  const { lender } = await open(t, 100);
  const throttle = throttleHttp({
    url: 'http://127.0.0.1:9',
    key: 'tg_x',
    tenantOf: { path: '/t/<tenant>/...' },
    network: lender,
  });
  const request = { url: '/x', originalUrl: '/t/acme/x', headers: {} };
  await new Promise((next) =>
    throttle(request as never, { headersSent: true, setHeader: () => undefined } as never, next),
  );
  assert.equal(lender.questions[0]?.account, 'acme');
  await throttle.close();
});

test('options that make no sense are refused by name', () => {
  const options = { url: 'http://127.0.0.1:9', key: 'k', tenantOf: { header: 'x' } };
  assert.throws(() => throttleHttp({ ...options, waitMs: -1 }), /waitMs: -1/);
  assert.throws(() => throttleHttp({ ...options, waitMs: 5000 }), /waitMs: 5000/);
});
