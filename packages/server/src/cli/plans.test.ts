import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { amountText, ruleText } from './limit-text.ts';
import { openCli } from './testing/terminal.ts';

const example = (name: string): string =>
  readFileSync(new URL(`../../../../docs/examples/${name}`, import.meta.url), 'utf8');

const plan = (amount: string): string => `plans:
  - key: demo
    entitlements:
      - { key: sent, meter: network.bytes.sent, amount: ${amount}, per: month }
    limits:
      - { key: sent, entitlement: sent }
`;

const openFiles = async (t: TestContext) => {
  const cli = await openCli(t);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-plans-'));
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

test('plans are applied after their changes were shown and agreed to', async (t) => {
  const { tollgate, file, ok } = await openFiles(t);
  const path = file('plans.yaml', plan('50 MB'));
  assert.match(await ok('plans'), /There are no plans/);
  assert.match(
    await ok('plans', 'apply', path, '--dry-run'),
    /^\+ plan demo is added\n {4}name: "demo"\n[\s\S]*a dry run/,
  );
  const no = await tollgate(['plans', 'apply', path], 'n\n');
  assert.equal(no.code, 1);
  assert.match(no.err, /Apply these changes\? \[y\/N\][\s\S]*Nothing was written/);
  assert.equal((await tollgate(['plans', 'apply', path])).code, 1, 'no answer is no');
  const yes = await tollgate(['plans', 'apply', path], 'y\n');
  assert.match(yes.out, /Applied, in force from 2026-11-21T12:00:00Z/);
  assert.match(await ok('plans', 'apply', path), /Nothing changes/);
  const next = await ok('plans', 'apply', file('next.yaml', plan('70 MB')), '--yes');
  assert.match(next, /~ plan demo is changed\n {4}entitlements\.sent\.amount: 50000000 -> 70000000\n/);
  assert.match(await ok('plans'), /demo +2 +2026-11-21T12:00:00Z +sent 70 MB per month +sent/);
  const show = await ok('plans', 'show', 'demo');
  assert.match(show, /sent +network\.bytes\.sent +70 MB +month +refused/);
  assert.match(show, /sent +network\.bytes\.sent +what sent includes +hard +50% 80% 100%/);
  assert.equal(JSON.parse(await ok('plans', 'show', 'demo', '--json')).version, 2);
});

test('problems of a file are told as FILE:LINE:COLUMN', async (t) => {
  const { tollgate, file } = await openFiles(t);
  const path = file('plans.yaml', plan('50 KB').replace('month', 'moon'));
  const ran = await tollgate(['plans', 'apply', path, '--yes']);
  assert.equal(ran.code, 1);
  const lines = ran.err.split('\n');
  assert.ok(lines[0]?.startsWith(`${path}:4:57 plans[0].entitlements[0].amount: unknown unit "KB"`), lines[0]);
  assert.ok(lines[1]?.startsWith(`${path}:4:69 plans[0].entitlements[0].per: "moon" is not known`), lines[1]);
  assert.match(ran.err, /was not applied \[plan\.invalid\]/);
  assert.equal((await tollgate(['plans', 'apply', '/nowhere/plans.yaml'])).code, 2);
});

test('an account is subscribed, moved, limited, blocked; what is in force is shown', async (t) => {
  const { file, ok } = await openFiles(t);
  await ok('accounts', 'create', 'acme', '--zone', 'Europe/Berlin');
  await ok('plans', 'apply', file('plans.yaml', plan('50 MB')), '--yes');
  const big = 'plans: [{key: big, limits: [{key: calls, meter: requests, rate: 100 per minute}]}]';
  await ok('plans', 'apply', file('big.yaml', big), '--yes');
  assert.match(await ok('limits', 'show', 'acme'), /acme has no plan at .*: no limits of a plan hold/);
  assert.match(await ok('accounts', 'subscribe', 'acme', 'demo', '--from', '2026-11-01'), /demo +2026-10-31T23:00:00Z/);
  const shown = await ok('limits', 'show', 'acme');
  assert.match(shown, /acme has plan demo, version 1, since 2026-10-31T23:00:00Z\./);
  assert.match(shown, /sent +network\.bytes\.sent +50 MB per month +hard/);
  await ok('limits', 'override', 'acme', 'sent', '70 MB', '--reason', 'a favour');
  assert.match(await ok('limits', 'show', 'acme'), /70 MB per month/);
  await ok('limits', 'override', 'acme', 'sent', 'unlimited');
  assert.match(await ok('limits', 'show', 'acme'), /sent +network\.bytes\.sent +unlimited/);
  await ok('limits', 'reset', 'acme', 'sent');
  assert.match(await ok('limits', 'show', 'acme'), /50 MB per month/);
  await ok('limits', 'block', 'acme', 'upload', '--reason', 'Unpaid since May.');
  assert.match(await ok('limits', 'show', 'acme'), /upload +Unpaid since May\./);
  assert.match(await ok('limits', 'show', 'acme', '--action', 'upload'), /Refused: Unpaid since May\./);
  await ok('limits', 'unblock', 'acme', 'upload');
  assert.doesNotMatch(await ok('limits', 'show', 'acme'), /Unpaid/);
  await ok('accounts', 'subscribe', 'acme', 'big');
  assert.match(await ok('limits', 'show', 'acme'), /calls +requests +100 requests per minute, sliding/);
  assert.match(await ok('accounts', 'subscriptions', 'acme'), /demo .* ended\nbig .* in force/);
  await ok('accounts', 'unsubscribe', 'acme');
  assert.match(await ok('limits', 'show', 'acme'), /has no plan/);
});

test('limits of the installation are set from a file, listed and ended', async (t) => {
  const { file, ok, tollgate } = await openFiles(t);
  const guard = 'key: guard\nmeter: requests\nrate: 1000 per second\nalgorithm: bucket\nburst: 2000\nscope: subtree\n';
  assert.match(await ok('limits'), /No limits outside of plans/);
  await ok('limits', 'set', file('guard.yaml', guard));
  assert.match(
    await ok('limits'),
    /guard +requests +1,000 requests per second, bucket, burst 2,000 requests +hard +subtree +all/,
  );
  await ok('limits', 'end', 'guard');
  assert.match(await ok('limits'), /ended/);
  const bad = await tollgate(['limits', 'set', file('bad.yaml', 'key: guard\nmeter: requests\nrate: 5\n')]);
  assert.match(bad.err, /bad\.yaml:3:7 rate: "5" is not a rate/);
});

test('the packages of Stratos are applied from the examples', async (t) => {
  const { api, ok, file } = await openFiles(t);
  for (const name of ['service-meters.json', 'stratos-meters.json'])
    await ok('meters', 'create', file(name, example(name)));
  const applied = await ok('plans', 'apply', file('stratos.yaml', example('stratos-plans.yaml')), '--yes');
  assert.equal(applied.match(/is added/g)?.length, 4);
  await api.account('acme');
  await ok('accounts', 'subscribe', 'acme', 'demo');
  const shown = await ok('limits', 'show', 'acme', '--action', 'webapp_in_bandwith_action');
  assert.match(shown, /bandwidth .* 50 MB per month +hard/);
  assert.doesNotMatch(shown, /storage {2}/);
});

test('amounts are shown short only where nothing is lost', () => {
  const check = (amount: number | null, unit: string, expected: string) =>
    assert.equal(amountText(amount, unit), expected);
  check(50_000_000, 'By', '50 MB');
  check(1_500_000, 'By', '1.5 MB');
  check(1_536_000_000, 'By', '1,536,000,000 bytes');
  check(100_000, 'By', '100 kB');
  check(20, 'By', '20 bytes');
  check(1000, '{request}', '1,000 requests');
  check(null, 'By', 'unlimited');
  check(12, '1', '12');
  check(1, '{user}', '1 user');
  const rate = { kind: 'rate', amount: 5, windowMs: 90_000, algorithm: 'fixed', burst: 5 };
  assert.equal(ruleText({ rule: rate, unit: '1' }), '5 per 90 seconds, fixed');
  assert.equal(
    ruleText({ rule: { kind: 'concurrency', amount: 3, holdMs: 60_000 }, unit: '1' }),
    '3 at once, held for 1 minute',
  );
});
