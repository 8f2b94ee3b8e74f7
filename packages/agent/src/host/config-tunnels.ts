/** The list of tunnels in the settings file, and what it means together with the pollers. */
import { trafficMeters } from '../poll/meters.ts';
import { TableReader } from './config-table.ts';
import type { TunnelRule } from './encapsulation-rules.ts';
import type { Part } from './encapsulation-sides.ts';
import { TUNNEL } from './encapsulation-tunnels.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import type { PollerConfig } from './settings-pollers.ts';
import { type Flaw, type Spot, type Tree, unknownName } from './settings-tree.ts';
import { type TunnelConfig, tunnelOptions } from './settings-tunnels.ts';

/** What is wrong goes to `flaws`. */
export const readTunnels = (tree: Tree, flaws: Flaw[]): TunnelConfig[] => {
  const read = new TableReader(flaws);
  if (tree.kind !== 'list') {
    read.flaw(tree.at, 'tunnels wants a list ("- name: vx42")');
    return [];
  }
  const seen = new Map<string, number>();
  return tree.items.flatMap((item) => {
    if (item.kind !== 'branch') return read.none(item.at, 'a tunnel wants "name: ..."') ?? [];
    const before = flaws.length;
    // The table has every option with the type its kind says.
    const options = read.table(item.entries, tunnelOptions, 'tunnels.', item.at) as TunnelConfig['options'];
    if (flaws.length > before) return [];
    const { name } = options;
    if (!/^[A-Za-z0-9][\w.-]*$/.test(name))
      read.flaw(item.at, `tunnels.name: ${JSON.stringify(name)} is refused, wants letters, digits, ".", "_" and "-"`);
    const line = seen.get(name);
    if (line !== undefined) read.flaw(item.at, `there is a tunnel "${name}" in line ${line} already`);
    seen.set(name, item.at.line);
    return [{ at: item.at, options }];
  });
};

/** With the pollers as they hold: what is to be watched. What is wrong goes to `flaws`. */
export const watchedTunnels = (
  configs: readonly TunnelConfig[],
  pollers: readonly PollerConfig[],
  flaws: Flaw[],
): WatchedTunnel[] => {
  const known = pollers.map(({ name }) => name);
  if (configs.length > 0 && known.includes(TUNNEL))
    refuse(flaws, configs[0]?.at, `no poller may be called "${TUNNEL}" where there are tunnels: their resources are`);
  return configs.flatMap(({ at, options }) => {
    const poller = pollers.find(({ name }) => name === options.poller);
    const wrong = wrongIn(options, poller);
    if (poller === undefined) wrong.push(`tunnels.poller: ${unknownName('poller', options.poller, known)}`);
    for (const message of wrong) refuse(flaws, at, message);
    return wrong.length > 0 ? [] : [watched(options)];
  });
};

type Options = TunnelConfig['options'];

const refuse = (flaws: Flaw[], at: Spot | undefined, message: string): void => {
  flaws.push({ line: at?.line ?? 1, column: at?.column ?? 1, message });
};

/** What one option alone does not show. */
const wrongIn = (o: Options, poller: PollerConfig | undefined): string[] => [
  ...(o.payload.length === 0 ? ['tunnels.payload: wants at least one object'] : []),
  ...(o.underlay.length === 0 && o.method === 'measured'
    ? ['tunnels.underlay is missing: "measured" is underlay less payload; name what counts the tunnel’s packets']
    : []),
  ...(o.payloadDirections.length === 0 ? ['tunnels.payloadDirections: wants received, sent or both'] : []),
  ...(o.underlayDirections.length === 0 ? ['tunnels.underlayDirections: wants received, sent or both'] : []),
  ...(o.method === 'modelled' && poller !== undefined && poller.options.wirePackets !== true
    ? [
        `tunnels.method: "modelled" is refused, wants packets as they are on the wire: wirePackets: true on ${poller.name}, where offloads are off; else measure`,
      ]
    : []),
];

const watched = (o: Options): WatchedTunnel => ({
  tunnel: o.name,
  rule: {
    kind: o.kind as (TunnelRule & { kind: 'vxlan' })['kind'],
    outer: o.outer === '6' ? 6 : 4,
    ...(o.outerTags === 0 ? {} : { outerTags: o.outerTags }),
  },
  method: o.method === 'modelled' ? 'modelled' : 'measured',
  poller: o.poller,
  payload: [part(o.poller, o.payload, o.payloadDirections)],
  underlay: o.underlay.length === 0 ? [] : [part(o.poller, o.underlay, o.underlayDirections)],
});

const part = (poller: string, objects: readonly string[], directions: readonly string[]): Part => {
  const meters = (['received', 'sent'] as const).filter((one) => directions.includes(one)).map((d) => trafficMeters[d]);
  return { poller, objects, bytes: meters.map(({ bytes }) => bytes), packets: meters.map(({ packets }) => packets) };
};
