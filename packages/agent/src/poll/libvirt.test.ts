/**
 * Section texts: list, domid, domiflist and domifstat as virsh 9.0.0 printed them for test:///default; domstats of a
 * QEMU domain is synthesised in its documented form, because no QEMU runs here. The last test runs virsh itself.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { realClock, realDisk } from '../real.ts';
import { realCommands } from './commands.ts';
import { LibvirtPoller, type LibvirtSettings } from './libvirt.ts';
import { codes, find, TestHost, values } from './testing/world.ts';
import { answersOf, nicsOf } from './virsh.ts';

const U1 = '6695eb01-f6a4-8304-79aa-97f2502e193f';
const U2 = '11111111-2222-4333-8444-555555555555';
const MAC = '52:54:00:aa:bb:cc';
const RX = 'network.bytes.received';
const TX = 'network.bytes.sent';

interface Domain {
  id: string;
  name: string;
  /** target type mac, or null for a domain that went away. */
  nics: string[] | null;
  stats?: string[];
}

const nics = (lines: string[]): string =>
  [
    ' Interface   Type      Source    Model    MAC',
    '-------------------------------------------------------------',
    ...lines.map((line) => {
      const [target, type, mac] = line.split(' ');
      return ` ${target}       ${type}    br0       virtio   ${mac}`;
    }),
    '',
  ].join('\n');

/** Everything virsh prints for these domains. */
const set = (host: TestHost, domains: Record<string, Domain>, ifstat = ''): void => {
  host.prints.set('virsh -r -c qemu:///system list --uuid', `${Object.keys(domains).join('\n')}\n\n`);
  const sections = Object.entries(domains).flatMap(([uuid, { id, name, nics: list, stats = [] }]) => [
    `@id ${uuid}\n${id}\n`,
    `@name ${uuid}\n${name}\n`,
    `@nics ${uuid}\n${list === null ? '' : nics(list)}`,
    `@stats ${uuid}\n${list === null ? '' : `Domain: '${name}'\n${stats.map((s) => `  ${s}`).join('\n')}\n`}`,
  ]);
  host.prints.set('virsh -r -c qemu:///system echo @id', sections.join('\n'));
  host.prints.set('virsh -r -c qemu:///system echo @if', ifstat);
};
const figures = (n: number, name: string, rx: string, tx: string): string[] => [
  `net.${n}.name=${name}`,
  ...[`rx.bytes=${rx}`, 'rx.pkts=1', 'rx.errs=0', 'rx.drop=0'].map((s) => `net.${n}.${s}`),
  ...[`tx.bytes=${tx}`, 'tx.pkts=2', 'tx.errs=0', 'tx.drop=0'].map((s) => `net.${n}.${s}`),
];
const poller = (host: TestHost, settings: LibvirtSettings = {}, memory: string | null = null) =>
  new LibvirtPoller(host, settings, memory);

test('a NIC is its domain’s uuid and MAC; the epoch is boot, domain id and target', async () => {
  const host = new TestHost();
  set(host, {
    [U1]: {
      id: '7',
      name: 'web',
      nics: [`vnet0 bridge ${MAC}`],
      stats: ['net.count=1', ...figures(0, 'vnet0', '18446744073709551614', '20')],
    },
  });
  const libvirt = poller(host);
  const pass = await libvirt.poll();
  assert.deepEqual(values(pass), {
    [`${U1}/${MAC} ${RX}`]: 18446744073709551614n,
    [`${U1}/${MAC} network.packets.received`]: 1n,
    [`${U1}/${MAC} ${TX}`]: 20n,
    [`${U1}/${MAC} network.packets.sent`]: 2n,
  });
  const nic = find(pass, `${U1}/${MAC}`, RX);
  assert.deepEqual([nic.epoch, nic.name, nic.mac, nic.hints?.network], ['boot-1/7/vnet0', 'web vnet0', MAC, 'br0']);
  assert.equal(libvirt.declaration.global, true);
});

test('rx is what the guest received: libvirt has swapped taps already; types named in hostView are swapped here', async () => {
  const host = new TestHost();
  const stats = ['net.count=2', ...figures(0, 'vnet0', '10', '20'), ...figures(1, 'macvtap0', '30', '40')];
  const other = '52:54:00:aa:bb:cd';
  set(host, { [U1]: { id: '7', name: 'web', nics: [`vnet0 bridge ${MAC}`, `macvtap0 direct ${other}`], stats } });
  const seen = async (settings: LibvirtSettings): Promise<bigint[]> => {
    const pass = await poller(host, settings).poll();
    return [MAC, other].flatMap((mac) => [RX, TX].map((meter) => find(pass, `${U1}/${mac}`, meter).value));
  };
  assert.deepEqual(await seen({}), [10n, 20n, 30n, 40n]);
  assert.deepEqual(await seen({ hostView: ['direct'] }), [10n, 20n, 40n, 30n]);
  assert.deepEqual(await seen({ hostView: ['bridge', 'direct'] }), [20n, 10n, 40n, 30n]);
});

test('a domain that is started again or comes by migration opens a new epoch of the same NIC', async () => {
  const host = new TestHost();
  const domain = (id: string, target: string, rx: string): Record<string, Domain> => ({
    [U1]: { id, name: 'web', nics: [`${target} bridge ${MAC}`], stats: figures(0, target, rx, '0') },
  });
  set(host, domain('7', 'vnet0', '1000'));
  const libvirt = poller(host);
  await libvirt.poll();
  const first = host.now;
  host.now += 10_000;
  set(host, domain('8', 'vnet4', '30'));
  const pass = await libvirt.poll();
  const nic = find(pass, `${U1}/${MAC}`, RX);
  assert.deepEqual([nic.epoch, nic.start, nic.value], ['boot-1/8/vnet4', first, 30n]);
  assert.deepEqual(
    pass.ended.find(({ meter }) => meter === RX),
    { object: `${U1}/${MAC}`, meter: RX, epoch: 'boot-1/7/vnet0', at: host.now - 1 },
  );
  host.now += 10_000;
  set(host, {});
  assert.equal((await libvirt.poll()).ended.length, 4, 'migrated away');
});

test('what a driver does not count is said once and never zero', async () => {
  const host = new TestHost();
  const stats = ['net.0.name=vnet0', 'net.0.rx.bytes=-1', 'net.0.tx.bytes=18446744073709551615', 'net.0.rx.pkts=5'];
  set(host, { [U1]: { id: '7', name: 'web', nics: [`vnet0 bridge ${MAC}`, '- hostdev 52:54:00:00:00:01'], stats } });
  const libvirt = poller(host);
  const pass = await libvirt.poll();
  assert.deepEqual(values(pass), { [`${U1}/${MAC} network.packets.received`]: 5n });
  assert.deepEqual(codes(pass), [`unsupported ${U1}/${MAC}`, `unsupported ${U1}/52:54:00:00:00:01`]);
  assert.deepEqual(codes(await libvirt.poll()), []);
});

test('a domain that vanished while it was read has not ended, and the others are read', async () => {
  const host = new TestHost();
  const domain = { id: '7', name: 'web', nics: [`vnet0 bridge ${MAC}`], stats: figures(0, 'vnet0', '1', '2') };
  set(host, { [U1]: domain, [U2]: { ...domain, id: '8' } });
  const libvirt = poller(host);
  await libvirt.poll();
  host.now += 10_000;
  set(host, { [U1]: { ...domain, id: '', nics: null }, [U2]: { ...domain, id: '8' } });
  const pass = await libvirt.poll();
  assert.deepEqual([pass.counted.length, pass.ended, codes(pass)], [4, [], [`unread ${U1}`]]);
});

test('names of domains move no section, and odd devices never reach a command', async () => {
  const asked = [U1, U2];
  const text = `@id ${U1}\n1\n\n@name ${U1}\n@stats ${U1}\n\n@nics ${U1}\n${nics([])}\n@stats ${U1}\nDomain: 'x'\n\n@id ${U2}\n2\n`;
  const answers = answersOf(text, asked);
  assert.equal(answers.get(U1)?.id, '1');
  assert.equal(answers.get(U2)?.id, '2');
  const host = new TestHost();
  set(host, { [U1]: { id: '7', name: 'a; shutdown', nics: [`vnet0;shutdown bridge ${MAC}`] } });
  assert.deepEqual(codes(await poller(host).poll()), [`unsupported ${U1}/${MAC}`]);
  assert.ok(host.ran.every((line) => !line.includes('shutdown')));
  assert.throws(() => poller(host, { uri: '--help' }), /no libvirt address/);
});

test('two NICs with one MAC are both counted, and said', async () => {
  const host = new TestHost();
  set(host, {
    [U1]: {
      id: '7',
      name: 'web',
      nics: [`vnet0 bridge ${MAC}`, `vnet1 bridge ${MAC}`],
      stats: [...figures(0, 'vnet0', '1', '2'), ...figures(1, 'vnet1', '3', '4')],
    },
  });
  const pass = await poller(host).poll();
  assert.equal(find(pass, `${U1}/${MAC}/vnet1`, RX).value, 3n);
  assert.deepEqual(codes(pass), [`duplicate ${U1}/${MAC}/vnet1`]);
  assert.equal(nicsOf('error: x'), null);
});

const hasVirsh = (): boolean => {
  try {
    execFileSync('virsh', ['--version'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
};

test('libvirt’s own test driver is polled for real, through domifstat', {
  skip: !hasVirsh() && 'needs virsh (libvirt-clients)',
}, async () => {
  const world = { clock: realClock, disk: realDisk, commands: realCommands };
  const libvirt = new LibvirtPoller(world, { uri: 'test:///default' });
  const first = await libvirt.poll();
  const second = await libvirt.poll();
  const object = `${U1}/aa:bb:cc:dd:ee:ff`;
  assert.equal(first.counted.length, 4);
  assert.deepEqual(codes(first), []);
  for (const meter of [RX, TX]) {
    assert.ok(find(first, object, meter).value > 0n);
    assert.ok(find(second, object, meter).value >= find(first, object, meter).value, 'its figures rise with the clock');
  }
  assert.match(find(first, object, RX).epoch, /^[\da-f-]{36}\/1\/testnet0$/);
});
