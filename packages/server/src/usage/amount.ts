/** What usage adds up to over an interval, whatever the meter's kind: mergeable, so that series sum to accounts. */

import type { Meter } from '../domain/meter.ts';
import { divide, formatQuantity, SCALE } from '../domain/quantity.ts';
import { type FlagName, flagNames, State, type StateName, stateName } from '../domain/record.ts';
import type { Instant } from '../domain/window.ts';
import type { Holding } from './selection.ts';

/** Quantities at scale 10^12; counters too, so that all meters merge and print alike. */
export interface Amount {
  sum: bigint;
  count: bigint;
  min: bigint | null;
  max: bigint | null;
  latest: bigint | null;
  latestAt: Instant;
  /** Distinct values, for meters of aggregation unique; null otherwise. */
  unique: Set<string> | null;
  flags: number;
  state: number;
  /** Something was measured or is known to be zero; when false, nothing is known and the quantity is null. */
  known: boolean;
  /** Part of it comes from windows that are still open. */
  provisional: boolean;
}

export const emptyAmount = (): Amount => ({
  sum: 0n,
  count: 0n,
  min: null,
  max: null,
  latest: null,
  latestAt: 0,
  unique: null,
  flags: 0,
  state: State.known,
  known: false,
  provisional: false,
});

const least = (a: bigint | null, b: bigint | null): bigint | null => (a === null || (b !== null && b < a) ? b : a);
const most = (a: bigint | null, b: bigint | null): bigint | null => (a === null || (b !== null && b > a) ? b : a);

/** Of two series with a last value at the same instant the greater one counts, whatever order they come in. */
function isLater(a: Amount, b: Amount): boolean {
  if (a.latest === null || b.latest === null) return a.latest !== null;
  return a.latestAt > b.latestAt || (a.latestAt === b.latestAt && a.latest > b.latest);
}

/** Adds `from` to `into`. Every part of it is associative and commutative: rows may come in any order. */
export function mergeAmount(into: Amount, from: Amount): void {
  into.sum += from.sum;
  into.count += from.count;
  into.min = least(into.min, from.min);
  into.max = most(into.max, from.max);
  if (isLater(from, into)) {
    into.latest = from.latest;
    into.latestAt = from.latestAt;
  }
  if (from.unique !== null) into.unique = new Set([...(into.unique ?? []), ...from.unique]);
  into.flags |= from.flags;
  into.state = Math.max(into.state, from.state);
  into.known ||= from.known;
  into.provisional ||= from.provisional;
}

const MS_PER_HOUR = 3_600_000n;

/** The figure a meter shows for an amount, scaled by 10^12; null: unknown. The one rounding (half-even, 12 decimals) is here. */
export function figureOf(meter: Meter, amount: Amount): bigint | null {
  if (!amount.known) return null;
  // Ranked before it came here: nothing is left to aggregate.
  if (meter.kind === 'percentile') return amount.sum;
  switch (meter.aggregation) {
    case 'sum':
      return amount.sum;
    case 'count':
      return amount.count * SCALE;
    case 'avg':
      return amount.count === 0n ? null : divide(amount.sum, amount.count, 'half-even');
    case 'min':
      return amount.min;
    case 'max':
      return amount.max;
    case 'latest':
    case 'last':
      return amount.latest;
    case 'unique':
      return BigInt(amount.unique?.size ?? 0) * SCALE;
    case 'integral':
      return divide(amount.sum, MS_PER_HOUR, 'half-even');
  }
}

/** Unit of the figure: a level's integral is in unit-hours. */
export const unitOf = (meter: Meter): string => (meter.aggregation === 'integral' ? `${meter.unit}.h` : meter.unit);

export interface Shown {
  /** Exact decimal; null when unknown. */
  quantity: string | null;
  unit: string;
  state: StateName;
  flags: FlagName[];
  provisional: boolean;
}

export function show(meter: Meter, amount: Amount): Shown {
  const figure = figureOf(meter, amount);
  return {
    quantity: figure === null ? null : formatQuantity(figure),
    unit: unitOf(meter),
    state: stateName(amount.state),
    flags: flagNames(amount.flags),
    provisional: amount.provisional,
  };
}

/** One amount per (holding, interval); absent where the series did not exist. */
export type Amounts = Map<Holding, Map<number, Amount>>;

export function amountOf(out: Amounts, holding: Holding, interval: number): Amount {
  let byInterval = out.get(holding);
  if (byInterval === undefined) {
    byInterval = new Map();
    out.set(holding, byInterval);
  }
  let amount = byInterval.get(interval);
  if (amount === undefined) {
    amount = emptyAmount();
    byInterval.set(interval, amount);
  }
  return amount;
}
