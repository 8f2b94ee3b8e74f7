/**
 * Whether final documents are what the facts say: each is computed again as of its own S, from facts alone, and compared
 * by its digest. Nothing is written.
 */
import type { Receipt } from '../../domain/fact.ts';
import type { BillingStore, Invoice, InvoiceFilter } from '../../store/billing-store.ts';
import type { BookReader } from '../run/expected.ts';
import { byFrontier, computeAgain } from './again.ts';
import { type Deviation, type DifferenceReader, deviationsOf } from './difference.ts';

export interface ProofDeps {
  billing: BillingStore;
  /** `factsOnly`: no record is taken. */
  meteredAt(asOf: Receipt, factsOnly: boolean): Promise<BookReader & DifferenceReader>;
}

export interface Verdict {
  invoice: Invoice;
  /** Empty: it is what it was. The last one is the first fact that differs. */
  deviations: readonly Deviation[];
}

export type VerifyStep =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'verdict'; verdict: Verdict; done: number; of: number };

/** Which ones: one, or all that the filter names. */
export type VerifyAsk = { id: number } | Omit<InvoiceFilter, 'limit' | 'before' | 'state' | 'now'>;

/** Documents computed at once: bounds what is held. */
const BATCH = 100;
const PAGE = 10_000;

/** Newest first. */
export async function* verify(deps: ProofDeps, ask: VerifyAsk): AsyncGenerator<VerifyStep> {
  const ids = await idsOf(deps.billing, ask);
  yield { kind: 'progress', done: 0, of: ids.length };
  const readers = new Readers(deps);
  for (let at = 0; at < ids.length; at += BATCH) {
    const found = await Promise.all(ids.slice(at, at + BATCH).map((id) => deps.billing.invoice(id)));
    const invoices = found.filter((one) => one !== null);
    const verdicts = await verdictsOf(deps, readers, invoices);
    for (const [i, verdict] of verdicts.entries()) yield { kind: 'verdict', verdict, done: at + i + 1, of: ids.length };
  }
}

async function idsOf(billing: BillingStore, ask: VerifyAsk): Promise<number[]> {
  if ('id' in ask) return [ask.id];
  const ids: number[] = [];
  for (let before: number | undefined; ; ) {
    const page = await billing.invoices({ ...ask, limit: PAGE, ...(before === undefined ? {} : { before }) });
    for (const { id } of page) ids.push(id);
    before = page.at(-1)?.id;
    if (page.length < PAGE || before === undefined) return ids;
  }
}

async function verdictsOf(deps: ProofDeps, readers: Readers, invoices: readonly Invoice[]): Promise<Verdict[]> {
  const verdicts = new Map<number, Verdict>();
  for (const [frontier, some] of byFrontier(invoices)) {
    for (const again of await computeAgain(deps.billing, await readers.facts(frontier), some)) {
      const deviations = await deviationsOf(again, () => readers.records(frontier));
      verdicts.set(again.invoice.id, { invoice: again.invoice, deviations });
    }
  }
  return invoices.flatMap(({ id }) => verdicts.get(id) ?? []);
}

/** Invoices of one run have one frontier: its book is folded once. */
class Readers {
  private readonly deps: ProofDeps;
  private last: { name: string; reader: ReturnType<ProofDeps['meteredAt']> } | null = null;

  constructor(deps: ProofDeps) {
    this.deps = deps;
  }

  facts(frontier: Receipt): ReturnType<ProofDeps['meteredAt']> {
    const name = String(frontier);
    if (this.last?.name !== name) this.last = { name, reader: this.deps.meteredAt(frontier, true) };
    return this.last.reader;
  }

  /** Where facts and records are held against each other. */
  records(frontier: Receipt): ReturnType<ProofDeps['meteredAt']> {
    return this.deps.meteredAt(frontier, false);
  }
}
