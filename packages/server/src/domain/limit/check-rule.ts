/** What keeps a rule countable: every product of its numbers stays a whole number below 2^53. */
import { AMOUNT_MAX, type LimitRule, quotaPeriods, type RateRule, rateAlgorithms } from './limit.ts';

const DAY = 86_400_000;
/** Longest window, hold, and time for a full bucket to be free again. */
export const WINDOW_MS_MAX = 366 * DAY;
/** A log remembers every admission: 16 bytes each. */
export const LOG_AMOUNT_MAX = 10_000;
export const CONCURRENCY_MAX = 100_000;

export interface RuleProblem {
  /** Of the rule: `amount`, `windowMs`, ... */
  field: string;
  /** What it should be, and what to do instead. */
  message: string;
}

/** Everything that keeps a rule from being counted exactly; empty when nothing does. */
export function checkRule(rule: LimitRule): RuleProblem[] {
  const whole = wholes(rule);
  if (whole.length > 0) return whole;
  return rule.kind === 'rate' ? checkRate(rule) : checkOther(rule);
}

const problem = (field: string, message: string): RuleProblem => ({ field, message });

function wholes(rule: LimitRule): RuleProblem[] {
  const fields: [field: string, value: number, least: number, most: number][] = [
    ['amount', rule.amount, 0, AMOUNT_MAX],
  ];
  if (rule.kind === 'rate') {
    fields.push(['windowMs', rule.windowMs, 1, WINDOW_MS_MAX], ['burst', rule.burst, 0, AMOUNT_MAX]);
  }
  if (rule.kind === 'concurrency') fields.push(['holdMs', rule.holdMs, 1, WINDOW_MS_MAX]);
  return fields
    .filter(([, value, least, most]) => !Number.isSafeInteger(value) || value < least || value > most)
    .map(([field, value, least, most]) => problem(field, `${value} is not a whole number from ${least} to ${most}`));
}

function checkOther(rule: Exclude<LimitRule, RateRule>): RuleProblem[] {
  if (rule.kind === 'quota') {
    return quotaPeriods.includes(rule.period) ? [] : [problem('period', `must be one of ${quotaPeriods.join(', ')}`)];
  }
  if (rule.amount <= CONCURRENCY_MAX) return [];
  return [problem('amount', `at most ${CONCURRENCY_MAX} may be held at once: every hold is remembered`)];
}

function checkRate(rule: RateRule): RuleProblem[] {
  const { amount, windowMs, burst, algorithm } = rule;
  if (!rateAlgorithms.includes(algorithm)) {
    return [problem('algorithm', `must be one of ${rateAlgorithms.join(', ')}`)];
  }
  if (algorithm === 'bucket') return checkBucket(rule);
  if (burst !== amount)
    return [problem('burst', `only a bucket has a burst: leave it away, or choose algorithm bucket`)];
  if (algorithm === 'log' && amount > LOG_AMOUNT_MAX) {
    return [problem('amount', `a log counts up to ${LOG_AMOUNT_MAX}: choose sliding or bucket for more`)];
  }
  if (algorithm === 'sliding' && amount * windowMs > AMOUNT_MAX) {
    return [
      problem('amount', `above ${Math.floor(AMOUNT_MAX / windowMs)} a window this long is not exact: ${COARSER}`),
    ];
  }
  return [];
}

const COARSER = 'count in larger units, take a shorter window, or choose fixed';

function checkBucket({ amount, windowMs, burst }: RateRule): RuleProblem[] {
  if (amount < 1)
    return [problem('amount', 'a bucket that never drains admits its burst once: take fixed with amount 0')];
  if (burst < 1) return [problem('burst', 'at least 1, or nothing is ever admitted')];
  const full = burst * windowMs;
  if (full > AMOUNT_MAX) {
    return [
      problem('burst', `above ${Math.floor(AMOUNT_MAX / windowMs)} with a window this long is not exact: ${COARSER}`),
    ];
  }
  const drainsIn = Math.ceil(full / amount);
  if (drainsIn <= WINDOW_MS_MAX) return [];
  const days = Math.ceil(drainsIn / DAY);
  return [problem('burst', `a full bucket would drain for ${days} days: take a smaller burst, at most 366 days`)];
}
