import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exit } from './io.ts';
import { openCli } from './testing/terminal.ts';

test('credits, payments and balances are booked and shown', async (t) => {
  const { api, tollgate } = await openCli(t);
  await api.account('acme');
  const ok = async (...line: string[]): Promise<string> => {
    const ran = await tollgate(line);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}`);
    return ran.out;
  };
  assert.match(await ok('balance', 'acme'), /owes nothing/);
  assert.match(await ok('credits'), /no credits/);
  const grant = ['credits', 'grant', 'acme', '1250.00', 'EUR', '--expires', '2027-01-01', '--priority', '5'];
  assert.match(
    await ok(...grant, '--reason', 'welcome', '--reference', 'welcome-1'),
    /^Credit 1: acme has 1,250\.00 EUR until 2027-01-01T00:00:00Z/,
  );
  assert.match(
    await ok(...grant, '--reason', 'welcome', '--reference', 'welcome-1'),
    /^Credit 1: acme has 1,250\.00 EUR/,
  );
  assert.match(
    await ok('credits', 'list', 'acme'),
    /1 +acme +1,250\.00 EUR +1,250\.00 EUR +5 .* current +given +welcome/,
  );
  const paid = ['payments', 'record', 'acme', '119.00', 'EUR', '--reference', '2026-0815', '--method', 'transfer'];
  assert.match(await ok(...paid), /^Booked\. It settles no invoice: it waits for the next one/);
  assert.match(await ok(...paid), /^It was booked already, and settles no invoice: it waits for the next one/);
  assert.match(await ok('payments', 'refund', 'acme', '19', 'EUR', '--reference', 'back'), /^Booked\.$/m);
  assert.match(
    await ok('payments', 'refund', 'acme', '19', 'EUR', '--reference', 'back'),
    /^It was booked already\.$/m,
  );
  assert.match(await ok('payments'), /acme +-19\.00 EUR +back[\s\S]*acme +119\.00 EUR +2026-0815 +transfer/);
  assert.match(await ok('balance', 'acme'), /EUR +0\.00 +0\.00 +100\.00 +1,250\.00/);
  assert.match(
    await ok('ledger', '--account', 'acme'),
    /refund +receivable\/acme +19\.00[\s\S]*promotion\/default +1,250\.00/,
  );
  assert.match(await ok('ledger', 'books'), /cash +100\.00 EUR/);
  assert.match(await ok('credits', 'void', '1', '--reason', 'slip'), /Credit 1 of acme has nothing left/);
  assert.match(await ok('credits', 'expire'), /0 credits have ended/);
  assert.match(await ok('credits', 'notices'), /No credit ran low/);
  assert.equal(JSON.parse(await ok('payments', 'list', 'acme', '--json')).length, 2);
  const check = async (code: number, said: RegExp, ...line: string[]): Promise<void> => {
    const ran = await tollgate(line);
    assert.equal(ran.code, code, `${line.join(' ')}: ${ran.out}${ran.err}`);
    assert.match(ran.err, said);
  };
  await check(Exit.failure, /money\.invalid/, 'payments', 'record', 'acme', '1.005', 'EUR', '--reference', 'x');
  await check(
    Exit.usage,
    /--priority: "low" is no whole number/,
    'credits',
    'grant',
    'acme',
    '1',
    'EUR',
    '--priority',
    'low',
  );
  await check(Exit.usage, /--reference/, 'payments', 'record', 'acme', '1', 'EUR');
});
