/** Final documents, as later invoices look at them. */

import type { Book } from '../../domain/book.ts';
import type { Instant } from '../../domain/window.ts';
import type { BillingStore, Invoice } from '../../store/billing-store.ts';
import { readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';

export interface Past
  extends Pick<Invoice, 'id' | 'number' | 'kind' | 'account' | 'from' | 'to' | 'version' | 'frontier'> {
  document: InvoiceDocument;
}

/** Who may have billed something of these accounts: themselves, and all that they have ever stood below. */
export function billersOf(book: Book, accounts: readonly string[]): string[] {
  const billers = new Set<string>(accounts);
  for (const account of accounts) for (const id of book.everAbove(account)) billers.add(id);
  return [...billers];
}

/** Whether the document was for one of these accounts. */
export function isFor({ account, document }: Past, accounts: ReadonlySet<string>): boolean {
  return (document.accounts ?? [account]).some((id) => accounts.has(id));
}

/** Documents that stand, oldest first. What was void when the document `before` became final does not; 0: now. */
export async function pastOf(
  billing: BillingStore,
  billers: readonly string[],
  from: Instant,
  before = 0,
): Promise<Past[]> {
  const found = await billing.documentsOf(billers, from);
  return standing(found, before).map(read);
}

/** Invoices that no credit note has reversed; credit notes by hand change nothing of what is due. */
export const standing = <I extends Pick<Invoice, 'id' | 'kind' | 'voidedBy'>>(
  documents: readonly I[],
  before = 0,
): I[] =>
  documents
    .filter(({ id, kind, voidedBy }) => {
      if (kind !== 'invoice' || (before !== 0 && id >= before)) return false;
      return voidedBy === null || (before !== 0 && voidedBy >= before);
    })
    .sort((a, b) => a.id - b.id);

function read({ id, number, kind, account, from, to, version, frontier, document }: Invoice): Past {
  return { id, number, kind, account, from, to, version, frontier, document: readDocument(document) };
}
