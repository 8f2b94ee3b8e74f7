/** Vectors of parts of periods: proration, plan changes, cycles, levels over time. */

import type { DayCount } from '../../../domain/billing/conventions.ts';
import { levelPieces } from '../../../domain/gauge.ts';
import {
  add,
  exactText,
  fractionText,
  multiply,
  ofDecimal,
  type Ratio,
  ratio,
  roundTo,
  subtract,
  ZERO,
} from '../../../domain/money/ratio.ts';
import { parseQuantity, SCALE } from '../../../domain/quantity.ts';
import { boundAmount, owedWith, owesNothing, readBounds, topUpOf } from '../bounds.ts';
import { convert } from '../convert.ts';
import { billingCycles } from '../cycles.ts';
import { rateFee } from '../fee.ts';
import { proratedGraduated } from '../prorated-graduated.ts';
import { type BilledPeriod, daysIn, partShare, type Span } from '../proration.ts';
import { rounded, sixteenDigits } from './figures.ts';
import { DAY_MS, type Fields, VectorError } from './input.ts';
import { type Figures, tiersOf } from './usage.ts';

const HOUR_MS = 3_600_000n;

const periodOf = (span: Span): BilledPeriod => ({ ...span, unit: 'month', count: 1, zone: 'UTC' });

/** The part of the period, from what the vector says of start, trial and end; null: it only counts days. */
function partOf(input: Fields): { period: BilledPeriod; part: Span } | null {
  if (!['start', 'active_from', 'trial_days', 'terminated_on'].some((name) => input.has(name))) return null;
  const period = periodOf(input.span('period'));
  const start = ['start', 'active_from'].find((name) => input.has(name));
  const begin = start === undefined ? period.from : input.instant(start);
  const from = input.has('trial_days') ? begin + input.count('trial_days') * DAY_MS : begin;
  if (!input.has('terminated_on')) return { period, part: { from, to: period.to } };
  const last = input.has('last_day_billed') && input.flag('last_day_billed') ? DAY_MS : 0;
  return { period, part: { from, to: input.instant('terminated_on') + last } };
}

function shareOf(input: Fields): Ratio {
  const dated = partOf(input);
  if (dated === null) {
    const days = input.has('billed_days') ? 'billed_days' : 'active_days';
    return ratio(input.integer(days), input.integer('period_days'));
  }
  const share = partShare('days', dated.period, dated.part);
  return subtract(share.through, share.before);
}

const months: Readonly<Record<string, number>> = { MONTHLY: 1, QUARTERLY: 3, BIANNUAL: 6, ANNUAL: 12 };

export const proration = (input: Fields): Figures => {
  if (input.has('billing_period')) return cyclesOf(input);
  const dated = partOf(input);
  const amount = input.decimal('amount_cents');
  const exact =
    dated === null
      ? multiply(ofDecimal(amount), shareOf(input))
      : rateFee({ key: 'vector', amount, per: 'period', prorate: true }, 1n, dated.period, dated.part, 'days').exact;
  return { precise_amount_cents: sixteenDigits(exact), amount_cents: rounded(exact, 0) };
};

function cyclesOf(input: Fields): Figures {
  const cycle = months[input.text('billing_period')];
  if (cycle === undefined) throw new VectorError(`no billing period: ${input.text('billing_period')}`);
  if (input.text('billing_mode') !== 'IN_ADVANCE')
    throw new VectorError(`cycles are counted in advance, not ${input.text('billing_mode')}`);
  const cycles = billingCycles({
    zone: 'UTC',
    start: input.instant('start'),
    end: input.has('end') ? input.instant('end') : null,
    target: input.instant('target'),
    months: cycle,
    day: input.count('bill_cycle_day'),
  });
  return { billing_cycles_fraction: fractionText(cycles), billing_cycles_rounded_9: rounded(cycles, 9) };
}

export const calendarDays = (input: Fields): Figures => ({
  days: daysIn('UTC', { from: input.instant('from'), to: input.instant('to') }),
});

/** Least spend of a part of a period, and what is missing to it. */
export const minimum = (input: Fields): Figures => {
  const share = shareOf(input);
  if (!input.has('commitment_cents') && !input.has('minimum_cents')) return { coefficient: sixteenDigits(share) };
  const owed = input.decimal(input.has('commitment_cents') ? 'commitment_cents' : 'minimum_cents');
  const bounds = readBounds({ discountPercent: null, maximum: null, minimum: owed, commitment: null });
  const due = owedWith(bounds, share, owesNothing);
  const spent = boundAmount(spentOf(input), bounds, due).amount;
  const missing = rounded(topUpOf(spent, due)?.exact ?? ZERO, 0);
  return { commitment_fee_cents: missing, true_up_cents: missing };
};

function spentOf(input: Fields): Ratio {
  if (input.has('usage_cents')) return input.ratio('usage_cents');
  const fees = input.object('fees_cents');
  return fees
    .names()
    .map((name) => fees.ratio(name))
    .reduce(add, ZERO);
}

/** What an amount in cents of a period is for its rest after a change, rounded to whole cents as a line is. */
function restOf(amount: string, period: BilledPeriod, change: number, dayCount: DayCount, decimals: number): bigint {
  const fee = { key: 'vector', amount, per: 'period' as const, prorate: true };
  return roundTo(rateFee(fee, 1n, period, { from: change, to: period.to }, dayCount).exact, decimals, 'half-up');
}

export const planChange = (input: Fields): Figures =>
  input.has('period_first_day') ? changeOfInclusiveDays(input) : changeOfDays(input);

function changeOfInclusiveDays(input: Fields): Figures {
  const to = input.instant('period_last_day_inclusive') + DAY_MS;
  const period = periodOf({ from: input.instant('period_first_day'), to });
  const rest = (name: string): bigint =>
    restOf(input.decimal(name), period, input.instant('change_date'), 'inclusive', 2);
  const [credit, charge] = [-rest('old_amount'), rest('new_amount')];
  const text = (cents: bigint): string => exactText(ratio(cents, 100n));
  return { credit: text(credit), charge: text(charge), net: text(credit + charge) };
}

function changeOfDays(input: Fields): Figures {
  const period = periodOf({ from: input.instant('period_start'), to: input.instant('period_end_exclusive') });
  const rest = (name: string): bigint[] =>
    (input.has(name) ? input.list(name) : []).map((_, at) =>
      restOf(exactText(input.decimals(name)[at] ?? ZERO), period, input.instant('change_date'), 'days', 0),
    );
  const lines = [...rest('old_amounts_cents').map((cents) => -cents), ...rest('new_amounts_cents')];
  const once = input.has('added_one_time') ? onceOf(input.object('added_one_time'), period) : 0n;
  return {
    credits_and_charges_cents: lines.filter((cents) => cents !== 0n).map(String),
    net_cents: (lines.reduce((a, b) => a + b, 0n) + once).toString(),
  };
}

const onceOf = (fee: Fields, period: BilledPeriod): bigint => {
  const price = { key: 'vector', amount: fee.decimal('unit_cents'), per: 'once' as const, prorate: true };
  return roundTo(rateFee(price, fee.integer('quantity'), period, period, 'days').exact, 0, 'half-up');
};

/** A flat fee is billed once for a period: in advance with its first line, in arrears with its last. */
export const flat = (input: Fields): Figures => {
  const period = periodOf({ from: 0, to: DAY_MS });
  const price = { key: 'vector', amount: input.decimal('amount'), per: 'period' as const, prorate: false };
  const position = input.text('line_position');
  const due = input.text('payment_term') === 'in_advance' ? 'first_period_split' : 'last_period_split';
  const times = position === 'single_period' || position === due ? 1n : 0n;
  return { total: exactText(rateFee(price, times, period, period, 'days').exact) };
};

export const proratedTiers = (input: Fields): Figures => {
  if (input.has('events')) {
    const changes = input.objects('events').map((event) => ({
      quantity: event.ratio('quantity'),
      prorated: event.ratio('prorated_quantity'),
    }));
    const rounding = input.object('rounding');
    const mode = rounding.text('mode') === 'ceil' ? 'ceiling' : 'half-up';
    return { total: rounded(proratedGraduated(tiersOf(input), changes), rounding.count('decimals'), mode) };
  }
  const period = periodOf(input.span('period'));
  const carried = input.ratioOr('carried_quantity', ZERO);
  const dated = input.objects('changes').map((change) => {
    const share = partShare('days', period, { from: change.instant('date'), to: period.to });
    const quantity = change.ratio('quantity');
    return { quantity, prorated: multiply(quantity, subtract(share.through, share.before)) };
  });
  return {
    total_rounded_2: rounded(
      proratedGraduated(tiersOf(input), [{ quantity: carried, prorated: carried }, ...dated]),
      2,
    ),
  };
};

/** The integral of a level, as it is metered, by the length of the period, as a price per month divides it. */
export const timeWeighted = (input: Fields): Figures => {
  const { from, to } = input.span('period');
  let value = parseQuantity(input.decimal('initial_value'));
  const start = { t: from, value };
  const levels = input.objects('changes').map((change) => {
    value += parseQuantity(change.decimal('delta'));
    return { t: change.instant('at'), value };
  });
  const pieces = levelPieces(levels, start, [from, to], { validFor: 0, completeThrough: to, settledBefore: to });
  const integral = pieces.reduce((sum, piece) => sum + piece.integral, 0n);
  const hours = ratio(BigInt(to - from), HOUR_MS);
  const per = { divideBy: 'month' as const, round: 'none' as const, unit: '' };
  return { time_weighted_average_rounded_5: rounded(convert(per, ratio(integral, HOUR_MS * SCALE), hours), 5) };
};
