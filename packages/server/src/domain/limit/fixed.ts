/** Fixed windows, cut from the Unix epoch. At most the capacity in a window, so up to twice as much over an edge. */
import { type Algorithm, END, get, put, START, USED } from './cell.ts';
import { summed } from './summed.ts';

export const fixed: Algorithm = {
  ...summed,
  name: 'fixed',
  roll(cell, { windowMs }, _of, now) {
    if (now < get(cell, END)) return;
    const start = now - (now % windowMs);
    put(cell, USED, 0);
    put(cell, START, start);
    put(cell, END, start + windowMs);
  },
};
