/** What an override changes, and what one may be made for. */
import type { Instant } from '../window.ts';
import type { LimitBook } from './catalogue.ts';
import type { LimitRule } from './limit.ts';
import type { PlanLimit } from './plan.ts';

/** The rule with another amount; null: unlimited. */
export function withAmount(rule: LimitRule | null, amount: number | null): LimitRule | null {
  if (rule === null || amount === null) return null;
  if (rule.kind !== 'rate') return { ...rule, amount };
  // A burst of its own stays; one that was the amount stays the amount.
  return { ...rule, amount, burst: rule.burst === rule.amount ? amount : rule.burst };
}

/** Something whose amount can be overridden. */
export interface Overridable {
  key: string;
  meter: string;
  /** Null: an entitlement, or a quota that reads one. */
  rule: LimitRule | null;
}

/** What the key names for the account at t: in its plan, then among the installation's limits. */
export function overridables({ catalogue }: LimitBook, account: string, t: Instant): Overridable[] {
  const subscription = catalogue.subscriptionAt(account, t);
  const plan = subscription && catalogue.planAt(subscription.plan, t);
  const limits = plan?.limits ?? [];
  return [
    ...limits.map(({ key, meter, rule }) => ({ key, meter, rule: ownRule(rule) })),
    ...(plan?.entitlements ?? []).map(({ key, meter }) => ({ key, meter, rule: null })),
    ...[...catalogue.limitsAt(t)].map(({ limit: { key, meter, rule } }) => ({ key, meter, rule })),
  ];
}

const ownRule = (rule: PlanLimit['rule']): LimitRule | null => (rule.kind === 'entitlement' ? null : rule);
