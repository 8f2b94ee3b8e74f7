/** Credits: money that an account was given or has bought ahead. Its invoices use them before anything is owed. */
import { type Static, Type } from '@sinclair/typebox';
import { ownNameOf } from '../billing/ledger/books.ts';
import { expireCredits, grantCredit, voidCredit } from '../billing/ledger/credits.ts';
import { Problem } from '../errors.ts';
import type { GrantRest } from '../store/billing-store.ts';
import { needInstallation, type Principal } from './auth.ts';
import { zoneOf } from './catalogue-change.ts';
import { type Context, reach } from './context.ts';
import { accountsFor, ListQuery, pageById } from './listing.ts';
import { AmountText, amountText, CurrencyText, minorOf } from './money.ts';
import { type App, NullableNumber, Words } from './provider.ts';
import { InstantText, Name, Page, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const CreditRow = Type.Object({
  id: Type.Integer(),
  key: Type.String({ description: 'Unique in the account' }),
  account: Type.String(),
  currency: Type.String(),
  amount: Type.String(),
  rest: Type.String({ description: 'Not used yet' }),
  priority: Type.Integer({ description: 'Lower is used earlier' }),
  from: Type.String(),
  to: Type.Optional(Type.String({ description: 'Pays for nothing from then on; left away: without end' })),
  funding: Words(['purchase', 'promotion'], { description: 'Bought, or given away' }),
  rollover: Type.Optional(Type.Object({ least: Type.String(), most: Type.String() })),
  lowAt: NullableNumber({ description: 'A notice is told when no more than these percents are left; null: none' }),
  state: Words(['scheduled', 'current', 'ended', 'used']),
  reason: Type.String(),
  author: Type.String(),
  at: Type.String(),
});

const GrantBody = Type.Object(
  {
    account: Name('Who'),
    amount: AmountText('How much'),
    currency: CurrencyText,
    key: Type.Optional(Name('Unique in the account: the same again is the same credit; left away: a new credit', 200)),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, default: 100 })),
    from: Type.Optional(InstantText('Pays for periods that end after it; now when left away')),
    to: Type.Optional(InstantText('Pays for periods that end before it; never ends when left away')),
    paid: Type.Optional(
      Type.Object(
        { reference: Name('Of the payment', 256), method: Type.Optional(Type.String({ maxLength: 100 })) },
        { additionalProperties: false, description: 'It was bought: the payment is recorded with it' },
      ),
    ),
    rollover: Type.Optional(
      Type.Object(
        { least: Type.Optional(AmountText('Filled up to')), most: AmountText('Cut to') },
        { additionalProperties: false, description: 'What is left of it when an invoice ends a period' },
      ),
    ),
    lowAt: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, default: 20, description: 'Percents left' })),
    reason: Reason,
  },
  { additionalProperties: false },
);

const NoticeRow = Type.Object({
  id: Type.Integer(),
  account: Type.String(),
  credit: Type.String({ description: 'Its key' }),
  percent: Type.Integer({ description: 'No more than this is left of it' }),
  rest: Type.String(),
  amount: Type.String(),
  currency: Type.String(),
  at: Type.String(),
});

const creditRow = (context: Pick<Context, 'clock'>, grant: GrantRest & { id: number }): Static<typeof CreditRow> => {
  const { id, account, currency, priority, effective, expires, funding, rollover, lowAt, reason, author } = grant;
  const now = context.clock.now();
  const text = (minor: bigint): string => amountText(minor, currency);
  const isEnded = expires !== null && expires <= now;
  const state = effective > now ? 'scheduled' : isEnded ? 'ended' : grant.rest === 0n ? 'used' : 'current';
  return {
    ...{ id, key: ownNameOf(grant), account, currency, amount: text(grant.amount), rest: text(grant.rest), priority },
    ...{ from: isoText(effective), ...(expires === null ? {} : { to: isoText(expires) }), funding, lowAt, state },
    ...(rollover === null ? {} : { rollover: { least: text(rollover.least), most: text(rollover.most) } }),
    ...{ reason, author, at: isoText(grant.at) },
  };
};

/** Key of the legal entity that bills the account. */
const entityOf = ({ log: { book } }: Pick<Context, 'log'>, account: string): string =>
  book.billing.entityOf(book.billing.profileOf(account).entity)?.key ?? 'default';

const byId = async (context: Context, id: number): Promise<GrantRest & { id: number }> => {
  const [found] = await context.control.billing.grants({ before: id + 1, limit: 1 });
  if (found?.id === id) return found;
  throw new Problem('credit.unknown', `There is no credit ${id}`);
};

const give = async (context: Context, who: Principal, asked: Static<typeof GrantBody>) => {
  const { account, currency, paid, rollover } = asked;
  reach(context, who, account);
  const own = context.log.book.account(account)?.currency;
  if (currency !== own)
    throw new Problem('payment.currency', `The account is billed in ${own}, not in ${currency}`, {
      pointer: '/currency',
    });
  const zone = zoneOf(context, account);
  const now = context.clock.now();
  const effective = asked.from === undefined ? null : instantOf(asked.from, 'from', zone);
  const expires = asked.to === undefined ? null : instantOf(asked.to, 'to', zone);
  if (expires !== null && expires <= (effective ?? now))
    throw new Problem('query.range', 'to must lie after from, and after now', { pointer: '/to' });
  const least = minorOf(rollover?.least ?? '0', currency, 'rollover', 0n);
  const most = rollover === undefined ? 0n : minorOf(rollover.most, currency, 'rollover', 0n);
  if (least > most) throw new Problem('money.invalid', 'rollover: least is more than most', { pointer: '/rollover' });
  return grantCredit(context.control.billing, {
    ...{ account, currency, amount: minorOf(asked.amount, currency, 'amount'), priority: asked.priority ?? 100 },
    ...{ key: asked.key ?? context.newSecret().slice(-16), effective, expires, lowAt: asked.lowAt ?? 20 },
    rollover: rollover === undefined ? null : { least, most },
    ...{ reason: asked.reason ?? '', author: who.key, entity: entityOf(context, account), now },
    paid: paid === undefined ? null : { reference: paid.reference, method: paid.method ?? '' },
  });
};

export const creditRoutes = (app: App, context: Context): void => {
  const tags = ['credits'];
  const Query = Type.Object(ListQuery);
  app.get(
    '/api/v1/credits',
    { schema: { tags, querystring: Query, response: { 200: Page(CreditRow) } } },
    (request) => {
      const accounts = accountsFor(context, request, request.query.account);
      const named = accounts === undefined ? {} : { accounts };
      return pageById(
        request.query,
        (page) => context.control.billing.grants({ ...named, ...page }),
        (one) => creditRow(context, one),
      );
    },
  );
  app.get(
    '/api/v1/credits/notices',
    {
      schema: {
        tags,
        summary: 'Credits that ran low, newest first',
        querystring: Query,
        response: { 200: Page(NoticeRow) },
      },
    },
    (request) => {
      const accounts = accountsFor(context, request, request.query.account);
      const named = accounts === undefined ? {} : { accounts };
      return pageById(
        request.query,
        (page) => context.control.billing.creditNotices({ ...named, ...page }),
        (notice) => ({
          ...{ id: notice.id, account: notice.account, credit: ownNameOf({ ...notice, key: notice.grant }) },
          ...{ percent: notice.percent, currency: notice.currency, at: isoText(notice.at) },
          rest: amountText(notice.rest, notice.currency),
          amount: amountText(notice.amount, notice.currency),
        }),
      );
    },
  );
  app.post(
    '/api/v1/credits',
    {
      schema: {
        tags,
        summary: 'Gives an account a credit, or books one that it has bought',
        description:
          'The same key again is the same credit: 200 instead of 201. Give a key, so that a repetition gives nothing twice.',
        body: GrantBody,
        response: { 200: CreditRow, 201: CreditRow },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const { grant, isNew } = await give(context, who, request.body);
      const [stored] = await context.control.billing.grants({ keys: [grant.key], limit: 1 });
      return reply.code(isNew ? 201 : 200).send(creditRow(context, { ...grant, id: stored?.id ?? 0 }));
    },
  );
  app.delete(
    '/api/v1/credits/:id',
    {
      schema: {
        tags,
        summary: 'Takes back what is left of a credit',
        description: 'Of a bought one it becomes the balance of the customer. What was used stays used.',
        params: Type.Object({ id: Type.Integer() }),
        querystring: Type.Object({ reason: Reason }),
        response: { 200: CreditRow },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { id, account, key } = await byId(context, request.params.id);
      const text = `${who.key}: ${request.query.reason ?? ''}`;
      const now = context.clock.now();
      await voidCredit(context.control.billing, { account, key, entity: entityOf(context, account), text, now });
      return creditRow(context, await byId(context, id));
    },
  );
  app.post(
    '/api/v1/credits/expire',
    {
      schema: {
        tags,
        summary: 'Books the end of credits that are over',
        description:
          'Those whose last period is final, or that ended 35 days ago. They pay for nothing before that either.',
        response: { 200: Type.Object({ ended: Type.Integer() }) },
      },
    },
    async (request) => {
      needInstallation(request, 'admin');
      const ended = await expireCredits(
        context.control.billing,
        (account) => entityOf(context, account),
        context.clock.now(),
        (account, error) => context.logger.error({ err: error, account }, 'credits could not be ended'),
      );
      return { ended: ended.length };
    },
  );
};
