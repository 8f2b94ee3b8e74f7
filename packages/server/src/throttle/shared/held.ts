/** What this server holds of one counter that is leased: units of a window, or slots for what is held at once. */
import type { Clock } from '../../domain/environment.ts';
import { AMOUNT_MAX } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import type { UnitLease, UnitLeaseAsk } from '../../store/unit-leases.ts';
import type { Engine } from '../engine/engine.ts';
import type { Gate } from '../engine/types.ts';
import type { Asked } from '../rounds.ts';

export type Lacks = 'nothing' | 'soon' | 'now';

/** A server may admit on its slots for so long without another word from the store. */
const TERM_MS = 2000;
const SLOTS_REVIEW_MS = 100;
/** Of a window: a chunk used up within this share of it was too small. */
const QUICK = 32;
/** The same in round trips to the store. */
const QUICK_TRIPS = 2;
/** Of a window: what is not used up for this share of it goes back. */
const REVIEW = 16;
const REVIEW_MS = { least: 50, most: 5000 } as const;
/** Of a window: what others seem to have used up is asked for again after this share of it. */
const REFRESH = 20;
const REFRESH_MS = { least: 5, most: 250 } as const;
/** First chunk, and most of what is left that one chunk takes. */
const FIRST = 100;
const SHARE = 4;
/** Clocks run apart by less than a thousandth; times of the store are rounded down to a ms. */
const DRIFT = 1000;
const ROUNDED_MS = 2;

const between = (x: number, { least, most }: { least: number; most: number }): number =>
  Math.min(most, Math.max(least, x));

export class Held implements Asked {
  sent = 0;
  answered = 0;
  gate: Gate;
  readonly name: string;
  private readonly engine: Engine;
  private readonly clock: Clock;
  /** Leased, what is used up included. */
  private mine = 0;
  private others = 0;
  /** Admitted while nobody answered, and not told yet. */
  private owed = 0;
  /** Not ours any more, and not told yet. */
  private giving = 0;
  /** What waits for units. */
  private wants = 0;
  private chunk = 0;
  /** Of the last question. */
  private tripMs = 0;
  private usedThen = 0;
  /** Units used a ms between the last two questions. */
  private perMs = 0;
  /** The store's time at which it ends; 0: there is no lease. */
  private until: Instant = 0;
  /** Of this server's monotonic clock: nothing of the lease is admitted later. */
  private ends = Number.NEGATIVE_INFINITY;
  private isShut = true;
  /** Used of the window that was shut last, by the store's time of its end. */
  private before = { until: 0, use: 0 };
  private askedAt = Number.NEGATIVE_INFINITY;
  private reviewedAt = Number.NEGATIVE_INFINITY;
  /** Of a window: used at the last review. Of slots: most used since. */
  private mark = 0;

  constructor(engine: Engine, clock: Clock, gate: Gate, name: string) {
    this.engine = engine;
    this.clock = clock;
    this.gate = gate;
    this.name = name;
  }

  /** Ends what is over. Only this server's monotonic clock is asked, so that no step of another can prolong it. */
  keepTime(now: Instant): void {
    const elapsed = this.clock.elapsed();
    if (elapsed < this.ends) return;
    if (this.isSlots) {
      if (elapsed >= this.ends + this.spanMs) this.mine = this.giving;
      if (!this.isShut) this.shut(now);
      return;
    }
    // While nobody answers windows go on here, for what is admitted unseen.
    this.ends = elapsed + this.spanMs;
    if (this.isShut && this.owed === 0) return;
    // It may be open still by the store's clock: a slow answer counts from its question here.
    if (!this.isShut) this.before = { until: this.until, use: this.use(now) };
    this.isShut = true;
    this.engine.shared.openWindow(this.gate, now + 1, now);
    this.mine = this.others = this.owed = this.giving = this.mark = 0;
    this.until = 0;
  }

  lacks(cost: number, now: Instant, isAsking: boolean): Lacks {
    const need = this.needOf(cost);
    const use = this.use(now);
    const room = (this.isShut ? 0 : this.mine) + this.owed - use;
    if (this.isSlots) this.mark = Math.max(this.mark, use + need);
    if (room >= need) return isAsking || need === 0 ? 'nothing' : this.isLow(room) ? 'soon' : 'nothing';
    if (need === 0) return 'nothing';
    // As far as is known others have it: the decision says so.
    const isFull = !this.isShut && this.others + use + need > this.amount;
    if (isFull && (isAsking || this.clock.elapsed() - this.askedAt < this.refreshMs)) return 'nothing';
    this.wants += need;
    return 'now';
  }

  /** A call that lacked units has gone away: what was refused while nobody answers is not to be leased afterwards. */
  wantsLess(cost: number): void {
    this.wants = Math.max(0, this.wants - this.needOf(cost));
  }

  /** The question; what is given back by it is not ours any more. */
  asking(now: Instant): Omit<UnitLeaseAsk, 'holder'> {
    const { gate, name, amount } = this;
    this.chunk ||= Math.ceil(amount / FIRST);
    const left = this.until === 0 ? amount : Math.max(0, amount - this.others - this.mine);
    const use = this.use(now);
    const isEnough = this.wants === 0 && (this.giving > 0 || !this.isLow(this.mine + this.owed - use));
    // The last units in small chunks, so that nobody is left with many; not so small that they are gone before the next.
    const least = this.perMs * QUICK_TRIPS * this.tripMs;
    const want = isEnough ? 0 : Math.max(this.wants, Math.min(this.chunk, Math.ceil(Math.max(left / SHARE, least))));
    const change = want - this.giving;
    this.wants = this.giving = 0;
    return {
      tenant: gate.account,
      counter: name,
      change: Math.min(change, AMOUNT_MAX),
      owed: Math.min(this.owed, amount),
      amount,
      windowMs: this.isSlots ? 0 : this.spanMs,
      ttlMs: this.isSlots ? TERM_MS + this.spanMs + Math.ceil((2 * this.spanMs) / DRIFT) : 0,
      has: this.mine,
      hasUntil: this.until,
    };
  }

  /** `asked`: on the monotonic clock, before the question was sent: the store has read its own after that. */
  take(ask: UnitLeaseAsk, { own, total, until, at }: UnitLease, asked: number, now: Instant): void {
    const span = until - at;
    const elapsed = this.clock.elapsed();
    this.ends = asked + span - (this.isSlots ? this.spanMs : 0) - Math.ceil(span / DRIFT) - ROUNDED_MS;
    let use = this.use(now);
    if (!this.isSlots && until !== this.until) {
      this.engine.shared.openWindow(this.gate, now + Math.max(0, this.ends - elapsed), now);
      use = this.owed + (until === this.before.until ? this.before.use : 0);
      this.giving = 0;
      this.mark = use;
      this.reviewedAt = elapsed;
    }
    this.tripMs = elapsed - asked;
    if (ask.change > 0) this.adapt(elapsed, use);
    this.until = until;
    this.isShut = false;
    this.askedAt = elapsed;
    this.owed -= Math.min(this.owed, ask.owed);
    this.mine = Math.max(0, own - this.giving);
    this.others = total - own;
    this.show(use, now);
    this.keepTime(now);
  }

  /** While nobody answers: open, and bounded up to its bound; what is admitted is owed. */
  admitUnseen(cost: number, now: Instant): boolean {
    const { fail } = this.gate.limit;
    const need = this.needOf(cost);
    const bound = fail.mode === 'open' ? AMOUNT_MAX : fail.mode === 'bounded' ? fail.amount : 0;
    const use = this.use(now);
    const lacks = use + need - (this.isShut ? 0 : this.mine) - this.owed;
    if (lacks <= 0) return true;
    if (this.owed + lacks > bound) return false;
    this.owed += lacks;
    this.show(use, now);
    return true;
  }

  /** Takes aside what is not needed soon. False: there is nothing to give back. */
  giveBackUnused(now: Instant): boolean {
    const elapsed = this.clock.elapsed();
    const every = this.isSlots ? SLOTS_REVIEW_MS : between(this.spanMs / REVIEW, REVIEW_MS);
    if (this.isShut || elapsed - this.reviewedAt < every) return false;
    const use = this.use(now);
    const isFirst = this.reviewedAt === Number.NEGATIVE_INFINITY;
    const keep = this.isSlots ? Math.max(this.mark, use) : use + 2 * Math.max(0, use - this.mark);
    this.reviewedAt = elapsed;
    this.mark = use;
    return !isFirst && this.giveBack(this.mine - keep, use, now);
  }

  giveBackAll(now: Instant): boolean {
    const use = this.use(now);
    return !this.isShut && this.giveBack(this.mine - use, use, now);
  }

  /** Nothing is leased, used or owed: a new one would be the same. */
  isAtRest(now: Instant): boolean {
    return this.isShut && this.owed === 0 && (!this.isSlots || (this.mine === 0 && this.use(now) === 0));
  }

  /** Before it is forgotten: the counter shows nothing of it any more. */
  clear(now: Instant): void {
    this.others = 0;
    this.engine.shared.show(this.gate, 0, this.use(now), 0, now);
  }

  private giveBack(units: number, use: number, now: Instant): boolean {
    if (units <= 0) return false;
    this.mine -= units;
    this.giving += units;
    this.show(use, now);
    return true;
  }

  /** A chunk that is used up quickly was too small; one that lasts was too large. */
  private adapt(elapsed: number, use: number): void {
    if (this.isSlots) return;
    const lasted = Math.max(1, elapsed - this.askedAt);
    const quick = Math.max(this.spanMs / QUICK, QUICK_TRIPS * this.tripMs);
    this.perMs = Math.max(0, use - this.usedThen) / lasted;
    this.usedThen = use;
    if (lasted < quick) this.chunk = Math.min(this.chunk * 2, Math.max(1, Math.ceil(this.amount / SHARE)));
    else if (lasted > SHARE * quick) this.chunk = Math.max(1, Math.ceil(this.chunk / 2));
  }

  private isLow(room: number): boolean {
    if (this.isSlots) return this.clock.elapsed() > this.ends - TERM_MS / 2;
    return !this.isShut && room < this.chunk / 2 && this.others + this.mine < this.amount;
  }

  private shut(now: Instant): void {
    this.isShut = true;
    this.show(this.use(now), now);
  }

  private show(use: number, now: Instant): void {
    const ours = this.isShut ? (this.isSlots ? use : 0) : this.mine;
    const ceiling = Math.min(AMOUNT_MAX, this.others + ours + this.owed);
    this.engine.shared.show(this.gate, Math.min(this.others, AMOUNT_MAX - use), use, ceiling, now);
  }

  private use(now: Instant): number {
    return Math.max(0, this.engine.shared.used(this.gate, now) - this.others);
  }

  private needOf(cost: number): number {
    return this.isSlots ? Math.min(cost, 1) : cost;
  }

  private get isSlots(): boolean {
    return this.gate.limit.rule.kind === 'concurrency';
  }
  private get amount(): number {
    return this.gate.limit.rule.amount;
  }
  /** Window of a rate; longest hold of what is held at once. */
  private get spanMs(): number {
    const { rule } = this.gate.limit;
    return rule.kind === 'concurrency' ? rule.holdMs : rule.kind === 'rate' ? rule.windowMs : 0;
  }
  private get refreshMs(): number {
    return this.isSlots ? REFRESH_MS.least * 4 : between(this.spanMs / REFRESH, REFRESH_MS);
  }
}
