/** Proofs from the command line, through the API, on the model stores. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { START } from '../api/testing/api.ts';
import { openCli } from './testing/terminal.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const PLAN = `plans:
  - key: basic
    billing:
      currency: EUR
      period: month
      anchor: calendar
      prices:
        - {key: base, name: Base, fee: 49, term: arrears}
        - {key: received, name: Received, meter: network.bytes.received, per: kB, included: 1, unit: 0.5}
`;

/** An account with a plan since the 21st of November and 5 kB; the clock stands in December. */
const billed = async (t: TestContext) => {
  const cli = await openCli(t);
  const { api } = cli;
  const raw = { body: PLAN, type: 'application/yaml' };
  const applied = await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw });
  assert.equal(applied.status, 200, applied.text);
  for (const id of ['acme', 'other']) {
    await api.account(id, null, 'Europe/Berlin');
    await api.append({ kind: 'subscription', account: id, plan: 'basic', from: START, to: null, anchor: START });
  }
  await api.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  api.clock.at += 30 * DAY;
  await api.readings(api.admin, 'host', 'nic', [
    [START + HOUR, 1000],
    [START + 2 * HOUR, 6000],
    [START + 20 * DAY, 6000],
  ]);
  await api.context.usage.job.run();
  const ok = async (...line: string[]): Promise<string> => {
    const ran = await cli.tollgate(line);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}${ran.out}`);
    return ran.out;
  };
  const made = await ok('invoices', 'run');
  assert.match(made, /2 final: 31\.40 EUR/);
  return { ...cli, ok };
};

test('what is final is verified, by number, by account and all of it', async (t) => {
  const { ok, tollgate, api } = await billed(t);
  assert.match(
    await ok('invoices', 'verify', 'INV-000001'),
    /^INV-000001 is what the facts up to \d+ say: digest [0-9a-f]{64}\n$/,
  );
  assert.equal(await ok('invoices', 'verify', '--all'), '2 documents, each is what its facts say.\n');
  assert.match(await ok('invoices', 'verify', '--account', 'other'), /^INV-000002 is what/);
  assert.equal((await tollgate(['invoices', 'verify'])).code, 2);
  const tenant = await api.key('acme', ['read']);
  const own = await api.call(tenant, 'GET', '/api/v1/invoices/verify');
  assert.deepEqual(own.text.match(/INV-\d+/g), ['INV-000001']);
  for (const query of ['ref=INV-000002', 'account=other'])
    assert.equal((await api.call(tenant, 'GET', `/api/v1/invoices/verify?${query}`)).status, 404, query);
});

test('a document that is not what the facts say is named with its first difference, and the exit code says so', async (t) => {
  const { tollgate, api } = await billed(t);
  const { billing } = api.context.control;
  const read = billing.invoice.bind(billing);
  billing.invoice = async (id) => {
    const found = await read(id);
    return found && { ...found, document: found.document.replace('"amount":"1470"', '"amount":"1471"') };
  };
  const { code, out } = await tollgate(['invoices', 'verify', '--all']);
  assert.equal(code, 1);
  assert.match(out, /INV-000001 of acme, .*: NOT what the facts say\n {2}The stored document of INV-000001 is not/);
  assert.match(out, /2 documents, 2 of them are not what the facts say\.\n$/);
});

test('a line is explained down to its readings, and a reading up to its line', async (t) => {
  const { ok, api, tollgate } = await billed(t);
  const line = await ok('explain', 'INV-000001:2');
  assert.match(line, /^Line 2 of INV-000001, Received of acme\nfacts up to \d+\n/);
  for (const said of [
    /\nmetered +5,000 bytes on network\.bytes\.received, known/,
    /\nquantity +5 kB/,
    /\nplan +basic version 1, from .*, fact receipt \d+\n/,
    /\nprice +received: 0\.5 EUR per kB\n/,
    /\nexact +2 EUR\n/,
    /\namount +2\.00 EUR, rounded half-up\n/,
    /\nagain +computed now, it is the same\n/,
    /\nReadings and events\n[\s\S]*5,000 bytes +counted/,
  ])
    assert.match(line, said);
  const [, command = ''] = /\ntollgate explain (\S+ --as-of \d+)\n/.exec(line) ?? [];
  assert.match(await ok('explain', ...command.split(' ')), /^network\.bytes\.received of nic, reported by host\n/);
  const receipt = /\n +(\d+) .* 6,000 bytes +5,000/.exec(line)?.[1];
  assert.match(await ok('explain', `receipt:${receipt}`), /\nBilled on\nline +for\nINV-000001:2 +Received\n$/);
  assert.match(await ok('explain', 'INV-000001:1'), /\nprice +base: 49 EUR a period, in arrears\n/);
  const wrong = await tollgate(['explain', 'INV-000001:9']);
  assert.deepEqual([wrong.code, /\[invoice\.line\]/.test(wrong.err)], [1, true]);
  const other = await api.key('other', ['read']);
  for (const ref of ['INV-000001:2', `receipt:${receipt}`])
    assert.equal((await api.call(other, 'GET', `/api/v1/explain?ref=${ref}`)).status, 404, ref);
});

test('the books are reconciled, and doctor and metrics say the same', async (t) => {
  const { ok, tollgate, api } = await billed(t);
  const made = await ok('invoices', 'reconcile');
  assert.match(made, /^all there is: 2 accounts, 2 documents computed again\n/);
  assert.match(made, /\nnetwork\.bytes\.received +5,000 +5,000 bytes|\nnetwork\.bytes\.received +5,000 +5,000 +bytes/);
  assert.match(made, /\nunexplained difference {2}0\.00 EUR\n$/);
  assert.match(await ok('invoices', 'reconcile', '--new'), /^what is new: 0 accounts, 0 documents/);
  const metric = async (): Promise<string> => (await api.call(api.admin, 'GET', '/metrics')).text;
  assert.match(await metric(), /\n# TYPE tollgate_unexplained_difference gauge\n/);
  const { billing } = api.context.control;
  const read = billing.transactions.bind(billing);
  billing.transactions = async (filter) => (await read(filter)).filter(({ tenant }) => tenant !== 'other');
  const { code, out } = await tollgate(['invoices', 'reconcile']);
  assert.equal(code, 1);
  assert.match(
    out,
    /\nunexplained difference {2}29\.40 EUR\n[\s\S]*posted +other +INV-000002 +14\.70 EUR +revenue is 0/,
  );
  assert.match(await metric(), /\ntollgate_unexplained_difference\{currency="EUR"\} 2940\n/);
  assert.match((await tollgate(['doctor'])).out, /books.*29\.40 EUR unexplained, first posted: INV-000002 of other/);
  const tenant = await api.key('acme', ['read', 'admin']);
  assert.equal((await api.call(tenant, 'POST', '/api/v1/invoices/reconcile')).status, 403);
});
