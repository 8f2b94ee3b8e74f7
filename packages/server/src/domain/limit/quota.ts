/**
 * A calendar period of the account. Its end is kept with the counter: a zone or an anchor that changes in mid-period
 * finishes the period as it began. The ceiling, once set, is what has been granted so far; a new period begins with
 * nothing granted.
 */

import type { Instant } from '../window.ts';
import { type Algorithm, type Cell, END, EXTRA, get, put, START, USED } from './cell.ts';
import type { QuotaPeriod } from './limit.ts';
import { type Calendar, periodAfter, periodAt } from './period.ts';
import { summed } from './summed.ts';

export const quota: Algorithm = {
  ...summed,
  name: 'quota',
  roll(cell, { period }, of, now) {
    if (now >= get(cell, END)) open(cell, period as QuotaPeriod, of.calendar, now);
  },
};

function open(cell: Cell, period: QuotaPeriod, calendar: Calendar, now: Instant): void {
  const end = get(cell, END);
  if (end === 0) {
    const { from, to } = periodAt(calendar, period, now);
    begin(cell, from, to, Number.POSITIVE_INFINITY);
    return;
  }
  const { from, to, joined } = periodAfter(end, calendar, period, now);
  if (joined) put(cell, END, to);
  else begin(cell, from, to, get(cell, EXTRA) === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : 0);
}

function begin(cell: Cell, from: Instant, to: Instant, ceiling: number): void {
  put(cell, USED, 0);
  put(cell, EXTRA, ceiling);
  put(cell, START, from);
  put(cell, END, to);
}
