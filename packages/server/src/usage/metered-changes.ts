/** Whose usage of a past span facts that came since may have changed: only those are rated again. */
import type { Book } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, windowCeil, windowStart } from '../domain/window.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { breath } from './breath.ts';

/** `all`: a definition changed, and with it everybody's usage may have. */
export interface Changed {
  accounts: ReadonlySet<string>;
  all: boolean;
  /** Receipt up to which facts were looked at. */
  frontier: Receipt;
}

interface Sources {
  usage: UsageStore;
  control: ControlStore;
  registry: SeriesRegistry;
  bookAt(frontier: Receipt): Promise<Book>;
}

const KINDS = [
  'owner',
  'resource',
  'account',
  'source',
  'meter',
  'void',
  'set',
  'decision',
  'quarantine',
  'unobserved',
];
const PAGE = 10_000;
const LAST_SERIES = 2 ** 32 - 1;
/** Series looked at in one turn of the loop: some milliseconds. */
const A_BREATH = 5_000;

/**
 * A superset. What only changes how complete usage is known to be (a source that declares, time to settle that passes)
 * is none of it: a final invoice waited for that.
 */
export async function changedSince(
  sources: Sources,
  then: { frontier: Receipt; book: Book },
  frontier: Receipt,
  from: Instant,
  to: Instant,
): Promise<Changed> {
  const changes = new Changes(sources, [then.book, await sources.bookAt(frontier)], then.frontier, frontier, from, to);
  await changes.addFacts();
  if (!changes.all) {
    await changes.addReadings();
    await changes.addEvents();
    await changes.addPassed();
  }
  return { accounts: changes.accounts, all: changes.all, frontier };
}

/** Meters of one kind: their keys, and the types of the events that they measure. */
interface Measured {
  keys: Set<string>;
  types: Set<string>;
}

class Changes {
  readonly accounts = new Set<string>();
  all = false;
  private readonly sources: Sources;
  /** As it was, and as it is: usage that moved from one account to another changed for both. */
  private readonly books: readonly Book[];
  private readonly after: Receipt;
  private readonly frontier: Receipt;
  private readonly from: Instant;
  private readonly to: Instant;

  constructor(sources: Sources, books: readonly Book[], after: Receipt, frontier: Receipt, from: Instant, to: Instant) {
    this.sources = sources;
    this.books = books;
    this.after = after;
    this.frontier = frontier;
    this.from = from;
    this.to = to;
  }

  async addFacts(): Promise<void> {
    for (let after = this.after; ; ) {
      const page = await this.sources.control.facts(after, PAGE, { kinds: KINDS, upTo: this.frontier });
      for (const fact of page) await this.addFact(fact);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE || this.all) return;
      after = last.receipt;
    }
  }

  async addReadings(): Promise<void> {
    const span = { firstSeries: 0, lastSeries: LAST_SERIES, from: windowStart(this.from), to: windowCeil(this.to) };
    for (const { series } of await this.sources.usage.touchedCounters(span, this.after, this.frontier))
      this.addSeries(series);
  }

  async addEvents(): Promise<void> {
    const { deltas, levels } = this.eventMeters();
    await this.addSubjects(deltas.types, this.from, this.after, this.frontier);
    // A level holds from its change on, however long ago that was.
    await this.addSubjects(levels.types, 0, this.after, this.frontier);
  }

  /**
   * Usage as of S ends at the clock as recorded by S, though S may know of facts beyond it: they count, and levels go on,
   * as soon as a tick has passed them. No fact about them needs to come for that. Of counters everybody's is named:
   * which of them had such readings the store could tell only by reading all that came after that clock.
   */
  async addPassed(): Promise<void> {
    const [then = 0, now = 0] = this.books.map((book) => book.lastTick);
    // Before the first tick the wall clock stands in for it, and leaves nothing behind to compare with.
    if (then >= this.to || (then > 0 && then === now)) return;
    const { deltas, levels } = this.eventMeters();
    await this.addWhere((series) => !deltas.keys.has(series.meter) && !levels.keys.has(series.meter));
    await this.addSubjects(deltas.types, Math.max(this.from, then), 0, this.after);
    await this.addSubjects(levels.types, 0, 0, this.after);
  }

  private eventMeters(): { deltas: Measured; levels: Measured } {
    const deltas: Measured = { keys: new Set(), types: new Set() };
    const levels: Measured = { keys: new Set(), types: new Set() };
    for (const book of this.books) {
      for (const { kind, key, eventType } of book.meters()) {
        if (kind !== 'delta' && kind !== 'gauge') continue;
        const { keys, types } = kind === 'delta' ? deltas : levels;
        keys.add(key);
        types.add(eventType);
      }
    }
    return { deltas, levels };
  }

  private async addSubjects(
    types: ReadonlySet<string>,
    from: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<void> {
    const found = await this.sources.usage.touchedSubjects([...types], from, this.to, after, frontier);
    for (const { tenant, subject } of found) this.addResource(tenant, subject);
  }

  private async addFact({ body, tenant, receipt }: ControlFact): Promise<void> {
    switch (body.kind) {
      case 'owner':
        this.addResource(tenant, body.resource);
        break;
      case 'resource':
        this.addResource(tenant, body.id);
        break;
      case 'account':
        // What the installation's keys brought under its name is its own from now on.
        this.accounts.add(body.id);
        break;
      case 'source':
        await this.addWhere((s) => s.tenant === tenant && s.source === body.id);
        break;
      case 'meter':
        this.all = true;
        break;
      case 'void':
        if (body.series !== null) this.addSeries(body.series);
        else await this.addEvent(body.target);
        // The replacement may be of another subject.
        if (body.replacement !== null) await this.addEvent(receipt);
        break;
      case 'set':
        if (body.state === 'undone') await this.addSet(body.name);
        break;
      case 'decision':
        if (body.series !== null) this.addSeries(body.series);
        else if (body.target !== null) await this.addEvent(body.target);
        break;
      case 'quarantine':
        this.addSeries(body.series);
        break;
      case 'unobserved':
        if (body.series !== null) this.addSeries(body.series);
        else await this.addWhere((s) => s.tenant === tenant && s.source === body.source);
        break;
      default:
    }
  }

  private async addEvent(receipt: Receipt): Promise<void> {
    const found = await this.sources.usage.findReceipt(receipt);
    if (found !== null && 'event' in found) this.addResource(found.event.tenant, found.event.subject);
  }

  private async addSet(name: string): Promise<void> {
    const types = [...new Set(this.books.flatMap((book) => [...book.meters()].map((m) => m.eventType)))];
    const all = { types, from: 0, to: this.to, frontier: this.frontier, voided: [], undoneSets: [] };
    for await (const event of this.sources.usage.events({ ...all, inSet: name }))
      this.addResource(event.tenant, event.subject);
  }

  private async addWhere(passes: (series: Series) => boolean): Promise<void> {
    let seen = 0;
    for (const series of this.sources.registry.all()) {
      if (++seen % A_BREATH === 0) await breath();
      if (passes(series)) this.addResource(series.tenant, series.resource);
    }
  }

  private addSeries(id: number): void {
    const series = this.sources.registry.byId(id);
    if (series !== undefined) this.addResource(series.tenant, series.resource);
  }

  private addResource(tenant: string, resource: string): void {
    for (const book of this.books)
      for (const { account } of book.ownerIntervals(tenant, resource, this.from, this.to))
        if (account !== null) this.accounts.add(account);
  }
}
