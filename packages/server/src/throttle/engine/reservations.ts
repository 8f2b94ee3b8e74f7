/**
 * Units taken before their number is known: reserve, then commit what it really was, or release. What is neither comes
 * back when its time is over, or stays charged (see `lapsed`). A hold of a concurrency limit is a reservation of 1: acquire
 * is reserve, and it may be renewed. In memory: after a crash open reservations count as used, until their period ends.
 */
import { LimitError } from '../../domain/limit/limit-error.ts';
import type { Instant } from '../../domain/window.ts';
import { Deadlines } from './deadlines.ts';
import type { Engine } from './engine.ts';
import type { Charged } from './settle.ts';
import type { Decision, Prepared } from './types.ts';

export interface ReservationBounds {
  /** Open ones together. */
  most: number;
  /** Open ones of one account, so that one cannot take all. */
  perAccount: number;
  ttlMs: number;
  /** What becomes of units that nobody spoke of again: `back` as if released, `kept` as if all of them were used. */
  lapsed: 'back' | 'kept';
}

const usual: ReservationBounds = { most: 1_000_000, perAccount: 100_000, ttlMs: 86_400_000, lapsed: 'back' };

interface Reservation extends Charged {
  prepared: Prepared;
  account: string;
  amount: number;
  ttlMs: number;
  until: Instant;
}

export interface Reserved {
  /** null: refused. */
  id: string | null;
  decision: Decision;
}

/** `unknown`: no such reservation, or its time was over. */
export type Settled = { settled: true; above: readonly number[] } | { settled: false; why: 'unknown' };

const UNKNOWN: Settled = { settled: false, why: 'unknown' };

export class Reservations {
  private readonly engine: Engine;
  private readonly makeId: () => string;
  private readonly bounds: ReservationBounds;
  private readonly open = new Map<string, Reservation>();
  private readonly perAccount = new Map<string, number>();
  private readonly deadlines = new Deadlines();

  /** `makeId`: texts that nobody guesses. */
  constructor(engine: Engine, makeId: () => string, bounds: Partial<ReservationBounds> = {}) {
    this.engine = engine;
    this.makeId = makeId;
    this.bounds = { ...usual, ...bounds };
  }

  has(id: string): boolean {
    return this.open.has(id);
  }

  get size(): number {
    return this.open.size;
  }

  /** Deadlines remembered, those of settled reservations included. */
  get waiting(): number {
    return this.deadlines.size;
  }

  /**
   * Charges `amount` as decide does, for `ttlMs` or the shortest hold among the gates. Throws LimitError: `limit.holds`
   * when too many are open, `limit.cost`.
   */
  reserve(prepared: Prepared, amount: number, ttlMs: number, now: Instant): Reserved {
    this.checkTtl(ttlMs);
    this.expire(now);
    const account = prepared.gates.find((gate) => gate.account !== '')?.account ?? '';
    this.checkRoom(account);
    const decision = this.engine.decide(prepared, amount, now);
    if (!decision.allowed) return { id: null, decision };
    const id = this.makeId();
    // A hold that outlived its limit's time would be another's by then.
    const lasts = Math.min(ttlMs, this.engine.shortestHold(prepared));
    const until = now + lasts;
    const { shadowed } = decision;
    this.open.set(id, { prepared, account, amount, charged: now, heldFrom: now, ttlMs: lasts, until, shadowed });
    this.perAccount.set(account, (this.perAccount.get(account) ?? 0) + 1);
    this.deadlines.add(until, id);
    return { id, decision };
  }

  /**
   * Settles for what it really was; holds are let go. More than was reserved is charged above any limit, because it has
   * happened: `above` names the gates that are above theirs now.
   */
  commit(id: string, actual: number, now: Instant): Settled {
    this.expire(now);
    const held = this.open.get(id);
    if (held === undefined) return UNKNOWN;
    const above = this.engine.settle(held.prepared, held.amount, actual, now, held);
    this.drop(id, held);
    return { settled: true, above };
  }

  /** Gives all of it back. */
  release(id: string, now: Instant): Settled {
    this.expire(now);
    const held = this.open.get(id);
    if (held === undefined) return UNKNOWN;
    this.giveBack(id, held, now);
    return { settled: true, above: [] };
  }

  /** Its time begins again; so does that of the holds in it. Returns until when; null: it is not there any more. */
  renew(id: string, now: Instant): Instant | null {
    this.expire(now);
    const held = this.open.get(id);
    if (held === undefined) return null;
    this.engine.renewHolds(held.prepared, held.amount, now, held);
    held.heldFrom = now;
    held.until = Math.max(held.until, now + held.ttlMs);
    return held.until;
  }

  /** Settles what is over. Called by everything here; for a timer besides. Returns how many. */
  expire(now: Instant): number {
    let expired = 0;
    for (let id = this.deadlines.next(now); id !== null; id = this.deadlines.next(now)) {
      const held = this.open.get(id);
      if (held === undefined) continue;
      if (held.until > now) {
        this.deadlines.add(held.until, id);
        continue;
      }
      this.lapse(id, held, now);
      expired++;
    }
    return expired;
  }

  private giveBack(id: string, held: Reservation, now: Instant): void {
    this.drop(id, held);
    this.engine.settle(held.prepared, held.amount, 0, now, held);
  }

  /** Holds are let go in any case. */
  private lapse(id: string, held: Reservation, now: Instant): void {
    const used = this.bounds.lapsed === 'back' ? 0 : held.amount;
    this.drop(id, held);
    this.engine.settle(held.prepared, held.amount, used, now, held);
  }

  private drop(id: string, { account }: Reservation): void {
    this.open.delete(id);
    const left = (this.perAccount.get(account) as number) - 1;
    if (left === 0) this.perAccount.delete(account);
    else this.perAccount.set(account, left);
    if (this.deadlines.size > 2 * this.open.size + 1000)
      this.deadlines.keep((other) => this.open.get(other)?.until ?? null);
  }

  private checkTtl(ttlMs: number): void {
    const { ttlMs: most } = this.bounds;
    if (Number.isSafeInteger(ttlMs) && ttlMs >= 1 && ttlMs <= most) return;
    throw new LimitError('limit.holds', `ttlMs: ${ttlMs} is not a whole number from 1 to ${most}`);
  }

  private checkRoom(account: string): void {
    const { most, perAccount } = this.bounds;
    if (this.open.size >= most) {
      throw new LimitError('limit.holds', `${most} reservations are open: commit or release some, or wait`);
    }
    if ((this.perAccount.get(account) ?? 0) < perAccount) return;
    throw new LimitError(
      'limit.holds',
      `${perAccount} reservations of ${account || 'the installation'} are open: commit or release some, or wait`,
    );
  }
}
