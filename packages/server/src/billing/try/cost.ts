/** What the running period of an account costs so far, and a forecast of what it will. */
import { type Instant, windowCeil } from '../../domain/window.ts';
import { partiesOf } from '../invoice/compose.ts';
import { asksUntil, type Estimate, type EstimatedLine, estimate, runningCharges } from '../invoice/estimate.ts';
import { type BookReader, readAll } from '../run/expected.ts';

export interface Cost extends Estimate {
  /** Whose lines these are: all that the payer pays for, or those of one account that somebody else pays for. */
  whole: boolean;
}

/**
 * `viewer`: accounts that may be told of; null: all. Of an account that is paid for by one out of sight there are its
 * own lines and their sum: taxes, discounts and minimum are the payer's. Null: nothing with a price runs now. Throws
 * InvoiceError.
 */
export async function costSoFar(
  reader: BookReader,
  account: string,
  now: Instant,
  viewer: ReadonlySet<string> | null,
): Promise<Cost | null> {
  const { book } = reader;
  const payer = book.billing.payerOf(account);
  const charges = runningCharges(book, payer, now, partiesOf(book, payer).entity.conventions);
  if (charges.scopes.length === 0) return null;
  // To the edge of the window that runs: nothing has happened between the two, and records are read by whole windows.
  const asks = asksUntil(charges, now).map((ask, i) =>
    ask.to < now ? ask : { ...ask, to: Math.min(charges.usage[i]?.ask.to ?? now, windowCeil(now)) },
  );
  // What has not begun is not asked about: its answer is the empty one.
  const isBegun = charges.usage.map(({ from }) => from < now);
  const begun = asks.filter((_, i) => isBegun[i]);
  const answers = await readAll(reader, begun);
  let at = 0;
  const metered = asks.map((_, i) => (isBegun[i] ? (answers[at++] ?? []) : []));
  const all = estimate(book, charges, metered, now);
  if (payer === account) return { ...all, whole: true };
  const own = (line: EstimatedLine): boolean =>
    book.isWithin(line.account, account) && (viewer === null || viewer.has(line.account));
  return { ...all, soFar: partOf(all.soFar, own), forecast: partOf(all.forecast, own), whole: false };
}

function partOf({ lines }: Estimate['soFar'], own: (line: EstimatedLine) => boolean): Estimate['soFar'] {
  const kept = lines.filter(own);
  const net = kept.reduce((sum, { amount }) => sum + amount, 0n);
  return { lines: kept, taxes: [], net, tax: 0n, total: net };
}
