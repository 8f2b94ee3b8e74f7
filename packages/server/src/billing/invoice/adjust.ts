/**
 * What is still to be billed: what is due by now, less what final documents have billed of it, by key. A key that was
 * never billed is billed line by line; of one that was, the difference is an adjustment that names the line it corrects.
 * So billed and adjusted always sum to what is due, however often and in whatever order things became known.
 */
import { decimalsOf } from '../../domain/money/currency.ts';
import { majorText } from '../../domain/money/money.ts';
import type { Quantity } from '../../domain/quantity.ts';
import type { Interval } from '../../domain/window.ts';
import { seriesDigest } from './canonical.ts';
import type { InvoiceDocument, Line, Step, TaxLine } from './document.ts';
import { type Due, isOpen, lineOf, sumOf, unmetered, worstOf } from './due.ts';
import { staysBilled } from './given-back.ts';
import { InvoiceError } from './invoice-error.ts';
import { rateName, taxOfLine } from './taxes.ts';

/** A line of a final document. */
export interface BilledLine {
  number: string;
  currency: string;
  line: Line;
  /** Of its document. */
  taxes: readonly TaxLine[];
}

/** A line without its number, and its amount in minor units. */
export interface Outstanding {
  line: Line;
  amount: bigint;
  /** Of a correction: the tax of the line that it corrects, null where that had none. */
  tax?: TaxLine | null;
}

/** What is looked at of a final document. */
export interface BilledDocument {
  number: string;
  document: Pick<InvoiceDocument, 'lines' | 'currency' | 'taxes' | 'credits'>;
}

/** Lines by key. Credits are among them where they correct; those that are gifts are no part of what is due. */
export function billedByKey(documents: readonly BilledDocument[]): Map<string, BilledLine[]> {
  const byKey = new Map<string, BilledLine[]>();
  for (const { number, document } of documents) {
    const { currency, taxes, credits } = document;
    for (const line of document.lines) {
      if (line.kind === 'credit' && credits !== 'correction') continue;
      const known = byKey.get(line.key);
      if (known === undefined) byKey.set(line.key, [{ number, currency, line, taxes }]);
      else known.push({ number, currency, line, taxes });
    }
  }
  return byKey;
}

/**
 * `isAbout`: whether a line that was billed, but of whose key nothing is due, is of the periods that `dues` are of.
 * `earlier`: the dues are of periods that are final. There nothing is printed that comes to nothing, and what is not known
 * for good waits for a later invoice; of the running period it is a line, which keeps the invoice from being final.
 * Throws InvoiceError `invoice.currency`.
 */
export function outstanding(
  dues: readonly Due[],
  billed: ReadonlyMap<string, readonly BilledLine[]>,
  isAbout: (line: Line) => boolean,
  currency: string,
  earlier: boolean,
): Outstanding[] {
  const byKey = new Map<string, Due[]>();
  for (const due of dues) {
    const same = byKey.get(due.key);
    if (same === undefined) byKey.set(due.key, [due]);
    else same.push(due);
  }
  const lines = [...byKey].flatMap(([key, ofKey]) => differences(ofKey, billed.get(key) ?? [], currency, earlier));
  const gone = [...billed].filter(([key, [first]]) => !byKey.has(key) && first !== undefined && isAbout(first.line));
  return [...lines, ...gone.flatMap(([, before]) => differences([], before, currency, earlier))];
}

function differences(
  dues: readonly Due[],
  before: readonly BilledLine[],
  currency: string,
  earlier: boolean,
): Outstanding[] {
  if (earlier && dues.some(isOpen)) return [];
  for (const one of before) if (one.currency !== currency) throw otherCurrency(one, currency);
  // Nearly every key: one line, never billed.
  if (before.length === 0 && dues.length === 1) return differencesIn(dues, before, currency, earlier);
  // Another category is another tax: what was billed under one is held against what is due under it.
  const categories = new Set([...dues, ...before.map(({ line }) => line)].map(({ taxCategory }) => taxCategory));
  if (categories.size === 1) return differencesIn(dues, before, currency, earlier);
  return [...categories].flatMap((category) =>
    differencesIn(
      dues.filter(({ taxCategory }) => taxCategory === category),
      before.filter(({ line }) => line.taxCategory === category),
      currency,
      earlier,
    ),
  );
}

/** Minor units of two currencies are never summed. */
function otherCurrency({ number, currency: billed, line }: BilledLine, currency: string): InvoiceError {
  const { account, plan, price, no } = line;
  const message = `was billed in ${billed} on ${number}:${no}, the invoice is in ${currency}`;
  return new InvoiceError('invoice.currency', { account, plan, price }, message);
}

function differencesIn(
  dues: readonly Due[],
  before: readonly BilledLine[],
  currency: string,
  earlier: boolean,
): Outstanding[] {
  if (dues.length === 0) return takenBack(before, currency);
  if (before.length === 0) {
    if (earlier && dues.every(({ amount }) => amount === 0n)) return [];
    return dues.map(plain);
  }
  const difference = differenceTo(sumOf(dues), before);
  return difference === 0n ? [] : [adjustment(dues, before, difference, currency)];
}

const isBilled = ({ line }: BilledLine): boolean => line.kind !== 'credit';

const billedSum = (before: readonly BilledLine[]): bigint =>
  before.reduce((sum, one) => (isBilled(one) ? sum + BigInt(one.line.amount) : sum), 0n);

/** What a credit note gave back already is not given back once more. */
const differenceTo = (due: bigint, before: readonly BilledLine[]): bigint => {
  const stays = before.every(isBilled)
    ? due
    : staysBilled(
        due,
        before.map(({ line }) => line),
      );
  return stays - billedSum(before);
};

const plain = (due: Due): Outstanding => ({ line: lineOf(due), amount: due.amount });

function adjustment(dues: readonly Due[], all: readonly BilledLine[], amount: bigint, currency: string): Outstanding {
  const before = all.filter(isBilled);
  const corrected = correctedLine(before);
  const { number, line } = corrected;
  const last = dues.at(-1) as Due;
  const series = dues.flatMap((due) => due.series);
  const adjusted: Line = {
    ...lineOf(last, `${number}:${line.no}, ${reasonOf(dues, before)}`),
    kind: 'adjustment',
    ...spanOf(dues),
    state: worstOf(dues),
    series,
    digest: seriesDigest(series),
    steps: [...dues.flatMap((due) => dueSteps(due, currency)), ...billedSteps(sumOf(dues), all, amount, currency)],
    exact: majorText(amount, decimalsOf(currency) ?? 0),
    amount: amount.toString(),
  };
  return { line: adjusted, amount, tax: taxOfLine(corrected.line, corrected.taxes) };
}

/** Billed, and by now not due at all: what was charged with each tax is given back with it. */
function takenBack(before: readonly BilledLine[], currency: string): Outstanding[] {
  const byRate = new Map<string, BilledLine[]>();
  for (const one of before) {
    const tax = taxOfLine(one.line, one.taxes);
    const name = tax === null ? '' : rateName(tax);
    byRate.set(name, [...(byRate.get(name) ?? []), one]);
  }
  return [...byRate.values()].flatMap((some) => takenBackAt(some, currency));
}

function takenBackAt(all: readonly BilledLine[], currency: string): Outstanding[] {
  const amount = differenceTo(0n, all);
  if (amount === 0n) return [];
  const before = all.filter(isBilled);
  const corrected = correctedLine(before);
  const { number, line } = corrected;
  const { tax: _tax, taxNo: _taxNo, ...rest } = line;
  const adjusted: Line = {
    ...rest,
    ...unmetered,
    no: 0,
    kind: 'adjustment',
    steps: billedSteps(0n, all, amount, currency),
    exact: majorText(amount, decimalsOf(currency) ?? 0),
    amount: amount.toString(),
    corrects: `${number}:${line.no}, ${line.kind === 'fee' ? 'the plan was left' : 'no longer due'}`,
  };
  return [{ line: adjusted, amount, tax: taxOfLine(corrected.line, corrected.taxes) }];
}

/** The last line of the key that is not an adjustment itself; else the first. */
const correctedLine = (before: readonly BilledLine[]): BilledLine =>
  before.findLast(({ line }) => line.kind !== 'adjustment') ?? (before[0] as BilledLine);

/** In the words of the customer: what has changed since the key was billed last, in whichever of its parts. */
function reasonOf(dues: readonly Due[], before: readonly BilledLine[]): string {
  const { number, line } = before.at(-1) as BilledLine;
  const last = dues.at(-1) as Due;
  if (last.kind === 'discount') return 'what it is off has changed';
  if (last.kind !== 'usage' && last.kind !== 'fee') return 'lines of the plan have changed';
  // A key may have been billed in parts: of a trial and of what came after it, of two prices.
  const parts = before.filter((one) => one.number === number).map((one) => one.line);
  const [now, then] = [spanOf(dues), spanOf(parts)];
  if (now.from !== then.from || now.to !== then.to) return 'change of plan';
  if (last.kind === 'usage' && usedIn(dues) !== usedIn(parts)) return 'late or corrected usage';
  return last.planVersion === line.planVersion ? 'change of what is included or of the price' : 'change of price';
}

/** By series, because an adjustment has those of all parts: where a part begins and ends is another question. */
const usedIn = (parts: readonly Pick<Line, 'series'>[]): Quantity =>
  parts.reduce((all, { series }) => series.reduce((sum, { quantity }) => sum + quantity, all), 0n);

const spanOf = (parts: readonly Interval[]): Interval => ({
  from: Math.min(...parts.map(({ from }) => from)),
  to: Math.max(...parts.map(({ to }) => to)),
});

function dueSteps(due: Due, currency: string): Step[] {
  const amount = majorText(due.amount, decimalsOf(currency) ?? 0);
  return [...due.steps, { text: 'due by now', quantity: null, unit: null, price: null, amount }];
}

/** Together with what is due they sum to the difference. */
function billedSteps(due: bigint, all: readonly BilledLine[], difference: bigint, currency: string): Step[] {
  const step = (text: string, minor: bigint): Step => {
    const amount = majorText(minor, decimalsOf(currency) ?? 0);
    return { text, quantity: null, unit: null, price: null, amount };
  };
  const billed = all.filter(isBilled);
  const steps = billed.map(({ number, line }) => step(`billed on ${number}:${line.no}`, -BigInt(line.amount)));
  const given = difference - due + billedSum(all);
  if (given === 0n) return steps;
  const notes = new Set(all.filter((one) => !isBilled(one)).map(({ number }) => number));
  return [...steps, step(`given back already by ${[...notes].join(', ')}`, given)];
}
