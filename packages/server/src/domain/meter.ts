/** Meter definitions: how events become a quantity. Immutable versions; the newest version with receipt <= S is in force. */
import type { Receipt } from './fact.ts';

export type Aggregation = 'sum' | 'count' | 'avg' | 'min' | 'max' | 'unique' | 'latest';
export type MeterKind = 'delta' | 'cumulative' | 'gauge' | 'percentile';

export interface MeterFilter {
  /** JSON path into the event's data, `$.a.b`. */
  path: string;
  /** Values that pass, compared as text. */
  in: readonly string[];
}

export interface Meter {
  key: string;
  version: number;
  name: string;
  kind: MeterKind;
  /** CloudEvents type whose events feed the meter; of a percentile meter, '' (it reads `of`). */
  eventType: string;
  /** delta: how values combine. gauge: integral (level x time), max or last. cumulative: sum. percentile: the rank. */
  aggregation: Aggregation | 'integral' | 'last';
  /** JSON path of the value, `$.bytes`; '' for count. */
  valuePath: string;
  /** cumulative: JSON paths of epoch, start; '' when events carry none. */
  epochPath: string;
  startPath: string;
  /** Dimension name -> JSON path. */
  groupBy: Readonly<Record<string, string>>;
  filters: readonly MeterFilter[];
  unit: string;
  /** gauge: ms for which a sample stays valid; 0: it holds until changed. */
  validFor: number;
  /** percentile: rank in per mille (950) and the cumulative meter keys it adds up. */
  rank: number;
  of: readonly string[];
  /** Direction rule of a percentile over several meters. */
  direction: 'max-of-percentiles' | 'percentile-of-max' | 'percentile-of-sum';
  billable: boolean;
  deleted: boolean;
  receipt: Receipt;
}

/** Events exist in two shapes for the job: counters go to readings, everything else stays an event. */
export const isCounter = (m: Meter): boolean => m.kind === 'cumulative';

export { defineMeter, type MeterProblem } from './define-meter.ts';

const network = (key: string, name: string, unit: string): Meter => ({
  key,
  version: 1,
  name,
  kind: 'cumulative',
  eventType: key,
  aggregation: 'sum',
  valuePath: '$.value',
  epochPath: '$.epoch',
  startPath: '$.start',
  groupBy: {},
  filters: [],
  unit,
  validFor: 0,
  rank: 0,
  of: [],
  direction: 'max-of-percentiles',
  billable: true,
  deleted: false,
  receipt: 0,
});

/** Meters every installation has, with receipt 0: before any fact. Units as UCUM writes them. */
export const builtinMeters = (): Meter[] => [
  network('network.bytes.received', 'Network bytes received', 'By'),
  network('network.bytes.sent', 'Network bytes sent', 'By'),
  network('network.packets.received', 'Network packets received', '{packet}'),
  network('network.packets.sent', 'Network packets sent', '{packet}'),
  {
    ...network('network.encapsulation.bytes', 'Overhead of tunnels', 'By'),
    groupBy: { tunnel: '$.tunnel', method: '$.method', wire: '$.wire' },
    billable: false,
  },
];
