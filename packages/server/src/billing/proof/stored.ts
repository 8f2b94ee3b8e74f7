/** A final document as it is in the store, which may have been tampered with. */
import type { Invoice } from '../../store/billing-store.ts';
import { readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';

/** Null: it is no document any more. */
export function readStored({ document }: Pick<Invoice, 'document'>): InvoiceDocument | null {
  try {
    return readDocument(document);
  } catch {
    return null;
  }
}
