/** Which series were whose: by meter and account, so that asks of thousands of accounts do not walk all series each. */

import type { Book, Ownership } from '../domain/book.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import { breath } from './breath.ts';
import { type Holding, UNATTRIBUTED } from './selection.ts';

const NONE: readonly Holding[] = [];
const FOREVER = Number.MAX_SAFE_INTEGER;
/** Series looked at in one turn of the loop: some milliseconds. */
const A_BREATH = 5_000;

interface Held {
  /** Of series known at the frontier, over all time. */
  known: Map<string, Holding[]>;
  /** Of series first met after it: as of the frontier only their events know of them. */
  later: Map<string, Holding[]>;
}

export class HoldingIndex {
  private readonly book: Book;
  private readonly registry: SeriesRegistry;
  private readonly frontier: Receipt;
  private built: Promise<Held> | null = null;

  constructor(book: Book, registry: SeriesRegistry, frontier: Receipt) {
    this.book = book;
    this.registry = registry;
    this.frontier = frontier;
  }

  /** Billable series that count themselves: one pass over all series, the first time. */
  read(): Promise<Held> {
    this.built ??= this.build();
    return this.built;
  }

  /** What of [from, to) the series was whose. */
  holdingsOf(series: Series, from: Instant = 0, to: Instant = FOREVER): Holding[] {
    return this.book
      .ownerIntervals(series.tenant, series.resource, from, to)
      .map((owned) => ({ series, account: owned.account ?? UNATTRIBUTED, from: owned.from, to: owned.to }));
  }

  isBillable(series: Series): boolean {
    return this.book.isBillable(series.tenant, series.resource);
  }

  private async build(): Promise<Held> {
    const held: Held = { known: new Map(), later: new Map() };
    let seen = 0;
    // Series of one resource are registered together: what is asked of the book is asked once for most of them.
    let of: Series | null = null;
    let owners: readonly Ownership[] = [];
    for (const series of this.registry.all()) {
      if (++seen % A_BREATH === 0) await breath();
      if (series.witnessOf !== 0) continue;
      if (of?.resource !== series.resource || of.tenant !== series.tenant) {
        of = series;
        const { tenant, resource } = series;
        owners = this.isBillable(series) ? this.book.ownerIntervals(tenant, resource, 0, FOREVER) : [];
      }
      const into = series.firstReceipt > this.frontier ? held.later : held.known;
      for (const owned of owners) {
        const account = owned.account ?? UNATTRIBUTED;
        const holding = { series, account, from: owned.from, to: owned.to };
        const own = into.get(account);
        if (own === undefined) into.set(account, [holding]);
        else own.push(holding);
      }
    }
    return held;
  }
}

/** Those of one account on a meter that meet [from, to). */
export const heldIn = (
  map: ReadonlyMap<string, readonly Holding[]>,
  account: string,
  meter: string,
  from: Instant,
  to: Instant,
): readonly Holding[] =>
  (map.get(account) ?? NONE).filter((h) => h.series.meter === meter && h.from < to && h.to > from);
