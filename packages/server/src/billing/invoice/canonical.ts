/**
 * Canonical JSON: keys sorted, no blanks, integers and texts only. Two documents are equal exactly when their texts are,
 * on any machine. A number that is no safe integer is refused: a float would make the text depend on who wrote it.
 */
import { hash } from 'node:crypto';
import { formatQuantity, parseQuantity } from '../../domain/quantity.ts';
import type { MeteredSeries } from '../../usage/metered.ts';
import type { InvoiceDocument, Line, Step } from './document.ts';

/** Fields that are undefined are left out. Throws TypeError on floats and on what JSON does not have. */
export function canonicalText(value: unknown): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'bigint':
      return `"${value}"`;
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError(`not a safe integer: ${value}`);
      return String(value);
    case 'object':
      break;
    default:
      throw new TypeError(`canonical JSON has no ${typeof value}`);
  }
  if (value === null) return 'null';
  if (value instanceof Made) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  return objectText(value as Readonly<Record<string, unknown>>);
}

/** Canonical text that is there already. */
class Made {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function objectText(value: Readonly<Record<string, unknown>>): string {
  let text = '';
  for (const { key, name } of sortedFields(Object.keys(value))) {
    const field = value[key];
    if (field !== undefined) text += (text === '' ? name : `,${name}`) + canonicalText(field);
  }
  return `{${text}}`;
}

interface Field {
  key: string;
  /** `"key":` */
  name: string;
}

/** Objects of one making have their keys in one order: sorting them anew for each line took a third of a document's time. */
const orders = new Map<string, readonly Field[]>();
const ORDERS_MAX = 1024;

function sortedFields(keys: readonly string[]): readonly Field[] {
  // Keys hold no NUL unless somebody outside chose them; then two lists might look like one, and are sorted each time.
  const id = keys.join('\0');
  const known = orders.get(id);
  if (known !== undefined && known.length === keys.length) return known;
  const fields = [...keys].sort().map((key) => ({ key, name: `${JSON.stringify(key)}:` }));
  if (orders.size < ORDERS_MAX && !keys.some((key) => key.includes('\0'))) orders.set(id, fields);
  return fields;
}

/** SHA-256 of a text, hex. In one call: for short texts half the time of a hash object, and a line needs one or two. */
export const digestOf = (text: string): string => hash('sha256', text);

/**
 * The text that a document is kept as. Quantities of series are decimal texts in it. Lines are nearly all of it: they are
 * copied with their keys in order and written by the engine at once, in a quarter of the time of going through them here.
 */
export const documentText = (document: InvoiceDocument): string =>
  canonicalText({
    ...document,
    conventions: madeOnce(document.conventions),
    lines: new Made(JSON.stringify(document.lines.map(lineRow))),
  });

const made = new WeakMap<object, Made>();

/** Of what is the same object in thousands of documents, and never changed. */
function madeOnce(value: object): Made {
  const known = made.get(value);
  if (known !== undefined) return known;
  const text = new Made(canonicalText(value));
  made.set(value, text);
  return text;
}

type InOrder<T> = Record<keyof T, unknown>;

/** Keys sorted, here and below: `canonicalText` would write the same, which a test holds it to. */
const lineRow = (line: Line): InOrder<Line> => ({
  account: line.account,
  ahead: line.ahead,
  amount: line.amount,
  corrects: line.corrects,
  digest: line.digest,
  exact: line.exact,
  flags: line.flags,
  from: whole(line.from),
  key: line.key,
  kind: line.kind,
  meter: line.meter,
  metered: line.metered,
  name: line.name,
  no: whole(line.no),
  plan: line.plan,
  planVersion: whole(line.planVersion),
  price: line.price,
  quantity: line.quantity,
  series: line.series.map(seriesRow),
  state: line.state,
  steps: line.steps.map(stepRow),
  tax: line.tax,
  taxCategory: line.taxCategory,
  taxNo: line.taxNo,
  to: whole(line.to),
  unit: line.unit,
});

const stepRow = ({ text, quantity, unit, price, amount }: Step): InOrder<Step> => ({
  amount,
  price,
  quantity,
  text,
  unit,
});

const seriesRow = ({ series, quantity, digest }: MeteredSeries): InOrder<MeteredSeries> => ({
  digest,
  quantity: formatQuantity(quantity),
  series: whole(series),
});

function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new TypeError(`not a safe integer: ${value}`);
  return value;
}

/** A document as it is kept: what there is much of is in the text alone, so that thousands can be held at once. */
export interface Written {
  head: Omit<InvoiceDocument, 'lines' | 'basis'>;
  text: string;
  /** Of the text. */
  digest: string;
}

export function written(document: InvoiceDocument): Written {
  const { lines: _lines, basis: _basis, ...head } = document;
  const text = documentText(document);
  return { head, text, digest: digestOf(text) };
}

/** A document from its own text. */
export function readDocument(text: string): InvoiceDocument {
  const read = JSON.parse(text) as InvoiceDocument;
  const quantityOf = (series: MeteredSeries): MeteredSeries => ({
    ...series,
    quantity: parseQuantity(series.quantity as unknown as string),
  });
  return { ...read, lines: read.lines.map((line) => ({ ...line, series: line.series.map(quantityOf) })) };
}

/** Of all series that a line was summed from: of one its own, but in layout 1; '' for none. Their order does not matter. */
export function seriesDigest(series: readonly MeteredSeries[], layout: InvoiceDocument['layout'] = 2): string {
  const [only] = series;
  if (only === undefined) return '';
  if (series.length === 1 && layout === 2) return only.digest;
  return digestOf(
    series
      .map((one) => JSON.stringify(seriesRow(one)))
      .sort()
      .join('\n'),
  );
}
