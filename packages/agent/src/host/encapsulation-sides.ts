/** From two passes over a host's counters to the two sides of its tunnels. */
import type { Counted, Declaration, PollPass } from '../poll/poller.ts';
import type { Side, TunnelInterval } from './encapsulation.ts';
import type { Layer, TunnelRule } from './encapsulation-rules.ts';

/** Counters that make up a side. */
export interface Part {
  /** Name of the poller. */
  poller: string;
  /** Objects; a `*` at the end stands for any rest. */
  objects: readonly string[];
  /** Meters of bytes and of packets that are summed: into the tunnel is one direction, out of it the other. */
  bytes: readonly string[];
  packets: readonly string[];
}

export interface Tunnel {
  tunnel: string;
  rule: TunnelRule;
  /** Tenants' counters. Management, storage, ARP and control traffic of the tunnel are left out by not naming them. */
  payload: readonly Part[];
  /** Counters of the tunnel's packets on the underlay. Empty: not counted, only a model is possible. */
  underlay: readonly Part[];
  /** Which figure is wanted; see TunnelInterval. */
  method?: 'measured' | 'modelled';
}

/** One pass of one poller. */
export interface PolledPass {
  pass: PollPass;
  declaration: Declaration;
}
/** Poller's name -> its pass. */
export type Passes = ReadonlyMap<string, PolledPass>;

/** A counter that restarted, ended or was not read spoils the interval: its bytes would be missing on one side only. */
export const intervalOf = (tunnel: Tunnel, before: Passes, after: Passes): TunnelInterval => {
  const refusals: string[] = [];
  const payload = sideOf(tunnel.payload, before, after, refusals);
  const underlay = tunnel.underlay.length === 0 ? null : sideOf(tunnel.underlay, before, after, refusals);
  const times = [...tunnel.payload, ...tunnel.underlay].map(({ poller }) => [
    before.get(poller)?.pass.at ?? 0,
    after.get(poller)?.pass.at ?? 0,
  ]);
  return {
    tunnel: tunnel.tunnel,
    from: Math.min(...times.map(([from = 0]) => from)),
    to: Math.max(...times.map(([, to = 0]) => to)),
    rule: tunnel.rule,
    payload,
    underlay,
    ...(tunnel.method === undefined ? {} : { method: tunnel.method }),
    ...(refusals.length === 0 ? {} : { refusals: [...new Set(refusals)] }),
  };
};

const sideOf = (parts: readonly Part[], before: Passes, after: Passes, refusals: string[]): Side => {
  const sums = parts.map((part) => sumOf(part, before.get(part.poller), after.get(part.poller), refusals));
  const layers = new Set(sums.map(({ layer }) => layer));
  if (layers.size > 1)
    refusals.push('encapsulation.layers_differ: one side is counted at two layers, so its bytes do not add up');
  return {
    layer: [...layers][0] ?? 'L2',
    bytes: sums.reduce((sum, { bytes }) => sum + bytes, 0n),
    packets: sums.every(({ packets }) => packets !== null)
      ? sums.reduce((sum, { packets }) => sum + (packets ?? 0n), 0n)
      : null,
    wirePackets: sums.every(({ wirePackets }) => wirePackets),
  };
};

const sumOf = (part: Part, before: PolledPass | undefined, after: PolledPass | undefined, refusals: string[]): Side => {
  const none: Side = { layer: 'L2', bytes: 0n, packets: null, wirePackets: false };
  if (before === undefined || after === undefined) {
    refusals.push(`encapsulation.not_polled: ${part.poller} was not read at both ends of the interval`);
    return none;
  }
  const chosen = after.pass.counted.filter(({ object }) => fits(part.objects, object));
  const layers = new Set(chosen.map(({ layer }) => layer ?? after.declaration.layer));
  if (chosen.length === 0)
    refusals.push(`encapsulation.no_counters: ${part.poller} counts none of ${part.objects.join(', ')}`);
  if (layers.has('app')) refusals.push(`encapsulation.no_layer: ${part.poller} does not say what its bytes include`);
  if (layers.size > 1) refusals.push(`encapsulation.layers_differ: ${part.poller} counts these objects at two layers`);
  for (const gone of after.pass.ended)
    if (fits(part.objects, gone.object))
      refusals.push(`encapsulation.counter_ended: ${gone.object} ended in the interval`);
  const delta = (meters: readonly string[]): bigint | null => deltaOf(chosen, meters, before.pass, refusals);
  const layer = [...layers][0] ?? after.declaration.layer;
  return {
    layer: layer === 'app' ? 'L2' : (layer satisfies Layer),
    bytes: delta(part.bytes) ?? 0n,
    packets: part.packets.length === 0 ? null : delta(part.packets),
    wirePackets: after.declaration.wirePackets,
  };
};

const deltaOf = (
  chosen: readonly Counted[],
  meters: readonly string[],
  before: PollPass,
  refusals: string[],
): bigint | null => {
  const earlier = new Map(before.counted.map((one) => [`${one.object}\n${one.meter}`, one]));
  let sum: bigint | null = null;
  for (const now of chosen) {
    if (!meters.includes(now.meter)) continue;
    const then = earlier.get(`${now.object}\n${now.meter}`);
    const from = then?.epoch === now.epoch ? then.value : now.start >= before.at ? 0n : null;
    if (from === null || now.value < from)
      refusals.push(`encapsulation.counter_restarted: ${now.object} is not the counter of the pass before`);
    else sum = (sum ?? 0n) + now.value - from;
  }
  return sum;
};

/**
 * Two passes of one poller, told as one. What began and ended in the earlier one is not lost, and what is gone without a
 * word, or lower than it was, has ended: nobody looked when it did.
 */
export const joined = (earlier: PollPass, later: PollPass): PollPass => {
  const before = new Map(earlier.counted.map((one) => [keyOf(one), one]));
  const ended = [...earlier.ended, ...later.ended];
  const end = ({ object, meter, epoch }: Counted): void => void ended.push({ object, meter, epoch, at: later.at });
  const counted = later.counted.map((one) => {
    const was = before.get(keyOf(one));
    before.delete(keyOf(one));
    if (was !== undefined && one.value < was.value) end(one);
    return was === undefined || was.start === 0 ? one : { ...one, start: was.start };
  });
  for (const gone of before.values()) end(gone);
  return { at: later.at, counted, ended };
};

const keyOf = ({ object, meter, epoch }: Counted): string => `${object}\n${meter}\n${epoch}`;

/** Only what a tunnel's sides are made of. */
export const sidesOf = (tunnel: Tunnel, pass: PollPass): PollPass => {
  const patterns = [...tunnel.payload, ...tunnel.underlay].flatMap(({ objects }) => objects);
  const isPart = ({ object }: { object: string }): boolean => fits(patterns, object);
  return { at: pass.at, counted: pass.counted.filter(isPart), ended: pass.ended.filter(isPart) };
};

const fits = (objects: readonly string[], object: string): boolean =>
  objects.some((pattern) => (pattern.endsWith('*') ? object.startsWith(pattern.slice(0, -1)) : pattern === object));
