/** Rates of tax by jurisdiction and category, each from one instant to another. */
import { type Static, Type } from '@sinclair/typebox';
import type { Tax } from '../domain/billing/billing.ts';
import type { TaxFact } from '../domain/billing/billing-fact.ts';
import { readJurisdiction } from '../domain/billing/define-parties.ts';
import { Misread } from '../domain/limit/amount.ts';
import { FOREVER } from '../domain/limit/catalogue.ts';
import { covers, Timeline } from '../domain/limit/timeline.ts';
import { readPercent } from '../domain/price/decimal.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import { needInstallation, type Principal } from './auth.ts';
import { EndQuery, endedAt, SpanQuery, spanOf, Times, type Turn, timesOf } from './catalogue-change.ts';
import { authorOf, type Context } from './context.ts';
import type { App } from './provider.ts';
import { Page, Reason } from './schemas.ts';
import { isoText } from './time.ts';

const Category = Type.String({
  maxLength: 63,
  pattern: '^([a-z0-9]([a-z0-9._-]*[a-z0-9])?)?$',
  description: 'Of prices, their field `tax`; empty: the standard one',
});
const TaxRow = Type.Object({
  jurisdiction: Type.String(),
  category: Type.String(),
  name: Type.String(),
  percent: Type.String(),
  inclusive: Type.Boolean({ description: 'Prices are with the tax in them' }),
  ...Times,
  ruling: Type.Boolean({ description: 'Of those that are current the one that counts' }),
  receipt: Type.Integer(),
});
const Create = Type.Object(
  {
    jurisdiction: Type.String({ maxLength: 16, description: 'Such as DE' }),
    category: Type.Optional(Category),
    percent: Type.String({ maxLength: 40, description: 'Exact: `19`, `8.875`' }),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 63, description: 'On the invoice, such as VAT' })),
    inclusive: Type.Optional(Type.Boolean({ description: 'Prices are with the tax in them' })),
    ...SpanQuery,
    reason: Reason,
  },
  { additionalProperties: false },
);

const taxRows = (context: Context): Static<typeof TaxRow>[] => {
  const now = context.clock.now();
  const { billing } = context.log.book;
  const rows = [...billing.allTaxes()].map((tax) => ({
    jurisdiction: tax.jurisdiction,
    category: tax.category,
    name: tax.name,
    percent: tax.percent,
    inclusive: tax.inclusive,
    ...timesOf(tax, now),
    ruling: billing.taxAt(tax.jurisdiction, tax.category, now)?.receipt === tax.receipt,
    receipt: tax.receipt,
  }));
  const name = (row: Static<typeof TaxRow>): string => `${row.jurisdiction} ${row.category} ${row.from}`;
  return rows.sort((a, b) => (name(a) < name(b) ? -1 : 1));
};

const factOf = ({ receipt: _, ...fact }: Tax): TaxFact => fact;

const spansOf = (context: Context, jurisdiction: string, category: string): Tax[] =>
  [...context.log.book.billing.allTaxes()].filter((t) => t.jurisdiction === jurisdiction && t.category === category);

/** The first instant at which a rate that ruled is another one, or none, with these facts. FOREVER: at none. */
const firstChange = (known: readonly Tax[], facts: readonly TaxFact[]): Instant => {
  const [then, now] = [new Timeline<TaxFact>(), new Timeline<TaxFact>()];
  for (const { receipt, ...tax } of known) for (const timeline of [then, now]) timeline.put(tax, receipt);
  for (const tax of facts) now.put(tax, FOREVER);
  const said = (tax: TaxFact | undefined): string =>
    tax ? JSON.stringify([tax.name, tax.percent, tax.inclusive]) : '';
  const cuts = [...known, ...facts].flatMap(({ from, to }) => (to === null ? [from] : [from, to]));
  const changes = cuts.filter((t) => then.at(t) !== undefined && said(then.at(t)) !== said(now.at(t)));
  return Math.min(FOREVER, ...changes);
};

/**
 * Throws `tax.billed` when a final invoice could have another tax. It would never be adjusted: adjustments are of what is
 * due before taxes, and have the tax of the line that they correct. Where no rate was, no line could be final.
 */
const refuseTaxed = async ({ log, control, clock }: Context, known: readonly Tax[], facts: readonly TaxFact[]) => {
  const since = firstChange(known, facts);
  if (since >= clock.now()) return;
  const jurisdictions = new Set(facts.map(({ jurisdiction }) => jurisdiction));
  const taxed = [...log.book.billing.allProfiles()].filter((p) => jurisdictions.has(p.jurisdiction));
  const payers = taxed.flatMap(({ account }) => [account, log.book.billing.payerOf(account)]);
  for (const [account, end] of await control.billing.lastFinalEnd([...new Set(payers)])) {
    if (since >= end) continue;
    const why = `It would be another tax from ${isoText(since)} on, and ${account} has a final invoice up to ${isoText(end)}`;
    throw new Problem('tax.billed', why, { pointer: '/from' });
  }
};

/** The value, or a Problem that names the field. */
const good = <V>(read: V | Misread, field: string): V => {
  if (!(read instanceof Misread)) return read;
  throw new Problem('billing.invalid', `${field}: ${read.why}`, { pointer: `/${field}` });
};

const setTax = async (context: Context, who: Principal, asked: Static<typeof Create>) => {
  const jurisdiction = good(readJurisdiction(asked.jurisdiction), 'jurisdiction');
  const percent = good(readPercent(asked.percent), 'percent');
  const { category = '' } = asked;
  const span = spanOf(asked, context.clock.now(), 'UTC');
  // A rate without an end takes the place of the one before, as a subscription does.
  const same = spansOf(context, jurisdiction, category);
  const before = same.filter((t) => t.from < span.from && covers(t, span.from));
  const ended = span.to === null ? before.map((t) => ({ ...factOf(t), to: span.from })) : [];
  const name = asked.name ?? before.at(-1)?.name ?? 'Tax';
  const inclusive = asked.inclusive ?? before.at(-1)?.inclusive ?? false;
  const tax: TaxFact = { kind: 'tax', jurisdiction, category, name, percent, inclusive, ...span };
  await refuseTaxed(context, same, [...ended, tax]);
  await context.log.append([...ended, tax], authorOf(who, '', asked.reason));
  return taxRows(context);
};

export const taxRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['billing'];
  app.get(
    '/api/v1/billing/taxes',
    { schema: { tags, summary: 'Rates of tax, past and to come', response: { 200: Page(TaxRow) } } },
    (request) => {
      needInstallation(request, 'read');
      return { items: taxRows(context) };
    },
  );
  app.post(
    '/api/v1/billing/taxes',
    {
      schema: {
        tags,
        summary: 'A rate of tax from an instant on',
        description:
          'One without end ends the one before it. The same start as another replaces it. No rate that a final invoice may have becomes another one.',
        body: Create,
        response: { 201: Page(TaxRow) },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      return reply.code(201).send({ items: await turn(() => setTax(context, who, request.body)) });
    },
  );
  app.delete(
    '/api/v1/billing/taxes/:jurisdiction',
    {
      schema: {
        tags,
        summary: 'Ends the rate in force',
        params: Type.Object({ jurisdiction: Type.String() }),
        querystring: Type.Object({ ...EndQuery.properties, category: Type.Optional(Category) }),
        response: { 200: Page(TaxRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { jurisdiction } = request.params;
      const { category = '', reason } = request.query;
      await turn(async () => {
        const spans = spansOf(context, jurisdiction, category);
        const ended = endedAt(spans, request.query, context.clock.now(), 'UTC');
        if (ended.length === 0)
          throw new Problem('tax.unknown', `There is no tax of ${JSON.stringify(jurisdiction)} and this category then`);
        await refuseTaxed(context, spans, ended.map(factOf));
        await context.log.append(ended.map(factOf), authorOf(who, '', reason));
      });
      return { items: taxRows(context) };
    },
  );
};
