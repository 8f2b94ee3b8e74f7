/** A limit in the words of the RateLimit fields. */
import type { PolicyState } from '@tollgate/event';
import type { Limit } from '../domain/limit/limit.ts';
import type { Instant } from '../domain/window.ts';
import type { GateStatus } from './engine/types.ts';

/** Null: nothing to tell (a limit in shadow is nobody's business). */
export function policyOf(limit: Limit, state: GateStatus | undefined, now: Instant): PolicyState | null {
  if (state === undefined || limit.shadow) return null;
  const { rule } = limit;
  return {
    name: limit.key,
    quota: state.limit,
    windowSeconds: rule.kind === 'rate' ? Math.ceil(rule.windowMs / 1000) : 0,
    unit: unitOf(limit),
    remaining: state.remaining,
    resetSeconds: Math.ceil(Math.max(0, state.resetAt - now) / 1000),
  };
}

function unitOf({ meter, rule }: Limit): PolicyState['unit'] {
  if (rule.kind === 'concurrency') return 'concurrent-requests';
  if (meter === 'requests') return 'requests';
  return meter.endsWith('bytes') ? 'content-bytes' : '';
}
