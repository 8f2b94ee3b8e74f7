/** tollgate explain: from a record or a refusal to the readings that made it. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type ExplainedRefusal, showRefusal } from './decisions.ts';
import { type ExplainedLine, showLine } from './explain-line.ts';
import { type Io, json } from './io.ts';
import { wholeOf } from './options.ts';
import { grouped, unitText } from './quantity.ts';
import { plain, table } from './table.ts';

interface Explained {
  kind: 'counter' | 'tally' | 'event';
  series?: { id: number; source: string; resource: string; meter: string };
  owner?: string | null;
  meter?: { key: string; unit: string } | null;
  records?: {
    window: string;
    to: string;
    quantity: string | null;
    readings?: number;
    events?: string;
    state: string;
    flags: string[];
    frontier: number | null;
    run: { id: number; startedAt: string } | null;
    confirmed: boolean;
  }[];
  readings?: {
    receipt: number;
    t: string;
    value: string;
    epoch: string;
    case: number;
    outcome: string;
    amount: string | null;
    against: number | null;
  }[];
  events?: { receipt: number; t: string; id: string; value: string; problem: string | null }[];
  event?: Record<string, unknown>;
  voided?: boolean;
  counted?: { meter: string; record: string | null }[];
  /** Lines of invoices that a fact is in. */
  lines?: { line: string; name: string }[];
}

const showInvoiced = (io: Io, { lines = [] }: Explained): void => {
  if (lines.length === 0) return;
  io.out('\nBilled on\n');
  io.out(
    table(lines, [
      { title: 'line', cell: (l) => l.line },
      { title: 'for', cell: (l) => l.name },
    ]),
  );
};

/** The records of a series, of whatever kind its meter is. */
const showRecords = (io: Io, e: Explained): void => {
  const unit = unitText(e.meter?.unit ?? '');
  const what = e.kind === 'counter' ? 'readings' : 'events';
  io.out(
    `${plain(e.series?.meter ?? '')} of ${plain(e.series?.resource ?? '')}, reported by ${plain(e.series?.source ?? '')}\n`,
  );
  io.out(`belongs to ${plain(e.owner ?? 'nobody')}\n\nRecords\n`);
  io.out(
    table(e.records ?? [], [
      { title: 'from', cell: (r) => r.window },
      { title: 'to', cell: (r) => r.to },
      {
        title: 'quantity',
        cell: (r) => (r.quantity === null ? '?' : `${grouped(r.quantity)} ${unit}`.trim()),
        right: true,
      },
      { title: what, cell: (r) => String(r.readings ?? r.events ?? ''), right: true },
      { title: 'state', cell: (r) => r.state },
      { title: 'flags', cell: (r) => r.flags.join(' ') },
      {
        title: 'run',
        cell: (r) => (r.frontier === null ? 'window still open' : r.run === null ? '' : String(r.run.id)),
      },
      {
        title: 'facts give',
        cell: (r) => (r.frontier === null ? '' : r.confirmed ? 'the same' : 'something else now'),
      },
    ]),
  );
};

const showCounter = (io: Io, e: Explained): void => {
  showRecords(io, e);
  io.out('\nReadings\n');
  io.out(
    table(e.readings ?? [], [
      { title: 'receipt', cell: (r) => String(r.receipt), right: true },
      { title: 'time', cell: (r) => r.t },
      { title: 'value', cell: (r) => grouped(r.value), right: true },
      { title: 'added', cell: (r) => (r.amount === null ? '' : grouped(r.amount)), right: true },
      { title: 'case', cell: (r) => String(r.case), right: true },
      { title: 'outcome', cell: (r) => r.outcome },
      { title: 'epoch', cell: (r) => r.epoch },
    ]),
  );
};

const showTally = (io: Io, e: Explained): void => {
  showRecords(io, e);
  io.out('\nEvents\n');
  io.out(
    table(e.events ?? [], [
      { title: 'receipt', cell: (r) => String(r.receipt), right: true },
      { title: 'time', cell: (r) => r.t },
      { title: 'id', cell: (r) => plain(r.id) },
      { title: 'value', cell: (r) => plain(r.value), right: true },
      { title: 'problem', cell: (r) => plain(r.problem ?? '') },
    ]),
  );
};

const showEvent = (io: Io, e: Explained): void => {
  for (const [name, value] of Object.entries(e.event ?? {})) io.out(`${name.padEnd(12)} ${plain(String(value))}\n`);
  io.out(e.voided ? '\nIt was voided and counts nowhere.\n' : '\nCounted in\n');
  io.out(
    table(e.counted ?? [], [
      { title: 'meter', cell: (c) => c.meter },
      { title: 'record', cell: (c) => c.record ?? 'not computed yet' },
    ]),
  );
};

export const explainCommand = (program: Command, io: Io): void => {
  program
    .command('explain <what>')
    .description(
      'why a line, a record or a refusal is what it is; names come from `tollgate invoices show`, `tollgate usage --records` and `tollgate limits refusals`',
    )
    .option('--as-of <frontier>', 'by the facts up to this receipt, as an invoice has it')
    .addHelpText(
      'after',
      '\n<what>: INVOICE:LINE, SERIES@TIME, SERIES@FROM/TO, receipt:NUMBER, event:SOURCE/ID or refusal:ID\n',
    )
    .action(async (ref: string, o: { asOf?: string }) => {
      const query = { ref, ...(o.asOf === undefined ? {} : { asOf: wholeOf(o.asOf, '--as-of') }) };
      const explained = (await connect(io).call('GET /api/v1/explain', { query })) as unknown as
        | Explained
        | ExplainedLine
        | ({ kind: 'refusal' } & ExplainedRefusal);
      if (io.flags.json) return json(io, explained);
      if (explained.kind === 'refusal') return showRefusal(io, explained);
      if (explained.kind === 'line') return showLine(io, explained);
      if (explained.kind === 'counter') showCounter(io, explained);
      else if (explained.kind === 'tally') showTally(io, explained);
      else showEvent(io, explained);
      showInvoiced(io, explained);
    });
};
