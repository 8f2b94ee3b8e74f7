/** Resources: what is measured, what kind of traffic it carries, and whose it is from when. */
import { type Static, Type } from '@sinclair/typebox';
import type { ResourceFact } from '../domain/control-fact.ts';
import { trafficTypes } from '../domain/series.ts';
import { Problem } from '../errors.ts';
import { need, type Principal } from './auth.ts';
import { authorOf, type Context, reach, tenantOf, viewerOf } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { type App, NullableFlag, NullableText, Words } from './provider.ts';
import { InstantText, PAGE_DEFAULT, Page, PageQuery, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const ResourceRow = Type.Object({
  tenant: Type.String({ description: "Account of the key it is reported with; '' for the installation" }),
  id: Type.String(),
  name: Type.String(),
  account: NullableText({ description: 'Owner now; null: nobody, its usage is unattributed' }),
  trafficType: NullableText(),
  tag: Type.String({ description: 'VLAN id or VNI' }),
  billable: Type.Boolean(),
  described: Type.Boolean({ description: 'False: only known from its readings' }),
});
const Owner = Type.Object({ account: NullableText(), from: Type.String(), to: NullableText() });
const Params = Type.Object({ id: Type.String() });
const TenantQuery = Type.Object({ tenant: Type.Optional(Type.String({ maxLength: 256 })) });
const Update = Type.Object(
  {
    tenant: Type.Optional(Type.String({ maxLength: 256 })),
    name: Type.Optional(Type.String({ maxLength: 256 })),
    trafficType: Type.Optional(Type.Unsafe<(typeof trafficTypes)[number] | null>({ enum: [...trafficTypes, null] })),
    tag: Type.Optional(Type.String({ maxLength: 64 })),
    billable: Type.Optional(NullableFlag({ description: 'null: by traffic type; management and storage never' })),
    reason: Reason,
  },
  { additionalProperties: false },
);

/** Far enough for any owner change that is on record. */
const FOREVER = 8_640_000_000_000_000;

const row = (context: Context, tenant: string, id: string): Static<typeof ResourceRow> => {
  const { book } = context.log;
  const fact = book.resource(tenant, id);
  return {
    tenant,
    id,
    name: fact?.name ?? '',
    account: book.ownerAt(tenant, id, context.clock.now()),
    trafficType: fact?.trafficType ?? null,
    tag: fact?.tag ?? '',
    billable: book.isBillable(tenant, id),
    described: fact !== undefined,
  };
};

/** Described ones and those only known from a series, sorted by (tenant, id). */
const allNames = (context: Context): [tenant: string, id: string][] => {
  const names = new Set<string>();
  for (const r of context.log.book.allResources()) names.add(JSON.stringify([r.tenant, r.id]));
  for (const s of context.registry.all()) names.add(JSON.stringify([s.tenant, s.resource]));
  return [...names].sort().map((name) => JSON.parse(name) as [string, string]);
};

/** A resource is visible to who owns it now, or in whose namespace it lies. */
const visible = (viewer: ReadonlySet<string> | null, r: { tenant: string; account: string | null }): boolean =>
  viewer === null || viewer.has(r.tenant) || (r.account !== null && viewer.has(r.account));

export const resourceRoutes = (app: App, context: Context): void => {
  const tags = ['resources'];
  const Query = Type.Object({
    account: Type.Optional(Type.String({ description: 'Owner now; `unattributed` for those of nobody' })),
    trafficType: Type.Optional(Words(trafficTypes)),
    ...PageQuery,
  });
  app.get(
    '/api/v1/resources',
    { schema: { tags, querystring: Query, response: { 200: Page(ResourceRow) } } },
    (request) => {
      const who = need(request, 'read');
      const viewer = viewerOf(context, who);
      const { account, trafficType, limit = PAGE_DEFAULT, cursor } = request.query;
      const after = cursor === undefined ? null : JSON.stringify(readCursor(cursor, ['string', 'string']));
      const items: Static<typeof ResourceRow>[] = [];
      for (const [tenant, id] of allNames(context)) {
        if (after !== null && JSON.stringify([tenant, id]) <= after) continue;
        const r = row(context, tenant, id);
        if (!visible(viewer, r)) continue;
        if (account !== undefined && (r.account ?? 'unattributed') !== account) continue;
        if (trafficType !== undefined && r.trafficType !== trafficType) continue;
        if (items.length === limit) {
          const last = items.at(-1);
          return { items, ...(last ? { nextCursor: writeCursor([last.tenant, last.id]) } : {}) };
        }
        items.push(r);
      }
      return { items };
    },
  );

  app.put(
    '/api/v1/resources/:id',
    { schema: { tags, params: Params, body: Update, response: { 200: ResourceRow } } },
    async (request) => {
      const who = need(request, 'admin');
      const { tenant: asked, reason, ...change } = request.body;
      const tenant = tenantOf(context, who, asked);
      const now = context.log.book.resource(tenant, request.params.id);
      const fact: ResourceFact = {
        kind: 'resource',
        id: request.params.id,
        name: change.name ?? now?.name ?? '',
        trafficType: change.trafficType === undefined ? (now?.trafficType ?? null) : change.trafficType,
        tag: change.tag ?? now?.tag ?? '',
        billable: change.billable === undefined ? (now?.billable ?? null) : change.billable,
      };
      await context.log.append([fact], authorOf(who, tenant, reason));
      return row(context, tenant, request.params.id);
    },
  );

  app.get(
    '/api/v1/resources/:id/owners',
    { schema: { tags, params: Params, querystring: TenantQuery, response: { 200: Page(Owner) } } },
    (request) => {
      const who = need(request, 'read');
      const tenant = tenantOf(context, who, request.query.tenant);
      const viewer = viewerOf(context, who);
      const spans = context.log.book.ownerIntervals(tenant, request.params.id, 0, FOREVER);
      const items = spans
        .filter((o) => viewer === null || (o.account !== null && viewer.has(o.account)))
        .map((o) => ({ account: o.account, from: isoText(o.from), to: o.to === FOREVER ? null : isoText(o.to) }));
      return { items };
    },
  );

  const SetOwner = Type.Object(
    {
      tenant: Type.Optional(Type.String({ maxLength: 256 })),
      account: NullableText({ maxLength: 256, description: 'null: nobody' }),
      from: Type.Optional(InstantText('From when; now when left away')),
      reason: Reason,
    },
    { additionalProperties: false },
  );
  app.post(
    '/api/v1/resources/:id/owner',
    { schema: { tags, params: Params, body: SetOwner, response: { 200: Page(Owner) } } },
    async (request) => {
      const who = need(request, 'admin');
      const tenant = tenantOf(context, who, request.body.tenant);
      const { account, reason } = request.body;
      const from = request.body.from === undefined ? context.clock.now() : instantOf(request.body.from, 'from');
      mayGive(context, who, tenant, account);
      await context.usage.corrections.attribute(
        tenant,
        request.params.id,
        account,
        from,
        authorOf(who, tenant, reason),
      );
      const items = context.log.book.ownerIntervals(tenant, request.params.id, 0, FOREVER);
      return {
        items: items.map((o) => ({
          account: o.account,
          from: isoText(o.from),
          to: o.to === FOREVER ? null : isoText(o.to),
        })),
      };
    },
  );
};

/** An account's administrator moves what is in its namespace, between accounts it reaches. */
export const mayGive = (context: Context, who: Principal, tenant: string, account: string | null): void => {
  if (account !== null) reach(context, who, account);
  if (who.account !== null && tenant === '')
    throw new Problem('auth.account', 'Resources of the installation are given by its administrator');
};
