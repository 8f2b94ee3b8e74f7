/** One counter of one rule, driven as an engine would. */
import { type Cell, put, STATE, type Terms } from '../limit/cell.ts';
import { Entries } from '../limit/entries.ts';
import type { LimitRule } from '../limit/limit.ts';
import type { Calendar } from '../limit/period.ts';
import { termsOf } from '../limit/terms.ts';
import type { Instant } from '../window.ts';

export interface Asked {
  allowed: boolean;
  /** After the charge. */
  used: number;
  /** From when on it would have fitted; null: it did. */
  fitsAt: Instant | null;
  resetAt: Instant;
}

export class OneLimit {
  readonly terms: Terms;
  private readonly cell: Cell;
  readonly calendar: Calendar;

  constructor(rule: LimitRule, calendar: Calendar = { zone: 'UTC', anchor: 0 }, entries = 1_000_000) {
    this.terms = termsOf(rule);
    this.calendar = calendar;
    this.cell = { n: new Float64Array(STATE + 1), at: 1, log: new Entries({ left: entries }) };
  }

  /** `force`: charged even when it does not fit, as a soft limit does. */
  ask(cost: number, now: Instant, force = false): Asked {
    const { terms, cell } = this;
    const before = this.used(now);
    const allowed = before + cost <= terms.capacity;
    const fitsAt = allowed ? null : terms.algorithm.fitsAt(cell, terms, cost, now);
    if (allowed || force) terms.algorithm.charge(cell, terms, cost);
    return { allowed, used: terms.algorithm.used(cell, terms, now), fitsAt, resetAt: terms.algorithm.resetAt(cell) };
  }

  giveBack(cost: number, now: Instant, charged: Instant): void {
    this.used(now);
    this.terms.algorithm.giveBack(this.cell, this.terms, cost, charged);
  }

  set(units: number, now: Instant): void {
    this.used(now);
    this.terms.algorithm.set(this.cell, this.terms, units, now);
  }

  used(now: Instant): number {
    this.terms.algorithm.roll(this.cell, this.terms, this, now);
    return this.terms.algorithm.used(this.cell, this.terms, now);
  }

  write(field: number, value: number): void {
    put(this.cell, field, value);
  }
}
