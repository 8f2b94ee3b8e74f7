/** From a call to the counters it bears on: which limits hold for who asks, and whose counter each of them means. */

import type { LimitBook } from '../domain/limit/catalogue.ts';
import { type HeldLimit, type InForce, inForce } from '../domain/limit/in-force.ts';
import type { Instant } from '../domain/window.ts';
import type { Gate } from './engine/types.ts';

/** What a decision is asked about. */
export interface Ask {
  account: string;
  /** What the tenant wants to do; '' when limits do not differ by action. */
  action: string;
  /** Meter that the cost is of; `requests` for calls. Decided limits on other meters are not asked. */
  meter: string;
  /** What it is done to; '' for none: limits by resource do not bear on it then. */
  resource: string;
  /** Limits by a dimension that is not given do not bear on the call. */
  dimensions: Readonly<Record<string, string>>;
}

export interface Standing extends Omit<InForce, 'limits'> {
  gates: readonly Gate[];
}

/** Everything that bears on the ask at t. Pure. */
export function standingOf(book: LimitBook, ask: Ask, t: Instant): Standing {
  const { limits, ...rest } = inForce(book, ask.account, ask.action, t);
  const gates: Gate[] = [];
  for (const held of limits) {
    const subject = subjectOf(held, ask);
    if (subject === null || !bearsOn(held, ask)) continue;
    const { zone, anchor } = held.calendar;
    // A dimension's values come from whoever asks: each account has a share of them of its own, also in the installation's limits.
    const account = held.subject.kind === 'dimension' ? ask.account : held.account;
    gates.push({ limit: held.limit, account, subject, calendar: { zone, anchor } });
  }
  return { ...rest, gates };
}

/** A metered limit is read whatever is asked for; a decided one counts the meter it is on. */
const bearsOn = ({ limit }: HeldLimit, ask: Ask): boolean => limit.feed === 'metered' || limit.meter === ask.meter;

/** Null: the call does not name what the limit counts by. */
function subjectOf({ subject, account }: HeldLimit, ask: Ask): string | null {
  switch (subject.kind) {
    case 'account':
      return subject.account;
    case 'installation':
      return '';
    case 'resource':
      return ask.resource === '' ? null : ask.resource;
    case 'dimension': {
      const value = ask.dimensions[subject.dimension];
      // A plan's limit may have the key of one of the installation's: their counters are told apart by this.
      return value === undefined ? null : account === '' ? `${ask.account}\n${value}` : value;
    }
  }
}

/** Two asks with one text are one question. */
export const askText = ({ account, action, meter, resource, dimensions }: Ask): string =>
  JSON.stringify([account, action, meter, resource, Object.entries(dimensions).sort()]);
