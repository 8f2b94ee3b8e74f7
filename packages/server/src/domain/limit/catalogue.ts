/**
 * Plans, subscriptions, overrides, limits of the installation and blocks, as the fold of their facts: the part of the
 * book that says who may use how much. Begin reading here; what it means for one call is in in-force.ts.
 */
import type { AccountState } from '../control-fact.ts';
import type { Receipt } from '../fact.ts';
import type { Instant } from '../window.ts';
import type { BlockFact, CatalogueFact, LimitFact, OverrideFact, SubscriptionFact } from './catalogue-fact.ts';
import type { Plan } from './plan.ts';
import { type Dated, mapIn, nextOf, type Timeline, timelineIn } from './timeline.ts';

export type Subscription = Dated<SubscriptionFact>;
export type Override = Dated<OverrideFact>;
export type InstallationLimit = Dated<LimitFact>;
export type Block = Dated<BlockFact>;

export interface RlsText {
  text: string;
  receipt: Receipt;
}

/** Instants are below this; what never changes again is said to hold until then. */
export const FOREVER: Instant = Number.MAX_SAFE_INTEGER;

/** What of a book decides on limits. */
export interface LimitBook {
  readonly catalogue: Catalogue;
  account(id: string): { parent: string | null; zone: string; state: AccountState } | undefined;
}

export class Catalogue {
  /** Receipt of the last fact that bears on which limits are in force: accounts too. What was derived holds until it moves. */
  at: Receipt = 0;
  /** Receipt of the last fact about plans. */
  plansAt: Receipt = 0;
  private readonly plans = new Map<string, Plan[]>();
  private readonly subscriptions = new Map<string, Timeline<SubscriptionFact>>();
  /** By account, then key. */
  private readonly overrides = new Map<string, Map<string, Timeline<OverrideFact>>>();
  /** By key, in the order of receipts. */
  private readonly limits = new Map<string, InstallationLimit[]>();
  private readonly rls = new Map<string, RlsText>();
  /** By account, then action. */
  private readonly blocks = new Map<string, Map<string, Timeline<BlockFact>>>();

  /** Facts come in receipt order. */
  put(fact: CatalogueFact, receipt: Receipt): void {
    this.touch(receipt);
    switch (fact.kind) {
      case 'plan': {
        const versions = listIn(this.plans, fact.plan.key);
        const { from, removed } = fact;
        this.plansAt = receipt;
        const billing = fact.plan.billing ?? null;
        versions.push({ ...fact.plan, billing, version: versions.length + 1, receipt, from, removed });
        break;
      }
      case 'subscription':
        timelineIn(this.subscriptions, fact.account).put(fact, receipt);
        break;
      case 'override':
        timelineIn(mapIn(this.overrides, fact.account), fact.key).put(fact, receipt);
        break;
      case 'limit':
        this.limits.set(fact.limit.key, withLimit(this.limits.get(fact.limit.key) ?? [], { ...fact, receipt }));
        break;
      case 'block':
        timelineIn(mapIn(this.blocks, fact.account), fact.action).put(fact, receipt);
        break;
      case 'rls':
        if (fact.text === null) this.rls.delete(fact.domain);
        else this.rls.set(fact.domain, { text: fact.text, receipt });
        break;
    }
  }

  /** An account was made or changed: its zone, its state and what lies above it bear on its limits. */
  touch(receipt: Receipt): void {
    this.at = Math.max(this.at, receipt);
  }

  /** All versions, by receipt. */
  planVersions(key: string): readonly Plan[] {
    return this.plans.get(key) ?? [];
  }
  /** The newest version by receipt, although it may be in force only later; undefined when removed or never there. */
  plan(key: string): Plan | undefined {
    const newest = this.plans.get(key)?.at(-1);
    return newest?.removed === true ? undefined : newest;
  }
  *allPlans(): Iterable<Plan> {
    for (const key of this.plans.keys()) {
      const plan = this.plan(key);
      if (plan !== undefined) yield plan;
    }
  }
  /** Every version there was, of removed plans too. */
  *allVersions(): Iterable<Plan> {
    for (const versions of this.plans.values()) yield* versions;
  }
  /**
   * The version in force at t: of those whose `from` is reached, the one that was applied last, so that applying a plan
   * also calls off what was planned before. The first version covers the time before it: a subscription that reaches
   * further back still has limits. A removal ends what can be subscribed to, not what holds for those who are.
   */
  planAt(key: string, t: Instant): Plan | undefined {
    const versions = this.planVersions(key).filter((version) => !version.removed);
    return versions.findLast((version) => version.from <= t) ?? versions[0];
  }
  /** When another version of the plan comes into force after t, or `until`. */
  nextPlanChange(key: string, t: Instant, until: Instant): Instant {
    return this.planVersions(key).reduce((next, { from }) => (from > t && from < next ? from : next), until);
  }

  /** Configurations of rate limit domains, by domain. */
  get rlsDomains(): ReadonlyMap<string, RlsText> {
    return this.rls;
  }

  subscriptionAt(account: string, t: Instant): Subscription | undefined {
    return this.subscriptions.get(account)?.at(t);
  }
  subscriptionsOf(account: string): readonly Subscription[] {
    return this.subscriptions.get(account)?.all() ?? [];
  }
  *allSubscriptions(): Iterable<Subscription> {
    for (const timeline of this.subscriptions.values()) yield* timeline.all();
  }
  nextSubscriptionChange(account: string, t: Instant, until: Instant): Instant {
    return this.subscriptions.get(account)?.nextChange(t, until) ?? until;
  }

  overrideAt(account: string, key: string, t: Instant): Override | undefined {
    return this.overrides.get(account)?.get(key)?.at(t);
  }
  *overridesOf(account: string): Iterable<Override> {
    for (const timeline of this.overrides.get(account)?.values() ?? []) yield* timeline.all();
  }
  *allOverrides(): Iterable<Override> {
    for (const account of this.overrides.keys()) yield* this.overridesOf(account);
  }
  nextOverrideChange(account: string, t: Instant, until: Instant): Instant {
    return nextOf(this.overrides.get(account), t, until);
  }

  /** What rules at t, also when it has ended by then: of those that have begun, the one that was put last. */
  limitAt(key: string, t: Instant): InstallationLimit | undefined {
    return this.limits.get(key)?.findLast(({ from }) => from <= t);
  }
  /** The one that was put last, although it may begin only later. */
  limit(key: string): InstallationLimit | undefined {
    return this.limits.get(key)?.at(-1);
  }
  /** For each key the one that rules at t; it may have ended. */
  *limitsAt(t: Instant): Iterable<InstallationLimit> {
    for (const key of this.limits.keys()) {
      const found = this.limitAt(key, t);
      if (found !== undefined) yield found;
    }
  }
  /** All that were put, by receipt for each key: those that ended and those to come too. */
  *allLimits(): Iterable<InstallationLimit> {
    for (const versions of this.limits.values()) yield* versions;
  }
  /** When an installation limit begins, ends or changes after t, or `until`. */
  nextLimitChange(t: Instant, until: Instant): Instant {
    let next = until;
    for (const { from, to } of this.allLimits()) {
      if (from > t && from < next) next = from;
      if (to !== null && to > t && to < next) next = to;
    }
    return next;
  }

  /** The block of the action, or of all actions, that was set last; undefined: none at t. */
  blockAt(account: string, action: string, t: Instant): Block | undefined {
    const ofAccount = this.blocks.get(account);
    if (ofAccount === undefined) return undefined;
    const found = [action, '*'].flatMap((name) => ofAccount.get(name)?.at(t) ?? []);
    return found.sort((a, b) => b.receipt - a.receipt)[0];
  }
  *blocksOf(account: string): Iterable<Block> {
    for (const timeline of this.blocks.get(account)?.values() ?? []) yield* timeline.all();
  }
  *allBlocks(): Iterable<Block> {
    for (const account of this.blocks.keys()) yield* this.blocksOf(account);
  }
  nextBlockChange(account: string, t: Instant, until: Instant): Instant {
    return nextOf(this.blocks.get(account), t, until);
  }
}

/** One of each start: put again with the same start, it is replaced. */
const withLimit = (versions: readonly InstallationLimit[], put: InstallationLimit): InstallationLimit[] => [
  ...versions.filter(({ from }) => from !== put.from),
  put,
];

function listIn<V>(map: Map<string, V[]>, key: string): V[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
