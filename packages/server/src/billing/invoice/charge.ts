/** One thing to charge for: a price of a plan, for the part of a period in which it is held unchanged. */
import type { Receipt } from '../../domain/fact.ts';
import { toMinor } from '../../domain/money/money.ts';
import type { Ratio } from '../../domain/money/ratio.ts';
import type { FeePrice, Price, UsagePrice } from '../../domain/price/price.ts';
import type { Interval } from '../../domain/window.ts';
import type { MeteredAsk } from '../../usage/metered.ts';
import type { BilledPeriod, Span } from '../rate/index.ts';
import type { Scope } from './frames.ts';
import type { Holding } from './history.ts';
import { InvoiceError } from './invoice-error.ts';
import { lineKey } from './key.ts';
import type { Piece } from './pieces.ts';
import type { Billed } from './settings.ts';

/** Made by a literal of all fields: spreading what all charges share took three times as long. */
interface Charge<P extends Price> extends Interval {
  /** See key.ts. */
  key: string;
  account: string;
  plan: string;
  planVersion: number;
  /** Of the plan's version. */
  receipt: Receipt;
  scope: Scope;
  holding: Holding;
  price: P;
}

export interface UsageCharge extends Charge<UsagePrice> {
  ask: MeteredAsk;
  /** Free, in priced units; `unlimited`: all of it; null: nothing. */
  included: Ratio | 'unlimited' | null;
  /** Charges of one chain are of the same usage: tiers go on from one to the next. */
  chain: string;
  /** Hours of the whole period. */
  hours: Ratio;
  /** How much of the whole period it covers. */
  share: Ratio;
}

export interface FeeCharge extends Charge<FeePrice> {
  quantity: bigint;
  /** What the fee's amount is for, and the part of it. */
  period: BilledPeriod;
  part: Span;
  /** Why it is free. */
  waived: 'trial' | 'leading' | null;
}

/** `kind` tells apart what one price is charged for: `once 0`. An add-on's are not those of the same plan subscribed to. */
export function keyOf(scope: Scope, { holding, price }: Piece, kind = ''): string {
  const { account, plan, addOn } = holding;
  const group = addOn === null ? kind : `addon ${kind}`.trimEnd();
  return lineKey({ account, plan: plan.key, price: price.key, period: scope.period.from, group });
}

type Place = { account: string; plan: string; price: string };

/** Where a charge stands, for errors. */
export const placeOf = ({ account, plan, price }: UsageCharge | FeeCharge): Place => ({
  account,
  plan,
  price: price.key,
});

/** The one rounding of an amount. Throws InvoiceError `invoice.rate`. */
export function minorOf(exact: Ratio, charge: UsageCharge | FeeCharge, { currency, conventions }: Billed): bigint {
  try {
    return toMinor(exact, currency, conventions.rounding);
  } catch (error) {
    throw rateFailure(error, placeOf(charge));
  }
}

/** What rating and exact numbers refuse, by place. Anything else is a defect, and is thrown as it is. */
export function rateFailure(error: unknown, place: Place): unknown {
  if (!(error instanceof RangeError)) return error;
  return new InvoiceError('invoice.rate', place, error.message, error);
}
