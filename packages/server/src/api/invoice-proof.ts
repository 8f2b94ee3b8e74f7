/** Proofs of what is final: each document computed again from facts, as NDJSON: how far it is, and a verdict on each. */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import type { Deviation } from '../billing/proof/difference.ts';
import { type Verdict, type VerifyAsk, type VerifyStep, verify } from '../billing/proof/verify.ts';
import { Problem } from '../errors.ts';
import { need } from './auth.ts';
import type { Context } from './context.ts';
import { findInvoice, inZone } from './invoice-rows.ts';
import { accountsFor } from './listing.ts';
import type { LongWork } from './long-work.ts';
import type { App } from './provider.ts';
import { InstantText } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Query = Type.Object({
  ref: Type.Optional(Type.String({ maxLength: 400, description: 'Number or id of one' })),
  account: Type.Optional(Type.String({ maxLength: 256, description: 'Who pays' })),
  from: Type.Optional(InstantText('Periods that end after it')),
  to: Type.Optional(InstantText('Periods that begin before it')),
});

const askOf = async (
  context: Context,
  request: FastifyRequest,
  { ref, account, from, to }: Static<typeof Query>,
): Promise<VerifyAsk> => {
  if (ref !== undefined) {
    const { final } = await findInvoice(context, need(request, 'read'), ref);
    if (final === null) throw new Problem('invoice.unknown', `${ref} is a draft: nothing of it is final`);
    return { id: final.id };
  }
  const accounts = accountsFor(context, request, account);
  return {
    ...(accounts === undefined ? {} : { accounts }),
    ...(from === undefined ? {} : { from: instantOf(from, 'from') }),
    ...(to === undefined ? {} : { to: instantOf(to, 'to') }),
  };
};

const deviationRow = ({ window, facts, ...rest }: Deviation) => ({
  ...rest,
  ...(window === undefined ? {} : { window: isoText(window) }),
  ...(facts === undefined ? {} : { facts: facts.map((fact) => ({ ...fact, t: isoText(fact.t) })) }),
});

const verdictRow = (context: Context, { invoice, deviations }: Verdict) => {
  const { number, kind, account, frontier, digest } = invoice;
  const at = inZone(context, account);
  return {
    ...{ number, kind, account, from: at(invoice.from), to: at(invoice.to), frontier, digest },
    equal: deviations.length === 0,
    deviations: deviations.map(deviationRow),
  };
};

const lineOf = (context: Context, step: VerifyStep): string => {
  const told = step.kind === 'progress' ? step : { ...step, verdict: verdictRow(context, step.verdict) };
  return `${JSON.stringify(told)}\n`;
};

export const invoiceProofRoutes = (app: App, context: Context, long: LongWork): void => {
  const schema = {
    tags: ['invoices'],
    summary: 'Computes final documents again, as of their own S, from facts alone; NDJSON',
    description:
      'A line of `progress`, then a `verdict` on each document, newest first. Of one that is not what it was the last of `deviations` is the first fact that differs.',
    querystring: Query,
  };
  app.get('/api/v1/invoices/verify', { schema }, async (request, reply) => {
    const ask = await askOf(context, request, request.query);
    const deps = {
      billing: context.control.billing,
      meteredAt: (asOf: number, factsOnly: boolean) => context.usage.meteredAt(asOf, factsOnly),
    };
    const lines = await long.lines({
      key: need(request, 'read').key,
      begin: async () => verify(deps, ask),
      lineOf: (step) => lineOf(context, step),
    });
    return reply.type('application/x-ndjson').send(lines);
  });
};
