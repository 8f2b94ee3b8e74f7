/**
 * Section texts: list, domid, domiflist and domifstat as virsh 9.0.0 printed them for test:///default; domstats of a
 * QEMU domain is synthesised in its documented form, because no QEMU runs here. The last test runs virsh itself.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { realClock, realDisk } from '../real.ts';
import { type Commands, realCommands } from './commands.ts';
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
  /** What domifstat prints, by target. */
  ifstat?: Record<string, string>;
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

const VIRSH = 'virsh -r -c qemu:///system ';

/** A virsh that knows these domains: a command that fails prints nothing, and the last one's failure is its own. */
const set = (host: TestHost, domains: Record<string, Domain>): void => {
  const print = (command: string): string | null => {
    const [verb = '', ...words] = command.split(' ');
    if (verb === 'echo') return words.join(' ');
    if (verb === 'list') return `${Object.keys(domains).join('\n')}\n`;
    const domain = domains[words.find((word) => word in domains) ?? ''];
    if (domain === undefined || domain.nics === null) return null;
    const { id, name, nics: list, stats = [], ifstat = {} } = domain;
    if (verb === 'domifstat') return ifstat[words.at(-1) ?? ''] ?? null;
    const raw = `Domain: '${name}'\n${stats.map((s) => `  ${s}`).join('\n')}\n`;
    return { domid: `${id}\n`, domname: `${name}\n`, domiflist: nics(list), domstats: raw }[verb] ?? null;
  };
  host.prints.set(VIRSH, async (line) => {
    const printed = line.slice(VIRSH.length).split('; ').map(print);
    if (printed.at(-1) === null) throw new Error('virsh: error: failed to get domain');
    return printed.map((text) => (text === null ? '' : `${text}\n`)).join('');
  });
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

const domainOf = (id: string, rx = '1'): Domain => ({
  id,
  name: 'web',
  nics: [`vnet0 bridge ${MAC}`],
  stats: figures(0, 'vnet0', rx, '2'),
});
const gone: Domain = { id: '', name: '', nics: null };

for (const [place, vanished, stays] of [
  ['first', U1, U2],
  ['last', U2, U1],
] as const)
  test(`a domain that vanished while it was read has not ended, and the others are read: the ${place} of the list`, async () => {
    const host = new TestHost();
    set(host, { [U1]: domainOf('7'), [U2]: domainOf('8') });
    const libvirt = poller(host);
    await libvirt.poll();
    host.now += 10_000;
    set(host, { [U1]: domainOf('7'), [U2]: domainOf('8'), [vanished]: gone });
    const pass = await libvirt.poll();
    assert.deepEqual(new Set(pass.counted.map(({ object }) => object)), new Set([`${stays}/${MAC}`]));
    assert.deepEqual([pass.counted.length, pass.ended, codes(pass)], [4, [], [`unread ${vanished}`]]);
  });

test('when virsh fails over many domains each is asked by itself; when it fails over all there is no data', async () => {
  const host = new TestHost();
  set(host, { [U1]: domainOf('7'), [U2]: domainOf('8') });
  const virsh = host.prints.get(VIRSH);
  assert.ok(typeof virsh === 'function');
  let broken = (line: string): boolean => line.includes(U1) && line.includes('domid');
  host.prints.set(VIRSH, async (line) => {
    if (broken(line)) throw new Error('virsh was killed');
    return virsh(line);
  });
  const libvirt = poller(host);
  const pass = await libvirt.poll();
  assert.deepEqual([pass.counted.length, codes(pass)], [4, [`unread ${U1}`]]);
  broken = (line) => line.includes('domid');
  await assert.rejects(libvirt.poll(), /virsh was killed/);
  broken = (line) => line.includes('list');
  await assert.rejects(libvirt.poll(), /virsh was killed/);
});

test('an answer that is cut off is no answer of the domain it was cut in', async () => {
  const host = new TestHost();
  set(host, { [U1]: domainOf('7'), [U2]: domainOf('8') });
  const virsh = host.prints.get(VIRSH);
  assert.ok(typeof virsh === 'function');
  host.prints.set(VIRSH, async (line) => {
    const text = await virsh(line);
    return line.includes('domid') ? text.slice(0, text.lastIndexOf('net.0.tx.bytes')) : text;
  });
  const pass = await poller(host).poll();
  assert.deepEqual([pass.counted.length, codes(pass)], [4, [`unread ${U2}`]]);
});

test('figures that are missing for one pass have not ended, and begin nowhere when they are back', async () => {
  const host = new TestHost();
  const ifstat = { vnet0: ['rx_bytes', 'rx_packets', 'tx_bytes', 'tx_packets'].map((f) => `vnet0 ${f} 5\n`).join('') };
  const check = async (full: Domain, dark: Domain, kept: number): Promise<void> => {
    set(host, { [U1]: full });
    const libvirt = poller(host);
    const first = await libvirt.poll();
    host.now += 10_000;
    set(host, { [U1]: dark });
    const second = await libvirt.poll();
    host.now += 10_000;
    set(host, { [U1]: full });
    const third = await libvirt.poll();
    assert.deepEqual([first.counted.length, second.counted.length, third.counted.length], [4, kept, 4]);
    assert.deepEqual([second.ended, codes(second), third.ended], [[], [`unread ${U1}/${MAC}`], []]);
    assert.deepEqual(new Set(third.counted.map(({ start }) => start)), new Set([0]));
  };
  const full = domainOf('7', '1000');
  await check(full, { ...full, stats: [] }, 0);
  await check(full, { ...full, stats: figures(0, 'vnet0', '-1', '2') }, 3);
  await check({ ...full, stats: [], ifstat }, { ...full, stats: [] }, 0);
});

test('figures that a NIC never had before claim no start when they come: its life may be long', async () => {
  const host = new TestHost();
  const other = '52:54:00:aa:bb:cd';
  const full = { ...domainOf('7', '1000'), nics: [`vnet0 bridge ${MAC}`, `vnet1 bridge ${other}`] };
  const both = [...figures(0, 'vnet0', '1000', '2'), ...figures(1, 'vnet1', '5000', '6')];
  const one = figures(0, 'vnet0', '1000', '2');
  for (const restart of [false, true]) {
    set(host, { [U1]: { ...full, stats: one } });
    let libvirt = poller(host);
    const first = await libvirt.poll();
    assert.deepEqual(codes(first), [`unsupported ${U1}/${other}`]);
    if (restart) libvirt = poller(host, {}, first.memory?.() ?? '');
    host.now += 10_000;
    set(host, { [U1]: { ...full, stats: both } });
    assert.equal(find(await libvirt.poll(), `${U1}/${other}`, RX).start, 0);
  }
});

test('a NIC that was unplugged has ended, whatever the figures of its neighbour', async () => {
  const host = new TestHost();
  const other = '52:54:00:aa:bb:cd';
  const both = { ...domainOf('7'), nics: [`vnet0 bridge ${MAC}`, `vnet1 bridge ${other}`] };
  set(host, { [U1]: { ...both, stats: [...figures(0, 'vnet0', '1', '2'), ...figures(1, 'vnet1', '5', '6')] } });
  const libvirt = poller(host);
  await libvirt.poll();
  host.now += 10_000;
  set(host, { [U1]: { ...domainOf('7'), stats: [] } });
  const pass = await libvirt.poll();
  assert.deepEqual(new Set(pass.ended.map(({ object }) => object)), new Set([`${U1}/${other}`]));
  assert.deepEqual([pass.counted.length, codes(pass)], [0, [`unread ${U1}/${MAC}`]]);
});

test('one interface whose figures cannot be asked for hides no other', async () => {
  const host = new TestHost();
  const ifstat = { vnet0: ['rx_bytes', 'rx_packets', 'tx_bytes', 'tx_packets'].map((f) => `vnet0 ${f} 5\n`).join('') };
  set(host, { [U1]: { ...domainOf('7'), stats: [], ifstat }, [U2]: { ...domainOf('8'), stats: [], ifstat } });
  const virsh = host.prints.get(VIRSH);
  assert.ok(typeof virsh === 'function');
  host.prints.set(VIRSH, async (line) => {
    if (line.includes(`domifstat ${U1}`)) throw new Error('virsh was killed');
    return virsh(line);
  });
  const pass = await poller(host).poll();
  assert.deepEqual([pass.counted.length, codes(pass)], [4, [`unsupported ${U1}/${MAC}`]]);
});

test('a pass that was given up leaves no trace: the next one tells what ended', async () => {
  const host = new TestHost();
  set(host, { [U1]: domainOf('7') });
  const libvirt = poller(host);
  await libvirt.poll();
  set(host, {});
  await assert.rejects(libvirt.poll(AbortSignal.abort()));
  host.now += 1000;
  assert.equal((await libvirt.poll()).ended.length, 4);
});

test('a domain that calls itself like the heading of its own name is read', async () => {
  const host = new TestHost();
  set(host, { [U1]: { ...domainOf('7'), name: `@name ${U1}` }, [U2]: { ...domainOf('8'), name: '@end' } });
  const pass = await poller(host).poll();
  assert.deepEqual([pass.counted.length, codes(pass)], [8, []]);
});

test('names of domains move no section, and odd devices never reach a command', async () => {
  const asked = [U1, U2];
  const text = `@id ${U1}\n1\n\n@name ${U1}\n@stats ${U1}\n\n@nics ${U1}\n${nics([])}\n@stats ${U1}\nDomain: 'x'\n\n@id ${U2}\n2\n@name ${U2}\n@nics ${U2}\n@stats ${U2}\n@end\n`;
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

test('a real virsh that lost the last domain of its list counts the others', {
  skip: !hasVirsh() && 'needs virsh (libvirt-clients)',
}, async () => {
  const commands: Commands = {
    run: async (file, args, bounds) => {
      const printed = await realCommands.run(file, args, bounds);
      return args.includes('list') ? `${printed.trimEnd()}\n${U2}\n` : printed;
    },
  };
  const pass = await new LibvirtPoller(
    { clock: realClock, disk: realDisk, commands },
    { uri: 'test:///default', timeoutMs: 60_000 },
  ).poll();
  assert.deepEqual([pass.counted.length, codes(pass)], [4, [`unread ${U2}`]]);
});

test('libvirt’s own test driver is polled for real, through domifstat', {
  skip: !hasVirsh() && 'needs virsh (libvirt-clients)',
}, async () => {
  const world = { clock: realClock, disk: realDisk, commands: realCommands };
  const libvirt = new LibvirtPoller(world, { uri: 'test:///default', timeoutMs: 60_000 });
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
