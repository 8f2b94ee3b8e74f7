/** What limits have done: notices of thresholds, refusals with the usage behind them, and whether decided is metered. */
import { type Static, Type } from '@sinclair/typebox';
import { Problem } from '../errors.ts';
import type { Notice } from '../store/control-store.ts';
import type { Reconciled } from '../throttle/reconcile.ts';
import type { Refusal } from '../throttle/refusals.ts';
import type { Viewer } from '../usage/index.ts';
import { needInstallation } from './auth.ts';
import { asking, type Context } from './context.ts';
import type { LongWork } from './long-work.ts';
import { type App, NullableNumber, NullableText } from './provider.ts';
import { Page } from './schemas.ts';
import { isoText } from './time.ts';

const NoticeRow = Type.Object({
  id: Type.Integer(),
  account: Type.String({ description: 'Whom it is about; empty: the installation' }),
  limit: Type.String(),
  version: Type.Integer(),
  subject: Type.String({ description: 'What the limit counts by' }),
  percent: Type.Integer({ description: 'Of the amount' }),
  used: Type.Integer(),
  amount: Type.Integer(),
  from: Type.String({ description: 'The period' }),
  to: Type.String(),
  at: Type.String(),
});
const noticeRow = ({ id, tenant, limit, version, subject, percent, used, amount, from, to, at }: Notice) => ({
  ...{ id, account: tenant, limit, version, subject, percent, used, amount },
  ...{ from: isoText(from), to: isoText(to), at: isoText(at) },
});

const RefusalRow = Type.Object({
  id: Type.String(),
  kind: Type.String({ description: 'refused, shadowed or exceeded' }),
  at: Type.String(),
  account: Type.String(),
  action: Type.String(),
  meter: Type.String(),
  resource: Type.String(),
  cost: Type.Integer(),
  reason: Type.String(),
  detail: Type.String(),
  limit: NullableText(),
  version: NullableNumber({ description: 'Receipt of the definition, or of what its amount came with' }),
  amount: NullableNumber(),
  used: NullableNumber(),
  remaining: NullableNumber(),
  resetAt: NullableText(),
  plan: NullableText(),
});
const refusalRow = ({ limit, at, resetAt, ...r }: Refusal): Static<typeof RefusalRow> => {
  const { id, kind, account, action, meter, resource, cost, reason, detail, used, remaining, plan } = r;
  return {
    ...{ id, kind, at: isoText(at), account, action, meter, resource, cost, reason, detail, used, remaining, plan },
    limit: limit?.key ?? null,
    version: limit?.version ?? null,
    amount: limit?.amount ?? null,
    resetAt: resetAt === null ? null : isoText(resetAt),
  };
};
const Explained = Type.Object({
  refusal: RefusalRow,
  usage: Type.Array(
    Type.Object({
      meter: Type.String(),
      account: Type.String(),
      resource: Type.String(),
      quantity: NullableText(),
      unit: Type.String(),
      state: Type.String(),
      explain: NullableText({ description: 'What to ask explain about' }),
    }),
    { description: 'By series, the largest first; what the limit was used up by' },
  ),
});

const CountRow = Type.Object({
  account: Type.String(),
  limit: Type.String({ description: 'Or the reason, where no limit refused' }),
  kind: Type.String(),
  minute: Type.String(),
  calls: Type.Integer(),
  units: Type.String(),
});

const lineOf = (row: Reconciled): string => {
  const times = { from: isoText(row.from), to: isoText(row.to), since: isoText(row.since) };
  const text = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  return `${JSON.stringify({ ...row, ...times }, text)}\n`;
};

const PAGE = 100;
const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 }));

/** A refusal and the usage behind it. Throws Problem for one that is gone, or not the viewer's to see. */
export const explainRefusal = async (
  { aftermath: { refusals }, usage }: Pick<Context, 'aftermath' | 'usage'>,
  id: string,
  viewer: Viewer,
): Promise<Static<typeof Explained>> => {
  const refusal = refusals.get(id);
  const rows = await refusals.behind(id, usage, viewer);
  if (refusal === undefined || rows === null)
    throw new Problem('fact.unknown', 'There is no such refusal, or it was too long ago: only the last ones are kept');
  const behind = rows.map(({ meter, group, quantity, unit, state, explain }) => {
    const { account = '', resource = '' } = group;
    return { meter, account, resource, quantity, unit, state, explain };
  });
  return { refusal: refusalRow(refusal), usage: behind };
};

export const limitReportRoutes = (app: App, context: Context, long: LongWork): void => {
  const { notices, refusals, ledger } = context.aftermath;
  const tags = ['limits'];
  const NoticeQuery = Type.Object({ limit: Limit, before: Type.Optional(Type.Integer({ minimum: 1 })) });
  const told = { tags, summary: 'Thresholds that were reached, newest first', querystring: NoticeQuery };
  app.get('/api/v1/notices', { schema: { ...told, response: { 200: Page(NoticeRow) } } }, async (request) => {
    const { viewer } = asking(context, request, 'read');
    const { limit = PAGE, before } = request.query;
    return { items: (await notices.list(viewer, limit, before)).map(noticeRow) };
  });

  const recent = {
    tags,
    summary: 'The last refusals of this server, newest first',
    querystring: Type.Object({ limit: Limit }),
  };
  app.get('/api/v1/refusals', { schema: { ...recent, response: { 200: Page(RefusalRow) } } }, (request) => {
    const { viewer } = asking(context, request, 'read');
    return { items: refusals.list(viewer, request.query.limit ?? PAGE).map(refusalRow) };
  });

  const counted = { tags, summary: 'Refusals by account, limit and minute, oldest first' };
  app.get('/api/v1/refusals/counts', { schema: { ...counted, response: { 200: Page(CountRow) } } }, (request) => {
    const { viewer } = asking(context, request, 'read');
    const rows = refusals.counts(viewer);
    return { items: rows.map((c) => ({ ...c, minute: isoText(c.minute), units: String(c.units) })) };
  });

  const params = Type.Object({ id: Type.String({ maxLength: 100 }) });
  const why = { tags, summary: 'Why a call was refused, down to the usage behind it', params };
  app.get('/api/v1/refusals/:id', { schema: { ...why, response: { 200: Explained } } }, async (request) => {
    const { viewer } = asking(context, request, 'read');
    return explainRefusal(context, request.params.id, viewer);
  });

  const books = {
    tags,
    summary: 'By limit and period: offered, admitted, refused, metered, and the difference; NDJSON',
  };
  app.get('/api/v1/limits/reconcile', { schema: books }, async (request, reply) => {
    const { key } = needInstallation(request, 'read');
    const isMeter = (meter: string): boolean => context.log.book.meter(meter)?.deleted === false;
    const begin = async () => ledger.reconcile(context.usage, isMeter, context.clock.now());
    return reply.type('application/x-ndjson').send(await long.lines({ key, begin, lineOf }));
  });
};
