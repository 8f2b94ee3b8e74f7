/**
 * Metered = rated = invoiced = posted = paid, for one account: pure. Each stage is held against the one before it, and what
 * differs is said in minor units; what differs in no amount (a quantity, a text) counts as one, so that it is not lost.
 */
import type { Invoice, PostedTransaction, StoredPayment } from '../../store/billing-store.ts';
import { digestOf } from '../invoice/canonical.ts';
import type { InvoiceDocument, Line } from '../invoice/document.ts';
import { CASH } from '../ledger/books.ts';
import type { Again } from './again.ts';
import { readStored } from './stored.ts';

export const stages = ['metered', 'rated', 'invoiced', 'posted', 'paid'] as const;
export type Stage = (typeof stages)[number];

export interface Finding {
  stage: Stage;
  currency: string;
  /** Unexplained, minor units, above 0. */
  amount: bigint;
  account: string;
  /** Number of a document, reference of a payment, key of a transaction. */
  document: string;
  text: string;
}

const size = (n: bigint): bigint => (n < 0n ? -n : n);
const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((all, amount) => all + amount, 0n);

/** Names the first thing that does not agree with the stage before it. */
class Findings {
  readonly list: Finding[] = [];
  private readonly about: Pick<Finding, 'currency' | 'account' | 'document'>;

  constructor(about: Pick<Finding, 'currency' | 'account' | 'document'>) {
    this.about = about;
  }
  add(stage: Stage, amount: bigint, text: string): void {
    this.list.push({ ...this.about, stage, amount: amount === 0n ? 1n : size(amount), text });
  }
  same(stage: Stage, what: string, expected: bigint, found: bigint): void {
    if (expected !== found) this.add(stage, expected - found, `${what} is ${found}, not ${expected}`);
  }
}

/** The document as it is kept, against itself. */
export function documentFindings(invoice: Invoice): Finding[] {
  const { account, currency, number } = invoice;
  const findings = new Findings({ account, currency, document: number });
  const document = readStored(invoice);
  if (document === null || digestOf(invoice.document) !== invoice.digest)
    findings.add('invoiced', document === null ? invoice.total : 0n, 'its text is not what its digest says');
  if (document === null) return findings.list;
  const inside = sum(document.taxes.filter(({ inclusive }) => inclusive).map(({ amount }) => BigInt(amount)));
  const [net, tax, total] = [BigInt(document.net), BigInt(document.tax), BigInt(document.total)];
  findings.same('invoiced', 'net, by its lines,', sumOfLines(document.lines) - inside, net);
  findings.same('invoiced', 'tax, by its rates,', sum(document.taxes.map(({ amount }) => BigInt(amount))), tax);
  findings.same('invoiced', 'total, by net and tax,', net + tax, total);
  findings.same('invoiced', 'net beside the document', net, invoice.net);
  findings.same('invoiced', 'tax beside the document', tax, invoice.tax);
  findings.same('invoiced', 'total beside the document', total, invoice.total);
  return findings.list;
}

export const sumOfLines = (lines: readonly Line[]): bigint => sum(lines.map(({ amount }) => BigInt(amount)));

/** The document as it is kept, against what comes out now as of its S. */
export function againFindings({ invoice, document, failure }: Again): Finding[] {
  const { account, currency, number } = invoice;
  const findings = new Findings({ account, currency, document: number });
  const stored = readStored(invoice);
  if (stored !== null && document !== null) compareLines(findings, stored, document);
  if (document === null)
    findings.add('rated', invoice.total, `it cannot be computed any more: ${failure?.reason ?? ''}`);
  return findings.list;
}

function compareLines(findings: Findings, stored: InvoiceDocument, document: InvoiceDocument): void {
  for (let i = 0; i < Math.max(stored.lines.length, document.lines.length); i++) {
    const [a, b] = [stored.lines[i], document.lines[i]];
    const apart = BigInt(b?.amount ?? '0') - BigInt(a?.amount ?? '0');
    const { name = '', meter = '' } = a ?? b ?? {};
    const what = `line ${i + 1}, ${name},`;
    if ((a?.metered ?? null) !== (b?.metered ?? null) || a?.digest !== b?.digest)
      findings.add(
        'metered',
        apart,
        (a?.metered ?? null) === (b?.metered ?? null)
          ? `${what} is summed from other records or facts of ${meter} than it was`
          : `${what} has ${a?.metered ?? 'nothing'} of ${meter} metered, usage is ${b?.metered ?? 'nothing'}`,
      );
    else if (apart !== 0n || a?.key !== b?.key) findings.add('rated', apart, `${what} is rated otherwise`);
  }
}

/** Key of a document's own transaction: see post-document.ts. */
const keyOf = ({ kind, account, from, to, version }: Invoice): string => `${kind}/${account}/${from}/${to}/${version}`;

/** What the document posted; `transaction` undefined: there is none. */
export function postedFindings(invoice: Invoice, transaction: PostedTransaction | undefined): Finding[] {
  const { account, currency, number, net, tax, total } = invoice;
  const findings = new Findings({ account, currency, document: number });
  const [revenue, taxes, rest] = shares(transaction);
  findings.same('posted', 'revenue', -net, revenue);
  findings.same('posted', 'tax', -tax, taxes);
  findings.same('posted', 'the receivable', total, rest);
  if (transaction !== undefined && transaction.currency !== currency)
    findings.add('posted', total, `it is posted in ${transaction.currency}`);
  return findings.list;
}

/** On revenue, on tax, and on the customer's side. */
function shares(transaction: PostedTransaction | undefined): [bigint, bigint, bigint] {
  const [of, rest] = [[0n, 0n] as [bigint, bigint], [] as bigint[]];
  for (const { book, amount } of transaction?.postings ?? []) {
    if (book.startsWith('revenue/')) of[0] += amount;
    else if (book.startsWith('tax/')) of[1] += amount;
    else rest.push(amount);
  }
  return [...of, sum(rest)];
}

/** A payment against what it brought in. */
export function paymentFindings(payment: StoredPayment, transaction: PostedTransaction | undefined): Finding[] {
  const { account, currency, reference, kind, amount } = payment;
  const findings = new Findings({ account, currency, document: reference });
  const expected = kind === 'payment' ? amount : -amount;
  findings.same('paid', 'cash', expected, cashOf(transaction));
  return findings.list;
}

export const cashOf = (transaction: PostedTransaction | undefined): bigint =>
  sum((transaction?.postings ?? []).filter(({ book }) => book === CASH).map(({ amount }) => amount));

/** Transactions that nothing stands behind, and those that do not sum to zero. */
export function ledgerFindings(
  transactions: readonly PostedTransaction[],
  documents: readonly Invoice[],
  payments: readonly StoredPayment[],
): Finding[] {
  const known = new Set([...documents.map(keyOf), ...payments.map(({ transaction }) => transaction)]);
  return transactions.flatMap(({ key, kind, tenant, currency, postings }) => {
    const findings = new Findings({ account: tenant, currency, document: key });
    findings.same('posted', 'the sum of the transaction', 0n, sum(postings.map(({ amount }) => amount)));
    if (behind[kind] !== undefined && !known.has(key)) {
      const moved = sum(postings.map(({ amount }) => amount).filter((amount) => amount > 0n));
      findings.add(behind[kind], moved, `there is no ${kind} behind it`);
    }
    return findings.list;
  });
}

const behind: Partial<Record<PostedTransaction['kind'], Stage>> = {
  invoice: 'posted',
  'credit-note': 'posted',
  payment: 'paid',
  refund: 'paid',
};

export const transactionOfDocument = (
  transactions: ReadonlyMap<string, PostedTransaction>,
  invoice: Invoice,
): PostedTransaction | undefined => transactions.get(keyOf(invoice));
