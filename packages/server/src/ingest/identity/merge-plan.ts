import type { Segment, SegmentInfo } from './segment.ts';

const FAN_IN = 4;

/** Four neighbours in age of about one size; or one of which most is too old. Null: nothing is worth it. */
export function nextMerge(segments: readonly Segment[], cutoff: number, tableBits: number): Segment[] | null {
  const stale = segments.find((s) => living(s.info, cutoff) * 2 < s.info.ids);
  if (stale !== undefined) return [stale];
  const unit = 2 ** (tableBits - 1);
  const tier = (s: Segment): number => Math.max(0, Math.floor(Math.log2(s.info.ids / unit) / 2 + 0.25));
  // The oldest first: merging the newest four would leave the ones before them behind for good.
  for (let at = 0; at + FAN_IN <= segments.length; at++) {
    const run = segments.slice(at, at + FAN_IN);
    const size = tier(run[0] as Segment);
    if (run.every((s) => tier(s) === size)) return run;
  }
  return null;
}

const living = (info: SegmentInfo, cutoff: number): number =>
  info.quarters.reduce((sum, [quarter, ids]) => sum + (quarter >= cutoff ? ids : 0), 0);
