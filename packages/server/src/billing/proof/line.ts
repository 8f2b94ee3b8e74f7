/** What a line of a final document came of: its price, plan, entitlement, tax, as of the document's S, and what was metered. */
import { entitlementAt, type HeldEntitlement } from '../../domain/limit/in-force.ts';
import type { Plan } from '../../domain/limit/plan.ts';
import type { Price } from '../../domain/price/price.ts';
import type { BillingStore, Invoice } from '../../store/billing-store.ts';
import type { MeteredAsk } from '../../usage/metered.ts';
import type { InvoiceDocument, Line, TaxLine } from '../invoice/document.ts';
import { taxOfLine } from '../invoice/taxes.ts';
import type { BookReader } from '../run/expected.ts';
import { computeAgain } from './again.ts';
import { askedFor } from './difference.ts';

export interface LineReader extends BookReader {
  /** What to give to `explain` as of the reader's frontier. */
  references(ask: MeteredAsk): Promise<string[]>;
}

export interface ExplainedLine {
  line: Line;
  /** The version in force at the line's last instant; null: the line is of no plan. */
  plan: Pick<Plan, 'key' | 'version' | 'receipt' | 'from'> | null;
  /** Null: a discount, a minimum, or a price that is not there any more. */
  price: Price | null;
  /** What is included by it, with the receipt of the plan or override that says so; null: nothing is. */
  entitlement: HeldEntitlement | null;
  tax: TaxLine | null;
  /** The line of the document computed again now, as of the same S; null: there is none. */
  again: Line | null;
  /** Records it was summed from, `SERIES@FROM/TO`, as of S. */
  references: readonly string[];
  /** Records or events in them. */
  count: bigint;
}

/** Null: there is no such line. `reader` is of the document's S. */
export async function explainLine(
  billing: BillingStore,
  reader: LineReader,
  invoice: Invoice,
  document: InvoiceDocument,
  no: number,
): Promise<ExplainedLine | null> {
  const line = document.lines.find((one) => one.no === no);
  if (line === undefined) return null;
  const [again] = await computeAgain(billing, reader, [invoice]);
  const asked = again?.from && line.meter !== '' ? askedFor(again.from, line) : [];
  const references = new Set<string>();
  for (const { ask } of asked) for (const text of await reader.references(ask)) references.add(text);
  const answers = asked.flatMap(({ answer }) => answer);
  return {
    line,
    ...termsOf(reader, line),
    tax: taxOfLine(line, document.taxes),
    again: again?.document?.lines[no - 1] ?? null,
    references: [...references],
    count: answers.reduce((sum, { count }) => sum + count, 0n),
  };
}

function termsOf({ book }: BookReader, line: Line): Pick<ExplainedLine, 'plan' | 'price' | 'entitlement'> {
  const last = line.to > line.from ? line.to - 1 : line.from;
  const plan = book.catalogue.planVersions(line.plan).find(({ version }) => version === line.planVersion);
  if (plan === undefined) return { plan: null, price: null, entitlement: null };
  const { key, version, receipt, from } = plan;
  const isPriced = line.kind === 'usage' || line.kind === 'fee' || line.kind === 'adjustment';
  const price = (isPriced && plan.billing?.prices.find((one) => one.key === line.price)) || null;
  const included = price?.kind === 'usage' ? price.included : null;
  const named = included !== null && 'entitlement' in included ? included.entitlement : null;
  const entitlement = named === null ? null : (entitlementAt(book, line.account, line.plan, named, last) ?? null);
  return { plan: { key, version, receipt, from }, price, entitlement };
}
