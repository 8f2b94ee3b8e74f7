/**
 * Facts come in: CloudEvents in their three modes, and the compact batch of readings. The bodies stay bytes here; ingest
 * reads them. Answers name every item that was not accepted; a 2xx means that what was accepted is on disk (law 1).
 */

import { Type } from '@sinclair/typebox';
import { type BatchOutcome, batchHeaders } from '@tollgate/event';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errors, isErrorCode, Problem, problemBody } from '../errors.ts';
import { type AcceptContext, type Ingest, modeOf } from '../ingest/index.ts';
import { maySpeakFor, need, type Principal } from './auth.ts';
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
const senderOf = (who: Principal): AcceptContext => ({
  tenant: who.account ?? '',
  mayspeak: (source) => maySpeakFor(who, source),
});

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** Milliseconds since 1970 come as digits; what is neither they nor a date is refused by ingest. */
const instantText = (text: string): number | string => (/^\d{1,16}$/.test(text) ? Number(text) : text);

/** What a publisher says about its batch in headers: its numbering, how far it is complete, the backfill set. */
const claims = (request: FastifyRequest, context: Context): Partial<AcceptContext> => {
  const run = header(request, batchHeaders.run);
  const sequence = header(request, batchHeaders.sequence);
  const completeThrough = header(request, batchHeaders.completeThrough);
  const set = header(request, batchHeaders.set);
  const source = header(request, batchHeaders.source);
  const sentAt = header(request, batchHeaders.sentAt);
  if (sequence !== undefined && !/^\d{1,15}$/.test(sequence))
    throw new Problem('request.invalid', `${batchHeaders.sequence} is a whole number`, {
      pointer: `/${batchHeaders.sequence}`,
    });
  if (set !== undefined) {
    const state = context.log.book.set(set)?.state;
    if (state === undefined) throw new Problem('set.unknown', `There is no set ${JSON.stringify(set)}: open it first`);
    if (state === 'undone') throw new Problem('set.undone', `The set ${JSON.stringify(set)} is undone`);
  }
  return {
    ...(run === undefined ? {} : { run }),
    ...(sequence === undefined ? {} : { sequence: Number(sequence) }),
    ...(completeThrough === undefined ? {} : { completeThrough: instantText(completeThrough) }),
    ...(source === undefined ? {} : { source }),
    ...(sentAt === undefined ? {} : { sentAt: instantText(sentAt) }),
    ...(set === undefined ? {} : { set }),
  };
};

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
    accept: (ingest: Ingest, body: Buffer, who: Principal) => Promise<BatchOutcome>,
  ): Promise<BatchOutcome> => {
    const who = need(request, 'ingest');
    const { ingest } = context;
    if (ingest === null) throw new Problem('server.read_only');
    const body = await plainBody(request.body, request.headers['content-encoding'], context.config.bodyBytesMax);
    const outcome = await accept(ingest, body, who);
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
    const outcome = await take(request, (ingest, body, who) => {
      const mode = modeOf(request.headers);
      if (mode === null)
        throw new Problem(
          'request.content_type',
          `Content-Type ${String(request.headers['content-type']).slice(0, 100)} is not read here`,
        );
      return ingest.acceptEvents(body, mode, {
        ...senderOf(who),
        ...claims(request, context),
        headers: request.headers,
      });
    });
    return sendOutcome(outcome, request, reply);
  });
  const readingsSchema = {
    tags: ['ingest'],
    summary: 'A batch of counter readings of one source',
    consumes: ['application/json'],
    response: { 200: Outcome },
  };
  app.post('/api/v1/readings', { schema: readingsSchema }, async (request, reply) => {
    const outcome = await take(request, (ingest, body, who) => ingest.acceptReadings(body, senderOf(who)));
    return sendOutcome(outcome, request, reply);
  });
};
