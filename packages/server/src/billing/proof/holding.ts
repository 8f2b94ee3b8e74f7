/** Upwards: which lines of final documents a reading or event is in. */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import { metersOf } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import type { BillingStore } from '../../store/billing-store.ts';
import { billersOf } from '../run/past.ts';
import { readStored } from './stored.ts';

export interface FactPlace {
  receipt: Receipt;
  t: Instant;
  account: string;
  /** Keys of meters that count it, and the series it is in of each. */
  counted: readonly { meter: string; series: number }[];
}

export interface HoldingLine {
  account: string;
  number: string;
  line: number;
  name: string;
}

/** By account, time and series: the documents of who may have been billed for it since. */
export async function linesHolding(billing: BillingStore, book: Book, fact: FactPlace): Promise<HoldingLine[]> {
  const documents = await billing.documentsOf(billersOf(book, [fact.account]), fact.t);
  const known = documents.filter(({ kind, frontier }) => kind === 'invoice' && frontier >= fact.receipt);
  return known.flatMap((invoice) => {
    const lines = readStored(invoice)?.lines ?? [];
    const holding = lines.filter(
      (line) =>
        line.account === fact.account &&
        line.from <= fact.t &&
        fact.t < line.to &&
        isSummedFrom(line.meter, line, fact),
    );
    return holding.map(({ no, name }) => ({ account: invoice.account, number: invoice.number, line: no, name }));
  });
}

const isSummedFrom = (meter: string, { series }: { series: readonly { series: number }[] }, fact: FactPlace): boolean =>
  fact.counted.some((one) => metersOf(meter).includes(one.meter) && series.some((of) => of.series === one.series));
