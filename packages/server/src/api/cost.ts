/** What the running period of an account costs so far, and a forecast. */
import { type Static, Type } from '@sinclair/typebox';
import { InvoiceError } from '../billing/invoice/invoice-error.ts';
import { type Cost, costSoFar } from '../billing/try/cost.ts';
import { formatInstant } from '../domain/calendar.ts';
import { Problem } from '../errors.ts';
import { asking, type Context, mayReach, reach } from './context.ts';
import { inZone } from './invoice-rows.ts';
import { amountText } from './money.ts';
import { type App, NullableText } from './provider.ts';

const Amount = Type.String({ description: 'An exact decimal of the currency' });
const CostLine = Type.Object({
  account: Type.String(),
  kind: Type.String(),
  plan: Type.String(),
  price: Type.String(),
  name: Type.String(),
  from: Type.String(),
  to: Type.String(),
  quantity: NullableText(),
  unit: Type.String(),
  metered: NullableText(),
  meter: Type.String(),
  state: Type.String({ description: 'known, pending, quarantined or unobserved' }),
  flags: Type.Array(Type.String()),
  amount: Amount,
});
const Sums = Type.Object({ lines: Type.Array(CostLine), net: Amount, tax: Amount, total: Amount });
const CostAnswer = Type.Object({
  account: Type.String(),
  payer: NullableText({ description: 'Who pays; null: one that this key cannot see' }),
  currency: Type.String(),
  from: Type.String({ description: 'The running period, in the zone of the account' }),
  to: Type.String(),
  at: Type.String(),
  frontier: Type.Integer({ description: 'S: by the facts up to this receipt' }),
  whole: Type.Boolean({
    description:
      'false: somebody else pays; these are its own lines, without taxes, discounts and minimum of the payer',
  }),
  soFar: Sums,
  forecast: Type.Object(
    { ...Sums.properties },
    { description: 'Usage goes on as it went; an estimate, and no invoice' },
  ),
});

const sumsRow = ({ lines, net, tax, total }: Cost['soFar'], currency: string, zone: string): Static<typeof Sums> => ({
  lines: lines.map((line) => ({
    ...{ account: line.account, kind: line.kind, plan: line.plan, price: line.price, name: line.name },
    ...{ from: formatInstant(line.from, zone), to: formatInstant(line.to, zone) },
    ...{ quantity: line.quantity, unit: line.unit, metered: line.metered, meter: line.meter },
    ...{ state: line.state, flags: [...line.flags], amount: amountText(line.amount, currency) },
  })),
  ...{ net: amountText(net, currency), tax: amountText(tax, currency), total: amountText(total, currency) },
});

export const costRoutes = (app: App, context: Context): void => {
  const schema = {
    tags: ['accounts'],
    summary: 'What the running period costs so far, line by line, and a forecast',
    params: Type.Object({ id: Type.String() }),
    response: { 200: CostAnswer },
  };
  app.get('/api/v1/accounts/:id/cost', { schema }, async (request) => {
    const { who, viewer } = asking(context, request, 'read');
    const { id } = request.params;
    reach(context, who, id);
    const reader = await context.usage.meteredAt();
    const cost = await costSoFar(reader, id, context.clock.now(), viewer).catch((error: unknown) => {
      if (error instanceof InvoiceError) throw new Problem('cost.unknown', error.message);
      throw error;
    });
    if (cost === null) throw new Problem('cost.unknown', `${id} has no plan with a price now`);
    const { payer, currency, from, to, at, whole } = cost;
    const text = inZone(context, id);
    const zone = context.log.book.account(id)?.zone ?? 'UTC';
    return {
      ...{ account: id, payer: mayReach(context, who, payer) ? payer : null, currency },
      ...{ from: text(from), to: text(to), at: text(at), frontier: reader.frontier, whole },
      ...{ soFar: sumsRow(cost.soFar, currency, zone), forecast: sumsRow(cost.forecast, currency, zone) },
    };
  });
};
