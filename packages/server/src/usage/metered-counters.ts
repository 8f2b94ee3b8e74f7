/** Units of counters: closed windows from records in one statement, what a boundary cuts and what is silent from facts. */
import type { Receipt } from '../domain/fact.ts';
import { SCALE } from '../domain/quantity.ts';
import { groupOf } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { BilledCounters, RecordSpan } from '../store/usage-store.ts';
import { type Amounts, emptyAmount } from './amount.ts';
import { breath } from './breath.ts';
import type { Group, Unit } from './metered-work.ts';
import { type Asked, counterAmounts, openCounterAmounts, type ReadDeps } from './read-counters.ts';
import { addTails } from './read-tails.ts';
import type { Removed } from './removed.ts';
import type { Holding } from './selection.ts';

/** What both kinds of meters are read with. */
export interface MeteredDeps {
  frontier: Receipt;
  /** Records where they are of the frontier. */
  now: ReadDeps;
  /** Facts alone. */
  past: ReadDeps;
  /** What facts since the frontier may have taken out before any record showed it, so that no record tells. */
  removed: Pick<Removed, 'hasSeries' | 'hasEvents'>;
}

/** Spans in one statement: bounds its text and what comes back, which is read in one turn of the loop. */
const SPANS_A_CALL = 10_000;
export const UNITS_A_BREATH = 2_000;

/** Units that are not, or not wholly, answered by their records, of all groups. */
interface Left {
  open: Item[];
  quiet: Item[];
  dirty: Item[];
}

interface Item {
  unit: Unit;
  edges: readonly Instant[];
}

export async function readCounters(deps: MeteredDeps, groups: readonly Group[]): Promise<void> {
  const { open, quiet, dirty } = await addRecords(deps, groups);
  const byHolding = new Map([...open, ...quiet, ...dirty].map(({ unit }) => [unit.holding, unit]));
  const note = (holding: Holding, line: string, from: Instant): void => {
    byHolding.get(holding)?.note(line);
    deps.past.note?.(holding, line, from);
  };
  const add = (amounts: Amounts): void => {
    for (const [holding, byInterval] of amounts)
      for (const amount of byInterval.values()) byHolding.get(holding)?.add(amount);
  };
  if (open.length > 0) add(await openCounterAmounts({ ...deps.now, note }, open.map(askedOf)));
  if (quiet.length > 0) add(await tailsOf(deps.now, quiet.map(askedOf)));
  if (dirty.length > 0) add(await counterAmounts({ ...deps.past, note }, dirty.map(askedOf)));
}

const askedOf = ({ unit, edges }: Item): Asked => ({ holding: unit.holding, edges });

/** What closed windows' records say; answers what is left. */
async function addRecords(deps: MeteredDeps, groups: readonly Group[]): Promise<Left> {
  const rows = await billed(deps, groups);
  const left: Left = { open: [], quiet: [], dirty: [] };
  let seen = 0;
  for (const { units, edges } of groups) {
    for (const unit of units.values()) {
      if (++seen % UNITS_A_BREATH === 0) await breath();
      const row = rows.get(unit);
      const { from, to, series } = unit.holding;
      const closedTo = deps.now.closedTo(groupOf(series.id));
      const isGap = deps.now.gaps(groupOf(series.id)).some((gap) => gap.from < to && gap.to > from);
      const isOther = row !== undefined && (row.frontier > deps.frontier || row.undigested > 0);
      unit.dirty = isGap || isOther || deps.removed.hasSeries(series);
      if (unit.dirty) {
        left.dirty.push({ unit, edges });
        continue;
      }
      if (row !== undefined && row.records > 0) addRow(unit, row);
      const isWhole = from % WINDOW_MS === 0 && to % WINDOW_MS === 0 && to <= closedTo;
      if (!isWhole) left.open.push({ unit, edges });
      // Seen to its end, there is a later reading: nothing is expected.
      if (!isWhole || row?.lastSeen !== WINDOW_MS) left.quiet.push({ unit, edges });
    }
  }
  return left;
}

export const holdingsOf = (units: readonly Unit[]): Holding[] => units.map((unit) => unit.holding);

async function tailsOf(deps: ReadDeps, asked: readonly Asked[]): Promise<Amounts> {
  const out: Amounts = new Map();
  await addTails(deps, asked, out);
  return out;
}

function billed(deps: MeteredDeps, groups: readonly Group[]): Promise<Map<Unit, BilledCounters>> {
  const spans = new Spans(groups);
  for (const group of groups) {
    for (const unit of group.units.values()) {
      const { series, from, to } = unit.holding;
      const closedTo = deps.now.closedTo(groupOf(series.id));
      spans.add(unit, series.id, windowCeil(from), Math.min(windowStart(to), closedTo));
    }
  }
  return spans.read((part) => deps.now.usage.billedCounters(part));
}

/** A span of records, and who waits for it; `next`: another one of the same series. */
export interface AskedSpan extends RecordSpan {
  unit: Unit;
  /** Others that wait for the same. */
  more: Unit[] | null;
  next: AskedSpan | undefined;
}

/** Spans to be read, each once. */
export class Spans {
  readonly list: AskedSpan[] = [];
  /** Null: no series can be asked for twice. */
  private readonly bySeries: Map<number, AskedSpan> | null;

  constructor(groups: readonly Group[]) {
    const meters = new Set(groups.map((group) => group.meter));
    this.bySeries = meters.size === groups.length ? null : new Map();
  }

  add(unit: Unit, series: number, from: Instant, to: Instant): void {
    if (from >= to) return;
    const known = this.bySeries?.get(series);
    for (let span = known; span !== undefined; span = span.next) {
      if (span.from === from && span.to === to) {
        span.more = [...(span.more ?? []), unit];
        return;
      }
    }
    const span = { series, from, to, unit, more: null, next: known };
    this.bySeries?.set(series, span);
    this.list.push(span);
  }

  /** The rows of the spans that have some. */
  async read<Row extends { interval: number }>(
    ask: (spans: readonly AskedSpan[]) => Promise<Row[]>,
  ): Promise<Map<Unit, Row>> {
    const out = new Map<Unit, Row>();
    for (let i = 0; i < this.list.length; i += SPANS_A_CALL) {
      const part = this.list.slice(i, i + SPANS_A_CALL);
      for (const row of await ask(part)) {
        const span = part[row.interval];
        if (span === undefined) continue;
        out.set(span.unit, row);
        for (const unit of span.more ?? []) out.set(unit, row);
      }
    }
    return out;
  }
}

function addRow(unit: Unit, row: BilledCounters): void {
  unit.digest = row.digest;
  unit.add({
    ...emptyAmount(),
    sum: row.used * SCALE,
    count: row.n,
    flags: row.flags,
    state: row.state,
    known: row.seen > 0 || row.n > 0n,
  });
}
