/** What the lines come to: net, each tax, total, and what is left to pay. */
import type { InvoiceDocument, TaxLine } from '../invoice/document.ts';
import type { Settled, Standing } from './standing.ts';
import { amountText, clean, cleanProse, dayText, grouped, lastDayText } from './texts.ts';

export interface Sum {
  text: string;
  /** Small print. */
  note: string;
  amount: string;
  /** total: what the invoice is about. due: what is left to do. */
  weight: 'plain' | 'total' | 'due';
}

export function sumsOf(document: InvoiceDocument, standing: Standing): Sum[] {
  const { currency } = document;
  const plain = (text: string, note: string, amount: string): Sum => ({ text, note, amount, weight: 'plain' });
  const lines = document.lines.reduce((all, line) => all + BigInt(line.amount), 0n);
  return [
    ...(lines === BigInt(document.net)
      ? []
      : [plain('Sum of the lines', 'with the taxes that are in them', amountText(lines, document))]),
    plain('Net', '', amountText(document.net, document)),
    ...taxSums(document).map(({ text, note, amount }) => plain(text, note, amount)),
    { text: `Total ${currency}`, note: '', amount: amountText(document.total, document), weight: 'total' },
    ...(standing.draft ? [] : standingSums(document, standing)),
  ];
}

function taxSums(document: InvoiceDocument): { text: string; note: string; amount: string }[] {
  if (document.taxes.length > 0) return document.taxes.map((tax) => taxSum(tax, document));
  const { exemption } = document.buyer;
  const note = exemption === '' ? 'none is charged' : `exempt: ${cleanProse(exemption)}`;
  return [{ text: 'Tax', note, amount: amountText(0n, document) }];
}

function taxSum(tax: TaxLine, document: InvoiceDocument): { text: string; note: string; amount: string } {
  const category = tax.category === '' ? '' : `, ${clean(tax.category)}`;
  const base = `of ${amountText(tax.base, document)}${tax.inclusive ? ', in the amounts of the lines' : ''}`;
  return {
    text: `${clean(tax.name)} ${grouped(tax.percent)} %`,
    note: `${clean(tax.jurisdiction)}${category}: ${base}`,
    amount: amountText(tax.amount, document),
  };
}

/** Credits and payments, and what is open after them. */
function standingSums(document: InvoiceDocument, standing: Standing): Sum[] {
  const { open, state, dueAt } = standing;
  if (state === 'void' || document.kind === 'credit-note') return [];
  const settled = settledOf(document, standing).map((one): Sum => {
    const text = one.at === null ? one.text : `${clean(one.text)}, ${dayText(one.at, document.zone)}`;
    return { text, note: '', amount: amountText(-one.amount, document), weight: 'plain' };
  });
  const by = open > 0n && dueAt !== null ? `due ${lastDayText(dueAt, document.zone)}` : '';
  const note = state === 'overdue' ? `${by}, overdue` : by;
  const text = open > 0n ? `Left to pay ${document.currency}` : 'Nothing left to pay';
  return [...settled, { text, note, amount: amountText(open, document), weight: 'due' }];
}

/** What was taken off the total, one by one as far as it is known: with it, the figures always add up to what is open. */
function settledOf({ total }: InvoiceDocument, { open, settled = [] }: Standing): SettledRow[] {
  if (BigInt(total) <= 0n) return [...settled];
  const rest = settled.reduce((left, { amount }) => left - amount, BigInt(total) - open);
  const text = settled.length === 0 ? 'Credits and payments so far' : 'Other credits and payments';
  return rest === 0n ? [...settled] : [...settled, { text, at: null, amount: rest }];
}

type SettledRow = Omit<Settled, 'at'> & { at: number | null };
