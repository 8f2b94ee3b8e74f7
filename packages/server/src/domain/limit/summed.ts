/** What is the same of all counters that only add up between a beginning and an end, whoever decides when those are. */
import { type Algorithm, END, get, put, START, USED } from './cell.ts';
import { addUpTo } from './exact.ts';

export const summed: Omit<Algorithm, 'name' | 'roll'> = {
  used: (cell) => get(cell, USED),
  charge: (cell, _terms, units) => put(cell, USED, addUpTo(get(cell, USED), units)),
  giveBack(cell, _terms, units, charged) {
    if (charged >= get(cell, START)) put(cell, USED, Math.max(0, get(cell, USED) - units));
  },
  fitsAt(cell, { capacity }, cost, now) {
    if (cost > capacity) return Number.POSITIVE_INFINITY;
    return get(cell, USED) + cost <= capacity ? now : get(cell, END);
  },
  resetAt: (cell) => get(cell, END),
  set(cell, _terms, units, now) {
    if (now >= get(cell, START)) put(cell, USED, units);
  },
};
