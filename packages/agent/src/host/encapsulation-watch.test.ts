/** Tunnels over many passes: what is told must add up to underlay less payload, whatever the passes go through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Counted, Declaration } from '../poll/poller.ts';
import type { Seat } from './daemon-beat.ts';
import { type TunnelNews, Tunnels } from './encapsulation-tunnels.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';

const declaration: Declaration = {
  kind: 'fake',
  identity: [],
  epoch: [],
  width: 64,
  layer: 'L2',
  viewpoint: 'device',
  wirePackets: true,
};
const seat: Seat = {
  poller: { name: 'devices', declaration, poll: () => Promise.reject(new Error('not asked')) },
  kind: 'fake',
  intervalMs: 10_000,
  timeoutMs: 1000,
};
const side = (...objects: string[]) => [{ poller: 'devices', objects, bytes: ['b'], packets: ['n'] }];
const tunnel: WatchedTunnel = {
  tunnel: 'vx42',
  rule: { kind: 'vxlan', outer: 4 },
  method: 'measured',
  poller: 'devices',
  payload: side('tap*'),
  underlay: side('eth1'),
};

const both = (object: string, bytes: bigint, packets: bigint, more: Partial<Counted> = {}): Counted[] => [
  { object, epoch: 'e', meter: 'b', value: bytes, start: 0, ...more },
  { object, epoch: 'e', meter: 'n', value: packets, start: 0, ...more },
];
/** Frames of 1,000 bytes through tap1, and what they are on the underlay. */
const inside = (n: number, more: Partial<Counted> = {}): Counted[] => both('tap1', BigInt(n) * 1000n, BigInt(n), more);
const outside = (n: number): Counted[] => both('eth1', BigInt(n) * 1050n, BigInt(n));

const pass = (tunnels: Tunnels, at: number, counted: Counted[]): TunnelNews => {
  const news = tunnels.take(seat, { at, counted, ended: [] });
  assert.ok(news);
  return news;
};
/** A pass that finds n packets inside and m outside. */
const look = (tunnels: Tunnels, at: number, n: number, m = n): TunnelNews =>
  pass(tunnels, at, [...inside(n), ...outside(m)]);
const shown = ({ samples }: TunnelNews): unknown =>
  samples.map(({ head, at, value, start }) => [head.epoch, at, value, start]);
const refusalsOf = (tunnels: Tunnels): string => tunnels.reconciliations[0]?.refusals.join() ?? '';

test('a tunnel is a counter of its own, told as soon as two looks in a row have found it', () => {
  const tunnels = new Tunnels('host/a', [tunnel]);
  assert.match(refusalsOf(tunnels), /^encapsulation\.waiting/);
  assert.equal(
    tunnels.take({ ...seat, poller: { ...seat.poller, name: 'other' } }, { at: 1, counted: [], ended: [] }),
    null,
  );
  assert.deepEqual(shown(look(tunnels, 1000, 100)), []);
  assert.deepEqual(shown(look(tunnels, 11_000, 110)), []);
  const first = look(tunnels, 21_000, 130);
  assert.deepEqual(shown(first), [['1000', 21_000, 500n, 1000]]);
  assert.deepEqual(first.samples[0]?.head, {
    resource: 'host/a/tunnel/vx42',
    meter: 'network.encapsulation.bytes',
    epoch: '1000',
    width: 64,
    period: 10_000,
    layer: 'L2',
    dimensions: { tunnel: 'vx42', method: 'measured', wire: 'yes' },
  });
  // Said again until the server has it: without its start the first value would only be a baseline.
  assert.deepEqual(shown(look(tunnels, 31_000, 130)), [['1000', 31_000, 1500n, 1000]]);
  first.acknowledged();
  assert.deepEqual(shown(look(tunnels, 41_000, 131)), [['1000', 41_000, 1500n, 0]]);
  const [found] = tunnels.reconciliations;
  assert.deepEqual(
    [found?.from, found?.to, found?.payloadBytes, found?.underlayBytes, found?.overheadBytes, found?.residualBytes],
    [1000, 41_000, 31_000n, 32_550n, 1550n, 0n],
  );
});

test('packets on their way between the two sides are no overhead, and hold the payload’s up until they have come', () => {
  const late = new Tunnels('host/a', [tunnel]);
  look(late, 1000, 0);
  look(late, 11_000, 99, 100);
  assert.deepEqual(shown(look(late, 21_000, 100)), [['1000', 21_000, 5000n, 1000]], 'not 6,050');
  const early = new Tunnels('host/a', [tunnel]);
  look(early, 1000, 0);
  look(early, 11_000, 120, 100);
  assert.match(refusalsOf(early), /^encapsulation\.payload_exceeds_underlay/);
  assert.deepEqual(shown(look(early, 21_000, 130)), []);
  assert.equal(refusalsOf(early), '');
  assert.deepEqual(shown(look(early, 31_000, 130)), [['1000', 31_000, 6500n, 1000]]);
});

test('a counter that began anew ends the watch: what lies between is said by nobody', () => {
  const tunnels = new Tunnels('host/a', [tunnel]);
  look(tunnels, 1000, 0);
  look(tunnels, 11_000, 10);
  look(tunnels, 21_000, 10);
  const anew = (n: number, m: number): Counted[] => [...inside(n, { epoch: 'f' }), ...outside(m)];
  const news = pass(tunnels, 31_000, anew(3, 13));
  assert.deepEqual(news.samples, []);
  assert.deepEqual(
    news.ended.map(({ head, at }) => [head.epoch, at]),
    [['1000', 21_000]],
  );
  pass(tunnels, 41_000, anew(5, 15));
  assert.deepEqual(shown(pass(tunnels, 51_000, anew(5, 15))), [['31000', 51_000, 100n, 31_000]]);
});

test('a guest that comes counts from its first packet', () => {
  const tunnels = new Tunnels('host/a', [tunnel]);
  look(tunnels, 1000, 0);
  const guest = (n: number, start: number): Counted[] => both('tap2', BigInt(n) * 1000n, BigInt(n), { start });
  pass(tunnels, 11_000, [...inside(1), ...guest(4, 1000), ...outside(5)]);
  assert.deepEqual(shown(pass(tunnels, 21_000, [...inside(1), ...guest(6, 0), ...outside(7)])), [
    ['1000', 21_000, 250n, 1000],
  ]);
});

test('an agent that comes back goes on where its memory ends; with other settings it begins anew and ends the old', () => {
  const before = new Tunnels('host/a', [tunnel]);
  const many = 2 ** 40;
  look(before, 1000, 0);
  look(before, 11_000, many);
  look(before, 21_000, many).acknowledged();
  const memory = before.memory;
  look(before, 31_000, many + 7);
  const after = new Tunnels('host/a', [tunnel], memory);
  look(after, 41_000, many + 9);
  assert.deepEqual(shown(look(after, 51_000, many + 9)), [['1000', 51_000, BigInt(many + 9) * 50n, 0]]);
  const changed = new Tunnels('host/a', [{ ...tunnel, rule: { kind: 'vxlan', outer: 6 } }], memory);
  const news = look(changed, 41_000, many + 9);
  assert.deepEqual([news.samples, news.ended.map(({ at }) => at)], [[], [21_000]]);
  for (const text of ['', '{}', '[null]', '[{"tunnel":"vx42"}]', memory.replaceAll('"value":', '"v":')])
    assert.deepEqual(shown(look(new Tunnels('host/a', [tunnel], text), 51_000, 1)), [], text);
});

test('whatever looks find of traffic on its way, no value falls or exceeds what was sent, and all is there in the end', () => {
  // What is on its way is less than what a beat adds: a side that always lacks a packet cannot be told from one that never had it.
  const sent = fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 1000 }));
  const steps = fc.array(fc.record({ sent, late: fc.nat(3), early: fc.nat(3), restart: fc.boolean() }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(steps, (all) => {
      let tunnels = new Tunnels('host/a', [tunnel]);
      look(tunnels, 1000, 0);
      let [at, sent, last] = [1000, 0, 0n];
      const seen = { n: 0, m: 0 };
      const check = ({ samples }: TunnelNews): void => {
        for (const { value } of samples) {
          assert.ok(value >= last && value <= BigInt(sent) * 50n);
          last = value;
        }
      };
      for (const step of all) {
        at += 10_000;
        sent += step.sent;
        // Each side may lack some packets of this beat, never those of the beat before.
        seen.n = Math.max(seen.n, sent - Math.min(step.early, step.sent));
        seen.m = Math.max(seen.m, sent - Math.min(step.late, step.sent));
        if (step.restart) tunnels = new Tunnels('host/a', [tunnel], tunnels.memory);
        check(look(tunnels, at, seen.n, seen.m));
      }
      for (const rest of [10_000, 20_000]) check(look(tunnels, at + rest, sent));
      assert.equal(last, BigInt(sent) * 50n);
    }),
  );
});
