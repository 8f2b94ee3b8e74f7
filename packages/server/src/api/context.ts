/** What the routes work with, and the rules every one of them shares: who sees what (law 11), in whose name a change is made. */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { Billing } from '../billing/index.ts';
import type { Config } from '../config.ts';
import type { Scope } from '../domain/control-fact.ts';
import type { Clock } from '../domain/environment.ts';
import { Problem } from '../errors.ts';
import type { Ingest } from '../ingest/index.ts';
import type { Author, ControlLog } from '../store/control-log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { Aftermath } from '../throttle/aftermath.ts';
import type { Leases } from '../throttle/leases.ts';
import type { RateLimits } from '../throttle/rls/answer.ts';
import type { Throttle } from '../throttle/throttle.ts';
import type { Usage } from '../usage/index.ts';
import { need, type Principal } from './auth.ts';

export type Phase = 'starting' | 'ready' | 'stopping';

export interface Context {
  config: Config;
  version: string;
  clock: Clock;
  logger: FastifyBaseLogger;
  log: ControlLog;
  registry: SeriesRegistry;
  control: ControlStore;
  store: UsageStore;
  receipts: Receipts;
  /** Null on a server that only reads. */
  ingest: Ingest | null;
  usage: Usage;
  billing: Billing;
  throttle: Throttle;
  leases: Leases;
  rateLimits: RateLimits;
  aftermath: Aftermath;
  /** Records waiting with each agent, as it last said; by JSON of tenant and source. Of this process' life only. */
  spools: Map<string, number>;
  /** A new secret for a key. */
  newSecret(): string;
  phase(): Phase;
}

/** Accounts whose usage the principal may see: null for all, otherwise its own and those below it. */
export const viewerOf = (context: Pick<Context, 'log'>, who: Principal): ReadonlySet<string> | null =>
  who.account === null ? null : new Set([who.account, ...context.log.book.descendants(who.account)]);

export const mayReach = (context: Pick<Context, 'log'>, who: Principal, account: string | null): boolean => {
  const viewer = viewerOf(context, who);
  return viewer === null || (account !== null && viewer.has(account));
};

/** Throws auth.account; an account out of reach is answered as one that does not exist, so that nobody can try names. */
export const reach = (context: Pick<Context, 'log'>, who: Principal, account: string): void => {
  if (!mayReach(context, who, account) || context.log.book.account(account) === undefined)
    throw new Problem('account.unknown', `There is no account ${JSON.stringify(account)} that this key can see`);
};

/** The namespace of facts: an account's key works in its own, the installation's in any. */
export const tenantOf = (context: Pick<Context, 'log'>, who: Principal, asked: string | undefined): string => {
  if (asked === undefined) return who.account ?? '';
  if (asked === '' ? who.account !== null : !mayReach(context, who, asked))
    throw new Problem('auth.account', 'The key does not reach this tenant');
  return asked;
};

export const authorOf = (who: Principal, tenant: string, reason: string | undefined): Author => ({
  tenant,
  author: who.key,
  reason: reason ?? '',
});

/** Principal with the scope, and what it may see. */
export const asking = (context: Context, request: FastifyRequest, scope: Scope) => {
  const who = need(request, scope);
  return { who, viewer: viewerOf(context, who) };
};
