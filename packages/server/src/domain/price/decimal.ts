/** Decimals as people write prices: read as text, exact, never negative. */
import { Misread, quoted } from '../limit/amount.ts';
import { compare, divide, exactText, multiply, ofDecimal } from '../money/ratio.ts';
import type { DecimalText } from './price.ts';

/** Before and after the point. */
const DIGITS_MAX = 20;
const DECIMALS_MAX = 18;

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** `49.00` -> `49`: one text for one number, so that only what differs is a change. */
export function readDecimal(text: string): DecimalText | Misread {
  const match = text.length > 100 ? null : DECIMAL.exec(text);
  if (match === null) return new Misread(`${quoted(text)} is not a decimal number, such as 0.09`);
  const [, sign, left = '', right = ''] = match;
  const [whole, fraction] = [left.replace(/^0+(?=\d)/, ''), right.replace(/0+$/, '')];
  if (sign === '-' && /[1-9]/.test(left + right)) return new Misread(`${quoted(text)} is negative`);
  if (whole.length > DIGITS_MAX) return new Misread(`${quoted(text)} has more than ${DIGITS_MAX} digits`);
  if (fraction.length > DECIMALS_MAX) return new Misread(`${quoted(text)} has more than ${DECIMALS_MAX} decimals`);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** As readDecimal, and not zero. */
export function readPositive(text: string): DecimalText | Misread {
  const read = readDecimal(text);
  return read === '0' ? new Misread('is more than zero') : read;
}

/** From 0 to 100, a percent sign if you like. */
export function readPercent(text: string): DecimalText | Misread {
  const read = readDecimal(text.replace(/\s*%$/, ''));
  if (read instanceof Misread || !isAbove(read, '100')) return read;
  return new Misread(`${quoted(text)} is more than 100 percent`);
}

/** An amount of money, with the currency behind it if you like. */
export function readMoney(text: string, currency: string): DecimalText | Misread {
  const [, amount = text, written = currency] = /^(.*?)\s+([A-Z]{3})$/.exec(text) ?? [];
  if (written === currency || currency === '') return readDecimal(amount);
  return new Misread(`${quoted(text)} is not in ${currency}, as the plan is`);
}

/** Whether the first number is above the second. */
export const isAbove = (a: DecimalText, b: DecimalText): boolean => compare(ofDecimal(a), ofDecimal(b)) > 0;

/** a x b / c, when that is a decimal of at most 18 decimals. */
export function scaledBy(a: DecimalText, b: DecimalText, c: DecimalText): DecimalText | null {
  const text = exactText(divide(multiply(ofDecimal(a), ofDecimal(b)), ofDecimal(c)));
  return text.includes('/') || (text.split('.')[1]?.length ?? 0) > DECIMALS_MAX ? null : text;
}
