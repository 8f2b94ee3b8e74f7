/** Figures as sources write them. */
import {
  compare,
  divide,
  exactText,
  ONE,
  ofDecimal,
  type Ratio,
  RatioError,
  ratio,
  roundTo,
} from '../../../domain/money/ratio.ts';
import type { Rounding } from '../../../domain/quantity.ts';
import type { Json } from './input.ts';

/** Rounded to so many decimals, without trailing zeros. */
export const rounded = (r: Ratio, decimals: number, mode: Rounding = 'half-up'): string =>
  exactText(ratio(roundTo(r, decimals, mode), 10n ** BigInt(decimals)));

/** As a binary float prints it: 16 significant digits. Figures that other systems computed in floats are given so. */
export function sixteenDigits(r: Ratio): string {
  const size = r.n < 0n ? { n: -r.n, d: r.d } : r;
  let decimals = 15;
  for (let bound = ratio(10n); compare(size, bound) >= 0 && decimals > 0; bound = { n: bound.n * 10n, d: 1n })
    decimals -= 1;
  for (let bound = ONE; size.n > 0n && compare(size, bound) < 0; bound = divide(bound, ratio(10n))) decimals += 1;
  return rounded(r, decimals, 'half-even');
}

/** How many decimals a figure shows. */
export const decimalsShown = (figure: Json | undefined): number =>
  typeof figure === 'string' ? (figure.split('.')[1]?.length ?? 0) : 0;

/** The same structure, texts of numbers compared as numbers: `5` is `5.00`, not `5.001`. */
export function sameFigures(a: Json | undefined, b: Json | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => sameFigures(item, b[at]));
  if (isObject(a) && isObject(b)) {
    const names = Object.keys(a);
    return (
      names.length === Object.keys(b).length &&
      names.every((name) => Object.hasOwn(b, name) && sameFigures(a[name], b[name]))
    );
  }
  if (typeof a === 'string' && typeof b === 'string') return a === b || sameNumber(a, b);
  return a === b;
}

const isObject = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function sameNumber(a: string, b: string): boolean {
  try {
    return compare(ofDecimal(a), ofDecimal(b)) === 0;
  } catch (error) {
    if (error instanceof RatioError) return false;
    throw error;
  }
}
