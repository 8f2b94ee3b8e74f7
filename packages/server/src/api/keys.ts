/** Keys: made once, shown once, revoked for good. Never wider than the key that makes them. */
import { createHash } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';
import type { KeyFact } from '../domain/control-fact.ts';
import { Problem } from '../errors.ts';
import { hashSecret, maySpeakFor, need, type Principal } from './auth.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { type App, NullableText, Words } from './provider.ts';
import { Name, Page, Reason } from './schemas.ts';

const scopes = ['ingest', 'read', 'admin'] as const;
const KeyRow = Type.Object({
  id: Type.String(),
  name: Type.String(),
  account: NullableText({ description: 'null: the installation' }),
  scopes: Type.Array(Words(scopes)),
  sources: Type.Array(Type.String(), { description: 'Sources it may speak for; one ending in * is a prefix' }),
  revoked: Type.Boolean(),
});
const NewKey = Type.Composite([KeyRow, Type.Object({ secret: Type.String({ description: 'Shown this once' }) })]);
const Create = Type.Object(
  {
    name: Type.Optional(Name('Shown to people')),
    account: Type.Optional(NullableText({ maxLength: 256 })),
    scopes: Type.Array(Words(scopes), { minItems: 1, maxItems: 3, uniqueItems: true }),
    sources: Type.Optional(Type.Array(Name('Source, or prefix*', 512), { maxItems: 1000 })),
    reason: Reason,
  },
  { additionalProperties: false },
);

const row = (key: KeyFact): Static<typeof KeyRow> => ({
  id: key.id,
  name: key.name,
  account: key.account,
  scopes: [...key.scopes],
  sources: [...key.sources],
  revoked: key.revoked,
});

/** The id comes from the hash: unique without a lottery, and it says nothing of the secret. */
export const keyOf = (secret: string, more: Pick<KeyFact, 'name' | 'account' | 'scopes' | 'sources'>): KeyFact => {
  const hash = hashSecret(secret);
  const id = `key_${createHash('sha256').update(hash).digest('hex').slice(0, 16)}`;
  return { kind: 'key', id, hash, ...more, revoked: false };
};

const mayGrant = (who: Principal, scopesAsked: readonly string[], sources: readonly string[]): void => {
  const missing = scopesAsked.find((s) => !who.scopes.includes(s as (typeof scopes)[number]));
  if (missing) throw new Problem('key.too_wide', `The key has no scope ${missing} to give`, { pointer: '/scopes' });
  // Inside its own account an administrator names the sources; the namespace is the account's.
  const source = who.account === null ? sources.find((s) => !maySpeakFor(who, s)) : undefined;
  if (source) throw new Problem('key.too_wide', `The key may not speak for ${source} itself`, { pointer: '/sources' });
};

export const keyRoutes = (app: App, context: Context): void => {
  const tags = ['keys'];
  app.get('/api/v1/keys', { schema: { tags, response: { 200: Page(KeyRow) } } }, (request) => {
    const who = need(request, 'admin');
    const items = [...context.log.book.allKeys()].filter((k) => mayReach(context, who, k.account)).map(row);
    return { items: items.sort((a, b) => (a.id < b.id ? -1 : 1)) };
  });

  app.post('/api/v1/keys', { schema: { tags, body: Create, response: { 201: NewKey } } }, async (request, reply) => {
    const who = need(request, 'admin');
    const { name = '', sources = [], reason, scopes: asked } = request.body;
    const account = request.body.account === undefined ? who.account : request.body.account;
    if (account === null && who.account !== null) throw new Problem('key.too_wide', undefined, { pointer: '/account' });
    if (account !== null) reach(context, who, account);
    mayGrant(who, asked, sources);
    const secret = context.newSecret();
    const key = keyOf(secret, { name, account, scopes: asked, sources });
    await context.log.append([key], authorOf(who, account ?? '', reason));
    return reply.code(201).send({ ...row(key), secret });
  });

  const Params = Type.Object({ id: Type.String() });
  app.delete(
    '/api/v1/keys/:id',
    { schema: { tags, summary: 'Revokes the key for good', params: Params, response: { 200: KeyRow } } },
    async (request) => {
      const who = need(request, 'admin');
      const key = context.log.book.key(request.params.id);
      if (key === undefined || !mayReach(context, who, key.account)) throw new Problem('key.unknown');
      const revoked: KeyFact = { ...key, kind: 'key', revoked: true };
      await context.log.append([revoked], authorOf(who, key.account ?? '', 'revoked'));
      return row(revoked);
    },
  );
};
