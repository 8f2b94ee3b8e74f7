/** From a refusal down to the usage behind it, by either command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, START } from '../api/testing/api.ts';
import { openCli } from './testing/terminal.ts';

const limit = {
  ...{ key: 'daily', meter: 'network.bytes.received', feed: 'metered' as const, scope: 'account' as const },
  ...{ rule: { kind: 'quota' as const, amount: 500, period: 'day' as const }, hard: true, shadow: false },
  ...{ thresholds: [], actions: [], fail: { mode: 'closed' as const }, message: '', upgrade: '' },
};

test('explain walks a refusal as `limits refusals` does', async (t) => {
  const { api, tollgate } = await openCli(t);
  await api.account('acme');
  await api.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  await api.append({ kind: 'limit', limit, accounts: [], from: 0, to: null });
  await api.readings(api.admin, 'host', 'nic', [
    [START - 60 * MINUTE, 0],
    [START - 30 * MINUTE, 900],
  ]);
  const ask = { account: 'acme', action: 'upload', meter: 'requests', resource: '', dimensions: {} };
  assert.equal((await api.context.throttle.decide(ask, 1)).allowed, false);
  const [{ id }] = JSON.parse((await tollgate(['limits', 'refusals', '--json'])).out);
  const [listed, walked] = [await tollgate(['limits', 'refusals', id]), await tollgate(['explain', id])];
  assert.equal(walked.code, 0, walked.err);
  assert.equal(walked.out, listed.out);
  assert.match(walked.out, /acme refused: .*900 of 500/);
  assert.match(walked.out, /nic +acme +900 +By +\d+@\d+/);
  const { kind, refusal } = JSON.parse((await tollgate(['explain', id, '--json'])).out);
  assert.deepEqual([kind, refusal.limit], ['refusal', 'daily']);
});
