/** Reading usage: current records merged with what is still open, summed by whoever asks, in any zone and at any instant. */
import type { Book } from '../domain/book.ts';
import { edges as calendarEdges } from '../domain/calendar.ts';

import { isCounter, type Meter } from '../domain/meter.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import { type Amount, type Amounts, emptyAmount, mergeAmount, type Shown, show } from './amount.ts';
import { UsageError } from './errors.ts';
import { percentileAmounts } from './percentiles.ts';
import { counterAmounts, type ReadDeps } from './read-counters.ts';
import { tallyAmounts } from './read-tallies.ts';
import { type Filter, groupOfHolding, type Holding, meterOf, type Selection, type Viewer } from './selection.ts';

export const windowSizes = ['total', 'minute', 'window', 'hour', 'day', 'month'] as const;
export type WindowSize = (typeof windowSizes)[number];

export interface UsageQuery {
  filter: Filter;
  from: Instant;
  to: Instant;
  windowSize: WindowSize;
  /** IANA zone whose hours, days and months are meant. */
  zone: string;
  /** `account`, `resource`, `source`, `trafficType`, `series`, or a dimension's name; rows are summed over all else. */
  groupBy: readonly string[];
}

export interface UsageRow extends Shown {
  meter: string;
  from: Instant;
  to: Instant;
  /** Values of the query's groupBy, by name. */
  group: Readonly<Record<string, string>>;
  /** What to give to `tollgate explain`, when the row is of one series. */
  explain: string | null;
}

/** Bounds of one answer: beyond them the question must be cut. */
export const queryLimits = { intervals: 10_000, rows: 200_000 } as const;

/** All rows, ordered by meter, group and time; each sum is exact. */
export async function queryUsage(
  deps: ReadDeps,
  selection: Selection,
  query: UsageQuery,
  viewer: Viewer,
): Promise<UsageRow[]> {
  const edges = edgesOf(query);
  const out: UsageRow[] = [];
  for (const meter of metersOf(deps.book, query.filter)) {
    const cells = new Map<string, Cell>();
    const amounts = await amountsOf(deps, selection, meter, query, edges, viewer);
    for (const [holding, byInterval] of amounts) {
      for (const [interval, amount] of byInterval) addCell(cells, deps.book, holding, interval, amount, query.groupBy);
    }
    for (const cell of cells.values()) out.push(rowOf(meter, cell, query, edges));
    if (out.length > queryLimits.rows) throw tooMuch(`more than ${queryLimits.rows} rows`);
  }
  return out.sort(byKey);
}

async function amountsOf(
  deps: ReadDeps,
  selection: Selection,
  meter: Meter,
  query: UsageQuery,
  edges: readonly Instant[],
  viewer: Viewer,
): Promise<Amounts> {
  const [from, to] = [edges[0] ?? query.from, edges.at(-1) ?? query.to];
  if (meter.kind === 'percentile')
    return percentileAmounts(deps, selection, meter, query.filter, viewer, edges, query.groupBy);
  const holdings = selection.holdings({ ...query.filter, meters: [meter.key] }, viewer, from, to);
  if (isCounter(meter))
    return counterAmounts(
      deps,
      holdings.map((holding) => ({ holding, edges })),
    );
  return tallyAmounts(deps, selection, meter, { ...query.filter, meters: [meter.key] }, viewer, edges);
}

interface Cell {
  group: Record<string, string>;
  interval: number;
  amount: Amount;
  series: Set<number>;
}

function addCell(
  cells: Map<string, Cell>,
  book: Book,
  holding: Holding,
  interval: number,
  amount: Amount,
  groupBy: readonly string[],
): void {
  const group = groupOfHolding(book, holding, groupBy);
  const key = JSON.stringify([interval, Object.values(group)]);
  let cell = cells.get(key);
  if (cell === undefined) {
    cell = { group, interval, amount: emptyAmount(), series: new Set() };
    cells.set(key, cell);
  }
  mergeAmount(cell.amount, amount);
  cell.series.add(holding.series.id);
}

function rowOf(meter: Meter, cell: Cell, query: UsageQuery, edges: readonly Instant[]): UsageRow {
  const [series] = cell.series;
  const from = Math.max(edges[cell.interval] ?? 0, query.from);
  const to = Math.min(edges[cell.interval + 1] ?? 0, query.to);
  return {
    meter: meter.key,
    from,
    to,
    group: cell.group,
    ...show(meter, cell.amount),
    explain: cell.series.size === 1 && series !== undefined && series > 0 ? `${series}@${from}/${to}` : null,
  };
}

const keyOf = (row: UsageRow): string => JSON.stringify([row.meter, Object.values(row.group), row.from]);
const byKey = (a: UsageRow, b: UsageRow): number =>
  a.meter < b.meter ? -1 : a.meter > b.meter ? 1 : compareGroups(a, b) || a.from - b.from;
function compareGroups(a: UsageRow, b: UsageRow): number {
  const [x, y] = [Object.values(a.group), Object.values(b.group)];
  for (let i = 0; i < x.length; i++) {
    const [left = '', right = ''] = [x[i], y[i]];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** One page after the row with the given key; `next` is the key to go on from. */
export function pageOf(
  rows: readonly UsageRow[],
  after: string | null,
  limit: number,
): { rows: UsageRow[]; next: string | null } {
  const start = after === null ? 0 : rows.findIndex((row) => keyOf(row) === after) + 1;
  if (after !== null && start === 0) throw new UsageError('request.cursor', 'the row the page starts after is gone');
  const page = rows.slice(start, start + limit);
  const last = page.at(-1);
  return { rows: page, next: last !== undefined && start + limit < rows.length ? keyOf(last) : null };
}

/** Edges of the answer's intervals: the query's own ends, and the calendar's between them. */
export function edgesOf(query: Pick<UsageQuery, 'from' | 'to' | 'windowSize' | 'zone'>): Instant[] {
  const { from, to, windowSize, zone } = query;
  if (to <= from) throw new UsageError('request.invalid', '`to` must lie after `from`');
  const inner = innerEdges(from, to, windowSize, zone).filter((e) => e > from && e < to);
  if (inner.length >= queryLimits.intervals) throw tooMuch(`more than ${queryLimits.intervals} intervals`);
  return [from, ...inner, to];
}

function innerEdges(from: Instant, to: Instant, size: WindowSize, zone: string): readonly Instant[] {
  if (size === 'total') return [];
  if (size === 'window') {
    if ((to - from) / WINDOW_MS > queryLimits.intervals) throw tooMuch(`more than ${queryLimits.intervals} intervals`);
    return Array.from({ length: Math.ceil((to - from) / WINDOW_MS) + 1 }, (_, i) => windowStart(from) + i * WINDOW_MS);
  }
  return calendarEdges(zone, size, from, to);
}

const tooMuch = (what: string): UsageError =>
  new UsageError('usage.too_much', `the answer would have ${what}; ask for a shorter span`);

function metersOf(book: Book, filter: Filter): Meter[] {
  if (filter.meters === undefined) return [...book.meters()];
  return filter.meters.map((key) => {
    const meter = meterOf(book, key);
    if (meter === undefined) throw new UsageError('meter.unknown', `there is no meter ${key}`);
    return meter;
  });
}
