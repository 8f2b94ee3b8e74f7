/** The facts behind usage of a span, as a file that `tollgate replay` computes the same records from. */
import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import { Problem } from '../errors.ts';
import { need } from './auth.ts';
import { asking, type Context } from './context.ts';
import type { App } from './provider.ts';
import { InstantText } from './schemas.ts';
import { instantOf } from './time.ts';

export const exportRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    from: InstantText('First instant'),
    to: InstantText('One past the last'),
    meter: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
    account: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
    resource: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
    source: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
  });
  const schema = {
    tags: ['usage'],
    summary: 'The facts usage of the span is computed from, NDJSON',
    querystring: Query,
  };
  app.get('/api/v1/export', { schema }, (request, reply) => {
    // The whole installation's facts are for those who run it; a tenant's key gets what its own figures need (law 11).
    const { who, viewer } = asking(context, request, 'read');
    if (who.account === null) need(request, 'admin');
    const q = request.query;
    const [from, to] = [instantOf(q.from, 'from'), instantOf(q.to, 'to')];
    if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
    const filter = { meters: q.meter, accounts: q.account, resources: q.resource, sources: q.source };
    return reply.type('application/x-ndjson').send(Readable.from(context.usage.exportFacts(filter, from, to, viewer)));
  });
};
