/** The pollers a host can run, and the options of each: tables, as of the settings. */
import { trafficTypes } from './mapping.ts';
import type { Kind, Kinds, Setting } from './settings-values.ts';

export const option = <K extends Kind>(
  kind: K,
  fallback: Kinds[K],
  about: string,
  extras: Partial<Pick<Setting<K>, 'min' | 'max' | 'oneOf' | 'columns'>> & { required?: boolean } = {},
): Setting<K> & { required?: boolean } => ({
  kind,
  fallback,
  min: 1,
  max: 4096,
  unit: '',
  oneOf: [],
  about,
  ...extras,
});

/** Options every poller has. An empty or zero fallback: taken from the settings of all. */
export const commonOptions = {
  name: option('text', '', 'What it is called in resources, mapping and status; its kind when not set', { max: 64 }),
  interval: option('duration', 0, 'Time between two passes; `poll.interval` when not set', {
    min: 1000,
    max: 3_600_000,
  }),
  timeout: option('duration', 0, 'A pass that takes longer is told to give up; `poll.timeout` when not set', {
    min: 100,
    max: 600_000,
  }),
} as const;

const namespace = option('text', '', 'Network namespace (`ip netns`) to look in; the agent’s own when not set', {
  max: 255,
});
const viewpoint = option('text', 'guest', 'Whose sent and received these are', { oneOf: ['guest', 'host', 'device'] });
const directions = ['received', 'sent'] as const;
const wirePackets = option('switch', false, 'Offloads are off on every device the counted packets pass');

const ruleColumns = {
  metric: option('text', '', 'Name of the sample, `_total` and all', { required: true }),
  meter: option('text', '', 'Key of a cumulative meter', { required: true }),
  identity: option('words', [], 'Labels that name the object', { required: true }),
  dimensions: option('pairs', {}, 'Label by dimension'),
  where: option('pairs', {}, 'Only samples with these label values'),
  name: option('text', '', 'Label with the name for people and the mapping'),
  tag: option('text', '', 'Label with the tag'),
  mac: option('text', '', 'Label with the address'),
  alias: option('text', '', 'Label with the alias'),
  epoch: option('words', [], 'Labels that change when the counter is another'),
  ownProcess: option('switch', false, 'The counters live in the process that is scraped: its start is theirs'),
  fromZero: option('text', '', 'A label set that is new began at zero', { oneOf: ['true', 'false'] }),
  scale: option('whole', 0, 'The meter counts in units of 10^-scale of the metric', { min: 0, max: 12 }),
  joins: option('rows', [], 'Labels of other metrics of the page', {
    columns: {
      metric: option('text', '', 'The other metric', { required: true }),
      on: option('words', [], 'Labels both agree in'),
      take: option('words', [], 'Labels to take'),
      valueAs: option('text', '', 'Takes its value too, under this name'),
    },
  }),
} as const;

export const pollerKinds = {
  linux: {
    about: 'The network interfaces of this machine, in one pass over all',
    options: {
      details: option('switch', true, 'Ask `ip` for VLAN and VNI tags, aliases and addresses; needs iproute2'),
      wirePackets,
    },
  },
  nft: {
    about: 'Named counters of nftables',
    options: {
      namespace,
      tables: option('words', [], 'Only counters of these tables; all when not set'),
      directions: option(
        'pairs',
        {},
        'Direction of counters whose name does not tell, by `family/table/name` or name',
        {
          oneOf: directions,
        },
      ),
      names: option(
        'switch',
        true,
        'Read account, class and direction from names such as `t.<tenant>.<network>.<class>.<dir>`',
      ),
      epoch: option('text', 'handle', '`name` where rule sets are loaded with their saved values', {
        oneOf: ['handle', 'name'],
      }),
      viewpoint,
      wirePackets,
    },
  },
  iptables: {
    about: 'Accounting chains of iptables, in the manner of a virtual router; never reset',
    options: {
      namespace,
      backends: option('words', ['iptables', 'ip6tables'], 'Rule sets that are listed', {
        oneOf: ['iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy'],
      }),
      virtualRouter: option(
        'switch',
        true,
        'Count the chains of a CloudStack virtual router (NETWORK_STATS, VPN_STATS)',
      ),
      publicDevice: option('text', 'eth2', 'The public device of NETWORK_STATS', { max: 15 }),
      privateGateways: option('words', [], 'Devices of private gateways'),
      chains: option('rows', [], 'Other chains', {
        columns: {
          table: option('text', 'filter', 'Table', { max: 64 }),
          chain: option('text', '', 'Name; a `*` at its end stands for the device', { max: 64, required: true }),
          device: option('text', '', 'Outer device: out of it is sent, into it is received', { max: 15 }),
          trafficType: option('text', '', 'Kind of traffic', { oneOf: trafficTypes, required: true }),
          devices: option('pairs', {}, 'Another kind of traffic by device', { oneOf: trafficTypes }),
        },
      }),
      duplicates: option('text', 'largest', 'Of identical rules in one chain one counts, or their sum', {
        oneOf: ['largest', 'sum'],
      }),
      viewpoint,
    },
  },
  libvirt: {
    about: 'The NICs of libvirt domains, by domain and MAC',
    options: {
      uri: option('text', 'qemu:///system', 'Address of libvirt'),
      hostView: option('words', [], 'Interface types whose figures come as the host sees them'),
    },
  },
  openmetrics: {
    about: 'Counters of a Prometheus or OpenMetrics page',
    options: {
      url: option('address', '', 'Address of the page', { required: true }),
      headers: option('pairs', {}, 'Headers to send along'),
      nodeExporter: option('switch', false, 'Count the interfaces that node_exporter shows'),
      rules: option('rows', [], 'Which metrics become which meters', { columns: ruleColumns }),
      inexact: option('text', 'count', 'Values above 2^53 are counted or left out; both are reported', {
        oneOf: ['count', 'skip'],
      }),
      layer: option('text', 'app', 'The layer whose headers are in the bytes', { oneOf: ['L2', 'L3', 'wire', 'app'] }),
      viewpoint: option('text', 'device', 'Whose sent and received these are', { oneOf: ['guest', 'host', 'device'] }),
    },
  },
} as const satisfies Record<string, { about: string; options: Record<string, Setting> }>;

export type PollerKind = keyof typeof pollerKinds;
export const kindNames = Object.keys(pollerKinds) as PollerKind[];

export interface PollerConfig {
  kind: PollerKind;
  name: string;
  intervalMs: number;
  timeoutMs: number;
  /** Options of its kind, by name; what was not given has its default. */
  options: Readonly<Record<string, Kinds[Kind]>>;
}

export const optionsOf = (kind: PollerKind): Readonly<Record<string, Setting>> => pollerKinds[kind].options;

/** Where nothing is said, the interfaces of this machine are polled. Interval and timeout 0: not given. */
export const onlyLinux: readonly PollerConfig[] = [
  { kind: 'linux', name: 'linux', intervalMs: 0, timeoutMs: 0, options: {} },
];
