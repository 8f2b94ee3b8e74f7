/**
 * GCRA as a leaky bucket in whole numbers: a unit adds `windowMs` to the level, a millisecond drains `amount` of it, so
 * nothing is ever rounded. Bound: at most burst + amount x T / windowMs admitted within any T.
 */
import { type Algorithm, type Cell, END, get, put, START, type Terms, USED } from './cell.ts';
import { addUpTo, ceilDiv, timesUpTo } from './exact.ts';

export const bucket: Algorithm = {
  name: 'bucket',
  roll(cell, { amount }, _of, now) {
    const passed = now - get(cell, START);
    if (passed <= 0) return;
    // Beyond 2^53 the product is not exact, but then it is above any level.
    put(cell, USED, Math.max(0, get(cell, USED) - timesUpTo(passed, amount)));
    put(cell, START, now);
  },
  used: (cell, { windowMs }) => ceilDiv(get(cell, USED), windowMs),
  charge(cell, terms, units) {
    fill(cell, terms, addUpTo(get(cell, USED), timesUpTo(units, terms.windowMs)));
  },
  giveBack(cell, terms, units, charged) {
    // What has drained since is not given back: other units may have come into its place.
    const drained = timesUpTo(Math.max(0, get(cell, START) - charged), terms.amount);
    const left = Math.max(0, timesUpTo(units, terms.windowMs) - drained);
    fill(cell, terms, Math.max(0, get(cell, USED) - left));
  },
  fitsAt(cell, { capacity, amount, windowMs }, cost, now) {
    if (cost > capacity) return Number.POSITIVE_INFINITY;
    const over = get(cell, USED) - (capacity - cost) * windowMs;
    return over <= 0 ? now : get(cell, START) + ceilDiv(over, amount);
  },
  resetAt: (cell) => Math.max(get(cell, START), get(cell, END)),
  set(cell, terms, units, now) {
    if (now >= get(cell, START)) fill(cell, terms, timesUpTo(units, terms.windowMs));
  },
};

function fill(cell: Cell, { amount }: Terms, level: number): void {
  put(cell, USED, level);
  put(cell, END, addUpTo(get(cell, START), ceilDiv(level, amount)));
}
