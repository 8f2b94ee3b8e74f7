/** Vectors of usage prices: a model, a quantity, what was billed of the period before, bounds. */
import {
  add,
  divide,
  exactText,
  ONE,
  ofDecimal,
  type Ratio,
  ratio,
  roundTo,
  subtract,
  ZERO,
} from '../../../domain/money/ratio.ts';
import type { Block, SimpleModel, Tier, UsagePrice } from '../../../domain/price/price.ts';
import type { Rounding } from '../../../domain/quantity.ts';
import { creditLines } from '../deductions.ts';
import { splitIncluded } from '../included.ts';
import { packagesOf } from '../model/package.ts';
import { rateUsage } from '../rate-usage.ts';
import type { PeriodUsage, Portion, RateContext, Rated } from '../usage.ts';
import { decimalsShown, rounded } from './figures.ts';
import { type Fields, type Json, VectorError } from './input.ts';

/** What an adapter answers: every figure it has, or how to come by it; those that the vector expects are asked for. */
export type Figures = Record<string, Json | ((expected: Json) => Json)>;

const plain: Omit<UsagePrice, 'model'> = {
  kind: 'usage',
  key: 'vector',
  name: 'vector',
  tax: '',
  from: null,
  to: null,
  meter: 'vector',
  where: {},
  per: null,
  included: null,
  discountPercent: null,
  minimum: null,
  maximum: null,
  commitment: null,
  when: '',
};

const portion = (quantity: Ratio, events: readonly Ratio[] | null = null): Portion => ({
  group: {},
  quantity,
  count: BigInt(events?.length ?? 1),
  events,
});

/** Only the last line of a period is topped up. */
const isLast = (input: Fields): boolean =>
  !input.has('line_position') || /^(single_period|last_period_split)$/.test(input.text('line_position'));

const contextOf = (last: boolean): RateContext => ({
  account: { id: '', name: '', zone: 'UTC', currency: '' },
  hours: ONE,
  share: ONE,
  last,
  zeroUsageFlat: 'charge',
});

const usageOf = (now: Portion, before: Ratio | null, included: PeriodUsage['included'] = null): PeriodUsage => ({
  now: [now],
  before: before === null ? null : [portion(before)],
  included,
});

/** Prices usage of a model; what came before it in the period by the names the sources have for it. */
function rated(input: Fields, model: SimpleModel, quantity: Ratio): Figures {
  const bounds = {
    maximum: input.decimalOr('maximum_spend', null),
    minimum: input.decimalOr('minimum_spend', null),
    discountPercent: input.decimalOr('discount_percent', null),
  };
  const earlier = ['quantity_before', 'quantity_already_billed_in_period', 'metered_cost_already_billed'];
  const before = earlier.find((name) => input.has(name));
  const usage = usageOf(portion(quantity), before === undefined ? null : input.ratio(before));
  const gross = rateUsage({ ...plain, model }, usage, contextOf(isLast(input)));
  const due = rateUsage({ ...plain, ...bounds, model }, usage, contextOf(isLast(input)));
  return {
    total: () => exactText(lineOf(input, due)),
    gross: () => exactText(lineOf(input, gross)),
    discounts: () => exactText(subtract(lineOf(input, gross), subtract(lineOf(input, due), topUpOf(due)))),
    minimum_spend_charge: () => exactText(topUpOf(due)),
    effective_unit_amount_rounded: (figure) => rounded(divide(due.exact, quantity), decimalsShown(figure)),
    lines: () => creditedLines(input, due),
  };
}

const topUpOf = ({ topUp }: Rated): Ratio => topUp?.exact ?? ZERO;

/** A line in its currency, where the vector says how many decimals that has: round(through) - round(before). */
function lineOf(input: Fields, { exact, through, before }: Rated): Ratio {
  if (!input.has('currency_decimals')) return exact;
  const decimals = input.count('currency_decimals');
  const minor = roundTo(through, decimals, 'half-up') - roundTo(before, decimals, 'half-up');
  return ratio(minor, 10n ** BigInt(decimals));
}

/** Each amount of the calculation as a line, with the credits that pay for it. */
function creditedLines(input: Fields, due: Rated): Json {
  const amounts = [...due.steps.map(({ amount }) => ofDecimal(amount)), topUpOf(due)];
  const gross = amounts.map(toCents).filter((amount) => amount !== 0n);
  const credits = input.decimals('credits').reduce((sum, credit) => sum + toCents(credit), 0n);
  const used = creditLines(gross, credits);
  return gross.map((amount, at) => ({
    gross: centsText(amount),
    credits: centsText(used[at] ?? 0n),
    due: centsText(amount - (used[at] ?? 0n)),
  }));
}

const toCents = (amount: Ratio): bigint => roundTo(amount, 2, 'half-up');
const centsText = (cents: bigint): string => exactText(ratio(cents, 100n));

const tiersOf = (input: Fields): Tier[] =>
  input.objects('tiers').map((tier) => ({
    upTo: tier.decimalOr('up_to', null),
    unit: tier.decimal('unit'),
    flat: tier.decimal('flat'),
  }));

export const perUnit = (input: Fields): Figures =>
  rated(input, { model: 'per_unit', unit: input.decimal('unit_amount') }, input.ratio('quantity'));

export const graduated = (input: Fields): Figures => {
  const quantity = input.ratio('quantity');
  if (quantity.n < 0n && !input.has('allow_negative')) throw new VectorError('the quantity is negative');
  return rated(input, { model: 'graduated', tiers: tiersOf(input) }, quantity);
};

export const volume = (input: Fields): Figures =>
  rated(input, { model: 'volume', tiers: tiersOf(input) }, input.ratio('quantity'));

export const dynamic = (input: Fields): Figures =>
  rated(input, { model: 'dynamic', multiplier: input.decimal('multiplier') }, input.ratio('metered_cost'));

export const packaged = (input: Fields): Figures => {
  const size = input.decimal('package_size');
  const [price, free] = [input.decimalOr('package_price', '0'), input.decimalOr('free_units', '0')];
  return {
    ...rated(input, { model: 'package', size, price, free }, input.ratio('quantity')),
    packages: () => exactText(packagesOf(input.ratio('quantity'), ofDecimal(size))),
  };
};

export const percentage = (input: Fields): Figures => {
  const model: SimpleModel = {
    model: 'percentage',
    percent: input.decimal('rate_percent'),
    fixed: input.decimalOr('fixed_per_paid_event', '0'),
    freeAmount: input.decimalOr('free_amount', null),
    freeEvents: input.has('free_events') ? input.count('free_events') : null,
    least: input.decimalOr('min_per_event', null),
    most: input.decimalOr('max_per_event', null),
  };
  const events = input.decimals('events');
  const usage = usageOf(portion(events.reduce(add, ZERO), events), null);
  return { total: exactText(rateUsage({ ...plain, model }, usage, contextOf(true)).exact) };
};

export const graduatedPercentage = (input: Fields): Figures => {
  const tiers = input.objects('tiers').map((tier) => ({
    upTo: tier.decimalOr('up_to', null),
    percent: tier.decimal('rate_percent'),
    flat: tier.decimal('flat'),
  }));
  return rated(input, { model: 'graduated_percentage', tiers }, input.ratio('amount'));
};

const policies: Readonly<Record<string, 'all' | 'top'>> = { ALL_TIERS: 'all', TOP_TIER: 'top' };

/** Blocks of one unit, or of several that add up. In the source the last tier holds any number, whatever it says. */
export const blocks = (input: Fields): Figures => {
  const policy = policies[input.text('policy')];
  if (policy === undefined) throw new VectorError(`no policy of blocks: ${input.text('policy')}`);
  const units = input.has('units') ? input.object('units') : null;
  const each = units === null ? [input] : units.names().map((name) => units.object(name));
  const amount = each.map((unit) => blockAmount(unit, policy)).reduce(add, ZERO);
  return { total: exactText(amount), new_charge: exactText(amount) };
};

function blockAmount(unit: Fields, policy: 'all' | 'top'): Ratio {
  const list = unit.objects('blocks');
  const read = list.map(
    (block, at): Block => ({
      size: block.decimal('block_size'),
      most: at === list.length - 1 ? null : block.count('max_blocks'),
      price: block.decimal('price_per_block'),
    }),
  );
  const before = unit.has('already_billed_quantity') ? unit.ratio('already_billed_quantity') : null;
  const now = before === null ? unit.ratio('quantity') : subtract(unit.ratio('total_quantity'), before);
  return rateUsage(
    { ...plain, model: { model: 'blocks', policy, blocks: read } },
    usageOf(portion(now), before),
    contextOf(true),
  ).exact;
}

const roundings: Readonly<Record<string, Rounding | 'none'>> = {
  ceiling: 'ceiling',
  floor: 'floor',
  half_up: 'half-up',
  none: 'none',
};

export const conversion = (input: Fields): Figures => {
  const round = roundings[input.has('rounding') ? input.text('rounding') : 'none'];
  if (round === undefined) throw new VectorError(`no rounding: ${input.text('rounding')}`);
  const price: UsagePrice = {
    ...plain,
    per: { divideBy: input.decimal('divide_by'), round, unit: '' },
    model: { model: 'per_unit', unit: input.decimal('unit_amount') },
  };
  const free = input.ratioOr('usage_discount_in_converted_units', ZERO);
  const line = rateUsage(price, usageOf(portion(input.ratio('raw_quantity')), null, free), contextOf(true));
  return { total: exactText(line.exact), billed_quantity: exactText(splitIncluded(line.quantity, free).paid) };
};

export const usageDiscount = (input: Fields): Figures => {
  const [before, free] = [input.ratioOr('quantity_before', ZERO), input.ratio('free_quantity')];
  const paidBefore = splitIncluded(before, free).paid;
  const paid = splitIncluded(add(before, input.ratio('quantity')), free).paid;
  return { billable_quantity: exactText(subtract(paid, paidBefore)), billable_quantity_before: exactText(paidBefore) };
};

export { tiersOf };
