/** Blocks: an action, or all, refused for an account and those below it, with a reason that is read by who is refused. */
import { type Static, Type } from '@sinclair/typebox';
import type { BlockFact } from '../domain/limit/catalogue-fact.ts';
import { Problem } from '../errors.ts';
import { need, needInstallation } from './auth.ts';
import { EndQuery, endedAt, SpanQuery, spanOf, Times, type Turn, timesOf, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import type { App } from './provider.ts';
import { Name, Page } from './schemas.ts';

export const BlockRow = Type.Object({
  account: Type.String(),
  action: Type.String({ description: '`*`: every action' }),
  reason: Type.String(),
  ...Times,
  receipt: Type.Integer(),
});
type Row = Static<typeof BlockRow>;
const Create = Type.Object(
  {
    account: Name('Who'),
    action: Name('What is refused; `*` for everything', 128),
    reason: Name('Why: who is refused reads it', 1000),
    ...SpanQuery,
  },
  { additionalProperties: false },
);

export const blockRows = (context: Context, account: string): Row[] => {
  const now = context.clock.now();
  return [...context.log.book.catalogue.blocksOf(account)].map((b) => ({
    account: b.account,
    action: b.action,
    reason: b.reason,
    ...timesOf(b, now),
    receipt: b.receipt,
  }));
};

export const blockRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['limits'];
  const Query = Type.Object({ account: Type.Optional(Type.String({ maxLength: 256 })) });
  app.get('/api/v1/blocks', { schema: { tags, querystring: Query, response: { 200: Page(BlockRow) } } }, (request) => {
    const who = need(request, 'read');
    const { account } = request.query;
    if (account !== undefined) reach(context, who, account);
    const all = [...context.log.book.catalogue.allBlocks()].map((b) => b.account);
    const accounts = account === undefined ? new Set(all.filter((id) => mayReach(context, who, id))) : [account];
    return { items: [...accounts].flatMap((id) => blockRows(context, id)) };
  });
  app.post(
    '/api/v1/blocks',
    { schema: { tags, summary: 'Refuses an action', body: Create, response: { 201: Page(BlockRow) } } },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const { account, action, reason } = request.body;
      reach(context, who, account);
      const span = spanOf(request.body, context.clock.now(), zoneOf(context, account));
      const fact: BlockFact = { kind: 'block', account, action, reason, ...span };
      await turn(() => context.log.append([fact], authorOf(who, '', reason)));
      return reply.code(201).send({ items: blockRows(context, account) });
    },
  );
  const Params = Type.Object({ account: Type.String(), action: Type.String() });
  app.delete(
    '/api/v1/blocks/:account/:action',
    {
      schema: {
        tags,
        summary: 'Ends what is in force',
        params: Params,
        querystring: EndQuery,
        response: { 200: Page(BlockRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { account, action } = request.params;
      reach(context, who, account);
      await turn(async () => {
        const spans = [...context.log.book.catalogue.blocksOf(account)].filter((b) => b.action === action);
        const ended = endedAt(spans, request.query, context.clock.now(), zoneOf(context, account));
        if (ended.length === 0) throw new Problem('block.unknown', `${JSON.stringify(action)} is not blocked then`);
        const facts = ended.map(
          ({ reason, from, to }): BlockFact => ({ kind: 'block', account, action, reason, from, to }),
        );
        await context.log.append(facts, authorOf(who, '', request.query.reason));
      });
      return { items: blockRows(context, account) };
    },
  );
};
