/** The collector through the door: what the kernel counted is what is metered, whatever the interfaces are called. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Collector, type Disk, networkMeters, realRandomness } from '@tollgate/agent';
import { openApi } from './api/testing/api.ts';
import { adoptInterfaces } from './first-start.ts';

const SOURCE = 'host/a';

/** Interfaces by ifindex: name and bytes received. */
type Interfaces = Map<number, { name: string; bytes: number }>;

const diskOf = (interfaces: Interfaces): Disk => ({
  read: (path) => {
    if (path.endsWith('boot_id')) return 'boot';
    if (path === '/proc/net/dev')
      return `h\nh\n${[...interfaces.values()].map((i) => `${i.name}: ${i.bytes} 1 0 0 0 0 0 0 2 3 0 0 0 0 0 0\n`).join('')}`;
    for (const [ifindex, { name }] of interfaces) if (path === `/sys/class/net/${name}/ifindex`) return String(ifindex);
    throw new Error(`ENOENT ${path}`);
  },
  list: () => [...interfaces.values()].map((i) => i.name),
  inode: () => 1,
  replace: () => undefined,
});

test('interfaces that swap names, and a new one under an old name, are metered as what they are', async (t) => {
  const api = await openApi(t);
  await api.account('default');
  const interfaces: Interfaces = new Map([
    [2, { name: 'eth0', bytes: 9_000_000 }],
    [3, { name: 'eth1', bytes: 50 }],
  ]);
  const collector = new Collector(
    {
      clock: api.clock,
      random: realRandomness,
      disk: diskOf(interfaces),
      network: {
        post: async (path, body, type) => {
          const answer = await api.call(api.admin, 'POST', path, { raw: { body, type } });
          return { status: answer.status, retryAfter: 0, body: answer.text };
        },
      },
    },
    { source: SOURCE, intervalMs: 10_000, statePath: '' },
    {
      report: ({ message }) => assert.fail(message),
      seen: async (list) => {
        await adoptInterfaces(api.context.log, SOURCE, 'default', list);
      },
    },
  );
  const pass = async (change: () => void): Promise<void> => {
    api.clock.at += 10_000;
    change();
    assert.equal(await collector.once(), true);
  };
  await pass(() => undefined);
  await pass(() => {
    interfaces.set(2, { name: 'eth1', bytes: 9_000_100 });
    interfaces.set(3, { name: 'eth0', bytes: 57 });
  });
  await pass(() => {
    interfaces.set(2, { name: 'wan0', bytes: 9_000_300 });
    interfaces.set(9, { name: 'eth1', bytes: 11 });
  });
  const url = `/api/v1/usage?groupBy=resource&meter=${networkMeters.receivedBytes}`;
  const { body } = await api.call(api.admin, 'GET', url);
  assert.deepEqual(
    body.items.map((i: { group: { resource: string }; quantity: string }) => [i.group.resource, i.quantity]),
    [
      ['host/a/eth0', '300'],
      ['host/a/eth1', '7'],
      ['host/a/eth1#9', '11'],
    ],
  );
  const resources = await api.call(api.admin, 'GET', '/api/v1/resources');
  assert.deepEqual(
    resources.body.items.map((r: { id: string; name: string }) => [r.id, r.name]),
    [
      ['host/a/eth0', 'wan0'],
      ['host/a/eth1', 'eth0'],
      ['host/a/eth1#9', 'eth1'],
    ],
  );
});
