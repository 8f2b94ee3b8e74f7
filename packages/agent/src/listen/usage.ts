/** Anything else an application wants metered: `usage.add` and `usage.set`. */
import type { Measure, Recorder } from '../measure/recorder.ts';
import { isName } from './tenants.ts';

/** Whom it is about, by one of the three words; every other key is a dimension. None of the three: unattributed. */
export type UsageAbout = Readonly<Record<string, string>> & {
  readonly account?: string;
  readonly resource?: string;
  readonly subject?: string;
};

/** Text is a decimal such as `12.5`: the exact way to give parts of a unit. */
export type Quantity = number | bigint | string;

export interface UsageOptions {
  /**
   * Digits after the point by meter, 0 to 12. Measurements are whole numbers, so a meter with 3 is recorded in
   * thousandths of what is given here: on the server its unit must be the thousandth (milli-hours, not hours).
   */
  readonly decimals?: Readonly<Record<string, number>>;
  /** Refused measurements throw UsageError instead of being counted. For tests and development. Default false. */
  readonly strict?: boolean;
}

export interface UsageFacade {
  /** Adds to what was used. */
  add(meter: string, quantity: Quantity, about?: UsageAbout): void;
  /** The level stands at this from now on. */
  set(meter: string, level: Quantity, about?: UsageAbout): void;
  /** How many were refused, and why the last one was. */
  report(): { readonly refused: number; readonly lastRefusal: string | undefined };
}

/** Why a measurement was refused. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const MOST_DECIMALS = 12;
const MOST_DIMENSIONS = 16;
const LONGEST_SUBJECT = 256;
/** Fields of the published event that a dimension would overwrite. */
const RESERVED = new Set(['value', 'count']);
const SUBJECTS = ['account', 'resource', 'subject'] as const;

const refuse = (why: string): never => {
  throw new UsageError(why);
};

/** A number in full: of a double that has a fraction, all its binary digits, which are its decimal digits too. */
const inFull = (quantity: number): string => {
  if (!Number.isFinite(quantity)) return refuse(`${quantity} is not a quantity`);
  if (Number.isInteger(quantity)) {
    if (!Number.isSafeInteger(quantity)) refuse(`${quantity} is too large to be exact: use a bigint or a decimal text`);
    return String(quantity);
  }
  // n decimals hold a binary fraction of n bits exactly, and no other.
  if (!Number.isInteger(quantity * 2 ** MOST_DECIMALS))
    refuse(`${quantity} is not exactly a decimal with up to ${MOST_DECIMALS} digits: use text, such as '${quantity}'`);
  return quantity.toFixed(MOST_DECIMALS);
};

/** Whole number of 10^-decimals. Throws UsageError for what has none. */
const scaled = (quantity: Quantity, decimals: number): bigint => {
  const text = typeof quantity === 'number' ? inFull(quantity) : String(quantity);
  if (text.startsWith('-')) refuse(`${text} is negative: a correction is made on the server, where it gets a reason`);
  const [, whole, fraction = ''] =
    /^(\d{1,38})(?:\.(\d{1,60}))?$/.exec(text) ?? refuse(`not a decimal number: ${text.slice(0, 80)}`);
  const digits = fraction.replace(/0+$/, '');
  if (digits.length > MOST_DECIMALS) refuse(`${text} has more than ${MOST_DECIMALS} decimals`);
  if (digits.length > decimals)
    refuse(`${text} has more than ${decimals} decimals: measure in a smaller unit, or declare the meter's decimals`);
  return BigInt(whole + digits.padEnd(decimals, '0'));
};

const measureOf = (meter: string, about: UsageAbout): Measure => {
  if (!isName(meter)) refuse('a meter is named by 1 to 128 bytes without control characters');
  let subject: string | undefined;
  let dimensions: Record<string, string> | undefined;
  let count = 0;
  for (const [key, value] of Object.entries(about)) {
    if (value === undefined) continue;
    if ((SUBJECTS as readonly string[]).includes(key)) {
      if (subject !== undefined) refuse('give one of account, resource and subject');
      if (value !== '' && !isName(value, LONGEST_SUBJECT)) refuse(`not a name: ${key}`);
      subject = value;
      continue;
    }
    if (!isName(key) || RESERVED.has(key) || !isName(value)) refuse(`not a dimension: ${key.slice(0, 80)}`);
    count += 1;
    if (count > MOST_DIMENSIONS) refuse(`more than ${MOST_DIMENSIONS} dimensions`);
    dimensions ??= {};
    dimensions[key] = value;
  }
  return { meter, subject: subject ?? '', ...(dimensions && { dimensions }) };
};

/** Throws RangeError for decimals that are not 0 to 12. Nothing it returns throws unless `strict`. */
export const usageOn = (recorder: Recorder, options: UsageOptions = {}): UsageFacade => {
  const decimals = new Map(Object.entries(options.decimals ?? {}));
  for (const [meter, digits] of decimals)
    if (!Number.isInteger(digits) || digits < 0 || digits > MOST_DECIMALS)
      throw new RangeError(`decimals of ${meter} must be 0 to ${MOST_DECIMALS}`);
  let refused = 0;
  let lastRefusal: string | undefined;
  const record = (how: 'add' | 'set', meter: string, quantity: Quantity, about: UsageAbout = {}): void => {
    try {
      recorder[how](measureOf(meter, about), scaled(quantity, decimals.get(meter) ?? 0));
    } catch (error) {
      if (options.strict) throw error;
      refused += 1;
      lastRefusal = error instanceof UsageError ? error.message : 'the recorder failed';
    }
  };
  return {
    add: (meter, quantity, about) => record('add', meter, quantity, about),
    set: (meter, level, about) => record('set', meter, level, about),
    report: () => ({ refused, lastRefusal }),
  };
};
