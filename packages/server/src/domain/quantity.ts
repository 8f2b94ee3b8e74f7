/**
 * Quantities: Decimal(38,12) as a bigint scaled by 10^12. Read losslessly or refused; never through a float. The only
 * rounding is `divide`, and its mode is named where it is called.
 */

/** Decimals kept. */
export const DECIMALS = 12;
/** One, scaled. */
export const SCALE = 10n ** 12n;
/** The widest quantity: 38 digits, 12 of them decimals. */
export const QUANTITY_MAX = 10n ** 38n - 1n;

/** A scaled quantity, -QUANTITY_MAX .. QUANTITY_MAX. */
export type Quantity = bigint;

/**
 * `syntax`: not a number as JSON writes it. `precision`: more than 12 decimals that are not zero.
 * `range`: more than 26 digits before the point.
 */
export type QuantityCode = 'quantity.syntax' | 'quantity.precision' | 'quantity.range';

export class QuantityError extends Error {
  readonly code: QuantityCode;
  constructor(code: QuantityCode, text: string) {
    super(`${explain[code]}: ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`);
    this.code = code;
  }
}

const explain: Record<QuantityCode, string> = {
  'quantity.syntax': 'not a decimal number',
  'quantity.precision': 'more than 12 decimals',
  'quantity.range': 'beyond 26 digits before the point',
};

const NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * Reads a number as JSON writes it (`12`, `-0.5`, `1.5e3`), exactly. Answers the code of what is wrong instead of
 * throwing: values come from events, and a bad one is an outcome, not an exception.
 */
export function readQuantity(text: string): Quantity | QuantityCode {
  const match = NUMBER.exec(text);
  if (match === null) return 'quantity.syntax';
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return 0n;
  // Exponents can have any length: beyond a million the number is out of range whatever its digits can hold.
  const exponent = Math.max(-1e9, Math.min(1e9, Number(exponentText)));
  // value = significant * 10^power
  const power = exponent - fraction.length + (digits.length - significant.length);
  if (significant.length + power > 26) return 'quantity.range';
  if (power < -DECIMALS) return 'quantity.precision';
  const scaled = BigInt(significant) * 10n ** BigInt(power + DECIMALS);
  return sign === '-' ? -scaled : scaled;
}

/** As readQuantity; throws QuantityError. */
export function parseQuantity(text: string): Quantity {
  const q = readQuantity(text);
  if (typeof q === 'string') throw new QuantityError(q, text);
  return q;
}

/** Shortest exact decimal text: no trailing zeros, no exponent, no `-0`. */
export function formatQuantity(q: Quantity): string {
  const negative = q < 0n;
  const size = negative ? -q : q;
  const digits = size.toString().padStart(DECIMALS + 1, '0');
  const point = digits.length - DECIMALS;
  let end = digits.length;
  while (end > point && digits.charCodeAt(end - 1) === 48) end--;
  const whole = negative ? `-${digits.slice(0, point)}` : digits.slice(0, point);
  return end === point ? whole : `${whole}.${digits.slice(point, end)}`;
}

export const inRange = (q: bigint): boolean => q <= QUANTITY_MAX && q >= -QUANTITY_MAX;

/** The quantity itself; throws QuantityError when it is out of range. */
export function checked(q: bigint): Quantity {
  if (!inRange(q)) throw new QuantityError('quantity.range', formatQuantity(q));
  return q;
}

export const ofInteger = (n: bigint): Quantity => checked(n * SCALE);
export const add = (a: Quantity, b: Quantity): Quantity => checked(a + b);
export const subtract = (a: Quantity, b: Quantity): Quantity => checked(a - b);
/** -1, 0 or 1. */
export const compare = (a: Quantity, b: Quantity): number => (a < b ? -1 : a > b ? 1 : 0);
/** Times an integer: exact. */
export const times = (q: Quantity, n: bigint): Quantity => checked(q * n);

/**
 * How a quotient that does not come out even is rounded. `down` towards zero, `up` away from it, `floor` and `ceiling`
 * towards minus and plus infinity; `half-*` to the nearest, ties as the rest of the name says.
 */
export const roundings = ['up', 'down', 'half-up', 'half-even', 'half-down', 'floor', 'ceiling'] as const;
export type Rounding = (typeof roundings)[number];

/** a / b of two integers of one scale, or of a quantity and an integer; rounded once, by name. Throws on b = 0. */
export function divide(a: bigint, b: bigint, mode: Rounding): bigint {
  if (b === 0n) throw new RangeError('division by zero');
  const quotient = a / b;
  const rest = a % b;
  if (rest === 0n) return quotient;
  const negative = rest < 0n !== b < 0n;
  return awayFromZero(quotient, rest, b, negative, mode) ? quotient + (negative ? -1n : 1n) : quotient;
}

function awayFromZero(quotient: bigint, rest: bigint, b: bigint, negative: boolean, mode: Rounding): boolean {
  switch (mode) {
    case 'down':
      return false;
    case 'up':
      return true;
    case 'floor':
      return negative;
    case 'ceiling':
      return !negative;
    default: {
      const twice = 2n * (rest < 0n ? -rest : rest);
      const whole = b < 0n ? -b : b;
      if (twice !== whole) return twice > whole;
      return mode === 'half-up' || (mode === 'half-even' && quotient % 2n !== 0n);
    }
  }
}

/** The unit of a meter in words: UCUM's `By` is bytes, `1` is units, and what is counted stands in braces. */
export const plainUnit = (unit: string): string => {
  if (unit === 'By') return 'bytes';
  return unit === '1' || unit === '' ? 'units' : unit.replace(/[{}]/g, '');
};
