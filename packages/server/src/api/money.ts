/** Money at the edge of the API: exact decimal texts of major units, each beside its currency. */
import { Type } from '@sinclair/typebox';
import { decimalsOf } from '../domain/money/currency.ts';
import { MoneyError, majorText, minorOfText } from '../domain/money/money.ts';
import { Problem } from '../errors.ts';

export const AmountText = (description: string) =>
  Type.String({ minLength: 1, maxLength: 40, description: `${description}: an exact decimal such as 119.00` });
export const CurrencyText = Type.String({ minLength: 3, maxLength: 3, description: 'ISO 4217' });

/** Whole minor units, above 0 unless `least` says otherwise. Throws a Problem that names the field. */
export const minorOf = (text: string, currency: string, field: string, least = 1n): bigint => {
  try {
    const minor = minorOfText(text, currency);
    if (minor >= least) return minor;
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
    const pointer = error.code === 'money.currency' ? '/currency' : `/${field}`;
    throw new Problem('money.invalid', `${pointer.slice(1)}: ${error.message}`, { pointer });
  }
  throw new Problem('money.invalid', `${field}: less than ${least === 0n ? '0' : 'the smallest amount there is'}`, {
    pointer: `/${field}`,
  });
};

/** `-12.50`: as many decimals as the currency has. A currency that is known no more has the two of most. */
export const amountText = (minor: bigint, currency: string): string => majorText(minor, decimalsOf(currency) ?? 2);
