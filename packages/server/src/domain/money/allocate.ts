/** Sharing out a whole number so that the shares add up to it. */
import { MoneyError } from './money.ts';
import type { Ratio } from './ratio.ts';

/**
 * Shares of `total` in the proportion of the weights, by largest remainder: each is within one unit of its exact share,
 * they sum to the total, and of equal remainders the first position gets the unit. A negative total is shared as its
 * opposite. Weights may be negative (lines that take back) as long as they do not sum to zero; throws MoneyError
 * `money.weights` when they do and the total is not zero.
 */
export function allocate(total: bigint, weights: readonly bigint[] | readonly Ratio[]): bigint[] {
  if (total < 0n) return allocate(-total, weights).map((share) => -share);
  const whole = wholeWeights(weights);
  const sum = whole.reduce((a, b) => a + b, 0n);
  if (total === 0n) return whole.map(() => 0n);
  if (sum === 0n)
    throw new MoneyError('money.weights', `the weights sum to zero, ${total} cannot be shared out by them`);
  return sum < 0n
    ? byLargestRemainder(
        total,
        whole.map((w) => -w * total),
        -sum,
      )
    : byLargestRemainder(
        total,
        whole.map((w) => w * total),
        sum,
      );
}

/**
 * Shares of `total`, which is the sum of the amounts times `by`, rounded in any way: each line's is within one unit of its
 * own amount times `by`, also where lines all but cancel each other out, and they sum to the total. Else as allocate.
 */
export function apportion(total: bigint, amounts: readonly bigint[], by: Ratio): bigint[] {
  if (total < 0n) {
    const opposite = amounts.map((amount) => -amount);
    return apportion(-total, opposite, by).map((share) => -share);
  }
  return byLargestRemainder(
    total,
    amounts.map((amount) => amount * by.n),
    by.d,
  );
}

/** Exact shares as fractions of one denominator. */
function byLargestRemainder(total: bigint, numerators: readonly bigint[], denominator: bigint): bigint[] {
  const parts = numerators.map((numerator, at) => ({ at, ...flooredBy(numerator, denominator) }));
  const shares = parts.map((part) => part.quotient);
  let left = total - shares.reduce((a, b) => a + b, 0n);
  parts.sort((a, b) => (a.rest === b.rest ? a.at - b.at : a.rest > b.rest ? -1 : 1));
  for (const { at, quotient } of parts) {
    if (left === 0n) break;
    shares[at] = quotient + 1n;
    left -= 1n;
  }
  return shares;
}

/** a / b towards minus infinity, and what is left, 0 <= rest < b. */
function flooredBy(a: bigint, b: bigint): { quotient: bigint; rest: bigint } {
  const rest = ((a % b) + b) % b;
  return { quotient: (a - rest) / b, rest };
}

/** Weights as integers in the same proportion. */
function wholeWeights(weights: readonly bigint[] | readonly Ratio[]): bigint[] {
  const ratios = weights.map((w) => (typeof w === 'bigint' ? { n: w, d: 1n } : w));
  const denominators = [...new Set(ratios.map((r) => r.d))];
  const common = denominators.reduce((a, b) => (a % b === 0n ? a : a * b), 1n);
  return ratios.map((r) => r.n * (common / r.d));
}
