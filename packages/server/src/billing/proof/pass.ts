/** One pass of reconciliation: sums by currency and meter, and what does not agree. */
import type { Receipt } from '../../domain/fact.ts';
import { parseQuantity, type Quantity } from '../../domain/quantity.ts';
import type { BillingStore, Invoice, PostedTransaction, StoredPayment } from '../../store/billing-store.ts';
import type { BookReader } from '../run/expected.ts';
import { type Again, byFrontier, computeAgain } from './again.ts';
import {
  againFindings,
  cashOf,
  documentFindings,
  type Finding,
  ledgerFindings,
  paymentFindings,
  postedFindings,
  stages,
  sumOfLines,
  transactionOfDocument,
} from './agree.ts';
import { type DifferenceReader, deviationsOf } from './difference.ts';
import { readStored } from './stored.ts';

export interface PassDeps {
  billing: BillingStore;
  meteredAt(asOf: Receipt): Promise<BookReader & DifferenceReader>;
}

/** Of one currency, minor units: each equals the one before it, with the signs of the ledger turned. */
export interface Sums {
  currency: string;
  documents: number;
  /** Lines as they come out now, as of their S; and as they were written down. */
  rated: bigint;
  lines: bigint;
  net: bigint;
  tax: bigint;
  total: bigint;
  receivable: bigint;
  revenue: bigint;
  taxes: bigint;
  payments: bigint;
  cash: bigint;
}

/** Of one meter, over all lines that were computed again. */
export interface MeterSum {
  meter: string;
  billed: Quantity;
  metered: Quantity;
}

export interface PassResult {
  sums: readonly Sums[];
  meters: readonly MeterSum[];
  /** By currency, minor units: nothing may be unexplained. */
  difference: Readonly<Record<string, bigint>>;
  /** By stage, then as they came; at most FINDINGS_MAX. */
  findings: readonly Finding[];
  /** How many there are. */
  found: number;
}

const FINDINGS_MAX = 200;
const PAGE = 10_000;

export class Pass {
  private readonly findings: Finding[] = [];
  private readonly sums = new Map<string, Sums>();
  private readonly meters = new Map<string, MeterSum>();
  private readonly deps: PassDeps;
  private readonly newest: number;
  private reader: { frontier: Receipt; reader: Promise<BookReader & DifferenceReader> } | null = null;

  constructor(deps: PassDeps, newest: number) {
    this.deps = deps;
    this.newest = newest;
  }

  result(): PassResult {
    const findings = this.findings.sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage));
    const difference: Record<string, bigint> = {};
    for (const { currency } of this.sums.values()) difference[currency] ??= 0n;
    for (const { currency, amount } of findings) difference[currency] = (difference[currency] ?? 0n) + amount;
    const sums = [...this.sums.values()];
    return {
      sums,
      meters: [...this.meters.values()],
      difference,
      findings: findings.slice(0, FINDINGS_MAX),
      found: findings.length,
    };
  }

  async again(ids: readonly number[]): Promise<void> {
    const { billing, meteredAt } = this.deps;
    const found = (await Promise.all(ids.map((id) => billing.invoice(id)))).filter((one) => one !== null);
    for (const [frontier, some] of byFrontier(found)) {
      if (this.reader?.frontier !== frontier) this.reader = { frontier, reader: meteredAt(frontier) };
      const reader = await this.reader.reader;
      for (const again of await computeAgain(billing, reader, some)) await this.compared(again, reader);
    }
  }

  private async compared(again: Again, reader: DifferenceReader): Promise<void> {
    const findings = againFindings(again);
    const [first] = findings;
    // Walking down to a record is work: not for what is not shown.
    if (first?.stage === 'metered' && this.findings.length < FINDINGS_MAX) {
      const deviation = (await deviationsOf(again, async () => reader)).at(-1);
      const isMetered = deviation?.level === 'record' || deviation?.level === 'series';
      if (isMetered) findings[0] = { ...first, text: `${first.text}: ${deviation.text}` };
    }
    this.findings.push(...findings);
    const stored = readStored(again.invoice)?.lines ?? [];
    const lines = again.document?.lines ?? [];
    this.of(again.invoice.currency).rated += sumOfLines(lines) - sumOfLines(stored);
    for (const { kind, meter, metered } of stored)
      if (kind === 'usage') this.meter(meter).billed += quantityOf(metered);
    for (const { kind, meter, metered } of lines)
      if (kind === 'usage') this.meter(meter).metered += quantityOf(metered);
  }

  /** What is older is read before what is newer, so that nothing that comes meanwhile seems to be missing. */
  async look(accounts: readonly string[]): Promise<void> {
    const { billing } = this.deps;
    const before = await pages((page) => billing.payments({ accounts, ...page }));
    const transactions = await pages((page) => billing.transactions({ tenants: accounts, ...page }));
    const documents = await billing.documentsOf(accounts, 0);
    const payments = await pages((page) => billing.payments({ accounts, ...page }));
    const byKey = new Map(transactions.map((transaction) => [transaction.key, transaction]));
    const known = documents.filter(({ id }) => id <= this.newest);
    for (const invoice of known) this.document(invoice, transactionOfDocument(byKey, invoice));
    for (const payment of before) this.payment(payment, byKey.get(payment.transaction));
    this.findings.push(...ledgerFindings(transactions, documents, payments));
  }

  private document(invoice: Invoice, posted: PostedTransaction | undefined): void {
    this.findings.push(...documentFindings(invoice), ...postedFindings(invoice, posted));
    const sums = this.of(invoice.currency);
    const lines = sumOfLines(readStored(invoice)?.lines ?? []);
    sums.documents++;
    sums.lines += lines;
    sums.rated += lines;
    sums.net += invoice.net;
    sums.tax += invoice.tax;
    sums.total += invoice.total;
    for (const { book, amount } of posted?.postings ?? []) {
      if (book.startsWith('revenue/')) sums.revenue += amount;
      else if (book.startsWith('tax/')) sums.taxes += amount;
      else sums.receivable += amount;
    }
  }

  private payment(payment: StoredPayment, transaction: PostedTransaction | undefined): void {
    this.findings.push(...paymentFindings(payment, transaction));
    const sums = this.of(payment.currency);
    sums.payments += payment.kind === 'payment' ? payment.amount : -payment.amount;
    sums.cash += cashOf(transaction);
  }

  private of(currency: string): Sums {
    const known = this.sums.get(currency);
    if (known !== undefined) return known;
    const zero = { rated: 0n, lines: 0n, net: 0n, tax: 0n, total: 0n, receivable: 0n, revenue: 0n, taxes: 0n };
    const made: Sums = { currency, documents: 0, ...zero, payments: 0n, cash: 0n };
    this.sums.set(currency, made);
    return made;
  }

  private meter(meter: string): MeterSum {
    const known = this.meters.get(meter);
    if (known !== undefined) return known;
    const made: MeterSum = { meter, billed: 0n, metered: 0n };
    this.meters.set(meter, made);
    return made;
  }
}

const quantityOf = (metered: string | null): Quantity => (metered === null ? 0n : parseQuantity(metered));

/** All pages of a list, newest first. */
async function pages<R extends { id: number }>(
  read: (page: { before?: number; limit: number }) => Promise<R[]>,
): Promise<R[]> {
  const all: R[] = [];
  for (let before: number | undefined; ; ) {
    const rows = await read({ limit: PAGE, ...(before === undefined ? {} : { before }) });
    all.push(...rows);
    before = rows.at(-1)?.id;
    if (before === undefined || rows.length < PAGE) return all;
  }
}
