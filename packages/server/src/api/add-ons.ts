/** Add-ons: other plans that an account has besides its own, so many times. */
import { type Static, Type } from '@sinclair/typebox';
import type { AddOn } from '../domain/billing/billing.ts';
import type { AddOnFact } from '../domain/billing/billing-fact.ts';
import { Problem } from '../errors.ts';
import { refusePlanCurrency } from './account-currency.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { Adjust, endHeld, refuseBilled } from './billed.ts';
import { EndQuery, SpanQuery, spanOf, Times, type Turn, timesOf, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import type { App } from './provider.ts';
import { Name, Page, Reason } from './schemas.ts';

const QUANTITY_MAX = 1_000_000_000;
const AddOnRow = Type.Object({
  account: Type.String(),
  plan: Type.String(),
  quantity: Type.Integer(),
  ...Times,
  receipt: Type.Integer(),
});
type Row = Static<typeof AddOnRow>;
const Create = Type.Object(
  {
    account: Name('Who'),
    plan: Name('Key of a plan with prices', 63),
    quantity: Type.Optional(Type.Integer({ minimum: 1, maximum: QUANTITY_MAX, description: '1 when left away' })),
    ...SpanQuery,
    adjust: Adjust,
    reason: Reason,
  },
  { additionalProperties: false },
);

const rowsOf = (context: Context, account: string): Row[] =>
  context.log.book.billing.addOnsOf(account).map(({ plan, quantity, receipt, ...span }) => ({
    account,
    plan,
    quantity,
    ...timesOf(span, context.clock.now()),
    receipt,
  }));

const add = async (context: Context, who: Principal, asked: Static<typeof Create>): Promise<Row[]> => {
  const { account, plan, quantity = 1 } = asked;
  reach(context, who, account);
  const found = context.log.book.catalogue.plan(plan);
  if (found === undefined)
    throw new Problem('plan.unknown', `There is no plan ${JSON.stringify(plan)}`, { pointer: '/plan' });
  if (found.billing === null)
    throw new Problem('billing.invalid', `plan: ${plan} has no prices, so there is nothing to add`, {
      pointer: '/plan',
    });
  const span = spanOf(asked, context.clock.now(), zoneOf(context, account));
  refusePlanCurrency(context.log.book, account, plan, span);
  await refuseBilled(context, [account], span.from, asked.adjust);
  // Another quantity from now on takes the place of the one before, as a subscription does.
  const before = context.log.book.billing
    .addOnsOf(account)
    .filter((a) => a.plan === plan && a.from < span.from && (a.to === null || a.to > span.from));
  const ended =
    span.to === null ? before.map(({ receipt: _, ...fact }): AddOnFact => ({ ...fact, to: span.from })) : [];
  await context.log.append(
    [...ended, { kind: 'addon', account, plan, quantity, ...span }],
    authorOf(who, '', asked.reason),
  );
  return rowsOf(context, account);
};

export const addOnRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['billing'];
  const Query = Type.Object({ account: Type.Optional(Type.String({ maxLength: 256 })) });
  app.get(
    '/api/v1/billing/add-ons',
    { schema: { tags, querystring: Query, response: { 200: Page(AddOnRow) } } },
    (request) => {
      const who = need(request, 'read');
      const { account } = request.query;
      if (account !== undefined) reach(context, who, account);
      const all = [...context.log.book.billing.allAddOns()].map((a) => a.account);
      const accounts = account === undefined ? new Set(all.filter((id) => mayReach(context, who, id))) : [account];
      return { items: [...accounts].flatMap((id) => rowsOf(context, id)) };
    },
  );
  app.post(
    '/api/v1/billing/add-ons',
    {
      schema: {
        tags,
        summary: 'Gives an account another plan besides its own, some times',
        description: 'One without end ends the one of the same plan before it. The same start replaces it.',
        body: Create,
        response: { 201: Page(AddOnRow) },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      return reply.code(201).send({ items: await turn(() => add(context, who, request.body)) });
    },
  );
  app.delete(
    '/api/v1/billing/add-ons/:account/:plan',
    {
      schema: {
        tags,
        summary: 'Ends it; what was stays on record',
        params: Type.Object({ account: Type.String(), plan: Type.String() }),
        querystring: Type.Object({ ...EndQuery.properties, adjust: Adjust }),
        response: { 200: Page(AddOnRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { account, plan } = request.params;
      reach(context, who, account);
      const spans = (): readonly AddOn[] => context.log.book.billing.addOnsOf(account).filter((a) => a.plan === plan);
      const unknown = new Problem('addon.unknown', `The account has no add-on ${JSON.stringify(plan)} then`);
      await turn(() => endHeld(context, who, account, spans(), request.query, unknown));
      return { items: rowsOf(context, account) };
    },
  );
};
