/** The audit log: every mutation, by whom and why, as the control facts themselves. */
import { type Static, Type } from '@sinclair/typebox';
import type { ControlFact } from '../domain/control-fact.ts';
import { needInstallation } from './auth.ts';
import type { Context } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { type App, Words } from './provider.ts';
import { InstantText, PAGE_DEFAULT, Page, PageQuery } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const AuditRow = Type.Object({
  receipt: Type.Integer(),
  recordedAt: Type.String(),
  tenant: Type.String(),
  author: Type.String(),
  reason: Type.String(),
  kind: Type.String(),
  body: Type.Object({}, { additionalProperties: true }),
});
const kinds = [
  'account',
  'resource',
  'owner',
  'source',
  'meter',
  'void',
  'set',
  'decision',
  'quarantine',
  'unobserved',
  'key',
  'plan',
  'subscription',
  'override',
  'limit',
  'block',
  'rls',
  'tick',
];

/** A key's hash lets nobody in, and still has no business in a list. */
export const auditBody = (fact: ControlFact): Record<string, unknown> => {
  if (fact.body.kind !== 'key') return { ...fact.body };
  const { hash: _hash, ...shown } = fact.body;
  return shown;
};

const row = (fact: ControlFact): Static<typeof AuditRow> => ({
  receipt: fact.receipt,
  recordedAt: isoText(fact.recordedAt),
  tenant: fact.tenant,
  author: fact.author,
  reason: fact.reason,
  kind: fact.body.kind,
  body: auditBody(fact),
});

export const auditRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    kind: Type.Optional(Type.Array(Type.Unsafe<string>({ type: 'string', enum: kinds }), { maxItems: kinds.length })),
    tenant: Type.Optional(Type.String()),
    since: Type.Optional(InstantText('Recorded not before')),
    order: Type.Optional(Words(['oldest', 'newest'] as const, { description: 'What comes first; oldest' })),
    ...PageQuery,
  });
  const schema = {
    tags: ['audit'],
    summary: 'Every change; clock ticks only when asked for',
    querystring: Query,
    response: { 200: Page(AuditRow) },
  };
  app.get('/api/v1/audit', { schema }, async (request) => {
    needInstallation(request, 'admin');
    const { kind, tenant, since, limit = PAGE_DEFAULT, cursor } = request.query;
    const newest = request.query.order === 'newest';
    const at = cursor === undefined ? null : Number(readCursor(cursor, ['number'])[0]);
    const facts = await context.control.facts(newest ? 0 : (at ?? 0), limit + 1, {
      kinds: kind ?? kinds.filter((k) => k !== 'tick'),
      newest,
      ...(newest && at !== null ? { upTo: at - 1 } : {}),
      ...(tenant === undefined ? {} : { tenant }),
      ...(since === undefined ? {} : { since: instantOf(since, 'since') }),
    });
    const items = facts.slice(0, limit).map(row);
    const last = items.at(-1);
    return { items, ...(facts.length > limit && last ? { nextCursor: writeCursor([last.receipt]) } : {}) };
  });
};
