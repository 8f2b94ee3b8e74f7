/**
 * What the customer of the year owes, month by month, computed another way: cents and calendar days, one sum of all that
 * is due by now, less what was billed before. It shares no code with the product.
 */

export interface Fact {
  /** Local day from which it holds, `2027-12-17`. */
  day: string;
}
export interface PlanChange extends Fact {
  plan: 'small' | 'big';
}
export interface Used {
  /** Local time, `2027-10-31T02:30`. */
  at: string;
  tokens: number;
}
export interface AddOn {
  from: string;
  to: string;
  quantity: number;
}

export interface Story {
  start: string;
  /** First day that costs something. */
  paysFrom: string;
  plans: PlanChange[];
  used: Used[];
  addOns: AddOn[];
  /** Months, `2027-12`, in which ten percent are off. */
  discounted: readonly string[];
}

const FEES = { small: 3100n, big: 9300n } as const;
const ADD_ON = 1240n;

const rounded = (n: bigint, d: bigint): bigint => (2n * n + d) / (2n * d);
const daysOf = (month: string): number => {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return new Date(Date.UTC(year, number, 0)).getUTCDate();
};
export const nextMonth = (month: string): string => {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`;
};

/** Which plan on which day of the month, 0: none, or one that costs nothing yet. */
function planOn({ plans, paysFrom }: Story, day: string): 'small' | 'big' | null {
  if (day < paysFrom) return null;
  return plans.filter((change) => change.day <= day).at(-1)?.plan ?? null;
}

const dayName = (month: string, day: number): string => `${month}-${String(day).padStart(2, '0')}`;

/** Days in a row with the same plan: [first, last], from 1. */
function runsOf(story: Story, month: string): { plan: 'small' | 'big'; first: number; last: number }[] {
  const runs: { plan: 'small' | 'big'; first: number; last: number }[] = [];
  for (let day = 1; day <= daysOf(month); day++) {
    const plan = planOn(story, dayName(month, day));
    const run = runs.at(-1);
    if (plan === null) continue;
    if (run?.plan === plan && run.last === day - 1) run.last = day;
    else runs.push({ plan, first: day, last: day });
  }
  return runs;
}

/** `amount` for days [first, last] of the month: what is due up to the last, less what is before the first. */
function part(amount: bigint, month: string, first: number, last: number): bigint {
  const days = BigInt(daysOf(month));
  return rounded(amount * BigInt(last), days) - rounded(amount * BigInt(first - 1), days);
}

/** In advance: the plan's fee. */
const aheadOf = (story: Story, month: string): bigint[] =>
  runsOf(story, month).map(({ plan, first, last }) => part(FEES[plan], month, first, last));

/** Price of so many tokens since the beginning of the month, in tenths of a cent. */
function tokensCost(plan: 'small' | 'big', tokens: number): bigint {
  if (plan === 'small') return BigInt(Math.max(0, tokens - 100)) * 100n;
  const paid = Math.max(0, tokens - 200);
  return BigInt(Math.min(paid, 500)) * 80n + BigInt(Math.max(0, paid - 500)) * 45n;
}

/** Afterwards: tokens of each part of the month, tiers going on, and add-ons. */
function afterOf(story: Story, month: string): bigint[] {
  let before = 0;
  const lines = runsOf(story, month).map(({ plan, first, last }) => {
    const own = story.used.filter(({ at }) => {
      const day = at.slice(0, 10);
      return day >= dayName(month, first) && day <= dayName(month, last);
    });
    const through = before + own.reduce((sum, { tokens }) => sum + tokens, 0);
    const cents = (tokens: number): bigint => rounded(tokensCost(plan, tokens), 10n);
    const line = cents(through) - cents(before);
    before = through;
    return line;
  });
  for (const { from, to, quantity } of story.addOns) {
    const days = Array.from({ length: daysOf(month) }, (_, i) => i + 1).filter((day) => {
      const name = dayName(month, day);
      return name >= from && name < to;
    });
    const [first, last] = [days[0], days.at(-1)];
    if (first !== undefined && last !== undefined) lines.push(part(ADD_ON * BigInt(quantity), month, first, last));
  }
  return lines;
}

const sum = (lines: readonly bigint[]): bigint => lines.reduce((all, line) => all + line, 0n);
const tenth = (cents: bigint): bigint => rounded(cents, 10n);

/** All that is due when `month` is over: its own and all before it, and what the next one costs in advance. */
export function dueThrough(story: Story, month: string | null): bigint {
  const off = (of: string, cents: bigint): bigint => (story.discounted.includes(of) ? cents - tenth(cents) : cents);
  let due = 0n;
  let at = story.start.slice(0, 7);
  for (; month !== null && at <= month; at = nextMonth(at)) {
    due += off(at, sum(aheadOf(story, at))) + off(at, sum(afterOf(story, at)));
  }
  return due + off(at, sum(aheadOf(story, at)));
}

/** Half up, also of what is given back. */
export const taxOf = (net: bigint, percent: bigint): bigint =>
  net < 0n ? -rounded(-net * percent, 100n) : rounded(net * percent, 100n);
