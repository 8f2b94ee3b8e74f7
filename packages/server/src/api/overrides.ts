/** Overrides: another amount of a limit or an entitlement, for one account, for a time. */
import { type Static, Type } from '@sinclair/typebox';
import { Misread, readAllowance } from '../domain/limit/amount.ts';
import type { Override } from '../domain/limit/catalogue.ts';
import type { OverrideFact } from '../domain/limit/catalogue-fact.ts';
import { checkRule } from '../domain/limit/check-rule.ts';
import { overridables, withAmount } from '../domain/limit/override.ts';
import { Problem } from '../errors.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { Adjust, endHeld, refuseBilled } from './billed.ts';
import { EndQuery, SpanQuery, spanOf, Times, type Turn, timesOf, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { unitOf } from './limit-rows.ts';
import { type App, NullableNumber } from './provider.ts';
import { Name, Page, Reason } from './schemas.ts';

export const OverrideRow = Type.Object({
  account: Type.String(),
  key: Type.String(),
  amount: NullableNumber({ description: 'null: unlimited' }),
  ...Times,
  receipt: Type.Integer(),
});
type Row = Static<typeof OverrideRow>;
const Create = Type.Object(
  {
    account: Name('Who'),
    key: Name('Key of a limit or an entitlement', 63),
    amount: Type.String({ maxLength: 64, description: 'Whole units, or with a unit such as `70 MB`, or `unlimited`' }),
    ...SpanQuery,
    adjust: Adjust,
    reason: Reason,
  },
  { additionalProperties: false },
);

export const overrideRows = (context: Context, account: string): Row[] => {
  const now = context.clock.now();
  return [...context.log.book.catalogue.overridesOf(account)].map((o) => ({
    account: o.account,
    key: o.key,
    amount: o.amount,
    ...timesOf(o, now),
    receipt: o.receipt,
  }));
};

/** The amount in units of what the key names, checked against its rule. Throws Problem. */
const amountOf = (context: Context, { account, key, amount }: Static<typeof Create>): number | null => {
  const named = overridables(context.log.book, account, context.clock.now());
  const found = named.find((o) => o.key === key);
  if (found === undefined)
    throw new Problem(
      'limit.unknown',
      `${JSON.stringify(key)} is no limit or entitlement of the account; it has ${named.map((o) => o.key).join(', ') || 'none'}`,
      { pointer: '/key' },
    );
  const read = readAllowance(amount, unitOf(context, found.meter));
  const rule = read instanceof Misread ? null : withAmount(found.rule, read);
  const wrong = read instanceof Misread ? read.why : rule === null ? undefined : checkRule(rule)[0]?.message;
  if (wrong !== undefined || read instanceof Misread)
    throw new Problem('limit.invalid', `amount: ${wrong ?? ''}`, { pointer: '/amount' });
  return read;
};

const override = async (context: Context, who: Principal, asked: Static<typeof Create>): Promise<Row[]> => {
  const { account, key } = asked;
  reach(context, who, account);
  const amount = amountOf(context, asked);
  const span = spanOf(asked, context.clock.now(), zoneOf(context, account));
  // What is included is billed by too.
  await refuseBilled(context, [account], span.from, asked.adjust);
  const fact: OverrideFact = { kind: 'override', account, key, amount, ...span };
  await context.log.append([fact], authorOf(who, '', asked.reason));
  return overrideRows(context, account);
};

export const overrideRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['limits'];
  const Query = Type.Object({ account: Type.Optional(Type.String({ maxLength: 256 })) });
  app.get(
    '/api/v1/overrides',
    { schema: { tags, querystring: Query, response: { 200: Page(OverrideRow) } } },
    (request) => {
      const who = need(request, 'read');
      const { account } = request.query;
      if (account !== undefined) reach(context, who, account);
      const all = [...context.log.book.catalogue.allOverrides()].map((o) => o.account);
      const accounts = account === undefined ? new Set(all.filter((id) => mayReach(context, who, id))) : [account];
      return { items: [...accounts].flatMap((id) => overrideRows(context, id)) };
    },
  );
  app.post(
    '/api/v1/overrides',
    {
      schema: {
        tags,
        summary: 'Another amount for one account',
        description:
          'By the key of an entitlement, for every limit that reads it. The same start as another replaces it.',
        body: Create,
        response: { 201: Page(OverrideRow) },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      return reply.code(201).send({ items: await turn(() => override(context, who, request.body)) });
    },
  );
  const Params = Type.Object({ account: Type.String(), key: Type.String() });
  app.delete(
    '/api/v1/overrides/:account/:key',
    {
      schema: {
        tags,
        summary: 'Ends what is in force',
        params: Params,
        querystring: Type.Object({ ...EndQuery.properties, adjust: Adjust }),
        response: { 200: Page(OverrideRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { account, key } = request.params;
      reach(context, who, account);
      const spans = (): Override[] => [...context.log.book.catalogue.overridesOf(account)].filter((o) => o.key === key);
      const unknown = new Problem('limit.unknown', `There is no override of ${JSON.stringify(key)} then`);
      await turn(() => endHeld(context, who, account, spans(), request.query, unknown));
      return { items: overrideRows(context, account) };
    },
  );
};
