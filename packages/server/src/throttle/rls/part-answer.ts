/** What one descriptor's account is told of a decision that several descriptors share. */
import type { Instant } from '../../domain/window.ts';
import type { Decision, Gate, GateStatus } from '../engine/types.ts';
import {
  type Answer,
  answerOf,
  type GatesDecision,
  type Question,
  REFUSED,
  refusedBy,
  unknownOf,
} from '../throttle.ts';
import { isOver } from './statuses.ts';

/** `made` null: a block or a state refused the call. `states`: of the question's own gates, after the decision. */
export function answerOfPart(
  { standing, prepared: { gates } }: Question,
  cost: number,
  made: GatesDecision | null,
  states: readonly GateStatus[],
  now: Instant,
): Answer {
  const { refusal, plan } = standing;
  if (refusal !== null) return refusedBy(refusal, plan);
  if (made?.shut != null && gates.includes(made.shut)) return unknownOf(made.shut, plan);
  const decision = made?.decision ?? null;
  const together: Answer = { ...REFUSED, reason: 'limit.together', detail: TOGETHER, plan };
  if (made === null || decision === null) return together;
  const ownOf = (index: number): number => gates.indexOf(made.known.gates[index] as Gate);
  const shadowed = decision.shadowed.map(ownOf).filter((gate) => gate >= 0);
  const deciding = ownOf(decision.gate);
  if (deciding >= 0) return answerOf(gates, { ...decision, gate: deciding, shadowed }, plan);
  const gate = decision.allowed ? tightest(states) : gates.findIndex((one, i) => refuses(one, states[i], cost));
  if (!decision.allowed && gate < 0) return together;
  return answerOf(gates, { ...told(states[gate], now), allowed: decision.allowed, gate, shadowed }, plan);
}

/** It says nothing of the other: that may be somebody else's. */
const TOGETHER = 'another descriptor of the call was refused';

const refuses = ({ limit: { hard, shadow, feed } }: Gate, state: GateStatus | undefined, cost: number): boolean =>
  hard && !shadow && isOver(state, feed === 'metered' ? 1 : cost);

const tightest = (states: readonly GateStatus[]): number =>
  states.reduce((best, { remaining }, i) => (remaining < (states[best]?.remaining ?? Infinity) ? i : best), -1);

const told = (state: GateStatus | undefined, now: Instant): Omit<Decision, 'allowed' | 'gate' | 'shadowed'> =>
  state === undefined
    ? { limit: 0, used: 0, remaining: 0, resetAt: now, retryAfterMs: 0 }
    : { ...state, retryAfterMs: Math.max(1, state.resetAt - now) };
