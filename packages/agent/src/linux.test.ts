import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from './environment.ts';
import { LinuxInterfaces, type Memory, type Pass, parseMemory, parseNetDev } from './linux.ts';
import { realClock, realDisk } from './real.ts';

const HEAD = 'Inter-|   Receive\n face |bytes\n';
const line = (name: string, rx: bigint | number, tx: bigint | number): string =>
  `${name}: ${rx} 3 0 0 0 0 0 0 ${tx} 4 0 0 0 0 0 0\n`;

/** A machine whose interfaces tests change between looks. */
class Machine implements Disk {
  boot = 'boot-1';
  namespace = 4026;
  now = 1_000_000_000;
  uptime = 5000;
  interfaces = new Map<string, { ifindex: number; rx: bigint | number; tx: bigint | number }>();
  /** Interfaces /sys shows instead, when it is another namespace's. */
  foreign: string[] | null = null;
  afterRead: (() => void) | null = null;

  readonly clock = { now: () => this.now, elapsed: () => this.now, sleep: () => Promise.resolve() };

  set(name: string, ifindex: number, rx: bigint | number, tx: bigint | number = 0): void {
    this.interfaces.set(name, { ifindex, rx, tx });
  }
  read(path: string): string {
    if (path === '/proc/sys/kernel/random/boot_id') return `${this.boot}\n`;
    if (path === '/proc/uptime') return `${this.uptime}.25 1.00\n`;
    if (path === '/proc/net/dev') {
      const text = HEAD + [...this.interfaces].map(([name, i]) => line(name, i.rx, i.tx)).join('');
      this.afterRead?.();
      return text;
    }
    const name = /^\/sys\/class\/net\/(.+)\/ifindex$/.exec(path)?.[1] ?? '';
    const ifindex = this.foreign ? this.foreign.indexOf(name) + 1 : (this.interfaces.get(name)?.ifindex ?? 0);
    if (ifindex === 0) throw new Error(`ENOENT ${path}`);
    return `${ifindex}\n`;
  }
  list(): string[] {
    return this.foreign ?? [...this.interfaces.keys()];
  }
  inode(): number {
    return this.namespace;
  }
  replace(): void {}
}

const poller = (machine: Machine, memory: Memory | null = null) => new LinuxInterfaces(machine, machine.clock, memory);

test('the name ends at the last colon and figures keep all 64 bits', () => {
  const check = (text: string, name: string, received: bigint, sent: bigint) => {
    const [row] = parseNetDev(HEAD + text);
    assert.equal(row?.name, name);
    assert.equal(row?.receivedBytes, received);
    assert.equal(row?.sentBytes, sent);
    assert.equal(row?.receivedPackets, 3n);
    assert.equal(row?.sentPackets, 4n);
  };
  check(line('  eth0', 10, 20), 'eth0', 10n, 20n);
  check(
    'eth0:18446744073709551615 3 0 0 0 0 0 0 9007199254740993 4 0 0 0 0 0 0\n',
    'eth0',
    2n ** 64n - 1n,
    2n ** 53n + 1n,
  );
  check(line('eth0:1', 7, 8), 'eth0:1', 7n, 8n);
  assert.deepEqual(parseNetDev(`${HEAD}garbage\n\nbroken: 1 2\n`), []);
});

test('without an earlier pass the first value is a baseline', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 500);
  const pass = poller(machine).pass();
  assert.equal(pass.interfaces[0]?.start, 0);
  assert.equal(pass.interfaces[0]?.epoch, 'boot-1/4026/2');
  assert.deepEqual(pass.ended, []);
});

test('an interface that the pass before did not see starts at that pass', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 500);
  const p = poller(machine);
  const first = p.pass();
  machine.now += 10_000;
  machine.set('veth1', 9, 40);
  const second = p.pass();
  assert.deepEqual(
    second.interfaces.map((i) => [i.name, i.start]),
    [
      ['eth0', 0],
      ['veth1', first.at],
    ],
  );
});

test('case 14: the same name with another ifindex is a new epoch, and the old one ends just before it', () => {
  const machine = new Machine();
  machine.set('tap0', 5, 27_552_092);
  const p = poller(machine);
  const first = p.pass();
  machine.now += 10_000;
  machine.set('tap0', 6, 266);
  const second = p.pass();
  assert.deepEqual(second.ended, [{ id: 'tap0', epoch: 'boot-1/4026/5', at: second.at - 1 }]);
  assert.deepEqual(
    second.interfaces.map((i) => [i.epoch, i.start, i.receivedBytes]),
    [['boot-1/4026/6', first.at, 266n]],
  );
});

test('a vanished interface gets an end marker once', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1);
  machine.set('tap0', 5, 1);
  const p = poller(machine);
  p.pass();
  machine.interfaces.delete('tap0');
  machine.now += 10_000;
  assert.deepEqual(p.pass().ended, [{ id: 'tap0', epoch: 'boot-1/4026/5', at: machine.now }]);
  machine.now += 10_000;
  assert.deepEqual(p.pass().ended, []);
});

test('a renamed interface keeps its counter, so no start is claimed for it', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1000);
  const p = poller(machine);
  p.pass();
  machine.interfaces.delete('eth0');
  machine.set('wan0', 2, 1001);
  machine.now += 10_000;
  const renamed = p.pass();
  const { start, id, name, was, epoch } = renamed.interfaces[0] ?? {};
  assert.deepEqual([start, id, name, was, epoch], [0, 'eth0', 'wan0', 'eth0', 'boot-1/4026/2']);
  assert.deepEqual(renamed.ended, []);
});

test('two interfaces that swap their names stay what they were, also over a restart of the collector', () => {
  const machine = new Machine();
  machine.set('a', 2, 1000);
  machine.set('b', 3, 7);
  const p = poller(machine);
  p.pass();
  machine.interfaces.clear();
  machine.set('b', 2, 1001);
  machine.set('a', 3, 8);
  machine.now += 10_000;
  const rows = (pass: Pass) => pass.interfaces.map((i) => [i.id, i.name, i.epoch, i.start, i.receivedBytes]).sort();
  const swapped = p.pass();
  const expected = [
    ['a', 'b', 'boot-1/4026/2', 0, 1001n],
    ['b', 'a', 'boot-1/4026/3', 0, 8n],
  ];
  assert.deepEqual([rows(swapped), swapped.ended], [expected, []]);
  machine.now += 10_000;
  const remembered = parseMemory(JSON.stringify(swapped.memory));
  assert.deepEqual(rows(poller(machine, remembered).pass()), expected);
  // After a boot the names are new, and so are the counters.
  machine.boot = 'boot-2';
  machine.now += 10_000;
  assert.deepEqual(
    rows(poller(machine, remembered).pass()).map(([id, name]) => [id, name]),
    [
      ['a', 'a'],
      ['b', 'b'],
    ],
  );
});

test('a new interface under a name that a living one is known by gets one of its own, and a free one again', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1000);
  const p = poller(machine);
  p.pass();
  machine.interfaces.clear();
  machine.set('wan0', 2, 1001);
  machine.set('eth0', 9, 5);
  machine.now += 10_000;
  const second = p.pass();
  assert.deepEqual(
    second.interfaces.map((i) => [i.id, i.name, i.start]),
    [
      ['eth0', 'wan0', 0],
      ['eth0#9', 'eth0', machine.now - 10_000],
    ],
  );
  // Both go; what comes next as eth0 is eth0 again.
  machine.interfaces.clear();
  machine.set('eth0', 11, 3);
  machine.now += 10_000;
  const third = p.pass();
  assert.deepEqual(
    [third.interfaces.map((i) => i.id), third.ended.map((e) => [e.id, e.at])],
    [
      ['eth0'],
      [
        ['eth0', third.at - 1],
        ['eth0#9', third.at],
      ],
    ],
  );
});

test('an interface renamed again and again while it is read has not ended', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1000);
  const p = poller(machine);
  p.pass();
  machine.now += 10_000;
  let n = 0;
  machine.afterRead = () => {
    machine.interfaces.clear();
    machine.set(`eth${++n}`, 2, 1001);
  };
  const restless = p.pass();
  assert.deepEqual([restless.interfaces, restless.ended], [[], []]);
  machine.afterRead = null;
  assert.equal(restless.memory.ids?.[2], 'eth0');
  machine.now += 10_000;
  assert.deepEqual(
    p.pass().interfaces.map((i) => [i.id, i.start]),
    [['eth0', 0]],
  );
});

test('after a restart, what is remembered tells what began while the collector was away', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1000);
  const before = poller(machine).pass();
  machine.now += 600_000;
  machine.set('veth3', 12, 77);
  const after = poller(machine, before.memory).pass();
  assert.deepEqual(
    after.interfaces.map((i) => [i.name, i.start]),
    [
      ['eth0', 0],
      ['veth3', before.at],
    ],
  );
});

test('after a reboot counters start at the boot, not at the last pass', () => {
  const machine = new Machine();
  machine.set('eth0', 2, 1000);
  const before = poller(machine).pass();
  machine.boot = 'boot-2';
  machine.now += 3_600_000;
  machine.uptime = 60;
  const after = poller(machine, before.memory).pass();
  assert.equal(after.interfaces[0]?.epoch, 'boot-2/4026/2');
  assert.equal(after.interfaces[0]?.start, Math.floor(machine.now / 1000 - 60.25) * 1000);
  assert.deepEqual(after.ended, []);
});

test('an interface re-created between the two reads gives its own value or none', () => {
  const machine = new Machine();
  machine.set('tap0', 5, 900_000);
  const p = poller(machine);
  p.pass();
  machine.now += 10_000;
  // The value is read, then the interface is replaced, then its ifindex is read.
  machine.afterRead = () => {
    machine.afterRead = null;
    machine.set('tap0', 6, 12);
  };
  const [seen] = p.pass().interfaces;
  assert.deepEqual([seen?.epoch, seen?.receivedBytes], ['boot-1/4026/6', 12n]);
});

test('where /sys shows another namespace the ifindex is not believed', () => {
  const machine = new Machine();
  machine.set('lo', 1, 10);
  machine.foreign = ['eth0', 'lo'];
  const p = poller(machine);
  assert.equal(p.indexed, false);
  assert.equal(p.pass().interfaces[0]?.epoch, 'boot-1/4026/0');
});

test('the interfaces of this machine are read for real', {
  skip: process.platform !== 'linux' && 'needs Linux',
}, () => {
  const pass = new LinuxInterfaces(realDisk, realClock).pass();
  const lo = pass.interfaces.find((i) => i.name === 'lo');
  assert.ok(lo, 'every Linux has lo');
  assert.equal(lo.receivedBytes, lo.sentBytes, 'what lo sends it receives');
});
