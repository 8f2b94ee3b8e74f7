/** Header arithmetic against worked examples: inner length in, bytes on the underlay out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overheadOf, perPacket, type TunnelRule, wireBytes } from './encapsulation-rules.ts';

const table: readonly [rule: TunnelRule, length: number, added: number][] = [
  [{ kind: 'vxlan', outer: 4 }, 1000, 50],
  [{ kind: 'vxlan', outer: 6 }, 1000, 70],
  [{ kind: 'geneve', outer: 4 }, 1000, 50],
  [{ kind: 'geneve', outer: 6, options: 252 }, 1000, 70 + 252],
  [{ kind: 'nvgre', outer: 4 }, 1000, 42],
  [{ kind: 'gre', outer: 4 }, 1000, 24],
  [{ kind: 'gre', outer: 6 }, 1000, 44],
  [{ kind: 'gre', outer: 4, key: true, sequence: true, checksum: true }, 1000, 36],
  [{ kind: 'gretap', outer: 4 }, 1000, 38],
  [{ kind: 'ipip', outer: 4 }, 1000, 20],
  [{ kind: 'ipip', outer: 6 }, 1000, 40],
  [{ kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-gcm-16' }, 1400, 56],
  [{ kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-gcm-16' }, 40, 56],
  [{ kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-cbc' }, 1400, 64],
  [{ kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-cbc' }, 40, 64],
  [{ kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-cbc', integrity: 'sha256-128' }, 40, 68],
  [{ kind: 'esp', outer: 6, mode: 'tunnel', cipher: 'aes-gcm-16', natTraversal: true }, 1402, 20 + 8 + 54],
  [{ kind: 'esp', outer: 4, mode: 'transport', cipher: 'aes-gcm-16' }, 1402, 34],
  [{ kind: 'esp', outer: 4, mode: 'transport', cipher: 'aes-cbc' }, 14, 38],
  [{ kind: 'wireguard', outer: 4 }, 1408, 60],
  [{ kind: 'wireguard', outer: 6 }, 1400, 88],
  [{ kind: 'wireguard', outer: 4, mtu: 1420 }, 1420, 60],
  [{ kind: 'wireguard', outer: 4 }, 1420, 64],
  [{ kind: 'wireguard', outer: 4 }, 0, 60],
];

for (const [rule, length, added] of table)
  test(`${JSON.stringify(rule)} adds ${added} bytes to ${length}`, () => {
    const { fixed, pad, padMax } = overheadOf(rule);
    assert.equal(fixed + pad(length), added);
    assert.ok(pad(length) <= padMax);
  });

test('the whole ESP packets of the examples: 1456, 1464, 96 and 104 bytes', () => {
  const total = (cipher: 'aes-gcm-16' | 'aes-cbc', length: number): number => {
    const { fixed, pad } = overheadOf({ kind: 'esp', outer: 4, mode: 'tunnel', cipher });
    return length + fixed + pad(length);
  };
  assert.deepEqual(
    [total('aes-gcm-16', 1400), total('aes-cbc', 1400), total('aes-gcm-16', 40), total('aes-cbc', 40)],
    [1456, 1464, 96, 104],
  );
});

test('layers: 1,000 bytes of UDP are 1,042 at the tap, 1,028 in nft, 1,078 in nft below, 1,092 or 1,112 at the NIC', () => {
  const v4: TunnelRule = { kind: 'vxlan', outer: 4 };
  assert.equal(1042 + perPacket(v4, 'L2', 'L2'), 1092);
  assert.equal(1042 + perPacket({ kind: 'vxlan', outer: 6 }, 'L2', 'L2'), 1112);
  assert.equal(1042 + perPacket(v4, 'L2', 'L3'), 1078);
  assert.equal(1028 + perPacket(v4, 'L3', 'L3'), 1078);
  assert.equal(1028 + perPacket(v4, 'L3', 'L2'), 1092);
  assert.equal(1042 + perPacket(v4, 'L2', 'wire'), wireBytes(1092));
  assert.equal(1042 + perPacket({ ...v4, outerTags: 2 }, 'L2', 'L2'), 1100, 'QinQ around it');
  assert.equal(1042 + perPacket({ ...v4, outerTags: 1 }, 'L2', 'L3'), 1078, 'tags are no part of L3');
});

test('on the wire a frame has 24 bytes more, and never fewer than 64 with its FCS', () => {
  assert.deepEqual([wireBytes(1092), wireBytes(42), wireBytes(60), wireBytes(61)], [1116, 84, 84, 85]);
});

test('GENEVE options that cannot be are refused by name', () => {
  for (const options of [-4, 2, 256, 1.5])
    assert.throws(() => overheadOf({ kind: 'geneve', outer: 4, options }), /geneve options/);
});
