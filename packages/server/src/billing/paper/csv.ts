/** All lines of documents as rows of a table, for a spreadsheet or another program: nothing shortened, nothing rounded. */
import { formatInstant } from '../../domain/calendar.ts';
import { csvRows } from '../../domain/csv.ts';
import { majorText } from '../../domain/money/money.ts';
import type { InvoiceDocument, Line } from '../invoice/document.ts';
import type { NumberedDocument } from './standing.ts';

const columns = [
  'number',
  'line',
  'account',
  'plan',
  'price',
  'name',
  'from',
  'to',
  'meter',
  'quantity',
  'unit',
  'state',
  'flags',
  'exact',
  'amount',
  'currency',
  'tax_category',
  'corrects',
  'digest',
] as const;

/** RFC 4180, a piece for the heads and one for each document: documents may come one by one. */
export function* linesCsv(documents: Iterable<NumberedDocument>): Generator<string, void, undefined> {
  yield csvRows([columns]);
  for (const { number, document } of documents) {
    yield csvRows(document.lines.map((line) => cellsOf(number, document, line)));
  }
}

const cellsOf = (number: string, document: InvoiceDocument, line: Line): (string | null)[] => [
  number,
  String(line.no),
  line.account,
  line.plan,
  line.price,
  line.name,
  formatInstant(line.from, document.zone),
  formatInstant(line.to, document.zone),
  line.meter,
  line.quantity,
  line.unit,
  line.state,
  line.flags.join(' '),
  line.exact,
  majorText(BigInt(line.amount), document.decimals),
  document.currency,
  line.taxCategory,
  line.corrects,
  line.digest,
];
