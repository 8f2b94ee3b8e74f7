/**
 * Plans: what is included, and which limits come with it. The one place that says so: limits read entitlements here, and
 * so does whoever bills. Data only; made from text by define-plans.ts, put in force by catalogue.ts and in-force.ts.
 */
import type { Receipt } from '../fact.ts';
import type { PlanBilling } from '../price/price.ts';
import type { Instant } from '../window.ts';
import type { LimitDefinition, LimitRule, QuotaPeriod } from './limit.ts';

/** What a plan or an override grants an account on a meter, each period anew. */
export interface Entitlement {
  /** Unique in its plan. */
  key: string;
  /** Key of the meter, or of several with ` + ` between them (see metersOf). */
  meter: string;
  /** Whole units of the meter; null: unlimited. */
  amount: number | null;
  per: QuotaPeriod;
  /** Beyond the amount: refused, or admitted and counted (and billed, where there is a price). */
  overage: 'block' | 'allow';
}

/** A quota with the amount and the period of an entitlement of the same plan. */
export interface EntitlementRule {
  kind: 'entitlement';
  entitlement: string;
}

/** A limit as a plan holds it. */
export type PlanLimit = Omit<LimitDefinition, 'rule'> & { rule: LimitRule | EntitlementRule };

export interface PlanContent {
  key: string;
  name: string;
  entitlements: readonly Entitlement[];
  limits: readonly PlanLimit[];
  /** Null, or left away as in facts from before there were prices: the plan only limits. */
  billing?: PlanBilling | null;
}

/** Immutable: another content is another version. */
export interface Plan extends PlanContent {
  billing: PlanBilling | null;
  /** From 1, in the order of receipts. */
  version: number;
  receipt: Receipt;
  /** In force from this instant on; the first version also holds before it. */
  from: Instant;
  /** Taken out of use: nobody can subscribe to it any more. */
  removed: boolean;
}
