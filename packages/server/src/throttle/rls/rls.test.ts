/** Envoy's protocol over a real socket, spoken by a gRPC client, and its JSON twin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, credentials, type GrpcObject, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { RlsError } from './call.ts';
import { requestFromJson, responseToJson } from './json.ts';
import { packages, RATE_LIMIT_SERVICE } from './schema.ts';
import { openRls } from './service.ts';
import { entry, world } from './testing/rls-world.ts';

interface Status {
  code: string;
  currentLimit?: { requestsPerUnit: number; unit: string; name: string } | null;
  limitRemaining?: number;
}
interface Response {
  overallCode: string;
  statuses: Status[];
  responseHeadersToAdd?: { key: string; value: string }[];
  rawBody?: Buffer;
  dynamicMetadata?: { fields: Record<string, { stringValue?: string }> } | null;
}
type Call = (request: object) => Promise<Response>;

async function grpc(t: { after(fn: () => Promise<void>): void }): Promise<{ call: Call; clock: { at: number } }> {
  const { clock, limits } = world();
  const server = await openRls({
    host: '127.0.0.1',
    port: 0,
    answer: (request) => limits.answer(request),
    isServing: () => true,
    log: { error: () => undefined },
  });
  const loaded = RATE_LIMIT_SERVICE.split('.').reduce<GrpcObject>(
    (at, name) => at[name] as GrpcObject,
    loadPackageDefinition(packages()),
  ) as unknown as new (
    address: string,
    channel: ReturnType<typeof credentials.createInsecure>,
  ) => Client;
  const client = new loaded(`127.0.0.1:${server.port}`, credentials.createInsecure());
  t.after(async () => {
    client.close();
    await server.close();
  });
  const should = (client as unknown as Record<string, (r: object, done: (e: unknown, r: Response) => void) => void>)
    .ShouldRateLimit as (r: object, done: (e: unknown, r: Response) => void) => void;
  const call: Call = (request) =>
    new Promise((resolve, reject) => {
      should.call(client, request, (error, response) => (error == null ? resolve(response) : reject(error)));
    });
  return { call, clock };
}

const descriptor = (text: string, hits?: number) => ({
  entries: text.split(' ').map(entry),
  ...(hits === undefined ? {} : { hitsAddend: { value: String(hits) } }),
});
const ask = (...descriptors: (string | [string, number])[]) => ({
  domain: 'shop',
  descriptors: descriptors.map((d) => (typeof d === 'string' ? descriptor(d) : descriptor(...d))),
});
/** `OK: OK 2/3 MINUTE per-user` : overall, then per descriptor code, remaining of limit, unit and name. */
const told = ({ overallCode, statuses }: Response): string =>
  [
    `${overallCode}:`,
    ...statuses.map(({ code, currentLimit, limitRemaining = 0 }) =>
      currentLimit == null
        ? `${code} ${limitRemaining}`
        : `${code} ${limitRemaining}/${currentLimit.requestsPerUnit} ${currentLimit.unit} ${currentLimit.name}`,
    ),
  ].join(' ');

test('calls are counted by rule and refused beyond it; the window begins anew', async (t) => {
  const { call, clock } = await grpc(t);
  assert.equal(told(await call(ask('user=a'))), 'OK: OK 2/3 MINUTE per-user');
  assert.equal(told(await call({ ...ask('user=a'), hitsAddend: 2 })), 'OK: OK 0/3 MINUTE per-user');
  const refused = await call(ask('user=a'));
  assert.equal(told(refused), 'OVER_LIMIT: OVER_LIMIT 0/3 MINUTE per-user');
  const headers = Object.fromEntries((refused.responseHeadersToAdd ?? []).map(({ key, value }) => [key, value]));
  assert.equal(headers['ratelimit-policy'], '"shop.user";q=3;w=60');
  assert.equal(headers.ratelimit, '"shop.user";r=0;t=60');
  assert.equal(headers['retry-after'], '60');
  assert.equal(JSON.parse(String(refused.rawBody)).code, 'limit.reached');
  assert.equal(refused.dynamicMetadata?.fields.limit?.stringValue, 'shop.user');
  assert.equal(told(await call(ask('user=b'))), 'OK: OK 2/3 MINUTE per-user');
  clock.at += 60_000;
  assert.equal(told(await call(ask('user=a'))), 'OK: OK 2/3 MINUTE per-user');
});

test('a refused call counts for none of its descriptors', async (t) => {
  const { call } = await grpc(t);
  await call(ask(['user=a', 3]));
  assert.equal(
    told(await call(ask('tenant=t', 'user=a'))),
    'OVER_LIMIT: OK 5/5 HOUR shop.tenant OVER_LIMIT 0/3 MINUTE per-user',
  );
  assert.equal(told(await call(ask('tenant=t', 'user=b'))), 'OK: OK 4/5 HOUR shop.tenant OK 2/3 MINUTE per-user');
});

test('a descriptor has a cost of its own, and 0 of its own asks without counting', async (t) => {
  const { call } = await grpc(t);
  assert.equal(
    told(await call({ ...ask(['user=a', 0], ['tenant=t', 4]), hitsAddend: 9 })),
    'OK: OK 3/3 MINUTE per-user OK 1/5 HOUR shop.tenant',
  );
});

test('there are always as many statuses as descriptors: unlimited, unknown and replaced ones too', async (t) => {
  const { call } = await grpc(t);
  await call(ask(['user=a', 3]));
  assert.equal(told(await call(ask('user=a', 'free=yes', 'nobody=knows'))), 'OK: OK 0 OK 4294967295 OK 0');
});

test('a rule in shadow never refuses, and says that it would have', async (t) => {
  const { call } = await grpc(t);
  await call(ask('trial=x'));
  const response = await call(ask('trial=x'));
  assert.equal(response.overallCode, 'OK');
  assert.deepEqual(Object.keys(response.dynamicMetadata?.fields ?? {}), ['shadowed']);
});

test('rules in quota mode refuse when all of them are over', async (t) => {
  const { call } = await grpc(t);
  assert.equal((await call(ask(['qa=1', 2], ['qb=1', 2]))).overallCode, 'OK');
  assert.equal((await call(ask('qa=1', 'qb=1'))).overallCode, 'OK');
  assert.equal((await call(ask('qa=1', 'qb=1'))).overallCode, 'OK');
  assert.equal((await call(ask('qa=1', 'qb=1'))).overallCode, 'OVER_LIMIT');
});

test('a limit that the caller brings takes the place of the configured one', async (t) => {
  const { call } = await grpc(t);
  const own = {
    domain: 'shop',
    descriptors: [{ ...descriptor('user=a'), limit: { requestsPerUnit: 1, unit: 'HOUR' } }],
  };
  assert.equal(told(await call(own)), 'OK: OK 0/1 HOUR per-user');
  assert.equal((await call(own)).overallCode, 'OVER_LIMIT');
  assert.equal(told(await call(ask('user=a'))), 'OK: OK 2/3 MINUTE per-user');
});

test("an account's own limits and blocks answer through the same protocol", async (t) => {
  const { call } = await grpc(t);
  const of = (text: string) => ({ domain: 'tollgate', descriptors: [descriptor(text)] });
  for (let left = 3; left >= 0; left--)
    assert.equal(told(await call(of('account=acme action=call'))), `OK: OK ${left}/4 MONTH calls`);
  const refused = await call(of('account=acme action=call'));
  assert.equal(refused.overallCode, 'OVER_LIMIT');
  assert.equal(JSON.parse(String(refused.rawBody)).upgrade, 'https://example.test/up');
  const blocked = await call(of('account=acme action=login'));
  assert.equal(told(blocked), 'OVER_LIMIT: OVER_LIMIT 0');
  assert.equal(JSON.parse(String(blocked.rawBody)).detail, 'Please call us.');
});

test('what cannot be answered is an invalid argument that says why', async (t) => {
  const { call } = await grpc(t);
  const check = (request: object, details: RegExp): Promise<void> =>
    assert.rejects(call(request), (error: ServiceError) => error.code === 3 && details.test(error.details));
  await check({ domain: '', descriptors: [descriptor('a=b')] }, /domain must not be empty/);
  await check({ domain: 'shop', descriptors: [] }, /descriptors must not be empty/);
  await check({ domain: 'shop', descriptors: [{ entries: [] }] }, /descriptors\[0\]\.entries must not be empty/);
  await check(
    { domain: 'shop', descriptors: [{ ...descriptor('user=a'), hitsAddend: { value: '9007199254740993' } }] },
    /hits_addend must be a whole number/,
  );
  await check({ domain: 'tollgate', descriptors: [descriptor('action=x')] }, /needs an entry `account`/);
});

test('the JSON twin reads both spellings of a name and writes what proto3 writes', async () => {
  const { limits } = world();
  const read = requestFromJson({
    domain: 'shop',
    descriptors: [{ entries: [{ key: 'user', value: 'a' }], hits_addend: '2' }],
    hitsAddend: 1,
  });
  const { responseHeadersToAdd, ...json } = responseToJson(await limits.answer(read));
  assert.deepEqual(json, {
    overallCode: 'OK',
    statuses: [
      {
        code: 'OK',
        currentLimit: { requestsPerUnit: 3, unit: 'MINUTE', name: 'per-user' },
        limitRemaining: 1,
        durationUntilReset: '60s',
      },
    ],
  });
});

test('JSON that is no request is refused by the path of its field', () => {
  const check = (body: unknown, expected: string): void =>
    assert.throws(() => requestFromJson(body), new RlsError(expected));
  check([], 'body must be an object');
  check({ domain: 1 }, 'domain must be a text');
  check(
    { domain: 'a', descriptors: [{ entries: [{ key: 'k', wert: 'x' }] }] },
    'descriptors[0].entries[0] has no field "wert": key, value',
  );
  check(
    { domain: 'a', descriptors: [{ hitsAddend: 2 ** 53 }] },
    'descriptors[0].hitsAddend must be a whole number below 18446744073709551616, as a number or (from 2^53) as text',
  );
  check(
    { domain: 'a', descriptors: [{ limit: { unit: 'WEEK' } }] },
    'descriptors[0].limit.unit must be one of UNKNOWN, SECOND, MINUTE, HOUR, DAY, MONTH, YEAR',
  );
});
