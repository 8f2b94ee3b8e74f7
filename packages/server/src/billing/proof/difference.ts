/** What of a final document is not what it was: from its text down to the first fact that differs. */
import { formatInstant } from '../../domain/calendar.ts';
import type { Receipt } from '../../domain/fact.ts';
import { majorText } from '../../domain/money/money.ts';
import type { Instant } from '../../domain/window.ts';
import type { Invoice } from '../../store/billing-store.ts';
import type { Difference as UsageDifference } from '../../usage/index.ts';
import type { Metered, MeteredAsk, MeteredSeries } from '../../usage/metered.ts';
import { canonicalText, digestOf, documentText } from '../invoice/canonical.ts';
import type { Basis, InvoiceDocument, Line } from '../invoice/document.ts';
import { readKey } from '../invoice/key.ts';
import type { Again } from './again.ts';
import { readStored } from './stored.ts';

export type Level = 'document' | 'failure' | 'basis' | 'line' | 'record' | 'series';

/** One step of the walk, from the document down. */
export interface Deviation {
  level: Level;
  /** A whole sentence. */
  text: string;
  /** As it was written down, and as it comes out now; null: there is none. */
  stored: string | null;
  computed: string | null;
  /** Where it has one: the line's number, the fact's receipt, the series, the window. */
  line?: number;
  receipt?: Receipt;
  series?: number;
  window?: Instant;
  /** Readings or events that it is made of. */
  facts?: readonly { receipt: Receipt; t: Instant; text: string }[];
}

export interface DifferenceReader {
  firstDifference(ask: MeteredAsk, then: readonly MeteredSeries[]): Promise<UsageDifference | null>;
}

/** Empty: it is what it was. The last one is the first fact that differs. */
export async function deviationsOf(again: Again, reader: () => Promise<DifferenceReader>): Promise<Deviation[]> {
  const { invoice, document: now, failure } = again;
  const own = ownText(invoice);
  if (now !== null && digestOf(documentText(now)) === invoice.digest) return own;
  const stored = readStored(invoice);
  if (failure !== null) own.push(failed(failure.reason));
  if (stored === null) return own;
  if (now === null) return own.length === 0 ? [failed('it cannot be computed')] : own;
  const basis = basisOf(stored, now);
  const line = lineOf(stored, now, invoice);
  const found = [...own, ...(line === null ? [] : [line.told])];
  // Another plan or tax is reason enough for another amount; what was metered is looked at where it differs too.
  const isMetered = line !== null && seriesText(line.stored) !== seriesText(line.computed);
  if (isMetered) found.push(...(await meteredOf(again, line, await reader(), stored.zone)));
  found.push(...basis);
  return found.length === 0 ? [elsewhere(stored, now)] : found;
}

const failed = (reason: string): Deviation => ({
  level: 'failure',
  text: `It cannot be computed any more: ${reason}.`,
  stored: null,
  computed: null,
});

/** The text against its digest, and the columns beside it against the text. */
function ownText(invoice: Invoice): Deviation[] {
  const found: Deviation[] = [];
  const digest = digestOf(invoice.document);
  if (digest !== invoice.digest) {
    const text = `The stored document of ${invoice.number} is not what was made final: its text has another digest.`;
    found.push({ level: 'document', text, stored: digest, computed: invoice.digest });
  }
  const document = readStored(invoice);
  if (document === null) return found;
  for (const name of ['net', 'tax', 'total'] as const) {
    const [column, text] = [invoice[name].toString(), document[name]];
    if (column === text) continue;
    const told = `The ${name} beside the document of ${invoice.number} is not the one in it.`;
    found.push({ level: 'document', text: told, stored: column, computed: text });
  }
  return found;
}

function basisOf(stored: InvoiceDocument, now: InvoiceDocument): Deviation[] {
  const name = ({ receipt, kind }: Basis): string => `${receipt} ${kind}`;
  const [before, after] = [
    new Map(stored.basis.map((one) => [name(one), one])),
    new Map(now.basis.map((one) => [name(one), one])),
  ];
  const all = new Map([...before, ...after]);
  for (const [key, { receipt, kind }] of [...all].sort(([, a], [, b]) => a.receipt - b.receipt)) {
    const [a, b] = [before.get(key)?.digest ?? null, after.get(key)?.digest ?? null];
    if (a === b) continue;
    const what = `The ${kind} of receipt ${receipt}`;
    const text =
      b === null
        ? `${what} is not what it was computed with any more.`
        : a === null
          ? `${what} was no part of it.`
          : `${what} is not what it was: it says something else now.`;
    return [{ level: 'basis', text, stored: a, computed: b, receipt }];
  }
  return [];
}

interface LineDifference {
  stored: Line | null;
  computed: Line | null;
  told: Deviation;
}

function lineOf(stored: InvoiceDocument, now: InvoiceDocument, { number }: Invoice): LineDifference | null {
  const count = Math.max(stored.lines.length, now.lines.length);
  for (let i = 0; i < count; i++) {
    const [a, b] = [stored.lines[i] ?? null, now.lines[i] ?? null];
    if (a !== null && b !== null && canonicalText(a) === canonicalText(b)) continue;
    const amount = (line: Line | null): string | null =>
      line === null ? null : `${majorText(BigInt(line.amount), stored.decimals)} ${stored.currency}`;
    const names = a === null || b === null ? [] : fieldsOf(a, b);
    const what = a === null ? 'was not there' : b === null ? 'is not due' : `differs in ${names.join(', ')}`;
    const { name } = (a ?? b) as Line;
    const text = `Line ${i + 1} of ${number}, ${name}, ${what}.`;
    return {
      stored: a,
      computed: b,
      told: { level: 'line', text, stored: amount(a), computed: amount(b), line: i + 1 },
    };
  }
  return null;
}

const fieldsOf = (a: object, b: object): string[] => {
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = [...new Set([...Object.keys(x), ...Object.keys(y)])].sort();
  const textOf = (value: unknown): string => (value === undefined ? '' : canonicalText(value));
  return names.filter((name) => textOf(x[name]) !== textOf(y[name]));
};

const seriesText = (line: Line | null): string => canonicalText(line?.series ?? []);

/** The first record that is not what its facts give; else the series whose facts are others. */
async function meteredOf(
  { from }: Again,
  { stored, computed }: LineDifference,
  reader: DifferenceReader,
  zone: string,
): Promise<Deviation[]> {
  const line = computed ?? stored;
  if (from === null || line === null) return [];
  const asked = askedFor(from, line);
  const then = stored?.series ?? [];
  for (const { ask, answer } of asked) {
    // Of a price that tells groups apart each line has some of the series.
    const own = answer.flatMap(({ series }) => series).filter((one) => !isIn(computed?.series ?? [], one));
    const found = await reader.firstDifference(ask, [...then, ...own]);
    if (found !== null) return [usageText(found, zone)];
  }
  return [];
}

const isIn = (list: readonly MeteredSeries[], { series }: MeteredSeries): boolean =>
  list.some((one) => one.series === series);

/** Questions to the meters whose answers are in the line: of its account, price and period. */
export function askedFor(
  { reckoning, answers }: NonNullable<Again['from']>,
  line: Line,
): { ask: MeteredAsk; answer: readonly Metered[] }[] {
  const key = readKey(line.key);
  const charges = [reckoning.charges, ...reckoning.earlier].flatMap(({ usage }) => usage);
  return charges.flatMap((charge, i) => {
    const of = readKey(charge.key);
    const isIt = of.account === key.account && of.plan === key.plan && of.price === key.price;
    if (!isIt || of.period !== key.period || charge.from >= line.to || charge.to <= line.from) return [];
    return [{ ask: charge.ask, answer: answers[i] ?? [] }];
  });
}

function usageText(found: UsageDifference, zone: string): Deviation {
  const { series, facts } = found;
  const readings = `${facts.length === 1 ? '1 fact' : `${facts.length} facts`} in it`;
  if (found.kind === 'record') {
    const { window, stored, computed } = found;
    const where = `series ${series} in the window of ${formatInstant(window, zone)}`;
    const text = isSameUsage(stored, computed)
      ? `The readings of ${where} are not those that its record was made of, though the usage is the same, ${readings}.`
      : `The record of ${where} is not what its facts give, ${readings}.`;
    return { level: 'record', text, stored, computed, series, window, facts };
  }
  const text = `The facts of series ${series} are not what they were, ${readings}; its records are what they give now.`;
  return { level: 'series', text, stored: found.billed, computed: found.now, series, facts };
}

/** Lines of a counter's record (domain/record-digest.ts) that differ in the digest of its readings alone. */
function isSameUsage(stored: string | null, computed: string | null): boolean {
  const usage = (line: string): string => line.replace(/^(c,.*),\d+$/gm, '$1');
  return stored !== null && computed !== null && usage(stored) === usage(computed);
}

function elsewhere(stored: InvoiceDocument, now: InvoiceDocument): Deviation {
  const text = `It differs in ${fieldsOf(flat(stored), flat(now)).join(', ') || 'nothing but how it is written'}.`;
  return { level: 'document', text, stored: null, computed: null };
}

/** Lines are told apart before. */
const flat = (document: InvoiceDocument): object => ({ ...document, lines: document.lines.length });
