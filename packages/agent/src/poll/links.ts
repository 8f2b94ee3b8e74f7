/** What `ip -d -j link show` tells of interfaces: kind, tag, alias, address. Asked when interfaces come, not every pass. */
import { parseJson } from './exact.ts';

export interface Link {
  ifindex: number;
  /** veth, bridge, vxlan, vlan, tun ...; '' for a plain device. */
  kind: string;
  /** `vlan:100`, `vni:42`; '' for none. Kept apart: VLAN 42 and VNI 42 are two networks. */
  tag: string;
  /** ifalias. */
  alias: string;
  mac: string;
}

const TAGS: Readonly<Record<string, string>> = { vxlan: 'vni', geneve: 'vni', vlan: 'vlan' };

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** By ifindex. Throws when the text is none of ip's. */
export const parseLinks = (json: string): Map<number, Link> => {
  const all = parseJson(json);
  if (!Array.isArray(all)) throw new Error('ip printed no list of links');
  const links = new Map<number, Link>();
  for (const entry of all as Record<string, unknown>[]) {
    const { ifindex, ifalias, address } = entry;
    if (typeof ifindex !== 'number') continue;
    const info = entry.linkinfo as { info_kind?: unknown; info_data?: { id?: unknown } } | undefined;
    const kind = text(info?.info_kind);
    const id = info?.info_data?.id;
    const prefix = TAGS[kind];
    const tag = prefix !== undefined && (typeof id === 'number' || typeof id === 'string') ? `${prefix}:${id}` : '';
    links.set(ifindex, { ifindex, kind, tag, alias: text(ifalias), mac: text(address).toLowerCase() });
  }
  return links;
};
