/** What a decision is asked of and what it answers. Times are milliseconds since 1970, amounts whole units. */
import type { Limit } from '../../domain/limit/limit.ts';
import type { Calendar } from '../../domain/limit/period.ts';
import type { Instant } from '../../domain/window.ts';

export type { Calendar } from '../../domain/limit/period.ts';

/** One counter that a decision bears on. */
export interface Gate {
  limit: Limit;
  /** Account the limit was given to: the tenant itself, or one above it. '' for the installation's. */
  account: string;
  /** With the limit's key and account it names the counter: an account, a resource, a value, a descriptor. */
  subject: string;
  calendar: Calendar;
}

/** Gates with their counters looked up. Valid until the engine is told that limits have changed. */
export interface Prepared {
  readonly gates: readonly Gate[];
}

export interface Decision {
  allowed: boolean;
  /** Index of the gate that refused, or of the one closest to its limit; -1 when there is none. */
  gate: number;
  /** Of that gate, after the charge. Never negative; `used` may be above `limit` when it is soft or was lowered. */
  limit: number;
  used: number;
  remaining: number;
  /** When its period or window ends, or the bucket is full again. */
  resetAt: Instant;
  /** 0 when allowed; null when waiting does not help (the cost is above what could ever be admitted). */
  retryAfterMs: number | null;
  /** Gates in shadow that would have refused. */
  shadowed: readonly number[];
}

export interface GateStatus {
  limit: number;
  used: number;
  remaining: number;
  resetAt: Instant;
}

/** The counters in memory and the pure decision over them. */
export interface DecisionEngine {
  /** Looks the counters up, making those not known yet. Throws Problem when hostile keys have used up their share. */
  prepare(gates: readonly Gate[]): Prepared;
  /**
   * All gates are charged or none. Cost 0 charges nothing. Metered gates are only read. Synchronous, waits for nothing.
   * `costs`: by gate, where they differ; `cost` is not used then.
   */
  decide(prepared: Prepared, cost: number, now: Instant, costs?: readonly number[]): Decision;
  /** Every gate as it stands. */
  status(prepared: Prepared, now: Instant): GateStatus[];
  /** Gives back what a decision charged, as far as its period still runs. */
  refund(prepared: Prepared, cost: number, now: Instant): void;
  /**
   * What a metered quota's meter shows for the period that holds `now`: absolute, so that corrections move it both ways.
   * Also sets what a decided counter starts from after a restart.
   */
  setUsed(gate: Gate, used: number, now: Instant): void;
  /** Up to how much of a decided quota may be admitted before more is granted (see grants); default: its amount. */
  setCeiling(gate: Gate, ceiling: number, now: Instant): void;
}
