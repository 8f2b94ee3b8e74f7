/** Whether the books agree with usage: the last reconciliation, one made now, its number for machines that watch, and for doctor. */
import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import { Gauge, type Registry } from 'prom-client';
import type { Finding } from '../billing/proof/agree.ts';
import type { Reconciliation } from '../billing/proof/reconcile.ts';
import { formatQuantity } from '../domain/quantity.ts';
import { needInstallation } from './auth.ts';
import type { Context } from './context.ts';
import { unitOf } from './limit-rows.ts';
import { amountText } from './money.ts';
import type { App } from './provider.ts';
import { isoText } from './time.ts';

const Amount = Type.String({ description: 'An exact decimal of the currency' });
const FindingRow = Type.Object({
  stage: Type.String({
    description: 'Where it does not agree with what comes before: metered, rated, invoiced, posted, paid',
  }),
  currency: Type.String(),
  amount: Amount,
  account: Type.String(),
  document: Type.String(),
  text: Type.String(),
});
const SumsRow = Type.Object({
  currency: Type.String(),
  documents: Type.Integer(),
  rated: Type.String({ description: 'Lines as they come out now, as of their S' }),
  lines: Amount,
  net: Amount,
  tax: Amount,
  total: Amount,
  receivable: Type.String({ description: 'Posted by documents on receivables' }),
  revenue: Amount,
  taxes: Amount,
  payments: Amount,
  cash: Amount,
});
const Answer = Type.Object({
  at: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null: none was made yet' }),
  whole: Type.Boolean({ description: 'Of all documents, or of what was new since the one before' }),
  accounts: Type.Integer(),
  documents: Type.Integer({ description: 'Computed again' }),
  difference: Type.Array(Type.Object({ currency: Type.String(), amount: Amount }), {
    description: 'Unexplained, by currency: 0 where all agrees',
  }),
  sums: Type.Array(SumsRow),
  meters: Type.Array(
    Type.Object({ meter: Type.String(), unit: Type.String(), billed: Type.String(), metered: Type.String() }),
  ),
  findings: Type.Array(FindingRow),
  found: Type.Integer({ description: 'How many findings there are; the first of them are listed' }),
});

const findingRow = ({ amount, ...rest }: Finding) => ({ ...rest, amount: amountText(amount, rest.currency) });

const sumsRow = ({ currency, documents, revenue, taxes, ...sums }: Reconciliation['sums'][number]) => {
  const text = (minor: bigint): string => amountText(minor, currency);
  const { rated, lines, net, tax, total, receivable, payments, cash } = sums;
  return {
    ...{ currency, documents, rated: text(rated), lines: text(lines), net: text(net), tax: text(tax) },
    // What is earned is credit in the ledger; here it stands beside what it is of.
    ...{ total: text(total), receivable: text(receivable), revenue: text(-revenue), taxes: text(-taxes) },
    ...{ payments: text(payments), cash: text(cash) },
  };
};

const answerOf = (context: Context, last: Reconciliation | null) => {
  if (last === null)
    return {
      at: null,
      whole: false,
      accounts: 0,
      documents: 0,
      difference: [],
      sums: [],
      meters: [],
      findings: [],
      found: 0,
    };
  const { at, whole, accounts, documents, found } = last;
  return {
    ...{ at: isoText(at), whole, accounts, documents, found },
    difference: differences(last).map(([currency, minor]) => ({ currency, amount: amountText(minor, currency) })),
    sums: last.sums.map(sumsRow),
    meters: last.meters.map(({ meter, billed, metered }) => ({
      ...{ meter, unit: unitOf(context, meter) },
      ...{ billed: formatQuantity(billed), metered: formatQuantity(metered) },
    })),
    findings: last.findings.map(findingRow),
  };
};

const differences = ({ difference }: Reconciliation): [string, bigint][] => Object.entries(difference).sort();

const LOOK_MS = 250;

export const bookRoutes = (app: App, context: Context): void => {
  const tags = ['invoices'];
  app.get(
    '/api/v1/invoices/reconcile',
    {
      schema: {
        tags,
        summary: 'The last reconciliation: metered, rated, invoiced, posted, paid',
        response: { 200: Answer },
      },
    },
    async (request) => {
      needInstallation(request, 'read');
      return answerOf(context, await context.billing.reconciler.last());
    },
  );
  const Query = Type.Object({
    onlyNew: Type.Optional(Type.Boolean({ description: 'Only what has changed since the last one' })),
  });
  app.post(
    '/api/v1/invoices/reconcile',
    { schema: { tags, summary: 'Reconciles now, as NDJSON: how far it is, and the result', querystring: Query } },
    async (request, reply) => {
      needInstallation(request, 'admin');
      const lines = reconciling(context, request.query.onlyNew !== true);
      return reply.type('application/x-ndjson').send(Readable.from(lines));
    },
  );
};

async function* reconciling(context: Context, whole: boolean): AsyncGenerator<string> {
  const { reconciler } = context.billing;
  let isDone = false;
  const pass = reconciler.pass(whole).finally(() => {
    isDone = true;
  });
  const settled = pass.catch(() => undefined);
  for (;;) {
    await Promise.race([settled, context.clock.sleep(LOOK_MS)]);
    if (isDone) break;
    yield `${JSON.stringify({ kind: 'progress', ...reconciler.progress })}\n`;
  }
  yield `${JSON.stringify({ kind: 'result', result: answerOf(context, await pass) })}\n`;
}

/** What doctor says of it: the whole in one sentence, and where it begins. */
export const booksText = async ({ billing }: Context): Promise<{ agree: boolean; text: string }> => {
  const last = await billing.reconciler.last();
  if (last === null) return { agree: true, text: 'not reconciled yet' };
  const [first] = last.findings;
  if (first === undefined)
    return { agree: true, text: `usage, invoices, ledger and payments agree, at ${isoText(last.at)}` };
  const sums = differences(last).map(([currency, minor]) => `${amountText(minor, currency)} ${currency}`);
  const { stage, account, document, text } = first;
  return { agree: false, text: `${sums.join(', ')} unexplained, first ${stage}: ${document} of ${account}: ${text}` };
};

/** Minor units of each currency. */
export const watchBooks = (registry: Registry, { billing }: Pick<Context, 'billing'>): void => {
  new Gauge({
    name: 'tollgate_unexplained_difference',
    help: 'Between usage, invoices, ledger and payments at the last reconciliation, minor units; must be 0',
    labelNames: ['currency'],
    registers: [registry],
    async collect() {
      const last = await billing.reconciler.last();
      this.reset();
      // A gauge is a float by its nature; whether it is 0 is what matters.
      for (const [currency, minor] of last === null ? [] : differences(last)) this.set({ currency }, Number(minor));
    },
  });
};
