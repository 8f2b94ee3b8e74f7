/** How an invoice stands when it is printed: everything about it that may still change, and so is no part of the document. */
import type { Instant } from '../../domain/window.ts';
import type { InvoiceState } from '../../store/billing-types.ts';
import type { Blocked, InvoiceDocument } from '../invoice/document.ts';

/** A credit that was used for it, a payment, a refund: as the customer knows it. */
export interface Settled {
  /** `Credit`, `Payment 4711`, `Credit note CN-000001`. */
  text: string;
  at: Instant;
  /** Minor units, taken off what is to pay; negative where something was given back. */
  amount: bigint;
}

export interface Standing {
  /** '' for a draft. */
  number: string;
  state: InvoiceState;
  /** Minor units that are left to pay. */
  open: bigint;
  /** Null: not issued, not due. */
  issuedAt: Instant | null;
  dueAt: Instant | null;
  draft: boolean;
  /** Number of the credit note that reversed it, where it is known. */
  voidedBy?: string;
  /** Why a draft cannot be final. */
  blocked?: readonly Pick<Blocked, 'line' | 'reason'>[];
  /** Credits and payments, oldest first. Left away: what is not open any more is printed as one sum. */
  settled?: readonly Settled[];
  /** SHA-256 of the document's canonical text, where it is known. Left away: it is computed. */
  digest?: string;
}

/** A document as the rows of all lines name it. */
export interface NumberedDocument {
  /** '' for a draft. */
  number: string;
  document: InvoiceDocument;
}
