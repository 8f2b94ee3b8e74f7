/** Which metrics of a page become which meters, and what their labels mean. */
import { decimal } from './exact.ts';
import type { Sample } from './exposition.ts';
import { trafficMeters } from './meters.ts';

/** Labels of another metric of the page, put beside those of a sample that agrees with it in `on`. */
export interface Join {
  metric: string;
  on: readonly string[];
  /** Labels to take. */
  take?: readonly string[];
  /** Takes the value too, under this name: node_network_iface_id holds the ifindex as its value. */
  valueAs?: string;
}

export interface MetricRule {
  /** Name of the sample, `_total` and all. */
  metric: string;
  /** Key of a cumulative meter. */
  meter: string;
  /** Labels that name the object. */
  identity: readonly string[];
  /** Dimension -> label. */
  dimensions?: Readonly<Record<string, string>>;
  /** Only samples with these label values. */
  where?: Readonly<Record<string, string>>;
  /** Labels for people and for the mapping. */
  name?: string;
  tag?: string;
  mac?: string;
  alias?: string;
  joins?: readonly Join[];
  /** Labels, also joined ones, that change when the counter is another. A sample that lacks one is not counted. */
  epoch?: readonly string[];
  /**
   * The counters live in the process that is scraped, so its start is theirs. Never for an exporter that reads counters
   * of others: its restart would bill their whole life once more. A page that tells neither this nor `_created` is not
   * counted. Default false.
   */
  ownProcess?: boolean;
  /** A label set that is new began at zero. Default: true with `epoch`, else false. */
  fromZero?: boolean;
  /** The meter counts in units of 10^-scale of the metric: 3 makes milliseconds of seconds. Default 0. */
  scale?: number;
}

/** Every label of a sample, joined ones included. */
export type Labels = ReadonlyMap<string, string>;

const joined = (labels: Labels, on: readonly string[]): string => on.map((name) => labels.get(name) ?? '').join('\n');

/** Answers with a sample's labels and those its rule joins to them. */
export const joiner = (samples: readonly Sample[], joins: readonly Join[]): ((sample: Sample) => Labels) => {
  const indexes = joins.map((join) => {
    const index = new Map<string, Sample | null>();
    for (const sample of samples) {
      if (sample.metric !== join.metric) continue;
      const key = joined(sample.labels, join.on);
      // Two candidates: neither is taken.
      index.set(key, index.has(key) ? null : sample);
    }
    return { join, index };
  });
  return (sample) => {
    const labels = new Map(sample.labels);
    for (const { join, index } of indexes) {
      const other = index.get(joined(sample.labels, join.on));
      if (other === undefined || other === null) continue;
      for (const name of join.take ?? []) {
        const value = other.labels.get(name);
        if (value !== undefined) labels.set(name, value);
      }
      // NaN names nothing: it is what a value looks like that could not be read.
      if (join.valueAs !== undefined && decimal(other.value) !== null) labels.set(join.valueAs, other.value);
    }
    return labels;
  };
};

/** The values of these labels as one text that two different sets never share; null when one is missing. */
export const textOf = (labels: Labels, names: readonly string[]): string | null => {
  const values = names.map((name) => labels.get(name));
  if (values.some((value) => value === undefined || value === '')) return null;
  return values.map((value) => value?.replace(/[%/]/g, (c) => (c === '%' ? '%25' : '%2F'))).join('/');
};

/**
 * Interfaces as node_exporter shows them. The ifindex is the epoch. The exporter offers no boot id, and its boot time
 * shifts with the clock, so a reboot shows as a falling value. Where a line of the textfile collector offers the boot id,
 * rules of one's own can join it.
 */
export const nodeExporter = (): MetricRule[] => {
  const joins: Join[] = [
    { metric: 'node_network_iface_id', on: ['device'], valueAs: 'ifindex' },
    { metric: 'node_network_info', on: ['device'], take: ['address', 'ifalias'] },
  ];
  const epoch = ['ifindex'];
  const common = { identity: ['device'], name: 'device', mac: 'address', alias: 'ifalias', joins, epoch } as const;
  return [
    { ...common, metric: 'node_network_receive_bytes_total', meter: trafficMeters.received.bytes },
    { ...common, metric: 'node_network_receive_packets_total', meter: trafficMeters.received.packets },
    { ...common, metric: 'node_network_transmit_bytes_total', meter: trafficMeters.sent.bytes },
    { ...common, metric: 'node_network_transmit_packets_total', meter: trafficMeters.sent.packets },
  ];
};
