/** Limits of the installation, and what is in force for an account: by which plan, with which amounts, refused or not. */
import { type Static, Type } from '@sinclair/typebox';
import type { Catalogue, InstallationLimit } from '../domain/limit/catalogue.ts';
import type { LimitFact } from '../domain/limit/catalogue-fact.ts';
import { defineLimit } from '../domain/limit/define-plans.ts';
import { entitlementsAt, type HeldLimit, type InForce, inForce } from '../domain/limit/in-force.ts';
import { covers } from '../domain/limit/timeline.ts';
import { Problem } from '../errors.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { BlockRow, blockRows } from './blocks.ts';
import {
  readTexts,
  refuse,
  SpanQuery,
  spanOf,
  TextBody,
  Times,
  type Turn,
  timesOf,
  zoneOf,
} from './catalogue-change.ts';
import { authorOf, type Context, mayReach, reach } from './context.ts';
import { EntitlementFields, entitlementRow, LimitFields, limitRow } from './limit-rows.ts';
import { OverrideRow, overrideRows } from './overrides.ts';
import { type App, NullableText } from './provider.ts';
import { InstantText, Page, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const InstallationRow = Type.Object({
  ...LimitFields,
  all: Type.Boolean({ description: 'Given to all accounts' }),
  accounts: Type.Array(Type.String(), { description: 'Given to these, as far as the key can see them' }),
  ...Times,
  receipt: Type.Integer(),
});
const givers = 'own: by its own plan; above: by the plan of an account above it; installation';
const HeldRow = Type.Object({
  ...LimitFields,
  version: Type.Integer({ description: 'Receipt of what the amount came with' }),
  given: Type.String({ description: givers }),
});
const InForceRow = Type.Object({
  account: Type.String(),
  at: Type.String(),
  plan: NullableText({ description: 'null: no subscription, and so no limits of a plan' }),
  subscription: Type.Optional(
    Type.Object({
      version: Type.Integer({ description: 'Of the plan' }),
      from: Type.String(),
      to: Type.Optional(Type.String()),
      anchor: Type.String(),
    }),
  ),
  refusal: Type.Optional(
    Type.Object(
      {
        code: Type.String(),
        reason: Type.String(),
        given: Type.String({ description: 'own or above' }),
        until: Type.Optional(Type.String()),
      },
      { description: 'Every call is refused, whatever the limits say' },
    ),
  ),
  entitlements: Type.Array(Type.Object({ ...EntitlementFields, version: Type.Integer() })),
  limits: Type.Array(HeldRow),
  lifted: Type.Array(
    Type.Object({ key: Type.String(), meter: Type.String(), given: Type.String(), version: Type.Integer() }),
    { description: 'Limits whose amount is unlimited' },
  ),
  overrides: Type.Array(OverrideRow),
  blocks: Type.Array(BlockRow),
});

/** Whom a tenant may not see it does not name. */
const given = (account: string, by: string): string => (by === '' ? 'installation' : by === account ? 'own' : 'above');

const heldRow = (context: Context, account: string, held: HeldLimit): Static<typeof HeldRow> => ({
  ...limitRow(context, held.limit),
  version: held.limit.version,
  given: given(account, held.account),
});

const refusalRow = ({ account, refusal }: InForce): Static<typeof InForceRow>['refusal'] =>
  refusal === null
    ? undefined
    : {
        code: refusal.code,
        reason: refusal.reason,
        given: given(account, refusal.account),
        ...(refusal.until === null ? {} : { until: isoText(refusal.until) }),
      };

const inForceRow = (context: Context, account: string, action: string | null, t: number): Static<typeof InForceRow> => {
  const state = inForce(context.log.book, account, action, t);
  const { plan, limits, lifted } = state;
  const refusal = refusalRow(state);
  return {
    account,
    at: isoText(t),
    plan: plan?.key ?? null,
    ...(plan === null
      ? {}
      : {
          subscription: {
            version: plan.version,
            from: isoText(plan.from),
            ...(plan.to === null ? {} : { to: isoText(plan.to) }),
            anchor: isoText(plan.anchor),
          },
        }),
    ...(refusal === undefined ? {} : { refusal }),
    entitlements: entitlementsAt(context.log.book, account, t).map((e) => ({
      ...entitlementRow(context, e),
      version: e.version,
    })),
    limits: limits.map((held) => heldRow(context, account, held)),
    lifted: lifted.map(({ key, meter, account: by, version }) => ({ key, meter, given: given(account, by), version })),
    overrides: overrideRows(context, account),
    blocks: blockRows(context, account),
  };
};

/** All of them to the installation; to a tenant those that can bear on one of its accounts. */
const visible = (context: Context, who: Principal, { accounts, limit }: InstallationLimit): boolean => {
  if (who.account === null || accounts.length === 0) return true;
  if (accounts.some((id) => mayReach(context, who, id))) return true;
  const { book } = context.log;
  return limit.scope === 'subtree' && accounts.some((id) => book.isWithin(who.account ?? '', id));
};

const installationRow = (context: Context, who: Principal, l: InstallationLimit): Static<typeof InstallationRow> => ({
  ...limitRow(context, l.limit),
  all: l.accounts.length === 0,
  accounts: l.accounts.filter((id) => mayReach(context, who, id)),
  ...timesOf(l, context.clock.now()),
  receipt: l.receipt,
});

/** Of each key what rules now, or did last, and what is put to begin later. */
const shownLimits = (catalogue: Catalogue, now: number): InstallationLimit[] => {
  const ruling = new Map([...catalogue.limitsAt(now)].map((l) => [l.limit.key, l]));
  const planned = [...catalogue.allLimits()].filter(
    (l) => l.from > now && l.receipt > (ruling.get(l.limit.key)?.receipt ?? 0),
  );
  return [...ruling.values(), ...planned];
};

const PutQuery = Type.Object({ ...SpanQuery, reason: Reason });

const put = async (context: Context, who: Principal, text: string, query: Static<typeof PutQuery>) => {
  const { value, problems } = defineLimit(text, context.log.book.meters());
  if (problems !== null) return refuse('limit.invalid', problems);
  for (const account of value.accounts) reach(context, who, account);
  const fact: LimitFact = { kind: 'limit', ...value, ...spanOf(query, context.clock.now(), 'UTC') };
  await context.log.append([fact], authorOf(who, '', query.reason));
  return installationRow(context, who, context.log.book.catalogue.limit(value.limit.key) as InstallationLimit);
};

const end = async (context: Context, who: Principal, key: string, reason: string | undefined): Promise<void> => {
  const now = context.clock.now();
  const { catalogue } = context.log.book;
  const current = catalogue.limitAt(key, now);
  // What is in force is ended, and what is planned with it; else what is planned is called off.
  const found = current !== undefined && covers(current, now) ? current : catalogue.limit(key);
  if (found === undefined || (found.to !== null && found.to <= now))
    throw new Problem('limit.unknown', `The installation has no limit ${JSON.stringify(key)}`);
  const { limit, accounts, from } = found;
  await context.log.append(
    [{ kind: 'limit', limit, accounts, from, to: Math.max(now, from) }],
    authorOf(who, '', reason),
  );
};

export const limitRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['limits'];
  const Params = Type.Object({ key: Type.String() });
  app.get(
    '/api/v1/limits',
    { schema: { tags, summary: 'Limits of the installation, in no plan', response: { 200: Page(InstallationRow) } } },
    (request) => {
      const who = need(request, 'read');
      const shown = shownLimits(context.log.book.catalogue, context.clock.now()).filter((l) =>
        visible(context, who, l),
      );
      return {
        items: shown
          .map((l) => installationRow(context, who, l))
          .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)),
      };
    },
  );
  app.delete(
    '/api/v1/limits/:key',
    {
      schema: {
        tags,
        summary: 'Ends the limit now',
        params: Params,
        querystring: Type.Object({ reason: Reason }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const who = needInstallation(request, 'admin');
      await turn(() => end(context, who, request.params.key, request.query.reason));
      return reply.code(204).send(null);
    },
  );
  app.get(
    '/api/v1/accounts/:id/limits',
    {
      schema: {
        tags,
        summary: 'What is in force for an account, with amounts',
        params: Type.Object({ id: Type.String() }),
        querystring: Type.Object({
          action: Type.Optional(Type.String({ maxLength: 128, description: 'Only what bears on it' })),
          at: Type.Optional(InstantText('At another instant than now')),
        }),
        response: { 200: InForceRow },
      },
    },
    (request) => {
      const { id } = request.params;
      reach(context, need(request, 'read'), id);
      const { at, action = null } = request.query;
      const t = at === undefined ? context.clock.now() : instantOf(at, 'at', zoneOf(context, id));
      return inForceRow(context, id, action, t);
    },
  );
  app.register(async (scope) => {
    readTexts(scope as unknown as App);
    (scope as unknown as App).put(
      '/api/v1/limits',
      {
        schema: {
          tags,
          summary: 'Makes or replaces a limit of the installation, from a YAML or JSON text',
          querystring: PutQuery,
          body: TextBody,
          response: { 200: InstallationRow },
        },
      },
      (request) => {
        const who = needInstallation(request, 'admin');
        const text = typeof request.body === 'string' ? request.body : '';
        return turn(() => put(context, who, text, request.query));
      },
    );
  });
};
