/**
 * Which series a control fact takes off the fast path, and which windows it changes. Kept by the job beside its book:
 * both are folds of the same facts.
 */
import type { ControlFact, DecisionFact, OwnerFact, SourceFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, type Interval, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Touched } from '../store/usage-store.ts';

/** Windows that a control fact may have changed. */
export interface Corrected extends Touched {
  /**
   * The lowest receipt that counts differently now. What came after it may be judged anew, so the windows reach from a
   * reading known before it to one that is kept in any case. Null: only states change, or where windows are cut.
   */
  receipt: Receipt | null;
}

type Target = { series: number } | { tenant: string; source: string };
type Exception = Target & Interval & { readings: boolean };

const FOREVER = Number.MAX_SAFE_INTEGER;

export class Exceptions {
  private readonly list: Exception[] = [];
  /** Instants of owner facts by resource, ascending. */
  private readonly owners = new Map<string, { tenant: string; resource: string; at: Instant[] }>();
  /** The earliest quarantine of each series. */
  private readonly quarantines = new Map<number, Instant>();
  private readonly registry: SeriesRegistry;

  constructor(registry: SeriesRegistry) {
    this.registry = registry;
  }

  apply(fact: ControlFact): void {
    const { body, tenant } = fact;
    if (body.kind === 'owner') this.own(tenant, body);
    if (body.kind === 'quarantine') {
      const before = this.quarantines.get(body.series) ?? body.from;
      this.quarantines.set(body.series, Math.min(before, body.from));
    }
    const exception = this.exceptionOf(fact);
    if (exception !== null) this.list.push(exception);
  }

  /** The counter windows it changes, before clipping to what is closed (`closedTo`). All facts up to now are applied. */
  changed(fact: ControlFact, closedTo: Instant): Corrected[] {
    const { body, tenant } = fact;
    if (body.kind === 'owner') return this.cutBy(tenant, body);
    if (body.kind === 'source') return this.tailsOf(tenant, body, closedTo);
    const exception = this.exceptionOf(fact);
    if (exception === null) return [];
    const receipt = this.lowestReceipt(fact);
    return this.seriesOf(exception).map((series) => {
      // With a line speed, each reading is judged against the one before: nothing says where that ends.
      const endless = receipt !== null && (this.registry.byId(series)?.lineBits ?? 0) > 0;
      return { series, from: exception.from, to: endless ? FOREVER : exception.to, receipt };
    });
  }

  /**
   * Where an owner fact cuts windows, off the grid: its own instant, and the next owner's beginning, which may be a change
   * no more, or for the first time.
   */
  cutsOf({ body, tenant }: ControlFact): Instant[] {
    return body.kind === 'owner' ? this.cutsBy(tenant, body.resource, body.from) : [];
  }

  /** Series that SQL must leave to the pure function in [from, to). */
  inSpan(from: Instant, to: Instant): number[] {
    const out = new Set<number>();
    const meets = (e: Interval): boolean => e.from < to + WINDOW_MS && e.to > from - WINDOW_MS;
    for (const e of this.list) if (meets(e)) for (const series of this.seriesOf(e)) out.add(series);
    for (const { tenant, resource, at } of this.owners.values()) {
      // On the grid nothing is cut: the owner is joined when records are read.
      if (!at.some((t) => t % WINDOW_MS !== 0 && meets(windowOf(t)))) continue;
      for (const { id } of this.registry.ofResource(tenant, resource)) out.add(id);
    }
    return [...out];
  }

  /** Series with a reading at or after `t` that a correction took out: the store counts it as one that ended a silence. */
  correctedAfter(t: Instant): number[] {
    return this.list.flatMap((e) => ('series' in e && e.readings && e.to > t ? [e.series] : []));
  }

  private own(tenant: string, { resource, from }: OwnerFact): void {
    const key = JSON.stringify([tenant, resource]);
    const owned = this.owners.get(key) ?? { tenant, resource, at: [] };
    this.owners.set(key, owned);
    if (owned.at.includes(from)) return;
    owned.at.push(from);
    owned.at.sort((a, b) => a - b);
  }

  private cutsBy(tenant: string, resource: string, from: Instant): Instant[] {
    const at = this.owners.get(JSON.stringify([tenant, resource]))?.at ?? [];
    const next = at.find((t) => t > from);
    return [from, ...(next === undefined ? [] : [next])].filter((t) => t % WINDOW_MS !== 0);
  }

  private cutBy(tenant: string, { resource, from }: OwnerFact): Corrected[] {
    const cuts = this.cutsBy(tenant, resource, from);
    const series = this.registry.ofResource(tenant, resource);
    return series.flatMap(({ id }) => cuts.map((t) => ({ series: id, ...windowOf(t), receipt: null })));
  }

  /** Another time to settle changes what is said of the silence at the end of each of the source's series. */
  private tailsOf(tenant: string, { id: source }: SourceFact, closedTo: Instant): Corrected[] {
    const last = { from: closedTo - WINDOW_MS, to: closedTo, receipt: null };
    return this.seriesOf({ tenant, source }).map((series) => ({ series, ...last }));
  }

  private exceptionOf({ body, tenant }: ControlFact): Exception | null {
    switch (body.kind) {
      case 'void':
        return body.series === null ? null : { series: body.series, ...instant(body.at), readings: true };
      case 'decision':
        return body.series === null
          ? null
          : { series: body.series, ...this.reachOf(body.series, body), readings: true };
      case 'quarantine':
        return { series: body.series, from: body.from, to: FOREVER, readings: false };
      case 'unobserved': {
        const span = { from: body.from, to: body.to, readings: false };
        if (body.series !== null) return { series: body.series, ...span };
        return body.source === null ? null : { tenant, source: body.source, ...span };
      }
      default:
        return null;
    }
  }

  private reachOf(series: number, { target, action, at }: DecisionFact): Interval {
    if (target === null) return { from: Math.min(at, this.quarantines.get(series) ?? at), to: FOREVER };
    // Released against its line speed, it may stand in the way of all that follows; ingest stamped those without it.
    const endless = action === 'release' && (this.registry.byId(series)?.lineBits ?? 0) > 0;
    return { from: at, to: endless ? FOREVER : at + 1 };
  }

  private lowestReceipt({ body }: ControlFact): Receipt | null {
    if (body.kind === 'void') return body.target;
    if (body.kind !== 'decision') return null;
    // Dropping a whole series takes out readings of any receipt.
    return body.target ?? (body.action === 'drop' ? 0 : null);
  }

  private seriesOf(target: Target): number[] {
    if ('series' in target) return [target.series];
    const is = (s: Series): boolean => s.tenant === target.tenant && s.source === target.source;
    const out: number[] = [];
    for (const s of this.registry.all()) if (is(s)) out.push(s.id);
    return out;
  }
}

const instant = (t: Instant): Interval => ({ from: t, to: t + 1 });
const windowOf = (t: Instant): Interval => ({ from: windowStart(t), to: windowStart(t) + WINDOW_MS });
