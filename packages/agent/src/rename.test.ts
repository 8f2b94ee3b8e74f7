/**
 * Renames of real interfaces, in a network namespace: whatever two veth ends are called, each goes on in its own series,
 * and what is counted between two passes is what the kernel counted.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const unshared = (...command: string[]): string =>
  execFileSync('unshare', ['--net', '--mount', ...command], { encoding: 'utf8', timeout: 30_000 });

const reason = (): false | string => {
  try {
    // Asked by doing it: root in a container may not make a namespace, nor mount /sys in it.
    unshared('sh', '-c', 'mount -t sysfs none /sys && ip link add va type veth peer name vb');
    return false;
  } catch {
    return 'needs root, linux and ip: network namespaces';
  }
};
const skip = process.platform === 'linux' && process.getuid?.() === 0 ? reason() : 'needs root, linux';

/** Runs in the namespace: makes the pair, renames, sends; prints a pass a line. */
const script = `
import { execSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
const { LinuxInterfaces } = await import(process.argv[1]);
const { realClock, realDisk } = await import(process.argv[2]);
const sh = (line) => execSync(line, { stdio: 'pipe' });
const show = (pass) => console.log(JSON.stringify(pass, (_, v) => (typeof v === 'bigint' ? String(v) : v)));
sh('echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6');
sh('ip link add va type veth peer name vb && ip link add vc type veth peer name vd');
sh('ip addr add 10.78.0.1/24 dev va && ip addr add 10.79.0.1/24 dev vc');
const up = (...names) => names.forEach((n) => sh('ip link set ' + n + ' up'));
const rename = (from, to) => sh('ip link set ' + from + ' down && ip link set ' + from + ' name ' + to);
up('va', 'vb', 'vc', 'vd');
const socket = createSocket('udp4');
await new Promise((done) => socket.bind(0, done));
socket.setBroadcast(true);
const send = async (net, packets) => {
  for (let i = 0; i < packets; i++)
    await new Promise((done) => socket.send(Buffer.alloc(100), 9, '10.' + net + '.0.255', done));
  await realClock.sleep(20);
};
const poller = new LinuxInterfaces(realDisk, realClock);
await send(78, 50);
show(poller.pass());
await send(78, 3);
await send(79, 5);
// Swap: va <-> vc. The address follows the link, and the route with it.
rename('va', 'vx'); rename('vc', 'va'); rename('vx', 'vc');
up('va', 'vc');
await send(78, 4);
await send(79, 7);
await realClock.sleep(5);
show(poller.pass());
// The first link goes, a new one takes the name it had at first.
sh('ip link del vc');
await realClock.sleep(5);
sh('ip link add ve type veth peer name vb');
await realClock.sleep(5);
show(poller.pass());
socket.close();
`;

interface Seen {
  ended: { id: string }[];
  interfaces: { id: string; name: string; ifindex: number; epoch: string; start: number; sentPackets: string }[];
}

test('two real interfaces that swap names count on as themselves', { skip }, () => {
  const module = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const out = unshared(
    'sh',
    '-c',
    'mount -t sysfs none /sys && exec "$0" --input-type=module -e "$1" "$2" "$3"',
    process.execPath,
    script,
    module('./linux.js'),
    module('./real.js'),
  );
  const [first, second, third] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Seen) as [Seen, Seen, Seen];
  const of = (pass: Seen, id: string) => {
    const found = pass.interfaces.find((i) => i.id === id);
    assert.ok(found, `${id} is in the pass`);
    return found;
  };
  const sent = (id: string) => Number(of(second, id).sentPackets) - Number(of(first, id).sentPackets);
  assert.deepEqual([sent('va'), sent('vc')], [3 + 4, 5 + 7]);
  for (const [id, name] of [
    ['va', 'vc'],
    ['vc', 'va'],
  ] as const) {
    const { name: now, start, epoch } = of(second, id);
    assert.deepEqual([now, start, epoch], [name, 0, of(first, id).epoch]);
  }
  assert.deepEqual(second.ended, []);
  assert.deepEqual(third.ended.map((e) => e.id).sort(), ['va', 'vb']);
  const fresh = third.interfaces.filter((i) => i.start > 0).map((i) => [i.id, i.name]);
  assert.deepEqual(fresh.sort(), [
    ['vb', 'vb'],
    ['ve', 've'],
  ]);
});
