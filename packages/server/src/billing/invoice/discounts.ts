/**
 * Coupons off the lines of one account's period. A percentage is rounded once over all lines it is off, an amount is off
 * as far as there is something left; either is shared out over the lines by largest remainder, so that each line's tax is
 * of what is really paid. What is paid in advance comes first and by itself: it was billed before the rest was known.
 */
import type { Coupon, Discount } from '../../domain/billing/billing.ts';
import type { Book } from '../../domain/book.ts';
import { allocate } from '../../domain/money/allocate.ts';
import { decimalsOf } from '../../domain/money/currency.ts';
import { majorText, minorOfText } from '../../domain/money/money.ts';
import { divide, multiply, ofDecimal, ratio, roundTo } from '../../domain/money/ratio.ts';
import { type Due, derived } from './due.ts';
import type { Scope } from './frames.ts';
import type { History } from './history.ts';
import { InvoiceError } from './invoice-error.ts';
import { keyFor } from './key.ts';
import { periodsOf } from './period.ts';
import type { Billed } from './settings.ts';

export interface Granted {
  discount: Discount;
  coupon: Coupon;
}

/**
 * The coupons that bear on a period: those whose span has a part of it, as many periods as each lasts. A payer's
 * percentages also bear on those it pays for; its amounts are off its own lines. Throws InvoiceError `invoice.coupon`.
 */
export function grantedFor(book: Book, payer: string, scope: Scope): Granted[] {
  const { history } = scope;
  const own = inPeriod(book, history, scope);
  if (history.account === payer) return own;
  const ofPayer = inPeriod(book, { ...history, account: payer }, scope).filter(({ coupon }) => 'percent' in coupon.off);
  return [...own, ...ofPayer];
}

function inPeriod(book: Book, history: History, { period }: Scope): Granted[] {
  const byCoupon = new Map<string, Granted>();
  for (const discount of book.billing.discountsOf(history.account)) {
    const { from, to } = discount;
    if (from >= period.to || (to !== null && (to <= period.from || to === from))) continue;
    const coupon = book.billing.coupon(discount.coupon);
    if (coupon === undefined) throw couponError(history.account, discount.coupon, 'is not defined');
    if (lasts(history, discount, coupon, period.from)) byCoupon.set(coupon.key, { discount, coupon });
  }
  return [...byCoupon.values()];
}

const couponError = (account: string, coupon: string, what: string): InvoiceError =>
  new InvoiceError('invoice.coupon', { account }, `the coupon ${JSON.stringify(coupon)} ${what}`);

/** Whether a period that begins at `start` is among the first `coupon.periods` of the account that the discount bears on. */
function lasts({ calendars }: History, { from }: Discount, { periods }: Coupon, start: number): boolean {
  if (periods === null) return true;
  let passed = 0;
  for (const period of periodsOf(calendars, from)) {
    if (period.from >= start) return passed < periods;
    if (period.own) passed++;
    if (passed >= periods) return false;
  }
  return false;
}

/** `dues`: all of one scope. Throws InvoiceError `invoice.coupon`. */
export function discountLines(dues: readonly Due[], granted: readonly Granted[], billed: Billed): Due[] {
  const left = new Map(granted.map((grant) => [grant, amountOf(grant, billed)]));
  const stages = [dues.filter((due) => due.advance), dues.filter((due) => !due.advance)];
  return stages.flatMap((stage) => {
    const rest = new Map(stage.filter((due) => due.amount > 0n).map((due) => [due, due.amount]));
    return granted.flatMap((grant) => takeOff(grant, rest, left, billed));
  });
}

/** In minor units; null for a percentage. */
function amountOf({ coupon, discount }: Granted, { currency }: Billed): bigint | null {
  if ('percent' in coupon.off) return null;
  const { amount, currency: other } = coupon.off;
  if (other !== currency) throw couponError(discount.account, coupon.key, `is in ${other}, the invoice in ${currency}`);
  try {
    return minorOfText(amount, currency);
  } catch (error) {
    throw couponError(discount.account, coupon.key, error instanceof RangeError ? error.message : String(error));
  }
}

/** One coupon off what other coupons have left of the lines. */
function takeOff(grant: Granted, rest: Map<Due, bigint>, left: Map<Granted, bigint | null>, billed: Billed): Due[] {
  const lines = [...rest].filter(([due, amount]) => amount > 0n && isOn(grant.coupon, due));
  const sum = lines.reduce((all, [, amount]) => all + amount, 0n);
  if (sum === 0n) return [];
  const most = left.get(grant) ?? null;
  const asked = most === null ? percentOf(grant.coupon, sum, billed) : most;
  const off = asked < sum ? asked : sum;
  if (most !== null) left.set(grant, most - off);
  const weights = lines.map(([, amount]) => amount);
  return allocate(off, weights).flatMap((share, i) => {
    const [due, amount] = lines[i] as [Due, bigint];
    rest.set(due, amount - share);
    return share === 0n ? [] : [lineOf(grant, due, share, amount, billed)];
  });
}

function percentOf({ off }: Coupon, sum: bigint, { conventions }: Billed): bigint {
  if (!('percent' in off)) return 0n;
  return roundTo(divide(multiply(ratio(sum), ofDecimal(off.percent)), ratio(100n)), 0, conventions.rounding);
}

const isOn = ({ on }: Coupon, { plan, price }: Due): boolean =>
  on.length === 0 || on.includes(plan) || on.includes(`${plan}/${price}`);

function lineOf({ coupon }: Granted, due: Due, share: bigint, of: bigint, { currency }: Billed): Due {
  const decimals = decimalsOf(currency) ?? 0;
  const what = 'percent' in coupon.off ? `${coupon.off.percent} %` : `${coupon.off.amount} ${coupon.off.currency}`;
  const amount = majorText(-share, decimals);
  const text = `${what} off, its part of ${majorText(of, decimals)}`;
  return derived(due, {
    key: keyFor(due.key, `discount ${coupon.key}`),
    kind: 'discount',
    name: `${coupon.name}: ${due.name}`,
    steps: [{ text, quantity: null, unit: null, price: null, amount }],
    exact: amount,
    amount: -share,
  });
}
