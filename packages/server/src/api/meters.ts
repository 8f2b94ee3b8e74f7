/**
 * Meters and their queries, in the shape of OpenMeter's API, so that its SDK works as a client: `slug`, aggregations in
 * capitals, `valueProperty`. What OpenMeter has no word for (kind, unit, filters ...) stands beside it.
 */
import { type Static, Type } from '@sinclair/typebox';
import { defineMeter, type Meter } from '../domain/meter.ts';
import { Problem } from '../errors.ts';
import { type UsageQuery, type UsageRow, type Viewer, windowSizes } from '../usage/index.ts';
import { need, needInstallation } from './auth.ts';
import { asking, authorOf, type Context } from './context.ts';
import { type App, NullableNumber, NullableText } from './provider.ts';
import { InstantText } from './schemas.ts';
import { endedAt, instantOf, isoText, openEnd } from './time.ts';
import { zoneFor } from './usage.ts';

const MeterRow = Type.Object({
  id: Type.String(),
  slug: Type.String(),
  key: Type.String(),
  name: Type.String(),
  kind: Type.String({ description: 'delta, cumulative, gauge, percentile' }),
  aggregation: Type.String({ description: 'SUM, COUNT, UNIQUE_COUNT, AVG, MIN, MAX, LATEST, INTEGRAL, LAST' }),
  eventType: Type.String(),
  valueProperty: Type.Optional(Type.String({ description: 'JSON path of the value in data' })),
  epochPath: Type.Optional(Type.String()),
  startPath: Type.Optional(Type.String()),
  groupBy: Type.Record(Type.String(), Type.String()),
  filters: Type.Array(Type.Object({ path: Type.String(), in: Type.Array(Type.String()) })),
  unit: Type.String(),
  validFor: Type.Integer({ description: 'gauge: ms a sample stays valid; 0: until changed' }),
  rank: Type.Integer({ description: 'percentile: per mille' }),
  of: Type.Array(Type.String()),
  direction: Type.String(),
  billable: Type.Boolean(),
  version: Type.Integer(),
  builtIn: Type.Boolean(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
});
type MeterRow = Static<typeof MeterRow>;
/** Read by defineMeter, which names everything that is wrong at once; the schema only says it is an object. */
const MeterBody = Type.Object(
  {},
  {
    additionalProperties: true,
    description: 'A meter as OpenMeter or this API writes it; see docs/reference/meters.md',
  },
);

const outward: Readonly<Record<string, string>> = { unique: 'UNIQUE_COUNT' };
const inward: Readonly<Record<string, string>> = { unique_count: 'unique' };

/** Fields of OpenMeter's that say nothing to us, and ours that are answers, not settings. */
const ignored = new Set([
  'id',
  'description',
  'metadata',
  'createdAt',
  'updatedAt',
  'deletedAt',
  'eventFrom',
  'version',
  'builtIn',
  'reason',
]);

const definitionOf = (body: Record<string, unknown>): Record<string, unknown> => {
  const out: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(body)) {
    if (ignored.has(field)) continue;
    if (field === 'slug') out.key = value;
    else if (field === 'valueProperty') out.valuePath = value;
    else if (field === 'aggregation' && typeof value === 'string')
      out.aggregation = inward[value.toLowerCase()] ?? value.toLowerCase();
    else out[field] = value;
  }
  return out;
};

interface Times {
  created: number;
  updated: number;
}

const rowOf = (m: Meter, times: Times | undefined): MeterRow => ({
  id: m.key,
  slug: m.key,
  key: m.key,
  name: m.name,
  kind: m.kind,
  aggregation: outward[m.aggregation] ?? m.aggregation.toUpperCase(),
  eventType: m.eventType,
  ...(m.valuePath === '' ? {} : { valueProperty: m.valuePath }),
  ...(m.epochPath === '' ? {} : { epochPath: m.epochPath }),
  ...(m.startPath === '' ? {} : { startPath: m.startPath }),
  groupBy: { ...m.groupBy },
  filters: m.filters.map((f) => ({ path: f.path, in: [...f.in] })),
  unit: m.unit,
  validFor: m.validFor,
  rank: m.rank,
  of: [...m.of],
  direction: m.direction,
  billable: m.billable,
  version: m.version,
  builtIn: m.receipt === 0,
  createdAt: isoText(times?.created ?? 0),
  updatedAt: isoText(times?.updated ?? 0),
});

/** When each meter was first and last defined; built-in ones never were. */
const timesOf = async (context: Context): Promise<Map<string, Times>> => {
  const times = new Map<string, Times>();
  for (const { body, recordedAt } of await context.control.facts(0, 100_000, { kinds: ['meter'] })) {
    if (body.kind !== 'meter') continue;
    const known = times.get(body.meter.key);
    times.set(body.meter.key, { created: known?.created ?? recordedAt, updated: recordedAt });
  }
  return times;
};

const known = (context: Context, key: string): Meter => {
  const meter = context.log.book.meter(key);
  if (meter === undefined || meter.deleted)
    throw new Problem('meter.unknown', `There is no meter ${JSON.stringify(key)}`);
  return meter;
};

/** Problems name the field as it was sent. */
const sentAs = (pointer: string, body: Record<string, unknown>): string => {
  if (pointer === '/valuePath' && 'valueProperty' in body) return '/valueProperty';
  return pointer === '/key' && 'slug' in body ? '/slug' : pointer;
};

/** `body` as it was sent, over `before`. Throws Problem with everything that is wrong. */
const define = (body: Record<string, unknown>, previous?: Meter, before: object = {}): Omit<Meter, 'receipt'> => {
  const result = defineMeter({ ...before, ...definitionOf(body) }, previous);
  if (Array.isArray(result)) {
    const told = result.map((p) => `${sentAs(p.pointer, body) || 'the meter'}: ${p.detail}`);
    throw new Problem('meter.invalid', told.join('; '), { pointer: sentAs(result[0]?.pointer ?? '', body) });
  }
  const { receipt: _receipt, ...meter } = result;
  return meter;
};

const definitionRoutes = (app: App, context: Context): void => {
  const tags = ['meters'];
  const Params = Type.Object({ key: Type.String() });
  app.get('/api/v1/meters', { schema: { tags, response: { 200: Type.Array(MeterRow) } } }, async (request) => {
    need(request, 'read');
    const times = await timesOf(context);
    return [...context.log.book.meters()]
      .map((m) => rowOf(m, times.get(m.key)))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  });
  app.get('/api/v1/meters/:key', { schema: { tags, params: Params, response: { 200: MeterRow } } }, async (request) => {
    need(request, 'read');
    const meter = known(context, request.params.key);
    return rowOf(meter, (await timesOf(context)).get(meter.key));
  });
  app.get(
    '/api/v1/meters/:key/versions',
    { schema: { tags, params: Params, response: { 200: Type.Array(MeterRow) } } },
    (request) => {
      need(request, 'read');
      known(context, request.params.key);
      return context.log.book.versions(request.params.key).map((m) => rowOf(m, undefined));
    },
  );

  const save = async (
    who: Parameters<typeof authorOf>[0],
    meter: Omit<Meter, 'receipt'>,
    reason: unknown,
  ): Promise<MeterRow> => {
    const author = authorOf(who, '', typeof reason === 'string' ? reason.slice(0, 1000) : undefined);
    await context.log.append([{ kind: 'meter', meter }], author);
    return rowOf(known(context, meter.key), (await timesOf(context)).get(meter.key));
  };
  app.post(
    '/api/v1/meters',
    {
      schema: {
        tags,
        summary: 'Defines a meter; it covers the past too',
        body: MeterBody,
        response: { 201: MeterRow },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const body = request.body as Record<string, unknown>;
      const input = definitionOf(body);
      const there = context.log.book.meter(String(input.key ?? ''));
      if (there !== undefined && !there.deleted)
        throw new Problem('meter.exists', `The meter ${there.key} exists`, { pointer: '/key' });
      return reply.code(201).send(await save(who, define(body, there), body.reason));
    },
  );
  app.put(
    '/api/v1/meters/:key',
    {
      schema: {
        tags,
        summary: 'Makes the next version of a meter',
        params: Params,
        body: MeterBody,
        response: { 200: MeterRow },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const previous = known(context, request.params.key);
      if (previous.receipt === 0) throw new Problem('meter.built_in');
      const body = request.body as Record<string, unknown>;
      const { version: _version, receipt: _receipt, ...before } = previous;
      return save(who, define(body, previous, before), body.reason);
    },
  );
  app.delete(
    '/api/v1/meters/:key',
    {
      schema: {
        tags,
        summary: 'Takes the meter out of use; its versions stay',
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const previous = known(context, request.params.key);
      if (previous.receipt === 0) throw new Problem('meter.built_in');
      const { receipt: _receipt, ...meter } = previous;
      await context.log.append(
        [{ kind: 'meter', meter: { ...meter, version: previous.version + 1, deleted: true } }],
        authorOf(who, '', 'deleted'),
      );
      return reply.code(204).send(null);
    },
  );
};

const QueryRow = Type.Object({
  value: NullableNumber({ description: 'Nearest double; null: unknown' }),
  quantity: NullableText({ description: 'Exact decimal; null: unknown, which is not zero' }),
  unit: Type.String(),
  state: Type.String(),
  flags: Type.Array(Type.String()),
  provisional: Type.Boolean(),
  windowStart: Type.String(),
  windowEnd: Type.String(),
  subject: NullableText(),
  groupBy: Type.Record(Type.String(), NullableText()),
});
const QueryAnswer = Type.Object({
  from: Type.Optional(Type.String()),
  to: Type.Optional(Type.String()),
  windowSize: Type.Optional(Type.String()),
  data: Type.Array(QueryRow),
});
const Texts = Type.Optional(Type.Array(Type.String({ maxLength: 512 }), { maxItems: 1000 }));
const sizes = ['MINUTE', 'HOUR', 'DAY', 'MONTH'] as const;
const common = {
  from: Type.Optional(InstantText('First instant; the beginning of time when left away')),
  to: Type.Optional(InstantText('One past the last; now when left away')),
  windowSize: Type.Optional(Type.Unsafe<(typeof sizes)[number]>({ type: 'string', enum: [...sizes] })),
  windowTimeZone: Type.Optional(Type.String({ maxLength: 64 })),
  subject: Texts,
  groupBy: Texts,
  clientId: Type.Optional(Type.String({ maxLength: 64 })),
};

interface Asked {
  from?: string | undefined;
  to?: string | undefined;
  windowSize?: (typeof sizes)[number] | undefined;
  windowTimeZone?: string | undefined;
  subject?: string[] | undefined;
  groupBy?: string[] | undefined;
  filterGroupBy?: Record<string, string[]> | undefined;
}

/** With a size but no start, as far back as one answer reaches. */
const REACH_MS = { MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000, MONTH: 28 * 86_400_000 } as const;
const REACH = 9_000;

const usageQuery = (context: Context, meter: Meter, q: Asked, zone: string): UsageQuery => {
  const to = q.to === undefined ? openEnd(context.clock.now(), q.windowSize) : instantOf(q.to, 'to', zone);
  const reach = q.windowSize === undefined ? Number.POSITIVE_INFINITY : REACH_MS[q.windowSize] * REACH;
  const from = q.from === undefined ? Math.max(0, to - reach) : instantOf(q.from, 'from', zone);
  if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
  // As in OpenMeter: asking about subjects is asking by subject.
  const groupBy = [...new Set([...(q.groupBy ?? []), ...(q.subject === undefined ? [] : ['subject'])])];
  const allowed = new Set(['subject', 'account', 'resource', 'source', 'trafficType', ...Object.keys(meter.groupBy)]);
  for (const name of [...groupBy, ...Object.keys(q.filterGroupBy ?? {})])
    if (!allowed.has(name))
      throw new Problem('query.group_by', `The meter ${meter.key} has no dimension ${JSON.stringify(name)}`, {
        pointer: '/groupBy',
      });
  return {
    filter: { meters: [meter.key], resources: q.subject, dimensions: q.filterGroupBy },
    from,
    to,
    windowSize: windowSizes.find((s) => s === q.windowSize?.toLowerCase()) ?? 'total',
    zone,
    groupBy,
  };
};

const answerRow = (row: UsageRow): Static<typeof QueryRow> => {
  const { subject = null, ...groupBy } = row.group;
  return {
    value: row.quantity === null ? null : Number(row.quantity),
    quantity: row.quantity,
    unit: row.unit,
    state: row.state,
    flags: row.flags,
    provisional: row.provisional,
    windowStart: isoText(row.from),
    windowEnd: isoText(row.to),
    subject,
    groupBy,
  };
};

/** `filterGroupBy[model]=x` comes as a flat name from a query string. */
const deepFilter = (query: Record<string, unknown>): Record<string, string[]> | undefined => {
  const out: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(query)) {
    const dimension = /^filterGroupBy\[(.+)\]$/.exec(name)?.[1];
    if (dimension !== undefined) out[dimension] = [value].flat().map(String);
  }
  return Object.keys(out).length > 0 ? out : undefined;
};

export const meterRoutes = (app: App, context: Context): void => {
  definitionRoutes(app, context);
  const tags = ['meters'];
  const Params = Type.Object({ key: Type.String() });
  const answer = async (
    key: string,
    q: Asked,
    who: Parameters<typeof zoneFor>[1],
    viewer: Viewer,
  ): Promise<Static<typeof QueryAnswer>> => {
    // OpenMeter's zone is UTC unless said otherwise, not the account's.
    const query = usageQuery(context, known(context, key), q, zoneFor(context, who, q.windowTimeZone ?? 'UTC'));
    const shownTo = q.to === undefined ? context.clock.now() : query.to;
    const { rows } = await context.usage.query(query, viewer);
    return {
      from: isoText(query.from),
      to: isoText(shownTo),
      ...(q.windowSize === undefined ? {} : { windowSize: q.windowSize }),
      data: rows.map((row) => answerRow(endedAt(row, shownTo))),
    };
  };

  const Query = Type.Object(common, { additionalProperties: true });
  const getSchema = {
    tags,
    summary: "Usage of a meter, in OpenMeter's shape",
    params: Params,
    querystring: Query,
    response: { 200: QueryAnswer },
  };
  app.get('/api/v1/meters/:key/query', { schema: getSchema }, (request) => {
    const { who, viewer } = asking(context, request, 'read');
    return answer(request.params.key, { ...request.query, filterGroupBy: deepFilter(request.query) }, who, viewer);
  });
  const Body = Type.Object({
    ...common,
    filterGroupBy: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
  });
  app.post(
    '/api/v1/meters/:key/query',
    { schema: { tags, params: Params, body: Body, response: { 200: QueryAnswer } } },
    (request) => {
      const { who, viewer } = asking(context, request, 'read');
      return answer(request.params.key, request.body, who, viewer);
    },
  );

  const ValueParams = Type.Object({ key: Type.String(), groupByKey: Type.String() });
  const valuesSchema = {
    tags,
    summary: 'Values of a dimension that occur',
    params: ValueParams,
    response: { 200: Type.Array(Type.String()) },
  };
  app.get('/api/v1/meters/:key/group-by/:groupByKey/values', { schema: valuesSchema }, async (request) => {
    const { viewer } = asking(context, request, 'read');
    const query = usageQuery(
      context,
      known(context, request.params.key),
      { groupBy: [request.params.groupByKey] },
      'UTC',
    );
    const { rows } = await context.usage.query(query, viewer);
    return [...new Set(rows.map((r) => r.group[request.params.groupByKey] ?? ''))].sort();
  });
};
