/** Invoices to print and to read: HTML, PDF, and all lines as CSV. */
import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import { readDocument } from '../billing/invoice/canonical.ts';
import type { Blocked } from '../billing/invoice/document.ts';
import { documentKey } from '../billing/ledger/post-document.ts';
import { linesCsv, renderHtml, renderPdf, type Settled, type Standing } from '../billing/paper/index.ts';
import { Problem } from '../errors.ts';
import type { BillingStore, Invoice, InvoiceFilter, TransactionKind } from '../store/billing-store.ts';
import { invoiceState } from '../store/billing-store.ts';
import { need } from './auth.ts';
import type { Context } from './context.ts';
import { type Found, findInvoice } from './invoice-rows.ts';
import { accountsFor } from './listing.ts';
import { LongWork } from './long-work.ts';
import { type App, Words } from './provider.ts';
import { InstantText } from './schemas.ts';
import { instantOf } from './time.ts';

const settledAs: Readonly<Partial<Record<TransactionKind, string>>> = {
  payment: 'Payment',
  refund: 'Refund',
  settlement: 'From the balance',
  'credit-use': 'Credit',
  'credit-note': 'Credit note',
};
/** Movements on one invoice that are printed. */
const SETTLED_MAX = 1000;
const PAGE = 200;
/** Lines: 500 pages, 0.5 GB while they are made. */
const PRINTED_MAX = 5000;
/** Each takes a processor and some memory, and a key that only reads may ask for any number. */
const PDFS = { what: 'PDFs', all: 32, ofKey: 32 };

export const invoicePaperRoutes = (app: App, context: Context): void => {
  const tags = ['invoices'];
  const printer = new LongWork(PDFS);
  const Params = Type.Object({ ref: Type.String({ maxLength: 400 }) });
  const Query = Type.Object({ format: Type.Optional(Words(['html', 'pdf', 'csv'] as const)) });
  app.get(
    '/api/v1/invoices/:ref/paper',
    { schema: { tags, summary: 'As HTML, PDF, or its lines as CSV', params: Params, querystring: Query } },
    async (request, reply) => {
      const who = need(request, 'read');
      const found = await findInvoice(context, who, request.params.ref);
      const document = readDocument((found.final ?? found.draft).document);
      const standing = await standingOf(context, found);
      const { length } = document.lines;
      if (request.query.format !== 'csv' && length > PRINTED_MAX)
        throw new Problem('invoice.too_long', `It has ${length} lines; ${PRINTED_MAX} are printed at most`);
      switch (request.query.format ?? 'html') {
        case 'csv':
          return reply.type(CSV).send([...linesCsv([{ number: standing.number, document }])].join(''));
        case 'pdf':
          return reply
            .type('application/pdf')
            .send(await printer.piece(who.key, () => renderPdf(document, standing, context.config.invoiceFont)));
        default:
          // Nothing in it runs or loads anything, whatever a name says.
          reply.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
          return reply.type('text/html; charset=utf-8').send(renderHtml(document, standing));
      }
    },
  );
  const Span = Type.Object({
    account: Type.Optional(Type.String({ maxLength: 256, description: 'Who pays' })),
    from: Type.Optional(InstantText('Periods that end after it')),
    to: Type.Optional(InstantText('Periods that begin before it')),
  });
  app.get(
    '/api/v1/invoices/lines.csv',
    { schema: { tags, summary: 'All lines of final documents, newest first', querystring: Span } },
    (request, reply) => {
      const { account, from, to } = request.query;
      const accounts = accountsFor(context, request, account);
      const filter = {
        ...(accounts === undefined ? {} : { accounts }),
        ...(from === undefined ? {} : { from: instantOf(from, 'from') }),
        ...(to === undefined ? {} : { to: instantOf(to, 'to') }),
      };
      return reply.type(CSV).send(Readable.from(csvOf(context.control.billing, filter)));
    },
  );
};

const CSV = 'text/csv; charset=utf-8';

/** Page by page: there may be more than memory holds. */
async function* csvOf(billing: BillingStore, filter: Omit<InvoiceFilter, 'limit'>): AsyncGenerator<string> {
  const [heads = ''] = linesCsv([]);
  yield heads;
  for (let before: number | undefined; ; ) {
    const rows = await billing.invoices({ ...filter, ...(before === undefined ? {} : { before }), limit: PAGE });
    const read = await Promise.all(rows.map(({ id }) => billing.invoice(id)));
    const documents = read.flatMap((one) => (one === null ? [] : [numbered(one)]));
    const [, ...lines] = linesCsv(documents);
    yield* lines;
    before = rows.at(-1)?.id;
    if (rows.length < PAGE) return;
  }
}

const numbered = ({ number, document }: Invoice) => ({ number, document: readDocument(document) });

async function standingOf({ control, clock }: Context, { final, draft }: Found): Promise<Standing> {
  if (final === null) {
    const blocked = draft.blocked === '' ? [] : (JSON.parse(draft.blocked) as Blocked[]);
    const head = { number: '', state: 'open' as const, open: draft.total, issuedAt: null, dueAt: null };
    return { ...head, draft: true, blocked, digest: draft.digest };
  }
  const { number, open, issuedAt, dueAt, digest } = final;
  const [settled, voidedBy] = await Promise.all([
    settledOf(control.billing, final),
    voidedByOf(control.billing, final),
  ]);
  const state = invoiceState(final, clock.now());
  return { number, state, open, issuedAt, dueAt, draft: false, settled, digest, ...voidedBy };
}

const voidedByOf = async (billing: BillingStore, { voidedBy }: Invoice): Promise<Pick<Standing, 'voidedBy'>> => {
  const note = voidedBy === null ? null : await billing.invoice(voidedBy);
  return note === null ? {} : { voidedBy: note.number };
};

/** What moved on an invoice, as its customer knows it: payments by their reference, credit notes by their number. */
async function settledOf(billing: BillingStore, { id, kind: of, account }: Invoice): Promise<Settled[]> {
  if (of === 'credit-note') return [];
  const moved = await billing.transactions({ invoice: id, limit: SETTLED_MAX });
  const isCredited = moved.some(({ kind }) => kind === 'credit-note');
  const notes = isCredited
    ? await billing.invoices({ accounts: [account], kind: 'credit-note', limit: SETTLED_MAX })
    : [];
  const numbers = new Map(notes.map((note) => [documentKey(note), note.number]));
  return moved.reverse().flatMap(({ key, kind, at, text: said, postings }): Settled[] => {
    const name = settledAs[kind];
    const amount = postings.reduce((sum, p) => (p.invoice === id ? sum - p.amount : sum), 0n);
    if (name === undefined || amount === 0n) return [];
    const which = kind === 'credit-note' ? (numbers.get(key) ?? '') : said;
    return [{ text: `${name} ${which}`.trimEnd(), at, amount }];
  });
}
