/** Invoices, credit notes and drafts: lists, documents, lines; and what is done to them by hand. */
import { Type } from '@sinclair/typebox';
import { readDocument } from '../billing/invoice/canonical.ts';
import { Problem } from '../errors.ts';
import { need, needInstallation } from './auth.ts';
import type { Context } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import {
  draftRow,
  findInvoice,
  InvoiceRow,
  invoiceRow,
  LineRow,
  lineRow,
  readDraftRef,
  states,
} from './invoice-rows.ts';
import { accountsFor, pageById } from './listing.ts';
import { AmountText, minorOf } from './money.ts';
import { type App, Words } from './provider.ts';
import { InstantText, Name, PAGE_DEFAULT, Page, PageQuery } from './schemas.ts';
import { instantOf } from './time.ts';

const Query = Type.Object({
  account: Type.Optional(Type.String({ maxLength: 256, description: 'Who pays' })),
  state: Type.Optional(Words(states, { description: '`open` contains what is overdue' })),
  from: Type.Optional(InstantText('Periods that end after it')),
  to: Type.Optional(InstantText('Periods that begin before it')),
  ...PageQuery,
});
const Params = Type.Object({
  ref: Type.String({ maxLength: 400, description: 'Number, id, or the ref of a draft' }),
});
/** Its fields: InvoiceDocument in ../billing/invoice/document.ts. */
const Document = Type.Unsafe<unknown>({ type: 'object', additionalProperties: true });
const Detail = Type.Object({ ...InvoiceRow.properties, document: Document });
const Why = Type.String({ minLength: 1, maxLength: 1000, description: 'Printed on the credit note' });

export const invoiceRoutes = (app: App, context: Context): void => {
  const tags = ['invoices'];
  app.get(
    '/api/v1/invoices',
    { schema: { tags, querystring: Query, response: { 200: Page(InvoiceRow) } } },
    async (request) => {
      const { account, state, from, to, limit = PAGE_DEFAULT, cursor } = request.query;
      const accounts = accountsFor(context, request, account);
      const of = accounts === undefined ? {} : { accounts };
      if (state === 'draft') return draftPage(context, of, limit, cursor);
      const filter = {
        ...of,
        ...(state === undefined ? {} : { state, now: context.clock.now() }),
        ...(from === undefined ? {} : { from: instantOf(from, 'from') }),
        ...(to === undefined ? {} : { to: instantOf(to, 'to') }),
      };
      return pageById(
        { limit, cursor },
        (page) => context.control.billing.invoices({ ...filter, ...page }),
        (row) => invoiceRow(context, row),
      );
    },
  );
  app.get('/api/v1/invoices/:ref', { schema: { tags, params: Params, response: { 200: Detail } } }, async (request) => {
    const found = await findInvoice(context, need(request, 'read'), request.params.ref);
    const document = JSON.parse((found.final ?? found.draft).document) as unknown;
    const row = found.final === null ? draftRow(context, found.draft) : invoiceRow(context, found.final);
    return { ...row, document };
  });
  app.get(
    '/api/v1/invoices/:ref/lines',
    { schema: { tags, params: Params, response: { 200: Page(LineRow) } } },
    async (request) => {
      const found = await findInvoice(context, need(request, 'read'), request.params.ref);
      const { lines, currency, zone } = readDocument((found.final ?? found.draft).document);
      return { items: lines.map((line) => lineRow(line, currency, zone)) };
    },
  );
  changeRoutes(app, context, tags);
};

/** What is made by hand is final at once, and for the installation only. */
const changeRoutes = (app: App, context: Context, tags: string[]): void => {
  const CreditBody = Type.Object(
    {
      line: Type.Integer({ minimum: 1, description: 'Of the invoice' }),
      amount: AmountText('Off the line, as the line says it: with the tax in it where prices are'),
      reason: Why,
      key: Type.Optional(Name('Unique in the account: the same again is the same credit note', 200)),
      goodwill: Type.Optional(
        Type.Boolean({
          description:
            'A gift: later adjustments of the line do not look at it. Left away it corrects the line: what it gave back is not given back again',
        }),
      ),
    },
    { additionalProperties: false },
  );
  app.post(
    '/api/v1/invoices/:ref/credit',
    {
      schema: {
        tags,
        summary: 'Makes a credit note on part of a line',
        description:
          'The same key again is the same credit note: 200 instead of 201; another content under it is a conflict. Give a key, so that a repetition credits nothing twice.',
        params: Params,
        body: CreditBody,
        response: { 200: InvoiceRow, 201: InvoiceRow },
      },
    },
    async (request, reply) => {
      const invoice = await finalOf(context, needInstallation(request, 'admin'), request.params.ref);
      const { line, reason, key, goodwill } = request.body;
      const { isNew, ...note } = await context.billing.credit(invoice.id, {
        ...{ line, reason, amount: minorOf(request.body.amount, invoice.currency, 'amount') },
        ...(key === undefined ? {} : { key }),
        ...(goodwill === true ? {} : { credits: 'correction' }),
      });
      return reply.code(isNew ? 201 : 200).send(invoiceRow(context, note));
    },
  );
  const VoidBody = Type.Object({ reason: Why }, { additionalProperties: false });
  app.post(
    '/api/v1/invoices/:ref/void',
    {
      schema: {
        tags,
        summary: 'Reverses an invoice that nothing was paid of',
        description: 'By a credit note in full. Its period is billed anew by the next run.',
        params: Params,
        body: VoidBody,
        response: { 201: InvoiceRow },
      },
    },
    async (request, reply) => {
      const invoice = await finalOf(context, needInstallation(request, 'admin'), request.params.ref);
      const note = await context.billing.void(invoice.id, request.body.reason);
      return reply.code(201).send(invoiceRow(context, note));
    },
  );
  app.post(
    '/api/v1/invoices/:ref/finalise',
    {
      schema: {
        tags,
        summary: 'Makes a draft final now',
        description: 'Without waiting for what may come late. Never when something is in the way.',
        params: Params,
        response: { 201: InvoiceRow },
      },
    },
    async (request, reply) => {
      needInstallation(request, 'admin');
      return reply.code(201).send(await finalise(context, request.params.ref));
    },
  );
};

const finalOf = async (context: Context, who: ReturnType<typeof need>, ref: string) => {
  const { final } = await findInvoice(context, who, ref);
  if (final !== null) return final;
  throw new Problem('invoice.unknown', `${ref} is a draft: nothing of it is final`);
};

const finalise = async (context: Context, ref: string): Promise<InvoiceRow> => {
  const name = readDraftRef(ref);
  if (name === null) throw new Problem('invoice.not_due', `${JSON.stringify(ref)} is no draft`);
  const { made, failure } = await context.billing.runs.finaliseNow(name.account, name);
  if (failure !== null) throw new Problem('invoice.blocked', failure.reason);
  if (made === null) throw new Problem('invoice.not_due', 'The period is final, or one before it has to be first');
  const [reason] = made.blocked;
  if (reason !== undefined) throw new Problem('invoice.blocked', reason.reason);
  const found = await context.control.billing.invoicesByNumber(made.number);
  const own = found.find(({ account }) => account === name.account);
  if (own === undefined) throw new Problem('server.internal');
  return invoiceRow(context, own);
};

const draftPage = async (
  context: Context,
  of: { accounts?: readonly string[] },
  limit: number,
  cursor: string | undefined,
) => {
  const [to, from, account] = cursor === undefined ? [] : readCursor(cursor, ['number', 'number', 'string']);
  const after =
    account === undefined ? {} : { after: { account: String(account), to: Number(to), from: Number(from) } };
  const rows = await context.control.billing.drafts({ ...of, ...after, limit });
  const last = rows.at(-1);
  const items = rows.map((row) => draftRow(context, row));
  if (last === undefined || rows.length < limit) return { items };
  return { items, nextCursor: writeCursor([last.to, last.from, last.account]) };
};
