/** Limits in few words, for people: `50 MB per month`, `100 per minute`, `3 at once`. */
import { grouped, near, unitText } from './quantity.ts';

interface Rule {
  kind: string;
  amount?: number;
  windowMs?: number;
  algorithm?: string;
  burst?: number;
  period?: string;
  holdMs?: number;
  entitlement?: string;
}
interface LimitLike {
  rule: Rule;
  unit: string;
  hard: boolean;
  shadow: boolean;
  scope: string;
  dimension?: string;
}

/** `null`: unlimited. Bytes also near their size, where that is exact enough to read. */
export const amountText = (amount: number | null, unit: string): string => {
  if (amount === null) return 'unlimited';
  const digits = String(amount);
  const word = unitText(unit);
  const words = /^\{.*[^s]\}$/.test(unit) && amount !== 1 ? `${word}s` : word;
  // `447 MB` would hide digits; `50 MB` hides none.
  const short = near(digits, unit);
  const exact = /[1-9]/.test(digits.slice(3))
    ? ''
    : short.replace(/\.?0+ /, (zeros) => (short.includes('.') ? ' ' : zeros));
  return exact || `${grouped(digits)}${words === '' ? '' : ` ${words}`}`;
};

const units = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
] as const;

const timeText = (ms: number): string => {
  const [size, name] = units.find(([unit]) => ms % unit === 0) ?? [1, 'ms'];
  const count = ms / size;
  return count === 1 ? name : `${count} ${name}${name === 'ms' ? '' : 's'}`;
};

export const ruleText = ({ rule, unit }: Pick<LimitLike, 'rule' | 'unit'>): string => {
  const { kind, amount = 0, windowMs = 0, algorithm, burst = amount, period = '', holdMs = 0 } = rule;
  if (kind === 'entitlement') return `what ${rule.entitlement ?? ''} includes`;
  if (kind === 'concurrency')
    return `${grouped(String(amount))} at once, held for ${timeText(holdMs).replace(/^(?=[a-z])/, '1 ')}`;
  if (kind === 'quota') return `${amountText(amount, unit)} per ${period === 'billing' ? 'billing period' : period}`;
  const bucket = algorithm === 'bucket' ? `, burst ${amountText(burst, unit)}` : '';
  return `${amountText(amount, unit)} per ${timeText(windowMs)}, ${algorithm ?? ''}${bucket}`;
};

export const kindText = ({ hard, shadow }: LimitLike): string => `${hard ? 'hard' : 'soft'}${shadow ? ', shadow' : ''}`;

/** Between servers: nothing for one that each counts alone. */
export const sharingText = (limit: Pick<LimitLike, 'unit'> & { sharing: string; excessPerServer?: number }): string =>
  limit.sharing === 'async' && limit.excessPerServer !== undefined
    ? `async, +${amountText(limit.excessPerServer, limit.unit)} a further server`
    : limit.sharing === 'none'
      ? ''
      : limit.sharing;

export const scopeText = ({ scope, dimension }: LimitLike): string => (scope === 'account' ? '' : (dimension ?? scope));
