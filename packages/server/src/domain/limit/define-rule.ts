/** Which of the four rules a limit states, and its numbers. */
import { Misread, quoted, readAllowance, readAmount, readDuration } from './amount.ts';
import { checkRule } from './check-rule.ts';
import type { Fields } from './fields.ts';
import {
  type ConcurrencyRule,
  type LimitRule,
  type QuotaRule,
  quotaPeriods,
  type RateRule,
  rateAlgorithms,
} from './limit.ts';
import type { EntitlementRule } from './plan.ts';

/** Field that states the rule, and those that go with it. */
const companions = {
  entitlement: [],
  quota: ['per'],
  rate: ['algorithm', 'burst'],
  concurrency: ['hold'],
} as const;
type Stated = keyof typeof companions;
const rules = Object.keys(companions) as Stated[];

export const ruleFields: readonly string[] = rules.flatMap((rule) => [rule, ...companions[rule]]);

const HOLD_MS = 60_000;
/** Stands for an amount that could not be read: its problem is already told. */
const UNREAD = 1;
/** Where the numbers of a checked rule were written. */
const written: Readonly<Record<string, string>> = { windowMs: 'rate', holdMs: 'hold', period: 'per' };

/** Which rule a limit states. `allowed`: a limit of the installation has no entitlement to read. */
export function statedRule(fields: Fields, allowed: readonly Stated[] = rules): Stated {
  const stated = rules.filter((rule) => fields.has(rule));
  const [first = 'quota'] = stated;
  const choice = `one of ${allowed.join(', ')}`;
  if (stated.length === 0) fields.wrong('', `a limit states ${choice}`);
  for (const other of stated.slice(1)) fields.wrong(other, `contradicts \`${first}\`: a limit states ${choice}`);
  if (stated.length > 0 && !allowed.includes(first))
    fields.wrong(first, `not here: a limit of the installation states ${choice}`);
  for (const rule of rules)
    for (const name of companions[rule])
      if (rule !== first && fields.has(name))
        fields.wrong(name, `goes with \`${rule}\`, and this limit states \`${first}\``);
  return first;
}

/** `unit`: what the amounts are written in. */
export function readRule(fields: Fields, stated: Stated, unit: string): LimitRule | EntitlementRule {
  if (stated === 'entitlement') return { kind: 'entitlement', entitlement: fields.text('entitlement', '', 63) };
  const rule = stated === 'quota' ? quota(fields, unit) : stated === 'rate' ? rate(fields, unit) : concurrency(fields);
  for (const { field, message } of checkRule(rule)) fields.wrong(written[field] ?? statedField(stated, field), message);
  return rule;
}

const statedField = (stated: Stated, field: string): string => (field === 'amount' ? stated : field);

function quota(fields: Fields, unit: string): QuotaRule {
  const amount = fields.read('quota', UNREAD, 'an amount such as 50 MB', (text) => {
    const read = readAllowance(text, unit);
    return read === null ? new Misread('a quota that is unlimited is no limit: leave it away') : read;
  });
  if (!fields.has('per')) fields.wrong('per', `a quota says per what: one of ${quotaPeriods.join(', ')}`);
  return { kind: 'quota', amount, period: fields.oneOf('per', quotaPeriods, 'month') };
}

function rate(fields: Fields, unit: string): RateRule {
  const absent = { amount: UNREAD, windowMs: 1000 };
  const { amount, windowMs } = fields.read('rate', absent, 'a rate such as 100 per minute', (text) =>
    readRate(text, unit),
  );
  const algorithm = fields.oneOf('algorithm', rateAlgorithms, 'sliding');
  const burst = fields.read('burst', amount, 'an amount', (text) => readAmount(text, unit));
  return { kind: 'rate', amount, windowMs, algorithm, burst };
}

function readRate(text: string, unit: string): { amount: number; windowMs: number } | Misread {
  const match = /^(.+?)\s+per\s+(.+)$/.exec(text.trim());
  if (match === null)
    return new Misread(`${quoted(text)} is not a rate: write it as in \`100 per minute\` or \`10 MB per 5 seconds\``);
  const amount = readAmount(match[1] ?? '', unit);
  if (amount instanceof Misread) return amount;
  const windowMs = readDuration(match[2] ?? '');
  return windowMs instanceof Misread ? windowMs : { amount, windowMs };
}

function concurrency(fields: Fields): ConcurrencyRule {
  const amount = fields.read('concurrency', UNREAD, 'a number', (text) => readAmount(text, '1'));
  const holdMs = fields.read('hold', HOLD_MS, 'a time such as 30 seconds', readDuration);
  return { kind: 'concurrency', amount, holdMs };
}
