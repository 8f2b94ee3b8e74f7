/** /proc/net/dev in the form of Linux 6.18, `ip -d -j link show` cut from what iproute2 6.1 printed; figures are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '../environment.ts';
import { realClock, realDisk } from '../real.ts';
import { realCommands } from './commands.ts';
import { InterfacesPoller, type InterfacesSettings } from './interfaces.ts';
import { parseLinks } from './links.ts';
import { codes, find, TestHost } from './testing/world.ts';

const IP = 'ip -d -j link show';
const link = (ifindex: number, name: string, more = ''): string =>
  `{"ifindex":${ifindex},"ifname":"${name}","mtu":1500,"link_type":"ether","address":"02:FC:00:00:00:0${ifindex % 10}"${more}}`;
const VXLAN =
  ',"linkinfo":{"info_kind":"vxlan","info_data":{"id":42,"remote":"10.0.0.2","port":4789}},"ifalias":"acme"';

/** Interfaces by name -> ifindex and bytes, and what `ip` says of them. */
class Machine extends TestHost {
  interfaces = new Map<string, { ifindex: number; bytes: string }>();
  readonly machine: Disk = {
    ...this.disk,
    read: (path) => {
      if (path === '/proc/net/dev') {
        const rows = [...this.interfaces].map(
          ([name, { bytes }]) => `${name}:${bytes} 2 0 0 0 0 0 0 ${bytes} 3 0 0 0 0 0 0`,
        );
        return ['Inter-|   Receive', ' face |bytes', ...rows, ''].join('\n');
      }
      const kind = /^\/sys\/class\/net\/(.*)\/(?:uevent|type)$/.exec(path);
      if (kind !== null)
        return path.endsWith('type') ? '1\n' : `${kind[1]?.startsWith('vx') ? 'DEVTYPE=vxlan\n' : ''}IFINDEX=1\n`;
      const name = /^\/sys\/class\/net\/(.*)\/ifindex$/.exec(path)?.[1];
      if (name === undefined) return this.disk.read(path);
      const found = this.interfaces.get(name);
      if (found === undefined) throw new Error('ENOENT');
      return `${found.ifindex}\n`;
    },
    list: () => [...this.interfaces.keys()],
  };
}
const poller = (machine: Machine, settings: InterfacesSettings = {}, memory: string | null = null) =>
  new InterfacesPoller(
    { ...machine, clock: machine.clock, commands: machine.commands, disk: machine.machine },
    settings,
    memory,
  );
const RX = 'network.bytes.received';

test('each interface is four counters, with tag, alias and address of what ip knows', async () => {
  const machine = new Machine();
  machine.interfaces.set('eth0', { ifindex: 4, bytes: '18446744073709551615' }).set('vx0', { ifindex: 5, bytes: '7' });
  machine.prints.set(IP, `[${link(4, 'eth0')},${link(5, 'vx0', VXLAN)}]`);
  const pass = await poller(machine).poll();
  assert.equal(pass.counted.length, 8);
  const [eth0, vx0] = [find(pass, 'eth0', RX), find(pass, 'vx0', RX)];
  assert.deepEqual(
    [eth0.value, eth0.epoch, eth0.tag, eth0.mac, eth0.layer],
    [18446744073709551615n, 'boot-1/4026/4', undefined, '02:fc:00:00:00:04', undefined],
  );
  assert.deepEqual(
    [vx0.tag, vx0.alias, vx0.layer],
    ['vni:42', 'acme', 'L3'],
    'a vxlan device counts no inner Ethernet',
  );
});

test('the layer is part of the series, so it holds without ip, and the end marker of a series has it too', async () => {
  const machine = new Machine();
  machine.interfaces.set('vx0', { ifindex: 5, bytes: '7' });
  const p = poller(machine);
  const first = await p.poll();
  assert.equal(find(first, 'vx0', RX).layer, 'L3');
  machine.interfaces.clear();
  machine.now += 10_000;
  const restarted = await poller(machine, {}, first.memory?.() ?? '').poll();
  assert.deepEqual(new Set(restarted.ended.map(({ layer }) => layer)), new Set(['L3']));
  assert.deepEqual(
    (await p.poll()).ended.map(({ layer }) => layer),
    ['L3', 'L3', 'L3', 'L3'],
  );
});

test('VLAN 42 and VNI 42 are two tags', () => {
  const vlan = ',"linkinfo":{"info_kind":"vlan","info_data":{"protocol":"802.1Q","id":42}}';
  const tags = [...parseLinks(`[${link(1, 'a', vlan)},${link(2, 'b', VXLAN)},${link(3, 'c')},{}]`).values()].map(
    ({ tag }) => tag,
  );
  assert.deepEqual(tags, ['vlan:42', 'vni:42', '']);
  assert.throws(() => parseLinks('{}'), /no list of links/);
});

test('ip is asked when interfaces come and now and then, not at every pass; without it the pass stands', async () => {
  const machine = new Machine();
  machine.interfaces.set('eth0', { ifindex: 4, bytes: '1' });
  machine.prints.set(IP, `[${link(4, 'eth0')}]`);
  const p = poller(machine);
  for (let i = 0; i < 3; i++, machine.now += 10_000) await p.poll();
  assert.equal(machine.ran.length, 1);
  machine.interfaces.set('tap1', { ifindex: 5, bytes: '1' });
  machine.prints.set(IP, new Error('ip: not found'));
  const pass = await p.poll();
  assert.deepEqual([machine.ran.length, pass.counted.length, codes(pass)], [2, 8, ['no_details ']]);
  assert.equal(find(pass, 'tap1', RX).start, machine.now - 10_000);
  assert.equal((await poller(machine, { details: false }).poll()).counted.length, 8);
});

test('a pass that was given up leaves no trace, and a restart with its memory goes on', async () => {
  const machine = new Machine();
  machine.interfaces.set('eth0', { ifindex: 4, bytes: '1' }).set('tap1', { ifindex: 5, bytes: '1' });
  const stop = new AbortController();
  const p = poller(machine, { detailsMs: 0 });
  machine.prints.set(IP, '[]');
  const memory = (await p.poll()).memory?.() ?? '';
  machine.interfaces.delete('tap1');
  machine.now += 10_000;
  machine.prints.set(IP, async () => {
    stop.abort();
    return '[]';
  });
  await assert.rejects(p.poll(stop.signal));
  machine.prints.set(IP, '[]');
  assert.equal((await p.poll()).ended.length, 4);
  assert.equal((await poller(machine, {}, memory).poll()).ended.length, 4);
});

test('one pass over 10,000 interfaces costs less than a second of CPU', async (t) => {
  const machine = new Machine();
  const links: string[] = [];
  for (let i = 1; i <= 10_000; i++) {
    machine.interfaces.set(`tap${i}`, { ifindex: i, bytes: String(2n ** 63n + BigInt(i)) });
    links.push(link(i, `tap${i}`, VXLAN));
  }
  machine.prints.set(IP, `[${links.join(',')}]`);
  const p = poller(machine);
  const costs: number[] = [];
  for (const what of ['first, with details', 'steady']) {
    const begun = process.cpuUsage();
    const pass = await p.poll();
    const { user, system } = process.cpuUsage(begun);
    costs.push((user + system) / 1000);
    t.diagnostic(`${what}: ${((user + system) / 1000).toFixed(0)} ms for ${pass.counted.length} counters`);
    assert.equal(pass.counted.length, 40_000);
    machine.now += 10_000;
  }
  assert.ok(Math.max(...costs) < 1000, `${costs.join(' and ')} ms`);
});

test('the interfaces of this machine are polled for real', {
  skip: process.platform !== 'linux' && 'needs Linux',
}, async () => {
  const pass = await new InterfacesPoller({ clock: realClock, disk: realDisk, commands: realCommands }).poll();
  assert.equal(find(pass, 'lo', RX).value, find(pass, 'lo', 'network.bytes.sent').value);
});
