/** Final documents, as later invoices look at them. */

import type { Book } from '../../domain/book.ts';
import type { Instant } from '../../domain/window.ts';
import type { BillingStore, FinalDocument } from '../../store/billing-store.ts';
import { readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';

export interface Past
  extends Pick<FinalDocument, 'id' | 'number' | 'kind' | 'account' | 'from' | 'to' | 'version' | 'frontier'> {
  document: InvoiceDocument;
}

/** Who may have billed something of these accounts: themselves, and all that they have ever stood below. */
export function billersOf(book: Book, accounts: readonly string[]): string[] {
  const billers = new Set<string>(accounts);
  for (const account of accounts) for (const id of book.everAbove(account)) billers.add(id);
  return [...billers];
}

/** The accounts by each who may have billed something of them: of a payer's many children a document is about few. */
export function byBiller(book: Book, accounts: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const account of accounts) {
    for (const biller of billersOf(book, [account])) {
      const known = found.get(biller);
      if (known === undefined) found.set(biller, [account]);
      else known.push(account);
    }
  }
  return found;
}

/** Whether the document was for one of these accounts. */
export function isFor({ account, document }: Past, accounts: ReadonlySet<string>): boolean {
  return (document.accounts ?? [account]).some((id) => accounts.has(id));
}

/**
 * Documents that stand, oldest first, with the credit notes that correct their lines. What was void when the document
 * `before` became final does not stand; 0: now.
 */
export async function pastOf(
  billing: BillingStore,
  billers: readonly string[],
  from: Instant,
  before = 0,
): Promise<Past[]> {
  const found = await billing.finalDocuments(billers, from);
  const notes = found.filter(({ id, kind, voids }) => kind === 'credit-note' && voids === null && isBefore(id, before));
  return [...standing(found, before), ...notes].sort((a, b) => a.id - b.id).map(read);
}

const isBefore = (id: number, before: number): boolean => before === 0 || id < before;

/** Invoices that no credit note has reversed. */
export const standing = <I extends Pick<FinalDocument, 'id' | 'kind' | 'voidedBy'>>(
  documents: readonly I[],
  before = 0,
): I[] =>
  documents
    .filter(({ id, kind, voidedBy }) => {
      if (kind !== 'invoice' || !isBefore(id, before)) return false;
      return voidedBy === null || (before !== 0 && voidedBy >= before);
    })
    .sort((a, b) => a.id - b.id);

function read({ id, number, kind, account, from, to, version, frontier, document }: FinalDocument): Past {
  return { id, number, kind, account, from, to, version, frontier, document: readDocument(document) };
}
