/** How much of the periods of its plan a part of an account's period is. */
import type { DayCount } from '../../domain/billing/conventions.ts';
import { add, ONE, type Ratio, subtract, ZERO } from '../../domain/money/ratio.ts';
import type { Interval } from '../../domain/window.ts';
import { partShare } from '../rate/index.ts';
import type { Scope } from './frames.ts';
import type { Holding } from './history.ts';
import { gridAt, sameTerms } from './period.ts';
import { countedFrom } from './pieces.ts';

/** Of a plan with periods of another length than the account's own, the sum over those that the part has a part of. Throws RateError. */
export function shareOf(scope: Scope, holding: Holding, { from, to }: Interval, dayCount: DayCount): Ratio {
  const { whole, calendar } = scope.period;
  if (sameTerms(holding.calendar, calendar)) {
    return shareIn(whole, { from: countedFrom(scope, from), to }, holding, calendar.zone, dayCount);
  }
  let share = ZERO;
  for (let at = from; at < to; ) {
    const grid = gridAt(holding.calendar, at);
    const end = Math.min(to, grid.to);
    share = add(share, shareIn(grid, { from: at, to: end }, holding, holding.calendar.zone, dayCount));
    at = end;
  }
  return share;
}

function shareIn(whole: Interval, part: Interval, { plan }: Holding, zone: string, dayCount: DayCount): Ratio {
  if (part.from === whole.from && part.to === whole.to) return ONE;
  const { before, through } = partShare(dayCount, { ...whole, ...plan.billing.period, zone }, part);
  return subtract(through, before);
}
