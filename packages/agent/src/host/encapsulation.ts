/**
 * Encapsulation overhead of a host's tunnels: underlay minus payload. Measured where both sides are counted; modelled as
 * packets times headers where packets are real ones on the wire. Counts taken above segmentation offload hold packets of
 * up to 64 KiB: 20 MiB over TCP were 337 of them and 14,504 on the wire, so a model on them is refused by name.
 */
import { type Layer, overheadOf, perPacket, type TunnelRule } from './encapsulation-rules.ts';

/** One side of a tunnel over an interval. */
export interface Side {
  layer: Layer;
  bytes: bigint;
  /** Null: not counted. */
  packets: bigint | null;
  /** True: one packet counted is one packet on the wire. */
  wirePackets: boolean;
}

/** Packets of one inner length. */
export interface LengthCount {
  length: number;
  packets: bigint;
}

export interface TunnelInterval {
  tunnel: string;
  /** ms since 1970. */
  from: number;
  to: number;
  rule: TunnelRule;
  payload: Side;
  /** Null: the underlay is not counted. */
  underlay: Side | null;
  /** Which figure is wanted; the other one only checks it. Left away: measured where it can be, else modelled. */
  method?: 'measured' | 'modelled';
  /** Inner lengths, where they are known: padded tunnels cannot be modelled without. */
  lengths?: readonly LengthCount[];
  /** What spoiled the interval already: then nothing is computed. */
  refusals?: readonly string[];
}

/** `N`: bigint, or text of digits where it goes through JSON. */
export interface Reconciliation<N = bigint> {
  tunnel: string;
  from: number;
  to: number;
  /** How overheadBytes came about; none: it is not known, `refusals` says why. */
  method: 'measured' | 'modelled' | 'none';
  payloadLayer: Layer;
  underlayLayer: Layer | null;
  payloadBytes: N;
  underlayBytes: N | null;
  overheadBytes: N | null;
  modelledBytes: N | null;
  /**
   * True: the overhead is what the wire carried. False: the underlay, too, is counted above segmentation offload, where
   * 64 KiB have one header, so the overhead is a lower bound and nothing to set a price on.
   */
  onWire: boolean;
  /** Measured less modelled: what neither tenants nor headers explain. Null unless both are known. */
  residualBytes: N | null;
  /** Those the model rests on; null when there is none. */
  packets: N | null;
  /** `code: reason`, in the order found. */
  refusals: string[];
}

/** May pass: a packet is counted on one side before the other. */
export const EXCEEDED = 'encapsulation.payload_exceeds_underlay';

interface Model {
  bytes: bigint;
  packets: bigint;
}

/** Pure. Throws only for a rule that cannot be. */
export const reconcile = (interval: TunnelInterval): Reconciliation => {
  const { payload, underlay } = interval;
  const spoiled = interval.refusals ?? [];
  const refusals = [...spoiled];
  const model = spoiled.length > 0 ? null : modelOf(interval, refusals);
  const measured = spoiled.length > 0 || underlay === null ? null : underlay.bytes - payload.bytes;
  if (measured !== null && measured < 0n)
    refusals.push(`${EXCEEDED}: the tenants’ counters hold traffic that never left the host, or another interval`);
  const method = methodOf(interval.method, measured, model);
  const overhead = interval.method === 'modelled' ? model?.bytes : (measured ?? model?.bytes);
  return {
    tunnel: interval.tunnel,
    from: interval.from,
    to: interval.to,
    method,
    payloadLayer: payload.layer,
    underlayLayer: underlay?.layer ?? null,
    payloadBytes: payload.bytes,
    underlayBytes: underlay?.bytes ?? null,
    overheadBytes: overhead ?? null,
    modelledBytes: model?.bytes ?? null,
    onWire: method === 'modelled' || (method === 'measured' && underlay?.wirePackets === true),
    residualBytes: measured === null || model === null ? null : measured - model.bytes,
    packets: model?.packets ?? null,
    refusals,
  };
};

const methodOf = (
  wanted: TunnelInterval['method'],
  measured: bigint | null,
  model: Model | null,
): Reconciliation['method'] => {
  if (wanted !== 'modelled' && measured !== null) return measured >= 0n ? 'measured' : 'none';
  return wanted !== 'measured' && model !== null ? 'modelled' : 'none';
};

/** Null, with the reason, where a model would be a guess. */
const modelOf = (interval: TunnelInterval, refusals: string[]): Model | null => {
  const { rule, payload, underlay, lengths } = interval;
  // Without an underlay that is counted, the figure is for the frames a NIC would hand over.
  const each = BigInt(perPacket(rule, payload.layer, underlay?.layer ?? 'L2'));
  const { padMax, pad } = overheadOf(rule);
  if (lengths !== undefined) {
    const packets = lengths.reduce((sum, l) => sum + l.packets, 0n);
    return { packets, bytes: lengths.reduce((sum, l) => sum + l.packets * (each + BigInt(pad(l.length))), 0n) };
  }
  const packets = underlay?.wirePackets ? underlay.packets : payload.wirePackets ? payload.packets : undefined;
  if (packets === undefined) {
    refusals.push('encapsulation.packets_not_wire: packets are counted above segmentation offload, not on the wire');
    return null;
  }
  if (packets === null) {
    refusals.push('encapsulation.packets_unknown: bytes are counted, packets are not');
    return null;
  }
  if (padMax > 0) {
    refusals.push(`encapsulation.lengths_unknown: ${rule.kind} pads each packet by its length`);
    return null;
  }
  return { packets, bytes: packets * each };
};

/** The meter encapsulation is recorded on: built in on the server, and not billable. */
export const encapsulationMeter = 'network.encapsulation.bytes';

/** By these one tunnel's overhead is told apart: how it came about, and whether the wire carried it (`onWire`). */
export const dimensionsOf = ({ tunnel, method, onWire }: Reconciliation): Record<string, string> => ({
  tunnel,
  method,
  wire: onWire ? 'yes' : 'no',
});
