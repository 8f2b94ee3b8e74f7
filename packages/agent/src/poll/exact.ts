/** Whole numbers out of text, without ever passing through a float. */
import { counterMax } from '@tollgate/event';

/** Above this a float64 no longer holds every whole number. */
export const FLOAT_EXACT = 2n ** 53n;

/** A text or a number outside of texts. Texts are matched so that digits inside them are left alone. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON.parse that gives whole numbers of 16 and more digits as texts: it would round them. Throws as JSON.parse does. */
export const parseJson = (text: string): unknown =>
  JSON.parse(text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token)));

/** A counter out of parseJson; null for anything else. Negative is the same 64 bits read as signed (nft prints so). */
export const counterOf = (value: unknown): bigint | null => {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return null;
  if (typeof value === 'string' && !/^-?\d{1,20}$/.test(value)) return null;
  const n = BigInt(value);
  if (n < -(2n ** 63n) || n > counterMax) return null;
  return BigInt.asUintN(64, n);
};

/** Decimal digits, 0 .. 2^64-1; null for anything else. */
export const digits = (text: string): bigint | null => {
  if (!/^\d{1,20}$/.test(text)) return null;
  const n = BigInt(text);
  return n <= counterMax ? n : null;
};

export interface Decimal {
  /** value x 10^scale, cut towards zero. */
  whole: bigint;
  /** False: something was cut off. */
  exact: boolean;
}

/** Exponents beyond this are no counters, and would make numbers of any length. */
const EXPONENT_MAX = 40;

/** `5.35976912e+08`, `12`, `0.5` times 10^scale. Null for NaN, infinities and what is no number. */
export const decimal = (text: string, scale = 0): Decimal | null => {
  const match = /^([+-]?)(\d{0,40})(?:\.(\d{0,40}))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  if (match === null) return null;
  const [, sign = '', ahead = '', behind = '', power = '0'] = match;
  if (ahead + behind === '' || Math.abs(Number(power)) > EXPONENT_MAX) return null;
  const shift = Number(power) + scale - behind.length;
  const all = BigInt(ahead + behind);
  const unit = 10n ** BigInt(Math.abs(shift));
  const whole = shift >= 0 ? all * unit : all / unit;
  return { whole: sign === '-' ? -whole : whole, exact: shift >= 0 || all % unit === 0n };
};
