/** Which facts an answer of the usage query holds, although it is put together from records and from open windows. */
import type { Receipt } from '../domain/fact.ts';
import { groupOf } from '../domain/series.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';

/** Whose progress a fact's windows follow: a group of counters, or all events. */
export type Stream = `counter:${number}` | 'event:0';

export const streamOfSeries = (series: number): Stream => `counter:${groupOf(series)}`;
export const EVENTS: Stream = 'event:0';

interface Span extends Interval {
  closedTo: Instant;
  /** Nothing after `closedTo` is computed: a backlog is being worked off. */
  isBacklog: boolean;
  frontier: Receipt;
}

export class Reach {
  readonly frontier: Receipt;
  /** The job did not move while the question was answered. */
  readonly isStill: boolean;
  private readonly spans: ReadonlyMap<Stream, readonly Span[]>;

  /**
   * Progress from before and after the question. Where they differ the answer may lie anywhere between: the windows
   * closed by then and the frontier from before are what it holds at least.
   */
  constructor(frontier: Receipt, before: readonly Progress[], after: readonly Progress[]) {
    this.frontier = frontier;
    this.isStill = JSON.stringify(ordered(before)) === JSON.stringify(ordered(after));
    const spans = new Map<Stream, Span[]>();
    for (const row of after) {
      const stream: Stream = row.stream === 'event' ? EVENTS : `counter:${row.group}`;
      const list = spans.get(stream) ?? [];
      spans.set(stream, list);
      const { from, closedTo, to } = row;
      const isBacklog = to !== null && closedTo < to;
      list.push({ from, to: to ?? Number.MAX_SAFE_INTEGER, closedTo, isBacklog, frontier: least(row, before) });
    }
    for (const list of spans.values()) list.sort((a, b) => a.from - b.from);
    this.spans = spans;
  }

  /**
   * Where the answer lacks a fact with this receipt, which its frontier has passed: in windows whose records are older,
   * and in those that nothing has computed yet. Ascending, disjoint.
   */
  lacking(stream: Stream, receipt: Receipt): Interval[] {
    const spans = this.spans.get(stream) ?? [];
    const [first] = spans;
    // Before all spans the job begins anew when it sees the fact.
    const out: Interval[] = first === undefined ? [] : [{ from: 0, to: first.from }];
    for (const { from, to, closedTo, isBacklog, frontier } of spans) {
      if (receipt > frontier) out.push({ from, to: isBacklog ? to : closedTo });
      else if (isBacklog) out.push({ from: closedTo, to });
    }
    return out;
  }

  /** Part of the interval has no records and is not computed. */
  hasGap({ from, to }: Interval): boolean {
    for (const spans of this.spans.values())
      for (const s of spans) if (s.isBacklog && s.closedTo < to && s.to > from) return true;
    return false;
  }
}

/** Of the rows that lie in the row's span by then: a span may have been split or joined meanwhile. */
function least(row: Progress, before: readonly Progress[]): Receipt {
  const same = before.filter(
    (b) =>
      b.stream === row.stream &&
      b.group === row.group &&
      b.from < (row.to ?? Number.MAX_SAFE_INTEGER) &&
      (b.to ?? Number.MAX_SAFE_INTEGER) > row.from,
  );
  return same.reduce((low, b) => Math.min(low, b.frontier), same.length === 0 ? 0 : row.frontier);
}

const ordered = (rows: readonly Progress[]): Progress[] => [...rows].sort((a, b) => a.id - b.id);
