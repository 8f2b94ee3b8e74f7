/** Why an account was passed over, by name and with what to do about it. */
import { BooksError } from '../../store/billing-checks.ts';
import { StoreError } from '../../store/errors.ts';
import { type InvoiceCode, InvoiceError } from '../invoice/invoice-error.ts';

export interface Failure {
  account: string;
  code: string;
  reason: string;
}

const todo: Readonly<Record<InvoiceCode, string>> = {
  'invoice.currency':
    'give it a plan in its currency, the currency it was billed in, or its own payer: tollgate accounts subscribe, tollgate accounts set, tollgate billing profile',
  'invoice.plan': 'apply the plan, or subscribe it to another: tollgate plans apply',
  'invoice.entitlement': 'apply a version of the plan that has it: tollgate plans apply',
  'invoice.rate': 'correct the price or the usage: tollgate plans apply, tollgate corrections',
  'invoice.tax': 'set the rate: tollgate billing taxes set',
  'invoice.coupon': 'define the coupon, or end the discount: tollgate billing coupons, tollgate billing discounts end',
  'invoice.entity':
    'set the entity, or name another in the profile: tollgate billing entity set, tollgate billing profile',
  'invoice.account': 'make the account: tollgate accounts add',
  'invoice.metered': 'report it: this is a defect of Tollgate',
  'invoice.range': 'correct the price or the usage: tollgate plans apply, tollgate corrections',
};

/** What the store says of what it is given, rather than of itself. */
const refusals = new Set(['store.text_invalid', 'store.text_too_long', 'store.number_range', 'store.misuse']);
export const isRefusal = (error: unknown): boolean => error instanceof StoreError && refusals.has(error.code);

/** Another server goes on with the run: this one stops. */
export const isLost = (error: unknown): boolean => error instanceof BooksError && error.code === 'run.lost';

/**
 * Throws what is not about this account: a store that does not answer stops the run, which goes on later where it was.
 * A defect in what is computed for one account is a failure of that account only.
 */
export function failureOf(account: string, error: unknown): Failure {
  if (error instanceof InvoiceError)
    return { account, code: error.code, reason: `${error.message}; ${todo[error.code]}` };
  if (error instanceof BooksError) throw error;
  if (error instanceof StoreError) {
    if (!isRefusal(error)) throw error;
    return { account, code: error.code, reason: `${account}: ${error.message}` };
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { account, code: 'invoice.defect', reason: `${account}: ${text}; report it: this is a defect of Tollgate` };
}
