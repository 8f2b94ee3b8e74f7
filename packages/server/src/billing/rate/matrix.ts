/** A matrix: which cell prices a value of the dimensions. */
import type { MatrixModel } from '../../domain/price/price.ts';
import { pricerOf } from './model/index.ts';
import type { Pricer } from './piece.ts';
import { RateError } from './rate-error.ts';

type Group = Readonly<Record<string, string>>;

export interface Matrix {
  dimensions: readonly string[];
  /** The function that prices a value of the dimensions; null: it is free. */
  pricerFor(group: Group): Pricer | null;
}

interface Cell {
  where: readonly (readonly [name: string, value: string])[];
  pricer: Pricer;
}

/** Throws RateError: a number that is none, or a cell that names what the matrix does not look at. */
export function readMatrix({ dimensions, cells, otherwise }: MatrixModel): Matrix {
  const read = cells.map(({ where, price }): Cell => {
    const stray = Object.keys(where).find((name) => !dimensions.includes(name));
    if (stray !== undefined)
      throw new RateError(
        'rate.price',
        `a cell names the dimension ${stray}, which is none of: ${dimensions.join(', ')}`,
      );
    return { where: Object.entries(where), pricer: pricerOf(price) };
  });
  // The one with most names in it comes first; of equals the one that is written first.
  read.sort((a, b) => b.where.length - a.where.length);
  const rest = otherwise === null ? null : pricerOf(otherwise);
  return {
    dimensions,
    pricerFor: (group) =>
      read.find(({ where }) => where.every(([name, value]) => group[name] === value))?.pricer ?? rest,
  };
}

/** Text that is the same for the same values; what rows of a group are summed and ordered by. */
export const groupKey = (group: Group, dimensions: readonly string[]): string =>
  JSON.stringify(dimensions.map((name) => group[name] ?? ''));

/** `region eu, class fast`. */
export const groupText = (group: Group, dimensions: readonly string[]): string =>
  dimensions.map((name) => `${name} ${group[name] ?? ''}`.trim()).join(', ');
