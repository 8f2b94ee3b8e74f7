/** Accounts: the tree of tenants. */
import { type Static, Type } from '@sinclair/typebox';
import { isZone } from '../domain/calendar.ts';
import type { AccountFact } from '../domain/control-fact.ts';
import { Problem } from '../errors.ts';
import { refuseCurrency, refusePayer } from './account-currency.ts';
import { need, type Principal } from './auth.ts';
import type { Turn } from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { type App, NullableText, Words } from './provider.ts';
import { Name, Page, Reason } from './schemas.ts';

const states = ['active', 'suspended', 'closed'] as const;
const AccountRow = Type.Object({
  id: Type.String(),
  parent: NullableText(),
  name: Type.String(),
  zone: Type.String(),
  currency: Type.String(),
  state: Words(states),
});
const Changes = {
  parent: Type.Optional(NullableText({ maxLength: 256 })),
  name: Type.Optional(Name('Shown to people')),
  zone: Type.Optional(Name('IANA time zone', 64)),
  currency: Type.Optional(Type.String({ minLength: 3, maxLength: 3, description: 'ISO 4217' })),
  state: Type.Optional(Words(states)),
  reason: Reason,
};
const Create = Type.Object({ id: Name('Stable name'), ...Changes }, { additionalProperties: false });
const Update = Type.Object(Changes, { additionalProperties: false });
const Params = Type.Object({ id: Type.String() });

export const isCurrency = (code: string): boolean => Intl.supportedValuesOf('currency').includes(code);

const row = ({ id, parent, name, zone, currency, state }: AccountFact): Static<typeof AccountRow> => ({
  id,
  parent,
  name,
  zone,
  currency,
  state,
});

type Change = Partial<Omit<AccountFact, 'kind' | 'id'>>;

/** The account as it is to be: what is given over what was, checked. */
const changed = (context: Context, who: Principal, base: AccountFact, change: Change): AccountFact => {
  const next: AccountFact = { ...base };
  if (change.parent !== undefined) next.parent = change.parent;
  if (change.name !== undefined) next.name = change.name;
  if (change.zone !== undefined) next.zone = change.zone;
  if (change.currency !== undefined) next.currency = change.currency;
  if (change.state !== undefined) next.state = change.state;
  if (!isZone(next.zone))
    throw new Problem('account.zone', `${JSON.stringify(next.zone)} is not an IANA time zone`, { pointer: '/zone' });
  if (!isCurrency(next.currency))
    throw new Problem('account.currency', `${JSON.stringify(next.currency)} is not an ISO 4217 currency`, {
      pointer: '/currency',
    });
  const { book } = context.log;
  if (next.parent === null) {
    // Above the key's own account there is nothing the key may shape.
    if (who.account !== null && who.account !== next.id)
      throw new Problem('auth.account', 'The key makes accounts below its own only', { pointer: '/parent' });
  } else if (next.parent !== base.parent || book.account(base.id) === undefined) {
    reach(context, who, next.parent);
    if (!book.canBeParent(next.id, next.parent))
      throw new Problem('account.cycle', `${next.parent} lies below ${next.id}`, { pointer: '/parent' });
  }
  return next;
};

type Creation = Static<typeof Create>;
type Update = Static<typeof Update>;

const create = async (context: Context, who: Principal, { id, reason, ...change }: Creation): Promise<AccountFact> => {
  if (context.log.book.account(id) !== undefined)
    throw new Problem('account.exists', `The account ${JSON.stringify(id)} exists`);
  const parent = change.parent === undefined ? who.account : change.parent;
  const above = parent === null ? undefined : context.log.book.account(parent);
  const base: AccountFact = {
    kind: 'account',
    id,
    parent,
    name: id,
    zone: above?.zone ?? (context.config.zone || 'UTC'),
    currency: above?.currency ?? context.config.currency,
    state: 'active',
  };
  const account = changed(context, who, base, { ...change, parent });
  await context.log.append([account], authorOf(who, who.account ?? '', reason));
  return account;
};

const update = async (context: Context, who: Principal, id: string, asked: Update): Promise<AccountFact> => {
  reach(context, who, id);
  const { reason, ...change } = asked;
  const account = changed(context, who, known(context, id), change);
  refusePayer(context.log.book, { id, parent: account.parent });
  await refuseCurrency(context, id, account.currency);
  await context.log.append([account], authorOf(who, who.account ?? '', reason));
  return account;
};

/** In turn: two of one name at an instant, or a currency and a subscription, would each be checked before the other is there. */
export const accountRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['accounts'];
  app.get(
    '/api/v1/accounts',
    { schema: { tags, summary: 'All accounts the key can see', response: { 200: Page(AccountRow) } } },
    (request) => {
      const who = need(request, 'read');
      const items = [...context.log.book.allAccounts()].filter((a) => mayReach(context, who, a.id)).map(row);
      return { items: items.sort((a, b) => (a.id < b.id ? -1 : 1)) };
    },
  );

  app.get('/api/v1/accounts/:id', { schema: { tags, params: Params, response: { 200: AccountRow } } }, (request) => {
    const who = need(request, 'read');
    reach(context, who, request.params.id);
    return row(known(context, request.params.id));
  });

  app.post(
    '/api/v1/accounts',
    { schema: { tags, body: Create, response: { 201: AccountRow } } },
    async (request, reply) => {
      const who = need(request, 'admin');
      return reply.code(201).send(row(await turn(() => create(context, who, request.body))));
    },
  );

  app.put(
    '/api/v1/accounts/:id',
    { schema: { tags, params: Params, body: Update, response: { 200: AccountRow } } },
    async (request) => {
      const who = need(request, 'admin');
      return row(await turn(() => update(context, who, request.params.id, request.body)));
    },
  );
};

const known = (context: Context, id: string): AccountFact => {
  const account = context.log.book.account(id);
  if (account === undefined) throw new Problem('account.unknown', `There is no account ${JSON.stringify(id)}`);
  return account;
};
