/** Money for people. */
import { grouped } from './quantity.ts';

/** `1,234.50 EUR`. */
export const moneyText = (amount: string, currency: string): string => `${grouped(amount)} ${currency}`;
