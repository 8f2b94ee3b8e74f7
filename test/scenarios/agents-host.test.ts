/**
 * The daemon on a host as operators have them: two tenants' guests in namespaces of their own, bridges, two VXLANs over
 * one wire, nft counters, a mapping. What the server then says of each account must be what the kernel counted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, get } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { billed, kernel, onHost, overheads, type Stage, settled } from './host-stage.ts';
import { RIGHT_ADDRESS } from './namespace.ts';
import { OVERLAY } from './overlay.ts';
import { RX, RX_PACKETS, send, TIMEOUT, TX, TX_PACKETS } from './polled.ts';
import { SECOND } from './two-guests.ts';

type Figures = Record<string, bigint>;

const since = (before: Figures, now: Figures): Figures =>
  Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0n)]));

/** The kernel's figures in the words of the server. */
const expectedOf = (moved: Figures): Figures => {
  const expected: Figures = {};
  for (const [account, tap] of [
    ['acme', 'tap0'],
    ['globex', 'tap1'],
  ]) {
    for (const meter of [RX, TX, RX_PACKETS, TX_PACKETS])
      expected[`${account} guest host/left/${tap} ${meter}`] = moved[`${tap} ${meter}`] ?? 0n;
    const rule = `t.${account}.edge.public.out`;
    for (const meter of [TX, TX_PACKETS])
      expected[`${account} public host/left/nft/inet/tollgate/${rule} ${meter}`] = moved[`${rule} ${meter}`] ?? 0n;
  }
  return expected;
};

/** Waits until the accounts have these figures; they must then have nothing else. */
const accountsHave = async (stage: Stage, expected: Figures): Promise<void> => {
  const shown = (): Promise<Figures> => billed(stage, ['acme', 'globex', 'operator']);
  const now = await eventually(shown, (all) => Object.entries(expected).every(([k, v]) => all[k] === v), 30_000);
  assert.deepEqual(now, expected);
};

/** 50 bytes a datagram, both ways, on a meter of its own. */
const tunnelsHave = async (stage: Stage, datagrams: Readonly<Record<string, number>>): Promise<void> => {
  const expected = Object.entries(datagrams).map(([tunnel, n]) => [
    { account: 'operator', resource: `host/left/tunnel/${tunnel}`, tunnel, method: 'measured', wire: 'yes' },
    String(50 * n),
  ]);
  const rows = await eventually(
    () => overheads(stage),
    (all) => Object.values(datagrams).every((n) => all.some(({ quantity }) => quantity === String(50 * n))),
    30_000,
  );
  assert.deepEqual(
    rows.map(({ group, quantity }) => [group, quantity]),
    expected,
  );
};

test(
  'two namespaces, bridges, VXLANs and nft counters: each account has the kernel’s bytes by kind of traffic, over a kill -9',
  { skip: isLong ? needs('linux', 'netns', 'nft') : LONG_FORM, timeout: 2 * TIMEOUT },
  (t) =>
    onHost(t, 'h', async (stage) => {
      const { host, server } = stage;
      const { wire } = host;
      stage.start();
      await settled(stage);
      const before = kernel(host);
      await Promise.all([
        send(wire, host.guest, wire.right, { address: OVERLAY.far, port: 9000 }, 300, 1000),
        send(wire, wire.right, host.guest, { address: OVERLAY.guest, port: 9000 }, 40, 500),
        send(wire, host.other, wire.right, { address: SECOND.far, port: 9000 }, 70, 900),
        send(wire, wire.right, host.other, { address: SECOND.guest, port: 9000 }, 20, 1200),
        send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9100 }, 60, 800),
        send(wire, wire.left, wire.right, { address: RIGHT_ADDRESS, port: 9101 }, 30, 400),
      ]);
      const moved = since(before, kernel(host));
      // What was sent is what the kernel counted: Ethernet, IP and UDP headers at a tap, IP and UDP at a rule.
      assert.deepEqual(
        [moved[`tap0 ${RX}`], moved[`tap1 ${TX}`], moved[`t.acme.edge.public.out ${TX}`]],
        [300n * 1042n, 20n * 1242n, 60n * 828n],
      );
      await accountsHave(stage, expectedOf(moved));
      await tunnelsHave(stage, { vx42: 340, vx43: 90 });
      const { out, json } = await stage.status();
      assert.deepEqual(
        json?.tunnels.map((one) => [one.method, one.overheadBytes, one.residualBytes]),
        [
          ['measured', '17000', '0'],
          ['measured', '4500', '0'],
        ],
      );
      assert.match(out, /^vx42 +measured +\d+ L3 +\d+ L3 +17000 +yes +17000 +0 +340$/m);
      t.diagnostic(`\n${out}`);

      // VNI 42 and VLAN 42 are two networks, and so are VNI 42 and 43.
      const { items } = await get<{ items: { id: string; tag: string; account: string; billable: boolean }[] }>(
        server,
        '/api/v1/resources?limit=500',
      );
      const resources = Object.fromEntries(items.map(({ id, ...r }) => [id.replace('host/left/', ''), r]));
      for (const [id, tag, account] of [
        ['tap0', 'vni:42', 'acme'],
        ['vx0', 'vni:42', null],
        ['tap1', 'vni:43', 'globex'],
        ['vx1', 'vni:43', null],
        ['nft/inet/tollgate/t.globex.edge.public.out', 'vlan:42', 'globex'],
      ] as const)
        assert.deepEqual([id, resources[id]?.tag, resources[id]?.account], [id, tag, account]);
      assert.equal(resources['tunnel/vx42']?.billable, false);

      await stage.kill();
      await send(wire, host.guest, wire.right, { address: OVERLAY.far, port: 9000 }, 60, 300);
      stage.start();
      await accountsHave(stage, expectedOf(since(before, kernel(host))));
      await tunnelsHave(stage, { vx42: 400, vx43: 90 });
    }),
);
