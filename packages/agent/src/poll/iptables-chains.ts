/** Which chains are counted, and what their rules mean. */
import { type IptablesRule, valueAfter } from './iptables-rules.ts';
import type { Direction } from './meters.ts';

export interface ChainRule {
  table: string;
  /** The chain's name. A `*` at its end stands for the device: `NETWORK_STATS_*`. */
  chain: string;
  /** The outer device: out of it is sent, into it is received. Needed where the chain's name does not hold it. */
  device?: string;
  trafficType: string;
  /** Another traffic type for these devices: the private gateways of a VPC. */
  devices?: Readonly<Record<string, string>>;
  /** Packet marks, as in the rules: both the mark and the device must fit. */
  marks?: { readonly sent: string; readonly received: string };
}

export interface Chosen {
  trafficType: string;
  /** Null: the rule does not tell. */
  direction: Direction | null;
}

/** Null: the rule's chain is not counted. The first fitting rule of the settings decides. */
export const chooser =
  (chains: readonly ChainRule[]) =>
  (rule: Pick<IptablesRule, 'table' | 'chain' | 'words'>): Chosen | null => {
    for (const entry of chains) {
      const device = deviceOf(entry, rule);
      if (device === null) continue;
      return {
        trafficType: entry.devices?.[device] ?? entry.trafficType,
        direction: directionOf(entry, device, rule.words),
      };
    }
    return null;
  };

/** Null: another chain. '' : no device is known. */
const deviceOf = (entry: ChainRule, rule: Pick<IptablesRule, 'table' | 'chain'>): string | null => {
  if (entry.table !== rule.table) return null;
  if (!entry.chain.endsWith('*')) return entry.chain === rule.chain ? (entry.device ?? '') : null;
  const head = entry.chain.slice(0, -1);
  if (!rule.chain.startsWith(head) || rule.chain.length === head.length) return null;
  return entry.device ?? rule.chain.slice(head.length);
};

const directionOf = (entry: ChainRule, device: string, words: readonly string[]): Direction | null => {
  const [into, out] = [valueAfter(words, '-i'), valueAfter(words, '-o')];
  const by: Direction | null =
    device === ''
      ? null
      : out === device && into !== device
        ? 'sent'
        : into === device && out !== device
          ? 'received'
          : null;
  if (entry.marks === undefined) return by;
  const mark = valueAfter(words, '--mark');
  const marked: Direction | null =
    mark === entry.marks.sent ? 'sent' : mark === entry.marks.received ? 'received' : null;
  return marked === null || (by !== null && by !== marked) ? null : marked;
};

/** Marks of packets out of and into a site-to-site VPN on CloudStack's virtual router. */
const VPN_MARKS = { sent: '0x525', received: '0x524' } as const;

/**
 * CloudStack's virtual routers: NETWORK_STATS (isolated networks; the public device must be named), NETWORK_STATS_<dev>
 * (VPCs) and VPN_STATS_<dev> in mangle. A VPC's packets into a tunnel leave by the public device and so stand in both
 * chains: subtract or bill one of the two, as CloudStack does.
 */
export const virtualRouter = (
  settings: { publicDevice?: string; privateGateways?: readonly string[] } = {},
): ChainRule[] => {
  const devices = Object.fromEntries((settings.privateGateways ?? []).map((device) => [device, 'private-gateway']));
  return [
    {
      table: 'filter',
      chain: 'NETWORK_STATS',
      device: settings.publicDevice ?? 'eth2',
      trafficType: 'public',
      devices,
    },
    { table: 'filter', chain: 'NETWORK_STATS_*', trafficType: 'public', devices },
    { table: 'mangle', chain: 'VPN_STATS_*', trafficType: 'vpn', marks: VPN_MARKS },
  ];
};
