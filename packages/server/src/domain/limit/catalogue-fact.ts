/**
 * Control facts about plans and limits. All but plans are spans of time, known by what they are of and their start: a
 * later fact with the same start takes the place of the earlier one, which is how a span is ended or called off.
 */
import type { Instant } from '../window.ts';
import type { LimitDefinition } from './limit.ts';
import type { PlanContent } from './plan.ts';

/** [from, to); null: without end. `to` = `from`: called off, it never held. */
export interface Span {
  from: Instant;
  to: Instant | null;
}

/** A version of a plan, in force from `from` on. */
export interface PlanFact {
  kind: 'plan';
  plan: PlanContent;
  from: Instant;
  removed: boolean;
}

/** Of spans of one account that overlap, the one that began last rules. */
export interface SubscriptionFact extends Span {
  kind: 'subscription';
  account: string;
  plan: string;
  /** Billing periods are counted from here. */
  anchor: Instant;
  /** Nothing costs anything before it; null: no trial. Left away: as the plan says, see ../billing/trial.ts. */
  trialUntil?: Instant | null;
}

/** Another amount of a limit or an entitlement of the account's plan. Of overlapping ones, the one that began last rules. */
export interface OverrideFact extends Span {
  kind: 'override';
  account: string;
  /** Key of a limit, or of an entitlement: then of everything that reads it. */
  key: string;
  /** Whole units of the meter; null: unlimited. */
  amount: number | null;
}

/**
 * A limit of the installation, in no plan. Known by its key: of those that have begun, the one put last rules, so that a
 * later fact replaces it from its own start on, and calls off what was planned.
 */
export interface LimitFact extends Span {
  kind: 'limit';
  limit: LimitDefinition;
  /** Accounts it is given to; empty: all. */
  accounts: readonly string[];
}

/** An operator's rule: the action is refused for the account and everyone below it. */
export interface BlockFact extends Span {
  kind: 'block';
  account: string;
  /** `*`: every action. */
  action: string;
  /** Read by who is refused. */
  reason: string;
}

/** A domain of Envoy's Rate Limit Service, as its configuration was given; null: taken away. A later fact replaces it. */
export interface RlsFact {
  kind: 'rls';
  domain: string;
  text: string | null;
}

export type CatalogueFact = PlanFact | SubscriptionFact | OverrideFact | LimitFact | BlockFact | RlsFact;
