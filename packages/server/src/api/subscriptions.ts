/** Subscriptions: which plan an account has, when. Several follow each other; of those that overlap the last begun rules. */
import { type Static, Type } from '@sinclair/typebox';
import type { Subscription } from '../domain/limit/catalogue.ts';
import type { Span, SubscriptionFact } from '../domain/limit/catalogue-fact.ts';
import { covers } from '../domain/limit/timeline.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import { refusePlanCurrency } from './account-currency.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { Adjust, endHeld, refuseBilled } from './billed.ts';
import { EndQuery, SpanQuery, spanOf, Times, type Turn, timesOf, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { PERIOD_END, periodEndOf } from './period-end.ts';
import { type App, NullableText, Words } from './provider.ts';
import { InstantText, Name, Page, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Row = Type.Object({
  account: Type.String(),
  plan: Type.String(),
  ...Times,
  anchor: Type.String({ description: 'Billing periods are counted from here' }),
  trialUntil: Type.Optional(
    NullableText({ description: 'Nothing costs anything before it; null: no trial. Left away: as the plan says' }),
  ),
  ruling: Type.Boolean({ description: 'Decides now: current, and no later one has begun' }),
});
type Row = Static<typeof Row>;
const Create = Type.Object(
  {
    account: Name('Who'),
    plan: Name('Key of a plan', 63),
    ...SpanQuery,
    anchor: Type.Optional(
      InstantText('Start of a billing period; left away: of the subscription it follows, else its own start'),
    ),
    at: Type.Optional(
      Words([PERIOD_END], { description: 'Instead of `from`: when the period that runs now has ended' }),
    ),
    trialUntil: Type.Optional(InstantText('Free of charge until then, instead of as the plan says; `none`: no trial')),
    adjust: Adjust,
    reason: Reason,
  },
  { additionalProperties: false },
);

const row = (context: Context, s: Subscription): Row => {
  const now = context.clock.now();
  const ruling = context.log.book.catalogue.subscriptionAt(s.account, now)?.receipt === s.receipt;
  const { trialUntil } = s;
  const trial = trialUntil === undefined ? {} : { trialUntil: trialUntil === null ? null : isoText(trialUntil) };
  return { account: s.account, plan: s.plan, ...timesOf(s, now), anchor: isoText(s.anchor), ...trial, ruling };
};

const rowsOf = (context: Context, account: string): Row[] =>
  context.log.book.catalogue.subscriptionsOf(account).map((s) => row(context, s));

const factOf = ({ account, plan, from, to, anchor, trialUntil }: Subscription): SubscriptionFact => ({
  kind: 'subscription',
  account,
  plan,
  from,
  to,
  anchor,
  ...(trialUntil === undefined ? {} : { trialUntil }),
});

type Asked = Static<typeof Create>;

const startOf = (context: Context, { account, at, ...asked }: Asked): Span => {
  const now = context.clock.now();
  if (at === undefined) return spanOf(asked, now, zoneOf(context, account));
  if (asked.from !== undefined) throw new Problem('request.invalid', 'Give either `at` or `from`', { pointer: '/at' });
  return spanOf({ ...asked, from: isoText(periodEndOf(context, account)) }, now, zoneOf(context, account));
};

/** What is given, else what the one that it replaces has, else as the plan says. */
const trialOf = (context: Context, { account, trialUntil }: Asked, from: Instant): { trialUntil?: Instant | null } => {
  const replaced = context.log.book.catalogue.subscriptionsOf(account).find((s) => s.from === from);
  if (trialUntil === undefined) return replaced?.trialUntil === undefined ? {} : { trialUntil: replaced.trialUntil };
  if (trialUntil === 'none') return { trialUntil: null };
  return { trialUntil: instantOf(trialUntil, 'trialUntil', zoneOf(context, account)) };
};

/** The new one; one without end also ends what it takes the place of, so that nothing comes back when it ends itself. */
const subscribe = async (context: Context, who: Principal, asked: Asked): Promise<Row[]> => {
  const { catalogue } = context.log.book;
  const { account, plan } = asked;
  reach(context, who, account);
  if (catalogue.plan(plan) === undefined)
    throw new Problem('plan.unknown', `There is no plan ${JSON.stringify(plan)}`, { pointer: '/plan' });
  const zone = zoneOf(context, account);
  const span = startOf(context, asked);
  refusePlanCurrency(context.log.book, account, plan, span);
  await refuseBilled(context, [account], span.from, asked.adjust);
  const before = catalogue.subscriptionsOf(account).filter((s) => s.from < span.from && covers(s, span.from));
  const anchor =
    asked.anchor === undefined ? (before.at(-1)?.anchor ?? span.from) : instantOf(asked.anchor, 'anchor', zone);
  const ended = span.to === null ? before.map((s) => ({ ...factOf(s), to: span.from })) : [];
  const facts: SubscriptionFact[] = [
    ...ended,
    { kind: 'subscription', account, plan, ...span, anchor, ...trialOf(context, asked, span.from) },
  ];
  await context.log.append(facts, authorOf(who, '', asked.reason));
  return rowsOf(context, account);
};

export const subscriptionRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['subscriptions'];
  const Query = Type.Object({ account: Type.Optional(Type.String({ maxLength: 256 })) });
  app.get(
    '/api/v1/subscriptions',
    { schema: { tags, querystring: Query, response: { 200: Page(Row) } } },
    (request) => {
      const who = need(request, 'read');
      const { account } = request.query;
      if (account !== undefined) {
        reach(context, who, account);
        return { items: rowsOf(context, account) };
      }
      const all = [...context.log.book.catalogue.allSubscriptions()].filter((s) => mayReach(context, who, s.account));
      return { items: all.map((s) => row(context, s)) };
    },
  );
  app.post(
    '/api/v1/subscriptions',
    {
      schema: {
        tags,
        summary: 'Gives an account a plan from an instant on',
        description:
          'One without end ends what was in force at its start. One with an end goes before it until then. The same start as another replaces it.',
        body: Create,
        response: { 201: Page(Row) },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      return reply.code(201).send({ items: await turn(() => subscribe(context, who, request.body)) });
    },
  );
  const Params = Type.Object({ account: Type.String() });
  app.delete(
    '/api/v1/subscriptions/:account',
    {
      schema: {
        tags,
        summary: 'Ends what is in force; what was stays on record',
        params: Params,
        querystring: Type.Object({ ...EndQuery.properties, adjust: Adjust }),
        response: { 200: Page(Row) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { account } = request.params;
      reach(context, who, account);
      const spans = (): readonly Subscription[] => context.log.book.catalogue.subscriptionsOf(account);
      const unknown = new Problem('subscription.unknown', `The account ${JSON.stringify(account)} has none then`);
      await turn(() => endHeld(context, who, account, spans(), request.query, unknown));
      return { items: rowsOf(context, account) };
    },
  );
};
