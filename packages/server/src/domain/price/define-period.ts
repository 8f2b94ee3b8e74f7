/** How often a plan is billed, as people write it, and which entitlements are counted over the same time. */
import { Misread, quoted, readCount } from '../limit/amount.ts';
import type { QuotaPeriod } from '../limit/limit.ts';
import type { BillingPeriod, PlanBilling } from './price.ts';

const words: Readonly<Record<string, BillingPeriod>> = {
  day: { unit: 'day', count: 1 },
  week: { unit: 'week', count: 1 },
  month: { unit: 'month', count: 1 },
  quarter: { unit: 'month', count: 3 },
  year: { unit: 'year', count: 1 },
};
/** Ten years. */
const MOST: Readonly<Record<BillingPeriod['unit'], number>> = { day: 3650, week: 520, month: 120, year: 10 };

/** `month`, `quarter`, `2 weeks`, `10 days`. */
export function readPeriod(text: string): BillingPeriod | Misread {
  const match = /^(?:([1-9]\d{0,3})\s+)?([a-z]+)$/.exec(text);
  const base = words[match?.[2]?.replace(/s$/, '') ?? ''];
  if (match === null || base === undefined)
    return new Misread(`${quoted(text)} is no period: ${Object.keys(words).join(', ')}, or several, as in \`10 days\``);
  const count = (readCount(match[1] ?? '1', 1, MOST.day) ?? MOST.day + 1) * base.count;
  const most = MOST[base.unit];
  return count <= most ? { unit: base.unit, count } : new Misread(`${quoted(text)} is longer than ten years`);
}

/** Whether periods can begin where the calendar's do: those that a year is a whole number of. */
export const followsCalendar = ({ unit, count }: BillingPeriod): boolean =>
  count === 1 || (unit === 'month' && 12 % count === 0);

/** The periods of entitlements that begin and end with those that are billed. */
export function fitting({ unit, count }: BillingPeriod, anchor: PlanBilling['anchor']): QuotaPeriod[] {
  if (count !== 1) return [];
  if (anchor === 'subscription') return unit === 'month' ? ['billing'] : [];
  return [unit];
}

/** `14 days`, `14`. */
export function readTrial(text: string): number | Misread {
  const days = readCount(text.replace(/\s+days?$/, ''), 0, MOST.day);
  return days ?? new Misread(`${quoted(text)} is no number of days, up to ${MOST.day}`);
}
