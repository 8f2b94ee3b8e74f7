/** What operators and the job decided about series: released, dropped, quarantined, never to come. */
import type { DecisionFact, QuarantineFact, UnobservedFact } from './control-fact.ts';
import type { Decisions } from './delta.ts';
import type { Receipt } from './fact.ts';
import { place } from './ownership.ts';
import type { Series } from './series.ts';
import type { Instant, Interval } from './window.ts';

interface OfSeries {
  released: Set<Receipt>;
  dropped: Set<Receipt>;
  voided: Set<Receipt>;
  quarantinedFrom: Instant | null;
  discarded: { from: Instant; before: Receipt }[];
  unobserved: Interval[];
}

const NONE: ReadonlySet<Receipt> = new Set();
const NOTHING: readonly Interval[] = [];

export class Decided {
  private readonly series = new Map<number, OfSeries>();
  private readonly unobservedSources = new Map<string, Interval[]>();
  /** Decisions about facts that belong to no series. */
  private readonly others = new Map<Receipt, 'release' | 'drop'>();

  void(series: number | null, target: Receipt): void {
    if (series !== null) this.of(series).voided.add(target);
  }

  quarantine(fact: QuarantineFact): void {
    const of = this.of(fact.series);
    of.quarantinedFrom = Math.min(of.quarantinedFrom ?? fact.from, fact.from);
  }

  decide({ action, target, series }: DecisionFact, receipt: Receipt): void {
    if (target === null) {
      if (series !== null) this.decideSeries(this.of(series), action, receipt);
      return;
    }
    if (series === null) {
      this.others.set(target, action);
      return;
    }
    // The last word counts.
    const of = this.of(series);
    (action === 'release' ? of.released : of.dropped).add(target);
    (action === 'release' ? of.dropped : of.released).delete(target);
  }

  /**
   * About a whole quarantined series. Released, it counts again; dropped, the readings of its quarantine that were known
   * by then are set aside for good and those that come later count. Either way it holds nothing back any more.
   */
  private decideSeries(of: OfSeries, action: 'release' | 'drop', receipt: Receipt): void {
    if (of.quarantinedFrom === null) return;
    if (action === 'drop') of.discarded.push({ from: of.quarantinedFrom, before: receipt });
    of.quarantinedFrom = null;
  }

  unobserved(tenant: string, fact: UnobservedFact): void {
    const span = { from: fact.from, to: fact.to };
    if (fact.series !== null) this.of(fact.series).unobserved.push(span);
    else if (fact.source !== null) {
      const key = place(tenant, fact.source);
      const spans = this.unobservedSources.get(key);
      if (spans === undefined) this.unobservedSources.set(key, [span]);
      else spans.push(span);
    }
  }

  /** What the source itself said it could not see. */
  lostBy(tenant: string, source: string): readonly Interval[] {
    return this.unobservedSources.get(place(tenant, source)) ?? NOTHING;
  }

  for(series: Pick<Series, 'id' | 'tenant' | 'source'>, settledBefore: Instant): Decisions {
    const of = this.series.get(series.id);
    const ofSource = this.unobservedSources.get(place(series.tenant, series.source)) ?? NOTHING;
    if (of === undefined) {
      return { released: NONE, dropped: NONE, quarantinedFrom: null, unobserved: ofSource, settledBefore };
    }
    const unobserved = ofSource.length === 0 ? of.unobserved : [...of.unobserved, ...ofSource];
    const { released, dropped, voided, quarantinedFrom, discarded } = of;
    return { released, dropped, voided, quarantinedFrom, discarded, unobserved, settledBefore };
  }

  /** What was decided about a fact that belongs to no series. */
  about(receipt: Receipt): 'release' | 'drop' | undefined {
    return this.others.get(receipt);
  }

  *quarantined(): Iterable<{ series: number; from: Instant }> {
    for (const [series, { quarantinedFrom }] of this.series) {
      if (quarantinedFrom !== null) yield { series, from: quarantinedFrom };
    }
  }

  private of(series: number): OfSeries {
    let of = this.series.get(series);
    if (of === undefined) {
      of = {
        released: new Set(),
        dropped: new Set(),
        voided: new Set(),
        quarantinedFrom: null,
        discarded: [],
        unobserved: [],
      };
      this.series.set(series, of);
    }
    return of;
  }
}
