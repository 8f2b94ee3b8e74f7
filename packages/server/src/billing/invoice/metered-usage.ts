/** Answers of the meters, in the shape that rating takes and that lines print. */
import { ofQuantity, type Ratio, ZERO } from '../../domain/money/ratio.ts';
import { add, formatQuantity, type Quantity } from '../../domain/quantity.ts';
import type { FlagName, StateName } from '../../domain/record.ts';
import type { Metered, MeteredSeries } from '../../usage/metered.ts';
import type { Portion } from '../rate/index.ts';
import { canonicalText, seriesDigest } from './canonical.ts';
import type { UsageCharge } from './charge.ts';
import { worstOf } from './due.ts';

export interface MeteredSum {
  metered: string;
  unit: string;
  state: StateName;
  flags: readonly FlagName[];
  series: readonly MeteredSeries[];
  digest: string;
}

/** Rows in an order of their own: answers may come in any. */
export const ordered = (rows: readonly Metered[]): readonly Metered[] =>
  rows.length < 2
    ? rows
    : rows
        .map((row) => ({ row, name: canonicalText(row.group) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ row }) => row);

/** One portion for each value of the dimensions; of a charge that looks at none there is always one, of nothing where nothing was used. */
export function portionsOf({ ask }: UsageCharge, rows: readonly Metered[]): Portion[] {
  if (rows.length === 0 && ask.by.length === 0) {
    return [{ group: {}, quantity: ZERO, count: 0n, events: ask.events ? [] : null }];
  }
  return rows.map(({ group, quantity, count, events }) => ({
    group,
    quantity: quantityOf(quantity),
    count,
    events: ask.events ? (events ?? []).map(ofQuantity) : null,
  }));
}

/** What is not known counts for nothing on the line, whose state says so. */
const quantityOf = (quantity: Quantity | null): Ratio => (quantity === null ? ZERO : ofQuantity(quantity));

/** The sum over all rows: the worst state, all flags, all series. */
export function meteredSum(rows: readonly Metered[]): MeteredSum {
  const [only] = rows;
  if (only !== undefined && rows.length === 1 && only.series.length < 2 && only.flags.length < 2) {
    // Nearly every line: there is nothing to sum and nothing to sort.
    const { quantity, unit, state, flags, series } = only;
    return { metered: formatQuantity(quantity ?? 0n), unit, state, flags, series, digest: seriesDigest(series) };
  }
  const series = rows
    .flatMap((row) => row.series)
    .sort((a, b) => a.series - b.series || compareText(a.digest, b.digest));
  return {
    metered: formatQuantity(rows.reduce((sum, row) => add(sum, row.quantity ?? 0n), 0n)),
    unit: rows[0]?.unit ?? '',
    state: worstOf(rows),
    flags: [...new Set(rows.flatMap((row) => row.flags))].sort(),
    series,
    digest: seriesDigest(series),
  };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
