/** Usage rows: what was used, by whom, over which interval, and how sure that is. */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { isZone } from '../domain/calendar.ts';
import { csvText } from '../domain/csv.ts';
import { flagNames } from '../domain/record.ts';
import { trafficTypes } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import { pageOf, type UsageQuery, type UsageRow, windowSizes } from '../usage/index.ts';
import { AnswerCache } from './answer-cache.ts';
import type { Principal } from './auth.ts';
import { asking, type Context } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { parquetFile } from './parquet.ts';
import { type App, NullableText, Words } from './provider.ts';
import { InstantText, PageQuery } from './schemas.ts';
import { endedAt, instantOf, isoText, openEnd, startOfDay } from './time.ts';

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

/**
 * The query, and the instant its rows are said to reach to: the two differ when `to` is left away. A later page goes on
 * with the span of the first (`pinned`), whatever the time is by then.
 */
const queryOf = (
  context: Context,
  who: Principal,
  q: Asked,
  pinned: Span | null,
): { query: UsageQuery; shownTo: Instant } => {
  const zone = zoneFor(context, who, q.zone, q.account?.length === 1 ? q.account[0] : undefined);
  const now = context.clock.now();
  const shownTo = pinned?.shownTo ?? (q.to === undefined ? now : instantOf(q.to, 'to', zone));
  const to = pinned?.to ?? (q.to === undefined ? openEnd(now, q.windowSize) : shownTo);
  const start = Math.min(shownTo, now);
  const from = pinned?.from ?? (q.from === undefined ? startOfDay(zone, start) : instantOf(q.from, 'from', zone));
  if (from >= shownTo)
    throw new Problem('query.range', `from (${isoText(from)}) must lie before to (${isoText(shownTo)})`, {
      pointer: '/from',
    });
  const query = {
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
  return { query, shownTo };
};

interface Span {
  from: Instant;
  to: Instant;
  shownTo: Instant;
}

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

/** The end of what dates can say; frontiers stay below it for longer than anything else here lasts. */
const LATEST = 8_640_000_000_000_000;

export const usageRoutes = (app: App, context: Context): void => {
  const answers = new AnswerCache(context.clock);
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
    const mark = q.cursor === undefined ? null : readMark(q.cursor);
    const { query, shownTo } = queryOf(context, who, q, mark);
    const wanted = q.format ?? (request.headers.accept?.startsWith('text/csv') ? 'csv' : 'json');
    const question = JSON.stringify([query, q.asOf ?? null, viewer === null ? null : [...viewer].sort()]);
    const kept = mark === null ? null : answers.get(question, mark.frontier);
    const { rows, frontier } = kept ?? (await context.usage.query(query, viewer, q.asOf ?? null));
    const shown = (list: readonly UsageRow[]): ShownRow[] => list.map((row) => shownRow(endedAt(row, shownTo)));
    reply.header('tollgate-frontier', frontier);
    if (wanted !== 'json') return sendTable(reply, wanted, shown(rows), query.groupBy);
    const page = pageOf(rows, mark?.after ?? null, q.limit ?? ROWS_DEFAULT);
    if (page.next !== null) answers.put(question, { rows, frontier });
    const { from, to } = query;
    return {
      from: isoText(from),
      to: isoText(shownTo),
      zone: query.zone,
      frontier,
      items: shown(page.rows),
      ...(page.next === null ? {} : { nextCursor: writeCursor([page.next, frontier, from, to, shownTo]) }),
    };
  });
};

/** Where a page goes on: after which row, of the answer at which frontier, over which span. */
const readMark = (cursor: string): Span & { after: string; frontier: number } => {
  const [after, frontier, from, to, shownTo] = readCursor(cursor, ['string', 'number', 'number', 'number', 'number']);
  const numbers = [frontier, from, to, shownTo].map(Number);
  if (!numbers.every((n) => Number.isSafeInteger(n) && Math.abs(n) <= LATEST)) throw new Problem('request.cursor');
  const [f = 0, a = 0, b = 0, c = 0] = numbers;
  return { after: String(after), frontier: f, from: a, to: b, shownTo: c };
};
