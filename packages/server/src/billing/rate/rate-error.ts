/** What cannot be rated. Prices are checked when they are defined; these refuse what got past that. */
import { CodedError } from '../../domain/coded-error.ts';

/**
 * `rate.tiers`: none, not rising, or the last one bounded. `rate.price`: negative, or not a decimal. `rate.size`: a
 * size or divisor that is not above zero. `rate.usage`: usage that a model cannot price. `rate.period`: a part that is
 * not in its period, or an empty one. `rate.condition`: a condition that does not answer true or false.
 */
export type RateCode = 'rate.tiers' | 'rate.price' | 'rate.size' | 'rate.usage' | 'rate.period' | 'rate.condition';

export class RateError extends CodedError<RateCode> {}
