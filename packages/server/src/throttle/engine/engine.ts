/**
 * The counters in memory and the decision over them. `prepare` finds a request's counters; `decide` is synchronous, waits
 * for nothing and follows from the counters, the cost and `now` alone. It looks at all gates first and charges after.
 */
import { type Cell, END, EXTRA, get, put, START } from '../../domain/limit/cell.ts';
import { AMOUNT_MAX } from '../../domain/limit/limit.ts';
import { LimitError } from '../../domain/limit/limit-error.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import { type Bearing, needOf } from './bearing.ts';
import { type CounterRow, restoreRows, rowsOf } from './checkpoint.ts';
import { type CounterBounds, Counters } from './counters.ts';
import { Lookup } from './lookup.ts';
import type { Ready } from './ready.ts';
import { type Charged, renewHolds, settle, shortestHold } from './settle.ts';
import { chargeHere, isUntold, SharedCells, usedOf } from './shared-cells.ts';
import type { Decision, DecisionEngine, Gate, GateStatus, Prepared } from './types.ts';

export const usualBounds: CounterBounds = { share: 100_000, open: 4_000_000, entries: 4_000_000, seed: 0x2545_f491 };

/** Of a slot that another server holds. */
const ASK_AGAIN_MS = 100;
const NEVER = Number.POSITIVE_INFINITY;
const NONE: readonly number[] = Object.freeze([]);

export interface EngineStats {
  counters: number;
  /** How often a counter was asked for whose limit and account had used up their share. */
  overflowed: number;
}

export class Engine implements DecisionEngine {
  /** Counters that several servers share. */
  readonly shared: SharedCells;
  private readonly counters: Counters;
  private readonly lookup: Lookup;
  /** Of the decision at hand, by gate: what was used, and whether it was over. Kept to make none per call. */
  private used = new Float64Array(16);
  private over = new Uint8Array(16);

  constructor(bounds: Partial<CounterBounds> = {}) {
    this.counters = new Counters({ ...usualBounds, ...bounds });
    this.lookup = new Lookup(this.counters);
    this.shared = new SharedCells(this.lookup, this.counters);
  }

  /**
   * Throws LimitError `limit.rule` for a limit that cannot be counted exactly, and for two of one name. A used up share
   * throws nothing: see README.
   */
  prepare(gates: readonly Gate[]): Ready {
    return this.lookup.prepare(gates);
  }

  /**
   * `costs`: by gate, where they differ (descriptors of one request); `cost` is not used then. A concurrency gate counts a
   * call as 1 whatever it costs. A refusal with `retryAfterMs` 0 lacks nothing but a grant: see `ungranted`.
   * Throws LimitError `limit.cost`.
   */
  decide(prepared: Prepared, cost: number, now: Instant, costs?: readonly number[]): Decision {
    const ready = this.own(prepared, cost, costs);
    let worst = -1;
    let worstAt = -1;
    let shadowed: number[] | null = null;
    for (let i = 0; i < ready.bearings.length; i++) {
      const bearing = this.lookup.look(ready, i, now);
      const need = needOf(bearing, costs === undefined ? cost : (costs[i] as number)) + ahead(ready, i, cost, costs);
      const used = usedOf(this.lookup.cell, bearing, now);
      const isOver = used + need > roomOf(this.lookup.cell, bearing) || isUntold(this.lookup.cell, bearing, need);
      this.used[i] = used + need;
      this.over[i] = isOver ? 1 : 0;
      if (!isOver) continue;
      if (bearing.shadow) {
        shadowed ??= [];
        shadowed.push(i);
      } else if (bearing.refuses) {
        const fitsAt = bearing.algorithm.fitsAt(this.lookup.cell, bearing, need, now);
        // Others hold what is missing, and let go of it when they please.
        const at = bearing.slots && used + need > bearing.capacity ? Math.max(fitsAt, now + ASK_AGAIN_MS) : fitsAt;
        if (at > worstAt) [worst, worstAt] = [i, at];
      }
    }
    if (worst >= 0) return this.answer(ready, worst, now, worstAt, shadowed ?? NONE);
    return this.answer(ready, this.chargeAll(ready, cost, costs), now, -1, shadowed ?? NONE);
  }

  status(prepared: Prepared, now: Instant): GateStatus[] {
    const ready = this.own(prepared, 0);
    return ready.bearings.map((_, i) => this.gateStatus(ready, i, now));
  }

  /**
   * `charged`: when it was decided, now by default; what no longer counts by then is not given back. `shadowed`: the
   * decision's; those gates were not charged.
   */
  refund(
    prepared: Prepared,
    cost: number,
    now: Instant,
    charged: Instant = now,
    shadowed: readonly number[] = NONE,
  ): void {
    this.settle(prepared, cost, 0, now, { charged, heldFrom: charged, shadowed });
  }

  /** Makes a charge of `reserved` one of `actual`; see settle.ts. Returns the gates above their limit now. */
  settle(prepared: Prepared, reserved: number, actual: number, now: Instant, how: Charged): number[] {
    checkCost(reserved);
    checkCost(actual);
    return settle(this.lookup, prepared, reserved, actual, now, how);
  }

  renewHolds(prepared: Prepared, reserved: number, now: Instant, how: Charged): void {
    renewHolds(this.lookup, prepared, reserved, now, how);
  }

  shortestHold(prepared: Prepared): number {
    return shortestHold(this.lookup, prepared);
  }

  setUsed(gate: Gate, used: number, now: Instant): void {
    checkCost(used);
    const ready = this.lookup.lookAt(gate, now);
    const bearing = ready.bearings[0] as Bearing;
    bearing.algorithm.set(this.lookup.cell, bearing, used, now);
    this.counters.know(ready.slot(0));
  }

  /** Of quotas; other limits have none. Nothing happens when the period of `now` is over. */
  setCeiling(gate: Gate, ceiling: number, now: Instant): void {
    checkCost(ceiling);
    const ready = this.lookup.lookAt(gate, now);
    const bearing = ready.bearings[0] as Bearing;
    if (!bearing.granted || (bearing.period !== null && now < get(this.lookup.cell, START))) return;
    put(this.lookup.cell, EXTRA, ceiling);
    this.counters.know(ready.slot(0));
  }

  /** Gates whose counters were made since and never set: metered ones show 0, decided ones have no ceiling. */
  unknown(prepared: Prepared, now: Instant): number[] {
    const ready = this.own(prepared, 0);
    return ready.where((i) => {
      this.lookup.look(ready, i, now);
      return !this.counters.isKnown(ready.slot(i));
    });
  }

  /** Gates that `cost` would fit in, were more granted. */
  ungranted(prepared: Prepared, cost: number, now: Instant): number[] {
    const ready = this.own(prepared, cost);
    return ready.where((i) => {
      const bearing = this.lookup.look(ready, i, now);
      const after = usedOf(this.lookup.cell, bearing, now) + needOf(bearing, cost);
      return after <= bearing.capacity && after > roomOf(this.lookup.cell, bearing);
    });
  }

  /** The window or period that the gate's counter is in; of buckets and logs, from the latest instant until all is free. */
  period(gate: Gate, now: Instant): Interval {
    this.lookup.lookAt(gate, now);
    return { from: get(this.lookup.cell, START), to: get(this.lookup.cell, END) };
  }

  /** Frees spent counters among the next `most`; for a timer. Returns how many. */
  sweep(now: Instant, most = 10_000): number {
    return this.counters.sweep(now, most);
  }

  /** Quotas whose period still runs, as plain data. Rates may forget. */
  snapshot(now: Instant): CounterRow[] {
    return rowsOf(this.counters, now);
  }

  /** Restored counters still count as unknown: what came after the snapshot has to be set. */
  restore(rows: readonly CounterRow[]): void {
    restoreRows(this.counters, rows);
  }

  stats(): EngineStats {
    return { counters: this.counters.size, overflowed: this.counters.overflowed };
  }

  private own(prepared: Prepared, cost: number, costs?: readonly number[]): Ready {
    const ready = this.lookup.own(prepared);
    const { length } = ready.bearings;
    if (costs === undefined) checkCost(cost);
    else {
      if (costs.length !== length) throw new LimitError('limit.cost', `${costs.length} costs for ${length} gates`);
      costs.forEach(checkCost);
    }
    if (length > this.used.length) {
      this.used = new Float64Array(length * 2);
      this.over = new Uint8Array(length * 2);
    }
    return ready;
  }

  /** Returns the gate closest to its limit; those in shadow are nobody's business. */
  private chargeAll(ready: Ready, cost: number, costs?: readonly number[]): number {
    let closest = -1;
    let least = NEVER;
    for (let i = 0; i < ready.bearings.length; i++) {
      const bearing = ready.bearings[i] as Bearing;
      if (bearing.worth !== 'read' && !(bearing.shadow && this.over[i] === 1)) {
        const need = needOf(bearing, costs === undefined ? cost : (costs[i] as number));
        const cell = this.lookup.again(ready, i);
        if (need > 0) chargeHere(cell, bearing, need);
      }
      if (bearing.shadow) continue;
      // A choice of what to show, not a quantity: rounding may only choose between equals.
      const left = bearing.capacity === 0 ? 0 : (bearing.capacity - (this.used[i] as number)) / bearing.capacity;
      if (left < least) [closest, least] = [i, left];
    }
    return closest;
  }

  /** `fitsAt` is -1 when it was admitted. */
  private answer(ready: Ready, gate: number, now: Instant, fitsAt: Instant, shadowed: readonly number[]): Decision {
    const allowed = fitsAt < 0;
    const retryAfterMs = allowed ? 0 : fitsAt === NEVER ? null : Math.max(0, fitsAt - now);
    if (gate < 0) return { allowed, gate, limit: 0, used: 0, remaining: 0, resetAt: now, retryAfterMs, shadowed };
    const bearing = ready.bearings[gate] as Bearing;
    const { algorithm, capacity } = bearing;
    // Brought to `now` already, like all gates of the decision.
    const cell = this.lookup.again(ready, gate);
    const used = usedOf(cell, bearing, now);
    const remaining = used < capacity ? capacity - used : 0;
    const resetAt = algorithm.resetAt(cell);
    return { allowed, gate, limit: capacity, used, remaining, resetAt, retryAfterMs, shadowed };
  }

  private gateStatus(ready: Ready, i: number, now: Instant): GateStatus {
    const bearing = this.lookup.look(ready, i, now);
    const used = usedOf(this.lookup.cell, bearing, now);
    const resetAt = bearing.algorithm.resetAt(this.lookup.cell);
    return { limit: bearing.capacity, used, remaining: Math.max(0, bearing.capacity - used), resetAt };
  }
}

function checkCost(cost: number): void {
  if (Number.isSafeInteger(cost) && cost >= 0) return;
  throw new LimitError('limit.cost', `${cost} is not a whole number of units from 0 to ${AMOUNT_MAX}`);
}

const roomOf = (cell: Cell, { granted, capacity }: Bearing): number =>
  granted ? Math.min(capacity, get(cell, EXTRA)) : capacity;

/** What gates before this one take from the same counter: descriptors may come twice. */
function ahead(ready: Ready, i: number, cost: number, costs?: readonly number[]): number {
  if (!ready.repeats) return 0;
  let sum = 0;
  for (let j = 0; j < i; j++) {
    const bearing = ready.bearings[j] as Bearing;
    if (ready.slot(j) !== ready.slot(i) || bearing.worth === 'read') continue;
    sum += needOf(bearing, costs === undefined ? cost : (costs[j] as number));
  }
  return sum;
}
