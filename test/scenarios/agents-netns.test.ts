/** Pollers on real counters in namespaces: what they say must be what was sent, to the byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { IptablesPoller, NftPoller, type PollPass, virtualRouter } from '@tollgate/agent';
import { isLong, needs } from '../needs.ts';
import { RIGHT_ADDRESS } from './namespace.ts';
import { Inside, loadRules, moved, openWire, type Polled, RX, send, TIMEOUT, TX, valueIn, world } from './polled.ts';

const COUNTERS = 'counter t.acme.n.public.out {\n}\n';
const CHAIN = `chain output {
  type filter hook output priority 0;
  udp dport 9000 counter name "t.acme.n.public.out"
}`;

test('nft counters: a reload that keeps the objects keeps the chain, a re-creation opens a new epoch', {
  skip: needs('linux', 'netns', 'nft'),
  timeout: TIMEOUT,
}, async (t) => {
  const wire = openWire(t, 'n');
  const nft = new NftPoller(world, { namespace: wire.left });
  assert.deepEqual((await nft.poll()).counted, [], 'no rules yet');
  loadRules(wire, wire.left, `table inet tollgate {\n${COUNTERS}${CHAIN}\n}`);
  await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9000 }, 50, 900);
  const first = await nft.poll();
  const object = 'inet/tollgate/t.acme.n.public.out';
  assert.equal(valueIn(first, object, TX), 50n * 928n, 'IP and UDP headers, no Ethernet');
  assert.ok((first.counted[0]?.start ?? 0) > 0, 'it began after a pass that did not see it: all of it counts');
  // One transaction that declares the chain anew and leaves the counter object alone.
  loadRules(
    wire,
    wire.left,
    `table inet tollgate {\n${CHAIN}\n}\ndelete chain inet tollgate output\ntable inet tollgate {\n${CHAIN}\n}`,
  );
  await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9000 }, 20, 900);
  const second = await nft.poll();
  assert.equal(valueIn(second, object, TX), 70n * 928n);
  assert.deepEqual([second.ended, second.counted[0]?.epoch], [[], first.counted[0]?.epoch]);
  loadRules(wire, wire.left, `flush ruleset\ntable inet tollgate {\n${COUNTERS}${CHAIN}\n}`);
  await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9000 }, 5, 900);
  const third = await nft.poll();
  assert.equal(valueIn(third, object, TX), 5n * 928n);
  const old = first.counted[0]?.epoch;
  assert.notEqual(third.counted[0]?.epoch, old, 'its table’s handle tells, its own is given again');
  assert.deepEqual(
    third.ended.map((e) => e.epoch),
    [old, old],
  );
});

const ROUTER = [
  'iptables -N NETWORK_STATS',
  'iptables -A OUTPUT -j NETWORK_STATS',
  'iptables -A NETWORK_STATS -o tg0 ! -i eth0',
  'iptables -A NETWORK_STATS -i tg0 ! -o eth0',
  'iptables -t mangle -N VPN_STATS_tg0',
  'iptables -t mangle -A OUTPUT -p udp --dport 9001 -j MARK --set-mark 0x525',
  'iptables -t mangle -A OUTPUT -j VPN_STATS_tg0',
  'iptables -t mangle -A VPN_STATS_tg0 -o tg0 -m mark --mark 0x525',
];

for (const backend of ['iptables', 'iptables-legacy'] as const)
  test(`${backend}: the chains of a virtual router count public and VPN traffic, and -Z is a falling value`, {
    skip: needs('linux', 'netns', 'iptables'),
    timeout: TIMEOUT,
  }, async (t) => {
    const wire = openWire(t, backend === 'iptables' ? 'i' : 'j');
    const script = ROUTER.filter((line) => !line.includes('-A NETWORK_STATS -i'))
      .join('\n')
      .replaceAll('iptables', backend);
    wire.in(wire.left, 'sh', '-ec', script);
    const chains = virtualRouter({ publicDevice: 'tg0' });
    const poller = new IptablesPoller(world, { namespace: wire.left, backends: [backend], chains });
    const sums = async (): Promise<Record<string, bigint>> => {
      const pass = await poller.poll();
      assert.deepEqual(pass.troubles, []);
      const bytes = pass.counted.filter(({ meter }) => meter === TX || meter === RX);
      return Object.fromEntries(bytes.map((c) => [`${c.hints?.trafficType} ${c.meter.split('.').at(-1)}`, c.value]));
    };
    await sums();
    await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9000 }, 40, 700);
    await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9001 }, 10, 300);
    const each = { public: 40n * 728n + 10n * 328n, vpn: 10n * 328n };
    assert.deepEqual(await sums(), { 'vpn sent': each.vpn, 'public sent': each.public });
    wire.in(wire.left, backend, '-Z');
    assert.deepEqual(await sums(), { 'vpn sent': each.vpn, 'public sent': 0n });
  });

test('Debian’s node_exporter, scraped, says of an interface what the kernel says, with the ifindex as epoch', {
  skip: needs('linux', 'netns', 'node-exporter'),
  timeout: TIMEOUT,
}, async (t) => {
  const wire = openWire(t, 'e');
  const exporter = wire.spawn(wire.left, [
    'prometheus-node-exporter',
    '--web.listen-address=127.0.0.1:9100',
    '--collector.disable-defaults',
    '--collector.netdev',
    '--collector.netclass',
  ]);
  t.after(() => exporter.kill('SIGKILL'));
  const page = new Inside(t, wire, wire.left, 'node-exporter', 'http://127.0.0.1:9100/metrics');
  let before: PollPass | undefined;
  for (let tries = 0; tries < 100 && before === undefined; tries++) {
    await wait(50);
    before = await page.poll().then(
      ({ pass }) => pass,
      () => undefined,
    );
  }
  assert.ok(before, 'the exporter answers');
  await send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9000 }, 100, 900);
  const { pass } = await page.poll();
  assert.equal(moved(before, pass, 'tg0', TX), 100n * 942n);
  const kernel = wire.counters();
  assert.deepEqual([valueIn(pass, 'tg0', TX), valueIn(pass, 'tg0', RX)], [kernel.sentBytes, kernel.receivedBytes]);
  const seen = pass.counted.find(({ object }) => object === 'tg0');
  assert.deepEqual([seen?.epoch, seen?.mac], [String(kernel.ifindex), '02:00:00:00:77:01']);
  wire.unplug();
  wire.plug();
  const anew = (await page.poll()).pass.counted.find(({ object, meter }) => object === 'tg0' && meter === TX);
  assert.deepEqual([anew?.epoch, anew?.value, anew?.start], [String(wire.counters().ifindex), 0n, pass.at]);
});

test('some hundred interfaces of a namespace are read in one pass, well under a second for 10,000', {
  skip: needs('linux', 'netns'),
  timeout: TIMEOUT,
}, async (t) => {
  const wire = openWire(t, 'm');
  const pairs = isLong ? 500 : 100;
  const batch = Array.from({ length: pairs }, (_, i) => `link add va${i} type veth peer name vb${i}`).join('\n');
  wire.in(wire.left, 'sh', '-c', `ip -batch - <<'END'\n${batch}\nEND`);
  const interfaces = new Inside(t, wire, wire.left, 'interfaces', '{}');
  const first = await interfaces.poll();
  const second = await interfaces.poll();
  assert.equal(second.pass.counted.length, (2 * pairs + 2) * 4);
  assert.deepEqual(second.pass.ended, []);
  const perThousand = (polled: Polled): number => (polled.cpuMs / (2 * pairs + 2)) * 1000;
  t.diagnostic(`${2 * pairs + 2} interfaces: ${first.cpuMs.toFixed(0)} ms first, ${second.cpuMs.toFixed(0)} ms then`);
  assert.ok(perThousand(second) < 100, `${perThousand(second).toFixed(0)} ms for 1,000 interfaces`);
});
