import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SeenInterface } from '@tollgate/agent';
import { hashSecret, newSecret } from './api/auth.ts';
import { TestClock } from './api/testing/api.ts';
import { adoptInterfaces, keptCredentials, prepareInstallation } from './first-start.ts';
import { ControlLog } from './store/control-log.ts';
import { openControlModel } from './store/model/control-model.ts';
import { Receipts } from './store/receipts.ts';

const installation = async (t: TestContext) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tollgate-first-'));
  t.after(() => rmSync(dataDir, { recursive: true }));
  const control = openControlModel();
  const log = await ControlLog.open(control, await Receipts.open(control), new TestClock());
  const settings = {
    dataDir,
    zone: 'Asia/Tokyo',
    currency: 'JPY',
    defaultAccount: 'default',
    source: 'host/a',
    newSecret,
  };
  return { log, settings, dataDir };
};

test('a first start makes an account and two keys; later starts keep them', async (t) => {
  const { log, settings, dataDir } = await installation(t);
  const first = await prepareInstallation(log, settings);
  assert.equal(first.adminIsNew, true);
  assert.deepEqual(log.book.account('default'), {
    kind: 'account',
    id: 'default',
    parent: null,
    name: 'default',
    zone: 'Asia/Tokyo',
    currency: 'JPY',
    state: 'active',
  });
  assert.equal(statSync(join(dataDir, 'admin.key')).mode & 0o777, 0o600);
  assert.deepEqual(log.book.keyByHash(hashSecret(first.collector))?.sources, ['host/a']);
  const at = log.book.at;
  const second = await prepareInstallation(log, { ...settings, zone: '' });
  assert.deepEqual(second, { ...first, adminIsNew: false });
  assert.equal(log.book.at, at, 'nothing was written');
});

test('a key file that is lost or foreign is replaced, and so is the collector’s when its name changed', async (t) => {
  const { log, settings, dataDir } = await installation(t);
  const first = await prepareInstallation(log, settings);
  rmSync(join(dataDir, 'admin.key'));
  const second = await prepareInstallation(log, settings);
  assert.equal(second.adminIsNew, true);
  assert.notEqual(second.admin, first.admin);
  writeFileSync(join(dataDir, 'admin.key'), 'tg_from_another_installation');
  assert.equal((await prepareInstallation(log, settings)).adminIsNew, true);
  const renamed = await prepareInstallation(log, { ...settings, source: 'host/b' });
  assert.deepEqual(log.book.keyByHash(hashSecret(renamed.collector))?.sources, ['host/b']);
  assert.notEqual(readFileSync(join(dataDir, 'collector.key'), 'utf8').trim(), first.collector);
});

test('a server that only reads takes the key it finds, and makes none', async (t) => {
  const { log, settings, dataDir } = await installation(t);
  assert.deepEqual(keptCredentials(log, dataDir), { admin: '', collector: '', adminIsNew: false });
  const { admin } = await prepareInstallation(log, settings);
  const at = log.book.at;
  assert.equal(keptCredentials(log, dataDir).admin, admin);
  writeFileSync(join(dataDir, 'admin.key'), 'tg_from_another_installation');
  assert.equal(keptCredentials(log, dataDir).admin, '');
  assert.equal(log.book.at, at, 'nothing was written');
});

test('new interfaces belong to the default account from the beginning, given ones stay where they are', async (t) => {
  const { log, settings } = await installation(t);
  await prepareInstallation(log, settings);
  await log.append([{ kind: 'owner', resource: 'host/a/tap7', account: 'acme', from: 5 }], {
    tenant: '',
    author: 'x',
    reason: '',
  });
  const adopt = (...seen: SeenInterface[]) => adoptInterfaces(log, 'host/a', 'default', seen);
  const [lo, eth0, tap7] = ['lo', 'eth0', 'tap7'].map((id) => ({ id, name: id })) as [
    SeenInterface,
    SeenInterface,
    SeenInterface,
  ];
  assert.deepEqual(await adopt(lo, eth0, tap7), ['lo', 'eth0', 'tap7']);
  assert.deepEqual(await adopt(lo, eth0, tap7), []);
  assert.equal(log.book.ownerAt('', 'host/a/eth0', 0), 'default');
  assert.equal(log.book.ownerAt('', 'host/a/tap7', 6), 'acme');
  assert.equal(log.book.isBillable('', 'host/a/lo'), false, 'loopback is not billable');
  assert.equal(log.book.isBillable('', 'host/a/eth0'), true);
  // Renamed: the resource stays, with its new name; a name that people gave stays too.
  await adopt({ id: 'eth0', name: 'wan0', was: 'eth0' }, { id: 'eth0#9', name: 'eth0' });
  assert.deepEqual(
    ['eth0', 'eth0#9'].map((id) => log.book.resource('', `host/a/${id}`)?.name),
    ['wan0', 'eth0'],
  );
  const tap = log.book.resource('', 'host/a/tap7');
  assert.ok(tap);
  const { tenant: _tenant, ...body } = tap;
  await log.append([{ ...body, name: 'customer 12' }], { tenant: '', author: 'x', reason: '' });
  await adopt({ id: 'tap7', name: 'tap8', was: 'tap7' });
  assert.equal(log.book.resource('', 'host/a/tap7')?.name, 'customer 12');
});
