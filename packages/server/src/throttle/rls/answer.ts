/**
 * Answers Envoy's Rate Limit Service, whatever it came by. Descriptors of one call are charged all or none: a refused call
 * counts nowhere (the reference server charges the others, so a refused client uses up its neighbours' limits).
 */
import type { Clock } from '../../domain/environment.ts';
import type { Instant } from '../../domain/window.ts';
import type { GateStatus } from '../engine/types.ts';
import type { GatesDecision, ThrottleParts } from '../throttle.ts';
import { type Call, type CallParts, Calls, hitsOf } from './call.ts';
import { answerOfPart } from './part-answer.ts';
import type { RateLimitRequest, RateLimitResponse } from './schema.ts';
import { isOver, statusOf, told } from './statuses.ts';

export interface RlsParts extends CallParts {
  clock: Clock;
  /** Told of what was decided on accounts, descriptor by descriptor. */
  decided: ThrottleParts['decided'];
  /** Also X-RateLimit-*. */
  legacyHeaders: boolean;
}

export class RateLimits {
  private readonly parts: RlsParts;
  private readonly calls: Calls;

  constructor(parts: RlsParts) {
    this.parts = parts;
    this.calls = new Calls(parts);
  }

  /** Throws RlsError for what cannot be answered. */
  async answer(request: RateLimitRequest): Promise<RateLimitResponse> {
    const { clock, engine, legacyHeaders: legacy } = this.parts;
    const hits = hitsOf(request);
    const call = this.calls.of(request, clock.now());
    const costs = call.gates.map(() => 0);
    call.parts.forEach((part, i) => {
      for (const gate of part.gates) costs[gate] = hits[i] ?? 1;
    });
    const made = await this.decide(call, costs);
    const now = clock.now();
    const allowed = made?.decision?.allowed === true;
    const states = engine.status(call.prepared, now);
    this.tell(call, hits, made, states, now);
    const statuses = call.parts.map((part) => statusOf(part, call.gates, states, costs, allowed, now));
    const refusing = allowed ? -1 : statuses.findIndex(({ code }) => code === 'OVER_LIMIT');
    const retryAfterMs = made?.decision?.retryAfterMs ?? null;
    return {
      overallCode: allowed ? 'OK' : 'OVER_LIMIT',
      statuses,
      ...told(call, states, { allowed, refusing, retryAfterMs, legacy }, now),
    };
  }

  /** Null: refused before any limit was asked. */
  private decide(call: Call, costs: readonly number[]): Promise<GatesDecision> | null {
    const isRefused = call.parts.some(({ refusal }) => refusal !== null) || this.overQuota(call, costs) === 'all';
    return isRefused ? null : this.parts.throttle.decideGates(call.prepared, costs);
  }

  private tell(
    { parts }: Call,
    hits: readonly number[],
    made: GatesDecision | null,
    states: readonly GateStatus[],
    now: Instant,
  ): void {
    for (const [i, { asked, gates }] of parts.entries()) {
      if (asked === null) continue;
      const cost = hits[i] ?? 1;
      const own = gates.map((gate) => states[gate] as GateStatus);
      this.parts.decided(asked.ask, asked.question, cost, answerOfPart(asked.question, cost, made, own, now), now);
    }
  }

  /** Rules in quota mode are soft each; the call is refused when all of them are over. */
  private overQuota({ parts, prepared }: Call, costs: readonly number[]): 'all' | 'not all' {
    const quotas = parts.filter((p) => p.rule?.quotaMode === true && p.gates.length > 0);
    if (quotas.length === 0) return 'not all';
    const states = this.parts.engine.status(prepared, this.parts.clock.now());
    return quotas.every((p) => p.gates.some((g) => isOver(states[g], costs[g]))) ? 'all' : 'not all';
  }
}
