/** Invoices from the command line, through the API, on the model stores. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openCli } from './testing/terminal.ts';

const DAY = 86_400_000;
const PLAN = `plans:
  - key: basic
    billing: {currency: EUR, period: month, anchor: calendar, prices: [{key: base, name: Base, fee: 49, term: arrears}]}
  - key: dollars
    billing: {currency: USD, prices: [{key: base, fee: 49}]}
`;

/** Two accounts with a plan since the 21st; the clock stands in December. */
const opened = async (t: TestContext, daysLater = 15) => {
  const cli = await openCli(t);
  const raw = { body: PLAN, type: 'application/yaml' };
  const applied = await cli.api.call(cli.api.admin, 'POST', '/api/v1/plans/apply', { raw });
  assert.equal(applied.status, 200, applied.text);
  const ok = async (...line: string[]): Promise<string> => {
    const ran = await cli.tollgate(line);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}${ran.out}`);
    return ran.out;
  };
  for (const id of ['acme', 'other']) {
    await cli.api.account(id, null, 'Europe/Berlin');
    await ok('accounts', 'subscribe', id, 'basic');
  }
  cli.api.clock.at += daysLater * DAY;
  return { ...cli, ok };
};

test('a run says what came of it, invoices are listed and shown with their lines', async (t) => {
  const { ok } = await opened(t);
  const ran = await ok('invoices', 'run');
  assert.match(ran, /^accounts {7}2, periods that ended by 2026-12-06T12:00:00Z, facts up to \d+\n/);
  assert.match(ran, /\ninvoices {7}2 final: 29\.40 EUR\n/);
  assert.match(await ok('invoices', 'run'), /\ninvoices {7}0 final\n/);
  const list = await ok('invoices');
  assert.match(
    list,
    /INV-000001 +acme +2026-11-21T13:00:00\+01:00 +2026-12-01T00:00:00\+01:00 +14\.70 EUR +14\.70 EUR +open/,
  );
  const shown = await ok('invoices', 'show', 'INV-000001');
  assert.match(shown, /^Invoice INV-000001 of acme, 2026-11-21T13:00:00\+01:00 to 2026-12-01T00:00:00\+01:00\n/);
  assert.match(shown, /1 +acme +basic\/base +fee .* 14\.70 EUR\n/);
  assert.match(shown, /\ntotal {10}14\.70 EUR\n$/);
  assert.match(await ok('invoices', 'runs'), /run +started .*\n *2 /s);
  const csv = await ok('invoices', 'lines', '--csv', '-');
  assert.match(csv, /^number,line,.*\r\nINV-000002,1,other,.*\r\nINV-000001,1,acme,basic,base,Base,.*\r\n$/);
  assert.match(await ok('invoices', 'show', 'INV-000001', '--html', '-'), /^<!doctype html>[\s\S]*INV-000001/i);
  const json = JSON.parse(await ok('invoices', 'list', '--account', 'other', '--state', 'open', '--json'));
  assert.deepEqual(
    json.map((row: { number: string }) => row.number),
    ['INV-000002'],
  );
});

test('a dry run writes nothing, some accounts can be billed alone, a time to come is refused', async (t) => {
  const { ok, tollgate } = await opened(t);
  assert.match(
    await ok('invoices', 'run', '--dry-run'),
    /2 would be final: 29\.40 EUR\n[\s\S]*\nother .* new +14\.70 EUR/,
  );
  assert.equal(await ok('invoices'), 'There are none. `tollgate invoices drafts` shows what is to come.\n');
  assert.match(await ok('invoices', 'run', '--account', 'other'), /INV-000001/);
  const asked = await tollgate(['invoices', 'list', '--state', 'weird']);
  assert.match(asked.err, /\/state must be one of draft, open, overdue, paid, void/);
  const binary = await tollgate(['invoices', 'show', 'INV-000001', '--pdf', '-']);
  assert.deepEqual([binary.code, /^tollgate: A PDF is no text/.test(binary.err)], [2, true]);
  const nowhere = await tollgate(['invoices', 'lines', '--csv', '/nowhere/lines.csv']);
  assert.match(nowhere.err, /^tollgate: \/nowhere\/lines\.csv cannot be written: ENOENT/);
  const ahead = await tollgate(['invoices', 'run', '--until', '2027-01-01']);
  assert.deepEqual([ahead.code, /\[invoice\.ahead\]/.test(ahead.err)], [1, true]);
});

test('an account that cannot be billed is listed with what to do, and the exit code says so', async (t) => {
  const { api, tollgate } = await opened(t);
  await api.append({
    kind: 'subscription',
    account: 'acme',
    plan: 'dollars',
    from: api.clock.at - 20 * DAY,
    to: null,
    anchor: 0,
  });
  const { code, out } = await tollgate(['invoices', 'run']);
  assert.equal(code, 1);
  assert.match(
    out,
    /1 account could not be billed:\n {2}acme \/ dollars: the plan is priced in USD, .*; give it a plan in its currency.* \[invoice\.currency\]\n/,
  );
  assert.match(out, /1 final/);
});

test('a draft waits, is made final by hand, is credited and void', async (t) => {
  const { ok, tollgate, api } = await opened(t, 11);
  assert.match(await ok('invoices', 'run'), /drafts {9}2: 0 blocked, 2 wait for what may come late/);
  const drafts = JSON.parse(await ok('invoices', 'drafts', '--json'));
  assert.equal(drafts.length, 2);
  assert.match(await ok('invoices', 'drafts'), /draft:\d+:\d+:acme +acme .* 14\.70 EUR +draft/);
  assert.match(await ok('invoices', 'show', drafts[0].ref), /^Draft of acme/);
  assert.equal(await ok('invoices', 'finalise', drafts[0].ref), 'Invoice INV-000001: 14.70 EUR.\n');
  assert.match((await tollgate(['invoices', 'finalise', drafts[0].ref])).err, /\[invoice\.not_due\]/);
  const credited = ['invoices', 'credit', 'INV-000001', '1', '6.33', '--reason', 'outage', '--reference', 'ticket 7'];
  for (let told = 0; told < 2; told++) assert.equal(await ok(...credited), 'Credit note CN-000001: -6.33 EUR.\n');
  assert.match((await tollgate([...credited, '--goodwill'])).err, /key is that of CN-000001.*\[credit\.conflict\]/);
  assert.match(
    (await tollgate(['invoices', 'credit', 'INV-000001', '1', '10.01', '--reason', 'x'])).err,
    /8\.37 EUR can still be credited/,
  );
  assert.match((await tollgate(['invoices', 'void', 'INV-000001', '--reason', 'x'])).err, /\[invoice\.credited\]/);
  await ok('payments', 'record', 'acme', '2.00', 'EUR', '--reference', 'bank-7');
  assert.match(
    await ok('invoices', 'show', 'INV-000001', '--html', '-'),
    /Credit note CN-000001, .*-6\.33<[\s\S]*Payment bank-7, .*-2\.00<[\s\S]*6\.37</,
  );
  await ok('invoices', 'finalise', drafts[1].ref);
  assert.equal(
    await ok('invoices', 'void', 'INV-000002', '--reason', 'wrong'),
    'INV-000002 is void by credit note CN-000002: -14.70 EUR.\n',
  );
  assert.match(await ok('invoices', 'show', 'INV-000002', '--html', '-'), /Credit note CN-000002 has reversed/);
  const tenant = await api.key('acme', ['read']);
  const own = (await api.call(tenant, 'GET', '/api/v1/invoices')).body.items;
  assert.deepEqual(
    own.map((row: { number: string }) => row.number),
    ['CN-000001', 'INV-000001'],
  );
});
