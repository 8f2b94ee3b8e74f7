/**
 * What a VXLAN adds, on real packets: a known number of datagrams goes from a guest through tap, bridge, VXLAN and underlay,
 * and the pollers' counters reconcile to the byte. Tunnels this kernel lacks (GRE, GENEVE, WireGuard, ESP) are tested by
 * arithmetic: packages/agent/src/host/encapsulation-rules.test.ts.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  intervalOf,
  NftPoller,
  type Passes,
  type PollPass,
  reconcile,
  reportTable,
  type Tunnel,
} from '@tollgate/agent';
import { isLong, needs } from '../needs.ts';
import { OVERLAY } from './overlay.ts';
import {
  Inside,
  loadRules,
  moved,
  openOverlay,
  passesOf,
  RX,
  RX_PACKETS,
  send,
  TIMEOUT,
  TX,
  TX_PACKETS,
  traffic,
  world,
} from './polled.ts';

/** Tenants' packets where they enter the bridge, tunnel packets where they leave the host. */
const OVERLAY_RULES = `table bridge tollgate {
  counter t.acme.net42.guest.out {
    comment "tag=vni:42"
  }
  chain forward {
    type filter hook forward priority 0;
    iifname "tap0" counter name "t.acme.net42.guest.out"
  }
}
table inet tollgate {
  counter underlay_out {
  }
  chain output {
    type filter hook output priority 0;
    udp dport 4789 counter name "underlay_out"
  }
}`;

for (const [version, header] of [
  [4, 50n],
  [6, 70n],
] as const)
  test(`a VXLAN over IPv${version} adds exactly ${header} bytes to every datagram: tap, bridge, underlay, all agree`, {
    skip: needs('linux', 'netns', 'nft'),
    timeout: TIMEOUT,
  }, async (t) => {
    const overlay = openOverlay(t, `v${version}`, version);
    const { wire, guest } = overlay;
    loadRules(wire, wire.left, OVERLAY_RULES);
    const interfaces = new Inside(t, wire, wire.left, 'interfaces', '{}');
    const nft = new NftPoller(world, { namespace: wire.left, wirePackets: true });
    const count = isLong ? 3000 : 300;
    const n = BigInt(count);
    // Multicast reports of the freshly raised underlay are over by now.
    await wait(version === 6 ? 600 : 0);
    const before = { interfaces: await interfaces.poll(), nft: await nft.poll() };
    await send(wire, guest, wire.right, { address: OVERLAY.far, port: 9000 }, count, 1000);
    const after = { interfaces: await interfaces.poll(), nft: await nft.poll() };

    const device = (object: string, meter: string): bigint =>
      moved(before.interfaces.pass, after.interfaces.pass, object, meter);
    assert.deepEqual(
      [device('tap0', RX_PACKETS), device('tap0', RX)],
      [n, 1042n * n],
      'what the guest sends, its tap receives',
    );
    assert.deepEqual([device('tg0', TX_PACKETS), device('tg0', TX)], [n, (1042n + header) * n]);
    assert.equal(device('vx0', TX), 1028n * n, 'a vxlan device counts no inner Ethernet header');
    const vxlan = after.interfaces.pass.counted.find(({ object }) => object === 'vx0');
    assert.deepEqual([vxlan?.layer, vxlan?.tag], ['L3', 'vni:42']);

    const payload = 'bridge/tollgate/t.acme.net42.guest.out';
    assert.equal(moved(before.nft, after.nft, payload, TX), 1028n * n);
    assert.equal(moved(before.nft, after.nft, 'inet/tollgate/underlay_out', TX), (1028n + header) * n);
    const counted = after.nft.counted.find(({ object }) => object === payload);
    assert.deepEqual(
      [counted?.hints, counted?.tag],
      [{ account: 'acme', trafficType: 'guest', network: 'net42' }, 'vni:42'],
    );

    const rule = { kind: 'vxlan', outer: version } as const;
    const out = { bytes: [TX], packets: [TX_PACKETS] };
    const tunnels: Tunnel[] = [
      {
        tunnel: 'nft',
        rule,
        payload: [{ poller: 'nft', objects: ['bridge/tollgate/t.*'], ...out }],
        underlay: [{ poller: 'nft', objects: ['inet/tollgate/underlay_out'], ...out }],
      },
      {
        tunnel: 'devices',
        rule,
        payload: [{ poller: 'interfaces', objects: ['tap0'], bytes: [RX], packets: [RX_PACKETS] }],
        underlay: [{ poller: 'interfaces', objects: ['tg0'], ...out }],
      },
      {
        tunnel: 'mixed',
        rule,
        payload: [{ poller: 'nft', objects: [payload], ...out }],
        underlay: [{ poller: 'interfaces', objects: ['tg0'], ...out }],
      },
    ];
    const at = (p: typeof before): Passes =>
      passesOf({ name: 'nft', pass: p.nft, declaration: nft.declaration }, { name: 'interfaces', ...p.interfaces });
    const found = tunnels.map((tunnel) => reconcile(intervalOf(tunnel, at(before), at(after))));
    t.diagnostic(`\n${reportTable('host/left', found)}`);
    for (const { tunnel, method, overheadBytes } of found)
      assert.deepEqual(
        [tunnel, method, overheadBytes],
        [tunnel, 'measured', (header + (tunnel === 'mixed' ? 14n : 0n)) * n],
      );
    assert.deepEqual(
      found.map(({ residualBytes }) => residualBytes),
      [0n, null, 0n],
    );
    // Interfaces declare packets that offloads may have merged, so a model on them alone is refused.
    assert.match(found[1]?.refusals.join() ?? '', /^encapsulation\.packets_not_wire/);
  });

test('a TCP stream above segmentation offload: the model is refused, and what is measured says it is no wire figure', {
  skip: needs('linux', 'netns', 'nft'),
  timeout: TIMEOUT,
}, async (t) => {
  const overlay = openOverlay(t, 'o', 4);
  const { wire, guest } = overlay;
  loadRules(wire, wire.left, OVERLAY_RULES);
  const nft = new NftPoller(world, { namespace: wire.left });
  const taker = wire.spawn(wire.right, [process.execPath, traffic, 'tcp-take', OVERLAY.far, '9001']);
  t.after(() => taker.kill('SIGKILL'));
  assert.ok(taker.stdout);
  await Promise.race([once(taker.stdout, 'data'), wait(10_000, null, { ref: false })]);
  const before = await nft.poll();
  const bytes = 8_000_000;
  wire.in(guest, process.execPath, traffic, 'tcp-send', OVERLAY.far, '9001', String(bytes));
  const after = await nft.poll();
  const out = { poller: 'nft', bytes: [TX], packets: [TX_PACKETS] };
  const tunnel: Tunnel = {
    tunnel: 'vx42',
    rule: { kind: 'vxlan', outer: 4 },
    payload: [{ ...out, objects: ['bridge/tollgate/t.*'] }],
    underlay: [{ ...out, objects: ['inet/tollgate/underlay_out'] }],
  };
  const at = (pass: PollPass): Passes => passesOf({ name: 'nft', pass, declaration: nft.declaration });
  const found = reconcile(intervalOf(tunnel, at(before), at(after)));
  assert.deepEqual([found.method, found.onWire, found.modelledBytes], ['measured', false, null]);
  assert.match(found.refusals.join(), /^encapsulation\.packets_not_wire/);
  const onWire = BigInt(Math.ceil(bytes / 1448)) * 50n;
  t.diagnostic(`${found.overheadBytes} bytes of headers counted, at least ${onWire} on a wire`);
  assert.ok((found.overheadBytes ?? 0n) * 3n < onWire, 'one header for up to 64 KiB');
});
