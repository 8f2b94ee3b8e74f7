/**
 * Whose usage of past spans facts that came since may have changed: only those are rated again. A superset. What only
 * changes how complete usage is known to be (a source that declares, time to settle that passes) is none of it.
 *
 * A run of invoices asks of every earlier frontier, for every account. So control facts are read once (metered-told.ts),
 * measured ones once for each frontier over all spans that were asked about, and no book but the present one is folded.
 */
import type { Book } from '../domain/book.ts';
import type { Receipt } from '../domain/fact.ts';
import { type Instant, windowCeil, windowStart } from '../domain/window.ts';
import { breath } from './breath.ts';
import { type ChangeSources, Told } from './metered-told.ts';

export interface Changed {
  /** A definition changed, and with it everybody's usage may have. */
  readonly all: boolean;
  has(account: string): boolean;
}

const LAST_SERIES = 2 ** 32 - 1;
/** Series looked at in one turn of the loop: some milliseconds. */
const A_BREATH = 5_000;

/** Who is named by measured facts above a frontier, of the span that was looked at so far. */
class Measured {
  readonly accounts = new Set<string>();
  from: Instant = 0;
  to: Instant = 0;
  /** One extends it at a time. */
  tail: Promise<void> = Promise.resolve();

  covers(from: Instant, to: Instant): boolean {
    return from >= this.from && to <= this.to;
  }
}

export class ChangesUpTo {
  private readonly sources: ChangeSources;
  private readonly book: Book;
  private readonly frontier: Receipt;
  private readonly told: Told;
  private readonly measured = new Map<Receipt, Measured>();

  /** `book` is of the frontier: what came after it is in no answer. */
  constructor(sources: ChangeSources, book: Book, frontier: Receipt) {
    this.sources = sources;
    this.book = book;
    this.frontier = frontier;
    this.told = new Told(sources, book, frontier);
  }

  /** Accounts whose usage in [from, to) may be another than it was at `since`. May name too many, never too few. */
  async since(since: Receipt, from: Instant, to: Instant): Promise<Changed> {
    await this.told.readFrom(since);
    if (this.told.changedAll(since)) return { all: true, has: () => true };
    let measured = this.measured.get(since);
    if (measured === undefined) {
      measured = new Measured();
      this.measured.set(since, measured);
    }
    const { accounts } = measured;
    if (!measured.covers(from, to)) await this.extend(measured, since, from, to);
    return { all: false, has: (id) => accounts.has(id) || this.told.hasChanged(id, since, from, to) };
  }

  private async extend(measured: Measured, since: Receipt, from: Instant, to: Instant): Promise<void> {
    const extend = async (): Promise<void> => {
      const isFirst = measured.from === measured.to;
      const pieces = isFirst ? [[from, to] as const] : [[from, measured.from] as const, [measured.to, to] as const];
      for (const [a, b] of pieces) {
        if (a >= b) continue;
        await new Piece(this.sources, this.book, measured.accounts, a, b).add(since, this.frontier);
        measured.from = isFirst ? a : Math.min(measured.from, a);
        measured.to = isFirst ? b : Math.max(measured.to, b);
      }
    };
    measured.tail = measured.tail.catch(() => undefined).then(extend);
    await measured.tail;
  }
}

/** Meters of one kind: their keys, and the types of the events that they measure. */
interface OfKind {
  keys: Set<string>;
  types: Set<string>;
}

/** One span and one frontier. */
class Piece {
  private readonly sources: ChangeSources;
  private readonly book: Book;
  private readonly accounts: Set<string>;
  private readonly from: Instant;
  private readonly to: Instant;

  constructor(sources: ChangeSources, book: Book, accounts: Set<string>, from: Instant, to: Instant) {
    this.sources = sources;
    this.book = book;
    this.accounts = accounts;
    this.from = from;
    this.to = to;
  }

  async add(after: Receipt, frontier: Receipt): Promise<void> {
    await this.addReadings(after, frontier);
    await this.addSubjects(this.meters('delta'), this.from, after, frontier);
    // A level holds from its change on, however long ago that was.
    await this.addSubjects(this.meters('gauge'), 0, after, frontier);
    await this.addPassed(after);
  }

  private async addReadings(after: Receipt, frontier: Receipt): Promise<void> {
    const span = { firstSeries: 0, lastSeries: LAST_SERIES, from: windowStart(this.from), to: windowCeil(this.to) };
    for (const { series: id } of await this.sources.usage.touchedCounters(span, after, frontier)) {
      const series = this.sources.registry.byId(id);
      if (series !== undefined) this.addResource(series.tenant, series.resource);
    }
  }

  /**
   * Usage as of S ends at the clock as recorded by S, though S may know of facts beyond it: they count, and levels go on,
   * as soon as a tick has passed them. No fact about them needs to come for that. Of counters everybody's is named:
   * which of them had such readings the store could tell only by reading all that came after that clock.
   */
  private async addPassed(after: Receipt): Promise<void> {
    const [tick] = await this.sources.control.facts(0, 1, { kinds: ['tick'], upTo: after, newest: true });
    const then = tick?.body.kind === 'tick' ? tick.body.at : 0;
    // Before the first tick the wall clock stands in for it, and leaves nothing behind to compare with.
    if (then >= this.to || (then > 0 && then === this.book.lastTick)) return;
    const [deltas, levels] = [this.meters('delta'), this.meters('gauge')];
    let seen = 0;
    for (const { tenant, resource, meter } of this.sources.registry.all()) {
      if (++seen % A_BREATH === 0) await breath();
      if (!deltas.keys.has(meter) && !levels.keys.has(meter)) this.addResource(tenant, resource);
    }
    await this.addSubjects(deltas, Math.max(this.from, then), 0, after);
    await this.addSubjects(levels, 0, 0, after);
  }

  private meters(of: 'delta' | 'gauge'): OfKind {
    const [keys, types] = [new Set<string>(), new Set<string>()];
    for (const { kind, key, eventType } of this.book.meters()) {
      if (kind !== of) continue;
      keys.add(key);
      types.add(eventType);
    }
    return { keys, types };
  }

  private async addSubjects({ types }: OfKind, from: Instant, after: Receipt, frontier: Receipt): Promise<void> {
    const found = await this.sources.usage.touchedSubjects([...types], from, this.to, after, frontier);
    for (const { tenant, subject } of found) this.addResource(tenant, subject);
  }

  private addResource(tenant: string, resource: string): void {
    for (const { account } of this.book.ownerIntervals(tenant, resource, this.from, this.to))
      if (account !== null) this.accounts.add(account);
  }
}
