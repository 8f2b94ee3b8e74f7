/** What a decision may have to wait for before the engine is asked. */
import type { Instant } from '../domain/window.ts';
import type { Gate, Prepared } from './engine/types.ts';

/** Keeps the engine's metered gates at what the meters show. */
export interface MeteredFeed {
  /**
   * Null: all metered gates among them are followed already. Otherwise resolves to those that still are not: their fail
   * mode answers. `bounded` is counted here: such a gate is unknown only when its bound is used up by `cost`, 1 when left
   * away. `waitMs`: of who asks; its own patience bounds it.
   */
  ensure(gates: readonly Gate[], now: Instant, cost?: number, waitMs?: number): Promise<readonly Gate[]> | null;
}

/** Keeps durable grants ahead of what decided quotas admit. */
export interface Grants {
  /**
   * Null: what is granted covers the cost. Otherwise resolves to the gates whose store did not answer and whose fail mode
   * does not admit: what it admits is owed by then. `waitMs` as above.
   */
  ensure(prepared: Prepared, cost: number, now: Instant, waitMs?: number): Promise<readonly Gate[]> | null;
  /** To be called right before each decision: what was granted may have ended while it was waited for. */
  keepTime?(prepared: Prepared, now: Instant): void;
}
