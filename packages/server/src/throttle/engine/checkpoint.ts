/** Quota counters as rows that survive a restart. */
import { type Cell, END, EXTRA, get, put, START, USED } from '../../domain/limit/cell.ts';
import type { QuotaPeriod } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import { type Bearing, bearingOf } from './bearing.ts';
import type { Counters } from './counters.ts';

/** One quota counter. Plain data: JSON keeps all of it. */
export interface CounterRow {
  limit: string;
  account: string;
  /** null: the counter shared by the values for which there was no room. */
  subject: string | null;
  /** Its subjects come from requests. */
  open: boolean;
  feed: 'decided' | 'metered';
  period: QuotaPeriod;
  from: Instant;
  to: Instant;
  used: number;
  /** null: none was ever set. */
  ceiling: number | null;
}

export function rowsOf(counters: Counters, now: Instant): CounterRow[] {
  const rows: CounterRow[] = [];
  const cell = counters.cursor();
  for (const { slot, limit, account, subject, open } of counters.all()) {
    const { period, worth } = counters.shape(slot);
    counters.point(cell, slot, false);
    if (period === null || get(cell, END) <= now) continue;
    const ceiling = get(cell, EXTRA);
    rows.push({
      ...{ limit, account, subject, open, period },
      feed: worth === 'read' ? 'metered' : 'decided',
      from: get(cell, START),
      to: get(cell, END),
      used: get(cell, USED),
      ceiling: ceiling === Number.POSITIVE_INFINITY ? null : ceiling,
    });
  }
  return rows;
}

export function restoreRows(counters: Counters, rows: readonly CounterRow[]): void {
  const cell = counters.cursor();
  for (const row of rows) {
    const slot = counters.restore(bearingOfRow(row), row.account, row.subject);
    counters.point(cell, slot, false);
    fill(cell, row);
  }
}

function fill(cell: Cell, row: CounterRow): void {
  put(cell, USED, row.used);
  put(cell, EXTRA, row.ceiling ?? Number.POSITIVE_INFINITY);
  put(cell, START, row.from);
  put(cell, END, row.to);
}

/** As far as a counter's place and shape go, amounts and modes do not matter. */
const bearingOfRow = ({ limit, open, feed, period }: CounterRow): Bearing =>
  bearingOf({
    ...{ key: limit, feed, meter: '', version: 0, hard: true, shadow: false },
    scope: open ? { dimension: '' } : 'account',
    rule: { kind: 'quota', amount: 0, period },
    ...{ thresholds: [], actions: [], fail: { mode: 'closed' }, message: '', upgrade: '' },
  });
