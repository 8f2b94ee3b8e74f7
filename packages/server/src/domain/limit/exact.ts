/**
 * Whole numbers up to 2^53 - 1 divided without an error. The quotient of two of them, rounded to a double, never passes
 * or reaches a whole number that the true quotient does not: below 2^53 the gap to it is wider than half a step. So
 * `floor` and `ceil` of `/` are exact; `exact.test.ts` holds them against bigint.
 */
const MAX = Number.MAX_SAFE_INTEGER;

export const floorDiv = (a: number, b: number): number => Math.floor(a / b);

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);

/** ceil(a * b / c). The product may pass 2^53 (usage far above a soft limit); then bigint answers. */
export function mulDivUp(a: number, b: number, c: number): number {
  const product = a * b;
  if (product <= MAX) return Math.ceil(product / c);
  const [n, d] = [BigInt(a) * BigInt(b), BigInt(c)];
  return Number((n + d - 1n) / d);
}

/** Amounts stop at the largest one instead of losing their last digit. */
export const addUpTo = (a: number, b: number): number => Math.min(MAX, a + b);

export const timesUpTo = (a: number, b: number): number => Math.min(MAX, a * b);
