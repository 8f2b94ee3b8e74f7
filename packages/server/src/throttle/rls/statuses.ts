/** What a proxy and its client are told of a decision: a status for each descriptor, headers, and why. */
import { type PolicyState, rateLimitHeaders } from '@tollgate/event';
import { formatInstant } from '../../domain/calendar.ts';
import type { Limit } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import type { Gate, GateStatus } from '../engine/types.ts';
import { policyOf } from '../policy.ts';
import type { Call, Part } from './call.ts';
import { windowMs } from './envoy-config.ts';
import type { DescriptorStatus, RateLimitResponse, Unit } from './schema.ts';

const UINT32 = 2 ** 32 - 1;

export interface Verdict {
  allowed: boolean;
  /** Index of the descriptor that refused; -1: none is known to. */
  refusing: number;
  retryAfterMs: number | null;
  /** Also X-RateLimit-*. */
  legacy: boolean;
}

export function told(
  call: Call,
  states: readonly GateStatus[],
  { allowed, refusing, retryAfterMs, legacy }: Verdict,
  now: Instant,
): Pick<RateLimitResponse, 'responseHeadersToAdd' | 'rawBody' | 'dynamicMetadata'> {
  const policies = call.gates.flatMap((gate, i) => policyOf(gate.limit, states[i], now) ?? []);
  const headers = rateLimitHeaders(unique(policies), retryAfterMs, { legacy });
  const shadowed = call.gates.flatMap(({ limit }, i) => (limit.shadow && isSpent(states[i]) ? [limit.key] : []));
  const metadata: Record<string, unknown> = shadowed.length > 0 ? { shadowed } : {};
  if (allowed) return { responseHeadersToAdd: pairs(headers), rawBody: EMPTY, dynamicMetadata: metadata };
  const problem = problemOf(call, states, refusing);
  headers['content-type'] = 'application/problem+json';
  return {
    responseHeadersToAdd: pairs(headers),
    rawBody: Buffer.from(JSON.stringify(problem)),
    dynamicMetadata: { ...metadata, ...problem },
  };
}

const EMPTY = Buffer.alloc(0);
const pairs = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).map(([key, value]) => ({ key, value }));

/** Two counters of one limit are one policy: the tighter one is told. */
function unique(policies: readonly PolicyState[]): PolicyState[] {
  const byName = new Map<string, PolicyState>();
  for (const policy of policies) {
    const known = byName.get(policy.name);
    if (known === undefined || policy.remaining < known.remaining) byName.set(policy.name, policy);
  }
  return [...byName.values()];
}

/** Whether the cost does not fit. */
export const isOver = (state: GateStatus | undefined, cost: number | undefined): boolean =>
  state !== undefined && state.remaining < Math.max(cost ?? 0, 0) && state.used + (cost ?? 0) > state.limit;
const isSpent = (state: GateStatus | undefined): boolean => state !== undefined && state.used >= state.limit;

export function statusOf(
  { rule, refusal, gates }: Part,
  all: readonly Gate[],
  states: readonly GateStatus[],
  costs: readonly number[],
  allowed: boolean,
  now: Instant,
): DescriptorStatus {
  if (refusal !== null) return { code: 'OVER_LIMIT', limitRemaining: 0 };
  // The reference's words for a rule that says unlimited; where no rule matched, it says 0 and no limit.
  if (gates.length === 0) return { code: 'OK', limitRemaining: rule !== null && rule.limit === null ? UINT32 : 0 };
  let tightest = gates[0] as number;
  let over = false;
  for (const gate of gates) {
    const { limit } = all[gate] as Gate;
    const counts = (limit.hard || rule?.quotaMode === true) && !limit.shadow;
    // After an admission what was charged is used already.
    const exceeded = allowed
      ? (states[gate]?.used ?? 0) > (states[gate]?.limit ?? 0)
      : isOver(states[gate], limit.feed === 'metered' ? 1 : costs[gate]);
    if (counts && exceeded) over = true;
    if (remaining(states, gate) < remaining(states, tightest)) tightest = gate;
  }
  const { limit } = all[tightest] as Gate;
  const state = states[tightest] as GateStatus;
  const wait = Math.max(0, state.resetAt - now);
  return {
    code: over ? 'OVER_LIMIT' : 'OK',
    currentLimit: {
      requestsPerUnit: Math.min(state.limit, UINT32),
      unit: unitOf(limit),
      name: rule?.name ?? limit.key,
    },
    limitRemaining: Math.min(state.remaining, UINT32),
    durationUntilReset: { seconds: Math.floor(wait / 1000), nanos: (wait % 1000) * 1_000_000 },
  };
}

const remaining = (states: readonly GateStatus[], gate: number): number => states[gate]?.remaining ?? 0;

const UNIT_OF_MS = new Map(Object.entries(windowMs).map(([unit, ms]) => [ms, unit.toUpperCase() as Unit]));

function unitOf({ rule }: Limit): Unit {
  if (rule.kind === 'rate') return UNIT_OF_MS.get(rule.windowMs) ?? 'UNKNOWN';
  if (rule.kind === 'concurrency') return 'UNKNOWN';
  return rule.period === 'billing' ? 'MONTH' : (rule.period.toUpperCase() as Unit);
}

/** Why, for the client and for the proxy's log. */
function problemOf({ parts, gates }: Call, states: readonly GateStatus[], refusing: number): Record<string, unknown> {
  const part = parts[refusing];
  const refusal = part?.refusal ?? null;
  if (refusal !== null) return { title: 'Refused', status: 403, code: refusal.code, detail: refusal.reason };
  const gate = part?.gates.find((g) => isSpent(states[g])) ?? part?.gates[0] ?? -1;
  const limit = gates[gate]?.limit;
  const state = states[gate];
  if (limit === undefined || state === undefined) return { title: 'Not known', status: 429, code: 'limit.unknown' };
  return {
    title: 'Limit reached',
    status: 429,
    code: 'limit.reached',
    detail: limit.message || `${limit.key}: ${state.used} of ${state.limit} ${limit.meter} used`,
    limit: limit.key,
    version: limit.version,
    used: state.used,
    amount: state.limit,
    resetAt: formatInstant(state.resetAt, 'UTC'),
    ...(limit.upgrade === '' ? {} : { upgrade: limit.upgrade }),
  };
}
