/** Coupons, which are offers of a discount, and discounts, which are coupons that accounts have. */
import { type Static, Type } from '@sinclair/typebox';
import type { Coupon, Discount } from '../domain/billing/billing.ts';
import type { CouponFact, DiscountFact } from '../domain/billing/billing-fact.ts';
import { Misread } from '../domain/limit/amount.ts';
import { isCurrency } from '../domain/money/currency.ts';
import { MoneyError, minorOfText } from '../domain/money/money.ts';
import { readMoney, readPercent } from '../domain/price/decimal.ts';
import { Problem } from '../errors.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { Adjust, endHeld, refuseBilled } from './billed.ts';
import { EndQuery, SpanQuery, spanOf, Times, type Turn, timesOf, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { type App, NullableNumber } from './provider.ts';
import { Name, Page, Reason } from './schemas.ts';

const Off = {
  percent: Type.Optional(Type.String({ maxLength: 40, description: 'Off what it is on, exact: `12.5`' })),
  amount: Type.Optional(Type.String({ maxLength: 40, description: 'Off each period, exact: `5.00`' })),
  currency: Type.Optional(Type.String({ minLength: 3, maxLength: 3, description: 'Of the amount, ISO 4217' })),
};
const CouponRow = Type.Object({
  key: Type.String(),
  name: Type.String(),
  ...Off,
  on: Type.Array(Type.String(), { description: 'Keys of plans, and of prices as `plan/price`; empty: everything' }),
  periods: NullableNumber({ description: 'How many periods it lasts; null: as long as it is given' }),
  removed: Type.Boolean({ description: 'Cannot be given any more; who has it keeps it' }),
  receipt: Type.Integer(),
});
const DiscountRow = Type.Object({
  account: Type.String(),
  coupon: Type.String(),
  name: Type.String(),
  ...Off,
  periods: NullableNumber(),
  ...Times,
  receipt: Type.Integer(),
});
const Put = Type.Object(
  {
    name: Type.Optional(Name('On the invoice', 200)),
    ...Off,
    on: Type.Optional(Type.Array(Type.String({ maxLength: 127 }), { maxItems: 200 })),
    periods: Type.Optional(Type.Integer({ minimum: 1, maximum: 1200 })),
    reason: Reason,
  },
  { additionalProperties: false },
);
const Give = Type.Object(
  { account: Name('Who'), coupon: Name('Key of a coupon', 63), ...SpanQuery, adjust: Adjust, reason: Reason },
  { additionalProperties: false },
);
const KEY = '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$';

const couponRow = ({ key, name, off, on, periods, removed, receipt }: Coupon): Static<typeof CouponRow> => ({
  key,
  name,
  ...off,
  on: [...on],
  periods,
  removed,
  receipt,
});

const discountRow = (context: Context, { account, coupon, receipt, ...span }: Discount): Static<typeof DiscountRow> => {
  const found = context.log.book.billing.coupon(coupon);
  return {
    account,
    coupon,
    name: found?.name ?? coupon,
    ...found?.off,
    periods: found?.periods ?? null,
    ...timesOf(span, context.clock.now()),
    receipt,
  };
};

const invalid = (field: string, why: string): Problem =>
  new Problem('billing.invalid', `${field}: ${why}`, { pointer: `/${field}` });

const offOf = ({ percent, amount, currency }: Static<typeof Put>): CouponFact['off'] => {
  if ((percent === undefined) === (amount === undefined))
    throw invalid('percent', 'a coupon states either percent, or amount and currency');
  if (percent !== undefined) {
    const read = readPercent(percent);
    if (read instanceof Misread) throw invalid('percent', read.why);
    return { percent: read };
  }
  if (currency === undefined || !isCurrency(currency)) throw invalid('currency', 'a currency of ISO 4217, such as EUR');
  const read = readMoney(amount ?? '', currency);
  if (read instanceof Misread) throw invalid('amount', read.why);
  try {
    minorOfText(read, currency);
  } catch (error) {
    throw error instanceof MoneyError ? invalid('amount', error.message) : error;
  }
  return { amount: read, currency };
};

/** What a coupon is on must be there: one that takes off nothing is a mistake that nobody would see. */
const refuseUnknown = (context: Context, on: readonly string[]): void => {
  for (const [i, named] of on.entries()) {
    const [key = '', price] = named.split('/');
    const plan = context.log.book.catalogue.plan(key);
    const known = plan?.billing?.prices.some((p) => price === undefined || p.key === price) ?? false;
    if (!known) throw invalid(`on/${i}`, `there is no plan with prices, or price of a plan, ${JSON.stringify(named)}`);
  }
};

/** Who has it could not be billed any more. */
const refuseHolders = ({ log: { book }, clock }: Context, key: string, off: CouponFact['off']): void => {
  if (!('currency' in off)) return;
  for (const { account, coupon, from, to } of book.billing.allDiscounts()) {
    const currency = book.account(account)?.currency;
    if (coupon !== key || currency === off.currency || (to !== null && to <= Math.max(from, clock.now()))) continue;
    throw invalid('currency', `${account}, which has it, is billed in ${currency}`);
  }
};

const putCoupon = async (context: Context, who: Principal, key: string, asked: Static<typeof Put>) => {
  const off = offOf(asked);
  const { on = [], periods = null, name = key } = asked;
  refuseUnknown(context, on);
  refuseHolders(context, key, off);
  const fact: CouponFact = { kind: 'coupon', key, name, off, on, periods, removed: false };
  await context.log.append([fact], authorOf(who, '', asked.reason));
  return couponRow(couponOf(context, key));
};

const couponOf = (context: Context, key: string): Coupon => {
  const found = context.log.book.billing.coupon(key);
  if (found === undefined || found.removed)
    throw new Problem('coupon.unknown', `There is no coupon ${JSON.stringify(key)} to be given`);
  return found;
};

const rowsOf = (context: Context, account: string): Static<typeof DiscountRow>[] =>
  context.log.book.billing.discountsOf(account).map((d) => discountRow(context, d));

const give = async (context: Context, who: Principal, asked: Static<typeof Give>) => {
  const { account, coupon } = asked;
  reach(context, who, account);
  const { off } = couponOf(context, coupon);
  const currency = context.log.book.account(account)?.currency;
  if ('currency' in off && off.currency !== currency)
    throw invalid('coupon', `${coupon} is of ${off.currency}, ${account} is billed in ${currency}`);
  const span = spanOf(asked, context.clock.now(), zoneOf(context, account));
  await refuseBilled(context, [account], span.from, asked.adjust);
  const fact: DiscountFact = { kind: 'discount', account, coupon, ...span };
  await context.log.append([fact], authorOf(who, '', asked.reason));
  return rowsOf(context, account);
};

const couponRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['billing'];
  const Params = Type.Object({ key: Type.String({ pattern: KEY }) });
  app.get(
    '/api/v1/billing/coupons',
    { schema: { tags, summary: 'Offers of a discount', response: { 200: Page(CouponRow) } } },
    (request) => {
      needInstallation(request, 'read');
      const items = [...context.log.book.billing.allCoupons()].map(couponRow);
      return { items: items.sort((a, b) => (a.key < b.key ? -1 : 1)) };
    },
  );
  app.put(
    '/api/v1/billing/coupons/:key',
    {
      schema: {
        tags,
        summary: 'Makes a coupon, or changes it for what is not final yet',
        params: Params,
        body: Put,
        response: { 200: CouponRow },
      },
    },
    (request) => {
      const who = needInstallation(request, 'admin');
      return turn(() => putCoupon(context, who, request.params.key, request.body));
    },
  );
  app.delete(
    '/api/v1/billing/coupons/:key',
    {
      schema: {
        tags,
        summary: 'It cannot be given any more; who has it keeps it',
        params: Params,
        querystring: Type.Object({ reason: Reason }),
        response: { 200: CouponRow },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { key } = request.params;
      await turn(async () => {
        const { receipt: _, ...coupon } = couponOf(context, key);
        const fact: CouponFact = { kind: 'coupon', ...coupon, removed: true };
        await context.log.append([fact], authorOf(who, '', request.query.reason));
      });
      return couponRow(context.log.book.billing.coupon(key) as Coupon);
    },
  );
};

export const discountRoutes = (app: App, context: Context, turn: Turn): void => {
  couponRoutes(app, context, turn);
  const tags = ['billing'];
  const Query = Type.Object({ account: Type.Optional(Type.String({ maxLength: 256 })) });
  app.get(
    '/api/v1/billing/discounts',
    { schema: { tags, querystring: Query, response: { 200: Page(DiscountRow) } } },
    (request) => {
      const who = need(request, 'read');
      const { account } = request.query;
      if (account !== undefined) {
        reach(context, who, account);
        return { items: rowsOf(context, account) };
      }
      const all = [...context.log.book.billing.allDiscounts()].filter((d) => mayReach(context, who, d.account));
      return { items: all.map((d) => discountRow(context, d)) };
    },
  );
  app.post(
    '/api/v1/billing/discounts',
    {
      schema: {
        tags,
        summary: 'Gives an account a coupon',
        description: 'The same start as another of this coupon replaces it.',
        body: Give,
        response: { 201: Page(DiscountRow) },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      return reply.code(201).send({ items: await turn(() => give(context, who, request.body)) });
    },
  );
  app.delete(
    '/api/v1/billing/discounts/:account/:coupon',
    {
      schema: {
        tags,
        summary: 'Ends it; what was stays on record',
        params: Type.Object({ account: Type.String(), coupon: Type.String() }),
        querystring: Type.Object({ ...EndQuery.properties, adjust: Adjust }),
        response: { 200: Page(DiscountRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { account, coupon } = request.params;
      reach(context, who, account);
      const spans = (): readonly Discount[] =>
        context.log.book.billing.discountsOf(account).filter((d) => d.coupon === coupon);
      const unknown = new Problem('discount.unknown', `The account has no coupon ${JSON.stringify(coupon)} then`);
      await turn(() => endHeld(context, who, account, spans(), request.query, unknown));
      return { items: rowsOf(context, account) };
    },
  );
};
