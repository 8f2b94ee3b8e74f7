/** What is taken off amounts that are known: coupons, credits, and how much of a payment may be given back. Minor units. */
import { allocate } from '../../domain/money/allocate.ts';
import { RateError } from './rate-error.ts';

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const notNegative = (a: bigint): bigint => (a < 0n ? 0n : a);

/** At most what was paid and has not been credited yet, and never below zero. */
export const creditCap = (wanted: bigint, paid: bigint, credited: bigint): bigint =>
  notNegative(least(wanted, paid - credited));

/** A coupon's rest spread over lines by their share, never more than they are. */
export function spreadCoupon(
  lines: readonly bigint[],
  coupon: bigint,
  used: bigint,
): { off: bigint; shares: bigint[] } {
  const sum = lines.reduce((a, b) => a + b, 0n);
  const off = least(notNegative(coupon - used), notNegative(sum));
  return { off, shares: allocate(off, lines) };
}

/** Credits used up line by line, in order. Throws RateError `rate.usage` when some are left: whoever gave them knew the lines. */
export function creditLines(lines: readonly bigint[], credits: bigint): bigint[] {
  let left = credits;
  const used = lines.map((line) => {
    const here = least(left, notNegative(line));
    left -= here;
    return here;
  });
  if (left > 0n) throw new RateError('rate.usage', 'credits not consumed fully');
  return used;
}
