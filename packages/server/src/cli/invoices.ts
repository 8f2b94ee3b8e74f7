/** tollgate invoices: what is final, what is a draft and why, and what is done to them by hand. */
import type { Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { download } from './download.ts';
import { invoiceProofCommands, reconcileCommand } from './invoice-proof.ts';
import { invoiceRunCommands } from './invoice-run.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { wholeOf } from './options.ts';
import { grouped, unitText } from './quantity.ts';
import { plain, table } from './table.ts';

type Row = Operations['GET /api/v1/invoices']['answer']['items'][number];
type Line = Operations['GET /api/v1/invoices/{ref}/lines']['answer']['items'][number];

interface ListOptions {
  account?: string;
  state?: 'open' | 'overdue' | 'paid' | 'void';
  from?: string;
  to?: string;
  limit: string;
}

const rowTable = (rows: readonly Row[]): string =>
  table(rows, [
    { title: 'number', cell: (r) => r.number ?? '' },
    { title: 'ref', cell: (r) => (r.number === null ? r.ref : '') },
    { title: 'account', cell: (r) => r.account },
    { title: 'from', cell: (r) => r.from },
    { title: 'to', cell: (r) => r.to },
    { title: 'total', cell: (r) => moneyText(r.total, r.currency), right: true },
    { title: 'open', cell: (r) => (r.state === 'draft' ? '' : moneyText(r.open, r.currency)), right: true },
    { title: 'state', cell: (r) => (r.kind === 'credit-note' ? 'credit note' : r.state) },
    { title: 'due before', cell: (r) => (r.kind === 'credit-note' ? '' : (r.dueAt ?? '')) },
  ]);

const quantityCell = ({ quantity, unit }: Line): string =>
  quantity === null ? '' : `${quantity.includes('/') ? quantity : grouped(quantity)} ${unitText(unit)}`.trim();

const lineTable = (lines: readonly Line[]): string =>
  table(lines, [
    { title: 'line', cell: (l) => String(l.no), right: true },
    { title: 'account', cell: (l) => l.account },
    { title: 'for', cell: (l) => `${l.plan}${l.price === '' ? '' : `/${l.price}`}` },
    { title: 'kind', cell: (l) => l.kind },
    { title: 'from', cell: (l) => l.from },
    { title: 'to', cell: (l) => l.to },
    { title: 'quantity', cell: quantityCell, right: true },
    { title: 'state', cell: (l) => [l.state === 'known' ? '' : l.state, ...l.flags].filter((t) => t !== '').join(' ') },
    { title: 'amount', cell: (l) => moneyText(l.amount, l.currency), right: true },
    { title: 'corrects', cell: (l) => l.corrects },
  ]);

const show = async (io: Io, ref: string): Promise<void> => {
  const client = connect(io);
  const invoice = await client.call('GET /api/v1/invoices/{ref}', { params: { ref } });
  if (io.flags.json) return json(io, invoice);
  const { items } = await client.call('GET /api/v1/invoices/{ref}/lines', { params: { ref } });
  const { number, account, currency, state } = invoice;
  const name = invoice.kind === 'credit-note' ? 'Credit note' : number === null ? 'Draft' : 'Invoice';
  io.out(
    `${name} ${number === null ? '' : `${plain(number)} `}of ${plain(account)}, ${invoice.from} to ${invoice.to}\n`,
  );
  const due = invoice.dueAt === null || state !== 'open' ? '' : `, due before ${invoice.dueAt}`;
  const left = state === 'open' || state === 'overdue' ? `, ${moneyText(invoice.open, currency)} open` : '';
  io.out(`state          ${state}${left}${due}\n`);
  io.out(`facts up to    ${invoice.frontier}, digest ${invoice.digest}\n\n`);
  io.out(lineTable(items));
  io.out(`\ntotal          ${moneyText(invoice.total, currency)}\n`);
  for (const reason of invoice.blocked) io.out(`blocked        ${plain(reason)}\n`);
};

interface PaperOptions {
  pdf?: string;
  html?: string;
  csv?: string;
}

/** The command, so that others can add to it. */
export const invoicesCommand = (program: Command, io: Io, end: (code: number) => void): Command => {
  const invoices = program.command('invoices').description('invoices, credit notes and drafts');
  invoices
    .command('list', { isDefault: true })
    .description('what is final, newest first')
    .option('--account <id>', 'of this account')
    .option('--state <state>', 'open, overdue, paid or void')
    .option('--from <time>', 'periods that end after it')
    .option('--to <time>', 'periods that begin before it')
    .option('--limit <n>', 'how many', '50')
    .action(async ({ limit, ...query }: ListOptions) => {
      const asked = { ...query, limit: wholeOf(limit, '--limit') };
      const { items } = await connect(io).call('GET /api/v1/invoices', { query: asked });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There are none. `tollgate invoices drafts` shows what is to come.\n');
      io.out(rowTable(items));
    });
  invoices
    .command('drafts')
    .description('what is not final yet, and why')
    .option('--account <id>', 'of this account')
    .option('--limit <n>', 'how many', '50')
    .action(async ({ account, limit }: ListOptions) => {
      const query = {
        state: 'draft' as const,
        limit: wholeOf(limit, '--limit'),
        ...(account === undefined ? {} : { account }),
      };
      const { items } = await connect(io).call('GET /api/v1/invoices', { query });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There are no drafts.\n');
      io.out(rowTable(items));
      for (const { account: of, blocked } of items)
        for (const reason of blocked) io.out(`blocked: ${plain(reason.includes(of) ? reason : `${of}: ${reason}`)}\n`);
    });
  invoices
    .command('show <number>')
    .description('an invoice with its lines, by number, id, or the ref of a draft')
    .option('--pdf <file>', 'write it to a file as PDF')
    .option('--html <file>', 'as HTML')
    .option('--csv <file>', 'its lines as CSV')
    .action(async (ref: string, files: PaperOptions) => {
      const asked = (['pdf', 'html', 'csv'] as const).filter((format) => files[format] !== undefined);
      if (files.pdf === '-') throw new CliError(Exit.usage, 'A PDF is no text: name a file for it');
      for (const format of asked) {
        const path = `/api/v1/invoices/${encodeURIComponent(ref)}/paper?format=${format}`;
        await download(io, path, files[format] as string);
      }
      if (asked.length === 0) await show(io, ref);
    });
  invoices
    .command('lines')
    .description('all lines of final invoices and credit notes as CSV')
    .requiredOption('--csv <file>', 'where to; - for standard output')
    .option('--account <id>', 'of this account')
    .option('--from <time>', 'periods that end after it')
    .option('--to <time>', 'periods that begin before it')
    .action(async ({ csv, ...query }: { csv: string; account?: string; from?: string; to?: string }) => {
      await download(io, `/api/v1/invoices/lines.csv?${new URLSearchParams(query)}`, csv);
    });
  byHand(invoices, io);
  invoiceRunCommands(invoices, io, end);
  invoiceProofCommands(invoices, io, end);
  reconcileCommand(invoices, io, end);
  return invoices;
};

interface CreditOptions {
  reason: string;
  reference?: string;
  goodwill?: boolean;
}

const byHand = (invoices: Command, io: Io): void => {
  const told = (row: Row, what: string): void => (io.flags.json ? json(io, row) : io.out(what));
  invoices
    .command('credit <number> <line> <amount>')
    .description('make a credit note on part of a line: invoices credit INV-000001 2 5.00 --reason "outage"')
    .requiredOption('--reason <text>', 'why; printed on it')
    .option('--reference <text>', 'unique in the account: the same again is the same credit note')
    .option('--goodwill', 'a gift: later adjustments of the line do not look at it (default: it corrects the line)')
    .action(async (ref: string, line: string, amount: string, { reference, ...asked }: CreditOptions) => {
      const key = reference === undefined ? {} : { key: reference };
      const body = { line: wholeOf(line, 'line'), amount, ...asked, ...key };
      const row = await connect(io).call('POST /api/v1/invoices/{ref}/credit', { params: { ref }, body });
      told(row, `Credit note ${plain(row.number ?? '')}: ${moneyText(row.total, row.currency)}.\n`);
    });
  invoices
    .command('void <number>')
    .description('reverse an invoice that nothing was paid of; its period is billed anew by the next run')
    .requiredOption('--reason <text>', 'why; printed on the credit note')
    .action(async (ref: string, { reason }: { reason: string }) => {
      const row = await connect(io).call('POST /api/v1/invoices/{ref}/void', { params: { ref }, body: { reason } });
      told(
        row,
        `${plain(ref)} is void by credit note ${plain(row.number ?? '')}: ${moneyText(row.total, row.currency)}.\n`,
      );
    });
  invoices
    .command('finalise <draft>')
    .description('make a draft final now, without waiting for what may come late')
    .action(async (ref: string) => {
      const row = await connect(io).call('POST /api/v1/invoices/{ref}/finalise', { params: { ref } });
      told(row, `Invoice ${plain(row.number ?? '')}: ${moneyText(row.total, row.currency)}.\n`);
    });
};
