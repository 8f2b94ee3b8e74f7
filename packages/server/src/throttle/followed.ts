/** A metered counter that is followed: the usage of one scope in one period, as far as it is known. */
import type { Quantity } from '../domain/quantity.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { Gate } from './engine/types.ts';
import type { Base, Wanted } from './usage-base.ts';
import { amountIn, missingIn, type UsageFact } from './usage-fact.ts';
import { metersOfGate, type Scope, scopeOf, usageText } from './usage-scope.ts';

/** Late facts that are kept one by one; beyond it they stay in the sum until the counter is asked for again. */
const LATE_MAX = 10_000;

export class Followed implements Wanted {
  /** Of the limit's newest version that was asked for. */
  gate: Gate;
  readonly text: string;
  readonly meters: readonly string[];
  readonly scope: Scope;
  readonly from: Instant;
  readonly to: Instant;
  isReady = false;
  isGone = false;
  /** Last needed by a decision. */
  usedAt: Instant;
  /** Units admitted while it was not known. */
  unseen = 0;
  /** Somebody corrected facts or owners since the last answer: it may show less, also nothing. */
  isCorrected = false;
  waiting: (() => void)[] = [];
  /** Usage that an answer gave, and what was committed since. */
  private base: Quantity = 0n;
  private tail: Quantity = 0n;
  /** What already falls into the period after this one. */
  private ahead: Quantity = 0n;
  /** Facts in the tail that the next answer may lack too. */
  private late = new Set<UsageFact>();
  /** While an answer is under way: facts it may lack. */
  private fresh: Set<UsageFact> | null = null;
  private isCorrection = false;

  constructor(gate: Gate, { from, to }: Interval, now: Instant) {
    this.gate = gate;
    this.text = usageText(gate);
    this.meters = metersOfGate(gate);
    this.scope = scopeOf(gate);
    this.from = from;
    this.to = to;
    this.usedAt = now;
  }

  get used(): Quantity {
    return this.base + this.tail;
  }
  get isAsked(): boolean {
    return this.fresh !== null;
  }

  add(fact: UsageFact): void {
    this.ahead += amountIn(fact, { from: this.to, to: Number.MAX_SAFE_INTEGER });
    const amount = amountIn(fact, this);
    if (amount === 0n) return;
    this.tail += amount;
    if (this.fresh !== null) this.fresh.add(fact);
    else if (fact.isLate && this.late.size < LATE_MAX) this.late.add(fact);
  }

  /** An answer is asked for; `recent`: facts committed before that it may lack. */
  ask(recent: Iterable<UsageFact>): void {
    this.fresh = new Set([...this.late, ...recent]);
    this.isCorrection ||= this.isCorrected;
    this.isCorrected = false;
  }

  failed(): void {
    for (const fact of this.fresh ?? []) if (fact.isLate && this.late.size < LATE_MAX) this.late.add(fact);
    this.fresh = null;
    this.release();
  }

  /** Base and tail are replaced at once. What is not known does not make less of what was (law 5). */
  answered({ used, isUnknown, hasGap, reach }: Base): void {
    const before = this.used;
    this.late = new Set();
    let tail = 0n;
    for (const fact of this.fresh ?? []) {
      const missing = missingIn(fact, this, reach);
      tail += missing;
      if (missing !== 0n && fact.isLate) this.late.add(fact);
    }
    this.fresh = null;
    this.tail = tail;
    const isLess = this.isReady && used + tail < before;
    this.base = isLess && (hasGap || (isUnknown && !this.isCorrection)) ? before - tail : used;
    this.isCorrection = false;
    this.isReady = true;
    this.unseen = 0;
    this.release();
  }

  /** The next period begins with what was folded ahead, so that nobody waits at midnight. */
  next(period: Interval, now: Instant): Followed {
    const next = new Followed(this.gate, period, now);
    next.tail = this.ahead;
    next.isReady = this.isReady && period.from === this.to;
    next.usedAt = this.usedAt;
    this.isGone = true;
    this.release();
    return next;
  }

  private release(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
