/**
 * Units of event meters: closed windows from records in one statement, what is cut off them from events in one pass a meter;
 * distinct values, open windows and cuts of levels from events, group by group.
 */
import type { Meter } from '../domain/meter.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { BilledTallies } from '../store/usage-store.ts';
import { emptyAmount } from './amount.ts';
import { breath } from './breath.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { groupBy } from './counters.ts';
import { holdingsOf, type MeteredDeps, Spans, UNITS_A_BREATH } from './metered-counters.ts';
import { addCuts } from './metered-cuts.ts';
import type { HoldingIndex } from './metered-index.ts';
import { type Group, Unit } from './metered-work.ts';
import type { ReadDeps } from './read-counters.ts';
import { silenceOf, tallyAmounts } from './read-tallies.ts';
import type { Holding } from './selection.ts';

const isCut = ({ holding: { from, to } }: Unit): boolean => from % WINDOW_MS !== 0 || to % WINDOW_MS !== 0;

type Silence = { state: number; flags: number } | null;

export class MeteredTallies {
  private readonly deps: MeteredDeps;
  private readonly index: HoldingIndex;
  private readonly closer: EventCloser;
  private silences = new Map<string, Silence>();

  constructor(deps: MeteredDeps, index: HoldingIndex) {
    this.deps = deps;
    this.index = index;
    const { usage, registry, book, frontier } = deps.now;
    const completeness = deps.now.completeness ?? new Completeness(book, []);
    this.closer = new EventCloser({ usage, registry, book, frontier, completeness });
  }

  /** `isExact`: the records account for every fact up to the frontier and, where nothing changed since, for none above. */
  async read(groups: readonly Group[], isExact: boolean): Promise<void> {
    this.silences = new Map();
    const rows = await this.billed(groups.filter((g) => g.meter.aggregation !== 'unique'));
    const cut: { meter: Meter; units: Unit[] }[] = [];
    let seen = 0;
    for (const group of groups) {
      seen += group.units.size;
      // Groups of whole windows wait for nothing, so nothing else would have its turn.
      if (seen >= UNITS_A_BREATH) {
        seen = 0;
        await breath();
      }
      if (group.meter.aggregation === 'unique') await this.slowly(group, [...group.units.values()], rows, true);
      else cut.push({ meter: group.meter, units: await this.readGroup(group, rows, isExact) });
    }
    for (const [, lists] of groupBy(cut, (c) => c.meter.key)) {
      const [first] = lists;
      if (first === undefined) continue;
      const units = lists.flatMap((c) => c.units);
      await addCuts(this.closer, first.meter, units);
    }
  }

  /** Answers the units to which what is cut off their windows is still to be added. */
  private async readGroup(group: Group, rows: ReadonlyMap<Unit, BilledTallies>, isExact: boolean): Promise<Unit[]> {
    const { now, frontier } = this.deps;
    const isOpen = group.to > now.eventsClosedTo;
    const isGap = now.eventGaps.some((gap) => gap.from < group.to && gap.to > group.from);
    const isDoubtful = this.deps.removed.hasEvents(group.meter);
    if (isGap || isDoubtful || (isOpen && !isExact)) {
      await this.fromFacts(group, [...group.units.values()], true);
      return [];
    }
    const [whole, slow, dirty]: [Unit[], Unit[], Unit[]] = [[], [], []];
    for (const unit of group.units.values()) {
      if ((rows.get(unit)?.frontier ?? 0) > frontier) dirty.push(unit);
      else if (isOpen || (group.meter.kind === 'gauge' && isCut(unit))) slow.push(unit);
      else whole.push(unit);
    }
    for (const [i, unit] of whole.entries()) {
      this.addWhole(unit, rows.get(unit));
      if (i % UNITS_A_BREATH === UNITS_A_BREATH - 1) await breath();
    }
    if (slow.length > 0 || isOpen) await this.slowly(group, slow, rows, isOpen);
    dirty.push(...(await this.rewritten(group, slow)));
    // A series met since the frontier may have begun from a record of its own that came since as well.
    if ((await this.rewritten(group, group.fresh)).length > 0) {
      await this.fromFacts(group, [...group.units.values()], true);
      return [];
    }
    const withFresh = !isOpen && !isExact;
    if (dirty.length > 0 || (group.hasLater && withFresh)) await this.fromFacts(group, dirty, withFresh);
    return whole.filter(isCut);
  }

  /**
   * What was read in several statements is judged after the last of them: a record with a higher frontier may have come
   * between. A level is carried in from the record before the span, so that one has to be of the frontier too.
   */
  private async rewritten(group: Group, units: readonly Unit[]): Promise<Unit[]> {
    if (units.length === 0) return [];
    const { usage } = this.deps.now;
    if (group.meter.kind !== 'gauge') {
      // Of its own it was read from events alone.
      if (units === group.fresh) return [];
      const rows = await this.billed([group]);
      return units.filter((u) => (rows.get(u)?.frontier ?? 0) > this.deps.frontier);
    }
    const ids = [...new Set(units.map((u) => u.holding.series.id))].sort((a, b) => a - b);
    const changed = new Set(await usage.rewrittenTallies(ids, windowCeil(group.to), this.deps.frontier));
    return units.filter((u) => changed.has(u.holding.series.id));
  }

  private addWhole(unit: Unit, row: BilledTallies | undefined): void {
    if (row !== undefined && row.records > 0) {
      const { sum, count, min, max, latest, latestAt, flags, state } = row;
      unit.digest = row.digest;
      unit.add({ ...emptyAmount(), sum, count, min, max, latest, latestAt, flags, state, known: true });
    }
    const { series, from, to: end } = unit.holding;
    const to = Math.min(end, this.deps.now.now);
    if (from >= to) return;
    const silence = this.silence(series, from, to);
    if (silence !== null) unit.add({ ...emptyAmount(), ...silence });
  }

  /** Said of a source, and asked for each of its series. */
  private silence(series: Series, from: number, to: number): Silence {
    const key = `${from}:${to}:${series.tenant}\n${series.source}`;
    let found = this.silences.get(key);
    if (found === undefined) {
      found = silenceOf(this.closer, series, from, to);
      this.silences.set(key, found);
    }
    return found;
  }

  /** As a query reads them; the digest of whole closed windows is in `rows`. */
  private async slowly(
    group: Group,
    units: readonly Unit[],
    rows: ReadonlyMap<Unit, BilledTallies>,
    isOpen: boolean,
  ): Promise<void> {
    for (const unit of units) unit.digest = rows.get(unit)?.digest ?? 0n;
    await this.readAs(this.deps.now, group, units, isOpen);
  }

  private async fromFacts(group: Group, units: readonly Unit[], withFresh: boolean): Promise<void> {
    if (withFresh) group.fresh.length = 0;
    for (const unit of units) {
      unit.reset();
      unit.dirty = true;
    }
    await this.readAs(this.deps.past, group, units, withFresh);
  }

  /** `withFresh`: series that only events tell of are taken as they come. */
  private async readAs(deps: ReadDeps, group: Group, units: readonly Unit[], withFresh: boolean): Promise<void> {
    const byHolding = new Map(units.map((unit) => [unit.holding, unit]));
    const fresh = (series: Series): Holding[] => {
      const isNew = series.id === 0 || series.firstReceipt > this.deps.frontier;
      if (!withFresh || !isNew || series.witnessOf !== 0 || !this.index.isBillable(series)) return [];
      const held = this.index.holdingsOf(series, group.from, group.to).filter((h) => group.accounts.has(h.account));
      for (const holding of held) {
        const unit = new Unit(holding);
        byHolding.set(holding, unit);
        group.fresh.push(unit);
      }
      return held;
    };
    const selection = { holdings: () => holdingsOf(units), holdingsOf: fresh };
    const note = (holding: Holding, line: string, from: Instant): void => {
      byHolding.get(holding)?.note(line);
      deps.note?.(holding, line, from);
    };
    const amounts = await tallyAmounts({ ...deps, note }, selection, group.meter, {}, null, group.edges);
    for (const [holding, byInterval] of amounts)
      for (const amount of byInterval.values()) byHolding.get(holding)?.add(amount);
  }

  private billed(groups: readonly Group[]): Promise<Map<Unit, BilledTallies>> {
    const spans = new Spans(groups);
    const { usage, eventsClosedTo } = this.deps.now;
    for (const group of groups) {
      for (const unit of group.units.values()) {
        const { series, from, to } = unit.holding;
        spans.add(unit, series.id, windowCeil(from), Math.min(windowStart(to), eventsClosedTo));
      }
    }
    return spans.read((part) => usage.billedTallies(part));
  }
}
