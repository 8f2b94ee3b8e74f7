/** What every poller of cumulative counters looks like to the daemon: a declaration once, a pass at every beat. */

/** What a poller vouches for (telemetry C1). What is not declared is not billable. */
export interface Declaration {
  /** What is polled: nft, iptables, libvirt, openmetrics, interfaces ... */
  kind: string;
  /** The parts of `object`, by name: what one counter is known by as long as it lives. */
  identity: readonly string[];
  /** The parts of `epoch`, by name: when one of them changes, the counter began anew. */
  epoch: readonly string[];
  /** Bits of the counter: at which value it goes round. */
  width: 32 | 64;
  /** The layer whose headers are in the bytes. */
  layer: 'L2' | 'L3' | 'wire' | 'app';
  /** Whose sent and received these are. */
  viewpoint: 'device' | 'guest' | 'host';
  /** True: one packet counted is one packet on the wire. False: offloads merge packets before they are counted. */
  wirePackets: boolean;
  /** True: `object` names the same thing on every host, so no source belongs in front of it (a NIC that migrates). */
  global?: boolean;
}

/** What the source itself says of whose and what kind it is. A mapping outweighs it. */
export interface Hints {
  account?: string;
  /** One of the server's traffic types: public, guest, private-gateway, vpn, management, storage. */
  trafficType?: string;
  network?: string;
}

/** One counter as one pass saw it. */
export interface Counted {
  /** Stable identity of the object inside its poller: an nft counter's family/table/name, a domain's uuid/mac. */
  object: string;
  /** Values of one epoch form one chain. '' = the source tells nothing: only a falling value shows a restart. */
  epoch: string;
  /** Key of a cumulative meter on the server. */
  meter: string;
  /** 0 .. 2^64-1. */
  value: bigint;
  /** ms since 1970 when the counter stood at zero; 0 unknown: the first value is then a baseline. */
  start: number;
  /** For people. */
  name?: string;
  /** VLAN id, VNI or another tag the mapping may ask for. */
  tag?: string;
  /** Hardware address, lower case with colons. */
  mac?: string;
  /** The text an operator set on the object: ifalias, a comment. */
  alias?: string;
  dimensions?: Record<string, string>;
  /** Where it differs from the declaration. */
  width?: 32 | 64;
  /** Where it differs from the declaration: a vxlan device counts without the inner Ethernet header. */
  layer?: Declaration['layer'];
  hints?: Hints;
  /** ms since 1970 when the value was true, where the source says so itself; left away: `at` of the pass. */
  at?: number;
  /** Line speed, bits per second. */
  lineBits?: number;
}

/** A counter the pass before saw and that is gone. */
export interface Gone {
  object: string;
  meter: string;
  epoch: string;
  /** ms since 1970: the latest instant at which it may still have been there. */
  at: number;
  dimensions?: Record<string, string>;
  /** As it was counted: see Counted. */
  layer?: Declaration['layer'];
}

/** Something a pass could not count, said once per object and reason. */
export interface Trouble {
  /** A stable word: unsupported, malformed, inexact, duplicate ... */
  code: string;
  object: string;
  message: string;
}

export interface PollPass {
  /** Wall clock just after the values were read, ms since 1970. */
  at: number;
  counted: readonly Counted[];
  ended: readonly Gone[];
  /** Left away: nothing to say. */
  troubles?: readonly Trouble[];
  /** What to keep once this pass is acknowledged, and to hand to the poller's constructor after a restart. */
  memory?(): string;
}

export interface Poller {
  readonly name: string;
  readonly declaration: Declaration;
  /** Rejects when the source could not be read in its time: that is no data, never zero. */
  poll(signal?: AbortSignal): Promise<PollPass>;
}
