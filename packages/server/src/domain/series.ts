/** What one counter or level is followed as. Its order is (epoch, sequence, source time), never arrival. */
import type { Receipt } from './fact.ts';

export const trafficTypes = ['public', 'guest', 'private-gateway', 'vpn', 'management', 'storage'] as const;
export type TrafficType = (typeof trafficTypes)[number];

export interface SeriesKey {
  /** Account of the key the facts came by; '' for the installation. */
  tenant: string;
  source: string;
  /** The measured object (a NIC, a volume, a subject), unique within the tenant. */
  resource: string;
  meter: string;
  /** Group-by dimensions, names sorted. */
  dimensions: Readonly<Record<string, string>>;
}

export interface Series extends SeriesKey {
  /** Group in the top bits, a counter below: the series of a group are a contiguous range (see groupRange). */
  id: number;
  width: 32 | 64;
  /** Line speed in bits per second for the impossible-rate and wrap rules; 0 unknown. */
  lineBits: number;
  /** Declared poll period in ms; 0 unknown. */
  period: number;
  /** The layer at which bytes are counted: L2, L3, wire, app. */
  layer: string;
  /** Id of the series this one only witnesses (two collectors of one counter epoch); 0 when it counts itself. */
  witnessOf: number;
  firstReceipt: Receipt;
}

/** Series ids hold the group in bits 26..31, so that a group is a contiguous range in every table ordered by series. */
export const GROUP_SHIFT = 26;
export const GROUPS_MAX = 64;
export const groupOf = (series: number): number => series >>> GROUP_SHIFT;
export const groupRange = (group: number): { first: number; last: number } => ({
  first: group * 2 ** GROUP_SHIFT,
  last: (group + 1) * 2 ** GROUP_SHIFT - 1,
});

/** The text a series is unique by. */
export const seriesKeyText = (k: SeriesKey): string =>
  JSON.stringify([
    k.tenant,
    k.source,
    k.resource,
    k.meter,
    Object.entries(k.dimensions).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  ]);

/** Characters of a dimension's value that a series key keeps. */
export const DIMENSION_LENGTH = 256;

/**
 * A dimension's value as a series key can hold it. Values come from event data, where anything may stand: one that is
 * too long, or holds a NUL, keeps its beginning and a hash of the whole, so that different values stay different series
 * and no event can stop the job (law 6).
 */
export function dimensionText(value: string): string {
  if (value.length <= DIMENSION_LENGTH && !value.includes('\0')) return value;
  return `${value.slice(0, DIMENSION_LENGTH - 56).replaceAll('\0', '\u2400')}~${hash64(value)}`;
}

/** FNV-1a over UTF-16 units: keeps long values apart, and is no defence against somebody who forges two of his own alike. */
function hash64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}
