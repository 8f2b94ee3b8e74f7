/** What is wrong with a limit, a cost or a hold. A RangeError, because all of them are values out of bounds. */
import { CodedError } from '../coded-error.ts';

/**
 * `rule`: a limit that cannot be counted exactly. `cost`: not a whole number of units from 0 to 2^53 - 1.
 * `holds`: too many open reservations.
 */
export type LimitCode = 'limit.rule' | 'limit.cost' | 'limit.holds';

export class LimitError extends CodedError<LimitCode> {}
