/** A line of an invoice as it is printed: the figures, and below them in small print how they come about. */
import { majorText } from '../../domain/money/money.ts';
import { compare, multiply, ofDecimal, type Ratio, ratio, roundTo } from '../../domain/money/ratio.ts';
import type { InvoiceDocument, Line, Step } from '../invoice/document.ts';
import { flagSentences, stateSentences } from './sentences.ts';
import { amountText, clean, grouped, moneyText, quantityText, spanText } from './texts.ts';

/** `100 GB × 0.09` and what it makes; texts are ready to print. */
export interface StepRow {
  text: string;
  /** '' where nothing is multiplied. */
  reckoning: string;
  /** `= 9.00`. */
  amount: string;
}

export interface Row {
  no: string;
  name: string;
  span: string;
  quantity: string;
  /** Of one unit; '' where there is more to it: see the steps. */
  price: string;
  amount: string;
  steps: readonly StepRow[];
  /** Small print: what it corrects, its tax, what was metered. */
  notes: readonly string[];
  /** What the customer must know about the quantity. */
  warnings: readonly string[];
}

export function rowOf(line: Line, document: InvoiceDocument): Row {
  const only = onlyStep(line);
  return {
    no: String(line.no),
    name: clean(line.name === '' ? kindNames[line.kind] : line.name),
    span: spanText(line.from, line.to, document.zone) + (line.ahead ? ', in advance' : ''),
    quantity: line.quantity === null ? '' : quantityText(line.quantity, line.unit),
    price: only?.price == null ? '' : moneyText(only.price, document),
    amount: amountText(line.amount, document),
    steps: only === null && !isReasonOnly(line) ? line.steps.map((step) => stepRow(step, document)) : [],
    notes: notesOf(line, document),
    warnings: warningsOf(line),
  };
}

const kindNames: Readonly<Record<Line['kind'], string>> = {
  usage: 'Usage',
  fee: 'Fee',
  minimum: 'Minimum',
  commitment: 'Commitment',
  discount: 'Discount',
  adjustment: 'Correction',
  credit: 'Credit',
};

/** The one step that quantity, price and amount of the line already say. */
function onlyStep({ steps, quantity, exact }: Line): Step | null {
  const [step] = steps;
  if (step === undefined || steps.length > 1 || step.price === null) return null;
  return step.quantity === quantity && step.amount === exact ? step : null;
}

/** A correction's only step is its reason, which stands behind what it corrects. */
const isReasonOnly = ({ steps, corrects, exact }: Line): boolean => {
  const [step] = steps;
  return steps.length === 1 && step?.amount === exact && step.text !== '' && corrects.endsWith(`, ${step.text}`);
};

const stepRow = ({ text, quantity, unit, price, amount }: Step, document: InvoiceDocument): StepRow => {
  const times = quantity === null ? '' : quantityText(quantity, unit);
  const each = price === null ? '' : moneyText(price, document);
  return {
    text: clean(text),
    reckoning: times === '' || each === '' ? times + each : `${times} × ${each}`,
    amount: `= ${moneyText(amount, document)}`,
  };
};

function notesOf(line: Line, document: InvoiceDocument): string[] {
  const notes: string[] = [];
  if (line.corrects !== '') notes.push(`Corrects ${clean(line.corrects)}`);
  if (line.metered !== null && line.metered !== line.quantity)
    notes.push(`Metered: ${grouped(line.metered)} (${clean(line.meter)})`);
  if (line.taxCategory !== '' || document.taxes.length > 1) {
    const category = line.taxCategory === '' ? 'standard rate' : clean(line.taxCategory);
    const share = line.tax === undefined ? '' : `, ${amountText(line.tax, document)}`;
    notes.push(`Tax: ${category}${share}`);
  }
  const rounded = roundingNote(line, document);
  if (rounded !== '') notes.push(rounded);
  return notes;
}

/** What the rounding did, where it did something. */
function roundingNote({ exact, amount }: Line, { decimals, conventions }: InvoiceDocument): string {
  const value = ratioOf(exact);
  if (compare(multiply(value, ratio(10n ** BigInt(decimals))), ratio(BigInt(amount))) === 0) return '';
  const isRounded = roundTo(value, decimals, conventions.rounding) === BigInt(amount);
  const how = isRounded
    ? `rounded (${conventions.rounding}) to ${grouped(majorText(BigInt(amount), decimals))}`
    : 'rounded together with the other parts of its period, so that they add up';
  return `Exactly ${grouped(exact)}, ${how}`;
}

/** A decimal, or `a/b`. */
function ratioOf(text: string): Ratio {
  const [n = '0', d] = text.split('/');
  return d === undefined ? ofDecimal(n) : ratio(BigInt(n), BigInt(d));
}

function warningsOf({ state, flags }: Line): string[] {
  const ofState = stateSentences[state];
  const ofFlags = flags.map((flag) => flagSentences[flag]).filter((text) => text !== ofState);
  return ofState === '' ? ofFlags : [ofState, ...ofFlags];
}
