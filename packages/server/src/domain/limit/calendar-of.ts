/** Where an account's quota periods begin: its zone, and the anchor of its subscription. */
import { parseInstant } from '../calendar.ts';
import type { Instant } from '../window.ts';
import type { LimitBook } from './catalogue.ts';

/** As in throttle/engine/types.ts, which stands on this side of the arrows. */
export interface LimitCalendar {
  /** IANA zone. */
  zone: string;
  /** What billing periods are counted from. */
  anchor: Instant;
}

/** A first of a month, at local midnight: billing periods of who has no subscription are calendar months. */
const NO_ANCHOR = '1970-02-01';

/** `account` null: the installation's, in UTC. */
export function calendarOf(book: LimitBook, account: string | null, t: Instant): LimitCalendar {
  const zone = (account === null ? undefined : book.account(account))?.zone ?? 'UTC';
  const subscription = account === null ? undefined : book.catalogue.subscriptionAt(account, t);
  return { zone, anchor: subscription?.anchor ?? parseInstant(NO_ANCHOR, zone) };
}
