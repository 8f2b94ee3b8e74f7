/** Which series a question is about, and whose they were when: the owner is joined by time, when records are read. */
import type { Book } from '../domain/book.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import type { Series } from '../domain/series.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';

export const UNATTRIBUTED = 'unattributed';

/** Who asks: null sees everything; otherwise the accounts whose usage may be shown. */
export type Viewer = ReadonlySet<string> | null;

export interface Filter {
  meters?: readonly string[] | undefined;
  /** Accounts as such; descendants are added when `subtree` is set. `unattributed` asks for what belongs to nobody. */
  accounts?: readonly string[] | undefined;
  subtree?: boolean | undefined;
  resources?: readonly string[] | undefined;
  sources?: readonly string[] | undefined;
  trafficTypes?: readonly string[] | undefined;
  /** Dimension -> values that pass. */
  dimensions?: Readonly<Record<string, readonly string[]>> | undefined;
  billable?: boolean | undefined;
}

/** One series over one span of one owner. */
export interface Holding extends Interval {
  series: Series;
  account: string;
}

export class Selection {
  private readonly book: Book;
  private readonly registry: SeriesRegistry;

  private readonly asOf: Receipt;

  /** With `asOf`, series first met after it do not exist. */
  constructor(book: Book, registry: SeriesRegistry, asOf: Receipt = Number.MAX_SAFE_INTEGER) {
    this.book = book;
    this.registry = registry;
    this.asOf = asOf;
  }

  holdings(filter: Filter, viewer: Viewer, from: Instant, to: Instant): Holding[] {
    const accounts = this.accountsOf(filter);
    const out: Holding[] = [];
    for (const series of this.candidates(filter)) this.addOwned(out, series, accounts, viewer, from, to);
    return out;
  }

  /** As holdings, for one series that need not be registered yet. */
  holdingsOf(series: Series, filter: Filter, viewer: Viewer, from: Instant, to: Instant): Holding[] {
    const out: Holding[] = [];
    const { sources, resources } = filter;
    if (sources !== undefined && !sources.includes(series.source)) return out;
    if (resources !== undefined && !resources.includes(series.resource)) return out;
    if (this.passes(series, filter)) this.addOwned(out, series, this.accountsOf(filter), viewer, from, to);
    return out;
  }

  /** Accounts the filter names (all without one) that the viewer may see. */
  within(filter: Filter, viewer: ReadonlySet<string>): ReadonlySet<string> {
    const wanted = this.accountsOf(filter);
    return wanted === null ? viewer : new Set([...viewer].filter((account) => wanted.has(account)));
  }

  private addOwned(
    out: Holding[],
    series: Series,
    accounts: Set<string> | null,
    viewer: Viewer,
    from: Instant,
    to: Instant,
  ): void {
    for (const owned of this.book.ownerIntervals(series.tenant, series.resource, from, to)) {
      const account = owned.account ?? UNATTRIBUTED;
      if (accounts !== null && !accounts.has(account)) continue;
      if (viewer !== null && !viewer.has(account)) continue;
      out.push({ series, account, from: Math.max(owned.from, from), to: Math.min(owned.to, to) });
    }
  }

  /** Series that pass the filter; one that only witnesses another's counter never counts (case 18). */
  private *candidates(filter: Filter): Iterable<Series> {
    const [meters, sources, resources] = [filter.meters, filter.sources, filter.resources].map((list) =>
      list === undefined ? null : new Set(list),
    );
    for (const series of this.registry.all()) {
      if (series.witnessOf !== 0 || series.firstReceipt > this.asOf) continue;
      if (meters && !meters.has(series.meter)) continue;
      if (sources && !sources.has(series.source)) continue;
      if (resources && !resources.has(series.resource)) continue;
      if (!this.passes(series, filter)) continue;
      yield series;
    }
  }

  private passes(series: Series, filter: Filter): boolean {
    for (const [name, values] of Object.entries(filter.dimensions ?? {})) {
      if (!values.includes(series.dimensions[name] ?? '')) return false;
    }
    if (filter.trafficTypes === undefined && filter.billable === undefined) return true;
    const resource = this.book.resource(series.tenant, series.resource);
    if (filter.trafficTypes !== undefined && !filter.trafficTypes.includes(resource?.trafficType ?? '')) return false;
    return filter.billable === undefined || this.book.isBillable(series.tenant, series.resource) === filter.billable;
  }

  private accountsOf(filter: Filter): Set<string> | null {
    if (filter.accounts === undefined) return null;
    if (filter.subtree === false) return new Set(filter.accounts);
    return new Set(filter.accounts.flatMap((a) => (a === UNATTRIBUTED ? [a] : [a, ...this.book.descendants(a)])));
  }
}

/** Values of the names rows are grouped by. */
export function groupOfHolding(book: Book, holding: Holding, groupBy: readonly string[]): Record<string, string> {
  const { series, account } = holding;
  const group: Record<string, string> = {};
  for (const name of groupBy) {
    if (name === 'account') group[name] = account;
    else if (name === 'resource' || name === 'subject') group[name] = series.resource;
    else if (name === 'source') group[name] = series.source;
    else if (name === 'series') group[name] = String(series.id);
    else if (name === 'trafficType') group[name] = book.resource(series.tenant, series.resource)?.trafficType ?? '';
    else group[name] = series.dimensions[name] ?? '';
  }
  return group;
}

/** The meter a key names, or undefined when it is unknown or deleted. */
export const meterOf = (book: Book, key: string): Meter | undefined => {
  const meter = book.meter(key);
  return meter === undefined || meter.deleted ? undefined : meter;
};
