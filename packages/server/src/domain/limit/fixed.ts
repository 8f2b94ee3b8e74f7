/** Fixed windows, cut from the Unix epoch. At most the capacity in a window, so up to twice as much over an edge. */
import { type Algorithm, END, get, put, START, USED } from './cell.ts';
import { addUpTo } from './exact.ts';

export const fixed: Algorithm = {
  name: 'fixed',
  roll(cell, { windowMs }, _of, now) {
    if (now < get(cell, END)) return;
    const start = now - (now % windowMs);
    put(cell, USED, 0);
    put(cell, START, start);
    put(cell, END, start + windowMs);
  },
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
