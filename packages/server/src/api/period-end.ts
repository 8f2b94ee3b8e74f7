/** `period-end` where a time is asked for: when what the account has now has run for a whole number of periods. */

import { historyOf } from '../billing/invoice/history.ts';
import { periodsOf } from '../billing/invoice/period.ts';
import { calendarOf } from '../domain/limit/calendar-of.ts';
import { periodAt } from '../domain/limit/period.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { Context } from './context.ts';

export const PERIOD_END = 'period-end';

/** End of the billing period that runs now. Throws `subscription.unknown` when the account has no plan now. */
export const periodEndOf = ({ log, clock }: Pick<Context, 'log' | 'clock'>, account: string): Instant => {
  const now = clock.now();
  const { book } = log;
  if (book.catalogue.subscriptionAt(account, now) === undefined)
    throw new Problem(
      'subscription.unknown',
      `The account ${JSON.stringify(account)} has no plan now whose period could end`,
    );
  for (const period of periodsOf(historyOf(book, account).calendars, now)) {
    if (period.own && period.from <= now) return period.to;
    break;
  }
  // A plan without prices has the periods of its quotas.
  return periodAt(calendarOf(book, account, now), 'billing', now).to;
};
