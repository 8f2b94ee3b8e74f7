/**
 * Bad input through the HTTP face of the real server: each piece is answered by a problem that names what is wrong,
 * nothing else is lost, nothing is injected. And a disk that is full, and a write that was torn.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { errors } from 'tollgate/errors.js';
import { type Answer, BATCH, call, JSON_TYPE, post } from '../http.ts';
import { isLong, LONG_FORM } from '../needs.ts';
import { type Server, withServer } from '../server.ts';
import { runJob, usageRows, wholeSum } from '../usage.ts';

const TYPE = 'hostile.work';
const NOW = Date.now();
const iso = (t: number): string => new Date(t).toISOString();

const event = (id: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  specversion: '1.0',
  id,
  source: 'app/hostile',
  type: TYPE,
  subject: 'good',
  time: iso(NOW - 3_600_000),
  data: { value: 1 },
  ...more,
});

interface Outcome {
  accepted: number;
  duplicates: number;
  conflicts: number;
  rejected: number;
  items: { position: number; outcome: string; code: string; pointer: string; message: string }[];
}

/** A problem of the whole request: the status, a code of the registry, RFC 9457's media type. */
const isProblem = (answer: Answer, status: number, code: keyof typeof errors): void => {
  assert.equal(answer.status, status, answer.text.slice(0, 500));
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = answer.json as { code: string; title: string; detail: string; hint: string };
  assert.equal(problem.code, code, answer.text.slice(0, 500));
  assert.ok(problem.title.length > 0 && problem.hint.length > 0);
};

let good = 0;
/** Between two good events; the bad one is rejected with a pointer to the field, the good ones are accepted. */
const rejectsOne = async (server: Server, bad: string, pointer: RegExp, name: string): Promise<void> => {
  const [first, last] = [event(`good-${good++}`), event(`good-${good++}`)];
  const answer = await call(
    server,
    'POST',
    '/api/v1/events',
    `[${JSON.stringify(first)},${bad},${JSON.stringify(last)}]`,
    { 'content-type': BATCH },
  );
  assert.ok(answer.status >= 200 && answer.status < 300, `${name}: ${answer.status} ${answer.text.slice(0, 500)}`);
  const outcome = answer.json as Outcome;
  assert.deepEqual([outcome.accepted, outcome.rejected], [2, 1], `${name}: ${answer.text.slice(0, 500)}`);
  const [item] = outcome.items;
  assert.equal(item?.position, 1, name);
  assert.match(item?.pointer ?? '', pointer, name);
  assert.ok((item?.code ?? '') in errors, `${name}: ${item?.code} is in the registry`);
  assert.ok((item?.message ?? '').length > 0, name);
};

const without = (field: string): string => {
  const { [field]: _, ...rest } = event('bad');
  return JSON.stringify(rest);
};
const bad = (more: Record<string, unknown>): string => JSON.stringify(event('bad', more));
const badData = (value: string): string =>
  JSON.stringify(event('bad', { data: 0 })).replace('"data":0', `"data":{"value":${value}}`);
const deep = (n: number): string => '['.repeat(n) + ']'.repeat(n);

/** One bad event each: name, text of the event, where the pointer must lead. */
const rows: [name: string, text: string, pointer: RegExp][] = [
  ['no id', without('id'), /\/1\/id/],
  ['no source', without('source'), /\/1\/source/],
  ['no type', without('type'), /\/1\/type/],
  ['no specversion', without('specversion'), /\/1\/specversion/],
  ['another specversion', bad({ specversion: '0.3' }), /\/1\/specversion/],
  ['an empty id', bad({ id: '' }), /\/1\/id/],
  ['an id that is a number', bad({ id: 7 }), /\/1\/id/],
  ['a string of a megabyte as id', bad({ id: 'x'.repeat(1 << 20) }), /\/1\/id/],
  ['a string of a megabyte as subject', bad({ subject: 'x'.repeat(1 << 20) }), /\/1\/subject/],
  ['a string of a megabyte as data', bad({ data: { value: 1, note: 'x'.repeat(1 << 20) } }), /\/1/],
  ['a newline in the id', bad({ id: 'a\nb' }), /\/1\/id/],
  ['a NUL in the subject', bad({ subject: 'a\0b' }), /\/1\/subject/],
  ['half a surrogate pair', JSON.stringify(event('bad')).replace('"good"', '"\\ud800"'), /\/1\/subject/],
  ['a time without zone', bad({ time: '2026-11-21T09:00:00' }), /\/1\/time/],
  ['a time that is no time', bad({ time: 'yesterday' }), /\/1\/time/],
  ['30 February', bad({ time: '2026-02-30T00:00:00Z' }), /\/1\/time/],
  ['a time ten years ahead', bad({ time: iso(NOW + 3650 * 86_400_000) }), /\/1\/time/],
  ['a time of 1970', bad({ time: '1970-01-01T00:00:00Z' }), /\/1\/time/],
  ['an event that is a number', '7', /\/1/],
  ['an event that is null', 'null', /\/1/],
  ['deep JSON', bad({ data: 0 }).replace('"data":0', `"data":${deep(2000)}`), /\/1/],
  ['the same attribute twice', JSON.stringify(event('bad')).replace('{', '{"id":"other",'), /\/1\/id/],
  ['no value', badData('null'), /\/1\/data/],
  ['a value that is a text of words', badData('"many"'), /\/1\/data/],
  ['a value that is a list', badData('[1]'), /\/1\/data/],
  ['NaN as text', badData('"NaN"'), /\/1\/data/],
  ['Infinity as text', badData('"Infinity"'), /\/1\/data/],
  ['a value beyond every quantity', badData('1e400'), /\/1\/data/],
  ['a value with 27 digits before the point', badData('999999999999999999999999999'), /\/1\/data/],
  ['a value with 13 decimals', badData('0.0000000000001'), /\/1\/data/],
];

test('hostile input', { skip: !isLong && LONG_FORM }, (t) =>
  withServer(async (server) => {
    await post(server, '/api/v1/meters', {
      slug: 'hostile_work',
      name: 'Work',
      aggregation: 'SUM',
      eventType: TYPE,
      valueProperty: '$.value',
      groupBy: { note: '$.note' },
    });
    await t.test('bad events are named one by one and cost nobody else anything', async () => {
      for (const [name, text, pointer] of rows) await rejectsOne(server, text, pointer, name);
      await runJob(server);
      const ask = { meter: 'hostile_work', from: NOW - 7_200_000, to: NOW };
      assert.equal(wholeSum(await usageRows(server, ask)), BigInt(good), 'every good neighbour counts once');
    });
    await t.test('a request that is wrong as a whole is a problem with its code', () => badRequests(server));
    await t.test('hostile names are names, in every field of every protocol', () => hostileEverywhere(server));
    await t.test('hostile texts in the data count, and stop nobody', () => hostileContent(server));
    await t.test('hostile names in every place of a question are an answer or a problem', () =>
      hostileQuestions(server),
    );
    await t.test('bad readings are named one by one, hostile names of counters are names', () => badReadings(server));
    await t.test('the server is ready after all that', async () => {
      const health = await call(server, 'GET', '/readyz');
      assert.equal(health.status, 200, health.text);
      await runJob(server);
    });
  }),
);

/** What is wrong with a request as a whole. */
const badRequests = async (server: Server): Promise<void> => {
  const send = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = { 'content-type': BATCH },
  ): Promise<Answer> => call(server, 'POST', '/api/v1/events', body, headers);
  isProblem(await send('[{"specversion": "1.0",'), 400, 'request.malformed_json');
  isProblem(await send('[NaN]'), 400, 'request.malformed_json');
  isProblem(
    await send(`[${JSON.stringify(event('x')).replace('"value":1', '"value":Infinity')}]`),
    400,
    'request.malformed_json',
  );
  isProblem(
    await send(`[${JSON.stringify(event('x')).replace('"value":1', '"value":01')}]`),
    400,
    'request.malformed_json',
  );
  isProblem(await send('<event/>', { 'content-type': 'application/xml' }), 415, 'request.content_type');
  isProblem(await send('[]', { 'content-type': BATCH, 'content-encoding': 'br' }), 415, 'request.content_encoding');
  isProblem(await send('not gzip', { 'content-type': BATCH, 'content-encoding': 'gzip' }), 400, 'request.bad_gzip');
  const bomb = Uint8Array.from(gzipSync(Buffer.alloc(64 << 20, 0x20)));
  isProblem(await send(bomb, { 'content-type': BATCH, 'content-encoding': 'gzip' }), 413, 'request.too_large');
  assert.match(await rawAnswer(server, (8 << 20) + 1), /^HTTP\/1\.1 413 [\s\S]*request\.too_large/);
  const many = `[${Array.from({ length: 10_001 }, () => '1').join()}]`;
  isProblem(await send(many), 413, 'request.too_many');
  isProblem(
    await call({ url: server.url, key: 'tg_nobody' }, 'POST', '/api/v1/events', '[]', { 'content-type': BATCH }),
    401,
    'auth.unknown_key',
  );
  const anonymous = await fetch(`${server.url}/api/v1/events`, {
    method: 'POST',
    body: '[]',
    headers: { 'content-type': BATCH },
  });
  assert.equal(anonymous.status, 401);
  await anonymous.arrayBuffer();
  isProblem(await call(server, 'GET', '/api/v1/nowhere'), 404, 'request.not_found');
  // A body of bytes that are not UTF-8.
  const latin = Uint8Array.from(Buffer.from(JSON.stringify([event('x')]).replace('good', 'g\xe9'), 'latin1'));
  assert.ok((await send(latin)).status >= 400);
};

/** Announces a body of this length and waits for the answer, which comes before the body is read. */
const rawAnswer = (server: Server, length: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    let answer = '';
    socket.on('data', (part) => {
      answer += part.toString();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.write(
      `POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: ${BATCH}\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`,
    );
    socket.write(' '.repeat(1000));
  });

const hostileNames = [
  `it's "quoted" \\ and \`ticked\``,
  `'; DROP TABLE event; --`,
  `\\'; SELECT 1; --`,
  `x\\nINSERT INTO reading FORMAT TSV`,
  '{"a":1}',
  '%00%0a%0d',
  '../../../etc/passwd',
  '<script>alert(1)</script>',
  'Ω≈ç√ 🦊 مرحبا',
  '\u202eright to left',
  '= 1+1',
  '\\N',
  'a\\tb',
];
/** Blank lines and control characters: fit for data, refused in attributes. */
const hostileData = [
  'a\n\nDROP TABLE event\n\n',
  '\n\n',
  'tab\tand\rreturn',
  '\0',
  '\u007f',
  '\\',
  '\\\n\\',
  ...hostileNames,
];

const hostileEverywhere = async (server: Server): Promise<void> => {
  const events = hostileNames.map((name, n) =>
    event(name, {
      id: `${name}#${n}`,
      subject: name,
      source: `app/hostile ${name}`,
      type: TYPE,
      data: { value: 2, note: name },
    }),
  );
  const outcome = await post<Outcome>(server, '/api/v1/events', events, BATCH);
  assert.equal(outcome.accepted, events.length, JSON.stringify(outcome));
  const again = await post<Outcome>(server, '/api/v1/events', events, BATCH);
  assert.deepEqual([again.accepted, again.duplicates], [0, events.length], 'the same names again are duplicates');

  const ask = { from: NOW - 7_200_000, to: NOW, meter: 'hostile_work' };
  await runJob(server);
  for (const name of hostileNames) {
    const rows = await usageRows(server, { ...ask, more: { resource: name } });
    assert.equal(wholeSum(rows), 2n, `usage of ${JSON.stringify(name)}`);
    assert.equal(rows[0]?.group.resource, name);
  }
};

const hostileContent = async (server: Server): Promise<void> => {
  const noted = hostileData.map((note, n) => event(`noted-${n}`, { subject: 'noted', data: { value: 3, note } }));
  assert.equal((await post<Outcome>(server, '/api/v1/events', noted, BATCH)).accepted, noted.length);
  const binary = await call(server, 'POST', '/api/v1/events', JSON.stringify({ value: 5, note: '\n\n' }, null, 2), {
    'content-type': JSON_TYPE,
    'ce-specversion': '1.0',
    'ce-id': 'binary-1',
    'ce-source': 'app/hostile',
    'ce-type': TYPE,
    'ce-subject': 'it%27s%20%22quoted%22%0a',
    'ce-time': iso(NOW - 3_600_000),
  });
  assert.ok(binary.status < 300 || (binary.json as { code?: string }).code !== 'server.internal', binary.text);

  await runJob(server);
  const ask = { from: NOW - 7_200_000, to: NOW, meter: 'hostile_work' };
  assert.equal(wholeSum(await usageRows(server, { ...ask, more: { resource: 'noted' } })), BigInt(noted.length * 3));
};

const hostileQuestions = async (server: Server): Promise<void> => {
  const ask = { from: NOW - 7_200_000, to: NOW };
  for (const name of [...hostileNames, '\n\n', '\0']) {
    for (const field of [
      'meter',
      'resource',
      'source',
      'account',
      'from',
      'cursor',
      'windowSize',
      'groupBy',
      'dimension',
      'zone',
      'format',
      'asOf',
    ]) {
      const query = new URLSearchParams({ meter: 'hostile_work', from: iso(ask.from), to: iso(ask.to), [field]: name });
      const answer = await call(server, 'GET', `/api/v1/usage?${query}`);
      assert.ok(answer.status < 500, `${field}=${JSON.stringify(name)}: ${answer.status} ${answer.text.slice(0, 300)}`);
    }
    const found = await call(server, 'GET', `/api/v1/meters/${encodeURIComponent(name)}/query`);
    assert.ok(found.status >= 400 && found.status < 500, `meter ${JSON.stringify(name)}: ${found.status}`);
  }
};

const badReadings = async (server: Server): Promise<void> => {
  const source = 'host/hostile';
  let sequence = 1;
  const send = async (readings: unknown[], series: unknown[]): Promise<Answer> => {
    const body = { source, run: 'r', sequence, sentAt: NOW, series, readings };
    const answer = await call(server, 'POST', '/api/v1/readings', JSON.stringify(body), { 'content-type': JSON_TYPE });
    if (answer.status < 300) sequence += readings.length;
    return answer;
  };
  const head = (resource: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    resource,
    meter: 'network.bytes.sent',
    epoch: 'boot',
    ...more,
  });
  const t = NOW - 3_600_000;
  const bad: [name: string, row: unknown][] = [
    ['2^64', [0, t, '18446744073709551616']],
    ['a negative value', [0, t, '-1']],
    ['a fraction', [0, t, '1.5']],
    ['a number that JSON cannot carry', [0, t, 2 ** 53 + 2]],
    ['hexadecimal', [0, t, '0x10']],
    ['an empty text', [0, t, '']],
    ['a series that is not there', [7, t, '5']],
    ['a row that is no list', 'x'],
    ['a row that is too long', [0, t, '5', 0, 0]],
  ];
  for (const [name, row] of bad) {
    const answer = await send([[0, t, '100'], row], [head('host/hostile/eth0')]);
    assert.ok(answer.status < 500, `${name}: ${answer.text.slice(0, 300)}`);
    if (answer.status >= 300) continue;
    const outcome = answer.json as Outcome;
    assert.equal(outcome.rejected, 1, `${name}: ${answer.text.slice(0, 500)}`);
    assert.equal(outcome.items.find((i) => i.outcome === 'rejected')?.position, 1, name);
  }
  const top = await send(
    [
      [0, t, '18446744073709551614'],
      [0, t + 60_000, '18446744073709551615'],
    ],
    [head('host/hostile/top')],
  );
  assert.equal((top.json as Outcome).accepted, 2, top.text);
  // Closed windows have them from the next run on; which of them are closed depends on the minute of the hour.
  await runJob(server);
  assert.equal(
    wholeSum(
      await usageRows(server, {
        meter: 'network.bytes.sent',
        from: t - 60_000,
        to: NOW,
        more: { resource: 'host/hostile/top' },
      }),
    ),
    1n,
  );

  for (const name of hostileNames) {
    const answer = await send(
      [
        [0, t, '5'],
        [0, t + 1000, '8'],
      ],
      [head(`nic ${name}`, { epoch: name, layer: name, dimensions: { [name]: name } })],
    );
    assert.ok(answer.status < 500, `${JSON.stringify(name)}: ${answer.status} ${answer.text.slice(0, 300)}`);
    if (answer.status >= 300 || (answer.json as Outcome).accepted !== 2) continue;
    assert.equal(
      wholeSum(
        await usageRows(server, {
          meter: 'network.bytes.sent',
          from: t - 60_000,
          to: NOW,
          more: { resource: `nic ${name}` },
        }),
      ),
      3n,
      name,
    );
  }
};
