/**
 * What a bounded queue of counter readings gives up. Usage needs only the first and the last value of each epoch, the
 * values between only say when. What stays: first values (they are the baseline, or carry the start), the last value of
 * every window, end markers. So no total changes, and with windows of 15 minutes hardly any record does.
 */
import type { ResourceHint, SeriesHead } from '@tollgate/event';
import { type Item, type Part, REQUEST_BYTES, seriesText, sizeOfHints, sizeOfItems } from './pass.ts';

/** The grid of usage records, ms. */
export const QUARTER = 900_000;
/** Only first and last values stay. */
export const ENDS_ONLY = Number.POSITIVE_INFINITY;

/** Parts in the order in which they were handed over, oldest first. The order of what stays is the same. */
export const thin = (parts: readonly Part[], windowMs: number): Part[] => {
  const series = numbering();
  const known = new Set<number>();
  const firsts = new Set<Item>();
  for (const { items } of parts)
    for (const item of items) {
      if (item.value === null) continue;
      const own = series(item.head);
      if (!known.has(own)) firsts.add(item);
      known.add(own);
    }
  // From the newest on: the first one met of a window is its last.
  const window = new Map<number, number>();
  const stays = (item: Item): boolean => {
    if (item.value === null) return true;
    const [own, of] = [series(item.head), Math.floor(item.at / windowMs)];
    const isLast = window.get(own) !== of;
    window.set(own, of);
    return isLast || item.start > 0 || firsts.has(item);
  };
  const kept = parts.toReversed().map((part) => ({ ...part, items: part.items.toReversed().filter(stays).reverse() }));
  return withoutEmpty(kept.reverse());
};

/** A number for each counter and life. */
const numbering = (): ((head: SeriesHead) => number) => {
  const byHead = new Map<SeriesHead, number>();
  const byText = new Map<string, number>();
  return (head) => {
    let own = byHead.get(head);
    if (own !== undefined) return own;
    const text = seriesText(head);
    own = byText.get(text) ?? byText.size;
    byText.set(text, own);
    byHead.set(head, own);
    return own;
  };
};

/** A part left without items hands what it vouches for to the one before. */
const withoutEmpty = (parts: readonly Part[]): Part[] => {
  const merged: Part[] = [];
  for (const part of parts) {
    const before = merged.at(-1);
    const own = { ...part, size: sizeOfItems(part.items) + sizeOfHints(part.resources) };
    const fits = before !== undefined && before.size + own.size <= REQUEST_BYTES;
    if (part.items.length > 0 || !fits) merged.push(own);
    else merged[merged.length - 1] = joined(before, own);
  }
  return merged;
};

const joined = (before: Part, after: Part): Part => {
  const resources = latest(before.resources, after.resources);
  return {
    items: before.items,
    resources,
    completeThrough: after.completeThrough > 0 ? after.completeThrough : before.completeThrough,
    size: sizeOfItems(before.items) + sizeOfHints(resources),
    settled: (kept) => {
      before.settled(kept);
      after.settled(kept);
    },
  };
};

/** What was said later of a resource holds; what was not said again still does. */
const latest = (before: readonly ResourceHint[], after: readonly ResourceHint[]): readonly ResourceHint[] => {
  if (before.length === 0 || after.length === 0) return before.length === 0 ? after : before;
  const hints = new Map(before.map((hint) => [hint.id, hint]));
  for (const hint of after) hints.set(hint.id, { ...hints.get(hint.id), ...hint });
  return [...hints.values()];
};
