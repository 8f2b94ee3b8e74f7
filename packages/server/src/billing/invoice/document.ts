/**
 * An invoice as it is written down: the whole of it, as data. A final one never changes; its digest is the SHA-256 of
 * its canonical text (canonical.ts). Money is whole minor units of `currency`, as decimal texts of integers.
 */
import type { Conventions } from '../../domain/billing/conventions.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { FlagName, StateName } from '../../domain/record.ts';
import type { Instant } from '../../domain/window.ts';
import type { MeteredSeries } from '../../usage/metered.ts';

/** Minor units, an integer as text: `-1250`. */
export type Minor = string;

/** How an amount comes about, one step a row: enough to compute it again by hand. */
export interface Step {
  /** `10 GB included`, `tier 1, up to 100 GB`. */
  text: string;
  /** Decimal texts; null where the step has none. Amounts are exact, or fractions `a/b` where no decimal is. */
  quantity: string | null;
  unit: string | null;
  price: string | null;
  amount: string;
}

export type LineKind = 'usage' | 'fee' | 'minimum' | 'commitment' | 'discount' | 'adjustment' | 'credit';

export interface Line {
  /** From 1. */
  no: number;
  /** What it is for, stable over versions and later invoices: what is billed of one key is summed to adjust it. */
  key: string;
  kind: LineKind;
  /** Whose usage or fee: the payer itself or one below it. */
  account: string;
  plan: string;
  planVersion: number;
  price: string;
  name: string;
  from: Instant;
  to: Instant;
  /** Billed before the period it is for. Left away for what is billed after it. */
  ahead?: true;
  /** Priced quantity and its unit; null for what has none. */
  quantity: string | null;
  unit: string;
  /** Of the meter, before it was divided. */
  metered: string | null;
  meter: string;
  state: StateName;
  flags: readonly FlagName[];
  steps: readonly Step[];
  /** Exact amount before rounding, a decimal or `a/b`. */
  exact: string;
  /** As the price says it: with the tax in it where that is inclusive. */
  amount: Minor;
  /** Its share of the taxes below; left away where there are none. */
  tax?: Minor;
  taxCategory: string;
  /** Index of its tax among those of the document; left away where not several are of its category. */
  taxNo?: number;
  /** The line it corrects and why, `INV-000001:3, late usage`; '' when it is none. */
  corrects: string;
  /** What it was summed from: by series, and the digest over all. */
  series: readonly MeteredSeries[];
  digest: string;
}

export interface TaxLine {
  name: string;
  jurisdiction: string;
  category: string;
  percent: string;
  inclusive: boolean;
  /** What it is computed of. */
  base: Minor;
  amount: Minor;
}

export interface Party {
  name: string;
  address: readonly string[];
  taxId: string;
}

/** A control fact the invoice was computed with. */
export interface Basis {
  receipt: Receipt;
  kind: string;
  /** SHA-256, hex, of its canonical text. */
  digest: string;
}

export interface InvoiceDocument {
  /**
   * 2: this layout. Of 1 the digests are others: of a line of one series over its row (seriesDigest), and of a counter's
   * series without the digests of its readings (domain/record-digest.ts). Credit notes have their invoice's.
   */
  layout: 1 | 2;
  kind: 'invoice' | 'credit-note';
  /** Who gets it. */
  account: string;
  entity: string;
  seller: Party & { payment: string };
  buyer: Party & { exemption: string };
  currency: string;
  /** Minor units are this many decimals of the currency. */
  decimals: number;
  zone: string;
  /** What has ended with it; from = to: the first one, for what is paid in advance. */
  from: Instant;
  to: Instant;
  version: number;
  /** S: every fact with a receipt up to here was known, none above. */
  frontier: Receipt;
  conventions: Conventions;
  /** Whom it is for: the payer first, then those it pays for, with and without a line. Needed to compute it again. */
  accounts?: readonly string[];
  lines: readonly Line[];
  taxes: readonly TaxLine[];
  /** Sum of lines, less the taxes that are in them. */
  net: Minor;
  tax: Minor;
  total: Minor;
  /** Number of the invoice that is corrected, for a credit note; '' else. */
  corrects: string;
  reason: string;
  /**
   * Of a credit note by hand. correction: it says that less is due, so what later adjustments take back of its lines is
   * less by it. Left away: a gift, which changes nothing of what is due.
   */
  credits?: 'correction';
  /** The caller's name for a credit note, unique in the account: said again it is the same one. Left away: none. */
  key?: string;
  basis: readonly Basis[];
}

/** Why a closed period cannot be final yet: by line. */
export interface Blocked {
  line: number;
  state: 'pending' | 'quarantined';
  meter: string;
  account: string;
  reason: string;
}

/** What can be said of a period now. */
export interface Draft {
  document: InvoiceDocument;
  blocked: readonly Blocked[];
}
