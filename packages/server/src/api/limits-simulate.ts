/** What a limit would have refused of the past, as NDJSON: how far it is, and every refusal when it is found. */
import { type Static, Type } from '@sinclair/typebox';
import { defineLimit } from '../domain/limit/define-plans.ts';
import { Problem } from '../errors.ts';
import { simulate } from '../throttle/simulate.ts';
import type { SimulationStep } from '../throttle/simulated.ts';
import { needInstallation } from './auth.ts';
import { readTexts, refuse, TextBody } from './catalogue-change.ts';
import type { Context } from './context.ts';
import type { LongWork } from './long-work.ts';
import type { App } from './provider.ts';
import { InstantText } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Query = Type.Object({
  from: InstantText('First instant'),
  to: Type.Optional(InstantText('One past the last; now when left away')),
});

const stepsOf = (context: Context, text: string, query: Static<typeof Query>): AsyncIterable<SimulationStep> => {
  const { usage, store, log, receipts, clock } = context;
  const { value, problems } = defineLimit(text, log.book.meters());
  if (problems !== null) return refuse('limit.invalid', problems);
  const from = instantOf(query.from, 'from');
  const to = query.to === undefined ? clock.now() : instantOf(query.to, 'to');
  if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
  return simulate({ usage, store, book: log.book, frontier: receipts.frontier() }, value, { from, to });
};

/** Instants as text, sums as digits. */
const lineOf = (step: SimulationStep): string => {
  if (step.kind !== 'refusal') return `${JSON.stringify(step)}\n`;
  const { refusal: r } = step;
  const times = { from: isoText(r.from), to: isoText(r.to) };
  const first = { firstFrom: isoText(r.firstFrom), firstTo: isoText(r.firstTo) };
  const refusal = { ...r, ...times, ...first, used: String(r.used), over: String(r.over) };
  return `${JSON.stringify({ kind: 'refusal', refusal })}\n`;
};

export const simulateRoutes = (app: App, context: Context, long: LongWork): void => {
  const schema = {
    tags: ['limits'],
    summary: 'What a limit would have refused between two instants, from what was metered; changes nothing; NDJSON',
    querystring: Query,
    body: TextBody,
  };
  app.register(async (scope) => {
    readTexts(scope as unknown as App);
    (scope as unknown as App).post('/api/v1/limits/simulate', { schema }, async (request, reply) => {
      const { key } = needInstallation(request, 'read');
      const text = typeof request.body === 'string' ? request.body : '';
      const begin = async () => stepsOf(context, text, request.query);
      return reply.type('application/x-ndjson').send(await long.lines({ key, begin, lineOf }));
    });
  });
};
