/** Vectors of credits: grants, rollover, coupons, caps; and tariffs by attributes. */
import { exactText, ofDecimal, type Ratio, RatioError } from '../../../domain/money/ratio.ts';
import { formatQuantity, parseQuantity } from '../../../domain/quantity.ts';
import { type BurnGrant, burnDown } from '../../credit/burn.ts';
import { rollover } from '../../credit/rollover.ts';
import { creditCap, spreadCoupon } from '../deductions.ts';
import { type TariffRule, tariffPrice } from '../tariffs.ts';
import type { Fields, Json } from './input.ts';
import type { Figures } from './usage.ts';

/** Times of grants are hours after an instant; which one does not matter. */
const START = 0;

export const creditBurnDown = (input: Fields): Figures => {
  const [grants, starting] = [input.object('grants'), input.object('starting_balances')];
  const burnt = burnDown(
    grants.names().map((id) => grantOf(id, grants.object(id))),
    input.objects('usage').map((use) => ({ at: use.hoursAfter(START, 'at_h'), quantity: quantityOf(use, 'quantity') })),
    {
      from: input.hoursAfter(START, 'from_h'),
      until: input.hoursAfter(START, 'until_h'),
      starting: new Map(starting.names().map((id) => [id, quantityOf(starting, id)])),
    },
  );
  const balances: Record<string, Json> = {};
  for (const [id, balance] of burnt.balances) balances[id] = formatQuantity(balance);
  return { balances, overage: formatQuantity(burnt.overage) };
};

const quantityOf = (fields: Fields, name: string): bigint => parseQuantity(fields.decimal(name));

const grantOf = (id: string, grant: Fields): BurnGrant => ({
  id,
  amount: quantityOf(grant, 'amount'),
  priority: grant.count('priority'),
  effectiveAt: grant.hoursAfter(START, 'effective_at_h'),
  expiresAt: grant.has('expires_at_h') ? grant.hoursAfter(START, 'expires_at_h') : null,
  endedAt: grant.has('ended_at_h') ? grant.hoursAfter(START, 'ended_at_h') : null,
  recurs: grant.has('recurs_every_h')
    ? { every: grant.hoursAfter(0, 'recurs_every_h'), anchor: grant.hoursAfter(START, 'recurrence_anchor_h') }
    : null,
});

export const creditRollover = (input: Fields): Figures => {
  const used = input.list('usage_before_reset').map((_, at) => ({
    at: 0,
    quantity: parseQuantity(exactText(input.decimals('usage_before_reset')[at] as Ratio)),
  }));
  const amount = quantityOf(input, 'grant_amount');
  const grant: BurnGrant = {
    id: '1',
    amount,
    priority: 0,
    effectiveAt: 0,
    expiresAt: null,
    endedAt: null,
    recurs: null,
  };
  const burnt = burnDown([grant], used, { from: 0, until: 1, starting: new Map([['1', amount]]) });
  const rolled = rollover(burnt.balances.get('1') ?? 0n, burnt.overage, {
    least: quantityOf(input, 'min_rollover'),
    most: quantityOf(input, 'max_rollover'),
    keepOverage: input.flag('preserve_overage'),
  });
  return { balance_after_reset: formatQuantity(rolled.balance) };
};

export const cap = (input: Fields): Figures => ({
  credit: formatQuantity(
    creditCap(
      quantityOf(input, 'potential_credit'),
      quantityOf(input, 'original_amount_paid'),
      quantityOf(input, 'credits_already_issued'),
    ),
  ),
});

export const coupon = (input: Fields): Figures => {
  const { off, shares } = spreadCoupon(
    input.integers('fees_cents'),
    input.integer('coupon_cents'),
    input.integer('already_used_cents'),
  );
  return { credit_cents: off.toString(), share_per_fee_cents: shares.map(String) };
};

export const tariff = (input: Fields): Figures => {
  const resource = input.object('resource');
  const attributes: Record<string, string> = {};
  for (const name of resource.names()) if (name !== 'quantity') attributes[name] = attributeOf(resource, name);
  const rules = input.objects('rules').map(ruleOf);
  const numberOf = (name: string): Ratio | null => decimalOrNull(attributes[name]);
  return { price: exactText(tariffPrice(rules, { attributes, numberOf, quantity: resource.ratio('quantity') })) };
};

const attributeOf = (resource: Fields, name: string): string => {
  const value = resource.raw(name);
  return typeof value === 'string' ? value : resource.decimal(name);
};

const decimalOrNull = (text: string | undefined): Ratio | null => {
  try {
    return ofDecimal(text ?? '');
  } catch (error) {
    if (error instanceof RatioError) return null;
    throw error;
  }
};

/** Rules that name no group are in one of their own. */
const ruleOf = (rule: Fields): TariffRule => ({
  group: rule.has('group') ? rule.text('group') : '',
  field: rule.has('field') ? rule.text('field') : null,
  value: rule.has('value') ? rule.text('value') : null,
  level: rule.has('level') ? rule.ratio('level') : null,
  type: rule.text('type') === 'rate' ? 'rate' : 'flat',
  cost: rule.ratio('cost'),
});
