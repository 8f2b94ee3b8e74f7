/** Final documents computed once more, as of their own S, by the functions that made them. */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import { isCounter } from '../../domain/meter.ts';
import { safeInteger } from '../../domain/money/integer.ts';
import type { BillingStore, Invoice } from '../../store/billing-store.ts';
import type { Metered, MeteredAsk } from '../../usage/metered.ts';
import { readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';
import { creditNote, voidNote } from '../run/credit-note.ts';
import { type BookReader, readAll, reckoningOf } from '../run/expected.ts';
import { type Failure, failureOf } from '../run/failure.ts';
import { draftOf, type Reckoning } from '../run/reckon.ts';
import { inLayoutOf } from './layout.ts';
import { readStored } from './stored.ts';

export interface Again {
  invoice: Invoice;
  /** In the layout of the stored one. Null where it cannot be computed any more: then `failure` says why. */
  document: InvoiceDocument | null;
  failure: Failure | null;
  /** What it was computed from; null for credit notes, which are made of the invoice they correct. */
  from: { reckoning: Reckoning; answers: readonly (readonly Metered[])[] } | null;
}

/** Those of one S are computed together: its book is folded once. */
export function byFrontier(invoices: readonly Invoice[]): Map<Receipt, Invoice[]> {
  const groups = new Map<Receipt, Invoice[]>();
  for (const invoice of invoices) {
    const known = groups.get(invoice.frontier);
    if (known === undefined) groups.set(invoice.frontier, [invoice]);
    else known.push(invoice);
  }
  return groups;
}

/** `invoices` are all of the reader's frontier; answers in their order. */
export async function computeAgain(
  billing: BillingStore,
  reader: BookReader,
  invoices: readonly Invoice[],
): Promise<Again[]> {
  const begun = await Promise.all(invoices.map((invoice) => begin(billing, reader, invoice)));
  const asks = begun.flatMap(({ reckoning }) => reckoning?.asks ?? []);
  const answers = await answersTo(reader, asks);
  let at = 0;
  const out: Again[] = [];
  for (const { again, reckoning } of begun) {
    if (reckoning === null) {
      out.push(again);
      continue;
    }
    const first = at;
    at += reckoning.asks.length;
    const own = answers?.slice(first, at) ?? (await attempt(again, () => readAll(reader, reckoning.asks)));
    const draft = own && (await attempt(again, () => draftOf(reader.book, reckoning, own, reader.frontier)));
    const document = draft && laidOut(again.invoice, draft.document, reader.book);
    out.push(own && document ? { ...again, document, from: { reckoning, answers: own } } : again);
  }
  return out;
}

function laidOut(invoice: Invoice, now: InvoiceDocument, book: Book): InvoiceDocument {
  const stored = readStored(invoice);
  if (stored === null) return now;
  return inLayoutOf(stored, now, (key) => {
    const meter = book.meter(key);
    return meter !== undefined && (isCounter(meter) || meter.kind === 'percentile');
  });
}

/** Null: one question cannot be answered; it must not keep the others from their answers. */
async function answersTo(reader: BookReader, asks: readonly MeteredAsk[]): Promise<Metered[][] | null> {
  try {
    return await readAll(reader, asks);
  } catch (error) {
    failureOf('', error);
    return null;
  }
}

async function begin(
  billing: BillingStore,
  reader: BookReader,
  invoice: Invoice,
): Promise<{ again: Again; reckoning: Reckoning | null }> {
  const again: Again = { invoice, document: null, failure: null, from: null };
  if (invoice.kind === 'credit-note') {
    again.document = await attempt(again, () => noteAgain(billing, invoice));
    return { again, reckoning: null };
  }
  return {
    again,
    reckoning: await attempt(again, () =>
      reckoningOf(billing, reader.book, invoice.account, { ...invoice, before: invoice.id }),
    ),
  };
}

async function attempt<T>(again: Again, work: () => T | Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    again.failure = failureOf(again.invoice.account, error);
    return null;
  }
}

/** A credit note is a function of the invoice it corrects, the notes before it, and what somebody asked for. */
async function noteAgain(billing: BillingStore, note: Invoice): Promise<InvoiceDocument> {
  const said = readDocument(note.document);
  const all = await billing.documentsOf([note.account], Math.max(0, note.to - 1));
  const ofPeriod = all.filter(({ from, to }) => from === note.from && to === note.to);
  const corrected = ofPeriod.find(({ kind, number }) => kind === 'invoice' && number === said.corrects);
  if (corrected === undefined) throw new Error(`there is no invoice ${said.corrects} that it corrects`);
  const notes = ofPeriod.filter(({ kind, id }) => kind === 'credit-note' && id < note.id);
  const version = 1 + notes.length;
  const invoice = readDocument(corrected.document);
  if (corrected.voidedBy === note.id) return voidNote(invoice, corrected.number, { reason: said.reason, version });
  const earlier = notes.map(({ document }) => readDocument(document)).filter((one) => one.corrects === said.corrects);
  const [line] = said.lines;
  const no = safeInteger(BigInt(/:(\d+),/.exec(line?.corrects ?? '')?.[1] ?? '0'));
  const amount = -BigInt(line?.amount ?? '0');
  const { reason, credits, key } = said;
  const asked = { line: no, amount, reason, ...(credits && { credits }), ...(key === undefined ? {} : { key }) };
  return creditNote(invoice, corrected.number, earlier, { ...asked, version });
}
