/** Other plans against the past, and the cost of the running period, from the command line on the model stores. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { START } from '../api/testing/api.ts';
import { openCli } from './testing/terminal.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const planText = (key: string, fee: number, unit: number, currency = 'EUR'): string => `plans:
  - key: ${key}
    billing:
      currency: ${currency}
      period: 10 days
      prices:
        - {key: base, name: Base, fee: ${fee}}
        - {key: received, name: Received, meter: network.bytes.received, per: kB, unit: ${unit}}
`;

/** Two accounts with a plan for 25 days; one of them had 5 kB in its first period and 2 in its third. */
const opened = async (t: TestContext) => {
  const cli = await openCli(t);
  const { api } = cli;
  const raw = { body: planText('basic', 10, 1), type: 'application/yaml' };
  const applied = await api.call(api.admin, 'POST', '/api/v1/plans/apply', { raw });
  assert.equal(applied.status, 200, applied.text);
  for (const id of ['acme', 'other']) {
    await api.account(id);
    await api.append({ kind: 'subscription', account: id, plan: 'basic', from: START, to: null, anchor: START });
  }
  await api.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  api.clock.at += 25 * DAY;
  await api.readings(api.admin, 'host', 'nic', [
    [START + HOUR, 1000],
    [START + 2 * HOUR, 6000],
    [START + 21 * DAY, 6000],
    [START + 21 * DAY + HOUR, 8000],
    [START + 25 * DAY, 8000],
  ]);
  await api.context.usage.job.run();
  const folder = mkdtempSync(join(tmpdir(), 'tg-simulate-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = (text: string): string => {
    const path = join(folder, 'plan.yaml');
    writeFileSync(path, text);
    return path;
  };
  return { ...cli, file };
};

test('a plan is simulated for its subscribers and for accounts that are named', async (t) => {
  const { tollgate, api, file } = await opened(t);
  const simulate = (text: string, ...more: string[]) =>
    tollgate(['plans', 'simulate', file(text), '--from', '2026-11-21', ...more]);
  const own = await simulate(planText('basic', 8, 2));
  assert.equal(own.code, 0, own.err);
  assert.match(own.out, /\nacme +2 +25\.00 EUR +26\.00 EUR +1\.00 EUR\n/);
  assert.match(own.out, /\nother +2 +20\.00 EUR +16\.00 EUR +-4\.00 EUR\n/);
  assert.match(own.out, /\n +2 +45\.00 EUR +42\.00 EUR +-3\.00 EUR\n$/);
  assert.match((await simulate(planText('new', 1, 0))).out, /^Nobody has such a plan\./);
  const named = JSON.parse((await simulate(planText('new', 1, 0), '--accounts', 'acme', '--json')).out);
  assert.deepEqual(named.totals, [
    { currency: 'EUR', accounts: 1, before: '25.00', after: '2.00', difference: '-23.00' },
  ]);
  const foreign = await simulate(planText('new', 1, 0, 'USD'), '--accounts', 'acme');
  assert.deepEqual([foreign.code, /priced in USD/.test(foreign.err)], [1, true]);
  assert.match(
    (await simulate('plans: [{key: x, billing: {currency: EUR, prices: [{key: a}]}}]')).err,
    /\[plan\.invalid\]/,
  );
  const raw = { body: planText('basic', 1, 1), type: 'application/yaml' };
  const tenant = await api.key('acme', ['read', 'admin']);
  const refused = await api.call(tenant, 'POST', '/api/v1/plans/simulate?from=2026-11-21', { raw });
  assert.equal(refused.status, 403);
});

test('the running period: what it costs so far line by line, and a forecast that says it is one', async (t) => {
  const { tollgate, api } = await opened(t);
  const { code, out, err } = await tollgate(['usage', '--cost', '--account', 'acme']);
  assert.equal(code, 0, err);
  assert.match(out, /^acme, 2026-12-\d\dT.* to 2026-12-\d\dT.*; as of 2026-12-16T12:00:00Z, facts up to \d+\n/);
  assert.match(out, /\nacme +Base +fee +1 +10\.00 EUR +10\.00 EUR\n/);
  assert.match(out, /\nacme +Received +usage +2 kB .* 2\.00 EUR +3\.64 EUR\n/);
  assert.match(out, /\nforecast +13\.64 EUR: an estimate, if usage goes on as it went\n$/);
  assert.equal((await tollgate(['usage', '--cost'])).code, 2);
  await api.account('poor');
  assert.match((await tollgate(['usage', '--cost', '--account', 'poor'])).err, /\[cost\.unknown\]/);
  const tenant = await api.key('other', ['read']);
  assert.equal((await api.call(tenant, 'GET', '/api/v1/accounts/acme/cost')).status, 404);
});
