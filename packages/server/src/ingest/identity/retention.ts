/** Ids are kept and forgotten by the quarter of an hour of receipt. */
import type { Instant } from '../../domain/window.ts';
import type { SegmentInfo } from './segment.ts';

export const QUARTER_MS = 900_000;
export const quarterOf = (t: Instant): number => Math.floor(t / QUARTER_MS);

/**
 * The first quarter of an hour that can be kept when at most `maxIds` of the ids since `cutoff` fit; 0: they all do. The
 * quarter of an hour in progress always stays.
 */
export function cutoffFor(infos: readonly SegmentInfo[], cutoff: number, inProgress: number, maxIds: number): number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const { quarters } of infos)
    for (const [quarter, ids] of quarters) {
      if (quarter < cutoff) continue;
      total += ids;
      counts.set(quarter, (counts.get(quarter) ?? 0) + ids);
    }
  let kept = 0;
  for (const quarter of [...counts.keys()].sort((a, b) => a - b)) {
    if (total <= maxIds || quarter >= inProgress) break;
    total -= counts.get(quarter) ?? 0;
    kept = quarter + 1;
  }
  return kept;
}
