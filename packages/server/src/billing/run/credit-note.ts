/** Credit notes as documents: part of a line by hand, or a whole invoice that is void. Pure. */
import { majorText } from '../../domain/money/money.ts';
import { divide, multiply, ofDecimal, ratio, roundTo } from '../../domain/money/ratio.ts';
import type { InvoiceDocument, Line, TaxLine } from '../invoice/document.ts';
import { least, sumOf } from '../ledger/books.ts';
import { ByHandError } from './by-hand-error.ts';

const negated = (amount: string): string => (-BigInt(amount)).toString();
const plain = { quantity: null, unit: '', metered: null, meter: '', series: [], digest: '', flags: [] } as const;

interface CreditAsk {
  /** Of the invoice. */
  line: number;
  /** Minor units, above 0. */
  amount: bigint;
  reason: string;
  /** Of the credit notes on this account and period. */
  version: number;
  /**
   * Lines of the line's key on all documents that stand, itself among them: what later invoices took back of it cannot be
   * credited too. Left away to compute again what was allowed once.
   */
  ofKey?: readonly Line[];
}

/**
 * The amount is as the line says it: with the tax in it where prices are. Its tax is the line's, in proportion; parts of
 * a line have parts of its tax that sum to it.
 *
 * @param notes credit notes on the invoice so far.
 * @throws ByHandError `invoice.line`, `invoice.too_much`
 */
export function creditNote(
  invoice: InvoiceDocument,
  number: string,
  notes: readonly InvoiceDocument[],
  { line: no, amount, reason, version, ofKey }: CreditAsk,
): InvoiceDocument {
  const line = invoice.lines.find((one) => one.no === no);
  if (line === undefined) throw new ByHandError('invoice.line', `${number} has no line ${no}`, 'line');
  const before = creditedOf(notes, `${number}:${no}`);
  const ofLine = BigInt(line.amount) - before;
  const left = ofKey === undefined ? ofLine : least(ofLine, sumOf(ofKey.map((one) => BigInt(one.amount))));
  if (amount <= 0n || amount > left) {
    const rest = majorText(left > 0n ? left : 0n, invoice.decimals);
    const message = `${rest} ${invoice.currency} can still be credited of ${number}:${no}`;
    throw new ByHandError('invoice.too_much', message, 'amount');
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
  const rate = tax === null ? null : rateOf(invoice, line);
  const inside = rate?.inclusive === true ? (tax ?? 0n) : 0n;
  const net = -(amount - inside);
  const taxes = rate === null ? [] : [{ ...rate, base: net.toString(), amount: (-(tax ?? 0n)).toString() }];
  return {
    ...headOf(invoice, number, reason, version),
    lines: [credited],
    taxes,
    net: net.toString(),
    tax: (-(tax ?? 0n)).toString(),
    total: (net - (tax ?? 0n)).toString(),
  };
}

/** The whole invoice with the opposite sign. */
export function voidNote(
  invoice: InvoiceDocument,
  number: string,
  { reason, version }: Pick<CreditAsk, 'reason' | 'version'>,
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

/** A category may have had two rates in the period: the line's is the one that makes its tax. */
function rateOf({ taxes }: InvoiceDocument, line: Line): TaxLine | null {
  const rates = taxes.filter(({ category }) => category === line.taxCategory);
  const [amount, tax] = [BigInt(line.amount), BigInt(line.tax ?? '0')];
  const off = (rate: TaxLine): bigint => {
    const percent = ofDecimal(rate.percent);
    const whole = rate.inclusive ? { n: percent.n + 100n * percent.d, d: percent.d } : ratio(100n);
    const expected = roundTo(divide(multiply(ratio(amount), percent), whole), 0, 'half-up');
    return expected > tax ? expected - tax : tax - expected;
  };
  return rates.reduce<TaxLine | null>((best, rate) => (best === null || off(rate) < off(best) ? rate : best), null);
}
