/**
 * Two neighbouring windows, weighed: the units of the one before count by the share of it that still lies within one
 * window of now, as if they had come evenly; rounded up. Bound: at fraction f of a window at most (1 + f) times the
 * capacity was admitted within one window of now, and never more than the capacity at once.
 */
import { type Algorithm, type Cell, END, EXTRA, get, put, START, type Terms, USED } from './cell.ts';
import { addUpTo, floorDiv, mulDivUp } from './exact.ts';

export const sliding: Algorithm = {
  name: 'sliding',
  roll(cell, { windowMs }, _of, now) {
    const end = get(cell, END);
    if (now < end) return;
    const start = now - (now % windowMs);
    put(cell, EXTRA, start === end ? get(cell, USED) : 0);
    put(cell, USED, 0);
    put(cell, START, start);
    put(cell, END, start + windowMs);
  },
  used(cell, { windowMs }, now) {
    // The clock may have gone back behind the start: then all of the window before counts.
    const rest = Math.min(windowMs, get(cell, END) - now);
    return addUpTo(get(cell, USED), mulDivUp(get(cell, EXTRA), rest, windowMs));
  },
  charge: (cell, _terms, units) => put(cell, USED, addUpTo(get(cell, USED), units)),
  giveBack(cell, { windowMs }, units, charged) {
    const start = get(cell, START);
    if (charged < start - windowMs) return;
    const field = charged >= start ? USED : EXTRA;
    put(cell, field, Math.max(0, get(cell, field) - units));
  },
  fitsAt(cell, terms, cost, now) {
    if (cost > terms.capacity) return Number.POSITIVE_INFINITY;
    const room = terms.capacity - cost - get(cell, USED);
    if (room >= 0) return Math.max(now, get(cell, START) + waitIn(terms, get(cell, EXTRA), room));
    return get(cell, END) + waitIn(terms, get(cell, USED), terms.capacity - cost);
  },
  resetAt: (cell) => get(cell, END),
  set(cell: Cell, _terms: Terms, units, now) {
    if (now < get(cell, START)) return;
    put(cell, USED, units);
    put(cell, EXTRA, 0);
  },
};

/** How far into a window what the one before left has fallen to `room`. `room * windowMs` is bounded by the rule. */
const waitIn = ({ windowMs }: Terms, before: number, room: number): number =>
  before <= room ? 0 : windowMs - floorDiv(room * windowMs, before);
