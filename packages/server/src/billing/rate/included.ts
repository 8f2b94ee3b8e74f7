/** Free units: used up from the beginning of the period, whatever parts it is cut into. */
import { compare, min, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';

export interface Split {
  free: Ratio;
  /** What is left to pay for. */
  paid: Ratio;
}

/** `used` is everything from the beginning of the period; null: nothing is free. */
export function splitIncluded(used: Ratio, included: Ratio | 'unlimited' | null): Split {
  if (included === 'unlimited') return { free: used, paid: ZERO };
  if (included === null || compare(used, ZERO) <= 0) return { free: ZERO, paid: used };
  const free = min(used, included);
  return { free, paid: subtract(used, free) };
}
