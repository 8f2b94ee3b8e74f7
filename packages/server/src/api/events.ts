/**
 * Facts come in: CloudEvents in their three modes, and the compact batch of readings. The bodies stay bytes here; ingest
 * reads them. Answers name every item that was not accepted; a 2xx means that what was accepted is on disk (law 1).
 */

import { Type } from '@sinclair/typebox';
import type { BatchOutcome } from '@tollgate/event';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errors, isErrorCode, Problem, problemBody } from '../errors.ts';
import { need, type Principal } from './auth.ts';
import { plainBody } from './body.ts';
import type { Context } from './context.ts';
import type { Metrics } from './health.ts';
import type { App } from './provider.ts';

const Outcome = Type.Object({
  accepted: Type.Integer(),
  duplicates: Type.Integer(),
  conflicts: Type.Integer(),
  rejected: Type.Integer(),
  items: Type.Array(
    Type.Object({
      position: Type.Integer(),
      outcome: Type.String({ description: 'duplicate, conflict or rejected' }),
      code: Type.String(),
      pointer: Type.String(),
      message: Type.String(),
    }),
    { description: 'What was not accepted, by position' },
  ),
  receipts: Type.Unsafe<{ first: number; last: number } | null>({
    type: ['object', 'null'],
    properties: { first: { type: 'integer' }, last: { type: 'integer' } },
    description: 'Receipt numbers kept for the request',
  }),
});

/** Who sends, as ingest needs to know it. */
export const senderOf = (who: Principal) => ({ tenant: who.account ?? '', sources: who.sources });

/**
 * A batch of which something was taken answers 200 and lists the rest. One of which nothing was or had been taken is a
 * failed request: the status and the problem are those of its first item, so that a client that only looks at the
 * status learns of it, and the whole outcome stands beside.
 */
const sendOutcome = (outcome: BatchOutcome, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const taken = outcome.accepted + outcome.duplicates;
  const first = outcome.items.find((item) => item.outcome !== 'duplicate');
  if (taken > 0 || first === undefined || !isErrorCode(first.code))
    return reply.type('application/json; charset=utf-8').send(Buffer.from(JSON.stringify(outcome)));
  const problem = new Problem(first.code, first.message, { pointer: first.pointer, position: first.position });
  const body = { ...problemBody(problem, `urn:tollgate:request:${request.id}`), outcome };
  return reply
    .code(errors[first.code].status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(body)));
};

export const ingestRoutes = async (app: App, context: Context, metrics: Metrics): Promise<void> => {
  // In this scope bodies are bytes whatever their type: ingest judges types, and reads JSON without losing digits.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const take = async (
    request: FastifyRequest,
    accept: (body: Buffer, who: Principal) => Promise<BatchOutcome>,
  ): Promise<BatchOutcome> => {
    const who = need(request, 'ingest');
    if (context.config.readOnly) throw new Problem('server.read_only');
    if (context.phase() === 'stopping') throw new Problem('server.stopping', undefined, { retryAfterSeconds: 2 });
    const body = await plainBody(request.body, request.headers['content-encoding'], context.config.bodyBytesMax);
    const outcome = await accept(body, who);
    metrics.ingested(outcome);
    return outcome;
  };

  const eventsSchema = {
    tags: ['ingest'],
    summary: 'CloudEvents 1.0: binary, structured, batch; gzip',
    consumes: ['application/cloudevents+json', 'application/cloudevents-batch+json', 'application/json'],
    response: { 200: Outcome },
  };
  app.post('/api/v1/events', { schema: eventsSchema }, async (request, reply) => {
    const outcome = await take(request, (body, who) => context.ingest.events(body, request.headers, senderOf(who)));
    return sendOutcome(outcome, request, reply);
  });
  const readingsSchema = {
    tags: ['ingest'],
    summary: 'A batch of counter readings of one source',
    consumes: ['application/json'],
    response: { 200: Outcome },
  };
  app.post('/api/v1/readings', { schema: readingsSchema }, async (request, reply) => {
    const outcome = await take(request, (body, who) => context.ingest.readings(body, senderOf(who)));
    return sendOutcome(outcome, request, reply);
  });
};
