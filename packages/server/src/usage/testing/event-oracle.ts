/** What the records of event meters should be, event by event from what each is known to hold, without the code under test. */
import type { Receipt, StoredEvent } from '../../domain/fact.ts';
import type { Meter } from '../../domain/meter.ts';
import { Flag, State, type TallyRecord } from '../../domain/record.ts';
import { type Instant, WINDOW_MS, windowStart } from '../../domain/window.ts';
import { T0 } from './fleet.ts';
import type { World } from './world.ts';

export const E12 = 10n ** 12n;
const LIMIT = 10n ** 38n;

/** What stands at a path: the JSON text, its exact value at scale 10^12 (null: none), and its text as a dimension. */
export interface Cell {
  json: string;
  value: bigint | null;
  text: string;
}

export interface Known {
  event: StoredEvent;
  v: Cell;
  nested: Cell;
  g: Cell;
  /** Data that is no JSON, or repeats a name: nothing can be read from it. */
  broken: boolean;
}

export interface Of {
  tenant: string;
  source: string;
  subject: string;
}

type Book = World['log']['book'];
type Amounts = Omit<TallyRecord, 'series' | 'window' | 'part' | 'isVoid'>;
export const keyOf = (
  tenant: string,
  source: string,
  subject: string,
  dimensions: string[],
  w: Instant,
  part: number,
): string => JSON.stringify([tenant, source, subject, dimensions, (w - T0) / WINDOW_MS, part]);
export const textOf = (r: Amounts): string =>
  `sum ${r.sum} count ${r.count} min ${r.min} max ${r.max} latest ${r.latest}@${r.latest === null ? 0 : r.latestAt - T0} f${r.flags} s${r.state}`;

export class Oracle {
  private readonly counting: Known[];
  private readonly book: Book;
  private readonly through = new Map<string, Instant>();

  constructor(
    known: readonly Known[],
    voided: ReadonlyMap<Receipt, Receipt>,
    book: Book,
    declarations: readonly { tenant: string; source: string; completeThrough: Instant }[],
    frontier: Receipt,
  ) {
    this.book = book;
    for (const d of declarations) this.through.set(`${d.tenant}|${d.source}`, d.completeThrough);
    this.counting = known
      .filter(({ event: e }) => e.receipt <= frontier && (voided.get(e.receipt) ?? Number.MAX_VALUE) > frontier)
      .filter(({ event: e }) => e.set === '' || book.set(e.set)?.state !== 'undone')
      .sort((a, b) => a.event.t - b.event.t || a.event.receipt - b.event.receipt);
  }

  records(meter: Meter, edge: Instant): Map<string, string> {
    const groups = new Map<string, { of: Of; dimensions: string[]; list: Known[] }>();
    for (const k of this.counting) {
      if (k.event.type !== meter.eventType || !meter.filters.every((f) => f.in.includes(k.broken ? '' : k.g.text)))
        continue;
      if (k.broken && meter.filters.length > 0) continue;
      const dimensions = Object.keys(meter.groupBy).map(() => (k.broken ? '' : k.g.text));
      const { tenant, source, subject } = k.event;
      const key = JSON.stringify([tenant, source, subject, dimensions]);
      const group = groups.get(key) ?? { of: { tenant, source, subject }, dimensions, list: [] };
      groups.set(key, group);
      group.list.push(k);
    }
    const out = new Map<string, string>();
    for (const { of, dimensions, list } of groups.values()) {
      const records = meter.kind === 'gauge' ? this.levels(meter, of, list, edge) : this.sums(meter, of, list);
      for (const [window, part, amounts] of records)
        out.set(keyOf(of.tenant, of.source, of.subject, dimensions, window, part), textOf(amounts));
    }
    return out;
  }

  private cuts(of: Of, window: Instant): Instant[] {
    return [window, ...this.book.ownerChanges(of.tenant, of.subject, window, window + WINDOW_MS)];
  }

  private valueOf(meter: Meter, k: Known): bigint | null {
    if (meter.aggregation === 'count') return E12;
    if (k.broken) return null;
    return (meter.valuePath === '$.v' ? k.v : k.nested).value;
  }

  private *sums(meter: Meter, of: Of, list: readonly Known[]): Iterable<[Instant, number, Amounts]> {
    const cells = new Map<Instant, Known[]>();
    for (const k of list) {
      const start =
        this.cuts(of, windowStart(k.event.t))
          .filter((t) => t <= k.event.t)
          .at(-1) ?? 0;
      cells.set(start, [...(cells.get(start) ?? []), k]);
    }
    for (const [start, members] of cells) {
      const window = windowStart(start);
      const unique = meter.aggregation === 'unique';
      const values = unique ? [] : members.map((k) => this.valueOf(meter, k));
      const good = values.filter((v) => v !== null);
      const sum = good.reduce((a, b) => a + b, 0n);
      const beyond = sum >= LIMIT || sum <= -LIMIT;
      const bad = good.length < values.length || beyond;
      const last = unique ? undefined : members.findLast((k) => this.valueOf(meter, k) !== null);
      const { flags, state } = this.stateAt(of, window + WINDOW_MS);
      yield [
        window,
        start - window,
        {
          sum: beyond ? 0n : sum,
          count: BigInt(unique ? members.length : good.length),
          min: least(good),
          max: most(good),
          latest: last === undefined ? null : this.valueOf(meter, last),
          latestAt: last?.event.t ?? 0,
          flags: flags | (bad ? Flag.setAside : 0),
          state: bad ? State.quarantined : state,
        },
      ];
    }
  }

  /** Instant by instant: from every change on, until the next, or until the sample lapses. */
  private *levels(meter: Meter, of: Of, list: readonly Known[], edge: Instant): Iterable<[Instant, number, Amounts]> {
    const all = list.flatMap((k) => {
      const value = this.valueOf(meter, k);
      return value === null ? [] : [{ t: k.event.t, value }];
    });
    const levels = all.filter((l, i) => all[i + 1]?.t !== l.t);
    const [first] = levels;
    if (first === undefined) return;
    for (let window = windowStart(first.t); window < edge; window += WINDOW_MS) {
      const cuts = [...this.cuts(of, window), window + WINDOW_MS];
      for (let i = 0; i + 1 < cuts.length; i++) {
        const [from, to] = [cuts[i] ?? 0, cuts[i + 1] ?? 0];
        if (first.t < to) yield [window, from - window, this.levelOver(meter, of, levels, from, to)];
      }
    }
  }

  private levelOver(
    meter: Meter,
    of: Of,
    levels: readonly { t: Instant; value: bigint }[],
    from: Instant,
    to: Instant,
  ): Amounts {
    let [sum, covered] = [0n, 0];
    const seen: bigint[] = [];
    for (const [i, { t, value }] of levels.entries()) {
      const lapse = meter.validFor === 0 ? Number.MAX_SAFE_INTEGER : t + meter.validFor;
      const begin = Math.max(t, from);
      const end = Math.min(levels[i + 1]?.t ?? Number.MAX_SAFE_INTEGER, lapse, to);
      if (end > begin) {
        sum += value * BigInt(end - begin);
        covered += end - begin;
      }
      if (end > begin || (t >= from && t < to)) seen.push(value);
    }
    const last = levels.findLast((l) => l.t < to);
    const first = levels[0]?.t ?? 0;
    const beyond = sum >= LIMIT || sum <= -LIMIT;
    const { through, settled } = this.edgesOf(of);
    const missing = to - Math.max(from, first) > covered;
    let [state, flags]: [number, number] = [State.known, 0];
    if (through < to && settled < to) state = State.pending;
    else if (missing || through < to) [state, flags] = [State.unobserved, Flag.unobserved];
    if (beyond) [state, flags] = [State.quarantined, Flag.setAside];
    return {
      sum: beyond ? 0n : sum,
      count: BigInt(levels.filter((l) => l.t >= from && l.t < to).length),
      min: least(seen),
      max: most(seen),
      latest: last?.value ?? null,
      latestAt: last?.t ?? 0,
      flags,
      state,
    };
  }

  private edgesOf({ tenant, source }: Of): { through: Instant; assumed: boolean; settled: Instant } {
    const rules = this.book.source(tenant, source);
    const settled = this.book.lastTick - rules.settleAfterMs;
    const declared = this.through.get(`${tenant}|${source}`) ?? 0;
    if (rules.completeness === 'declared' || declared > 0) return { through: declared, assumed: false, settled };
    return { through: this.book.lastTick - rules.graceMs, assumed: true, settled };
  }

  private stateAt(of: Of, end: Instant): { state: number; flags: number } {
    const { through, assumed, settled } = this.edgesOf(of);
    if (through >= end) return { state: State.known, flags: assumed ? Flag.assumed : 0 };
    if (settled >= end) return { state: State.unobserved, flags: Flag.unobserved };
    return { state: State.pending, flags: 0 };
  }
}

const least = (list: readonly bigint[]): bigint | null =>
  list.reduce<bigint | null>((a, b) => (a === null || b < a ? b : a), null);
const most = (list: readonly bigint[]): bigint | null =>
  list.reduce<bigint | null>((a, b) => (a === null || b > a ? b : a), null);
