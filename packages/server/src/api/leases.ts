/**
 * Leases: units lent to servers that decide by themselves. They ask ahead, refuse by themselves when nothing is lent, and
 * return what they did not use. A refusal is an answer, so it is a 200.
 */
import { type Static, Type } from '@sinclair/typebox';
import { REQUESTS } from '../domain/limit/limit.ts';
import { LimitError } from '../domain/limit/limit-error.ts';
import { Problem } from '../errors.ts';
import type { Lease } from '../throttle/leases.ts';
import { need } from './auth.ts';
import { type Context, mayReach, reach } from './context.ts';
import { type App, NullableNumber, NullableText, Words } from './provider.ts';
import { Name } from './schemas.ts';
import { isoText } from './time.ts';

const units = (minimum: number, description: string) =>
  Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, description });

const SETTLED_MAX = 1000;
const Settled = Type.Object({ id: Type.String({ maxLength: 64 }), used: units(0, 'Units used of it') });

const Ask = Type.Object(
  {
    account: Name('Whose calls are to be decided'),
    action: Type.Optional(Type.String({ maxLength: 128 })),
    meter: Type.Optional(Type.String({ maxLength: 256, description: 'Meter of the units; `requests` when left away' })),
    resource: Type.Optional(Type.String({ maxLength: 256 })),
    dimensions: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }))),
    want: units(1, 'Units that would be good to have'),
    least: Type.Optional(units(1, 'Fewer are of no use; 1 when left away')),
    owed: Type.Optional(units(0, 'Admitted without a lease, because nobody answered: charged whatever the limits')),
    refused: Type.Optional(units(0, 'Refused there since the last question, by an answer of this server')),
    settled: Type.Optional(
      Type.Array(Settled, { maxItems: SETTLED_MAX, description: 'Leases that are done: their rest comes back' }),
    ),
  },
  { additionalProperties: false },
);

const Policy = Type.Object({
  name: Type.String(),
  quota: Type.Number(),
  windowSeconds: Type.Number({ description: '0: a calendar period, or something held' }),
  unit: Words(['requests', 'content-bytes', 'concurrent-requests', '']),
  remaining: Type.Number({ description: 'After what was lent' }),
  resetSeconds: Type.Number(),
  charged: Type.Boolean({ description: 'What is left of the lease is left of it too' }),
});

const Refused = Type.Object({
  code: Type.String(),
  detail: Type.String({ description: 'For people' }),
  limit: NullableText(),
  version: NullableNumber(),
  used: NullableNumber(),
  amount: NullableNumber(),
  resetAt: NullableText(),
  retryAfterMs: NullableNumber({ description: 'Null: waiting does not help, or nobody knows' }),
  upgrade: Type.String(),
});

const LeaseRow = Type.Object({
  id: NullableText({ description: 'Null: nothing to return' }),
  granted: NullableNumber({ description: 'Units lent; null: none are needed as long as the lease lasts' }),
  until: Type.String({ description: "Over then, by this server's clock" }),
  ttlMs: Type.Number({ description: 'The same by any clock: from when it was asked for' }),
  perCall: Type.Boolean({ description: 'Something is held while a call runs: one lease for each call' }),
  fail: Type.Object({ mode: Words(['open', 'closed', 'last', 'bounded']), amount: Type.Number() }),
  policies: Type.Array(Policy),
  refusal: Type.Array(Refused, { maxItems: 1, description: 'Empty when granted' }),
});

const refusalOf = ({ answer: { reason, detail, gate, decision } }: Lease): Static<typeof Refused> => ({
  code: reason ?? 'limit.reached',
  detail,
  limit: gate?.limit.key ?? null,
  version: gate?.limit.version ?? null,
  used: decision?.used ?? null,
  amount: decision?.limit ?? null,
  resetAt: decision === null ? null : isoText(decision.resetAt),
  retryAfterMs: decision?.retryAfterMs ?? null,
  upgrade: gate?.limit.upgrade ?? '',
});

const rowOf = (lease: Lease): Static<typeof LeaseRow> => {
  const { id, granted, until, ttlMs, perCall, fail, policies, answer } = lease;
  return {
    id,
    granted,
    until: isoText(until),
    ttlMs,
    perCall,
    fail: { mode: fail.mode, amount: fail.mode === 'bounded' ? fail.amount : 0 },
    policies: [...policies],
    refusal: answer.allowed ? [] : [refusalOf(lease)],
  };
};

const tooMany = (error: unknown): never => {
  throw error instanceof LimitError ? new Problem('limit.invalid', error.message) : error;
};

export const leaseRoutes = (app: App, context: Context): void => {
  const take = {
    tags: ['limits'],
    summary: 'Lends units to who decides by itself, after taking back what is settled',
    body: Ask,
    response: { 200: LeaseRow },
  };
  app.post('/api/v1/leases', { schema: take }, async (request) => {
    const who = need(request, 'ingest');
    const { want, least = 1, owed = 0, refused = 0, settled = [], ...asked } = request.body;
    const { account, action = '', meter = REQUESTS, resource = '', dimensions = {} } = asked;
    const ask = { account, action, meter, resource, dimensions };
    reach(context, who, account);
    for (const { id, used } of settled) context.leases.settle(id, used, true, (other) => mayReach(context, who, other));
    if (owed > 0) await context.leases.owe(ask, owed);
    if (refused > 0) context.leases.refusedThere(ask, refused);
    return rowOf(await context.leases.take({ ...ask, want: Math.max(want, least), least }).catch(tooMany));
  });
  const settle = {
    tags: ['limits'],
    summary: 'Tells what was used of a lease; when it is done, the rest comes back',
    params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
    body: Type.Object(
      {
        used: units(0, 'Units used so far, of all that was lent'),
        done: Type.Optional(Type.Boolean({ default: true })),
      },
      { additionalProperties: false },
    ),
    response: {
      200: Type.Object({
        settled: Type.Boolean({ description: 'False: not there, or over: all of it counts as used' }),
      }),
    },
  };
  app.post('/api/v1/leases/:id', { schema: settle }, (request) => {
    const who = need(request, 'ingest');
    const { used, done = true } = request.body;
    return {
      settled: context.leases.settle(request.params.id, used, done, (account) => mayReach(context, who, account)),
    };
  });
};
