/** Usage rows: what was used, by whom, over which interval, and how sure that is. */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { isZone } from '../domain/calendar.ts';
import { flagNames } from '../domain/record.ts';
import { trafficTypes } from '../domain/series.ts';
import { Problem } from '../errors.ts';
import { pageOf, type UsageQuery, type UsageRow, windowSizes } from '../usage/index.ts';
import type { Principal } from './auth.ts';
import { asking, type Context } from './context.ts';
import { csvText } from './csv.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { parquetFile } from './parquet.ts';
import { type App, NullableText, Words } from './provider.ts';
import { InstantText, PageQuery } from './schemas.ts';
import { instantOf, isoText, startOfDay } from './time.ts';

export const UsageRowSchema = Type.Object({
  meter: Type.String(),
  from: Type.String(),
  to: Type.String(),
  group: Type.Record(Type.String(), Type.String(), { description: 'Value of each groupBy' }),
  quantity: NullableText({ description: 'Exact decimal; null: unknown, which is not zero' }),
  unit: Type.String(),
  state: Words(['known', 'pending', 'quarantined', 'unobserved'] as const),
  flags: Type.Array(Type.String(), { description: `Of ${flagNames(0xffff).join(', ')}; none: exact` }),
  provisional: Type.Boolean({ description: 'Part of it comes from windows that are still open' }),
  explain: NullableText({ description: 'For GET /api/v1/explain, when the row is of one series' }),
});
export type ShownRow = Static<typeof UsageRowSchema>;

const List = (description: string) =>
  Type.Optional(Type.Array(Type.String({ maxLength: 512 }), { maxItems: 1000, description }));
const Query = Type.Object({
  from: Type.Optional(InstantText('First instant; start of today when left away')),
  to: Type.Optional(InstantText('One past the last; now when left away')),
  windowSize: Type.Optional(Words(windowSizes, { description: 'Interval of a row; total when left away' })),
  zone: Type.Optional(
    Type.String({ maxLength: 64, description: "Zone of hours, days and months; the account's when left away" }),
  ),
  groupBy: List(
    'account, resource, source, trafficType, series, or a dimension of the meter; account and resource when left away',
  ),
  meter: List('Meter keys'),
  account: List('Accounts, those below them included; `unattributed` for usage of nobody'),
  resource: List('Resources'),
  source: List('Sources'),
  trafficType: Type.Optional(Type.Array(Words(trafficTypes))),
  dimension: List('name:value, also repeated'),
  billable: Type.Optional(Type.Boolean()),
  asOf: Type.Optional(Type.Integer({ minimum: 1, description: 'Frontier: the answer as it was known then' })),
  format: Type.Optional(Words(['json', 'csv', 'parquet'] as const)),
  ...PageQuery,
});
type Asked = Static<typeof Query>;

export const shownRow = (row: UsageRow): ShownRow => ({
  meter: row.meter,
  from: isoText(row.from),
  to: isoText(row.to),
  group: { ...row.group },
  quantity: row.quantity,
  unit: row.unit,
  state: row.state,
  flags: row.flags,
  provisional: row.provisional,
  explain: row.explain,
});

/** The zone asked for, else that of the account asked about or asking. Throws Problem for what is no zone. */
export const zoneFor = (context: Context, who: Principal, asked: string | undefined, account?: string): string => {
  if (asked !== undefined) {
    if (!isZone(asked))
      throw new Problem('account.zone', `${JSON.stringify(asked)} is not an IANA time zone`, { pointer: '/zone' });
    return asked;
  }
  const { book } = context.log;
  const own = account ?? who.account ?? context.config.defaultAccount;
  return book.account(own)?.zone ?? 'UTC';
};

const dimensionsOf = (pairs: readonly string[] | undefined): Record<string, string[]> | undefined => {
  if (pairs === undefined) return undefined;
  const out: Record<string, string[]> = {};
  for (const pair of pairs) {
    const colon = pair.indexOf(':');
    if (colon < 1) throw new Problem('request.invalid', 'dimension wants name:value', { pointer: '/dimension' });
    const name = pair.slice(0, colon);
    out[name] = [...(out[name] ?? []), pair.slice(colon + 1)];
  }
  return out;
};

const queryOf = (context: Context, who: Principal, q: Asked): UsageQuery => {
  const zone = zoneFor(context, who, q.zone, q.account?.length === 1 ? q.account[0] : undefined);
  const now = context.clock.now();
  const to = q.to === undefined ? now : instantOf(q.to, 'to', zone);
  const from = q.from === undefined ? startOfDay(zone, Math.min(to, now)) : instantOf(q.from, 'from', zone);
  if (from >= to)
    throw new Problem('query.range', `from (${isoText(from)}) must lie before to (${isoText(to)})`, {
      pointer: '/from',
    });
  return {
    filter: {
      meters: q.meter,
      accounts: q.account,
      resources: q.resource,
      sources: q.source,
      trafficTypes: q.trafficType,
      dimensions: dimensionsOf(q.dimension),
      billable: q.billable,
    },
    from,
    to,
    windowSize: q.windowSize ?? 'total',
    zone,
    groupBy: q.groupBy ?? ['account', 'resource'],
  };
};

const columnsOf = (groupBy: readonly string[]): string[] => [
  'meter',
  'from',
  'to',
  ...groupBy,
  'quantity',
  'unit',
  'state',
  'flags',
  'provisional',
];
const cellsOf = (row: ShownRow, groupBy: readonly string[]): (string | null)[] => [
  row.meter,
  row.from,
  row.to,
  ...groupBy.map((name) => row.group[name] ?? ''),
  row.quantity,
  row.unit,
  row.state,
  row.flags.join(' '),
  String(row.provisional),
];

const sendTable = (
  reply: FastifyReply,
  format: 'csv' | 'parquet',
  rows: readonly ShownRow[],
  groupBy: readonly string[],
) => {
  const columns = columnsOf(groupBy);
  const cells = rows.map((row) => cellsOf(row, groupBy));
  if (format === 'csv') return reply.type('text/csv; charset=utf-8').send(csvText(columns, cells));
  reply.header('content-disposition', 'attachment; filename="usage.parquet"');
  return reply.type('application/vnd.apache.parquet').send(parquetFile(columns, cells));
};

/** JSON answers hold a page this long unless told otherwise; CSV and Parquet come whole. */
const ROWS_DEFAULT = 1000;

export const usageRoutes = (app: App, context: Context): void => {
  const Answer = Type.Object({
    from: Type.String(),
    to: Type.String(),
    zone: Type.String(),
    frontier: Type.Integer({ description: 'Give it as asOf to get the same answer again' }),
    items: Type.Array(UsageRowSchema),
    nextCursor: Type.Optional(Type.String()),
  });
  const schema = { tags: ['usage'], summary: 'What was used', querystring: Query, response: { 200: Answer } };
  app.get('/api/v1/usage', { schema }, async (request, reply) => {
    const { who, viewer } = asking(context, request, 'read');
    const q = request.query;
    const query = queryOf(context, who, q);
    const wanted = q.format ?? (request.headers.accept?.startsWith('text/csv') ? 'csv' : 'json');
    const { rows, frontier } = await context.usage.query(query, viewer, q.asOf ?? null);
    reply.header('tollgate-frontier', frontier);
    if (wanted !== 'json') return sendTable(reply, wanted, rows.map(shownRow), query.groupBy);
    const after = q.cursor === undefined ? null : String(readCursor(q.cursor, ['string'])[0]);
    const page = pageOf(rows, after, q.limit ?? ROWS_DEFAULT);
    return {
      from: isoText(query.from),
      to: isoText(query.to),
      zone: query.zone,
      frontier,
      items: page.rows.map(shownRow),
      ...(page.next === null ? {} : { nextCursor: writeCursor([page.next]) }),
    };
  });
};
