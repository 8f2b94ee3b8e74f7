/**
 * Every admission is remembered for one window: exactly the capacity within any window. The same serves concurrency: what
 * is held is an admission, its window the longest hold, and letting go gives it back.
 */
import { type Algorithm, END, get, put, START, USED } from './cell.ts';
import { addUpTo } from './exact.ts';

export const log: Algorithm = {
  name: 'log',
  roll(cell, { windowMs }, _of, now) {
    if (now <= get(cell, START)) return;
    put(cell, START, now);
    if (get(cell, USED) === 0 && get(cell, END) <= now) return;
    put(cell, USED, Math.max(0, get(cell, USED) - cell.log.dropUpTo(now - windowMs)));
  },
  used: (cell) => get(cell, USED),
  charge(cell, { windowMs }, units) {
    if (units === 0) return;
    const at = get(cell, START);
    cell.log.add(at, units);
    put(cell, USED, addUpTo(get(cell, USED), units));
    put(cell, END, at + windowMs);
  },
  giveBack(cell, { windowMs }, units, charged) {
    if (charged + windowMs <= get(cell, START)) return;
    put(cell, USED, get(cell, USED) - cell.log.take(charged, units));
    if (get(cell, USED) === 0) put(cell, END, get(cell, START));
  },
  fitsAt(cell, { capacity, windowMs }, cost, now) {
    if (cost > capacity) return Number.POSITIVE_INFINITY;
    const over = get(cell, USED) + cost - capacity;
    return over <= 0 ? now : cell.log.timeOf(over) + windowMs;
  },
  resetAt: (cell) => Math.max(get(cell, START), get(cell, END)),
  set(cell, terms, units, now) {
    if (now < get(cell, START)) return;
    cell.log.clear();
    put(cell, USED, 0);
    put(cell, END, get(cell, START));
    log.charge(cell, terms, units);
  },
};
