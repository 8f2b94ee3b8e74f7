/**
 * How a question's boundaries meet the window grid. Whole windows come from records; a window that a boundary cuts comes
 * from facts, cut exactly there (usage is a function of (series, from, to), windows are only a grid for storing).
 */
import { type Instant, windowCeil, windowStart } from '../domain/window.ts';

export interface Pieces {
  /** Whole windows: edges for the store, and for each of its intervals the answer's interval (or -1: not asked). */
  gridEdges: Instant[];
  gridInterval: number[];
  /** Off-grid pieces: [from, to) with the answer's interval. */
  cuts: { from: Instant; to: Instant; interval: number }[];
}

/** Cuts the answer's intervals [edges[i], edges[i+1]) down to [from, to) and sorts them into whole windows and cuts. */
export function cutIntervals(edges: readonly Instant[], from: Instant, to: Instant): Pieces {
  const spans: { from: Instant; to: Instant; interval: number }[] = [];
  const cuts: Pieces['cuts'] = [];
  for (let i = 0; i + 1 < edges.length; i++) {
    const a = Math.max(edges[i] ?? 0, from);
    const b = Math.min(edges[i + 1] ?? 0, to);
    if (a >= b) continue;
    const [first, last] = [windowCeil(a), windowStart(b)];
    if (first >= last) {
      // No whole window inside; it may still span one grid line.
      if (first > a && first < b) cuts.push({ from: a, to: first, interval: i }, { from: first, to: b, interval: i });
      else cuts.push({ from: a, to: b, interval: i });
      continue;
    }
    if (a < first) cuts.push({ from: a, to: first, interval: i });
    spans.push({ from: first, to: last, interval: i });
    if (last < b) cuts.push({ from: last, to: b, interval: i });
  }
  return { ...gridOf(spans), cuts };
}

function gridOf(
  spans: readonly { from: Instant; to: Instant; interval: number }[],
): Pick<Pieces, 'gridEdges' | 'gridInterval'> {
  const gridEdges: Instant[] = [];
  const gridInterval: number[] = [];
  for (const span of spans) {
    if (gridEdges.at(-1) !== span.from) {
      if (gridEdges.length > 0) gridInterval.push(-1);
      gridEdges.push(span.from);
    }
    gridInterval.push(span.interval);
    gridEdges.push(span.to);
  }
  return { gridEdges, gridInterval };
}
