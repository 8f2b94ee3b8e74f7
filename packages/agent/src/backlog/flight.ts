/** Parts as one request, and what the publisher asks of whatever holds them. */
import { type EndRow, limits, type ReadingRow, type ReadingsBatch, type SeriesHead } from '@tollgate/event';
import { type Part, type Portion, REQUEST_BYTES, seriesText } from './pass.ts';

export interface Batch extends Omit<ReadingsBatch, 'source' | 'sentAt'> {
  /** Left away: the publisher's. */
  source?: string;
}

/** Where readings wait, oldest first. */
export interface ReadingsQueue {
  /** Readings not yet acknowledged. */
  readonly waiting: number;
  /** Readings that are gone because there was no room. */
  readonly forcedOut: number;
  offer(portion: Portion): void;
  /** The oldest ones; the same until they are settled. null: nothing waits. */
  next(): Promise<Batch | null>;
  /** `taken`: they are durable on the server. False: it will never take them. */
  settle(taken: boolean): void;
}

interface Extent {
  items: number;
  size: number;
  /** There are end markers in it. */
  ends: boolean;
}
export const extentOf = ({ items, size }: Part): Extent => ({
  items: items.length,
  size,
  ends: items.at(-1)?.value === null,
});

/**
 * How many of them make one request; at least one if there is one. A batch numbers all its readings before all its end
 * markers: nothing is put behind end markers, so that an item has its number however the parts are put together.
 */
export const fitting = (parts: Iterable<Extent>): number => {
  let count = 0;
  let [items, size] = [0, 0];
  for (const part of parts) {
    items += part.items;
    size += part.size;
    if (count > 0 && (items > limits.itemsPerRequest || size > REQUEST_BYTES)) break;
    count++;
    if (part.ends) break;
  }
  return count;
};

/** `sequence`: number of the first item. */
export const batchOf = (parts: readonly Part[], run: string, sequence: number): Batch => {
  const series: SeriesHead[] = [];
  const byText = new Map<string, number>();
  const byHead = new Map<SeriesHead, number>();
  const indexOf = (head: SeriesHead): number => {
    const known = byHead.get(head);
    if (known !== undefined) return known;
    const text = seriesText(head);
    const index = byText.get(text) ?? series.push(head) - 1;
    byText.set(text, index);
    byHead.set(head, index);
    return index;
  };
  const items = parts.flatMap((part) => part.items);
  const readings: ReadingRow[] = [];
  const ended: EndRow[] = [];
  for (const { head, at, value, start } of items) {
    if (value === null) ended.push([indexOf(head), at]);
    else readings.push(start > 0 ? [indexOf(head), at, String(value), start] : [indexOf(head), at, String(value)]);
  }
  const completeThrough = parts.reduce((latest, part) => part.completeThrough || latest, 0);
  const resources = parts.flatMap((part) => part.resources);
  return {
    run,
    sequence,
    ...(completeThrough > 0 ? { completeThrough } : {}),
    series,
    readings,
    ...(ended.length > 0 ? { ended } : {}),
    ...(resources.length > 0 ? { resources } : {}),
  };
};
