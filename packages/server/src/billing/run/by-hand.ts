/** Documents by hand: credit notes, and invoices that are void. */
import type { Book } from '../../domain/book.ts';
import type { Instant } from '../../domain/window.ts';
import { BooksError } from '../../store/billing-checks.ts';
import type { AccountBooks, BillingStore, FinalInvoice, Finalised, Invoice } from '../../store/billing-store.ts';
import { readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument, Line } from '../invoice/document.ts';
import { readKey } from '../invoice/key.ts';
import { LedgerError } from '../ledger/ledger-error.ts';
import { finalCreditNote, finalVoid, type Issue } from '../ledger/post-document.ts';
import { type CreditAsk, creditNote, type TaxedLine, voidNote } from './credit-note.ts';
import { longestPeriod } from './looked.ts';
import { billersOf } from './past.ts';

export interface HandDeps {
  billing: BillingStore;
  book(): Book;
  now(): Instant;
}

/** Of those that change one account at the same time each round lets one through. */
const TRIES_MAX = 20;
type Made = Omit<Invoice, 'document'>;

/** Credits part of a line, or finds the credit note that was made under the key. Throws LedgerError. */
export function creditByHand(deps: HandDeps, id: number, ask: CreditAsk): Promise<Made & { isNew: boolean }> {
  return makeFinal(deps, id, async (found) => {
    const { invoice, document, notes } = found;
    const known = await repeated(deps, invoice, ask);
    if (known !== null) return known;
    const line = document.lines.find(({ no }) => no === ask.line);
    const billed = line === undefined ? [] : await linesOfKey(deps, found, line);
    const earlier = notes.filter(({ corrects }) => corrects === invoice.number);
    const version = 1 + notes.length;
    const made = creditNote(document, invoice.number, earlier, { ...ask, version, billed });
    return finalCreditNote(made, issueOf(deps, made, found), { id: invoice.id, open: invoice.open });
  });
}

/** The credit note of the key; null: there is none. Another content under it is refused. */
async function repeated({ billing }: HandDeps, { account, number }: Invoice, ask: CreditAsk): Promise<Made | null> {
  const known = ask.key === undefined ? null : await billing.documentByKey(account, ask.key);
  if (known === null) return null;
  const { lines, credits } = readDocument(known.document);
  const [line] = lines;
  const isSame =
    line?.corrects === `${number}:${ask.line}, ${ask.reason}` &&
    BigInt(line.amount) === -ask.amount &&
    credits === ask.credits;
  if (isSame) return known;
  const message = `The key is that of ${known.number}, which says something else: ${line?.corrects ?? ''}`;
  throw new LedgerError('credit.conflict', message, 'key');
}

/** Reverses an invoice that nothing was paid of; its period is billed anew by the next run. Throws LedgerError. */
export async function voidByHand(deps: HandDeps, id: number, reason: string): Promise<Made> {
  return makeFinal(deps, id, async (found) => {
    const { invoice, notes, document, books } = found;
    const { number } = invoice;
    const settled = await deps.billing.transactions({ invoice: id, limit: SETTLED_MAX });
    const kinds = new Set(settled.map(({ kind }) => kind));
    if (kinds.has('payment')) {
      throw new LedgerError(
        'invoice.settled',
        `Something was paid of ${number}: refund it, or credit it: tollgate invoices credit`,
      );
    }
    // A credit note on an invoice that was settled already posts nothing on it: it is known by what it names.
    if (kinds.has('credit-note') || notes.some(({ corrects }) => corrects === number)) {
      throw new LedgerError(
        'invoice.credited',
        `Part of ${number} is credited already: credit the rest: tollgate invoices credit`,
      );
    }
    const note = voidNote(document, number, { reason, version: 1 + notes.length });
    return finalVoid(note, issueOf(deps, note, found), invoice, settled, books);
  });
}

const SETTLED_MAX = 10_000;

/** Refused when another document of those it is about has become final since the books were read: see makeFinal. */
function issueOf({ book, now }: HandDeps, { entity }: InvoiceDocument, { books, lastFor }: Found): Issue {
  const issuedAt = now();
  const prefix = book().billing.entityOf(entity)?.creditPrefix ?? '';
  return { prefix, issuedAt, dueAt: issuedAt, after: books.lastDocument, lastFor };
}

interface Found {
  invoice: Invoice;
  document: InvoiceDocument;
  /** Credit notes of the same period. */
  notes: readonly InvoiceDocument[];
  books: AccountBooks;
  lastFor: ReadonlyMap<string, number>;
}

/**
 * Decided on what is there; where that has changed meanwhile, once more. The books are read before all else: what they
 * and the documents then show is what is there, or the store refuses what was made of it.
 */
async function makeFinal(
  { billing }: HandDeps,
  id: number,
  decide: (found: Found) => Promise<FinalInvoice | Made>,
): Promise<Made & { isNew: boolean }> {
  const { account, ...asked } = await invoiceOf(billing, id);
  const document = readDocument(asked.document);
  for (let tries = 0; ; tries++) {
    const lastFor = await billing.lastFor(document.accounts ?? [account]);
    const [books] = await billing.booksOf([account]);
    if (books === undefined) throw new Error(`no books of ${account}`);
    const invoice = await invoiceOf(billing, id);
    if (invoice.voidedBy !== null) throw new LedgerError('invoice.void', `${invoice.number} is void`);
    const all = await billing.documentsOf([account], Math.max(0, invoice.to - 1));
    const ofPeriod = all.filter(({ from, to }) => from === invoice.from && to === invoice.to);
    const notes = ofPeriod.filter(({ kind }) => kind === 'credit-note').map(({ document }) => readDocument(document));
    const item = await decide({ invoice, document, notes, books, lastFor });
    if ('number' in item) return { ...item, isNew: false };
    const [result] = await billing.finalise([item]);
    if (result !== undefined && isMade(result, item)) return { ...result.invoice, isNew: result.outcome === 'final' };
    if (tries >= TRIES_MAX) throw new BooksError('books.changed', `The books of ${account} change all the time.`);
  }
}

/**
 * Also `there` can be ours: the connection broke after the commit, and the store has looked once more. Taken for somebody
 * else's it was made a second time. Another one that says the same was issued at another time.
 */
const isMade = (result: Finalised, item: FinalInvoice): result is Exclude<Finalised, { outcome: 'refused' }> =>
  result.outcome === 'final' ||
  (result.outcome === 'there' && result.invoice.digest === item.digest && result.invoice.issuedAt === item.issuedAt);

async function invoiceOf(billing: BillingStore, id: number): Promise<Invoice> {
  const invoice = await billing.invoice(id);
  if (invoice?.kind === 'invoice') return invoice;
  throw new LedgerError('invoice.unknown', `There is no invoice with the id ${id}`);
}

/** What was billed and credited under the line's key, whoever got it: all documents that stand. */
async function linesOfKey({ billing, book }: HandDeps, { invoice }: Found, line: Line): Promise<TaxedLine[]> {
  const billers = new Set([invoice.account, ...billersOf(book(), [line.account])]);
  const documents = await billing.documentsOf([...billers], beforeKey(book(), invoice, line));
  return documents
    .filter(({ kind, voids, voidedBy }) => (kind === 'invoice' ? voidedBy === null : voids === null))
    .flatMap(({ document }) => {
      const { lines, taxes } = readDocument(document);
      return lines.filter(({ key }) => key === line.key).map((one) => ({ line: one, taxes }));
    });
}

/** All that is billed of a key comes with its first line or after it; that may have been billed a period ahead. */
function beforeKey(book: Book, { from, to }: Invoice, { kind, key }: Line): Instant {
  const first = kind === 'adjustment' ? Math.min(from, readKey(key).period - longestPeriod(book)) : to;
  return Math.max(0, first - 1);
}
