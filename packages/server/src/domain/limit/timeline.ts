/** Spans of time of one thing, such as an account's subscriptions. */
import type { Receipt } from '../fact.ts';
import type { Instant } from '../window.ts';
import type { Span } from './catalogue-fact.ts';

export type Dated<F extends Span> = F & { readonly receipt: Receipt };

export const covers = ({ from, to }: Span, t: Instant): boolean => from <= t && (to === null || t < to);

/** One span for each start, ascending. */
export class Timeline<F extends Span> {
  private spans: readonly Dated<F>[] = [];

  /** Facts come in receipt order: of two with one start the later counts. */
  put(fact: F, receipt: Receipt): void {
    const others = this.spans.filter((s) => s.from !== fact.from);
    this.spans = [...others, { ...fact, receipt }].sort((a, b) => a.from - b.from);
  }

  /** What rules at t: of those that cover it the one that began last. */
  at(t: Instant): Dated<F> | undefined {
    return this.spans.findLast((s) => covers(s, t));
  }

  all(): readonly Dated<F>[] {
    return this.spans;
  }

  /** The next start or end after t, or `until` when that is earlier: up to then `at` answers the same. */
  nextChange(t: Instant, until: Instant): Instant {
    let next = until;
    for (const { from, to } of this.spans) {
      if (from > t && from < next) next = from;
      if (to !== null && to > t && to < next) next = to;
    }
    return next;
  }
}

/** The one of the key, made where it is not there; below, the same of maps. */
export function timelineIn<F extends Span>(map: Map<string, Timeline<F>>, key: string): Timeline<F> {
  const timeline = map.get(key) ?? new Timeline<F>();
  map.set(key, timeline);
  return timeline;
}

export function mapIn<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const inner = map.get(key) ?? new Map<string, V>();
  map.set(key, inner);
  return inner;
}

/** The next start or end in any of them after t, or `until` when that is earlier. */
export function nextOf<F extends Span>(
  timelines: ReadonlyMap<string, Timeline<F>> | undefined,
  t: Instant,
  until: Instant,
): Instant {
  let next = until;
  for (const timeline of timelines?.values() ?? []) next = timeline.nextChange(t, next);
  return next;
}
