/** Money: whole minor units of a currency, and its texts. */
import { CodedError } from '../coded-error.ts';
import type { Rounding } from '../quantity.ts';
import { decimalsOf } from './currency.ts';
import { exactText, ofDecimal, type Ratio, RatioError, roundTo } from './ratio.ts';

export interface Money {
  currency: string;
  /** Minor units: 1250 of EUR are 12.50. */
  minor: bigint;
}

/**
 * `money.currency`: no currency of ISO 4217. `money.range`: beyond 10^20 minor units. `money.syntax`: not a decimal
 * number. `money.precision`: more decimals than the currency has. `money.weights`: nothing to share out by.
 */
export type MoneyCode = 'money.currency' | 'money.range' | 'money.syntax' | 'money.precision' | 'money.weights';

export class MoneyError extends CodedError<MoneyCode> {}

/** The most that an amount may be, in minor units, either way. */
export const MINOR_MAX = 10n ** 20n;

/** Decimals of a currency that must be one; throws MoneyError `money.currency`. */
export function decimalsOrThrow(currency: string): number {
  const decimals = decimalsOf(currency);
  if (decimals === undefined) throw new MoneyError('money.currency', `not a currency of ISO 4217: ${currency}`);
  return decimals;
}

/** The amount itself; throws MoneyError `money.range`. */
export function inMoneyRange(minor: bigint): bigint {
  if (minor > MINOR_MAX || minor < -MINOR_MAX)
    throw new MoneyError('money.range', `beyond 10^20 minor units: ${minor.toString().slice(0, 40)}`);
  return minor;
}

/** An exact amount in major units rounded once to whole minor units; throws MoneyError. */
export const toMinor = (r: Ratio, currency: string, mode: Rounding): bigint =>
  inMoneyRange(roundTo(r, decimalsOrThrow(currency), mode));

/** `12.5` EUR -> 1250n: text of major units, exactly; throws MoneyError when it has more decimals than the currency. */
export function minorOfText(text: string, currency: string): bigint {
  const decimals = decimalsOrThrow(currency);
  const r = readAmount(text);
  const minor = roundTo(r, decimals, 'down');
  if (minor * r.d !== r.n * 10n ** BigInt(decimals))
    throw new MoneyError('money.precision', `${currency} has ${decimals} decimals: ${exactText(r)}`);
  return inMoneyRange(minor);
}

function readAmount(text: string): Ratio {
  try {
    return ofDecimal(text);
  } catch (error) {
    if (error instanceof RatioError) throw new MoneyError(amountCodes[error.code], error.message);
    throw error;
  }
}

const amountCodes = {
  'ratio.syntax': 'money.syntax',
  'ratio.zero': 'money.syntax',
  'ratio.precision': 'money.precision',
  'ratio.range': 'money.range',
} as const;

/** 125000n with 2 decimals -> `1250.00`. For programs: always as many decimals as the currency has. */
export function majorText(minor: bigint, decimals: number): string {
  const digits = (minor < 0n ? -minor : minor).toString().padStart(decimals + 1, '0');
  const sign = minor < 0n ? '-' : '';
  return decimals === 0 ? sign + digits : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/** `1,234.50 EUR`. For people. */
export function formatMoney({ currency, minor }: Money): string {
  const [whole = '', fraction] = majorText(minor, decimalsOrThrow(currency)).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${fraction === undefined ? grouped : `${grouped}.${fraction}`} ${currency}`;
}
