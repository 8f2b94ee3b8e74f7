/** What agents say besides their measurements: whose resources are, and what they lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const FROM = START - 60 * MINUTE;

const say = (api: TestApi, key: string, resources: unknown[], sequence = 1) =>
  api.call(key, 'POST', '/api/v1/readings', {
    body: {
      source: 'host-1',
      run: 'r',
      sequence,
      sentAt: api.clock.at,
      completeThrough: START,
      series: [{ resource: 'host-1/nic', meter: 'network.bytes.sent', epoch: 'e', period: 60_000 }],
      readings: [
        [0, FROM + sequence * MINUTE, String(sequence * 1000)],
        [0, FROM + (sequence + 30) * MINUTE, String(sequence * 1000 + 600)],
      ],
      resources,
    },
  });

const hint = (owners: unknown, more: object = {}) => [{ id: 'host-1/nic', name: 'vnet0', owners, ...more }];

test('an agent of the installation says whose a resource is from when, once, and not against what is known', async (t) => {
  const api = await openApi(t);
  await api.account('ada');
  await api.account('bob');
  const key = await api.key(null, ['ingest'], ['host-1']);
  const owners = [
    { account: 'ada', from: FROM },
    { account: 'bob', from: FROM + 20 * MINUTE },
    { account: 'nobody-yet', from: FROM + 40 * MINUTE },
  ];
  assert.equal(
    (await say(api, key, hint(owners, { trafficType: 'guest', tag: 'vni:5001', billable: false }))).status,
    200,
  );
  const { book } = api.context.log;
  const at = [0, 19, 20, 59].map((m) => book.ownerAt('', 'host-1/nic', FROM + m * MINUTE));
  assert.deepEqual(at, ['ada', 'ada', 'bob', 'bob']);
  const { trafficType, tag, billable, name } = book.resource('', 'host-1/nic') ?? {};
  assert.deepEqual(
    { trafficType, tag, billable, name },
    { trafficType: 'guest', tag: 'vni:5001', billable: false, name: 'vnet0' },
  );
  const before = (await api.call(api.admin, 'GET', '/api/v1/audit')).body.items.length;
  assert.equal((await say(api, key, hint(owners), 3)).status, 200);
  const after = (await api.call(api.admin, 'GET', '/api/v1/audit')).body.items.length;
  assert.equal(after, before, 'what is known is not recorded again');
  await api.account('nobody-yet');
  await say(api, key, hint(owners), 5);
  assert.equal(book.ownerAt('', 'host-1/nic', START), 'nobody-yet');
});

test('an owner’s first instant that is corrected leaves nothing between the entries', async (t) => {
  const api = await openApi(t);
  await api.account('ada');
  const key = await api.key(null, ['ingest'], ['host-1']);
  await say(api, key, hint([{ account: 'ada', from: 0 }]));
  const corrected = [
    { account: null, from: 0 },
    { account: 'ada', from: FROM },
  ];
  await say(api, key, hint(corrected), 3);
  const { book } = api.context.log;
  assert.deepEqual([book.ownerAt('', 'host-1/nic', FROM - 1), book.ownerAt('', 'host-1/nic', FROM)], [null, 'ada']);
});

test('a tenant’s agent names its resources, but cannot give them away or take them off the bill', async (t) => {
  const api = await openApi(t);
  await api.account('ada');
  await api.account('bob');
  const key = await api.key('ada', ['ingest'], ['host-1']);
  const answer = await say(
    api,
    key,
    hint([{ account: 'bob', from: FROM }], { trafficType: 'management', billable: false }),
  );
  assert.equal(answer.status, 200);
  const { book } = api.context.log;
  assert.equal(book.ownerAt('ada', 'host-1/nic', START), 'ada');
  const { trafficType, billable, name } = book.resource('ada', 'host-1/nic') ?? {};
  assert.deepEqual({ trafficType, billable, name }, { trafficType: null, billable: null, name: 'vnet0' });
});

test('what an agent says it lost is unobserved in the records of its events, also of closed windows, and said once', async (t) => {
  const api = await openApi(t);
  await api.account('ada');
  const key = await api.key('ada', ['ingest', 'read'], ['shop']);
  const made = await api.call(api.admin, 'POST', '/api/v1/meters', {
    body: { key: 'calls', eventType: 'calls', aggregation: 'sum', valueProperty: '$.value' },
  });
  assert.equal(made.status, 201, made.text);
  const event = (n: number) => ({
    specversion: '1.0',
    id: `e${n}`,
    source: 'shop',
    type: 'calls',
    subject: 'ada',
    time: new Date(FROM + n * 10 * MINUTE).toISOString(),
    data: { value: '5' },
  });
  const sent = await api.call(key, 'POST', '/api/v1/events', {
    raw: { body: JSON.stringify([0, 1, 2, 3].map(event)), type: 'application/cloudevents-batch+json' },
    headers: {
      'tollgate-run': 'r',
      'tollgate-sequence': '1',
      'tollgate-source': 'shop',
      'tollgate-complete-through': String(START),
      'tollgate-sent-at': String(START),
    },
  });
  assert.equal(sent.status, 200, sent.text);
  api.clock.at = START + 5 * MINUTE;
  const states = async () => {
    await api.context.usage.job.run();
    const url = `/api/v1/usage?meter=calls&from=${new Date(FROM).toISOString()}&to=${new Date(START).toISOString()}&windowSize=window`;
    const { body } = await api.call(key, 'GET', url);
    return body.items.map((r: { state: string; quantity: string }) => `${r.quantity} ${r.state}`);
  };
  assert.deepEqual(await states(), ['10 known', '5 known', '5 known']);
  const lost = [
    { from: new Date(FROM + 16 * MINUTE).toISOString(), to: new Date(FROM + 17 * MINUTE).toISOString(), records: 7 },
  ];
  for (let again = 0; again < 2; again++) {
    const told = await api.call(key, 'POST', '/api/v1/sources/shop/report', { body: { spoolDepth: 12, lost } });
    assert.equal(told.status, 200, told.text);
    assert.deepEqual([told.body.spoolDepth, told.body.lostMs], [12, MINUTE]);
  }
  assert.deepEqual(await states(), ['10 known', '5 unobserved', '5 known']);
  const foreign = await api.call(await api.key('ada', ['ingest'], ['other']), 'POST', '/api/v1/sources/shop/report', {
    body: {},
  });
  assert.equal(foreign.body.code, 'auth.source');
});
