import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Counted, Declaration, PollPass } from '../poll/poller.ts';
import { dimensionsOf, reconcile, type Side, type TunnelInterval } from './encapsulation.ts';
import { asTexts, reportTable } from './encapsulation-report.ts';
import { intervalOf, joined, type Passes, type Tunnel } from './encapsulation-sides.ts';

const side = (bytes: bigint, packets: bigint | null, more: Partial<Side> = {}): Side => ({
  layer: 'L2',
  bytes,
  packets,
  wirePackets: true,
  ...more,
});
const interval = (payload: Side, underlay: Side | null, more: Partial<TunnelInterval> = {}): TunnelInterval => ({
  tunnel: 'vx42',
  from: 1000,
  to: 2000,
  rule: { kind: 'vxlan', outer: 4 },
  payload,
  underlay,
  ...more,
});
const codesOf = (refusals: readonly string[]): string[] => refusals.map((r) => r.split(':')[0] ?? '');

test('measured is underlay less payload; the model checks it, and what neither explains is the residual', () => {
  // Figures of 3,648 real datagrams through a VXLAN: 182,400 bytes of headers; here with 84 bytes of ARP on the underlay.
  const found = reconcile(
    interval(side(3_801_216n, 3648n), side(3_801_216n + 182_400n + 84n, 3650n, { wirePackets: false })),
  );
  assert.deepEqual(
    [found.method, found.overheadBytes, found.modelledBytes, found.residualBytes, found.packets, found.refusals],
    ['measured', 182_484n, 182_400n, 84n, 3648n, []],
  );
});

test('packets that were counted above offload are refused for a model, and what is measured stands', () => {
  // 20 MiB over TCP: 337 counted packets, about 14,500 on the wire: the model would be 43 times too small.
  const blind = { wirePackets: false };
  const found = reconcile(interval(side(20_990_000n, 337n, blind), side(21_714_000n, 337n, blind)));
  assert.deepEqual(
    [found.method, found.overheadBytes, found.modelledBytes, found.residualBytes],
    ['measured', 724_000n, null, null],
  );
  assert.deepEqual(codesOf(found.refusals), ['encapsulation.packets_not_wire']);
  assert.deepEqual(dimensionsOf(found), { tunnel: 'vx42', method: 'measured', wire: 'no' }, 'a lower bound');
  const none = reconcile(interval(side(20_990_000n, 337n, blind), null));
  assert.deepEqual([none.method, none.overheadBytes], ['none', null]);
});

test('without an underlay that is counted the model stands alone, and says so', () => {
  const found = reconcile(interval(side(1_042_000n, 1000n), null, { rule: { kind: 'vxlan', outer: 6 } }));
  assert.deepEqual([found.method, found.overheadBytes, found.residualBytes], ['modelled', 70_000n, null]);
  assert.deepEqual(dimensionsOf(found), { tunnel: 'vx42', method: 'modelled', wire: 'yes' });
});

test('padded tunnels are modelled from lengths, never from packets alone', () => {
  const rule = { kind: 'esp', outer: 4, mode: 'tunnel', cipher: 'aes-cbc' } as const;
  const payload = side(1440n, 2n, { layer: 'L3' });
  const lengths = [
    { length: 1400, packets: 1n },
    { length: 40, packets: 1n },
  ];
  const underlay = side(1464n + 104n, 2n, { layer: 'L3' });
  assert.deepEqual(codesOf(reconcile(interval(payload, underlay, { rule })).refusals), [
    'encapsulation.lengths_unknown',
  ]);
  const found = reconcile(interval(payload, underlay, { rule, lengths }));
  assert.deepEqual([found.overheadBytes, found.modelledBytes, found.residualBytes], [128n, 128n, 0n]);
});

test('payload above underlay is named and not recorded: traffic between two tenants never leaves the host', () => {
  const found = reconcile(interval(side(1000n, 1n), side(10n, 0n)));
  assert.deepEqual([found.method, found.overheadBytes], ['none', -990n]);
  assert.deepEqual(codesOf(found.refusals), ['encapsulation.payload_exceeds_underlay']);
});

test('without loss and offload the residual is zero, whatever the sizes, at every pair of layers', () => {
  const layer = fc.constantFrom('L2', 'L3') as fc.Arbitrary<'L2' | 'L3'>;
  const sizes = fc.array(fc.integer({ min: 28, max: 9000 }), { maxLength: 50 });
  fc.assert(
    fc.property(sizes, layer, layer, fc.constantFrom(4 as const, 6 as const), (lengths, inner, outer, ip) => {
      const at = { L2: 14, L3: 0 };
      const payload = lengths.reduce((sum, l) => sum + BigInt(l + at[inner]), 0n);
      const header = { 4: 20, 6: 40 }[ip] + 8 + 8 + 14;
      const underlay = lengths.reduce((sum, l) => sum + BigInt(l + header + at[outer]), 0n);
      const n = BigInt(lengths.length);
      const found = reconcile(
        interval(side(payload, n, { layer: inner }), side(underlay, n, { layer: outer }), {
          rule: { kind: 'vxlan', outer: ip },
        }),
      );
      assert.equal(found.residualBytes, 0n);
    }),
  );
});

test('the method that was asked for is the figure, the other one checks it, and neither takes the other’s place', () => {
  const both = (method: 'measured' | 'modelled') => reconcile(interval(side(1000n, 10n), side(1530n, 10n), { method }));
  const shown = (method: 'measured' | 'modelled') => {
    const { method: found, overheadBytes, modelledBytes, residualBytes } = both(method);
    return [found, overheadBytes, modelledBytes, residualBytes];
  };
  assert.deepEqual(shown('measured'), ['measured', 530n, 500n, 30n]);
  assert.deepEqual(shown('modelled'), ['modelled', 500n, 500n, 30n]);
  assert.equal(reconcile(interval(side(1000n, 10n), null, { method: 'measured' })).method, 'none');
  const blind = { wirePackets: false };
  const guess = reconcile(interval(side(1000n, 10n, blind), side(1530n, 10n, blind), { method: 'modelled' }));
  assert.deepEqual([guess.method, guess.overheadBytes], ['none', null]);
});

// From passes to sides.
const declared = (more: Partial<Declaration> = {}): Declaration => ({
  kind: 'interfaces',
  identity: [],
  epoch: [],
  width: 64,
  layer: 'L2',
  viewpoint: 'device',
  wirePackets: true,
  ...more,
});
const counted = (object: string, bytes: bigint, more: Partial<Counted> = {}): Counted => ({
  object,
  epoch: 'e',
  meter: 'b',
  value: bytes,
  start: 0,
  ...more,
});
const passes = (at: number, all: Counted[], more: Partial<PollPass> = {}, declaration = declared()): Passes =>
  new Map([['p', { pass: { at, counted: all, ended: [], ...more }, declaration }]]);
const part = (...objects: string[]) => ({ poller: 'p', objects, bytes: ['b'], packets: ['n'] });
const tunnel: Tunnel = {
  tunnel: 'vx42',
  rule: { kind: 'vxlan', outer: 4 },
  payload: [part('tap*')],
  underlay: [part('eth0')],
};
const packets = (object: string, n: bigint): Counted => counted(object, n, { meter: 'n' });

test('the two sides are sums of differences over the named counters', () => {
  const before = passes(1000, [
    counted('tap1', 100n),
    counted('eth0', 1000n),
    packets('tap1', 1n),
    packets('eth0', 5n),
  ]);
  const after = passes(2000, [
    counted('tap1', 1142n),
    counted('tap2', 42n, { start: 1500 }),
    counted('eth0', 1000n + 1042n + 42n + 100n),
    packets('tap1', 2n),
    { ...packets('tap2', 1n), start: 1500 },
    packets('eth0', 7n),
  ]);
  const found = reconcile(intervalOf(tunnel, before, after));
  assert.deepEqual(
    [found.from, found.to, found.payloadBytes, found.underlayBytes, found.overheadBytes, found.residualBytes],
    [1000, 2000, 1084n, 1184n, 100n, 0n],
  );
});

test('a counter that restarted, ended, was not there or was not polled spoils the interval by name', () => {
  const start = [counted('tap1', 100n), counted('eth0', 1000n)];
  const refused = (before: Passes, after: Passes): string[] => {
    const found = reconcile(intervalOf(tunnel, before, after));
    assert.deepEqual([found.method, found.residualBytes], ['none', null]);
    return codesOf(found.refusals);
  };
  const before = passes(1000, start);
  assert.deepEqual(refused(before, passes(2000, [counted('tap1', 5n), counted('eth0', 2000n)])), [
    'encapsulation.counter_restarted',
  ]);
  const reborn = counted('tap1', 500n, { epoch: 'e2' });
  assert.deepEqual(refused(before, passes(2000, [reborn, counted('eth0', 2000n)])), [
    'encapsulation.counter_restarted',
  ]);
  const ended = [{ object: 'tap1', meter: 'b', epoch: 'e', at: 1500 }];
  assert.deepEqual(
    refused(before, passes(2000, [counted('tap2', 0n, { start: 1500 }), counted('eth0', 2000n)], { ended })),
    ['encapsulation.counter_ended'],
  );
  assert.deepEqual(refused(before, passes(2000, [counted('eth0', 2000n)])), ['encapsulation.no_counters']);
  assert.deepEqual(refused(before, new Map()), ['encapsulation.not_polled']);
  assert.deepEqual(refused(before, passes(2000, start, {}, declared({ layer: 'app' }))), ['encapsulation.no_layer']);
  const mixed = [counted('tap1', 200n), counted('tap2', 1n, { start: 1500, layer: 'L3' }), counted('eth0', 2000n)];
  assert.deepEqual(refused(before, passes(2000, mixed)), ['encapsulation.layers_differ']);
});

test('two passes told as one keep what began and ended in the first, and end what is gone or fell without a word', () => {
  const born = counted('tap2', 40n, { start: 1500 });
  const end = (object: string, at: number) => ({ object, meter: 'b', epoch: 'e', at });
  const both = joined(
    { at: 1600, counted: [born, counted('tap4', 9n), counted('tap5', 9n)], ended: [end('tap3', 1400)] },
    { at: 2000, counted: [{ ...born, value: 70n, start: 0 }, counted('tap5', 8n)], ended: [] },
  );
  assert.deepEqual(both.counted, [{ ...born, value: 70n }, counted('tap5', 8n)]);
  assert.deepEqual(both.ended, [end('tap3', 1400), end('tap5', 2000), end('tap4', 2000)]);
});

test('the report is a table for people, and texts that JSON does not round', () => {
  const exact = reconcile(interval(side(3_801_216n, 3648n), side(3_983_616n, 3648n)));
  const blind = reconcile(interval(side(2n ** 63n, 1n, { wirePackets: false }), null, { tunnel: 'vx43' }));
  assert.equal(
    reportTable('host/a', [exact, blind]),
    [
      'encapsulation on host/a, bytes',
      'tunnel  method                   payload    underlay  overhead  wire  modelled  residual  packets',
      'vx42    measured              3801216 L2  3983616 L2    182400  yes     182400         0     3648',
      'vx43    none      9223372036854775808 L2           -         -  -            -         -        -',
      '  encapsulation.packets_not_wire: packets are counted above segmentation offload, not on the wire',
      '',
    ].join('\n'),
  );
  const texts = asTexts(blind);
  assert.equal(reportTable('host/a', [asTexts(exact), texts]), reportTable('host/a', [exact, blind]));
  assert.deepEqual(JSON.parse(JSON.stringify(texts)), texts);
  assert.deepEqual([texts.payloadBytes, texts.underlayBytes], ['9223372036854775808', null]);
});
