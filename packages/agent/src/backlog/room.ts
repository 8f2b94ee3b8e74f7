/**
 * Keeps the backlog within its bound. The oldest segments are rewritten with less in them: first down to the last
 * reading of every 15 minutes, and when all are, down to first and last values. Only then a segment goes as it is.
 */
import type { Part } from './pass.ts';
import type { Segment } from './segment.ts';
import type { Store } from './store.ts';
import { ENDS_ONLY, QUARTER, thin } from './thin.ts';

const levels = [QUARTER, ENDS_ONLY] as const;
/** Readings in a thinned segment beyond which the rest goes to another. */
const READINGS_MAX = 200_000;
/** What is worked on in one step, at most: a share of the bound, and what is done in about a second. */
const STEP_SHARE = 16;
const STEP_BYTES = 16 * 1024 * 1024;

export interface Given {
  /** Readings between others that stay: no total changes. */
  thinned: number;
  /** Readings that nothing stands for. */
  forcedOut: number;
}

/** One step of it; null: there is nothing to do, or nothing left that can be done. */
export const makeRoom = async (store: Store, maxBytes: number): Promise<Given | null> => {
  if (store.bytes <= maxBytes) return null;
  const thinned = await thinOldest(store, maxBytes).catch(unlessFull);
  const [oldest] = store.resting;
  const given = { thinned: thinned ?? 0, forcedOut: 0 };
  if (thinned === null) {
    if (oldest === undefined) return null;
    given.forcedOut = oldest.items;
    store.giveUp(oldest, 'full');
  }
  await store.clean();
  // What was given up is written down where there is room for it now.
  if (thinned === null) await store.append([]);
  return given;
};

/** A disk without room for the smaller one: then the larger one has to go. */
const unlessFull = (error: unknown): null => {
  if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
  throw error;
};

/** Resolves to the readings given up; null: there is nothing that could be thinned. */
const thinOldest = async (store: Store, maxBytes: number): Promise<number | null> => {
  const most = Math.min(STEP_BYTES, maxBytes / STEP_SHARE);
  const found = choose(store.resting, most);
  if (found === null) return null;
  const { group, parts } = await gather(store, found.group, found.window);
  const before = group.reduce((sum, { items }) => sum + items, 0);
  await store.replace(group, parts, found.level);
  return before - parts.reduce((sum, { items }) => sum + items.length, 0);
};

/** What comes next; null: all is down to first and last values, and no two are small enough to become one. */
const choose = (resting: readonly Segment[], most: number) => {
  for (const [i, window] of levels.entries()) {
    const from = resting.findIndex(({ level }) => level <= i);
    if (from >= 0) return { group: neighbours(resting.slice(from), i, most), window, level: i + 1 };
  }
  for (const from of resting.keys()) {
    const group = neighbours(resting.slice(from), levels.length, most);
    if (group.length > 1) return { group, window: ENDS_ONLY, level: levels.length };
  }
  return null;
};

/** Those thinned to no more than `level` that follow each other, up to so many bytes; at least one. */
const neighbours = (segments: readonly Segment[], level: number, most: number): Segment[] => {
  const group: Segment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    bytes += segment.bytes;
    const fits = segment.level <= level && bytes <= most && segment.source === segments[0]?.source;
    if (group.length > 0 && !fits) break;
    group.push(segment);
  }
  return group;
};

/** One segment is in memory at a time, and what stays of those before it. */
const gather = async (store: Store, segments: readonly Segment[], window: number) => {
  let parts: Part[] = [];
  const group: Segment[] = [];
  for (const segment of segments) {
    group.push(segment);
    parts = thin([...parts, ...(await store.read(segment))], window);
    if (parts.reduce((sum, { items }) => sum + items.length, 0) > READINGS_MAX) break;
  }
  return { group, parts };
};
