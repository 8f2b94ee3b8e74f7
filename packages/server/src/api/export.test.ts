/** The file of facts a tenant gets: replay gives its own records from it, and it tells of nobody else (law 11). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReplayedRecord, replay } from '../usage/index.ts';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const HOUR = 60 * MINUTE;
const FROM = START - 4 * HOUR;
const span = `from=${new Date(FROM).toISOString()}&to=${new Date(START).toISOString()}`;

async function* linesOf(text: string): AsyncIterable<string> {
  yield* text.split('\n');
}
const exported = async (api: TestApi, key: string, more = ''): Promise<string> => {
  const answer = await api.call(key, 'GET', `/api/v1/export?${span}${more}`);
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  return answer.text;
};
const factsOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; series?: number; t?: number; body?: { kind: string } });

/** Records as the account's own, with the ids of what they are of. */
const recordsOf = async (text: string, account: string): Promise<ReplayedRecord[]> =>
  (await replay(linesOf(text))).filter((r) => r.account === account);

const meters = [
  { key: 'calls', eventType: 'call', aggregation: 'sum', valueProperty: '$.n' },
  { key: 'disk', eventType: 'resize', kind: 'gauge', valuePath: '$.gb' },
];
let ids = 0;
const event = (type: string, subject: string, t: number, data: unknown) => ({
  specversion: '1.0',
  id: `e${ids++}`,
  source: type === 'call' ? 'shop' : 'cloud',
  type,
  subject,
  time: new Date(t).toISOString(),
  data,
});

/** A NIC and a volume measured by the installation go from zebra to mine to zebra; zebra has more that is nobody's business. */
const handedOver = async (api: TestApi) => {
  await api.append({
    kind: 'account',
    id: 'boss-zebra',
    parent: null,
    name: 'z',
    zone: 'UTC',
    currency: 'EUR',
    state: 'active',
  });
  await api.account('mine', 'boss-zebra');
  await api.account('below-mine', 'mine');
  await api.account('zebra');
  for (const body of meters) {
    const made = await api.call(api.admin, 'POST', '/api/v1/meters', { body });
    assert.equal(made.status, 201, made.text);
  }
  const [got, gone] = [START - 3 * HOUR + 4 * MINUTE, START - HOUR - 7 * MINUTE];
  for (const resource of ['nic', 'volume'])
    await api.append(
      { kind: 'owner', resource, account: 'zebra', from: 0 },
      { kind: 'owner', resource, account: 'mine', from: got },
      { kind: 'owner', resource, account: 'zebra', from: gone },
    );
  await api.append({ kind: 'owner', resource: 'nic-zebra', account: 'zebra', from: 0 });
  const rows = Array.from({ length: 241 }, (_, i) => [FROM + i * MINUTE, i * i * 1000] as const);
  await api.readings(api.admin, 'rack', 'nic', rows);
  await api.readings(api.admin, 'rack-zebra', 'nic-zebra', rows);
  const mine = await api.key('mine', ['ingest', 'read']);
  const zebra = await api.key('zebra', ['ingest', 'read', 'admin']);
  const child = await api.key('below-mine', ['ingest']);
  await api.readings(child, 'own-host', 'own-nic', rows);
  const send = async (key: string, ...events: unknown[]) => {
    const raw = { body: JSON.stringify(events), type: 'application/cloudevents-batch+json' };
    const sent = await api.call(key, 'POST', '/api/v1/events', { raw });
    assert.equal(sent.body.accepted, events.length, sent.text);
  };
  await send(mine, event('call', 'app', FROM + MINUTE, { n: 7 }), event('call', 'app', START - MINUTE, { n: '0.25' }));
  await send(zebra, event('call', 'zebra-app', FROM + MINUTE, { n: 11 }));
  await send(
    api.admin,
    event('resize', 'volume', FROM - 10 * 24 * HOUR, { gb: 5, note: 'zebra first' }),
    event('resize', 'volume', FROM + MINUTE, { gb: 10 }),
    event('resize', 'volume', got + HOUR, { gb: 20 }),
    event('resize', 'volume', gone + HOUR / 2, { gb: 40, note: 'zebra again' }),
  );
  return { mine, zebra, got, gone };
};

test('law 11: a tenant’s file gives the records the whole file gives of it, and names nobody else', async (t) => {
  const api = await openApi(t);
  const { mine, got, gone } = await handedOver(api);
  const [own, whole] = [await exported(api, mine), await exported(api, api.admin)];
  assert.doesNotMatch(own, /zebra/);
  assert.match(whole, /zebra/);
  for (const account of ['mine', 'below-mine']) {
    const records = await recordsOf(own, account);
    assert.ok(records.length > 5, `${account} has records`);
    assert.deepEqual(records, await recordsOf(whole, account));
  }
  assert.deepEqual([...new Set((await replay(linesOf(own))).map((r) => r.account))].sort(), ['below-mine', 'mine']);
  const meters = new Set((await recordsOf(own, 'mine')).map((r) => r.meter));
  assert.deepEqual([...meters].sort(), ['calls', 'disk', 'network.bytes.received']);
  // One reading beyond either edge: with it the edge is measured.
  const nic = factsOf(own)
    .filter((f) => f.kind === 'series')
    .find((f) => JSON.stringify(f).includes('"nic"')) as unknown as { id: number };
  const times = factsOf(own).flatMap((f) => (f.kind === 'reading' && f.series === nic.id ? [f.t ?? 0] : []));
  assert.ok(Math.min(...times) > got - MINUTE - 1 && Math.max(...times) < gone + MINUTE + 1);
  const kinds = new Set(factsOf(own).map((f) => f.body?.kind));
  assert.ok(!kinds.has('key') && !kinds.has('void') && kinds.has('owner') && kinds.has('meter'));
});

test('law 11: the figures of a tenant’s file are those the server answers it', async (t) => {
  const api = await openApi(t);
  const { mine } = await handedOver(api);
  const { body } = await api.call(mine, 'GET', `/api/v1/usage?${span}&groupBy=resource&meter=network.bytes.received`);
  const sums = new Map<string, bigint>();
  for (const r of await replay(linesOf(await exported(api, mine))))
    if (r.meter === 'network.bytes.received') sums.set(r.resource, (sums.get(r.resource) ?? 0n) + BigInt(r.quantity));
  assert.deepEqual(
    body.items.map((i: { group: { resource: string }; quantity: string }) => [i.group.resource, i.quantity]),
    [...sums].map(([resource, sum]) => [resource, String(sum)]).sort(),
  );
});

test('law 11: what was handed to a tenant by another tenant’s key is told without the other’s name', async (t) => {
  const api = await openApi(t);
  const { mine, zebra } = await handedOver(api);
  await api.readings(zebra, 'sensor', 'lent', [
    [FROM - MINUTE, 0],
    [FROM + 2 * HOUR, 1000],
    [START, 5000],
  ]);
  await api.appendFor('zebra', { kind: 'owner', resource: 'lent', account: 'mine', from: FROM + 2 * HOUR });
  const own = await exported(api, mine);
  assert.doesNotMatch(own, /zebra/);
  const lent = (text: string) => recordsOf(text, 'mine').then((list) => list.filter((r) => r.resource === 'lent'));
  assert.equal(
    (await lent(own)).reduce((sum, r) => sum + Number(r.quantity), 0),
    4000,
  );
  assert.deepEqual(await lent(own), await lent(await exported(api, api.admin)));
});

test('what is void or undone is not in a tenant’s file, and a filter narrows it', async (t) => {
  const api = await openApi(t);
  const { mine } = await handedOver(api);
  const before = await recordsOf(await exported(api, mine), 'mine');
  const { body } = await api.call(mine, 'GET', '/api/v1/events?type=call');
  const { id } = body.find((e: { event: { data: { n: unknown } } }) => e.event.data.n === 7).event;
  const voided = await api.call(api.admin, 'POST', '/api/v1/corrections/void', {
    body: { tenant: 'mine', source: 'shop', id, reason: 'sent by mistake, says zebra' },
  });
  assert.equal(voided.status, 200, voided.text);
  const file = await exported(api, mine);
  assert.doesNotMatch(file, /zebra|"n":7/);
  const after = await recordsOf(file, 'mine');
  assert.deepEqual(after, await recordsOf(await exported(api, api.admin), 'mine'));
  assert.equal(after.length, before.length - 1);
  const narrow = await replay(linesOf(await exported(api, mine, '&account=below-mine')));
  assert.deepEqual([...new Set(narrow.map((r) => r.account))], ['below-mine']);
  assert.deepEqual(await replay(linesOf(await exported(api, mine, '&account=zebra'))), []);
});
