/** What was set aside, and what was decided about it. */
import { type Static, Type } from '@sinclair/typebox';
import { Problem } from '../errors.ts';
import type { SetAside } from '../store/control-store.ts';
import { need } from './auth.ts';
import { authorOf, type Context, mayReach, viewerOf } from './context.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { type App, NullableNumber, NullableText, Words } from './provider.ts';
import { PAGE_DEFAULT, Page, PageQuery, Reason } from './schemas.ts';
import { isoText } from './time.ts';

const states = ['open', 'released', 'dropped'] as const;
const ItemRow = Type.Object({
  id: Type.Integer(),
  kind: Words(['reading', 'event', 'series'] as const),
  code: Type.String(),
  reason: Type.String(),
  state: Words(states),
  tenant: Type.String(),
  series: NullableNumber(),
  resource: NullableText(),
  meter: NullableText(),
  receipt: NullableNumber(),
  at: Type.String(),
  recordedAt: Type.String(),
  content: Type.String({ description: 'As it was received, JSON text' }),
});

const row = (context: Context, item: SetAside): Static<typeof ItemRow> => {
  const series = item.series === null ? undefined : context.registry.byId(item.series);
  const { identity: _identity, ...shown } = item;
  return {
    ...shown,
    resource: series?.resource ?? null,
    meter: series?.meter ?? null,
    at: isoText(item.at),
    recordedAt: isoText(item.recordedAt),
  };
};

export const quarantineRoutes = (app: App, context: Context): void => {
  const tags = ['quarantine'];
  const Query = Type.Object({ state: Type.Optional(Words(states)), ...PageQuery });
  app.get(
    '/api/v1/quarantine',
    { schema: { tags, querystring: Query, response: { 200: Page(ItemRow) } } },
    async (request) => {
      const who = need(request, 'read');
      const { state = 'open', limit = PAGE_DEFAULT, cursor } = request.query;
      const after = cursor === undefined ? 0 : Number(readCursor(cursor, ['number'])[0]);
      const viewer = viewerOf(context, who);
      const page = { state, after, limit: limit + 1 };
      const lists =
        viewer === null
          ? [await context.control.setAside(page)]
          : await Promise.all([...viewer].map((tenant) => context.control.setAside({ ...page, tenant })));
      const found = lists.flat().sort((a, b) => a.id - b.id);
      const items = found.slice(0, limit).map((item) => row(context, item));
      const last = items.at(-1);
      return { items, ...(found.length > limit && last ? { nextCursor: writeCursor([last.id]) } : {}) };
    },
  );

  const Params = Type.Object({ id: Type.Integer({ minimum: 1 }), action: Words(['release', 'drop'] as const) });
  const Body = Type.Object({ reason: Reason }, { additionalProperties: false });
  const schema = {
    tags,
    summary: 'Lets the item count after all, or decides that it never will',
    params: Params,
    body: Body,
    response: { 200: ItemRow },
  };
  app.post('/api/v1/quarantine/:id/:action', { schema }, async (request) => {
    const who = need(request, 'admin');
    const { id, action } = request.params;
    const item = await context.control.setAsideById(id);
    // The installation's own facts have tenant '': only its keys decide about them.
    if (item === null || (who.account !== null && (item.tenant === '' || !mayReach(context, who, item.tenant))))
      throw new Problem('quarantine.unknown', `Nothing with number ${id} is set aside`);
    const author = authorOf(who, item.tenant, request.body.reason);
    return row(context, await context.usage.corrections.decide(id, action, author));
  });
};
