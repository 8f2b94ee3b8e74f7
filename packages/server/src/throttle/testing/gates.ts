/** Limits and gates as tests need them: what is not said is plain. */
import type { Limit, LimitRule, QuotaPeriod, RateAlgorithm } from '../../domain/limit/limit.ts';
import type { Calendar, Gate } from '../engine/types.ts';

/** Fields of a gate and of its limit. */
export type GateFields = Partial<Limit> & { account?: string; subject?: string; calendar?: Calendar };

export function gate(rule: LimitRule, fields: GateFields = {}): Gate {
  const { account = 'acme', subject = account, calendar = { zone: 'UTC', anchor: 0 }, ...limit } = fields;
  return { limit: limitOf(rule, limit), account, subject, calendar };
}

const limitOf = (rule: LimitRule, fields: Partial<Limit>): Limit => ({
  key: rule.kind === 'rate' ? rule.algorithm : rule.kind,
  meter: 'requests',
  feed: 'decided',
  scope: 'account',
  rule,
  hard: true,
  shadow: false,
  thresholds: [],
  actions: [],
  fail: { mode: 'closed' },
  message: '',
  upgrade: '',
  version: 1,
  ...fields,
});

export const rate = (algorithm: RateAlgorithm, amount: number, windowMs: number, burst = amount): LimitRule => ({
  kind: 'rate',
  amount,
  windowMs,
  algorithm,
  burst,
});

export const quotaOf = (amount: number, period: QuotaPeriod = 'month'): LimitRule => ({
  kind: 'quota',
  amount,
  period,
});

export const atOnce = (amount: number, holdMs: number): LimitRule => ({ kind: 'concurrency', amount, holdMs });
