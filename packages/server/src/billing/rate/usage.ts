/** What goes into rating a usage price, and what comes out. */
import type { Conventions } from '../../domain/billing/conventions.ts';
import type { Ratio } from '../../domain/money/ratio.ts';
import type { Step } from '../invoice/document.ts';
import type { Owed } from './bounds.ts';

/** Usage of one value of the dimensions that the price looks at (`dimensionsOf`); one portion with group {} for a price that looks at none. */
export interface Portion {
  group: Readonly<Record<string, string>>;
  /** In the meter's unit, before `per`. */
  quantity: Ratio;
  /** How many events made it. */
  count: bigint;
  /** The quantity of each event in order of time; null unless `needsEvents(price)`. */
  events: readonly Ratio[] | null;
}

export interface PeriodUsage {
  /** Of the part of the period that is rated. */
  now: readonly Portion[];
  /**
   * Of the same chain in earlier parts of the same period, summed (events one after the other). Null: this is its first
   * part, or tiers begin anew. An earlier part without any usage is [], not null: what is due once is not due again.
   */
  before: readonly Portion[] | null;
  /**
   * What this very price came to in its earlier parts: tiers go on from other prices, least, most and commitment do not.
   * Left away: all of `before` was of it, and `share` is of the whole period.
   */
  own?: Own;
  /** Free, in priced units, from the beginning of the period; null: nothing is. */
  included: Ratio | 'unlimited' | null;
  /** Earlier parts have used up so much that was free for them: `included` is free from here on. */
  freeBefore?: Ratio;
}

/** Of one price, from the beginning of the period. */
export interface Own {
  /** What its usage costs, after discount and before least, most and commitment. */
  net: Ratio;
  /** By the terms of each part; null: by those of the part that is asked for, for the whole period. */
  owed: Owed | null;
}

export interface RateContext {
  /** What conditions (`when`) ask of the account. */
  account: { id: string; name: string; zone: string; currency: string };
  /** Hours of the whole period, for `per: month`: 743 in a month of 31 days in which clocks go forward. */
  hours: Ratio;
  /** How much of its minimum and commitment the part owes: ONE, or its part by convention. */
  share: Ratio;
  /** The last part of the period in this chain: what is missing to minimum and commitment is due with it. */
  last: boolean;
  zeroUsageFlat: Conventions['zeroUsageFlat'];
}

/**
 * A part's amount is `through` less `before`, both exact and of the whole period up to there. A line is
 * round(through) - round(before): whatever the cuts, lines of one price sum to the rounded whole. Of a price with least,
 * most or commitment both are of its own parts only.
 */
export interface Rated {
  /** through - before. */
  exact: Ratio;
  before: Ratio;
  through: Ratio;
  /** With this part: what `own` of the next one is. */
  own: Own;
  /** The part of `exact` that is no usage but what was missing to a minimum or commitment. */
  topUp: { kind: 'minimum' | 'commitment'; exact: Ratio } | null;
  /** Of this part, in priced units (after `per`, what is included still in it). */
  quantity: Ratio;
  /** Their amounts sum to `exact` less the top-up, which is for a row of its own. */
  steps: readonly Step[];
}
