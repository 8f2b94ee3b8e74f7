/** Units summed to what an ask gets back. */
import type { Book } from '../domain/book.ts';
import type { Meter } from '../domain/meter.ts';
import { flagNames, stateName } from '../domain/record.ts';
import { addDigest, type Digest, digestText } from '../domain/record-digest.ts';
import { type Amount, emptyAmount, figureOf, mergeAmount, unitOf } from './amount.ts';
import type { Metered, MeteredAsk, MeteredSeries } from './metered.ts';
import { passes, type Share, type Unit } from './metered-work.ts';
import { groupOfHolding } from './selection.ts';

interface Cell {
  meter: Meter;
  units: readonly Unit[];
  ranked: Share['ranked'];
}

interface Row {
  group: Readonly<Record<string, string>>;
  cells: Cell[];
}

const NO_GROUP = {};

/** A row for each group that had a series; joined meters are added. */
export function answer(book: Book, ask: MeteredAsk, shares: readonly Share[]): Metered[] {
  const [only] = shares;
  if (only !== undefined && shares.length === 1 && ask.by.length === 0) {
    // Most asks: there is nothing to tell apart.
    const { meter, ranked } = only;
    const units = unitsOf(book, ask, only);
    return units.length === 0 ? [] : [shownRow({ group: NO_GROUP, cells: [{ meter, units, ranked }] }, ask)];
  }
  const rows = new Map<string, Row>();
  for (const share of shares) {
    const cells = new Map<Row, Cell & { units: Unit[] }>();
    for (const unit of unitsOf(book, ask, share)) {
      const row = rowOf(rows, book, ask, unit);
      let cell = cells.get(row);
      if (cell === undefined) {
        cell = { meter: share.meter, units: [] as Unit[], ranked: share.ranked };
        cells.set(row, cell);
        row.cells.push(cell);
      }
      cell.units.push(unit);
    }
  }
  return [...rows.values()].sort(byGroup).map((row) => shownRow(row, ask));
}

/** In the order of the values, as a query's rows are. */
function byGroup(a: Row, b: Row): number {
  const right = Object.values(b.group);
  for (const [i, left] of Object.values(a.group).entries()) {
    if (left !== right[i]) return left < (right[i] ?? '') ? -1 : 1;
  }
  return 0;
}

/** Those planned, and of the series that only events told of the ask's own. */
export function unitsOf(book: Book, ask: MeteredAsk, share: Share): readonly Unit[] {
  if (share.group.fresh.length === 0) return share.units;
  const fresh = share.group.fresh.filter((u) => u.holding.account === ask.account && passes(book, u.holding, ask));
  return fresh.length === 0 ? share.units : [...share.units, ...fresh];
}

function rowOf(rows: Map<string, Row>, book: Book, ask: MeteredAsk, unit: Unit): Row {
  const group = ask.by.length === 0 ? NO_GROUP : groupOfHolding(book, unit.holding, ask.by);
  const key = ask.by.length === 0 ? '' : JSON.stringify(Object.values(group));
  let row = rows.get(key);
  if (row === undefined) {
    row = { group, cells: [] };
    rows.set(key, row);
  }
  return row;
}

function shownRow({ group, cells }: Row, ask: MeteredAsk): Metered {
  const total = emptyAmount();
  let quantity: bigint | null = null;
  const series: MeteredSeries[] = [];
  for (const cell of cells) {
    const amount = amountOf(cell);
    const figure = figureOf(cell.meter, amount);
    if (figure !== null) quantity = (quantity ?? 0n) + figure;
    total.count += amount.count;
    total.flags |= amount.flags;
    total.state = Math.max(total.state, amount.state);
    series.push(...seriesOf(cell));
  }
  const { count, state, flags } = total;
  const unit = cells[0] === undefined ? '' : unitOf(cells[0].meter);
  const events = ask.events ? eventsOf(cells) : null;
  series.sort((a, b) => a.series - b.series);
  return { group, quantity, count, unit, state: stateName(state), flags: flagNames(flags), events, series };
}

function amountOf({ units, ranked }: Cell): Amount {
  const [only] = units;
  if (ranked === null && units.length === 1 && only !== undefined) return only.amount ?? emptyAmount();
  const total = emptyAmount();
  for (const unit of units) {
    const amount = ranked === null ? unit.amount : ranked.get(unit.holding);
    if (amount != null) mergeAmount(total, amount);
  }
  return total;
}

/** A series that was held twice in the span is one. */
function seriesOf({ meter, units }: Cell): MeteredSeries[] {
  const [only] = units;
  if (only !== undefined && units.length === 1) {
    const { holding, amount, digest } = only;
    if (amount === null) return [];
    return [{ series: holding.series.id, quantity: figureOf(meter, amount) ?? 0n, digest: digestText(digest) }];
  }
  const out = new Map<number, { amount: Amount; digest: Digest }>();
  for (const { holding, amount, digest } of units) {
    if (amount === null) continue;
    const before = out.get(holding.series.id);
    if (before === undefined) {
      out.set(holding.series.id, { amount, digest });
      continue;
    }
    const both = emptyAmount();
    mergeAmount(both, before.amount);
    mergeAmount(both, amount);
    out.set(holding.series.id, { amount: both, digest: addDigest(before.digest, digest) });
  }
  return [...out].map(([series, { amount, digest }]) => ({
    series,
    quantity: figureOf(meter, amount) ?? 0n,
    digest: digestText(digest),
  }));
}

function eventsOf(cells: readonly Cell[]): bigint[] | null {
  const units = cells.flatMap((cell) => cell.units);
  if (units.some((unit) => unit.events === null)) return null;
  const events = units.flatMap((unit) => unit.events ?? []);
  return events.sort((a, b) => a.t - b.t || a.receipt - b.receipt).map((e) => e.quantity);
}
