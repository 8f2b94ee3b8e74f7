/** Decisions: may this account do this now, and what does it have left. A decision is an answer, so a refusal is a 200. */
import { type Static, Type } from '@sinclair/typebox';
import type { Answer } from '../throttle/throttle.ts';
import { need } from './auth.ts';
import { type Context, reach } from './context.ts';
import { type App, NullableNumber, NullableText } from './provider.ts';
import { Name } from './schemas.ts';
import { isoText } from './time.ts';

const Ask = Type.Object(
  {
    account: Name('Who wants it'),
    action: Type.Optional(
      Type.String({ maxLength: 128, description: 'What for; limits may bear on some actions only' }),
    ),
    cost: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Units; 1 when left away, 0 only asks',
      }),
    ),
    meter: Type.Optional(
      Type.String({ maxLength: 256, description: 'Meter the cost is of; `requests` when left away' }),
    ),
    resource: Type.Optional(Type.String({ maxLength: 256 })),
    dimensions: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }))),
  },
  { additionalProperties: false },
);
type Ask = Static<typeof Ask>;

const BATCH_MAX = 1000;
const Batch = Type.Object(
  {
    decisions: Type.Array(Ask, {
      minItems: 1,
      maxItems: BATCH_MAX,
      description: 'Each is decided by itself, in order',
    }),
  },
  { additionalProperties: false },
);

export const DecisionRow = Type.Object({
  allowed: Type.Boolean(),
  reason: NullableText({ description: 'Code; null when allowed' }),
  detail: Type.String({ description: 'For people' }),
  limit: NullableText({
    description: 'The limit that refused, or the one closest to its end; null: no limit bears on it',
  }),
  version: NullableNumber({ description: 'Receipt of the definition the limit, or its amount, came with' }),
  amount: NullableNumber(),
  used: NullableNumber(),
  remaining: NullableNumber(),
  resetAt: NullableText(),
  retryAfterSeconds: NullableNumber({ description: 'Null: allowed, or waiting does not help' }),
  upgrade: Type.String(),
  shadowed: Type.Array(Type.String(), { description: 'Limits in shadow that would have refused' }),
  plan: NullableText({ description: 'Null: no subscription, so no limits of a plan' }),
});

const rowOf = ({ allowed, reason, detail, gate, decision, plan, shadowed }: Answer): Static<typeof DecisionRow> => {
  const retryAfterMs = allowed ? null : (decision?.retryAfterMs ?? null);
  return {
    allowed,
    reason,
    detail,
    limit: gate?.limit.key ?? null,
    version: gate?.limit.version ?? null,
    amount: decision === null || gate === null ? null : decision.limit,
    used: decision === null || gate === null ? null : decision.used,
    remaining: decision === null || gate === null ? null : decision.remaining,
    resetAt: decision === null || gate === null ? null : isoText(decision.resetAt),
    retryAfterSeconds: retryAfterMs === null ? null : Math.ceil(retryAfterMs / 1000),
    upgrade: gate?.limit.upgrade ?? '',
    shadowed: shadowed.map(({ key }) => key),
    plan: plan?.key ?? null,
  };
};

export const decisionRoutes = (app: App, context: Context): void => {
  const decide = async ({ account, action = '', cost = 1, meter = 'requests', resource = '', dimensions = {} }: Ask) =>
    rowOf(await context.throttle.decide({ account, action, meter, resource, dimensions }, cost));
  const schema = {
    tags: ['limits'],
    summary: 'Decides, and counts what is admitted; one object or a batch of up to 1,000',
    body: Type.Unsafe<Ask | Static<typeof Batch>>({ anyOf: [Ask, Batch] }),
    response: {
      200: Type.Unsafe<unknown>({ anyOf: [DecisionRow, Type.Object({ decisions: Type.Array(DecisionRow) })] }),
    },
  };
  app.post('/api/v1/decisions', { schema }, async (request) => {
    const who = need(request, 'ingest');
    const { body } = request;
    const asks = 'decisions' in body ? body.decisions : [body];
    for (const { account } of asks) reach(context, who, account);
    if (!('decisions' in body)) return decide(body);
    const decisions: Static<typeof DecisionRow>[] = [];
    for (const ask of body.decisions) decisions.push(await decide(ask));
    return { decisions };
  });
};
