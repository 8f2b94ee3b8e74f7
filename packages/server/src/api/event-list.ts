/** Reading events back, newest first, in the shape OpenMeter's clients expect. */
import { Type } from '@sinclair/typebox';
import type { StoredEvent } from '../domain/fact.ts';
import { Problem } from '../errors.ts';
import { asking, type Context } from './context.ts';
import { type App, NullableText } from './provider.ts';
import { InstantText } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const EventRow = Type.Object({
  event: Type.Object({
    id: Type.String(),
    source: Type.String(),
    specversion: Type.String(),
    type: Type.String(),
    subject: NullableText(),
    time: Type.String(),
    datacontenttype: Type.Optional(Type.String()),
    data: Type.Optional(Type.Unsafe<unknown>({})),
  }),
  receipt: Type.Integer(),
  tenant: Type.String(),
  ingestedAt: Type.String(),
  storedAt: Type.String(),
});

/** The row as JSON text: `data` goes out as it came in, so no number of it is rounded on the way. */
const rowText = (e: StoredEvent): string => {
  const head = {
    id: e.id,
    source: e.source,
    specversion: '1.0',
    type: e.type,
    subject: e.subject === '' ? null : e.subject,
    time: isoText(e.t),
  };
  const data = e.data === '' ? '' : `,"datacontenttype":"application/json","data":${e.data}`;
  const rest = {
    receipt: e.receipt,
    tenant: e.tenant,
    ingestedAt: isoText(e.receivedAt),
    storedAt: isoText(e.receivedAt),
  };
  return `{"event":${JSON.stringify(head).slice(0, -1)}${data}},${JSON.stringify(rest).slice(1)}`;
};

const LIMIT_DEFAULT = 100;
/** Events looked at for one answer: filters on who may see what are applied to what the store gives. */
const LOOKED_AT_MAX = 100_000;
/** The store asks for a bounded span. */
const LATEST = 4_102_444_800_000;

export const eventListRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    from: Type.Optional(InstantText('Not before')),
    to: Type.Optional(InstantText('Before')),
    ingestedAtFrom: Type.Optional(InstantText('Received not before')),
    ingestedAtTo: Type.Optional(InstantText('Received before')),
    id: Type.Optional(Type.String({ description: 'Part of the id' })),
    subject: Type.Optional(Type.String({ description: 'Part of the subject' })),
    source: Type.Optional(Type.String()),
    type: Type.Optional(Type.Array(Type.String())),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    clientId: Type.Optional(Type.String()),
  });
  const schema = {
    tags: ['events'],
    summary: 'Events as they were accepted, newest first',
    querystring: Query,
    // Sent as bytes, described as what they are.
    response: { 200: Type.Unsafe<Buffer>(Type.Array(EventRow)) },
  };
  app.get('/api/v1/events', { schema }, async (request, reply) => {
    const { viewer } = asking(context, request, 'read');
    const q = request.query;
    const { book } = context.log;
    const sees = (e: StoredEvent): boolean =>
      viewer === null || viewer.has(e.tenant) || viewer.has(book.ownerAt(e.tenant, e.subject, e.t) ?? '');
    const [since, until] = [
      q.ingestedAtFrom && instantOf(q.ingestedAtFrom, 'ingestedAtFrom'),
      q.ingestedAtTo && instantOf(q.ingestedAtTo, 'ingestedAtTo'),
    ];
    const wanted = (e: StoredEvent): boolean =>
      sees(e) &&
      (q.id === undefined || e.id.includes(q.id)) &&
      (q.subject === undefined || e.subject.includes(q.subject)) &&
      (!since || e.receivedAt >= since) &&
      (!until || e.receivedAt < until);
    const from = q.from === undefined ? 0 : instantOf(q.from, 'from');
    const to = q.to === undefined ? LATEST : instantOf(q.to, 'to');
    if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
    const types = q.type ?? [...new Set([...book.meters()].map((m) => m.eventType).filter((t) => t !== ''))];
    const rows: string[] = [];
    let looked = 0;
    const found = context.store.events({
      types,
      from,
      to,
      frontier: context.receipts.frontier(),
      voided: book.voidedReceipts(),
      undoneSets: book.undoneSets(),
      descending: true,
      limit: LOOKED_AT_MAX,
      ...(q.source === undefined ? {} : { source: q.source }),
    });
    for await (const event of found) {
      if (wanted(event)) rows.push(rowText(event));
      if (rows.length >= (q.limit ?? LIMIT_DEFAULT) || ++looked >= LOOKED_AT_MAX) break;
    }
    return reply.type('application/json; charset=utf-8').send(Buffer.from(`[${rows.join(',')}]`));
  });
};
