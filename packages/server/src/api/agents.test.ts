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

test('what an agent of the installation says of a resource that is known takes the place of what it said before', async (t) => {
  const api = await openApi(t);
  const key = await api.key(null, ['ingest'], ['host-1']);
  const { book } = api.context.log;
  const of = () => {
    const { trafficType, tag, billable } = book.resource('', 'host-1/nic') ?? {};
    return [trafficType, tag, billable];
  };
  const facts = async () =>
    (await api.context.control.facts(0, 1000, {})).filter((f) => f.body.kind === 'resource').length;
  await say(api, key, [{ id: 'host-1/nic', trafficType: 'guest', tag: 'vlan:7' }]);
  assert.deepEqual(of(), ['guest', 'vlan:7', null]);
  await say(api, key, [{ id: 'host-1/nic', trafficType: 'public', tag: 'vlan:8' }], 3);
  assert.deepEqual(of(), ['public', 'vlan:8', null]);
  const before = await facts();
  await say(api, key, [{ id: 'host-1/nic', trafficType: 'public', tag: 'vlan:8' }], 5);
  await say(api, key, [{ id: 'host-1/nic', tag: 'vlan:8' }], 7);
  assert.equal(await facts(), before, 'what is known is not recorded again');
});

test('a tenant’s agent says what a resource is once: nothing it says later of a known one makes a fact', async (t) => {
  const api = await openApi(t);
  await api.account('ada');
  const key = await api.key('ada', ['ingest'], ['host-1']);
  const { book } = api.context.log;
  const told = () => {
    const { trafficType, tag, billable, name } = book.resource('ada', 'host-1/nic') ?? {};
    return [trafficType, tag, billable, name];
  };
  await say(api, key, [{ id: 'host-1/nic', name: 'eth0', tag: 'vlan:7' }]);
  assert.deepEqual(told(), [null, 'vlan:7', null, 'eth0']);
  const facts = async () => (await api.context.control.facts(0, 1000, {})).length;
  const before = await facts();
  for (let i = 1; i <= 3; i++)
    await say(api, key, [{ id: 'host-1/nic', name: `eth${i}`, tag: `vlan:${i}`, billable: i % 2 === 0 }], 1 + 2 * i);
  assert.deepEqual(told(), [null, 'vlan:7', null, 'eth0']);
  assert.equal(await facts(), before);
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

const iso = (at: number): string => new Date(at).toISOString();
const report = (api: TestApi, key: string, body: object, source = 'shop') =>
  api.call(key, 'POST', `/api/v1/sources/${source}/report`, { body });
const factsOf = async (api: TestApi) => await api.context.control.facts(0, 1000, {});

test('all intervals of a report are recorded together, each once, however often they are named', async (t) => {
  const api = await openApi(t);
  const key = await api.key(null, ['ingest'], ['shop']);
  const at = (minute: number) => ({ from: iso(FROM + minute * MINUTE), to: iso(FROM + (minute + 1) * MINUTE) });
  let appends = 0;
  const { append } = api.context.log;
  api.context.log.append = (...args) => {
    appends++;
    return append.apply(api.context.log, args);
  };
  const first = await report(api, key, { lost: [{ ...at(0), records: 3 }, at(1), at(0)] });
  assert.deepEqual([first.status, first.body.lostMs, appends], [200, 2 * MINUTE, 1], first.text);
  const second = await report(api, key, { lost: [at(1), at(2)] });
  assert.deepEqual([second.body.lostMs, appends], [3 * MINUTE, 2]);
  await report(api, key, { lost: [at(0), at(2)] });
  assert.equal(appends, 2, 'what is known is not written');
  const lost = (await factsOf(api)).filter((f) => f.body.kind === 'unobserved');
  assert.deepEqual(
    lost.map((f) => f.reason),
    ['lost, 3 records', 'lost', 'lost'],
  );
});

const refusesLost = (name: string, lost: object[], pointer: string): void => {
  test(`a report with ${name} is refused, and nothing of it is recorded`, async (t) => {
    const api = await openApi(t);
    const key = await api.key(null, ['ingest'], ['shop']);
    const before = (await factsOf(api)).length;
    const good = { from: iso(FROM), to: iso(FROM + MINUTE) };
    const answer = await report(api, key, { spoolDepth: 3, lost: [good, ...lost] });
    assert.deepEqual([answer.status, answer.body.code, answer.body.pointer], [400, 'request.invalid', pointer]);
    assert.equal((await factsOf(api)).length, before);
    const ahead = { from: iso(FROM), to: iso(START + 60_000) };
    assert.equal((await report(api, key, { lost: [ahead] })).status, 200, 'the clock of a sender may be off a little');
  });
};
refusesLost('an interval that ends in the future', [{ from: iso(FROM), to: iso(START + 60_001) }], '/lost/1/to');
refusesLost('an interval that ends where it begins', [{ from: iso(FROM), to: iso(FROM) }], '/lost/1');

test('of more sources than are kept, the depth of the one that has been silent for longest is forgotten', async (t) => {
  const api = await openApi(t);
  const key = await api.key(null, ['ingest']);
  const { spools } = api.context;
  const depthOf = (source: string) => spools.get(JSON.stringify(['', source]));
  await report(api, key, { spoolDepth: 1 }, 'first');
  await report(api, key, { spoolDepth: 2 }, 'second');
  while (spools.size < 100_000) spools.set(`other-${spools.size}`, 0);
  await report(api, key, { spoolDepth: 3 }, 'first');
  await report(api, key, { spoolDepth: 4 }, 'third');
  assert.deepEqual([spools.size, depthOf('first'), depthOf('second'), depthOf('third')], [100_000, 3, undefined, 4]);
});
