/** What systems of billing do differently: each is a setting, with its default first. */
import type { Rounding } from '../quantity.ts';

/** How much of a period a part of it is. */
export const dayCounts = [
  /** Local days: a day belongs to the part in which it begins. Parts add up to the days of the period. */
  'days',
  /** Milliseconds. */
  'exact',
  /** Local days, the first and the last of the part counted whole: parts may share a day. */
  'inclusive',
  /** Days of 1/30 of a month (1/360 of a year), never more than the whole. */
  'thirty',
] as const;
export type DayCount = (typeof dayCounts)[number];

export interface Conventions {
  dayCount: DayCount;
  /** Of a line's amount to the currency's minor unit. */
  rounding: Rounding;
  /** line: each line. net: credits and charges of one change are one amount before they are rounded. */
  roundingPlace: 'line' | 'net';
  /** The flat amount of the first tier, when there was no usage. */
  zeroUsageFlat: 'charge' | 'skip';
  /** At a change of plan tiers and what is included: go on from what the period has used, or begin anew. */
  tiersAtChange: 'continue' | 'restart';
  /** What is included in a part of a period: its part, or all of it. */
  includedInPart: 'full' | 'prorated';
  /** A first part of a period, when periods follow the calendar: its part, all, or nothing. */
  leadingPart: 'prorate' | 'full' | 'free';
  /** Minimum spend and commitment of a part of a period. */
  minimumInPart: 'prorated' | 'full';
  /** Least time after a period's end before its invoice is final: for what comes late. Days. */
  graceDays: number;
  /** Days from the invoice's date to the last day to pay it; overdue from the local midnight after it on. */
  dueDays: number;
}

export const conventionDefaults: Conventions = {
  dayCount: 'days',
  rounding: 'half-up',
  roundingPlace: 'line',
  zeroUsageFlat: 'charge',
  tiersAtChange: 'continue',
  includedInPart: 'full',
  leadingPart: 'prorate',
  minimumInPart: 'prorated',
  graceDays: 3,
  dueDays: 14,
};
