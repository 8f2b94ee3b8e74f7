/** A line of an invoice for people: how to compute its amount by hand, and where each figure comes from. */
import type { Io } from './io.ts';
import { moneyText } from './money.ts';
import { modelText } from './price-text.ts';
import { grouped, unitText } from './quantity.ts';
import { plain, table } from './table.ts';

interface Step {
  text: string;
  quantity: string | null;
  unit: string | null;
  price: string | null;
  amount: string;
}
interface Price {
  key: string;
  name: string;
  kind: string;
  amount?: string;
  per?: unknown;
  term?: string;
  model?: Parameters<typeof modelText>[0];
}
export interface ExplainedLine {
  kind: 'line';
  invoice: { number: string; kind: string; account: string; from: string; to: string; frontier: number };
  line: {
    no: number;
    kind: string;
    account: string;
    name: string;
    from: string;
    to: string;
    quantity: string | null;
    unit: string;
    metered: string | null;
    meter: string;
    state: string;
    flags: string[];
    steps: Step[];
    exact: string;
    amount: string;
    tax: string | null;
    currency: string;
    corrects: string;
  };
  meterUnit: string | null;
  rounding: string;
  plan: { key: string; version: number; receipt: number; from: string } | null;
  price: Price | null;
  entitlement: { key: string; amount: number | null; unit: string; per: string; receipt: number } | null;
  tax: { name: string; percent: string; inclusive: boolean; base: string; amount: string; jurisdiction: string } | null;
  again: string | null;
  references: string[];
  facts: { receipt: number; t: string; value: string; amount: string | null; outcome: string }[];
  factsShown: boolean;
}

const number = (text: string): string => (text.includes('/') ? text : grouped(text));
const amountOf = (quantity: string, unit: string): string => `${number(quantity)} ${unitText(unit)}`.trim();

const priceText = (price: Price, { currency, unit }: ExplainedLine['line']): string => {
  if (price.model === undefined)
    return `${price.amount ?? ''} ${currency} ${price.per === 'once' ? 'once' : `a period, in ${price.term ?? ''}`}`;
  const isPerUnit = ['per_unit', 'graduated', 'volume'].includes(price.model.model);
  return `${modelText(price.model)} ${currency}${isPerUnit && unit !== '' ? ` per ${unitText(unit)}` : ''}`;
};

/** Percents are of money; all else is money. */
const stepPrice = (price: string, currency: string): string =>
  /^-?[\d.]+$/.test(price) ? `${price} ${currency}` : price;

/** What it says, a line a figure. */
const figures = ({
  line,
  plan,
  price,
  entitlement,
  tax,
  again,
  rounding,
  meterUnit,
}: ExplainedLine): [string, string][] => {
  const { currency } = line;
  const rows: [string, string][] = [['for', `${line.from} to ${line.to}`]];
  if (line.corrects !== '') rows.push(['corrects', line.corrects]);
  if (line.metered !== null)
    rows.push([
      'metered',
      `${amountOf(line.metered, meterUnit ?? '')} on ${line.meter}, ${[...new Set([line.state, ...line.flags])].join(', ')}`,
    ]);
  if (line.quantity !== null) rows.push(['quantity', amountOf(line.quantity, line.unit)]);
  if (plan !== null)
    rows.push(['plan', `${plan.key} version ${plan.version}, from ${plan.from}, fact receipt ${plan.receipt}`]);
  if (price !== null) rows.push(['price', `${price.key}: ${priceText(price, line)}`]);
  if (entitlement !== null) {
    const { key, amount, unit, per, receipt } = entitlement;
    const included = amount === null ? 'unlimited' : amountOf(String(amount), unit);
    rows.push(['included', `${key}: ${included} per ${per}, fact receipt ${receipt}`]);
  }
  rows.push(['exact', `${number(line.exact)} ${currency}`]);
  rows.push(['amount', `${moneyText(line.amount, currency)}, rounded ${rounding}`]);
  if (tax !== null) {
    const where = tax.inclusive ? 'in the amount' : 'on the amount';
    const sum = `${moneyText(tax.amount, currency)} of ${moneyText(tax.base, currency)} in all`;
    rows.push(['tax', `${moneyText(line.tax ?? '0', currency)} ${where}: ${tax.name} ${tax.percent}%, ${sum}`]);
  }
  rows.push(['again', again === null ? 'not computed' : againText(again, line.amount, currency)]);
  return rows;
};

const againText = (again: string, amount: string, currency: string): string =>
  again === amount ? 'computed now, it is the same' : `computed now, it is ${moneyText(again, currency)}`;

export const showLine = (io: Io, explained: ExplainedLine): void => {
  const { invoice, line, references, facts, factsShown } = explained;
  const unit = unitText(explained.meterUnit ?? '');
  io.out(`Line ${line.no} of ${plain(invoice.number)}, ${plain(line.name)} of ${plain(line.account)}\n`);
  io.out(`facts up to ${invoice.frontier}\n\n`);
  for (const [name, text] of figures(explained)) io.out(`${name.padEnd(12)} ${plain(text)}\n`);
  if (line.steps.length > 0) io.out('\nSteps\n');
  io.out(
    table(line.steps, [
      { title: 'step', cell: (s) => s.text },
      { title: 'quantity', cell: (s) => (s.quantity === null ? '' : amountOf(s.quantity, s.unit ?? '')), right: true },
      { title: 'price', cell: (s) => (s.price === null ? '' : stepPrice(s.price, line.currency)), right: true },
      { title: 'amount', cell: (s) => `${number(s.amount)} ${line.currency}`, right: true },
    ]),
  );
  if (references.length > 0) io.out('\nRecords, each explained by\n');
  for (const ref of references) io.out(`tollgate explain ${plain(ref)} --as-of ${invoice.frontier}\n`);
  if (!factsShown || facts.length === 0) return;
  io.out('\nReadings and events\n');
  io.out(
    table(facts, [
      { title: 'receipt', cell: (f) => String(f.receipt), right: true },
      { title: 'time', cell: (f) => f.t },
      { title: 'value', cell: (f) => `${grouped(f.value)} ${unit}`.trim(), right: true },
      {
        title: 'added',
        cell: (f) => (f.amount === null ? '' : `${grouped(f.amount)} ${unit}`.trim()),
        right: true,
      },
      { title: 'outcome', cell: (f) => f.outcome },
    ]),
  );
};
