import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { errors } from '../errors.ts';
import { MINUTE, openApi, START } from './testing/api.ts';

const event = (id: string, more: Record<string, unknown> = {}) => ({
  specversion: '1.0',
  id,
  source: 'shop',
  type: 'request',
  subject: 'c1',
  time: '2026-11-21T11:00:00Z',
  data: { n: 1 },
  ...more,
});
const BATCH = 'application/cloudevents-batch+json';
const batch = (...events: unknown[]) => ({ raw: { body: JSON.stringify(events), type: BATCH } });

test('a request that fails is problem+json with a code of the registry, its status, and what to do next', async (t) => {
  const api = await openApi(t);
  const reader = await api.key(null, ['read']);
  const check = async (code: keyof typeof errors, ...args: Parameters<typeof api.call>) => {
    const answer = await api.call(...args);
    const about = `${args[1]} ${args[2]}: ${answer.text.slice(0, 300)}`;
    assert.equal(answer.body?.code, code, about);
    assert.equal(answer.status, errors[code].status, about);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(answer.body.hint, errors[code].hint);
    assert.equal(answer.body.status, errors[code].status);
    return answer.body;
  };
  const json = (body: string | Buffer, type = 'application/json') => ({ raw: { body, type } });
  await check('auth.missing', null, 'GET', '/api/v1/accounts');
  await check('auth.unknown_key', 'tg_nobody', 'GET', '/api/v1/accounts');
  await check('auth.missing', null, 'GET', '/api/v1/accounts', { headers: { authorization: 'Basic eDp5' } });
  await check('auth.scope', reader, 'POST', '/api/v1/events', batch(event('1')));
  await check('auth.scope', reader, 'POST', '/api/v1/accounts', { body: { id: 'a' } });
  await check('request.not_found', null, 'GET', '/api/v1/nothing');
  await check('request.malformed_json', api.admin, 'POST', '/api/v1/accounts', json('{"id":'));
  await check('request.malformed_json', api.admin, 'POST', '/api/v1/events', json('[{"id":', BATCH));
  await check('request.content_type', api.admin, 'POST', '/api/v1/events', json('a,b', 'text/csv'));
  await check('request.content_encoding', api.admin, 'POST', '/api/v1/events', {
    ...batch(event('1')),
    headers: { 'content-encoding': 'br' },
  });
  await check('request.bad_gzip', api.admin, 'POST', '/api/v1/events', {
    ...batch(event('1')),
    headers: { 'content-encoding': 'gzip' },
  });
  await check('account.zone', api.admin, 'POST', '/api/v1/accounts', { body: { id: 'a', zone: '+01:00' } });
  await check('account.currency', api.admin, 'POST', '/api/v1/accounts', { body: { id: 'a', currency: 'XYZ' } });
  await check('query.range', api.admin, 'GET', '/api/v1/usage?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z');
  await check('query.range', api.admin, 'GET', '/api/v1/usage?from=yesterday&to=2026-11-21T00:00:00Z');
  await check('request.cursor', api.admin, 'GET', '/api/v1/audit?cursor=zzz');
  await check('meter.unknown', api.admin, 'GET', '/api/v1/meters/none/query');
  await check('explain.reference', api.admin, 'GET', '/api/v1/explain?ref=what');
  await check('run.unknown', api.admin, 'GET', '/api/v1/job/runs/77');
  const invalid = await check('request.invalid', api.admin, 'POST', '/api/v1/accounts', {
    body: { id: 'a', color: 'red' },
  });
  assert.equal(invalid.pointer, '/color');
  const missing = await check('request.invalid', api.admin, 'POST', '/api/v1/accounts', { body: {} });
  assert.equal(missing.pointer, '/id');
});

test('bodies are bounded before and after decompression, and so is the number of items', async (t) => {
  const api = await openApi(t, { bodyBytesMax: '4096', batchEventsMax: '10' });
  const code = async (call: Parameters<typeof api.call>[3]) =>
    (await api.call(api.admin, 'POST', '/api/v1/events', call)).body.code;
  assert.equal(await code({ raw: { body: Buffer.alloc(5000, 0x20), type: BATCH } }), 'request.too_large');
  const bomb = gzipSync(Buffer.alloc(1_000_000, 0x20));
  assert.ok(bomb.length < 4096);
  assert.equal(
    await code({ raw: { body: bomb, type: BATCH }, headers: { 'content-encoding': 'gzip' } }),
    'request.too_large',
  );
  assert.equal(await code({ raw: { body: JSON.stringify(Array(11).fill({})), type: BATCH } }), 'request.too_many');
});

test('CloudEvents come in by three modes and gzip, and the same id counts once', async (t) => {
  const api = await openApi(t);
  const post = (call: Parameters<typeof api.call>[3]) => api.call(api.admin, 'POST', '/api/v1/events', call);
  const structured = await post({ raw: { body: JSON.stringify(event('1')), type: 'application/cloudevents+json' } });
  assert.deepEqual([structured.status, structured.body.accepted], [200, 1]);
  const binary = await post({
    raw: { body: '{"n":1}', type: 'application/json' },
    headers: {
      'ce-specversion': '1.0',
      'ce-id': '2',
      'ce-source': 'shop',
      'ce-type': 'request',
      'ce-time': '2026-11-21T11:00:00Z',
    },
  });
  assert.deepEqual([binary.status, binary.body.accepted], [200, 1], binary.text);
  const zipped = await post({
    raw: { body: gzipSync(JSON.stringify([event('1'), event('3'), event('3', { data: { n: 2 } })])), type: BATCH },
    headers: { 'content-encoding': 'gzip' },
  });
  assert.deepEqual(
    [zipped.status, zipped.body.accepted, zipped.body.duplicates, zipped.body.conflicts],
    [200, 1, 1, 1],
    zipped.text,
  );
  const listed = await api.call(api.admin, 'GET', '/api/v1/events?type=request');
  assert.deepEqual(listed.body.map((r: { event: { id: string } }) => r.event.id).sort(), ['1', '2', '3']);
});

test('of a batch the good is taken and the bad is named; a request of which nothing is taken fails', async (t) => {
  const api = await openApi(t);
  const mixed = await api.call(api.admin, 'POST', '/api/v1/events', batch(event('1'), event('2', { time: 'noon' }), 7));
  assert.equal(mixed.status, 200);
  assert.deepEqual(
    mixed.body.items.map((i: { position: number; code: string; pointer: string }) => [i.position, i.code, i.pointer]),
    [
      [1, 'event.bad_time', '/1/time'],
      [2, 'event.not_object', '/2'],
    ],
  );
  const alone = await api.call(api.admin, 'POST', '/api/v1/events', {
    raw: { body: JSON.stringify(event('9', { specversion: '0.3' })), type: 'application/cloudevents+json' },
  });
  assert.deepEqual(
    [alone.status, alone.body.code, alone.body.pointer, alone.body.outcome.rejected],
    [400, 'event.spec_version', '/specversion', 1],
  );
  const stranger = await api.key(null, ['ingest'], ['web*']);
  const foreign = await api.call(stranger, 'POST', '/api/v1/events', batch(event('5')));
  assert.deepEqual([foreign.status, foreign.body.code], [403, 'source.forbidden']);
});

test('numbers that JSON cannot carry leave as they came', async (t) => {
  const api = await openApi(t);
  const body = JSON.stringify(event('1')).replace('{"n":1}', '{"n":12345678901234567890.000000000001}');
  await api.call(api.admin, 'POST', '/api/v1/events', { raw: { body, type: 'application/cloudevents+json' } });
  const listed = await api.call(api.admin, 'GET', '/api/v1/events?type=request');
  assert.ok(listed.text.includes('"data":{"n":12345678901234567890.000000000001}'), listed.text);
});

test('readings become usage of the open window within the same second', async (t) => {
  const api = await openApi(t);
  await api.account('acme');
  await api.append({ kind: 'owner', resource: 'nic1', account: 'acme', from: 0 });
  await api.readings(api.admin, 'host1', 'nic1', [
    [START - 5 * MINUTE, '18446744073709550000'],
    [START, '18446744073709551615'],
  ]);
  api.clock.at = START + 1000;
  const { body } = await api.call(api.admin, 'GET', '/api/v1/usage?from=2026-11-21T11:55:00Z&to=2026-11-21T12:00:00Z');
  assert.equal(body.items.length, 1);
  const [row] = body.items;
  assert.deepEqual(
    [row.meter, row.group, row.quantity, row.unit, row.provisional],
    ['network.bytes.received', { account: 'acme', resource: 'nic1' }, '1615', 'By', true],
  );
  const again = await api.call(api.admin, 'GET', `/api/v1/explain?ref=${encodeURIComponent(row.explain)}`);
  assert.equal(again.body.owner, 'acme');
  assert.equal(again.body.readings.length, 2);
});

test('usage comes as CSV and in pages; a name that a spreadsheet would run is only text', async (t) => {
  const api = await openApi(t);
  for (const resource of ['=1+1', 'b', 'c']) {
    await api.append({ kind: 'owner', resource, account: 'acme', from: 0 });
    await api.readings(api.admin, 'host1', resource, [
      [START - 5 * MINUTE, 10],
      [START, 30],
    ]);
  }
  await api.account('acme');
  const span = 'from=2026-11-21T11:55:00Z&to=2026-11-21T12:00:00Z';
  const csv = await api.call(api.admin, 'GET', `/api/v1/usage?${span}&format=csv&groupBy=resource`);
  assert.equal(csv.text.split('\r\n')[0], 'meter,from,to,resource,quantity,unit,state,flags,provisional');
  assert.match(csv.text, /,'=1\+1,20,By,/);
  const seen: string[] = [];
  for (let cursor = ''; ; ) {
    const page = (await api.call(api.admin, 'GET', `/api/v1/usage?${span}&groupBy=resource&limit=2${cursor}`)).body;
    seen.push(...page.items.map((i: { group: { resource: string } }) => i.group.resource));
    if (page.nextCursor === undefined) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  assert.deepEqual(seen, ['=1+1', 'b', 'c']);
});

test('accounts form a tree, keys are never wider than their maker, and a revoked key opens nothing', async (t) => {
  const api = await openApi(t);
  const made = await api.call(api.admin, 'POST', '/api/v1/accounts', {
    body: { id: 'root', zone: 'Europe/Berlin', currency: 'USD' },
  });
  assert.deepEqual([made.status, made.body.zone], [201, 'Europe/Berlin']);
  await api.call(api.admin, 'POST', '/api/v1/accounts', { body: { id: 'leaf', parent: 'root' } });
  const leaf = await api.call(api.admin, 'GET', '/api/v1/accounts/leaf');
  assert.equal(leaf.body.zone, 'Europe/Berlin', 'what is not said comes from above');
  const cycle = await api.call(api.admin, 'PUT', '/api/v1/accounts/root', { body: { parent: 'leaf' } });
  assert.equal(cycle.body.code, 'account.cycle');
  const rootAdmin = await api.key('root', ['read', 'admin']);
  const wide = await api.call(rootAdmin, 'POST', '/api/v1/keys', { body: { scopes: ['ingest'] } });
  assert.equal(wide.body.code, 'key.too_wide');
  const up = await api.call(rootAdmin, 'POST', '/api/v1/keys', { body: { scopes: ['read'], account: null } });
  assert.equal(up.body.code, 'key.too_wide');
  const child = await api.call(rootAdmin, 'POST', '/api/v1/keys', { body: { scopes: ['read'], account: 'leaf' } });
  assert.equal(child.status, 201);
  assert.equal((await api.call(child.body.secret, 'GET', '/api/v1/accounts')).body.items.length, 1);
  assert.ok(!(await api.call(api.admin, 'GET', '/api/v1/keys')).text.includes(child.body.secret));
  assert.ok(!(await api.call(api.admin, 'GET', '/api/v1/audit')).text.includes('hash'));
  await api.call(rootAdmin, 'DELETE', `/api/v1/keys/${child.body.id}`);
  assert.equal((await api.call(child.body.secret, 'GET', '/api/v1/accounts')).body.code, 'auth.unknown_key');
});

test('meters are versions; built-in ones stay as they are', async (t) => {
  const api = await openApi(t);
  const meter = {
    slug: 'tokens',
    eventType: 'prompt',
    aggregation: 'SUM',
    valueProperty: '$.tokens',
    groupBy: { model: '$.model' },
  };
  const made = await api.call(api.admin, 'POST', '/api/v1/meters', { body: meter });
  assert.deepEqual([made.status, made.body.aggregation, made.body.version], [201, 'SUM', 1], made.text);
  assert.equal((await api.call(api.admin, 'POST', '/api/v1/meters', { body: meter })).body.code, 'meter.exists');
  const next = await api.call(api.admin, 'PUT', '/api/v1/meters/tokens', { body: { name: 'Tokens' } });
  assert.deepEqual([next.body.version, next.body.valueProperty, next.body.name], [2, '$.tokens', 'Tokens'], next.text);
  const bad = await api.call(api.admin, 'POST', '/api/v1/meters', {
    body: { slug: 'x', aggregation: 'SUM', eventType: 'e', valueProperty: 'tokens' },
  });
  assert.deepEqual([bad.body.code, bad.body.pointer], ['meter.invalid', '/valueProperty'], bad.text);
  assert.equal(
    (await api.call(api.admin, 'PUT', '/api/v1/meters/network.bytes.sent', { body: { unit: 'kB' } })).body.code,
    'meter.built_in',
  );
  assert.equal((await api.call(api.admin, 'DELETE', '/api/v1/meters/tokens')).status, 204);
  assert.equal((await api.call(api.admin, 'GET', '/api/v1/meters/tokens')).status, 404);
});

test('corrections are facts with a reason: void, amend, sets, and re-attribution', async (t) => {
  const api = await openApi(t);
  await api.account('acme');
  await api.call(api.admin, 'POST', '/api/v1/meters', {
    body: { key: 'n', eventType: 'request', aggregation: 'sum', valuePath: '$.n' },
  });
  const post = (path: string, body: unknown) => api.call(api.admin, 'POST', `/api/v1/corrections/${path}`, { body });
  await api.call(api.admin, 'POST', '/api/v1/events', batch(event('1'), event('2')));
  const why = { reason: 'sent twice by hand' };
  assert.equal((await post('void', { source: 'shop', id: '1', ...why })).status, 200);
  assert.equal((await post('void', { source: 'shop', id: '1' })).body.code, 'request.invalid', 'a reason is asked for');
  assert.equal((await post('void', { source: 'shop', id: 'none', ...why })).body.code, 'fact.unknown');
  const amended = await post('amend', { source: 'shop', id: '2', data: '{"n":12345678901234567890.5}', ...why });
  assert.equal(amended.status, 200, amended.text);
  assert.equal(
    (await post('amend', { source: 'shop', id: '2', data: '{"n":', ...why })).body.code,
    'request.malformed_json',
  );
  assert.equal(
    (await post('attribute', { resource: 'c1', account: 'nobody', from: '2026-11-01', ...why })).body.code,
    'account.unknown',
  );
  assert.equal((await post('attribute', { resource: 'c1', account: 'acme', from: '2026-11-01', ...why })).status, 200);
  const inSet = { ...batch(event('3', { time: '2026-01-01T00:00:00Z' })), headers: { 'tollgate-set': 'january' } };
  assert.equal((await api.call(api.admin, 'POST', '/api/v1/events', inSet)).body.code, 'set.unknown');
  assert.equal((await post('sets', { name: 'january', ...why })).status, 200);
  assert.equal((await post('sets', { name: 'january', ...why })).body.code, 'set.exists');
  assert.equal((await api.call(api.admin, 'POST', '/api/v1/events', inSet)).body.accepted, 1);
  const { body } = await api.call(
    api.admin,
    'GET',
    '/api/v1/usage?from=2026-01-01&to=2026-11-22&meter=n&groupBy=account',
  );
  assert.deepEqual(
    body.items.map((r: { group: { account: string }; quantity: string }) => [r.group.account, r.quantity]).sort(),
    [
      ['acme', '12345678901234567890.5'],
      ['unattributed', '1'],
    ],
  );
  assert.equal((await post('sets/january/undo', why)).status, 200);
  const audit = await api.call(api.admin, 'GET', '/api/v1/audit?kind=void');
  assert.deepEqual(
    audit.body.items.map((i: { reason: string }) => i.reason),
    [why.reason, why.reason],
  );
});

test('the description is OpenAPI 3.1 and names every route', async (t) => {
  const api = await openApi(t);
  const { body } = await api.call(null, 'GET', '/openapi.json');
  assert.equal(body.openapi, '3.1.0');
  for (const path of [
    '/api/v1/events',
    '/api/v1/readings',
    '/api/v1/meters/{key}/query',
    '/api/v1/usage',
    '/api/v1/explain',
  ])
    assert.ok(body.paths[path], path);
  for (const [path, methods] of Object.entries(body.paths as Record<string, Record<string, { tags?: string[] }>>))
    for (const [method, operation] of Object.entries(methods))
      assert.ok(operation.tags?.length, `${method} ${path} has no tag`);
});

test('the description says what ingest takes, and nothing validates it twice', async (t) => {
  const api = await openApi(t);
  const { body } = await api.call(null, 'GET', '/openapi.json');
  const of = (path: string) => body.paths[path].post.requestBody.content;
  const event = of('/api/v1/events')['application/cloudevents+json'].schema;
  assert.deepEqual(event.required, ['specversion', 'id', 'source', 'type']);
  const batch = of('/api/v1/events')['application/cloudevents-batch+json'].schema;
  assert.deepEqual([batch.type, batch.items], ['array', event]);
  const readings = of('/api/v1/readings')['application/json'].schema;
  assert.deepEqual(readings.required, ['source', 'run', 'sequence', 'sentAt', 'series', 'readings']);
  assert.deepEqual(readings.properties.ended.items.minItems, 2);
  assert.ok(body.paths['/api/v1/events'].post.parameters.some((p: { name: string }) => p.name === 'tollgate-set'));
  // Ingest's own words, not a validator's: the route itself has no schema of its body.
  const refused = await api.call(api.admin, 'POST', '/api/v1/readings', { body: { source: 7 } });
  assert.match(refused.body.detail, /^source is a text of 1 to 512 bytes/);
});

test('the pages of one question are cut from one answer, whatever comes in between', async (t) => {
  const api = await openApi(t);
  await api.account('acme');
  const nics = ['a', 'b', 'c', 'd', 'e'];
  const send = async (t: number, value: number): Promise<void> => {
    for (const nic of nics) await api.readings(api.admin, 'host1', nic, [[t, value]]);
  };
  for (const nic of nics) await api.append({ kind: 'owner', resource: nic, account: 'acme', from: 0 });
  await send(START - 5 * MINUTE, 0);
  await send(START, 10);
  api.clock.at = START + 1000;
  let computed = 0;
  const query = api.context.usage.query.bind(api.context.usage);
  api.context.usage.query = (...args) => {
    computed++;
    return query(...args);
  };
  const key = await api.key('acme', ['read']);
  const page = async (more: string, who = key) =>
    (await api.call(who, 'GET', `/api/v1/usage?meter=network.bytes.received&groupBy=resource&limit=2${more}`)).body;
  const rows = (body: { items: { group: { resource: string }; quantity: string; to: string }[] }) =>
    body.items.map((i) => [i.group.resource, i.quantity, i.to]);
  const to = '2026-11-21T12:00:01Z';
  const first = await page('');
  assert.deepEqual(
    [rows(first), first.to],
    [
      [
        ['a', '10', to],
        ['b', '10', to],
      ],
      to,
    ],
  );
  api.clock.at = START + 11_000;
  await send(START + 10_000, 99);
  const second = await page(`&cursor=${first.nextCursor}`);
  const kept = [
    [
      ['c', '10', to],
      ['d', '10', to],
    ],
    first.frontier,
  ];
  assert.deepEqual([rows(second), second.frontier, computed], [...kept, 1]);
  // Nobody gets a page of what another asked.
  const other = await api.key(null, ['read']);
  assert.deepEqual(rows(await page(`&cursor=${second.nextCursor}`)), [['e', '10', to]]);
  assert.equal(computed, 1);
  await page(`&cursor=${second.nextCursor}`, other);
  assert.equal(computed, 2);
  // What is no longer kept is computed anew, over the span of the first page.
  api.clock.at = START + 2 * MINUTE;
  const late = await page(`&cursor=${second.nextCursor}`);
  assert.deepEqual([rows(late), computed], [[['e', '99', to]], 3]);
});

test('without an end, usage reaches to now and is computed on the window grid', async (t) => {
  const api = await openApi(t);
  api.clock.at = START + 4 * MINUTE + 30_000;
  await api.readings(api.admin, 'host1', 'nic', [
    [START - 5 * MINUTE, 0],
    [START + 4 * MINUTE, 900],
  ]);
  const now = '2026-11-21T12:04:30Z';
  const usage = await api.call(api.admin, 'GET', '/api/v1/usage?meter=network.bytes.received&windowSize=hour');
  const rows = usage.body.items.map((i: { from: string; to: string; quantity: string }) => [i.from, i.to, i.quantity]);
  assert.deepEqual([usage.body.to, rows.at(-1)], [now, ['2026-11-21T12:00:00Z', now, '400']]);
  assert.match(usage.body.items.at(-1)?.explain ?? '/1795263300000', /1795263300000$/, 'the edge of the grid');
  const om = await api.call(api.admin, 'GET', '/api/v1/meters/network.bytes.received/query');
  assert.deepEqual([om.body.to, om.body.data[0].windowEnd, om.body.data[0].value], [now, now, 900]);
  const minutes = await api.call(api.admin, 'GET', '/api/v1/usage?meter=network.bytes.received&windowSize=minute');
  assert.equal(minutes.body.items.at(-1).to, now);
});

test('a server that only reads refuses every change, and answers what is asked', async (t) => {
  const api = await openApi(t, { readOnly: true });
  const { paths } = (await api.call(null, 'GET', '/openapi.json')).body as {
    paths: Record<string, Record<string, unknown>>;
  };
  let refused = 0;
  for (const [path, methods] of Object.entries(paths))
    for (const method of Object.keys(methods).filter((m) => m !== 'get')) {
      if (path === '/api/v1/meters/{key}/query') continue;
      const url = path.replaceAll(/\{\w+\}/g, '1');
      const answer = await api.call(api.admin, method.toUpperCase() as 'POST', url, { body: {} });
      assert.deepEqual([answer.status, answer.body.code], [503, 'server.read_only'], `${method} ${path}`);
      refused++;
    }
  assert.ok(refused > 20, `${refused} routes`);
  assert.equal((await api.call(null, 'POST', '/api/v1/events', { body: {} })).status, 401);
  const query = await api.call(api.admin, 'POST', '/api/v1/meters/network.bytes.sent/query', { body: {} });
  assert.equal(query.status, 200, query.text);
  for (const url of ['/api/v1/usage', '/api/v1/doctor', '/api/v1/audit', '/metrics', '/readyz'])
    assert.equal((await api.call(api.admin, 'GET', url)).status, 200, url);
  const { findings } = (await api.call(api.admin, 'GET', '/api/v1/doctor')).body;
  const checks = findings.map((f: { check: string }) => f.check);
  assert.ok(checks.includes('read only') && !checks.includes('usage job') && !checks.includes('agents'));
});

test('health and metrics answer without a key, and say nothing of tenants', async (t) => {
  const api = await openApi(t);
  await api.account('secret-customer');
  await api.readings(api.admin, 'secret-host', 'secret-nic', [[START, 1]]);
  assert.equal((await api.call(null, 'GET', '/healthz')).status, 200);
  assert.equal((await api.call(null, 'GET', '/readyz')).status, 200);
  const metrics = await api.call(null, 'GET', '/metrics');
  assert.match(metrics.text, /tollgate_ingest_items_total\{outcome="accepted"\} 1/);
  assert.ok(!metrics.text.includes('secret-'));
});

test('what is not HTTP at all is answered in the same words', async (t) => {
  const api = await openApi(t);
  const url = new URL(await api.app.listen({ host: '127.0.0.1', port: 0 }));
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => socket.end('NONSENSE\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
  assert.match(answer, /^HTTP\/1.1 400 Bad Request\r\ncontent-type: application\/problem\+json/);
  assert.match(answer, /"code":"request.invalid"/);
});
