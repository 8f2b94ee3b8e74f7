/**
 * Answers Envoy's Rate Limit Service, whatever it came by. Descriptors of one call are charged all or none: a refused call
 * counts nowhere (the reference server charges the others, so a refused client uses up its neighbours' limits).
 */
import { type PolicyState, rateLimitHeaders } from '@tollgate/event';
import { formatInstant } from '../../domain/calendar.ts';
import type { Clock } from '../../domain/environment.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Refusal } from '../../domain/limit/in-force.ts';
import { AMOUNT_MAX, type Limit } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import type { Ask } from '../ask.ts';
import { policyOf } from '../policy.ts';
import type { Throttle } from '../throttle.ts';
import type { DecisionEngine, Gate, GateStatus, Prepared } from '../types.ts';
import { type Domain, match, type Rule } from './domain.ts';
import { windowMs } from './envoy-config.ts';
import type { Descriptor, DescriptorStatus, RateLimitRequest, RateLimitResponse, Unit } from './schema.ts';

/** Descriptors of this domain name an account (and an action, a meter, a resource) instead of a rule. */
export const ACCOUNTS_DOMAIN = 'tollgate';

export class RlsError extends Error {}

export interface RlsParts {
  throttle: Throttle;
  engine: DecisionEngine;
  clock: Clock;
  /** Domains of imported configurations. */
  domain(name: string): Domain | undefined;
  /** Receipt that moves when what limits consist of does. */
  at(): Receipt;
  /** Also X-RateLimit-*. */
  legacyHeaders: boolean;
}

interface Part {
  rule: Rule | null;
  refusal: Refusal | null;
  /** Of the gates of the whole call. */
  gates: readonly number[];
}
interface Call {
  parts: readonly Part[];
  gates: readonly Gate[];
  prepared: Prepared;
  at: Receipt;
  domain: Domain | undefined;
  until: Instant;
}

const KEPT = 200_000;
const UINT32 = 2 ** 32 - 1;
const DESCRIPTORS_MAX = 100;

export class RateLimits {
  private readonly parts: RlsParts;
  private readonly calls = new Map<string, Call>();

  constructor(parts: RlsParts) {
    this.parts = parts;
  }

  /** Throws RlsError for what cannot be answered. */
  async answer(request: RateLimitRequest): Promise<RateLimitResponse> {
    const hits = hitsOf(request);
    const call = this.call(request, this.parts.clock.now());
    const costs = call.gates.map(() => 0);
    call.parts.forEach((part, i) => {
      for (const gate of part.gates) costs[gate] = hits[i] ?? 1;
    });
    const before = this.overQuota(call, costs);
    const isRefused = call.parts.some((p) => p.refusal !== null) || before === 'all';
    const decision = isRefused ? null : await this.parts.throttle.decideGates(call.prepared, costs);
    const now = this.parts.clock.now();
    const allowed = decision?.allowed === true;
    const states = this.parts.engine.status(call.prepared, now);
    const statuses = call.parts.map((part) => statusOf(part, call.gates, states, costs, allowed, now));
    const refusing = allowed ? -1 : statuses.findIndex(({ code }) => code === 'OVER_LIMIT');
    return {
      overallCode: allowed ? 'OK' : 'OVER_LIMIT',
      statuses,
      ...this.told(call, states, { allowed, refusing, retryAfterMs: decision?.retryAfterMs ?? null }, now),
    };
  }

  /** What the descriptors bear on, made again when a definition or the configuration has changed. */
  private call(request: RateLimitRequest, now: Instant): Call {
    const domain = this.parts.domain(request.domain);
    const at = this.parts.at();
    const key = keyOf(request);
    const known = this.calls.get(key);
    if (known !== undefined && known.at === at && known.domain === domain && now < known.until) return known;
    const made = this.make(request, domain, at, now);
    this.calls.delete(key);
    this.calls.set(key, made);
    if (this.calls.size > KEPT) this.calls.delete(this.calls.keys().next().value ?? '');
    return made;
  }

  private make(request: RateLimitRequest, domain: Domain | undefined, at: Receipt, now: Instant): Call {
    const gates: Gate[] = [];
    const parts: Part[] = [];
    let until = Number.MAX_SAFE_INTEGER;
    const add = (found: readonly Gate[]): number[] => found.map((gate) => gates.push(gate) - 1);
    const matches = request.descriptors.map((d) => (domain === undefined ? null : match(domain, d.entries)));
    const replaced = new Set(matches.flatMap((m) => m?.rule.replaces ?? []));
    for (const [i, descriptor] of request.descriptors.entries()) {
      const found = matches[i] ?? null;
      if (request.domain === ACCOUNTS_DOMAIN) {
        const { standing } = this.parts.throttle.question(askOf(descriptor), now);
        until = Math.min(until, standing.until);
        parts.push({ rule: null, refusal: standing.refusal, gates: add(standing.gates) });
        continue;
      }
      const rule = found !== null && !replaced.has(found.rule.name) ? found.rule : null;
      const limit = overrideOf(descriptor, request.domain, at) ?? rule?.limit ?? null;
      const subject = found?.subject ?? JSON.stringify(descriptor.entries.flatMap((e) => [e.key, e.value]));
      parts.push({ rule, refusal: null, gates: limit === null ? [] : add([gateOf(limit, subject)]) });
    }
    return { parts, gates, prepared: this.parts.engine.prepare(gates), at, domain, until };
  }

  /** Rules in quota mode are soft each; the call is refused when all of them are over. */
  private overQuota({ parts, prepared }: Call, costs: readonly number[]): 'all' | 'not all' {
    const quotas = parts.filter((p) => p.rule?.quotaMode === true && p.gates.length > 0);
    if (quotas.length === 0) return 'not all';
    const states = this.parts.engine.status(prepared, this.parts.clock.now());
    return quotas.every((p) => p.gates.some((g) => isOver(states[g], costs[g]))) ? 'all' : 'not all';
  }

  private told(
    call: Call,
    states: readonly GateStatus[],
    { allowed, refusing, retryAfterMs }: { allowed: boolean; refusing: number; retryAfterMs: number | null },
    now: Instant,
  ): Pick<RateLimitResponse, 'responseHeadersToAdd' | 'rawBody' | 'dynamicMetadata'> {
    const policies = call.gates.flatMap((gate, i) => policyOf(gate.limit, states[i], now) ?? []);
    const headers = rateLimitHeaders(unique(policies), retryAfterMs, { legacy: this.parts.legacyHeaders });
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

const isOver = (state: GateStatus | undefined, cost: number | undefined): boolean =>
  state !== undefined && state.remaining < Math.max(cost ?? 0, 0) && state.used + (cost ?? 0) > state.limit;
const isSpent = (state: GateStatus | undefined): boolean => state !== undefined && state.used >= state.limit;

function hitsOf({ domain, descriptors, hitsAddend }: RateLimitRequest): number[] {
  if (domain === '') throw new RlsError('domain must not be empty');
  if (descriptors.length === 0) throw new RlsError('descriptors must not be empty');
  if (descriptors.length > DESCRIPTORS_MAX) throw new RlsError(`at most ${DESCRIPTORS_MAX} descriptors a call`);
  return descriptors.map((descriptor, i) => {
    if (descriptor.entries.length === 0) throw new RlsError(`descriptors[${i}].entries must not be empty`);
    // A 0 of its own asks without counting; a 0 of the request is an absent field and counts 1.
    const own = descriptor.hitsAddend;
    const hits = own === null ? hitsAddend || 1 : Number(own);
    if (Number.isSafeInteger(hits) && hits >= 0) return hits;
    throw new RlsError(`descriptors[${i}].hits_addend must be a whole number up to ${AMOUNT_MAX}`);
  });
}

const keyOf = ({ domain, descriptors }: RateLimitRequest): string => {
  let key = `${domain.length}:${domain}`;
  for (const { entries, limit } of descriptors) {
    key += limit === null ? '|' : `|${limit.requestsPerUnit}/${limit.unit}`;
    for (const e of entries) key += `,${e.key.length}:${e.key}=${e.value.length}:${e.value}`;
  }
  return key;
};

/** Entries with other keys are dimensions. */
function askOf({ entries }: Descriptor): Ask {
  const named: Record<string, string> = { account: '', action: '', meter: 'requests', resource: '' };
  const dimensions: Record<string, string> = {};
  for (const { key, value } of entries) (Object.hasOwn(named, key) ? named : dimensions)[key] = value;
  const { account = '', action = '', meter = '', resource = '' } = named;
  if (account === '') throw new RlsError(`a descriptor of the domain ${ACCOUNTS_DOMAIN} needs an entry \`account\``);
  return { account, action, meter, resource, dimensions };
}

const gateOf = (limit: Limit, subject: string): Gate => ({
  limit,
  account: '',
  subject,
  calendar: { zone: 'UTC', anchor: 0 },
});

/** A limit that the caller brings takes the place of the configured one, with counters of its own. */
function overrideOf({ limit }: Descriptor, domain: string, version: Receipt): Limit | null {
  if (limit === null) return null;
  const length = windowMs[limit.unit.toLowerCase()];
  if (length === undefined) throw new RlsError(`limit.unit ${limit.unit} is not known`);
  const amount = limit.requestsPerUnit;
  return {
    key: `${domain}.override.${amount}/${limit.unit.toLowerCase()}`,
    meter: 'requests',
    feed: 'decided',
    scope: { dimension: 'descriptor' },
    rule: { kind: 'rate', amount, windowMs: length, algorithm: 'fixed', burst: amount },
    hard: true,
    shadow: false,
    thresholds: [],
    actions: [],
    fail: { mode: 'open' },
    message: '',
    upgrade: '',
    version,
  };
}

function statusOf(
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
