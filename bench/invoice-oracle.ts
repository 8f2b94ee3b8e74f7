/**
 * What an account owes for October, computed another way: fractions, row by row, from the scenario alone. It shares no
 * code with the product, and knows nothing of its book, its charges or its documents.
 */
import {
  CUT,
  type Customer,
  type FeeRow,
  type Land,
  type PlanRow,
  twentyOn,
  type UsageRow,
  usedIn,
  type Way,
} from './invoice-scenario.ts';

/** Amounts in minor units, by `plan|price|now or next month|group`. */
export interface Owed {
  lines: Map<string, bigint>;
  /** Of the standard rate, and of the reduced one. */
  taxes: readonly [bigint, bigint];
  net: bigint;
  total: bigint;
}

type Fraction = readonly [bigint, bigint];

function decimal(text: string): Fraction {
  const dot = text.indexOf('.');
  if (dot < 0) return [BigInt(text), 1n];
  const part = text.slice(dot + 1);
  return [BigInt(text.slice(0, dot) + part), 10n ** BigInt(part.length)];
}
const plus = (a: Fraction, b: Fraction): Fraction => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]];
const minus = (a: Fraction, b: Fraction): Fraction => [a[0] * b[1] - b[0] * a[1], a[1] * b[1]];
const product = (a: Fraction, b: Fraction): Fraction => [a[0] * b[0], a[1] * b[1]];
const quotient = (a: Fraction, b: Fraction): Fraction => [a[0] * b[1], a[1] * b[0]];
const isAbove = (a: Fraction, b: Fraction): boolean => a[0] * b[1] > b[0] * a[1];
const NOTHING: Fraction = [0n, 1n];

/** Half up; nothing here is below zero. */
function cents([n, d]: Fraction, decimals: number): bigint {
  const scaled = n * 10n ** BigInt(decimals);
  if (scaled < 0n) throw new Error(`the oracle rounds nothing below zero: ${n}/${d}`);
  return (2n * scaled + d) / (2n * d);
}
const up = ([n, d]: Fraction): Fraction => [(n + d - 1n) / d, 1n];

/** What a quantity costs, by one way of pricing. */
function priced(model: Way, quantity: Fraction): Fraction {
  if (model.way === 'each') return product(quantity, decimal(model.unit));
  if (model.way === 'package') {
    const paid = minus(quantity, decimal(model.free));
    return paid[0] <= 0n ? NOTHING : product(up(quotient(paid, decimal(model.size))), decimal(model.price));
  }
  let sum = NOTHING;
  let below = NOTHING;
  for (const [at, [upTo, unit, flat]] of model.tiers.entries()) {
    const end = upTo === null ? null : decimal(upTo);
    const isReached = at === 0 || isAbove(quantity, below);
    const isLast = end === null || !isAbove(quantity, end);
    if (model.way === 'volume') {
      if (isLast) return plus(product(quantity, decimal(unit)), decimal(flat));
    } else if (isReached) {
      const here = minus(isLast ? quantity : (end as Fraction), below);
      sum = plus(sum, plus(product(here, decimal(unit)), decimal(flat)));
    }
    if (end !== null) below = end;
  }
  return sum;
}

/** All that was used of the month up to some instant. */
function usageCost(row: UsageRow, used: Fraction): Fraction {
  let quantity = row.divide === null ? used : quotient(used, decimal(row.divide));
  if (row.up) quantity = up(quantity);
  if (row.included !== null) {
    const free = decimal(row.included);
    quantity = isAbove(quantity, free) ? minus(quantity, free) : NOTHING;
  }
  return priced(row.model, quantity);
}

interface Row {
  plan: string;
  price: string;
  ahead: boolean;
  reduced: boolean;
  amount: bigint;
}

const DAYS = 31n;

/** A fee of the first `through` days of October, less that of the first `before`. */
function feeRow(plan: PlanRow, fee: FeeRow, before: number, through: number, decimals: number): Row {
  const upTo = (days: number): bigint => cents(product(decimal(fee.amount), [BigInt(days), DAYS]), decimals);
  return { plan: plan.key, price: fee.key, ahead: fee.ahead, reduced: false, amount: upTo(through) - upTo(before) };
}

/** October: fees first, then usage meter by meter, the first plan before the second. */
function octoberRows({ no, land, upgrade }: Customer): Row[] {
  const [cloud, pro] = land.plans;
  const spans: [PlanRow, number, number][] =
    upgrade === null
      ? [[cloud, 0, 31]]
      : [
          [cloud, 0, upgrade - 1],
          [pro, upgrade - 1, 31],
        ];
  const rows = spans.flatMap(([plan, a, b]) => plan.fees.map((fee) => feeRow(plan, fee, a, b, land.decimals)));
  for (const [i, { meter }] of cloud.usage.entries()) {
    const [early, late, over] = usedIn(no, meter, upgrade === null ? 4 : CUT);
    for (const [at, [plan]] of spans.entries()) {
      const price = plan.usage[i] as UsageRow;
      const through = cents(usageCost(price, [at === 0 ? early : early + late, over]), land.decimals);
      const before = at === 0 ? 0n : cents(usageCost(price, [early, over]), land.decimals);
      rows.push({ plan: plan.key, price: price.key, ahead: false, reduced: price.reduced, amount: through - before });
    }
  }
  return rows;
}

/** Shares by largest remainder, of equal ones the first. */
function shares(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n);
  const out = weights.map((w) => (total * w) / sum);
  let left = total - out.reduce((a, b) => a + b, 0n);
  const byRest = weights.map((w, i) => ({ i, rest: (total * w) % sum }));
  byRest.sort((a, b) => (b.rest === a.rest ? a.i - b.i : b.rest > a.rest ? 1 : -1));
  for (const { i } of byRest) {
    if (left-- <= 0n) break;
    out[i] = (out[i] as bigint) + 1n;
  }
  return out;
}

/** The coupon's rows of one month: first off what is billed ahead, then off the rest. */
function discountRows(rows: readonly Row[], { coupon, land }: Customer): Row[] {
  if (coupon === null) return [];
  let left = cents(decimal(land.twenty), land.decimals);
  const named = twentyOn(land);
  return [true, false].flatMap((ahead) => {
    const on = rows.filter(
      (row) =>
        row.ahead === ahead && row.amount > 0n && (coupon === 'ten' || named.includes(`${row.plan}/${row.price}`)),
    );
    const sum = on.reduce((all, { amount }) => all + amount, 0n);
    if (sum === 0n) return [];
    const off = coupon === 'ten' ? cents([sum, 10n], 0) : left < sum ? left : sum;
    left -= off;
    const parts = shares(
      off,
      on.map(({ amount }) => amount),
    );
    return on.map((row, i) => ({ ...row, amount: -(parts[i] as bigint) })).filter(({ amount }) => amount !== 0n);
  });
}

const nameOf = (row: Row, month: string, group: string): string => `${row.plan}|${row.price}|${month}|${group}`;

/** The invoice of the end of October, when that of its beginning billed the first plan's base fee for all of it. */
export function owed(customer: Customer): Owed {
  const { land, upgrade, coupon } = customer;
  const discount = `discount ${coupon}`;
  const due = new Map<string, { amount: bigint; reduced: boolean; isNew: boolean }>();
  const add = (row: Row, month: string, group: string): void => {
    due.set(nameOf(row, month, group), { amount: row.amount, reduced: row.reduced, isNew: true });
  };
  const aheadOf = (plan: PlanRow): Row[] =>
    plan.fees.filter(({ ahead }) => ahead).map((fee) => feeRow(plan, fee, 0, 31, land.decimals));
  const october = octoberRows(customer);
  for (const row of october) add(row, 'now', '');
  for (const row of discountRows(october, customer)) add(row, 'now', discount);
  const next = aheadOf(upgrade === null ? land.plans[0] : land.plans[1]);
  for (const row of next) add(row, 'next', '');
  for (const row of discountRows(next, customer)) add(row, 'next', discount);
  const before = aheadOf(land.plans[0]);
  const takeOff = (row: Row, group: string): void => {
    const name = nameOf(row, 'now', group);
    const now = due.get(name);
    due.set(name, { amount: (now?.amount ?? 0n) - row.amount, reduced: row.reduced, isNew: false });
  };
  for (const row of before) takeOff(row, '');
  for (const row of discountRows(before, customer)) takeOff(row, discount);
  return summed(due, land);
}

function summed(due: Map<string, { amount: bigint; reduced: boolean; isNew: boolean }>, land: Land): Owed {
  const lines = new Map<string, bigint>();
  const sums: [bigint, bigint] = [0n, 0n];
  for (const [name, { amount, reduced, isNew }] of due) {
    if (!isNew && amount === 0n) continue;
    lines.set(name, amount);
    sums[reduced ? 1 : 0] += amount;
  }
  const taxOf = (sum: bigint, percent: string): bigint => {
    const rate = decimal(percent);
    return cents(quotient(product([sum, 1n], rate), land.inclusive ? plus([100n, 1n], rate) : [100n, 1n]), 0);
  };
  const taxes = [taxOf(sums[0], land.standard), taxOf(sums[1], land.reduced)] as const;
  const [all, tax] = [sums[0] + sums[1], taxes[0] + taxes[1]];
  return { lines, taxes, net: land.inclusive ? all - tax : all, total: land.inclusive ? all : all + tax };
}
