/** Until when a subscription costs nothing. */
import { dateAt, formatInstant, parseInstant, startOfDate } from '../calendar.ts';
import type { LimitBook, Subscription } from '../limit/catalogue.ts';
import type { Instant } from '../window.ts';

/**
 * What the subscription says itself, else as many days as its plan had when it began, counted at the account's local time
 * of day. Null: no trial.
 */
export function trialEndOf(book: LimitBook, subscription: Subscription): Instant | null {
  const { account, plan, from, trialUntil } = subscription;
  if (trialUntil !== undefined) return trialUntil;
  const days = book.catalogue.planAt(plan, from)?.billing?.trialDays ?? 0;
  return days === 0 ? null : daysAfter(book.account(account)?.zone ?? 'UTC', from, days);
}

/** The same local time so many days later. */
function daysAfter(zone: string, t: Instant, days: number): Instant {
  const { day, ...month } = dateAt(zone, t);
  const date = formatInstant(startOfDate(zone, { ...month, day: day + days }), zone).slice(0, 10);
  const time = /T[\d:.]+/.exec(formatInstant(t, zone))?.[0] ?? '';
  return parseInstant(`${date}${time}`, zone);
}
