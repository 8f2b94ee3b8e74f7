/** Plans and limits as the API shows them. Amounts are whole units of the meter; `unit` says which. */
import { type Static, Type } from '@sinclair/typebox';
import { type LimitRule, metersOf, REQUESTS } from '../domain/limit/limit.ts';
import type { Entitlement, EntitlementRule, Plan, PlanLimit } from '../domain/limit/plan.ts';
import { excessPerServer as excessPerServerOf, sharingOf } from '../domain/limit/sharing.ts';
import type { PlanBilling, Price } from '../domain/price/price.ts';
import type { Context } from './context.ts';
import { NullableNumber, NullableText } from './provider.ts';
import { isoText } from './time.ts';

const Rule = Type.Object({
  kind: Type.String({ description: 'rate, quota, concurrency; entitlement: a quota with the amount of one' }),
  amount: Type.Optional(Type.Integer()),
  windowMs: Type.Optional(Type.Integer({ description: 'rate' })),
  algorithm: Type.Optional(Type.String({ description: 'rate: fixed, sliding, log, bucket' })),
  burst: Type.Optional(Type.Integer({ description: 'rate: most at one instant' })),
  period: Type.Optional(
    Type.String({ description: 'quota: day, week, month, year, billing; in the zone of the account' }),
  ),
  holdMs: Type.Optional(Type.Integer({ description: 'concurrency: free again after this long' })),
  entitlement: Type.Optional(Type.String()),
});
export const LimitFields = {
  key: Type.String(),
  meter: Type.String({ description: 'Key of a meter, several with ` + ` between them, or `requests`' }),
  unit: Type.String(),
  feed: Type.String({ description: 'decided: a decision is the usage; metered: events are, decisions read them' }),
  scope: Type.String({ description: 'Whose usage shares a counter: account, subtree, resource, dimension' }),
  dimension: Type.Optional(Type.String()),
  rule: Rule,
  hard: Type.Boolean({ description: 'false: admits beyond it, and counts the overage' }),
  shadow: Type.Boolean({ description: 'Decided and counted, never refuses' }),
  thresholds: Type.Array(Type.Integer(), { description: 'Percents at which a notice is told' }),
  actions: Type.Array(Type.String(), { description: 'Empty: all' }),
  fail: Type.Object({ mode: Type.String(), amount: Type.Optional(Type.Integer()) }),
  sharing: Type.String({ description: 'Between servers: none, async or strict' }),
  excessPerServer: Type.Optional(
    Type.Integer({
      description:
        'How far above it all servers together may be, for each server beyond the first; left away where usage is metered',
    }),
  ),
  message: Type.String(),
  upgrade: Type.String(),
};
const LimitRow = Type.Object(LimitFields);
export const EntitlementFields = {
  key: Type.String(),
  meter: Type.String(),
  unit: Type.String(),
  amount: NullableNumber({ description: 'null: unlimited' }),
  per: Type.String(),
  overage: Type.String({ description: 'block or allow' }),
};
const EntitlementRow = Type.Object(EntitlementFields);
const PriceRow = Type.Object(
  {
    key: Type.String(),
    name: Type.String(),
    kind: Type.String({ description: 'fee or usage' }),
    tax: Type.String({ description: 'Category; empty: the standard one' }),
    from: Type.Optional(Type.String({ description: 'In force from then on only' })),
    to: Type.Optional(Type.String({ description: 'In force until then only' })),
  },
  {
    additionalProperties: true,
    description: 'Further fields as docs/operating/plans.md has them; amounts are exact texts',
  },
);
const BillingRow = Type.Object({
  currency: Type.String(),
  period: Type.Object({ unit: Type.String(), count: Type.Integer() }),
  anchor: Type.String({ description: 'calendar or subscription' }),
  trialDays: Type.Integer(),
  minimum: NullableText(),
  prices: Type.Array(PriceRow),
});
export const PlanRow = Type.Object({
  key: Type.String(),
  name: Type.String(),
  version: Type.Integer(),
  receipt: Type.Integer(),
  from: Type.String({ description: 'In force from then on' }),
  removed: Type.Boolean(),
  entitlements: Type.Array(EntitlementRow),
  limits: Type.Array(LimitRow),
  billing: Type.Optional(BillingRow),
});

/** Unit of what a limit counts, as UCUM writes it. */
export const unitOf = (context: Pick<Context, 'log'>, meter: string): string => {
  const found = context.log.book.meter(metersOf(meter)[0] ?? '');
  if (found === undefined) return meter === REQUESTS ? '{request}' : '1';
  return found.aggregation === 'integral' ? `${found.unit}.h` : found.unit;
};

const ruleRow = (rule: LimitRule | EntitlementRule): Static<typeof Rule> => ({ ...rule });

const excessOf = (limit: PlanLimit): { excessPerServer?: number } => {
  const excessPerServer = excessPerServerOf(limit);
  return excessPerServer === null ? {} : { excessPerServer };
};

export const limitRow = (context: Pick<Context, 'log'>, limit: PlanLimit): Static<typeof LimitRow> => ({
  key: limit.key,
  meter: limit.meter,
  unit: unitOf(context, limit.meter),
  feed: limit.feed,
  ...(typeof limit.scope === 'string'
    ? { scope: limit.scope }
    : { scope: 'dimension', dimension: limit.scope.dimension }),
  rule: ruleRow(limit.rule),
  hard: limit.hard,
  shadow: limit.shadow,
  thresholds: [...limit.thresholds],
  actions: [...limit.actions],
  fail: { ...limit.fail },
  sharing: sharingOf(limit),
  ...excessOf(limit),
  message: limit.message,
  upgrade: limit.upgrade,
});

export const entitlementRow = (
  context: Pick<Context, 'log'>,
  { key, meter, amount, per, overage }: Entitlement,
): Static<typeof EntitlementRow> => ({ key, meter, unit: unitOf(context, meter), amount, per, overage });

const billingRow = ({ prices, period, ...terms }: PlanBilling): Static<typeof BillingRow> => ({
  ...terms,
  period: { ...period },
  prices: prices.map(priceRow),
});

export const priceRow = ({ from, to, ...price }: Price): Static<typeof PriceRow> => ({
  ...price,
  ...(from === null ? {} : { from: isoText(from) }),
  ...(to === null ? {} : { to: isoText(to) }),
});

export const planRow = (context: Pick<Context, 'log'>, plan: Plan): Static<typeof PlanRow> => ({
  key: plan.key,
  name: plan.name,
  version: plan.version,
  receipt: plan.receipt,
  from: isoText(plan.from),
  removed: plan.removed,
  entitlements: plan.entitlements.map((e) => entitlementRow(context, e)),
  limits: plan.limits.map((l) => limitRow(context, l)),
  ...(plan.billing === null ? {} : { billing: billingRow(plan.billing) }),
});
