/** Control facts that invoices depend on, besides plans and subscriptions. Spans as in ../limit/catalogue-fact.ts. */
import type { Span } from '../limit/catalogue-fact.ts';
import type { DecimalText } from '../price/price.ts';
import type { Conventions } from './conventions.ts';

/** Who bills: a legal entity. Known by its key; a later fact replaces it for what is not final yet. */
export interface EntityFact {
  kind: 'entity';
  key: string;
  name: string;
  /** Lines of its address and whatever else the law wants on an invoice. */
  address: readonly string[];
  taxId: string;
  /** Before the number of an invoice and of a credit note: `INV-`, `CN-`. */
  invoicePrefix: string;
  creditPrefix: string;
  /** How to pay, printed below the total. */
  payment: string;
  conventions: Conventions;
}

/** How an account is billed. */
export interface ProfileFact {
  kind: 'profile';
  account: string;
  /** Key of its entity; '' for `default`, which is there from the beginning. */
  entity: string;
  /** Who gets the invoice: itself, or the nearest account above that pays for itself. */
  payer: 'self' | 'parent';
  name: string;
  address: readonly string[];
  taxId: string;
  email: string;
  /** Its taxes are those of this jurisdiction, such as `DE`; '' for none. */
  jurisdiction: string;
  /** Why no tax is due, printed; '' when it is. */
  exemption: string;
}

/** A rate of tax. Of spans of one (jurisdiction, category) that overlap, the one that began last rules. */
export interface TaxFact extends Span {
  kind: 'tax';
  jurisdiction: string;
  /** '' is the standard one. */
  category: string;
  name: string;
  percent: DecimalText;
  /** Prices are with the tax in them. */
  inclusive: boolean;
}

/** An offer of a discount. Known by its key. */
export interface CouponFact {
  kind: 'coupon';
  key: string;
  name: string;
  off: { percent: DecimalText } | { amount: DecimalText; currency: string };
  /** Keys of plans, and of prices as `plan/price`; empty: every line. */
  on: readonly string[];
  /** How many periods of an account it lasts; null: as long as it is given. */
  periods: number | null;
  removed: boolean;
}

/** An account has a coupon from one instant to another. */
export interface DiscountFact extends Span {
  kind: 'discount';
  account: string;
  coupon: string;
}

/** Something an account has besides its plan: another plan, `quantity` times. Known by account, plan and start. */
export interface AddOnFact extends Span {
  kind: 'addon';
  account: string;
  plan: string;
  quantity: number;
}

export type BillingFact = EntityFact | ProfileFact | TaxFact | CouponFact | DiscountFact | AddOnFact;
