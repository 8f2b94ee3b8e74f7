/** From a rule to the numbers it is counted by. */
import { bucket } from './bucket.ts';
import type { Algorithm, Terms } from './cell.ts';
import { checkRule } from './check-rule.ts';
import { fixed } from './fixed.ts';
import { leased } from './leased.ts';
import type { LimitRule, RateAlgorithm } from './limit.ts';
import { LimitError } from './limit-error.ts';
import { log } from './log.ts';
import { quota } from './quota.ts';
import { sliding } from './sliding.ts';

const rates: Readonly<Record<RateAlgorithm, Algorithm>> = { fixed, sliding, log, bucket };

/** Throws LimitError `limit.rule` with all that checkRule has to say. `isLeased`: its units come from a store. */
export function termsOf(rule: LimitRule, isLeased = false): Terms {
  const problems = checkRule(rule);
  if (problems.length > 0) {
    throw new LimitError('limit.rule', problems.map(({ field, message }) => `${field}: ${message}`).join('; '));
  }
  const { amount } = rule;
  if (rule.kind === 'quota') return { algorithm: quota, capacity: amount, amount, windowMs: 0, period: rule.period };
  if (rule.kind === 'concurrency') {
    return { algorithm: log, capacity: amount, amount, windowMs: rule.holdMs, period: null };
  }
  const capacity = rule.algorithm === 'bucket' ? rule.burst : amount;
  const algorithm = isLeased && rule.algorithm === 'fixed' ? leased : rates[rule.algorithm];
  return { algorithm, capacity, amount, windowMs: rule.windowMs, period: null };
}
