/**
 * Who asks, and what they may. A key is `tg_` and 32 random bytes; only its SHA-256 is stored, so a stolen control store
 * opens nothing (the secret is random, there is nothing to guess by trying words: no slow hash is needed).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { KeyFact, Scope } from '../domain/control-fact.ts';
import { Problem } from '../errors.ts';

export interface Principal {
  /** Key id: the author of what is done with it. */
  key: string;
  /** Account the key is bound to, the tenant of what it sends; null: the installation. */
  account: string | null;
  scopes: readonly Scope[];
  sources: readonly string[];
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null;
  }
}

/** 43 characters after the prefix: 32 bytes in base64url. */
export const newSecret = (random: (bytes: number) => Uint8Array = randomBytes): string =>
  `tg_${Buffer.from(random(32)).toString('base64url')}`;
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Finds the principal of an Authorization header. Throws Problem. */
export const authenticate = (header: string | undefined, keyOf: (hash: string) => KeyFact | undefined): Principal => {
  if (header === undefined) throw new Problem('auth.missing');
  const secret = /^Bearer +(\S{1,512})$/i.exec(header)?.[1];
  if (secret === undefined) throw new Problem('auth.missing', 'The Authorization header is not "Bearer" and a key');
  const key = keyOf(hashSecret(secret));
  if (key === undefined || key.revoked) throw new Problem('auth.unknown_key');
  return { key: key.id, account: key.account, scopes: key.scopes, sources: key.sources };
};

/** `admin` includes `read`; nothing includes `ingest`: who may look at everything may not therefore make up facts. */
export const hasScope = (who: Principal, scope: Scope): boolean =>
  who.scopes.includes(scope) || (scope === 'read' && who.scopes.includes('admin'));

export const maySpeakFor = (who: Pick<Principal, 'sources'>, source: string): boolean =>
  who.sources.some((s) => (s.endsWith('*') ? source.startsWith(s.slice(0, -1)) : s === source));

/** The request's principal, which must have the scope. */
export const need = (request: Pick<FastifyRequest, 'principal'>, scope: Scope): Principal => {
  const who = request.principal;
  if (who === null) throw new Problem('auth.missing');
  if (!hasScope(who, scope))
    throw new Problem('auth.scope', `This needs the scope ${scope}; the key has ${who.scopes.join(', ') || 'none'}`);
  return who;
};

/** As `need`, and only a key of the installation will do. */
export const needInstallation = (request: Pick<FastifyRequest, 'principal'>, scope: Scope): Principal => {
  const who = need(request, scope);
  if (who.account !== null) throw new Problem('auth.account', 'Only a key of the installation may do this');
  return who;
};
