/** Payments and refunds: money that came and went, and what of it settles which invoice. */
import { type Static, Type } from '@sinclair/typebox';
import { type Recorded, recordPayment, recordRefund } from '../billing/ledger/payments.ts';
import { Problem } from '../errors.ts';
import type { Payment } from '../store/billing-store.ts';
import { needInstallation, type Principal } from './auth.ts';
import { zoneOf } from './catalogue-change.ts';
import { type Context, reach } from './context.ts';
import { accountsFor, ListQuery, pageById } from './listing.ts';
import { AmountText, amountText, CurrencyText, minorOf } from './money.ts';
import { type App, Words } from './provider.ts';
import { InstantText, Name, Page } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Fields = {
  account: Type.String(),
  reference: Type.String(),
  kind: Words(['payment', 'refund']),
  amount: Type.String(),
  currency: Type.String(),
  receivedAt: Type.String(),
  method: Type.String(),
  refunds: Type.Optional(Type.String({ description: 'Reference of the payment that went back' })),
  author: Type.String(),
  at: Type.String(),
};
const PaymentRow = Type.Object({ id: Type.Integer(), ...Fields });
const Answer = Type.Object({
  ...Fields,
  isNew: Type.Boolean({ description: 'false: it was booked already, and nothing has changed' }),
  settled: Type.Array(Type.Object({ invoice: Type.String(), amount: Type.String() }), {
    description: 'What it settled of which invoice, or opened again; the rest is the balance of the customer',
  }),
});
const common = {
  account: Name('Whose'),
  reference: Name('Unique in the account: of the bank statement, of the provider', 256),
  amount: AmountText('How much'),
  currency: CurrencyText,
  receivedAt: Type.Optional(InstantText('When; now when left away')),
  method: Type.Optional(Type.String({ maxLength: 100, description: 'How, such as transfer or card' })),
};
const PaymentBody = Type.Object(
  {
    ...common,
    invoice: Type.Optional(
      Name('Number of the invoice it is for; left away: those due first; a repetition need not say it', 200),
    ),
  },
  { additionalProperties: false },
);
const RefundBody = Type.Object(
  {
    ...common,
    payment: Type.Optional(Name('Reference of the payment that goes back; left away: of the balance', 256)),
  },
  { additionalProperties: false },
);

const fields = (payment: Payment): Static<ReturnType<typeof Type.Object<typeof Fields>>> => {
  const { account, reference, kind, currency, method, refunds, author } = payment;
  return {
    ...{ account, reference, kind, amount: amountText(payment.amount, currency), currency, method, author },
    ...(refunds === '' ? {} : { refunds }),
    ...{ receivedAt: isoText(payment.receivedAt), at: isoText(payment.at) },
  };
};

const askOf = (context: Context, who: Principal, asked: Static<typeof RefundBody>) => {
  const { account, reference, currency } = asked;
  reach(context, who, account);
  const zone = zoneOf(context, account);
  return {
    ...{ account, reference, currency, amount: minorOf(asked.amount, currency, 'amount') },
    receivedAt: asked.receivedAt === undefined ? null : instantOf(asked.receivedAt, 'receivedAt', zone),
    ...{ method: asked.method ?? '', author: who.key, now: context.clock.now() },
  };
};

const invoiceId = async (context: Context, account: string, number: string): Promise<number> => {
  const found = await context.control.billing.invoicesByNumber(number);
  const own = found.find((invoice) => invoice.account === account);
  if (own !== undefined) return own.id;
  throw new Problem('invoice.unknown', `The account has no invoice ${JSON.stringify(number)}`, { pointer: '/invoice' });
};

const answer = async (context: Context, { payment, isNew, settled }: Recorded): Promise<Static<typeof Answer>> => {
  const numbers = await Promise.all(
    settled.map(async ({ invoice }) => (await context.control.billing.invoice(invoice))?.number ?? ''),
  );
  return {
    ...fields(payment),
    isNew,
    settled: settled.map(({ amount }, i) => ({
      invoice: numbers[i] ?? '',
      amount: amountText(amount, payment.currency),
    })),
  };
};

export const paymentRoutes = (app: App, context: Context): void => {
  const tags = ['payments'];
  app.get(
    '/api/v1/payments',
    { schema: { tags, querystring: Type.Object(ListQuery), response: { 200: Page(PaymentRow) } } },
    (request) => {
      const accounts = accountsFor(context, request, request.query.account);
      const named = accounts === undefined ? {} : { accounts };
      return pageById(
        request.query,
        (page) => context.control.billing.payments({ ...named, ...page }),
        (payment) => ({ id: payment.id, ...fields(payment) }),
      );
    },
  );
  const twice =
    'The same again changes nothing: 200 instead of 201. Another content under the reference is a conflict.';
  app.post(
    '/api/v1/payments',
    {
      schema: {
        tags,
        summary: 'Records money that came',
        description: `It settles the invoice named, else those due first; what is left over waits for the next invoice. ${twice}`,
        body: PaymentBody,
        response: { 200: Answer, 201: Answer },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const { invoice: number, account } = request.body;
      const ask = askOf(context, who, request.body);
      const billedIn = context.log.book.account(account)?.currency;
      const invoice = number === undefined ? null : await invoiceId(context, account, number);
      const recorded = await recordPayment(context.control.billing, { ...ask, billedIn, invoice });
      return reply.code(recorded.isNew ? 201 : 200).send(await answer(context, recorded));
    },
  );
  app.post(
    '/api/v1/refunds',
    {
      schema: {
        tags,
        summary: 'Records money that went back',
        description: `Taken of the balance; of a payment that is named also what it had settled: those invoices are open again. ${twice}`,
        body: RefundBody,
        response: { 200: Answer, 201: Answer },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      const ask = askOf(context, who, request.body);
      const recorded = await recordRefund(context.control.billing, { ...ask, payment: request.body.payment ?? '' });
      return reply.code(recorded.isNew ? 201 : 200).send(await answer(context, recorded));
    },
  );
};
