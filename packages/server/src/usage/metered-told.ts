/** Whose usage control facts may have changed, and of when: each fact is read once, however many frontiers are asked about. */
import type { Book } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { breath } from './breath.ts';

export interface ChangeSources {
  usage: UsageStore;
  control: ControlStore;
  registry: SeriesRegistry;
}

/** Those that change what is used, not only how complete it is known to be: a final invoice waited for that. */
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
const FOREVER = Number.MAX_SAFE_INTEGER;
/** Series looked at in one turn of the loop: some milliseconds. */
const A_BREATH = 5_000;

/** A fact of this receipt may have changed usage in [from, to). */
interface Change {
  receipt: Receipt;
  from: Instant;
  to: Instant;
}

export class Told {
  private readonly sources: ChangeSources;
  private readonly book: Book;
  private readonly frontier: Receipt;
  /** By span, the newest. */
  private readonly byAccount = new Map<string, Map<string, Change>>();
  /** Of the newest definition of a meter: with it everybody's usage may have changed. */
  private newestMeter: Receipt = 0;
  /** Facts above it are read, up to the book's frontier. */
  private through: Receipt;
  private reading: Promise<void> = Promise.resolve();

  constructor(sources: ChangeSources, book: Book, frontier: Receipt) {
    this.sources = sources;
    this.book = book;
    this.frontier = frontier;
    this.through = frontier;
  }

  /** Everything above `since` is read when it resolves. */
  async readFrom(since: Receipt): Promise<void> {
    if (since >= this.through) return;
    this.reading = this.reading.catch(() => undefined).then(() => this.readPages(since));
    await this.reading;
  }

  changedAll(since: Receipt): boolean {
    return this.newestMeter > since;
  }

  hasChanged(account: string, since: Receipt, from: Instant, to: Instant): boolean {
    for (const change of this.byAccount.get(account)?.values() ?? [])
      if (change.receipt > since && change.from < to && change.to > from) return true;
    return false;
  }

  private async readPages(since: Receipt): Promise<void> {
    const named = new Map<string, Receipt>();
    for (let after = since; after < this.through; ) {
      const page = await this.sources.control.facts(after, PAGE, { kinds: KINDS, upTo: this.through });
      for (const fact of page) await this.add(fact, named);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      after = last.receipt;
    }
    if (named.size > 0) await this.addSources(named);
    this.through = Math.min(this.through, since);
  }

  /** `sources` collects those that a fact is about, with its receipt: their series are looked up together. */
  private async add({ body, tenant, receipt }: ControlFact, sources: Map<string, Receipt>): Promise<void> {
    switch (body.kind) {
      case 'owner':
        // Who had it before loses it, and may be named by no fact that is still in force.
        for (const account of this.book.everOwned(tenant, body.resource))
          this.note(account, { receipt, from: body.from, to: FOREVER });
        break;
      case 'resource':
        this.addResource(tenant, body.id, receipt);
        break;
      case 'account':
        // What the installation's keys brought under its name is its own from now on.
        this.note(body.id, { receipt, from: 0, to: FOREVER });
        break;
      case 'source':
        sources.set(sourceKey(tenant, body.id), receipt);
        break;
      case 'meter':
        this.newestMeter = Math.max(this.newestMeter, receipt);
        break;
      case 'void':
        if (body.series !== null) this.addSeries(body.series, receipt);
        else await this.addEvent(body.target, receipt);
        // The replacement may be of another subject.
        if (body.replacement !== null) await this.addEvent(receipt, receipt);
        break;
      case 'set':
        if (body.state === 'undone') await this.addSet(body.name, receipt);
        break;
      case 'decision':
        if (body.series !== null) this.addSeries(body.series, receipt);
        else if (body.target !== null) await this.addEvent(body.target, receipt);
        break;
      case 'quarantine':
        this.addSeries(body.series, receipt);
        break;
      case 'unobserved':
        if (body.series !== null) this.addSeries(body.series, receipt);
        else sources.set(sourceKey(tenant, body.source ?? ''), receipt);
        break;
      default:
    }
  }

  private async addEvent(target: Receipt, receipt: Receipt): Promise<void> {
    const found = await this.sources.usage.findReceipt(target);
    if (found !== null && 'event' in found) this.addResource(found.event.tenant, found.event.subject, receipt);
  }

  private async addSet(name: string, receipt: Receipt): Promise<void> {
    const types = [...new Set([...this.book.meters()].map((m) => m.eventType))];
    const all = { types, from: 0, to: FOREVER, frontier: this.frontier, voided: [], undoneSets: [] };
    for await (const event of this.sources.usage.events({ ...all, inSet: name }))
      this.addResource(event.tenant, event.subject, receipt);
  }

  private async addSources(named: ReadonlyMap<string, Receipt>): Promise<void> {
    let seen = 0;
    for (const series of this.sources.registry.all()) {
      if (++seen % A_BREATH === 0) await breath();
      const receipt = named.get(sourceKey(series.tenant, series.source));
      if (receipt !== undefined) this.addResource(series.tenant, series.resource, receipt);
    }
  }

  private addSeries(id: number, receipt: Receipt): void {
    const series: Series | undefined = this.sources.registry.byId(id);
    if (series !== undefined) this.addResource(series.tenant, series.resource, receipt);
  }

  /** Who had it before some fact above the frontier is named by that fact. */
  private addResource(tenant: string, resource: string, receipt: Receipt): void {
    for (const { account, from, to } of this.book.ownerIntervals(tenant, resource, 0, FOREVER))
      if (account !== null) this.note(account, { receipt, from, to });
  }

  private note(account: string, change: Change): void {
    let spans = this.byAccount.get(account);
    if (spans === undefined) {
      spans = new Map();
      this.byAccount.set(account, spans);
    }
    const name = `${change.from}:${change.to}`;
    if (change.receipt > (spans.get(name)?.receipt ?? 0)) spans.set(name, change);
  }
}

/** Names may hold anything, so the length of the first tells where the second begins. */
const sourceKey = (tenant: string, source: string): string => `${tenant.length}:${tenant}${source}`;
