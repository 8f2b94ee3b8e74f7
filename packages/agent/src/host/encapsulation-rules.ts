/**
 * What a tunnel adds to a packet, by its headers. Bytes are counted between two equal points: inner and outer packet both
 * from their IP header on (L3), which is the same as inner and outer frame both with their Ethernet header (L2).
 */

export interface EspRule {
  mode: 'tunnel' | 'transport';
  cipher: 'aes-gcm-16' | 'aes-cbc';
  /** With aes-cbc; GCM brings its own. Default sha1-96. */
  integrity?: 'sha1-96' | 'sha256-128';
  /** Inside UDP, to pass a NAT. */
  natTraversal?: boolean;
}

interface Outer {
  /** IP version of the underlay. */
  outer: 4 | 6;
  /** 802.1Q tags around the outer frame: 4 bytes each, counted at L2 and on the wire. */
  outerTags?: number;
}

export type TunnelRule = Outer &
  (
    | { kind: 'vxlan' | 'nvgre' | 'ipip' }
    /** `options`: bytes, a multiple of 4 up to 252. */
    | { kind: 'geneve'; options?: number }
    | { kind: 'gre' | 'gretap'; key?: boolean; sequence?: boolean; checksum?: boolean }
    /** `mtu` of the WireGuard device: padding does not go past it. */
    | { kind: 'wireguard'; mtu?: number }
    | ({ kind: 'esp' } & EspRule)
  );

export interface Overhead {
  /** Bytes of headers and trailers that every packet gets. */
  fixed: number;
  /** 0: nothing is padded. Otherwise the most padding a packet may get. */
  padMax: number;
  /** Padding of an inner packet of this many bytes (ESP in transport mode: of its IP payload). */
  pad(length: number): number;
}

const ETHERNET = 14;
const UDP = 8;
const VXLAN = 8;
const GENEVE = 8;
const GRE = 4;
const TAG = 4;
/** Preamble 8, FCS 4, gap 12. */
const WIRE = 24;
const ip = (version: 4 | 6): number => (version === 4 ? 20 : 40);
const unpadded = (fixed: number): Overhead => ({ fixed, padMax: 0, pad: () => 0 });

/** Throws a RangeError that names what cannot be. */
export const overheadOf = (rule: TunnelRule): Overhead => {
  const outer = ip(rule.outer);
  switch (rule.kind) {
    case 'vxlan':
      return unpadded(outer + UDP + VXLAN + ETHERNET);
    case 'geneve':
      return unpadded(outer + UDP + GENEVE + genevesOptions(rule.options ?? 0) + ETHERNET);
    case 'nvgre':
      // NVGRE always carries the key.
      return unpadded(outer + GRE + 4 + ETHERNET);
    case 'gre':
      return unpadded(outer + gre(rule));
    case 'gretap':
      return unpadded(outer + gre(rule) + ETHERNET);
    case 'ipip':
      return unpadded(outer);
    case 'wireguard':
      return wireguard(outer, rule.mtu ?? Number.POSITIVE_INFINITY);
    case 'esp':
      return esp(outer, rule);
  }
};

const genevesOptions = (bytes: number): number => {
  if (!Number.isInteger(bytes) || bytes < 0 || bytes > 252 || bytes % 4 !== 0)
    throw new RangeError(`geneve options are a multiple of 4 from 0 to 252 bytes, not ${bytes}`);
  return bytes;
};

const gre = (rule: { key?: boolean; sequence?: boolean; checksum?: boolean }): number =>
  GRE + [rule.key, rule.sequence, rule.checksum].filter((there) => there === true).length * 4;

/** Type 4, index 4, counter 8, tag 16. */
const wireguard = (outer: number, mtu: number): Overhead => ({
  fixed: outer + UDP + 4 + 4 + 8 + 16,
  padMax: 15,
  pad: (length) => Math.max(0, Math.min(Math.ceil(length / 16) * 16, mtu) - length),
});

/** SPI and sequence 8, IV, pad length and next header 2, ICV; the trailer fills up to a whole block. */
const esp = (outer: number, rule: EspRule): Overhead => {
  const gcm = rule.cipher === 'aes-gcm-16';
  const [iv, block] = gcm ? [8, 4] : [16, 16];
  const icv = gcm || rule.integrity === 'sha256-128' ? 16 : 12;
  const around = rule.mode === 'tunnel' ? outer : 0;
  return {
    fixed: around + (rule.natTraversal === true ? UDP : 0) + 8 + iv + 2 + icv,
    padMax: block - 1,
    pad: (length) => (block - ((length + 2) % block)) % block,
  };
};

export type Layer = 'L2' | 'L3' | 'wire';

/** Bytes per packet between a payload and an underlay that are counted at these layers, padding aside. */
export const perPacket = (rule: TunnelRule, payload: Layer, underlay: Layer): number => {
  const tags = (rule.outerTags ?? 0) * TAG;
  const framing = { L3: 0, L2: ETHERNET, wire: ETHERNET + WIRE };
  return overheadOf(rule).fixed + framing[underlay] + (underlay === 'L3' ? 0 : tags) - framing[payload];
};

/** What a frame (without its FCS) takes on the wire: preamble and gap, and no frame is shorter than 64 bytes with FCS. */
export const wireBytes = (frame: number): number => Math.max(frame + 4, 64) + WIRE - 4;
