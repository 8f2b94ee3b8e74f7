/** Sources: who reports, how complete it is, when it last spoke and how far its clock is off. */
import { type Static, Type } from '@sinclair/typebox';
import type { SourceFact } from '../domain/control-fact.ts';
import { Problem } from '../errors.ts';
import { maySpeakFor, need } from './auth.ts';
import { authorOf, type Context, tenantOf } from './context.ts';
import { type App, NullableNumber, NullableText, Words } from './provider.ts';
import { Page, Reason } from './schemas.ts';
import { SourceReport, takeReport } from './source-report.ts';
import { isoText } from './time.ts';

const completeness = ['declared', 'assumed'] as const;
export const SourceRow = Type.Object({
  tenant: Type.String({ description: "Account of the key it reports with; '' for the installation" }),
  id: Type.String(),
  completeness: Words(completeness),
  graceSeconds: Type.Number(),
  settleAfterSeconds: Type.Number(),
  lastSeen: NullableText({ description: 'When its last batch came' }),
  completeThrough: NullableText({ description: 'All its facts up to here have come, as it says' }),
  clockOffsetMs: NullableNumber({ description: 'Its clock less ours at its last batch, travel included' }),
  spoolDepth: NullableNumber({ description: 'Records waiting in its spool, as it last reported; null: it never did' }),
  lostMs: Type.Number({ description: 'Length of the intervals it said it could not see' }),
});
const Update = Type.Object(
  {
    tenant: Type.Optional(Type.String({ maxLength: 256 })),
    completeness: Type.Optional(Words(completeness)),
    graceSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 604_800 })),
    settleAfterSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 31_536_000 })),
    reason: Reason,
  },
  { additionalProperties: false },
);

interface Seen {
  at: number;
  completeThrough: number;
  offset: number;
}

/** What each source last said of itself, by tenant and source. */
export const lastSeen = async (context: Pick<Context, 'store' | 'receipts'>): Promise<Map<string, Seen>> => {
  const seen = new Map<string, Seen>();
  for (const d of await context.store.declarations(context.receipts.frontier())) {
    const name = JSON.stringify([d.tenant, d.source]);
    const last = seen.get(name);
    if (last && last.at > d.receivedAt) last.completeThrough = Math.max(last.completeThrough, d.completeThrough);
    else
      seen.set(name, {
        at: d.receivedAt,
        completeThrough: Math.max(d.completeThrough, last?.completeThrough ?? 0),
        offset: d.sentAt - d.receivedAt,
      });
  }
  return seen;
};

const row = (context: Context, tenant: string, id: string, seen: Seen | undefined): Static<typeof SourceRow> => {
  const rules = context.log.book.source(tenant, id);
  return {
    tenant,
    id,
    completeness: rules.completeness,
    graceSeconds: rules.graceMs / 1000,
    settleAfterSeconds: rules.settleAfterMs / 1000,
    lastSeen: seen ? isoText(seen.at) : null,
    completeThrough: seen && seen.completeThrough > 0 ? isoText(seen.completeThrough) : null,
    clockOffsetMs: seen ? seen.offset : null,
    spoolDepth: context.spools.get(JSON.stringify([tenant, id])) ?? null,
    lostMs: context.log.book.lostBy(tenant, id).reduce((sum, i) => sum + i.to - i.from, 0),
  };
};

/** Every source that was configured, declared something, or has a series. */
export const sourceRows = async (context: Context): Promise<Static<typeof SourceRow>[]> => {
  const seen = await lastSeen(context);
  const names = new Set(seen.keys());
  for (const s of context.log.book.knownSources()) names.add(JSON.stringify([s.tenant, s.id]));
  for (const s of context.registry.all()) names.add(JSON.stringify([s.tenant, s.source]));
  return [...names].sort().map((name) => {
    const [tenant = '', id = ''] = JSON.parse(name) as string[];
    return row(context, tenant, id, seen.get(name));
  });
};

export const sourceRoutes = (app: App, context: Context): void => {
  const tags = ['sources'];
  app.get('/api/v1/sources', { schema: { tags, response: { 200: Page(SourceRow) } } }, async (request) => {
    const who = need(request, 'read');
    const rows = await sourceRows(context);
    return { items: who.account === null ? rows : rows.filter((r) => tenantVisible(context, who.account, r.tenant)) };
  });

  const Params = Type.Object({ id: Type.String() });
  app.post(
    '/api/v1/sources/:id/report',
    {
      schema: {
        tags,
        summary: 'An agent about itself: what waits in its spool, and what it lost',
        params: Params,
        body: SourceReport,
        response: { 200: SourceRow },
      },
    },
    async (request) => {
      const who = need(request, 'ingest');
      const { id } = request.params;
      if (!maySpeakFor(who, id)) throw new Problem('auth.source');
      const tenant = who.account ?? '';
      const name = JSON.stringify([tenant, id]);
      await takeReport(context, authorOf(who, tenant, undefined), id, request.body);
      return row(context, tenant, id, (await lastSeen(context)).get(name));
    },
  );

  app.put(
    '/api/v1/sources/:id',
    { schema: { tags, params: Params, body: Update, response: { 200: SourceRow } } },
    async (request) => {
      const who = need(request, 'admin');
      const { reason, completeness: kind, graceSeconds, settleAfterSeconds } = request.body;
      const tenant = tenantOf(context, who, request.body.tenant);
      const now = context.log.book.source(tenant, request.params.id);
      const fact: SourceFact = {
        kind: 'source',
        id: request.params.id,
        completeness: kind ?? now.completeness,
        graceMs: graceSeconds === undefined ? now.graceMs : graceSeconds * 1000,
        settleAfterMs: settleAfterSeconds === undefined ? now.settleAfterMs : settleAfterSeconds * 1000,
      };
      await context.log.append([fact], authorOf(who, tenant, reason));
      return row(
        context,
        tenant,
        request.params.id,
        (await lastSeen(context)).get(JSON.stringify([tenant, request.params.id])),
      );
    },
  );
};

const tenantVisible = (context: Context, account: string | null, tenant: string): boolean =>
  account !== null && (tenant === account || context.log.book.descendants(account).includes(tenant));
