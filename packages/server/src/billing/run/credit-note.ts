/** Credit notes as documents: part of a line by hand, or a whole invoice that is void. Pure. */
import { majorText } from '../../domain/money/money.ts';
import { divide, multiply, ratio, roundTo } from '../../domain/money/ratio.ts';
import type { BilledLine } from '../invoice/adjust.ts';
import type { InvoiceDocument, Line } from '../invoice/document.ts';
import { rateName, taxOfLine } from '../invoice/taxes.ts';
import { least, sumOf } from '../ledger/books.ts';
import { LedgerError } from '../ledger/ledger-error.ts';

const negated = (amount: string): string => (-BigInt(amount)).toString();
const plain = { quantity: null, unit: '', metered: null, meter: '', series: [], digest: '', flags: [] } as const;

/** What somebody asks for. */
export interface CreditAsk {
  /** Of the invoice. */
  line: number;
  /** Minor units, above 0. */
  amount: bigint;
  reason: string;
  /** See InvoiceDocument; left away: a gift. */
  credits?: InvoiceDocument['credits'];
  /** See InvoiceDocument. */
  key?: string;
}

/** What it is decided on. */
interface CreditState {
  /** Of the credit notes on this account and period. */
  version: number;
  /**
   * What was billed and credited of the line's key, by tax, on all documents that stand, the line itself among it: what
   * later invoices took back of it cannot be credited too. Left away to compute again what was allowed once.
   */
  billed?: readonly TaxedLine[];
}

export type TaxedLine = Pick<BilledLine, 'line' | 'taxes'>;

/**
 * The amount is as the line says it: with the tax in it where prices are. Its tax is the line's, in proportion; parts of
 * a line have parts of its tax that sum to it.
 *
 * @param notes credit notes on the invoice so far.
 * @throws LedgerError `invoice.line`, `invoice.too_much`
 */
export function creditNote(
  invoice: InvoiceDocument,
  number: string,
  notes: readonly InvoiceDocument[],
  { line: no, amount, reason, credits, key, version, billed }: CreditAsk & CreditState,
): InvoiceDocument {
  const line = invoice.lines.find((one) => one.no === no);
  if (line === undefined) throw new LedgerError('invoice.line', `${number} has no line ${no}`, 'line');
  const before = creditedOf(notes, `${number}:${no}`);
  const ofLine = BigInt(line.amount) - before;
  const left = billed === undefined ? ofLine : least(ofLine, leftOf({ line, taxes: invoice.taxes }, billed));
  if (amount <= 0n || amount > left) {
    const rest = majorText(left > 0n ? left : 0n, invoice.decimals);
    const message = `${rest} ${invoice.currency} can still be credited of ${number}:${no}`;
    throw new LedgerError('invoice.too_much', message, 'amount');
  }
  const tax = line.tax === undefined ? null : taxUpTo(line, before + amount) - taxUpTo(line, before);
  const credited: Line = {
    ...line,
    ...plain,
    no: 1,
    kind: 'credit',
    state: 'known',
    steps: [{ text: reason, quantity: null, unit: null, price: null, amount: majorText(-amount, invoice.decimals) }],
    exact: majorText(-amount, invoice.decimals),
    amount: (-amount).toString(),
    corrects: `${number}:${no}, ${reason}`,
  };
  if (tax !== null) credited.tax = (-tax).toString();
  const rate = taxOfLine(line, invoice.taxes);
  const inside = rate?.inclusive === true ? (tax ?? 0n) : 0n;
  const net = -(amount - inside);
  const taxes = rate === null ? [] : [{ ...rate, base: net.toString(), amount: (-(tax ?? 0n)).toString() }];
  return {
    ...headOf(invoice, number, reason, version),
    ...(credits === undefined ? {} : { credits }),
    ...(key === undefined ? {} : { key }),
    lines: [credited],
    taxes,
    net: net.toString(),
    tax: (-(tax ?? 0n)).toString(),
    total: (net - (tax ?? 0n)).toString(),
  };
}

/**
 * What stands of what was billed as the line was. Adjustments are made for each tax category, and for each rate where
 * nothing is due any more: of neither is more given back than was billed.
 */
function leftOf(of: TaxedLine, billed: readonly TaxedLine[]): bigint {
  const rate = rateNameOf(of);
  const sum = (some: readonly TaxedLine[]): bigint => sumOf(some.map(({ line }) => BigInt(line.amount)));
  const ofCategory = billed.filter(({ line }) => line.taxCategory === of.line.taxCategory);
  return least(sum(ofCategory), sum(ofCategory.filter((one) => rateNameOf(one) === rate)));
}

const rateNameOf = ({ line, taxes }: TaxedLine): string => {
  const tax = taxOfLine(line, taxes);
  return tax === null ? '' : rateName(tax);
};

/** The whole invoice with the opposite sign. */
export function voidNote(
  invoice: InvoiceDocument,
  number: string,
  { reason, version }: { reason: string; version: number },
): InvoiceDocument {
  const lines = invoice.lines.map((line): Line => {
    const exact = majorText(-BigInt(line.amount), invoice.decimals);
    const steps = [{ text: `all of ${number}:${line.no}`, quantity: null, unit: null, price: null, amount: exact }];
    const amounts = {
      exact,
      amount: negated(line.amount),
      ...(line.tax === undefined ? {} : { tax: negated(line.tax) }),
    };
    const corrects = `${number}:${line.no}, ${reason}`;
    return { ...line, ...plain, ...amounts, steps, kind: 'credit', state: 'known', corrects };
  });
  const taxes = invoice.taxes.map((tax) => ({ ...tax, base: negated(tax.base), amount: negated(tax.amount) }));
  const totals = { net: negated(invoice.net), tax: negated(invoice.tax), total: negated(invoice.total) };
  return { ...headOf(invoice, number, reason, version), lines, taxes, ...totals };
}

const headOf = (invoice: InvoiceDocument, number: string, reason: string, version: number) => ({
  ...invoice,
  kind: 'credit-note' as const,
  version,
  corrects: number,
  reason,
  basis: [],
});

const creditedOf = (notes: readonly InvoiceDocument[], place: string): bigint =>
  notes
    .flatMap(({ lines }) => lines)
    .filter(({ corrects }) => corrects.startsWith(`${place},`))
    .reduce((sum, { amount }) => sum - BigInt(amount), 0n);

/** Of the first so much of the line. */
const taxUpTo = (line: Line, amount: bigint): bigint =>
  roundTo(multiply(ratio(BigInt(line.tax ?? '0')), divide(ratio(amount), ratio(BigInt(line.amount)))), 0, 'half-up');
