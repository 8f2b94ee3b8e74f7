/** Legal entities that bill, and how each account is billed: given as texts, read with their places. */
import { type Static, Type } from '@sinclair/typebox';
import { type Entity, type Profile, prefixesMeet } from '../domain/billing/billing.ts';
import type { EntityFact } from '../domain/billing/billing-fact.ts';
import { defineEntity, defineProfile } from '../domain/billing/define-parties.ts';
import { Problem } from '../errors.ts';
import { refusePayer } from './account-currency.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { readTexts, refuse, TextBody, type Turn } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { type App, Words } from './provider.ts';
import { Page, Reason } from './schemas.ts';

const Conventions = Type.Object({
  dayCount: Type.String(),
  rounding: Type.String(),
  roundingPlace: Type.String(),
  zeroUsageFlat: Type.String(),
  tiersAtChange: Type.String(),
  includedInPart: Type.String(),
  leadingPart: Type.String(),
  minimumInPart: Type.String(),
  graceDays: Type.Integer(),
  dueDays: Type.Integer(),
});
const EntityRow = Type.Object({
  key: Type.String(),
  name: Type.String(),
  address: Type.Array(Type.String()),
  taxId: Type.String(),
  invoicePrefix: Type.String(),
  creditPrefix: Type.String(),
  payment: Type.String({ description: 'How to pay, printed below the total' }),
  conventions: Conventions,
  receipt: Type.Integer({ description: '0: there from the beginning' }),
});
const ProfileRow = Type.Object({
  account: Type.String(),
  entity: Type.String({ description: 'Who bills' }),
  payer: Words(['self', 'parent'], { description: 'parent: the nearest account above that pays for itself' }),
  paidBy: Type.Optional(Type.String({ description: 'Who gets its invoices, when the key can see it' })),
  name: Type.String(),
  address: Type.Array(Type.String()),
  taxId: Type.String(),
  email: Type.String(),
  jurisdiction: Type.String({ description: 'Whose taxes are due; empty: none' }),
  exemption: Type.String({ description: 'Why no tax is due; empty when it is' }),
  receipt: Type.Integer({ description: '0: nobody has said anything' }),
});
const ReasonQuery = Type.Object({ reason: Reason });

const entityRow = ({ address, conventions, ...rest }: Entity): Static<typeof EntityRow> => ({
  ...rest,
  address: [...address],
  conventions: { ...conventions },
});

const profileRow = (context: Context, who: Principal, account: string): Static<typeof ProfileRow> => {
  const { billing } = context.log.book;
  const { entity, address, ...rest }: Profile = billing.profileOf(account);
  const payer = billing.payerOf(account);
  return {
    ...rest,
    entity: billing.entityOf(entity)?.key ?? entity,
    address: [...address],
    ...(mayReach(context, who, payer) ? { paidBy: payer } : {}),
  };
};

/**
 * Two documents would have one number: another entity has the prefix, or it had it and numbered something, or the entity
 * itself did with documents of the other kind.
 */
const refusePrefix = async (context: Context, { key, invoicePrefix, creditPrefix }: EntityFact): Promise<void> => {
  const { log, control } = context;
  for (const { entity, kind, prefix, isCurrent } of log.book.billing.allNumberings()) {
    // Its own documents of one kind are counted on, whatever they begin with.
    const compared = [
      ...(entity === key && kind === 'invoice' ? [] : [['invoice_prefix', invoicePrefix] as const]),
      ...(entity === key && kind === 'credit-note' ? [] : [['credit_prefix', creditPrefix] as const]),
    ];
    const met = compared.find(([, own]) => prefixesMeet(own, prefix));
    if (met === undefined) continue;
    const [field] = met;
    const refused = (how: string): Problem =>
      new Problem('billing.invalid', `${field}: the entity ${entity} has numbers that ${how}`, {
        pointer: `/${field}`,
      });
    if (entity !== key && isCurrent) throw refused(`begin with ${prefix} already`);
    const [numbered] = await control.billing.invoices({ entity, kind, limit: 1 });
    if (numbered !== undefined) throw refused(`began with ${prefix}`);
  }
};

const putEntity = async (context: Context, who: Principal, text: string, reason: string | undefined) => {
  const { value, problems } = defineEntity(text);
  if (problems !== null) return refuse('billing.invalid', problems);
  await refusePrefix(context, value);
  await context.log.append([value], authorOf(who, '', reason));
  return entityRow(context.log.book.billing.entityOf(value.key) as Entity);
};

const putProfile = async (context: Context, who: Principal, id: string, text: string, reason: string | undefined) => {
  reach(context, who, id);
  const { value, problems } = defineProfile(text, id);
  if (problems !== null) return refuse('billing.invalid', problems);
  if (context.log.book.billing.entityOf(value.entity) === undefined)
    throw new Problem('entity.unknown', `There is no entity ${JSON.stringify(value.entity)}`, { pointer: '/entity' });
  refusePayer(context.log.book, { id, payer: value.payer });
  await context.log.append([value], authorOf(who, '', reason));
  return profileRow(context, who, id);
};

const textOf = (body: unknown): string => (typeof body === 'string' ? body : '');

export const partyRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['billing'];
  const Params = Type.Object({ id: Type.String() });
  app.get(
    '/api/v1/billing/entities',
    { schema: { tags, summary: 'Legal entities that bill', response: { 200: Page(EntityRow) } } },
    (request) => {
      needInstallation(request, 'read');
      const items = [...context.log.book.billing.allEntities()].map(entityRow);
      return { items: items.sort((a, b) => (a.key < b.key ? -1 : 1)) };
    },
  );
  app.get(
    '/api/v1/accounts/:id/billing-profile',
    { schema: { tags, summary: 'How an account is billed', params: Params, response: { 200: ProfileRow } } },
    (request) => {
      const who = need(request, 'read');
      reach(context, who, request.params.id);
      return profileRow(context, who, request.params.id);
    },
  );
  app.register(async (plugin) => {
    const scope = plugin as unknown as App;
    readTexts(scope);
    scope.put(
      '/api/v1/billing/entities',
      {
        schema: {
          tags,
          summary: 'Makes or replaces an entity, for what is not final yet',
          querystring: ReasonQuery,
          body: TextBody,
          response: { 200: EntityRow },
        },
      },
      (request) => {
        const who = needInstallation(request, 'admin');
        return turn(() => putEntity(context, who, textOf(request.body), request.query.reason));
      },
    );
    scope.put(
      '/api/v1/accounts/:id/billing-profile',
      {
        schema: {
          tags,
          summary: 'Says how an account is billed, for what is not final yet; fields left away are empty',
          params: Params,
          querystring: ReasonQuery,
          body: TextBody,
          response: { 200: ProfileRow },
        },
      },
      (request) => {
        const who = needInstallation(request, 'admin');
        return turn(() => putProfile(context, who, request.params.id, textOf(request.body), request.query.reason));
      },
    );
  });
};
