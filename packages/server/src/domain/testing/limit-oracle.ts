/**
 * What a limit's rule says, taken literally: the list of all admissions, and bigint. No code is shared with the algorithms.
 * Time never goes back: an admission is of the latest instant that was ever asked about.
 */
import { edges } from '../calendar.ts';
import type { LimitRule } from '../limit/limit.ts';
import type { Instant } from '../window.ts';

interface Admission {
  id: number;
  at: bigint;
  cost: bigint;
}

export class LimitOracle {
  private readonly rule: LimitRule;
  private readonly zone: string;
  private latest = 0n;
  private admissions: Admission[] = [];

  constructor(rule: LimitRule, zone = 'UTC') {
    this.rule = rule;
    this.zone = zone;
  }

  see(now: Instant): void {
    if (BigInt(now) > this.latest) this.latest = BigInt(now);
  }

  admit(id: number, cost: number): void {
    this.admissions.push({ id, at: this.latest, cost: BigInt(cost) });
  }

  /** As if it had never been. */
  remove(id: number): void {
    this.admissions = this.admissions.filter((a) => a.id !== id);
  }

  /** Units that count at `now`, times nothing, rounded up. */
  used(now: Instant): bigint {
    const { rule } = this;
    const at = BigInt(now) > this.latest ? BigInt(now) : this.latest;
    if (rule.kind === 'concurrency') return this.since(at - BigInt(rule.holdMs));
    if (rule.kind === 'quota') return this.inPeriod(at);
    const window = BigInt(rule.windowMs);
    switch (rule.algorithm) {
      case 'fixed':
        return this.within(at / window, window);
      case 'log':
        return this.since(at - window);
      case 'sliding':
        return this.weighed(at, BigInt(now), window);
      case 'bucket':
        return up(this.level(at, BigInt(rule.amount), window), window);
    }
  }

  fits(cost: number, now: Instant): boolean {
    const { rule } = this;
    const most = rule.kind === 'rate' && rule.algorithm === 'bucket' ? rule.burst : rule.amount;
    return this.used(now) + BigInt(cost) <= BigInt(most);
  }

  private sum(holds: (at: bigint) => boolean): bigint {
    return this.admissions.reduce((sum, a) => (holds(a.at) ? sum + a.cost : sum), 0n);
  }

  private since(time: bigint): bigint {
    return this.sum((at) => at > time);
  }

  private within(index: bigint, window: bigint): bigint {
    return this.sum((at) => at / window === index);
  }

  /** The clock may show a time before the window we know to have begun; then that window has only just begun. */
  private weighed(at: bigint, now: bigint, window: bigint): bigint {
    const index = at / window;
    const passed = now > index * window ? now - index * window : 0n;
    return this.within(index, window) + up(this.within(index - 1n, window) * (window - passed), window);
  }

  /** Burst and rate bound every interval that ends now: the fullest of them is the level. */
  private level(now: bigint, amount: bigint, window: bigint): bigint {
    let most = 0n;
    for (const { at: start } of this.admissions) {
      const since = this.sum((at) => at >= start) * window - (now - start) * amount;
      if (since > most) most = since;
    }
    return most;
  }

  private inPeriod(at: bigint): bigint {
    if (this.rule.kind !== 'quota') return 0n;
    const unit = this.rule.period === 'week' || this.rule.period === 'month' ? this.rule.period : 'day';
    const [from = 0, to = 0] = edges(this.zone, unit, Number(at), Number(at) + 1);
    return this.sum((t) => t >= BigInt(from) && t < BigInt(to));
  }
}

const up = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;
