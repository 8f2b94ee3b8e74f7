import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { modelText } from './price-text.ts';
import { openCli } from './testing/terminal.ts';

const example = (name: string): string => new URL(`../../../../docs/examples/${name}`, import.meta.url).pathname;

const openFiles = async (t: TestContext) => {
  const cli = await openCli(t);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-billing-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const ok = async (...line: string[]): Promise<string> => {
    const ran = await cli.tollgate(line);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}`);
    return ran.out;
  };
  return { ...cli, file, ok };
};
const withStratos = async (t: TestContext) => {
  const cli = await openFiles(t);
  for (const meters of ['service-meters.json', 'stratos-meters.json', 'priced-meters.json'])
    await cli.ok('meters', 'create', example(meters));
  await cli.ok('plans', 'apply', example('priced-plans.yaml'), '--yes');
  await cli.ok('accounts', 'create', 'acme', '--zone', 'Europe/Berlin', '--currency', 'USD');
  return cli;
};

test('a plan is shown with what it costs', async (t) => {
  const { ok } = await withStratos(t);
  const shown = await ok('plans', 'show', 'professional');
  assert.match(shown, /Billed in USD every month, by the calendar\.\n/);
  assert.match(shown, /subscription +Professional +each period, in advance +500/);
  assert.match(shown, /bandwidth +Bandwidth overuse +service\.bytes\.received .* MB +what bandwidth includes +0\.03/);
  assert.match(shown, /cartridges +Cartridge hours +stratos\.cartridges +cartridge h +500 +0\.1/);
});

test('a price that changes is shown before it is applied', async (t) => {
  const { ok, file } = await withStratos(t);
  const text = readFileSync(example('priced-plans.yaml'), 'utf8').replace('unit: 0.03', 'unit: 0.035');
  const planned = await ok('plans', 'apply', file('next.yaml', text), '--dry-run');
  assert.equal(
    planned,
    '~ plan professional is changed\n    billing.prices.bandwidth.model.unit: "0.03" -> "0.035"\nNothing was written: a dry run.\n',
  );
});

test('every model of prices is told in few words', () => {
  const check = (model: Parameters<typeof modelText>[0], expected: string) => assert.equal(modelText(model), expected);
  const tiers = [
    { upTo: '100', unit: '0.09', flat: '0' },
    { upTo: null, unit: '0.05', flat: '5' },
  ];
  check({ model: 'graduated', tiers }, '0.09 up to 100, 0.05 + 5 beyond');
  check({ model: 'volume', tiers }, '0.09 up to 100, 0.05 + 5 beyond, all at the price of the tier reached');
  check({ model: 'graduated_percentage', tiers: [{ upTo: null, percent: '2', flat: '0' }] }, '2% beyond');
  check({ model: 'package', size: '100', price: '5', free: '10' }, '5 for each 100 beyond 10');
  const blocks = [
    { size: '10', most: 3, price: '5' },
    { size: '100', most: null, price: '40' },
  ];
  check({ model: 'blocks', blocks }, '5 for 10, 3 times, then 40 for 100');
  check({ model: 'percentage', percent: '2.5', fixed: '0.3' }, '2.5% + 0.3 each');
  check({ model: 'dynamic', multiplier: '1.2' }, '1.2 times what it cost');
  const cells = [{ where: { region: 'eu' }, price: { model: 'per_unit', unit: '2' } }];
  check({ model: 'matrix', cells, otherwise: { model: 'per_unit', unit: '1' } }, 'region eu: 2; else 1');
  check({ model: 'matrix', cells, otherwise: null }, 'region eu: 2; else free');
});

test('entities and profiles are set by files; what is wrong is told as FILE:LINE:COLUMN', async (t) => {
  const { tollgate, ok, file } = await withStratos(t);
  assert.match(await ok('billing', 'entities'), /default +Tollgate +INV- +CN- +half-up +days +3 d +14 d/);
  const entity = file('entity.yaml', 'name: Cloud GmbH\naddress: [Weg 1, 10115 Berlin]\nconventions: {due_days: 30}');
  assert.match(await ok('billing', 'entity', 'set', entity), /Set entity default: Cloud GmbH/);
  assert.match(await ok('billing', 'entities'), /Weg 1, 10115 Berlin .* 30 d/);
  const profile = file('profile.yaml', 'name: Acme Ltd\njurisdiction: DE\nemail: bills@acme.example');
  assert.match(await ok('billing', 'profile', 'acme', 'set', profile), /taxes of +DE\n/);
  assert.match(
    await ok('billing', 'profile', 'acme'),
    /account +acme\nbilled by +default\npaid by +acme\nname +Acme Ltd\n/,
  );
  const bad = file('bad.yaml', 'name: Acme\njurisdiction: Germany');
  const ran = await tollgate(['billing', 'profile', 'acme', 'set', bad]);
  assert.equal(ran.code, 1);
  assert.ok(ran.err.startsWith(`${bad}:2:15 jurisdiction: "Germany": upper case letters`), ran.err);
  assert.equal((await tollgate(['billing', 'profile', 'acme', 'forget'])).code, 2);
});

test('taxes, coupons, discounts and add-ons from the command line', async (t) => {
  const { ok } = await withStratos(t);
  assert.match(await ok('billing', 'taxes'), /There are no taxes/);
  await ok('billing', 'taxes', 'set', 'DE', '19%', '--name', 'USt', '--from', '2020-01-01');
  assert.match(
    await ok('billing', 'taxes', 'set', 'DE', '21', '--from', '2027-01-01'),
    /DE +USt +21% +without it +2027-01-01T00:00:00Z +scheduled/,
  );
  assert.match(
    await ok('billing', 'taxes', 'end', 'DE', '--at', '2026-12-24'),
    /19% .* 2026-12-24T00:00:00Z +in force/,
  );
  assert.match(
    await ok(
      'billing',
      'coupons',
      'set',
      'spring',
      '--percent',
      '10',
      '--on',
      'smb',
      'demo/cartridges',
      '--periods',
      '3',
    ),
    /Set coupon spring: 10% off/,
  );
  assert.match(await ok('billing', 'coupons'), /spring +10% +smb demo\/cartridges +3 periods/);
  assert.match(await ok('billing', 'discounts'), /Nobody has a discount/);
  assert.match(
    await ok('billing', 'discounts', 'give', 'acme', 'spring', '--to', '2026-12-31'),
    /acme +spring +10% +2026-11-21T12:00:00Z +2026-12-30T23:00:00Z +3 periods/,
  );
  assert.match(await ok('billing', 'coupons', 'end', 'spring'), /cannot be given any more/);
  assert.match(await ok('billing', 'discounts', 'end', 'acme', 'spring'), /ended/);
  assert.match(await ok('accounts', 'addon', 'acme', 'smb', '--quantity', '2'), /smb +2 +2026-11-21T12:00:00Z/);
  assert.match(await ok('accounts', 'addons', 'acme'), /smb +2/);
  assert.match(await ok('accounts', 'addon-end', 'acme', 'smb'), /ended/);
});

test('a subscription begins and ends with a period, and says until when it is free', async (t) => {
  const { tollgate, ok } = await withStratos(t);
  await ok('accounts', 'subscribe', 'acme', 'smb', '--trial-until', '2026-12-24');
  assert.match(await ok('accounts', 'subscriptions', 'acme'), /smb .* 2026-12-23T23:00:00Z +in force/);
  assert.match(
    await ok('accounts', 'subscribe', 'acme', 'professional', '--at', 'period-end', '--trial-until', 'none'),
    /professional +2026-11-30T23:00:00Z .* no trial +scheduled/,
  );
  assert.equal((await tollgate(['accounts', 'subscribe', 'acme', 'smb', '--at', 'noon'])).code, 2);
  assert.match(
    await ok('accounts', 'unsubscribe', 'acme', '--at', 'period-end'),
    /smb +2026-11-21T12:00:00Z +2026-11-30T23:00:00Z/,
  );
});
