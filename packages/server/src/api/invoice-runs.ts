/** Invoice runs: begun by hand, watched as they go on, and what came of them. For the installation only. */
import { type Static, Type } from '@sinclair/typebox';
import type { Made, RunView } from '../billing/index.ts';
import { Problem } from '../errors.ts';
import { needInstallation } from './auth.ts';
import { type Context, reach } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { inZone } from './invoice-rows.ts';
import { amountText } from './money.ts';
import { type App, NullableNumber, NullableText, Words } from './provider.ts';
import { InstantText, Name, PAGE_DEFAULT, Page, PageQuery } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const RunRow = Type.Object({
  ref: Type.String({ description: 'Its id; `try-1` for one that is not kept: a dry one, or of some accounts' }),
  frontier: Type.Integer({ description: 'S' }),
  until: Type.String({ description: 'Periods that ended by then' }),
  dryRun: Type.Boolean(),
  startedAt: Type.String(),
  finishedAt: NullableText(),
  outcome: Words(['running', 'done', 'failed']),
  error: Type.String(),
  of: NullableNumber({ description: 'Accounts in all; null where another server runs it' }),
  accounts: Type.Integer({ description: 'Done' }),
  invoices: Type.Integer(),
  drafts: Type.Integer(),
  blocked: Type.Integer({ description: 'Of the drafts: those that something is in the way of' }),
  failed: Type.Integer({ description: 'Accounts that cannot be billed' }),
  totals: Type.Array(Type.Object({ currency: Type.String(), amount: Type.String() }), {
    description: 'Of what became final, as far as this server made it; of a dry run, of what would have',
  }),
});
const MadeRow = Type.Object({
  account: Type.String(),
  from: Type.String(),
  to: Type.String(),
  number: Type.String({ description: "'' for a draft; `new` in a dry run" }),
  currency: Type.String(),
  total: Type.String(),
  blocked: Type.Array(Type.String()),
  waitsUntil: NullableText({ description: 'A draft that waits for what may come late' }),
});
const FailureRow = Type.Object({
  account: Type.String(),
  code: Type.String(),
  reason: Type.String({ description: 'What is wrong, where, and what to do' }),
});
const Detail = Type.Object({ ...RunRow.properties, made: Type.Array(MadeRow), failures: Type.Array(FailureRow) });
const FAILURES_MAX = 1000;

const runRow = (view: RunView): Static<typeof RunRow> => {
  const { made: _made, failures: _failures, totals, until, startedAt, finishedAt, ...rest } = view;
  return {
    ...rest,
    ...{ until: isoText(until), startedAt: isoText(startedAt) },
    finishedAt: finishedAt === null ? null : isoText(finishedAt),
    totals: Object.entries(totals).map(([currency, minor]) => ({ currency, amount: amountText(minor, currency) })),
  };
};

const madeRow = (context: Context, made: Made): Static<typeof MadeRow> => {
  const { account, number, currency, total, blocked, graceUntil } = made;
  const at = inZone(context, account);
  return {
    ...{ account, from: at(made.from), to: at(made.to), number, currency, total: amountText(total, currency) },
    ...{ blocked: blocked.map(({ reason }) => reason), waitsUntil: graceUntil === null ? null : at(graceUntil) },
  };
};

const detail = async (context: Context, view: RunView): Promise<Static<typeof Detail>> => {
  const isKept = /^\d+$/.test(view.ref);
  const kept = isKept ? await context.control.billing.runFailures(Number(view.ref), '', FAILURES_MAX) : view.failures;
  const failures = kept.map(({ account, code, reason }) => ({ account, code, reason }));
  return { ...runRow(view), made: view.made.map((made) => madeRow(context, made)), failures };
};

export const invoiceRunRoutes = (app: App, context: Context): void => {
  const tags = ['invoices'];
  const Body = Type.Object(
    {
      until: Type.Optional(InstantText('Periods that ended by then; now when left away')),
      accounts: Type.Optional(Type.Array(Name('Who pays'), { minItems: 1, maxItems: 10_000 })),
      dryRun: Type.Optional(Type.Boolean({ description: 'Says what would be made, and makes nothing' })),
    },
    { additionalProperties: false },
  );
  app.post(
    '/api/v1/invoices/run',
    {
      schema: {
        tags,
        summary: 'Begins an invoice run, or joins the one that is at work',
        description: 'It goes on by itself: watch it under its ref. A run again finds nothing due where one has been.',
        body: Body,
        response: { 202: RunRow },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const { until, accounts, dryRun } = request.body;
      for (const account of accounts ?? []) reach(context, who, account);
      const now = context.clock.now();
      const last = until === undefined ? now : instantOf(until, 'until');
      if (last > now)
        throw new Problem('invoice.ahead', `until is later than now, ${isoText(now)}`, { pointer: '/until' });
      const payers = accounts?.map((account) => context.log.book.billing.payerOf(account));
      const { view, done } = await context.billing.runs.start({
        until: last,
        ...(payers === undefined ? {} : { accounts: payers }),
        ...(dryRun === undefined ? {} : { dryRun }),
      });
      // What goes wrong is in the view.
      done.catch(() => undefined);
      return reply.code(202).send(runRow(view));
    },
  );
  app.get(
    '/api/v1/invoices/runs',
    { schema: { tags, querystring: Type.Object(PageQuery), response: { 200: Page(RunRow) } } },
    async (request) => {
      needInstallation(request, 'read');
      const { limit = PAGE_DEFAULT, cursor } = request.query;
      const before = cursor === undefined ? undefined : (readCursor(cursor, ['number'])[0] as number);
      const views = await context.billing.runs.list(limit, before);
      const items = views.map(runRow);
      const last = views.at(-1);
      return last === undefined || views.length < limit
        ? { items }
        : { items, nextCursor: writeCursor([Number(last.ref)]) };
    },
  );
  const Params = Type.Object({ ref: Type.String({ maxLength: 40 }) });
  app.get(
    '/api/v1/invoices/runs/:ref',
    { schema: { tags, params: Params, response: { 200: Detail } } },
    async (request) => {
      needInstallation(request, 'read');
      const view = await context.billing.runs.view(request.params.ref);
      if (view === null) throw new Problem('invoice.run_unknown', `There is no invoice run ${request.params.ref}`);
      return detail(context, view);
    },
  );
};
