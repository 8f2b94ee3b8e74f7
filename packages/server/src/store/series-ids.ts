/** How a new series gets its id: the group comes from its key alone, the number in the group is counted up. */
import { createHash } from 'node:crypto';
import { GROUP_SHIFT, type Series, type SeriesKey, seriesKeyText } from '../domain/series.ts';
import type { NewSeries } from './control-store.ts';
import { StoreError } from './errors.ts';

const PER_GROUP = 2 ** GROUP_SHIFT;

/** SHA-256 of the key's text: what a series is unique by, of one length however long its names are. */
export const seriesDigest = (key: SeriesKey): Buffer => createHash('sha256').update(seriesKeyText(key)).digest();

export const groupOfDigest = (digest: Buffer, groups: number): number => digest.readUInt32BE(0) % groups;

/** Counts start at 1, so that 0 is never an id: `witnessOf` 0 means none. */
export const FIRST_IN_GROUP = 1;

export function seriesId(group: number, count: number): number {
  if (count >= PER_GROUP)
    throw new StoreError(
      'store.series_full',
      `Group ${group} holds ${PER_GROUP - 1} series: there is no room for more.`,
    );
  return group * PER_GROUP + count;
}

export const sortedDimensions = (dimensions: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

export const seriesRow = (id: number, key: NewSeries): Series => ({
  id,
  tenant: key.tenant,
  source: key.source,
  resource: key.resource,
  meter: key.meter,
  dimensions: sortedDimensions(key.dimensions),
  width: key.width,
  lineBits: key.lineBits,
  period: key.period,
  layer: key.layer,
  witnessOf: key.witnessOf,
  firstReceipt: key.firstReceipt,
});
