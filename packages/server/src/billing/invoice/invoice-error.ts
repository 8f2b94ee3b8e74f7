/** What cannot be billed: by name, and where. The run reports it and goes on with the next account. */

/**
 * `currency`: the plan is in another currency than the account, or the account than who pays for it, or the invoice
 * than what it corrects. `plan`: subscribed to a plan that is not defined. `entitlement`: a price reads one that the plan does not have. `rate`: the price or its usage
 * cannot be rated. `tax`: no rate for the jurisdiction and category. `coupon`: not defined, or in another currency.
 * `entity`: the profile names one that is not defined. `account`: not known. `metered`: not one answer for each question.
 * `range`: an amount beyond what money may be.
 */
export type InvoiceCode =
  | 'invoice.currency'
  | 'invoice.plan'
  | 'invoice.entitlement'
  | 'invoice.rate'
  | 'invoice.tax'
  | 'invoice.coupon'
  | 'invoice.entity'
  | 'invoice.account'
  | 'invoice.metered'
  | 'invoice.range';

/** Where; '' for what does not apply. */
export interface Place {
  account: string;
  plan?: string;
  price?: string;
}

export class InvoiceError extends Error {
  readonly code: InvoiceCode;
  readonly account: string;
  readonly plan: string;
  readonly price: string;
  constructor(code: InvoiceCode, { account, plan = '', price = '' }: Place, message: string, cause?: unknown) {
    const place = [account, plan, price].filter((part) => part !== '').join(' / ');
    super(`${place}: ${message}`, { cause });
    this.name = 'InvoiceError';
    this.code = code;
    this.account = account;
    this.plan = plan;
    this.price = price;
  }
}
