/**
 * Which limits hold for (account, action, t). A pure function of the book and the instant, computed from nothing but the
 * facts, each time: an upgrade lifts what the old plan refused at once, because no earlier answer is ever looked at.
 */
import type { Receipt } from '../fact.ts';
import type { Instant } from '../window.ts';
import { calendarOf, type LimitCalendar } from './calendar-of.ts';
import { type Catalogue, FOREVER, type InstallationLimit, type LimitBook, type Subscription } from './catalogue.ts';
import type { Limit, LimitRule } from './limit.ts';
import { withAmount } from './override.ts';
import type { Entitlement, Plan, PlanLimit } from './plan.ts';
import { covers } from './timeline.ts';

/** What a counter's subject is: known from the limit, or named by the call. */
export type SubjectRule =
  | { kind: 'account'; account: string }
  | { kind: 'installation' }
  | { kind: 'resource' }
  | { kind: 'dimension'; dimension: string };

/** All that a gate is made of, but for the subject that a call names. */
export interface HeldLimit {
  limit: Limit;
  /** Account it was given to: the one that asks or one above it. '' for a limit of the installation. */
  account: string;
  subject: SubjectRule;
  calendar: LimitCalendar;
}

/** Would hold, but its amount is unlimited, by the plan or by an override. */
export interface Lifted {
  key: string;
  meter: string;
  account: string;
  version: Receipt;
}

/** Refused before any limit is asked. */
export interface Refusal {
  code: 'account.unknown' | 'account.suspended' | 'account.closed' | 'action.blocked' | 'plan.unknown';
  /** A sentence for who is refused; an operator's own words for a block. */
  reason: string;
  /** Whose state or block it is: the account that asks or one above it. */
  account: string;
  /** Receipt of the block; 0 for states. */
  version: Receipt;
  /** When it ends by itself; null: only by somebody's doing. */
  until: Instant | null;
}

export interface InForce {
  account: string;
  /** Null: no subscription at t. There are then no limits of a plan, which is for whoever asks to show, not to hide. */
  plan: { key: string; version: number; receipt: Receipt; from: Instant; to: Instant | null; anchor: Instant } | null;
  refusal: Refusal | null;
  limits: readonly HeldLimit[];
  lifted: readonly Lifted[];
  /** The answer holds up to here as long as `catalogue.at` does not move. */
  until: Instant;
}

/** Accounts can stand below each other this deep; a fold refuses cycles, this bounds the rest. */
const DEPTH_MAX = 64;

/** `action` null: whatever bears on any action, to be shown; refused then is what is refused in every one. */
export function inForce(book: LimitBook, account: string, action: string | null, t: Instant): InForce {
  return new Question(book, account, action, t).answer();
}

/** An entitlement with overrides applied. `version`: receipt of the plan, or of the override that the amount came with. */
export interface HeldEntitlement extends Entitlement {
  version: Receipt;
}

/** What the account is entitled to at t: what its limits and its invoices both read. */
export function entitlementsAt(book: LimitBook, account: string, t: Instant): HeldEntitlement[] {
  const subscription = book.catalogue.subscriptionAt(account, t);
  const plan = subscription && book.catalogue.planAt(subscription.plan, t);
  return (plan?.entitlements ?? []).map((e) => heldEntitlement(book.catalogue, account, e, plan?.receipt ?? 0, t));
}

/**
 * One entitlement of a plan, for a price that reads it. Overrides bear on the plan that the account is subscribed to at t,
 * not on its add-ons. Undefined: there is no such plan or entitlement at t.
 */
export function entitlementAt(
  book: LimitBook,
  account: string,
  plan: string,
  entitlement: string,
  t: Instant,
): HeldEntitlement | undefined {
  const version = book.catalogue.planAt(plan, t);
  const found = version?.entitlements.find((e) => e.key === entitlement);
  if (version === undefined || found === undefined) return undefined;
  const own = book.catalogue.subscriptionAt(account, t)?.plan === plan;
  if (!own) return { ...found, version: version.receipt };
  return heldEntitlement(book.catalogue, account, found, version.receipt, t);
}

function heldEntitlement(
  catalogue: Catalogue,
  account: string,
  entitlement: Entitlement,
  receipt: Receipt,
  t: Instant,
): HeldEntitlement {
  const override = catalogue.overrideAt(account, entitlement.key, t);
  if (override === undefined) return { ...entitlement, version: receipt };
  return { ...entitlement, amount: override.amount, version: override.receipt };
}

class Question {
  private readonly book: LimitBook;
  private readonly catalogue: Catalogue;
  private readonly account: string;
  private readonly action: string | null;
  private readonly t: Instant;
  private readonly limits: HeldLimit[] = [];
  private readonly lifted: Lifted[] = [];
  private refusal: Refusal | null = null;
  private until: Instant = FOREVER;

  constructor(book: LimitBook, account: string, action: string | null, t: Instant) {
    this.book = book;
    this.catalogue = book.catalogue;
    this.account = account;
    this.action = action;
    this.t = t;
  }

  answer(): InForce {
    const line = this.lineage();
    const own = this.catalogue.subscriptionAt(this.account, this.t);
    let plan: Plan | undefined;
    for (const id of line) {
      this.judge(id);
      const given = this.planOf(id);
      if (id === this.account) plan = given;
    }
    if (line.length === 0) this.refuse('account.unknown', 'The account is not known.', this.account);
    this.until = this.catalogue.nextLimitChange(this.t, this.until);
    for (const limit of this.catalogue.limitsAt(this.t)) this.installation(limit, line);
    const { account, refusal, limits, lifted, until } = this;
    return { account, plan: plan && own ? planOf(plan, own) : null, refusal, limits, lifted, until };
  }

  /** The account and those above it, nearest first; empty when there is no such account. */
  private lineage(): string[] {
    const line: string[] = [];
    for (let id: string | null = this.account; id !== null && line.length < DEPTH_MAX; ) {
      const known = this.book.account(id);
      if (known === undefined) break;
      line.push(id);
      id = known.parent;
    }
    return line;
  }

  private judge(id: string): void {
    const state = this.book.account(id)?.state ?? 'active';
    const whose = id === this.account ? 'The account' : 'An account above this one';
    if (state === 'closed') this.refuse('account.closed', `${whose} is closed.`, id);
    if (state === 'suspended') this.refuse('account.suspended', `${whose} is suspended.`, id);
    const block = this.catalogue.blockAt(id, this.action ?? '*', this.t);
    this.until = this.catalogue.nextBlockChange(id, this.t, this.until);
    if (block !== undefined) this.refuse('action.blocked', block.reason, id, block.receipt, block.to);
  }

  /** The first reason stands: the account's own before those of the ones above it. */
  private refuse(code: Refusal['code'], reason: string, account: string, version = 0, until: Instant | null = null) {
    this.refusal ??= { code, reason, account, version, until };
  }

  /** Limits of the plan of the account itself, or of one above it, whose subtree limits reach down. */
  private planOf(id: string): Plan | undefined {
    const { catalogue, t } = this;
    this.until = catalogue.nextSubscriptionChange(id, t, this.until);
    this.until = catalogue.nextOverrideChange(id, t, this.until);
    const subscription = catalogue.subscriptionAt(id, t);
    if (subscription === undefined) return undefined;
    this.until = catalogue.nextPlanChange(subscription.plan, t, this.until);
    const plan = catalogue.planAt(subscription.plan, t);
    if (plan === undefined) {
      // Never unlimited because a package was not found.
      this.refuse('plan.unknown', `The plan ${JSON.stringify(subscription.plan)} is not defined.`, id);
      return undefined;
    }
    for (const limit of plan.limits) {
      if ((id === this.account || limit.scope === 'subtree') && this.bears(limit.actions))
        this.planLimit(id, plan, limit);
    }
    return plan;
  }

  private planLimit(id: string, plan: Plan, planned: PlanLimit): void {
    const { rule: stated, ...rest } = planned;
    const { rule, version } = this.ruleOf(id, plan, planned.key, stated);
    this.hold({ ...rest, rule }, version, id, subjectOf(planned.scope, id), id);
  }

  private ruleOf(
    id: string,
    plan: Plan,
    key: string,
    stated: PlanLimit['rule'],
  ): { rule: LimitRule | null; version: Receipt } {
    if (stated.kind !== 'entitlement') return { rule: stated, version: plan.receipt };
    const found = plan.entitlements.find((e) => e.key === stated.entitlement);
    // A definition that names an entitlement it does not have is refused; a fold must still not fail on one.
    if (found === undefined) return { rule: null, version: plan.receipt };
    const held = heldEntitlement(this.catalogue, id, found, plan.receipt, this.t);
    // The limit's own override, so that one is possible also where the entitlement is unlimited.
    const own = this.catalogue.overrideAt(id, key, this.t);
    const amount = own === undefined ? held.amount : own.amount;
    const rule: LimitRule | null = amount === null ? null : { kind: 'quota', amount, period: held.per };
    return { rule, version: own?.receipt ?? held.version };
  }

  private installation(given: InstallationLimit, line: readonly string[]): void {
    if (!this.bears(given.limit.actions)) return;
    if (!covers(given, this.t)) return;
    const { limit, receipt } = given;
    if (limit.scope !== 'subtree') {
      const isGiven = given.accounts.length === 0 || given.accounts.includes(this.account);
      if (isGiven && line.length > 0) this.hold(limit, receipt, '', subjectOf(limit.scope, this.account), this.account);
    } else if (given.accounts.length === 0) this.hold(limit, receipt, '', { kind: 'installation' }, null);
    else
      for (const id of line)
        if (given.accounts.includes(id)) this.hold(limit, receipt, '', { kind: 'account', account: id }, id);
  }

  /** `owner`: whose overrides, zone and anchor count; null: nobody's. */
  private hold(
    definition: Omit<Limit, 'version' | 'rule'> & { rule: LimitRule | null },
    version: Receipt,
    account: string,
    subject: SubjectRule,
    owner: string | null,
  ): void {
    const override = owner === null ? undefined : this.catalogue.overrideAt(owner, definition.key, this.t);
    const rule = override === undefined ? definition.rule : withAmount(definition.rule, override.amount);
    const told = override?.receipt ?? version;
    if (rule === null) {
      this.lifted.push({ key: definition.key, meter: definition.meter, account, version: told });
      return;
    }
    const calendar = calendarOf(this.book, owner, this.t);
    this.limits.push({ limit: { ...definition, rule, version: told }, account, subject, calendar });
  }

  private bears(actions: readonly string[]): boolean {
    return this.action === null || actions.length === 0 || actions.includes(this.action);
  }
}

function subjectOf(scope: PlanLimit['scope'], account: string): SubjectRule {
  if (scope === 'account' || scope === 'subtree') return { kind: 'account', account };
  return scope === 'resource' ? { kind: 'resource' } : { kind: 'dimension', dimension: scope.dimension };
}

const planOf = (plan: Plan, { from, to, anchor }: Subscription): InForce['plan'] => ({
  key: plan.key,
  version: plan.version,
  receipt: plan.receipt,
  from,
  to,
  anchor,
});
