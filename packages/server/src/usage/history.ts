/**
 * The control facts the job has folded so far, and what changed since a span was last advanced. The job keeps a book of
 * its own, so that facts arriving during a run stay out of it.
 */
import { Book, sourceDefaults } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import { type Corrected, Exceptions } from './exceptions.ts';

const TICKS_KEPT = 10_000;

export class History {
  /** Every fact up to here is folded in. */
  at: Receipt = 0;
  readonly book = new Book();
  readonly exceptions: Exceptions;
  private readonly facts: ControlFact[] = [];
  private ticks: ControlFact[] = [];
  /** Per span: the tick when it was last advanced. In memory only: after a restart all that is pending is looked at once. */
  private readonly advancedAt = new Map<number, Instant>();

  constructor(registry: SeriesRegistry) {
    this.exceptions = new Exceptions(registry);
  }

  apply(fact: ControlFact): void {
    this.book.apply(fact);
    this.exceptions.apply(fact);
    if (fact.body.kind === 'tick') this.addTick(fact);
    else if (fact.body.kind !== 'key') this.facts.push(fact);
    this.at = fact.receipt;
  }

  advanced(row: Progress): void {
    this.advancedAt.set(row.id, this.book.lastTick);
  }

  since(frontier: Receipt): ControlFact[] {
    let i = this.facts.length;
    while (i > 0 && (this.facts[i - 1]?.receipt ?? 0) > frontier) i--;
    return this.facts.slice(i);
  }

  /** What control facts changed in closed counter windows since the row's frontier, for the series of a range. */
  corrected({ frontier, closedTo }: Progress, first: number, last: number): Corrected[] {
    const changed = this.since(frontier).flatMap((fact) => this.exceptions.changed(fact, closedTo));
    // A reading taken out near the edge or beyond it does not end the silence before it, as the store takes it to.
    for (const series of this.exceptions.correctedAfter(closedTo - WINDOW_MS))
      changed.push({ series, from: closedTo - WINDOW_MS, to: closedTo, receipt: null });
    return changed.filter((t) => t.series >= first && t.series <= last);
  }

  /** No record of the span before this instant was pending when it was last advanced; 0: not known. */
  pendingFrom(row: Progress): Instant {
    const tick = this.advancedAt.get(row.id);
    if (tick === undefined || this.since(row.frontier).some((f) => f.body.kind === 'source')) return 0;
    const sources = [...this.book.knownSources()];
    const longest = sources.reduce((ms, s) => Math.max(ms, s.settleAfterMs), sourceDefaults.settleAfterMs);
    return windowStart(Math.max(0, tick - longest));
  }

  /** What was known of the sources at an earlier frontier: their rules and the wall clock, nothing else. */
  sourcesAt(frontier: Receipt): Book {
    const book = new Book();
    for (const fact of this.facts) if (fact.body.kind === 'source' && fact.receipt <= frontier) book.apply(fact);
    const tick = this.ticks.findLast((fact) => fact.receipt <= frontier);
    if (tick !== undefined) book.apply(tick);
    return book;
  }

  /** Without the ticks of long ago, a span that far behind is only looked at more closely. */
  private addTick(fact: ControlFact): void {
    this.ticks.push(fact);
    if (this.ticks.length > 2 * TICKS_KEPT) this.ticks = this.ticks.slice(-TICKS_KEPT);
  }
}
