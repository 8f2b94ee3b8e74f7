/** What was used stays used when a limit's rule changes. */
import { type Cell, type Dated, EXTRA, get, put, STATE } from '../../domain/limit/cell.ts';
import type { Instant } from '../../domain/window.ts';
import type { Bearing } from './bearing.ts';

/**
 * Brings the cell to `now` under the rule it was written by, then writes it in the numbers of the new one. Of rates no
 * more than the new capacity: a month's usage would stop a bucket for years. Returns whether windows and periods are still
 * the same; if not, the usage is only the best that is at hand, and nothing is granted.
 */
export function carryOver(cell: Cell, before: Bearing, after: Bearing, of: Dated, now: Instant): boolean {
  before.algorithm.roll(cell, before, of, now);
  if (before.algorithm === after.algorithm && before.windowMs === after.windowMs && before.period === after.period) {
    // A bucket with another amount: the level stays, when it will be empty does not.
    before.algorithm.charge(cell, after, 0);
    return true;
  }
  const used = before.algorithm.used(cell, before, now);
  const hadCeiling = before.period !== null && get(cell, EXTRA) !== Number.POSITIVE_INFINITY;
  cell.log.clear();
  cell.n.fill(0, cell.at, cell.at + STATE);
  after.algorithm.roll(cell, after, of, now);
  after.algorithm.set(cell, after, after.period === null ? Math.min(used, after.capacity) : used, now);
  if (hadCeiling && after.period !== null) put(cell, EXTRA, 0);
  return false;
}
