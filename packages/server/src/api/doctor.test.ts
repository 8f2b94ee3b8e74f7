import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

interface Finding {
  check: string;
  verdict: string;
  detail: string;
}

/** The doctor's word on one check. */
const ask = async (api: TestApi, check: string, query = ''): Promise<Finding> => {
  const { body } = await api.call(api.admin, 'GET', `/api/v1/doctor${query}`);
  const found = (body.findings as Finding[]).find((f) => f.check === check);
  assert.ok(found, `no check ${check} in ${JSON.stringify(body.findings)}`);
  return found;
};

const expect = (t: TestContext, name: string, work: (api: TestApi) => Promise<void>) =>
  t.test(name, async (inner) => work(await openApi(inner)));

test('the doctor', async (t) => {
  await expect(t, 'finds nothing wrong with a new installation', async (api) => {
    const { body } = await api.call(api.admin, 'GET', '/api/v1/doctor');
    assert.equal(body.healthy, true, JSON.stringify(body));
    assert.deepEqual(
      body.findings.filter((f: Finding) => f.verdict !== 'ok'),
      [],
    );
  });

  await expect(t, 'names an agent that fell silent, and for how long', async (api) => {
    await api.readings(api.admin, 'host/7', 'nic', [[START, 1]]);
    assert.equal((await ask(api, 'agents')).verdict, 'ok');
    api.clock.at += 5 * MINUTE;
    const silent = await ask(api, 'agents');
    assert.deepEqual([silent.verdict, silent.detail], ['problem', 'silent: host/7 (for 5 min)']);
  });

  await expect(t, 'names a source whose clock is off, and by how much', async (api) => {
    const late = START - 10 * MINUTE;
    const batch = {
      source: 'host/7',
      run: 'r',
      sequence: 1,
      sentAt: late,
      series: [{ resource: 'nic', meter: 'network.bytes.sent', epoch: 'e' }],
      readings: [[0, late, '1']],
    };
    await api.call(api.admin, 'POST', '/api/v1/readings', { body: batch });
    const skewed = await ask(api, 'clocks');
    assert.deepEqual([skewed.verdict, skewed.detail], ['warning', 'off: host/7 (10 min behind)']);
  });

  await expect(t, 'sees case 17: bytes stand still while packets move', async (api) => {
    const meter = (name: string) => `network.${name}.received`;
    for (const [name, to] of [
      ['bytes', 500],
      ['packets', 900],
    ] as const)
      await api.readings(
        api.admin,
        'host/7',
        'nic',
        [
          [START - 10 * MINUTE, 500],
          [START, to],
        ],
        meter(name),
      );
    api.clock.at += 1000;
    const stuck = await ask(api, 'stuck counters');
    assert.deepEqual([stuck.verdict, stuck.detail], ['problem', 'bytes stand still while packets move: nic received']);
  });

  await expect(t, 'counts what is in quarantine and what belongs to nobody', async (api) => {
    const event = (n: number) => ({ specversion: '1.0', id: '1', source: 's', type: 't', data: { n } });
    await api.call(api.admin, 'POST', '/api/v1/events', {
      raw: { body: JSON.stringify([event(1), event(2)]), type: 'application/cloudevents-batch+json' },
    });
    assert.match((await ask(api, 'quarantine')).detail, /^1 set aside: event.conflict$/);
    await api.readings(api.admin, 'host/7', 'nic', [
      [START - 10 * MINUTE, 1],
      [START, 9],
    ]);
    api.clock.at += 1000;
    assert.deepEqual((await ask(api, 'unattributed')).detail, 'usage of nobody: nic');
  });

  await expect(t, 'finds files with keys that others may read', async (api) => {
    const file = join(api.config.dataDir, 'admin.key');
    writeFileSync(file, 'tg_x', { mode: 0o600 });
    assert.equal((await ask(api, 'credentials')).verdict, 'ok');
    chmodSync(file, 0o644);
    const loose = await ask(api, 'credentials');
    assert.equal(loose.verdict, 'problem');
    assert.match(loose.detail, /admin.key \(644\)/);
  });

  await expect(t, 'says why the usage of an account is zero', async (api) => {
    await api.account('acme');
    const why = async (): Promise<string> => (await ask(api, 'account acme', '?account=acme')).detail;
    assert.match(await why(), /owns no resource/);
    await api.append(
      { kind: 'owner', resource: 'nic', account: 'acme', from: 0 },
      { kind: 'resource', id: 'nic', trafficType: null, tag: '', billable: null, name: '' },
    );
    assert.match(await why(), /nobody reports on nic/);
    await api.readings(api.admin, 'host/7', 'nic', [[START - MINUTE, 5]]);
    assert.match(
      await why(),
      /no usage in the last 24 hours though it owns nic: the last reading is of 2026-11-21T11:59:00Z/,
    );
    await api.readings(api.admin, 'host/7', 'nic', [[START, 6]]);
    api.clock.at += 1000;
    assert.match(await why(), /1 meters show usage/);
  });
});
