/**
 * Which series a control fact takes off the fast path, and which windows it changes. Kept by the job beside its book:
 * both are folds of the same facts.
 */
import type { ControlFact } from '../domain/control-fact.ts';
import { type Instant, type Interval, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Touched } from '../store/usage-store.ts';

type Target = { series: number } | { tenant: string; resource: string } | { tenant: string; source: string };
type Exception = Target & Interval;

const FOREVER = Number.MAX_SAFE_INTEGER;

export class Exceptions {
  private readonly list: Exception[] = [];
  private readonly registry: SeriesRegistry;

  constructor(registry: SeriesRegistry) {
    this.registry = registry;
  }

  /** Takes the fact in; returns the counter windows it changes (before clipping to what is closed). */
  apply(fact: ControlFact): Touched[] {
    const exception = exceptionOf(fact);
    if (exception === null) return [];
    this.list.push(exception);
    return this.seriesOf(exception).map((series) => ({ series, from: exception.from, to: exception.to }));
  }

  /** Series that SQL must leave to the pure function in [from, to). */
  inSpan(from: Instant, to: Instant): number[] {
    const out = new Set<number>();
    for (const e of this.list) {
      if (e.from >= to + WINDOW_MS || e.to <= from - WINDOW_MS) continue;
      for (const series of this.seriesOf(e)) out.add(series);
    }
    return [...out];
  }

  private seriesOf(target: Target): number[] {
    if ('series' in target) return [target.series];
    if ('resource' in target) return this.registry.ofResource(target.tenant, target.resource).map((s) => s.id);
    const out: number[] = [];
    for (const s of this.registry.all()) if (s.tenant === target.tenant && s.source === target.source) out.push(s.id);
    return out;
  }
}

function exceptionOf(fact: ControlFact): Exception | null {
  const { body, tenant } = fact;
  switch (body.kind) {
    case 'void':
      return body.series === null ? null : { series: body.series, from: body.at, to: body.at + 1 };
    case 'decision':
      return body.series === null
        ? null
        : { series: body.series, from: body.at, to: body.target === null ? FOREVER : body.at + 1 };
    case 'quarantine':
      return { series: body.series, from: body.from, to: FOREVER };
    case 'unobserved':
      if (body.series !== null) return { series: body.series, from: body.from, to: body.to };
      return body.source === null ? null : { tenant, source: body.source, from: body.from, to: body.to };
    case 'owner':
      // On the grid nothing is cut: the owner is joined when records are read.
      if (body.from === windowStart(body.from)) return null;
      return { tenant, resource: body.resource, from: windowStart(body.from), to: windowStart(body.from) + WINDOW_MS };
    default:
      return null;
  }
}
