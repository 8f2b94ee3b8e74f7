/** From the meter's unit to the unit that is priced: divided, then rounded if the price says so. */
import { add, divide, multiply, type Ratio, ratio, roundTo, subtract, ZERO } from '../../domain/money/ratio.ts';
import type { UsagePrice } from '../../domain/price/price.ts';
import { readSize } from './piece.ts';
import { RateError } from './rate-error.ts';

/**
 * A quantity of the meter in priced units. `hours` are those of the whole period: a month of a level is its hours by
 * the hours of that very month, not by 720. Throws RateError.
 */
export function convert(per: UsagePrice['per'], quantity: Ratio, hours: Ratio): Ratio {
  if (per === null) return quantity;
  const converted = divide(quantity, divisorOf(per, hours));
  return per.round === 'none' ? converted : ratio(roundTo(converted, 0, per.round));
}

/** What a quantity of the meter is divided by. Throws RateError. */
export function divisorOf(per: NonNullable<UsagePrice['per']>, hours: Ratio): Ratio {
  if (per.divideBy !== 'month') return readSize(per.divideBy, 'what the quantity is divided by');
  if (hours.n <= 0n) throw new RateError('rate.period', 'the period has no hours');
  return per.size === undefined ? hours : multiply(hours, readSize(per.size, 'the size of a priced unit'));
}

/** As convert, of single events: they sum to what their sum converts to, rounding included. */
export function convertEvents(per: UsagePrice['per'], events: readonly Ratio[], hours: Ratio): readonly Ratio[] {
  if (per === null) return events;
  if (per.round === 'none') return events.map((event) => convert(per, event, hours));
  let running = ZERO;
  let before = ZERO;
  return events.map((event) => {
    running = add(running, event);
    const through = convert(per, running, hours);
    const own = subtract(through, before);
    before = through;
    return own;
  });
}
