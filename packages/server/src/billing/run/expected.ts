/** What an invoice of an account and a period would be, as of any S: computed, nothing written. */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Interval } from '../../domain/window.ts';
import type { BillingStore } from '../../store/billing-store.ts';
import type { Metered, MeteredAsk, MeteredReader } from '../../usage/metered.ts';
import type { Draft } from '../invoice/document.ts';
import { type Frame, framesOf, paidBy } from '../invoice/frames.ts';
import { lookedAt } from './looked.ts';
import { billersOf, isFor, pastOf } from './past.ts';
import { draftOf, type Reckoning, reckon } from './reckon.ts';

/** A reader of usage with the book of the same S. */
export type BookReader = MeteredReader & { readonly book: Book };

export interface ExpectDeps {
  billing: BillingStore;
  meteredAt(asOf: Receipt | null): Promise<BookReader>;
}

export interface Expected {
  draft: Draft;
  /** Charges of the invoice and of the earlier ones that were looked at, with all asks. */
  reckoning: Reckoning;
  /** In the order of `reckoning.asks`. */
  answers: readonly (readonly Metered[])[];
  reader: BookReader;
}

export interface ExpectOptions {
  version?: number;
  /** Id of a final document: what was final before it counts. 0: all that is final now. */
  before?: number;
}

/** Most asks in one call of a reader, whose answers are held at once. */
const ASKS_MAX = 20_000;

/**
 * `from` = `to` of the interval: the first invoice of a subscription. All earlier documents of the accounts are looked at
 * again. `asOf` null: as of what the usage job has accounted for; a reader that is open already is taken as it is.
 * Throws InvoiceError for what cannot be billed.
 */
export async function expectedDraft(
  deps: ExpectDeps,
  account: string,
  { from, to }: Interval,
  asOf: Receipt | null | BookReader,
  { version = 1, before = 0 }: ExpectOptions = {},
): Promise<Expected> {
  const reader = asOf === null || typeof asOf === 'number' ? await deps.meteredAt(asOf) : asOf;
  const { book } = reader;
  const reckoning = await reckoningOf(deps.billing, book, account, { from, to, version, before });
  const answers = await readAll(reader, reckoning.asks);
  return { draft: draftOf(book, reckoning, answers, reader.frontier), reckoning, answers, reader };
}

/** All that was before is looked at. Throws InvoiceError. */
export async function reckoningOf(
  billing: BillingStore,
  book: Book,
  payer: string,
  { from, to, version, before }: Interval & Required<ExpectOptions>,
): Promise<Reckoning> {
  const frame = frameOf(book, payer, { from, to });
  const accounts = paidBy(book, payer);
  const found = await pastOf(billing, billersOf(book, [payer, ...accounts]), 0, before);
  const about = new Set([payer, ...accounts]);
  const past = found.filter((one) => isFor(one, about));
  const invoices = past.filter(({ kind }) => kind === 'invoice');
  return reckon(book, { payer, frame, version, past, looked: lookedAt(book, accounts, invoices, frame.from) });
}

/** With the beginning of the period after it, for what is paid in advance. */
export function frameOf(book: Book, payer: string, { from, to }: Interval): Frame {
  for (const frame of framesOf(book, payer, from - 1)) {
    if (frame.from === from && frame.to === to) return frame;
    if (frame.from > from) break;
  }
  return { from, to, next: to };
}

/** In the order of the asks, however many. */
export async function readAll(reader: MeteredReader, asks: readonly MeteredAsk[]): Promise<Metered[][]> {
  if (asks.length <= ASKS_MAX) return reader.read(asks);
  const answers: Metered[][] = [];
  for (let at = 0; at < asks.length; at += ASKS_MAX) {
    for (const answer of await reader.read(asks.slice(at, at + ASKS_MAX))) answers.push(answer);
  }
  return answers;
}
