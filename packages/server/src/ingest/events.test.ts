import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '../errors.ts';
import { event, NOW, World } from './testing/world.ts';

const run = (name: string, body: (w: World) => Promise<void>): void => {
  test(name, async () => {
    const w = await World.open();
    try {
      await body(w);
    } finally {
      await w.close();
    }
  });
};

/** One event, sent in a batch between two good ones, is rejected with this code at this pointer; the others count. */
const rejects = (name: string, bad: unknown, code: string, pointer: string): void =>
  run(`${name} is rejected with ${code}, and nothing else is lost`, async (w) => {
    const text = typeof bad === 'string' ? bad : JSON.stringify(bad);
    const answer = await w.sendText(`[${JSON.stringify(event())},${text},${JSON.stringify(event())}]`);
    assert.deepEqual(
      answer.items.map((i) => [i.position, i.outcome, i.code, i.pointer]),
      [[1, 'rejected', code, pointer]],
    );
    assert.equal(answer.accepted, 2);
    assert.equal(w.events.length, 2);
  });

run('an event is stored as it was sent, its numbers untouched', async (w) => {
  const data = '{"big":123456789012345678901234567890.000000000001,"e":1e400, "text":"\\u00e9\\n"}';
  const answer = await w.sendText(
    `{"specversion":"1.0","id":"a","source":"svc","type":"t","subject":"s","time":"2026-11-21T09:00:00.5+01:00","data":${data}}`,
  );
  assert.deepEqual(answer, {
    accepted: 1,
    duplicates: 0,
    conflicts: 0,
    rejected: 0,
    items: [],
    receipts: answer.receipts,
  });
  const [stored] = w.events;
  assert.equal(stored?.data, data);
  assert.equal(stored?.t, NOW - 5_399_500);
  assert.deepEqual([stored?.source, stored?.id, stored?.type, stored?.subject], ['svc', 'a', 't', 's']);
  assert.equal(stored?.receivedAt, NOW);
});

run('an event without a time gets the time of receipt, one without data and subject has none', async (w) => {
  await w.send({ specversion: '1.0', id: 'a', source: 'svc', type: 't', subject: null, data: null });
  const [stored] = w.events;
  assert.deepEqual([stored?.t, stored?.data, stored?.subject], [NOW, '', '']);
});

run('escapes in attributes are resolved, in names of attributes too', async (w) => {
  const answer = await w.sendText(
    '{"specversion":"1.0","\\u0069d":"\\u00e4\\"\\\\","source":"s\\/vc","type":"\\ud83d\\ude00","subject":"a\'; DROP TABLE event --"}',
  );
  assert.equal(answer.accepted, 1);
  const [stored] = w.events;
  assert.deepEqual(
    [stored?.id, stored?.source, stored?.type, stored?.subject],
    ['ä"\\', 's/vc', '😀', "a'; DROP TABLE event --"],
  );
});

rejects('a number in the place of an event', '17', 'event.not_object', '/1');
rejects('an event without specversion', event({ specversion: undefined }), 'event.missing_attribute', '/1/specversion');
rejects('an event of another version', event({ specversion: '0.3' }), 'event.spec_version', '/1/specversion');
rejects('an event without id', event({ id: undefined }), 'event.missing_attribute', '/1/id');
rejects('an event without source', event({ source: null }), 'event.missing_attribute', '/1/source');
rejects('an event without type', event({ type: undefined }), 'event.missing_attribute', '/1/type');
rejects('a number as id', event({ id: 5 }), 'event.bad_attribute', '/1/id');
rejects('an empty id', event({ id: '' }), 'event.bad_attribute', '/1/id');
rejects('an id of 513 bytes', event({ id: `${'é'.repeat(256)}x` }), 'event.bad_attribute', '/1/id');
rejects('a subject of a megabyte', event({ subject: 'x'.repeat(1 << 20) }), 'event.bad_attribute', '/1/subject');
rejects('a line break in a source', event({ source: 'a\n\nb' }), 'event.bad_attribute', '/1/source');
rejects('a NUL in a type', event({ type: 'a\u0000b' }), 'event.bad_attribute', '/1/type');
rejects('a C1 control character in a subject', event({ subject: 'a\u0085b' }), 'event.bad_attribute', '/1/subject');
rejects('half a surrogate pair in an id', event({ id: '\ud800' }), 'event.bad_attribute', '/1/id');
rejects('a noncharacter in an id', event({ id: '\ufffe' }), 'event.bad_attribute', '/1/id');
rejects(
  'an id that comes twice',
  '{"specversion":"1.0","id":"a","id":"b","source":"s","type":"t"}',
  'event.bad_attribute',
  '/1/id',
);
rejects(
  'an extension that comes twice',
  '{"specversion":"1.0","id":"a","x":1,"source":"s","x":2,"type":"t"}',
  'event.bad_attribute',
  '/1',
);
rejects('a time without zone', event({ time: '2026-11-21T09:00:00' }), 'event.bad_time', '/1/time');
rejects('a time as a number', event({ time: 1_795_253_400 }), 'event.bad_attribute', '/1/time');
rejects('a time in two days', event({ time: '2026-11-23T09:30:01Z' }), 'event.time_range', '/1/time');
rejects('a time 36 days ago', event({ time: '2026-10-16T09:00:00Z' }), 'event.too_old', '/1/time');
rejects('binary data', event({ data: undefined, data_base64: 'AAAA' }), 'event.bad_data', '/1/data_base64');
rejects(
  'a name twice in the data',
  '{"specversion":"1.0","id":"q","source":"s","type":"t","data":{"a":1,"a":2}}',
  'event.bad_data',
  '/1/data',
);
rejects('half a surrogate pair in the data', event({ data: { a: '\ud800x' } }), 'event.bad_data', '/1/data');
rejects('data of 257 KiB', event({ data: 'x'.repeat(257 * 1024) }), 'event.too_large', '/1/data');
rejects(
  'data nested 32 deep',
  `{"specversion":"1.0","id":"q","source":"s","type":"t","data":${'['.repeat(32)}${']'.repeat(32)}}`,
  'event.too_deep',
  '/1/data',
);

run('data nested 31 deep and a whole pair of surrogates are accepted', async (w) => {
  const answer = await w.sendText(
    `[${JSON.stringify(event({ data: '\ud83d\ude00' }))},{"specversion":"1.0","id":"q","source":"s","type":"t","data":${'['.repeat(31)}"\\ud83d\\ude00"${']'.repeat(31)}}]`,
  );
  assert.equal(answer.accepted, 2);
});

const refuses = (name: string, body: string | Buffer, code: string, position?: number): void =>
  run(`${name} is refused as a whole with ${code}`, async (w) => {
    await assert.rejects(
      w.ingest.acceptEvents(Buffer.from(body), 'batch', { tenant: '', mayspeak: () => true }),
      (e) => e instanceof Problem && e.code === code && e.extra.position === position,
    );
    assert.equal(w.events.length, 0);
  });
const good = JSON.stringify(event());
refuses('a body cut short', `[${good},{"id":`, 'request.malformed_json', good.length + 8);
refuses('NaN as a number', `[{"data":{"a":NaN}}]`, 'request.malformed_json', 14);
refuses('Infinity as a number', `{"data":-Infinity}`, 'request.malformed_json', 9);
refuses('an empty body', '', 'request.malformed_json', 0);
refuses('something behind the JSON', `${good} x`, 'request.malformed_json', good.length + 1);
refuses('bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22]), 'request.malformed_json', 2);
refuses('a million brackets', '['.repeat(1_000_000), 'request.malformed_json', 1_000_000);
refuses('a body over the bound', ' '.repeat(8 * 1024 * 1024 + 1), 'request.too_large', undefined);
refuses('10,001 events', `[${'1,'.repeat(10_000)}1]`, 'request.too_many', undefined);

run('events of the past are taken with a backfill set', async (w) => {
  const answer = await w.send(event({ time: '2020-01-01T00:00:00Z' }), { set: 'import-1' });
  assert.equal(answer.accepted, 1);
  assert.equal(w.events[0]?.set, 'import-1');
});

run('a source the key may not speak for is rejected by event', async (w) => {
  const answer = await w.send([event(), event({ source: 'other' }), event({ source: 'other' }), event()], {
    mayspeak: (source) => source === 'svc',
  });
  assert.deepEqual(
    answer.items.map((i) => [i.position, i.code, i.pointer]),
    [
      [1, 'source.forbidden', '/1/source'],
      [2, 'source.forbidden', '/2/source'],
    ],
  );
});

run('binary mode reads attributes from headers and data from the body', async (w) => {
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': 'a%20b%C3%A9%22',
    'ce-source': '/svc',
    'ce-type': 'request',
    'ce-time': '2026-11-21T09:00:00Z',
    'content-type': 'application/json; charset=utf-8',
  };
  const ctx = { tenant: '', mayspeak: () => true, headers };
  const answer = await w.ingest.acceptEvents(Buffer.from(' {"bytes": 1} '), 'binary', ctx);
  assert.equal(answer.accepted, 1);
  const [stored] = w.events;
  assert.deepEqual([stored?.id, stored?.source, stored?.data], ['a bé"', '/svc', '{"bytes": 1}']);
  const bad = { ...ctx, headers: { ...headers, 'ce-id': 'b', 'content-type': 'text/plain' } };
  const refused = await w.ingest.acceptEvents(Buffer.from('x'), 'binary', bad);
  assert.deepEqual([refused.items[0]?.code, refused.items[0]?.pointer], ['event.bad_data', '/data']);
  await assert.rejects(
    w.ingest.acceptEvents(Buffer.from('{"a":'), 'binary', ctx),
    (e) => e instanceof Problem && e.code === 'request.malformed_json' && e.extra.position === 5,
  );
});

const bytes = (change: object) => ({
  kind: 'meter' as const,
  meter: {
    key: 'bytes',
    version: 1,
    name: 'bytes',
    kind: 'delta' as const,
    eventType: 'request',
    aggregation: 'sum' as const,
    valuePath: '$.usage.bytes',
    epochPath: '',
    startPath: '',
    groupBy: {},
    filters: [],
    unit: 'By',
    validFor: 0,
    rank: 0,
    of: [],
    direction: 'max-of-percentiles' as const,
    billable: true,
    deleted: false,
    ...change,
  },
});
const me = { tenant: '', author: 'system', reason: 'test' };

const metered = (value: string, code: string | null): void =>
  run(
    `a metered value of ${value.slice(0, 40)} is ${code === null ? 'accepted' : `rejected with ${code}`}`,
    async (w) => {
      await w.log.append([bytes({})], me);
      const answer = await w.sendText(
        `{"specversion":"1.0","id":"a","source":"s","type":"request","data":{"x":[{"usage":0}],"usage":${value}}}`,
      );
      assert.deepEqual(
        answer.items.map((i) => [i.code, i.pointer]),
        code === null ? [] : [[code, '/data/usage/bytes']],
      );
    },
  );
metered('{"bytes":1}', null);
metered('{"bytes":"12.5"}', null);
metered('{"bytes":-99999999999999999999999999.999999999999}', null);
metered('{"bytes":1e25}', null);
metered('{"bytes":100000000000000000000000000}', 'event.number');
metered('{"bytes":1e26}', 'event.number');
metered('{"bytes":0.0000000000001}', 'event.number');
metered('{"bytes":"NaN"}', 'event.bad_data');
metered('{"bytes":true}', 'event.bad_data');
metered('{"bytes":[1]}', 'event.bad_data');
metered('{"bytes":null}', 'event.bad_data');
metered('{}', 'event.bad_data');
metered('7', 'event.bad_data');

run('an event that a filter keeps from its meter needs no value', async (w) => {
  await w.log.append([bytes({ filters: [{ path: '$.region', in: ['us'] }] })], me);
  assert.equal((await w.send(event())).accepted, 1);
  assert.equal((await w.send(event({ data: { region: 'us' } }))).rejected, 1);
});

run('an event of a cumulative type is stored as event and as reading with one receipt', async (w) => {
  const data = { value: '18446744073709551615', epoch: 'boot-1', start: '2026-11-21T08:00:00Z' };
  const answer = await w.send([
    event({ type: 'network.bytes.sent', subject: 'nic-1', data }),
    event({ type: 'network.bytes.sent', subject: 'nic-1', data: { value: '18446744073709551616' } }),
    event({ type: 'network.bytes.sent', subject: undefined, data }),
  ]);
  assert.deepEqual(
    answer.items.map((i) => [i.code, i.pointer]),
    [
      ['event.bad_data', '/1/data/value'],
      ['event.missing_attribute', '/2/subject'],
    ],
  );
  const [reading] = w.readings;
  assert.equal(reading?.value, 18446744073709551615n);
  assert.equal(reading?.receipt, w.events[0]?.receipt);
  assert.equal(reading?.start, NOW - 5_400_000);
  const [series] = w.registry.all();
  assert.deepEqual([series?.resource, series?.meter, series?.source], ['nic-1', 'network.bytes.sent', 'svc']);
});
