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
  /** Inner lengths, where they are known: padded tunnels cannot be modelled without. */
  lengths?: readonly LengthCount[];
  /** What spoiled the interval already: then nothing is computed. */
  refusals?: readonly string[];
}

export interface Reconciliation {
  tunnel: string;
  from: number;
  to: number;
  /** How overheadBytes came about; none: it is not known, `refusals` says why. */
  method: 'measured' | 'modelled' | 'none';
  payloadLayer: Layer;
  underlayLayer: Layer | null;
  payloadBytes: bigint;
  underlayBytes: bigint | null;
  overheadBytes: bigint | null;
  modelledBytes: bigint | null;
  /**
   * True: the overhead is what the wire carried. False: the underlay, too, is counted above segmentation offload, where
   * 64 KiB have one header, so the overhead is a lower bound and nothing to set a price on.
   */
  onWire: boolean;
  /** Measured less modelled: what neither tenants nor headers explain. Null unless both are known. */
  residualBytes: bigint | null;
  /** Those the model rests on; null when there is none. */
  packets: bigint | null;
  /** `code: reason`, in the order found. */
  refusals: string[];
}

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
    refusals.push(
      'encapsulation.payload_exceeds_underlay: the tenants’ counters hold traffic that never left the host, or another interval',
    );
  const known = measured !== null && measured >= 0n;
  const method = known ? 'measured' : measured === null && model !== null ? 'modelled' : 'none';
  return {
    tunnel: interval.tunnel,
    from: interval.from,
    to: interval.to,
    method,
    payloadLayer: payload.layer,
    underlayLayer: underlay?.layer ?? null,
    payloadBytes: payload.bytes,
    underlayBytes: underlay?.bytes ?? null,
    overheadBytes: measured ?? model?.bytes ?? null,
    modelledBytes: model?.bytes ?? null,
    onWire: method === 'modelled' || (method === 'measured' && underlay?.wirePackets === true),
    residualBytes: measured === null || model === null ? null : measured - model.bytes,
    packets: model?.packets ?? null,
    refusals,
  };
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

/** The meter encapsulation is recorded on: a delta, never billable unless somebody sets a price for it. */
export const encapsulationMeter = 'network.encapsulation.bytes';

/** What to record of a reconciliation; null when the overhead is not known. `host` is whose overhead it is. */
export const measureOf = (
  host: string,
  { tunnel, method, overheadBytes, onWire }: Reconciliation,
): { meter: string; subject: string; dimensions: Record<string, string>; quantity: bigint } | null =>
  method === 'none' || overheadBytes === null
    ? null
    : {
        meter: encapsulationMeter,
        subject: host,
        dimensions: { tunnel, method, wire: onWire ? 'yes' : 'no' },
        quantity: overheadBytes,
      };
