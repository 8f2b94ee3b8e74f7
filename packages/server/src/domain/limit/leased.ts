/**
 * A fixed window whose beginning and end others decide: the clock of the store that servers lease its units from. It is
 * opened by whoever was granted units, and never rolls by itself: no clock of this server can open one, so none can mint
 * a budget. EXTRA is its ceiling; START and END are in this server's time, for what is given back and for what is shown.
 */
import type { Instant } from '../window.ts';
import { type Algorithm, type Cell, END, EXTRA, get, put, START, USED } from './cell.ts';
import { summed } from './summed.ts';

export const leased: Algorithm = {
  ...summed,
  name: 'leased',
  roll(cell, _terms, _of, now) {
    // The next window begins later than anything that was charged in this one, whatever this server's clock does.
    if (now >= get(cell, END)) put(cell, END, now + 1);
  },
  set: (cell, _terms, units) => put(cell, USED, units),
};

/** Begins a window in which nothing is granted. `to`: when it ends, in this server's time. The cell stands at `now`. */
export function openWindow(cell: Cell, to: Instant, now: Instant): void {
  put(cell, USED, 0);
  put(cell, EXTRA, 0);
  // Later than anything charged so far: what is of the window before is not given back to this one, also after a clock
  // that ran ahead was put right.
  put(cell, START, Math.max(get(cell, START), get(cell, END)));
  put(cell, END, Math.max(to, now + 1));
}
