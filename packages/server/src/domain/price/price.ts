/**
 * What is paid for: prices as a plan holds them. Data only; amounts are decimal texts, read exactly by whoever computes.
 * Made from text by define-price.ts, rated by ../../billing/rate/.
 */
import type { Rounding } from '../quantity.ts';
import type { Instant } from '../window.ts';

/** An exact decimal, at most 18 decimals: `0.0000001`. In units of the price's currency where it is money. */
export type DecimalText = string;

/** Tiers in order; `upTo` is included, null in the last only. */
export interface Tier {
  upTo: DecimalText | null;
  /** Price of one unit. */
  unit: DecimalText;
  /** Due once the tier is entered. */
  flat: DecimalText;
}

/** As Tier, of money rather than units: percent of what falls into the tier. */
export interface PercentTier {
  upTo: DecimalText | null;
  percent: DecimalText;
  flat: DecimalText;
}

/** Units in whole blocks, a begun one counts; at most `most` blocks at this price, null in the last only. */
export interface Block {
  size: DecimalText;
  most: number | null;
  price: DecimalText;
}

/** What one figure of usage costs. */
export type SimpleModel =
  | { model: 'per_unit'; unit: DecimalText }
  /** Units in a tier pay its price. */
  | { model: 'graduated'; tiers: readonly Tier[] }
  /** The tier that the whole quantity reaches prices all of it. */
  | { model: 'volume'; tiers: readonly Tier[] }
  /** Whole packages, a begun one counts; `free` units are none of them. */
  | { model: 'package'; size: DecimalText; price: DecimalText; free: DecimalText }
  /** `all`: each block at the price of its own tier. `top`: all at that of the tier reached. */
  | { model: 'blocks'; policy: 'all' | 'top'; blocks: readonly Block[] }
  /** Of a meter of money: percent of it, and a fixed amount for each event that pays. The first events use up what is free. */
  | {
      model: 'percentage';
      percent: DecimalText;
      fixed: DecimalText;
      freeAmount: DecimalText | null;
      freeEvents: number | null;
      least: DecimalText | null;
      most: DecimalText | null;
    }
  | { model: 'graduated_percentage'; tiers: readonly PercentTier[] }
  /** The meter says what it cost; this is times that. */
  | { model: 'dynamic'; multiplier: DecimalText };

/** Of the cells whose `where` holds the one with most names in it prices a value of the dimensions; `otherwise` the rest, null: free. */
export interface MatrixModel {
  model: 'matrix';
  dimensions: readonly string[];
  cells: readonly { where: Readonly<Record<string, string>>; price: SimpleModel }[];
  otherwise: SimpleModel | null;
}

export type UsageModel = SimpleModel | MatrixModel;

interface PriceBase {
  /** Unique in its plan. */
  key: string;
  /** Printed on the invoice. */
  name: string;
  /** Tax category; '' for the entity's standard one. */
  tax: string;
  /** In force for the part of a period in [from, to) only; null: open. */
  from: Instant | null;
  to: Instant | null;
}

/** An amount that does not follow usage. */
export interface FeePrice extends PriceBase {
  kind: 'fee';
  amount: DecimalText;
  /** `once`: when the subscription begins, never prorated. */
  per: 'period' | 'once';
  /** Billed before or after the period it is for. */
  term: 'advance' | 'arrears';
  /** A part of a period pays its part; else any part pays all. */
  prorate: boolean;
}

export interface UsagePrice extends PriceBase {
  kind: 'usage';
  /** Key of a meter, or of several with ` + ` between them. */
  meter: string;
  /** Only usage with these values of dimensions, `trafficType` and `resource` among them; a name left away: all. */
  where: Readonly<Record<string, readonly string[]>>;
  /**
   * The quantity that is priced = the meter's, divided by this: GiB from bytes; `month`: hours of a level by the hours of
   * the period. `size`: divided by this too, which makes GB months of byte hours; left away: 1.
   */
  per: { divideBy: DecimalText | 'month'; size?: DecimalText; round: Rounding | 'none'; unit: string } | null;
  /** Free of charge, in priced units, from the beginning of the period: of an entitlement of the plan, or stated. */
  included: { entitlement: string } | { amount: DecimalText } | null;
  model: UsageModel;
  /** Off the amount, before minimum and maximum. */
  discountPercent: DecimalText | null;
  /** Of the whole period: topped up to, capped at. */
  minimum: DecimalText | null;
  maximum: DecimalText | null;
  /** Promised spend, due in any case; what goes beyond it costs `overage` times its price. */
  commitment: { amount: DecimalText; overage: DecimalText } | null;
  /** A CEL condition over `account` (id, name, zone, currency) and `dimensions`; '' for always. Where false: free. */
  when: string;
}

export type Price = FeePrice | UsagePrice;

/** How often, counted from the subscription's anchor in the account's zone. */
export type BillingPeriod = { unit: 'day' | 'week' | 'month' | 'year'; count: number };

/** What makes a plan one that is billed; a plan without it only limits. */
export interface PlanBilling {
  /** ISO 4217. Accounts of another currency cannot be billed by it. */
  currency: string;
  period: BillingPeriod;
  /** calendar: periods begin where the unit does (the first of the month), not at the anchor. */
  anchor: 'subscription' | 'calendar';
  /** Free days at the start of a subscription: fees and usage cost nothing. */
  trialDays: number;
  prices: readonly Price[];
  /** Least for all lines of the plan in a period. */
  minimum: DecimalText | null;
}
