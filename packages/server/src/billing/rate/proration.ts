/** How much of a period a part of it is, by each convention. */
import type { DayCount } from '../../domain/billing/conventions.ts';
import { edges } from '../../domain/calendar.ts';
import { min, ONE, type Ratio, ratio, subtract } from '../../domain/money/ratio.ts';
import type { BillingPeriod } from '../../domain/price/price.ts';
import type { Instant } from '../../domain/window.ts';
import { RateError } from './rate-error.ts';

export interface Span {
  from: Instant;
  to: Instant;
}

/** The whole period, also where only a part of it is billed. */
export interface BilledPeriod extends Span {
  unit: BillingPeriod['unit'];
  count: number;
  /** IANA zone its days are of. */
  zone: string;
}

/** Shares of the period from its beginning to where the part begins, and to where it ends: the part is the difference. */
export interface PartShare {
  before: Ratio;
  through: Ratio;
  /** `15 of 31 days`. */
  text: string;
}

/**
 * Throws RateError `rate.period`. By `inclusive` two parts may both have the day between them, so there `before` is zero
 * and parts can sum to more than the period. By all others they sum to it, whatever the cuts.
 */
export function partShare(dayCount: DayCount, period: BilledPeriod, part: Span): PartShare {
  checkPart(period, part);
  switch (dayCount) {
    case 'days':
      return byDays(period, part);
    case 'exact':
      return shareOf('ms', part.from - period.from, part.to - period.from, period.to - period.from);
    case 'inclusive':
      return byTouchedDays(period, part);
    case 'thirty':
      return byThirty(period, part);
  }
}

function checkPart(period: BilledPeriod, part: Span): void {
  const inOrder = period.from <= part.from && part.from <= part.to && part.to <= period.to && period.from < period.to;
  if (!inOrder || ![period.from, period.to, part.from, part.to].every(Number.isSafeInteger))
    throw new RateError(
      'rate.period',
      `[${part.from}, ${part.to}) is no part of the period [${period.from}, ${period.to})`,
    );
}

/** Local days that begin in the span. */
export const daysIn = (zone: string, { from, to }: Span): number =>
  from === to ? 0 : edges(zone, 'day', from, to).filter((edge) => edge >= from && edge < to).length;

/** Local days that the span has a part of. */
const daysTouched = (zone: string, { from, to }: Span): number =>
  from === to ? 0 : edges(zone, 'day', from, to).length - 1;

function shareOf(unit: string, before: number, through: number, whole: number): PartShare {
  if (whole < 1) throw new RateError('rate.period', `the period has no ${unit}`);
  return {
    before: ratio(BigInt(before), BigInt(whole)),
    through: ratio(BigInt(through), BigInt(whole)),
    text: `${through - before} of ${whole} ${unit}`,
  };
}

const upTo = (period: Span, to: Instant): Span => ({ from: period.from, to });

function byDays(period: BilledPeriod, part: Span): PartShare {
  const before = daysIn(period.zone, upTo(period, part.from));
  return shareOf('days', before, before + daysIn(period.zone, part), daysIn(period.zone, period));
}

function byTouchedDays(period: BilledPeriod, part: Span): PartShare {
  return shareOf('days', 0, daysTouched(period.zone, part), daysTouched(period.zone, period));
}

/** A month is 30 days and a year 360, so what is left over or missing at its end falls to the last part. */
function byThirty(period: BilledPeriod, part: Span): PartShare {
  const whole = period.unit === 'month' ? 30 : period.unit === 'year' ? 360 : null;
  if (whole === null) return byDays(period, part);
  const share = (to: Instant): Ratio => {
    if (to === period.to) return ONE;
    return min(ONE, ratio(BigInt(daysIn(period.zone, upTo(period, to))), BigInt(whole * period.count)));
  };
  const [before, through] = [share(part.from), part.from === part.to ? share(part.from) : share(part.to)];
  const own = subtract(through, before);
  return { before, through, text: `${(own.n * BigInt(whole * period.count)) / own.d} of ${whole * period.count} days` };
}
