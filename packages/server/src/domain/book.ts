/**
 * The book: the state in force at S as the pure fold of all control facts with receipt <= S. Two folds of the same facts
 * are equal; nothing else may change a book. A fact that makes no sense by now (an account below itself) changes nothing
 * and is remembered as refused: a fold must never fail, or a server could not start.
 */
import { AccountTree, type ZoneSpan } from './account-tree.ts';
import { Billing } from './billing/billing.ts';
import type { AccountFact, ControlFact, KeyFact, ResourceFact, SetFact, SourceFact } from './control-fact.ts';
import { Decided } from './decided.ts';
import type { Decisions } from './delta.ts';
import type { Receipt } from './fact.ts';
import { Catalogue } from './limit/catalogue.ts';
import { builtinMeters, type Meter } from './meter.ts';
import { type Ownership, Ownerships, place } from './ownership.ts';
import type { Series } from './series.ts';
import type { Instant, Interval } from './window.ts';

export type { Ownership } from './ownership.ts';

/** What holds for a source nobody has said anything about. */
export const sourceDefaults = {
  completeness: 'assumed',
  graceMs: 15 * 60_000,
  settleAfterMs: 7 * 86_400_000,
} as const satisfies Partial<SourceFact>;

export class Book {
  /** Receipt of the last fact folded in. */
  at: Receipt = 0;
  /** The latest instant the wall clock is recorded to have reached; 0 before the first tick. */
  lastTick: Instant = 0;
  /** Facts that could not be applied, with the error code that says why. */
  readonly refused: { receipt: Receipt; code: string }[] = [];
  /** Plans, subscriptions, limits: who may use how much. */
  readonly catalogue = new Catalogue();
  private readonly tree = new AccountTree();
  /** Entities, profiles, taxes, discounts, add-ons: who bills whom. */
  readonly billing = new Billing(this.tree);
  private readonly resources = new Map<string, ResourceFact & { tenant: string }>();
  private readonly owners = new Ownerships();
  private readonly sources = new Map<string, SourceFact & { tenant: string }>();
  private readonly meterVersions = new Map<string, Meter[]>(builtinMeters().map((m) => [m.key, [m]]));
  private readonly voided = new Set<Receipt>();
  private readonly sets = new Map<string, SetFact>();
  private readonly decided = new Decided();
  private readonly keys = new Map<string, KeyFact>();
  private readonly keysByHash = new Map<string, KeyFact>();
  private settleAfterMin: number = sourceDefaults.settleAfterMs;

  /** The book as of `frontier`, from facts in any order. */
  static at(facts: readonly ControlFact[], frontier: Receipt): Book {
    const book = new Book();
    const known = facts.filter((fact) => fact.receipt <= frontier).sort((a, b) => a.receipt - b.receipt);
    for (const fact of known) book.apply(fact);
    return book;
  }

  /** Facts come in receipt order. */
  apply({ body, tenant, receipt, recordedAt }: ControlFact): void {
    this.at = Math.max(this.at, receipt);
    switch (body.kind) {
      case 'account':
        if (!this.tree.put(body, recordedAt, receipt)) this.refused.push({ receipt, code: 'account.cycle' });
        this.owners.knowAccount(body.id);
        this.catalogue.touch(receipt);
        break;
      case 'resource':
        this.resources.set(place(tenant, body.id), { ...body, tenant });
        break;
      case 'owner':
        this.owners.put(tenant, body);
        break;
      case 'source':
        this.sources.set(place(tenant, body.id), { ...body, tenant });
        this.settleAfterMin = Math.min(this.settleAfterMin, body.settleAfterMs);
        break;
      case 'meter':
        this.addMeter({ ...body.meter, receipt });
        break;
      case 'void':
        this.voided.add(body.target);
        this.decided.void(body.series, body.target);
        break;
      case 'set':
        this.sets.set(body.name, body);
        break;
      case 'decision':
        this.decided.decide(body, receipt);
        break;
      case 'quarantine':
        this.decided.quarantine(body);
        break;
      case 'unobserved':
        this.decided.unobserved(tenant, body);
        break;
      case 'tick':
        this.lastTick = Math.max(this.lastTick, body.at);
        break;
      case 'key':
        this.addKey(body);
        break;
      case 'entity':
      case 'profile':
      case 'tax':
      case 'coupon':
      case 'discount':
      case 'addon':
        this.billing.put(body, receipt);
        break;
      default:
        this.catalogue.put(body, receipt);
    }
  }

  account(id: string): AccountFact | undefined {
    return this.tree.get(id);
  }
  allAccounts(): IterableIterator<AccountFact> {
    return this.tree.all();
  }
  /** Zones of the account in order: what has begun in one is finished in it. */
  zonesOf(id: string): readonly ZoneSpan[] {
    return this.tree.zonesOf(id);
  }
  /** All accounts below `id`, without itself. */
  descendants(id: string): string[] {
    return this.tree.descendants(id);
  }
  /** All that `id` has ever stood below, at whatever distance: who may have paid for it. */
  everAbove(id: string): string[] {
    return this.tree.everAbove(id);
  }
  /** Whether `id` is `ancestor` or below it: what a key bound to `ancestor` may see. */
  isWithin(id: string, ancestor: string): boolean {
    return this.tree.isWithin(id, ancestor);
  }
  /** Whether `id` may stand below `parent`: it exists and is not `id` or below it. */
  canBeParent(id: string, parent: string | null): boolean {
    return parent === null || (this.tree.get(parent) !== undefined && !this.tree.isWithin(parent, id));
  }

  resource(tenant: string, id: string): (ResourceFact & { tenant: string }) | undefined {
    return this.resources.get(place(tenant, id));
  }
  allResources(): IterableIterator<ResourceFact & { tenant: string }> {
    return this.resources.values();
  }
  /** Management and storage traffic is never billable unless somebody says so of the resource itself. */
  isBillable(tenant: string, id: string): boolean {
    const resource = this.resource(tenant, id);
    if (resource === undefined) return true;
    return resource.billable ?? (resource.trafficType !== 'management' && resource.trafficType !== 'storage');
  }
  /** Null: nobody's, `unattributed`. What comes by a tenant's key is the tenant's by default. */
  ownerAt(tenant: string, resource: string, t: Instant): string | null {
    return this.owners.ownerAt(tenant, resource, t);
  }
  /** Instants in (from, to) at which the owner changes, ascending. */
  ownerChanges(tenant: string, resource: string, from: Instant, to: Instant): Instant[] {
    return this.owners
      .intervals(tenant, resource, from, to)
      .slice(1)
      .map((o) => o.from);
  }
  /** Who owned the resource over [from, to), in order, without holes. */
  ownerIntervals(tenant: string, resource: string, from: Instant, to: Instant): Ownership[] {
    return this.owners.intervals(tenant, resource, from, to);
  }
  /** Everybody whose the resource ever was by any fact, in force or not. */
  everOwned(tenant: string, resource: string): Set<string> {
    return this.owners.everOwned(tenant, resource);
  }
  source(tenant: string, id: string): SourceFact {
    return this.sources.get(place(tenant, id)) ?? { kind: 'source', id, ...sourceDefaults };
  }
  knownSources(): IterableIterator<SourceFact & { tenant: string }> {
    return this.sources.values();
  }

  /** The version in force: the newest. Also when it says deleted. */
  meter(key: string): Meter | undefined {
    return this.meterVersions.get(key)?.at(-1);
  }
  versions(key: string): readonly Meter[] {
    return this.meterVersions.get(key) ?? [];
  }
  /** In force and not deleted; the built-in ones too. */
  *meters(): Iterable<Meter> {
    for (const versions of this.meterVersions.values()) {
      const meter = versions.at(-1);
      if (meter !== undefined && !meter.deleted) yield meter;
    }
  }

  isVoided(receipt: Receipt): boolean {
    return this.voided.has(receipt);
  }
  voidedReceipts(): Receipt[] {
    return [...this.voided];
  }
  set(name: string): SetFact | undefined {
    return this.sets.get(name);
  }
  allSets(): IterableIterator<SetFact> {
    return this.sets.values();
  }
  undoneSets(): string[] {
    return [...this.sets.values()].filter((s) => s.state === 'undone').map((s) => s.name);
  }

  /** Intervals of which the source said that it could not see them. */
  lostBy(tenant: string, source: string): readonly Interval[] {
    return this.decided.lostBy(tenant, source);
  }
  decisionsFor(series: Pick<Series, 'id' | 'tenant' | 'source'>): Decisions {
    return this.decided.for(series, this.settledBefore(series.tenant, series.source));
  }
  /** The last decision about a fact that belongs to no series (an event set aside). */
  decisionAbout(receipt: Receipt): 'release' | 'drop' | undefined {
    return this.decided.about(receipt);
  }
  quarantinedSeries(): Iterable<{ series: number; from: Instant }> {
    return this.decided.quarantined();
  }
  /** What was pending of the source before this instant will never come. */
  settledBefore(tenant: string, source: string): Instant {
    return Math.max(0, this.lastTick - this.source(tenant, source).settleAfterMs);
  }
  /** The furthest any source has settled: nothing after it changes by settling alone. */
  latestSettled(): Instant {
    return Math.max(0, this.lastTick - this.settleAfterMin);
  }

  key(id: string): KeyFact | undefined {
    return this.keys.get(id);
  }
  /** The key with this hash; undefined also when it was revoked. */
  keyByHash(hash: string): KeyFact | undefined {
    const key = this.keysByHash.get(hash);
    return key === undefined || key.revoked ? undefined : key;
  }
  allKeys(): IterableIterator<KeyFact> {
    return this.keys.values();
  }

  private addMeter(meter: Meter): void {
    const versions = this.meterVersions.get(meter.key);
    if (versions === undefined) this.meterVersions.set(meter.key, [meter]);
    else versions.push(meter);
  }

  private addKey(fact: KeyFact): void {
    const before = this.keys.get(fact.id);
    if (before !== undefined && this.keysByHash.get(before.hash)?.id === fact.id) this.keysByHash.delete(before.hash);
    this.keys.set(fact.id, fact);
    this.keysByHash.set(fact.hash, fact);
  }
}
