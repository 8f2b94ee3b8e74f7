/** Plans: read by those who have them, changed as a whole text, of which every difference is told before it is written. */
import { type Static, Type } from '@sinclair/typebox';
import type { PlanFact } from '../domain/limit/catalogue-fact.ts';
import { definePlans } from '../domain/limit/define-plans.ts';
import type { Plan } from '../domain/limit/plan.ts';
import { diffPlans } from '../domain/limit/plan-diff.ts';
import { Problem } from '../errors.ts';
import { refusePlanChange } from './account-currency.ts';
import { need, needInstallation, type Principal } from './auth.ts';
import { readTexts, refuse, TextBody, type Turn } from './catalogue-change.ts';
import { authorOf, type Context, mayReach } from './context.ts';
import { PlanRow, planRow } from './limit-rows.ts';
import { type App, NullableText } from './provider.ts';
import { InstantText, Page, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Changes = Type.Object({
  at: Type.Integer({ description: 'State the changes were worked out against: give it back when applying them' }),
  from: Type.String({ description: 'When they come into force' }),
  applied: Type.Boolean(),
  changes: Type.Array(
    Type.Object({
      plan: Type.String(),
      change: Type.String({ description: 'added, changed or removed' }),
      fields: Type.Array(
        Type.Object({
          path: Type.String({ description: '`limits.bandwidth.hard`' }),
          before: NullableText({ description: 'JSON; null: was not there' }),
          after: NullableText({ description: 'JSON; null: will not be there' }),
        }),
      ),
    }),
  ),
});
const ApplyQuery = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ description: 'Only tell what would change' })),
  prune: Type.Optional(Type.Boolean({ description: 'Take plans that are not in the text out of use' })),
  from: Type.Optional(InstantText('When the changes come into force; now when left away')),
  at: Type.Optional(Type.Integer({ description: '`at` of a dry run: refused when plans have changed since' })),
  reason: Reason,
});
type Apply = Static<typeof ApplyQuery>;

/** Plans are told to those who have them: their names may tell of others' contracts. */
const visible = (context: Context, who: Principal): ((key: string) => boolean) => {
  if (who.account === null) return () => true;
  const own = new Set<string>();
  for (const { account, plan } of context.log.book.catalogue.allSubscriptions())
    if (mayReach(context, who, account)) own.add(plan);
  return (key) => own.has(key);
};

const versionsOf = (context: Context, who: Principal, key: string): readonly Plan[] => {
  const versions = context.log.book.catalogue.planVersions(key);
  if (versions.length === 0 || !visible(context, who)(key))
    throw new Problem('plan.unknown', `There is no plan ${JSON.stringify(key)} that this key can see`);
  return versions;
};

const inUse = ({ log, clock }: Context, plan: string): string | undefined => {
  const now = clock.now();
  for (const s of log.book.catalogue.allSubscriptions())
    if (s.plan === plan && (s.to === null || (s.to > now && s.to > s.from))) return s.account;
  return undefined;
};

/** Throws when somebody has it: nobody is to find himself without limits. */
const removal = (context: Context, key: string, from: number): PlanFact => {
  const account = inUse(context, key);
  if (account !== undefined)
    throw new Problem('plan.in_use', `The account ${JSON.stringify(account)} has the plan ${key}`);
  const plan = context.log.book.catalogue.plan(key);
  if (plan === undefined) throw new Problem('plan.unknown');
  const { name, entitlements, limits, billing } = plan;
  return { kind: 'plan', plan: { key, name, entitlements, limits, billing }, from, removed: true };
};

const apply = async (context: Context, who: Principal, text: string, query: Apply): Promise<Static<typeof Changes>> => {
  const { catalogue } = context.log.book;
  const now = context.clock.now();
  const from = query.from === undefined ? now : instantOf(query.from, 'from');
  if (from < now) throw new Problem('query.range', 'from: a plan changes from now on, or later', { pointer: '/from' });
  const { value: plans, problems } = definePlans(text, context.log.book.meters());
  if (problems !== null) return refuse('plan.invalid', problems);
  const changes = diffPlans(catalogue.allPlans(), plans, query.prune === true);
  const at = catalogue.plansAt;
  if (query.at !== undefined && query.at !== at)
    throw new Problem('plan.moved', `Plans have changed since ${query.at}: now it is ${at}`);
  const facts = changes.map((change): PlanFact => {
    const plan = plans.find((p) => p.key === change.plan);
    return plan === undefined ? removal(context, change.plan, from) : { kind: 'plan', plan, from, removed: false };
  });
  refusePlanChange(context.log.book, facts);
  const applied = query.dryRun !== true && facts.length > 0;
  if (applied) await context.log.append(facts, authorOf(who, '', query.reason));
  return { at: applied ? catalogue.plansAt : at, from: isoText(from), applied, changes };
};

export const planRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['plans'];
  const Params = Type.Object({ key: Type.String() });
  app.get(
    '/api/v1/plans',
    { schema: { tags, summary: 'Newest versions; a tenant sees the plans it has', response: { 200: Page(PlanRow) } } },
    (request) => {
      const shown = visible(context, need(request, 'read'));
      const plans = [...context.log.book.catalogue.allPlans()].filter((p) => shown(p.key));
      return { items: plans.map((p) => planRow(context, p)).sort((a, b) => (a.key < b.key ? -1 : 1)) };
    },
  );
  app.get('/api/v1/plans/:key', { schema: { tags, params: Params, response: { 200: PlanRow } } }, (request) => {
    const newest = versionsOf(context, need(request, 'read'), request.params.key).at(-1);
    return planRow(context, newest as Plan);
  });
  app.get(
    '/api/v1/plans/:key/versions',
    { schema: { tags, params: Params, response: { 200: Type.Array(PlanRow) } } },
    (request) => versionsOf(context, need(request, 'read'), request.params.key).map((p) => planRow(context, p)),
  );
  app.register(async (scope) => {
    readTexts(scope as unknown as App);
    (scope as unknown as App).post(
      '/api/v1/plans/apply',
      {
        schema: {
          tags,
          summary: 'Makes plans what a YAML or JSON text says, in one step; tells what changes',
          querystring: ApplyQuery,
          body: TextBody,
          response: { 200: Changes },
        },
      },
      (request) => {
        const who = needInstallation(request, 'admin');
        const text = typeof request.body === 'string' ? request.body : '';
        return turn(() => apply(context, who, text, request.query));
      },
    );
  });
};
