/**
 * Asks cut into work: a group is one meter over one span, a unit in it one series over one owner's part of that span, asked
 * once whatever many asks need it.
 */
import type { Book } from '../domain/book.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import type { Quantity } from '../domain/quantity.ts';
import { addDigest, type Digest, digestOf } from '../domain/record-digest.ts';
import type { Instant } from '../domain/window.ts';
import { type Amount, mergeAmount, unitOf } from './amount.ts';
import { breath } from './breath.ts';
import { UsageError } from './errors.ts';
import type { MeteredAsk } from './metered.ts';
import { type HoldingIndex, heldIn } from './metered-index.ts';
import { groupOfHolding, type Holding, meterOf } from './selection.ts';

export interface EventQuantity {
  t: Instant;
  receipt: Receipt;
  quantity: Quantity;
}

export class Unit {
  /** Clipped to the span. */
  readonly holding: Holding;
  /** Null: nothing is known and nothing expected. */
  amount: Amount | null = null;
  digest: Digest = 0n;
  /** Its records are not those of the frontier: it is answered from facts. */
  dirty = false;
  /** Each event's quantity; null: not asked for. */
  events: EventQuantity[] | null = null;

  constructor(holding: Holding) {
    this.holding = holding;
  }

  /** Keeps the amount: the caller does not use it any more. */
  add(amount: Amount): void {
    if (this.amount === null) this.amount = amount;
    else mergeAmount(this.amount, amount);
  }
  reset(): void {
    this.amount = null;
    this.digest = 0n;
  }
  note(line: string): void {
    this.digest = addDigest(this.digest, digestOf(line));
  }
}

export class Group {
  readonly meter: Meter;
  readonly from: Instant;
  readonly to: Instant;
  readonly accounts = new Set<string>();
  readonly units = new Map<Holding, Unit>();
  /** Of series that only the events of the span tell of. */
  readonly fresh: Unit[] = [];
  /** An account whose usage is asked for has a series first met after the frontier. */
  hasLater = false;

  constructor(meter: Meter, from: Instant, to: Instant) {
    this.meter = meter;
    this.from = from;
    this.to = to;
  }

  get edges(): readonly [Instant, Instant] {
    return [this.from, this.to];
  }

  /** By holding, clipped or not. */
  unitOf(holding: Holding): Unit {
    let unit = this.units.get(holding);
    if (unit === undefined) {
      const { series, account, from, to } = holding;
      // A holding of its own, even where nothing is clipped: what is read for many groups at once is told apart by it.
      unit = new Unit({ series, account, from: Math.max(from, this.from), to: Math.min(to, this.to) });
      this.units.set(holding, unit);
    }
    return unit;
  }
}

/** What one ask needs of one of its meters. */
export interface Share {
  meter: Meter;
  group: Group;
  units: Unit[];
  /** Of a percentile: one for each group of units, on one of them. */
  ranked: ReadonlyMap<Holding, Amount> | null;
}

export interface Work {
  groups: Group[];
  /** In the order of the asks; one share for each meter of an ask. */
  shares: Share[][];
}

/** Some tens of milliseconds. */
export const ASKS_A_BREATH = 1_000;

export async function plan(book: Book, index: HoldingIndex, asks: readonly MeteredAsk[]): Promise<Work> {
  const { known, later } = await index.read();
  const groups = new Groups();
  const meters = new Map<string, Meter[]>();
  const shares: Share[][] = [];
  for (const ask of asks) {
    if (ask.from >= ask.to) throw new UsageError('request.invalid', '`to` must lie after `from`');
    let own = meters.get(ask.meter);
    if (own === undefined) {
      own = metersOf(book, ask.meter);
      meters.set(ask.meter, own);
    }
    const list: Share[] = [];
    for (const meter of own) {
      const group = groups.of(meter, ask.from, ask.to);
      const units: Unit[] = [];
      group.accounts.add(ask.account);
      for (const key of meter.kind === 'percentile' ? meter.of : [meter.key]) {
        for (const holding of heldIn(known, ask.account, key, ask.from, ask.to))
          if (passes(book, holding, ask)) units.push(group.unitOf(holding));
        group.hasLater ||= later.size > 0 && heldIn(later, ask.account, key, ask.from, ask.to).length > 0;
      }
      list.push({ meter, group, units, ranked: null });
    }
    shares.push(list);
    if (shares.length % ASKS_A_BREATH === 0) await breath();
  }
  return { groups: groups.list, shares };
}

class Groups {
  readonly list: Group[] = [];
  private readonly byKey = new Map<string, Group>();
  /** The last one of each meter: asks that come together mostly have one span. */
  private readonly last = new Map<Meter, Group>();

  of(meter: Meter, from: Instant, to: Instant): Group {
    const last = this.last.get(meter);
    if (last !== undefined && last.from === from && last.to === to) return last;
    const key = `${from}:${to}:${meter.key}`;
    let group = this.byKey.get(key);
    if (group === undefined) {
      group = new Group(meter, from, to);
      this.byKey.set(key, group);
      this.list.push(group);
    }
    this.last.set(meter, group);
    return group;
  }
}

/** The meters of a key, which may join several of one unit with ` + `. */
export function metersOf(book: Book, text: string): Meter[] {
  const meters = text.split(' + ').map((key) => {
    const meter = meterOf(book, key.trim());
    if (meter === undefined) throw new UsageError('meter.unknown', `there is no meter ${key.trim()}`);
    return meter;
  });
  const units = new Set(meters.map(unitOf));
  if (units.size > 1)
    throw new UsageError('request.invalid', `${text} cannot be added: its units are ${[...units].join(', ')}`);
  return meters;
}

export function passes(book: Book, holding: Holding, { where }: Pick<MeteredAsk, 'where'>): boolean {
  for (const name of Object.keys(where)) {
    const value = groupOfHolding(book, holding, [name])[name] ?? '';
    if (where[name]?.includes(value) !== true) return false;
  }
  return true;
}
