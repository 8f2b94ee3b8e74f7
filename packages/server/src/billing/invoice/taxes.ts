/**
 * Taxes of an invoice: one rounding for each rate, over the sum of its lines; lines get their shares by largest
 * remainder. A line's rate is that of the last instant it is for; a correction has that of the line it corrects, with its
 * jurisdiction and whether it is in the price, or none where that had none.
 */
import type { Profile, Tax } from '../../domain/billing/billing.ts';
import type { Book } from '../../domain/book.ts';
import { apportion } from '../../domain/money/allocate.ts';
import { add, divide, multiply, ofDecimal, type Ratio, ratio, roundTo } from '../../domain/money/ratio.ts';
import type { Rounding } from '../../domain/quantity.ts';
import type { Line, TaxLine } from './document.ts';
import { InvoiceError } from './invoice-error.ts';

/** A line, and its amount in minor units. */
export interface Taxable {
  line: Pick<Line, 'account' | 'plan' | 'price' | 'from' | 'to' | 'taxCategory'>;
  amount: bigint;
  /** Of the line that it corrects, null where that had none; left away: what holds for it now. */
  tax?: TaxLine | null;
}

export interface Taxed {
  taxes: readonly TaxLine[];
  /** Of each line, in their order; null where there is no tax. */
  shares: readonly (bigint | null)[];
  /** Index of its tax among `taxes`, where several are of its category; else null. */
  places: readonly (number | null)[];
  /** What was in the lines' amounts. */
  inside: bigint;
  /** All of it. */
  total: bigint;
  used: readonly Tax[];
}

/**
 * None for a profile without a jurisdiction, or with an exemption, but on corrections of what was taxed. A category that the jurisdiction has no rate for is
 * refused: a wrong tax is worse than none yet. Throws InvoiceError `invoice.tax`.
 */
export function taxesOf(book: Book, profile: Profile, lines: readonly Taxable[], mode: Rounding): Taxed {
  const shares: (bigint | null)[] = lines.map(() => null);
  const rates = ratesOf(book, profile, lines);
  const seen = new Map<string, number>();
  for (const { rate } of rates) seen.set(rate.category, (seen.get(rate.category) ?? 0) + 1);
  const places: (number | null)[] = lines.map(() => null);
  let [inside, total] = [0n, 0n];
  const taxes = rates.map(({ rate, of }, no) => {
    const amounts = of.map((i) => (lines[i] as Taxable).amount);
    const sum = amounts.reduce((a, b) => a + b, 0n);
    const part = partOf(rate);
    const amount = roundTo(multiply(ratio(sum), part), 0, mode);
    for (const [at, share] of apportion(amount, amounts, part).entries()) shares[of[at] as number] = share;
    if ((seen.get(rate.category) ?? 0) > 1) for (const i of of) places[i] = no;
    total += amount;
    if (rate.inclusive) inside += amount;
    return taxLine(rate, rate.inclusive ? sum - amount : sum, amount);
  });
  return { taxes, shares, places, inside, total, used: rates.flatMap(({ tax }) => tax ?? []) };
}

type Rate = Omit<TaxLine, 'base' | 'amount'>;

interface Rated {
  rate: Rate;
  /** Null: no line has it now. */
  tax: Tax | null;
  /** Indices of lines. */
  of: number[];
}

/** Corrections are summed with what has the same rate now. */
function ratesOf(book: Book, profile: Profile, lines: readonly Taxable[]): Rated[] {
  const isFree = profile.jurisdiction === '' || profile.exemption !== '';
  const now = new Map<Tax, Rated>();
  for (const [i, { line, tax: given }] of lines.entries()) {
    if (isFree || given !== undefined) continue;
    const tax = rateFor(book, profile, line);
    const known = now.get(tax);
    if (known === undefined) now.set(tax, { rate: tax, tax, of: [i] });
    else known.of.push(i);
  }
  const rates = [...now.values()];
  for (const [i, { tax }] of lines.entries()) {
    if (tax === undefined || tax === null) continue;
    const known = rates.find(({ rate }) => rateName(rate) === rateName(tax));
    if (known === undefined) rates.push({ rate: tax, tax: null, of: [i] });
    else known.of.push(i);
  }
  for (const { of } of rates) of.sort((a, b) => a - b);
  return rates.sort(compareRates);
}

/** Which of its document's taxes a line has; null: it has none. */
export function taxOfLine({ tax, taxCategory, taxNo }: Line, taxes: readonly TaxLine[]): TaxLine | null {
  if (tax === undefined) return null;
  const found = taxes.filter(({ category }) => category === taxCategory);
  // A credit note for one line has one tax, wherever it stood on the invoice.
  return (found.length > 1 && taxNo !== undefined ? taxes[taxNo] : found[0]) ?? null;
}

/** Equal for rates that are one on an invoice. */
export const rateName = ({ name, jurisdiction, category, percent, inclusive }: Rate): string =>
  JSON.stringify([name, jurisdiction, category, percent, inclusive]);

function rateFor(book: Book, { jurisdiction }: Profile, line: Taxable['line']): Tax {
  const at = line.to > line.from ? line.to - 1 : line.from;
  const tax = book.billing.taxAt(jurisdiction, line.taxCategory, at);
  if (tax !== undefined) return tax;
  const category = line.taxCategory === '' ? 'the standard rate' : `the category ${JSON.stringify(line.taxCategory)}`;
  throw new InvoiceError('invoice.tax', line, `${jurisdiction} has no tax for ${category} at ${at}`);
}

/** By category, then time; what holds for no line any more first. */
function compareRates(a: Rated, b: Rated): number {
  if (a.rate.category !== b.rate.category) return a.rate.category < b.rate.category ? -1 : 1;
  return (a.tax?.from ?? -1) - (b.tax?.from ?? -1);
}

/** What of an amount is tax: p / 100, or what is in it, p / (100 + p). */
function partOf({ percent, inclusive }: Rate): Ratio {
  const rate = ofDecimal(percent);
  const hundred = ratio(100n);
  return divide(rate, inclusive ? add(hundred, rate) : hundred);
}

const taxLine = (
  { name, jurisdiction, category, percent, inclusive }: Rate,
  base: bigint,
  amount: bigint,
): TaxLine => ({
  name,
  jurisdiction,
  category,
  percent,
  inclusive,
  base: base.toString(),
  amount: amount.toString(),
});
