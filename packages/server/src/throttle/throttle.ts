/**
 * Decisions on what tenants may do: `prepare` may wait (for what a meter shows, for a durable grant), `decide` is pure and
 * synchronous. Begin reading here.
 */
import { formatInstant } from '../domain/calendar.ts';
import type { Clock } from '../domain/environment.ts';
import type { LimitBook } from '../domain/limit/catalogue.ts';
import type { Refusal } from '../domain/limit/in-force.ts';
import type { Limit } from '../domain/limit/limit.ts';
import type { Instant } from '../domain/window.ts';
import { type Ask, askText, type Standing, standingOf } from './ask.ts';
import type { Decision, DecisionEngine, Gate, Prepared } from './engine/types.ts';
import type { Grants, MeteredFeed } from './ports.ts';

export interface Question {
  prepared: Prepared;
  standing: Standing;
  /** Receipt of the catalogue it was made at. */
  at: number;
}

/** limit.together: something else of the same call was refused. */
export type Reason = Refusal['code'] | 'limit.reached' | 'limit.too_large' | 'limit.unknown' | 'limit.together';

export interface Answer {
  allowed: boolean;
  /** Null when allowed. */
  reason: Reason | null;
  /** For people: what, how much, until when. */
  detail: string;
  /** The gate that refused, or the one closest to its limit; null: no limit bears on it. */
  gate: Gate | null;
  decision: Decision | null;
  plan: Standing['plan'];
  /** Limits in shadow that would have refused. */
  shadowed: readonly Limit[];
}

export interface GatesDecision {
  /** Its indexes are of the gates of `known`. Null: nothing was decided. */
  decision: Decision | null;
  shut: Gate | null;
  /** What was asked, without the unknown ones that fail open. */
  known: Prepared;
}

/** Decides and charges. */
export type Charge = (prepared: Prepared, cost: number, now: Instant) => Decision;

export interface ThrottleParts {
  book: () => LimitBook;
  clock: Clock;
  engine: DecisionEngine;
  feed: MeteredFeed;
  grants: Grants;
  /** Told of every decision that was charged or refused: notices, usage, refusals to explain. */
  decided(ask: Ask, question: Question, cost: number, answer: Answer, now: Instant): void;
}

/** Envoy waits 20 ms for an answer by default. */
const PROXY_WAIT_MS = 8;
/** Of a decision that lacks nothing but a grant. */
const TRIES = 5;
/** Questions kept prepared; the oldest goes when there are more. */
const KEPT = 100_000;
/** Characters of a question that is kept: what is longer is looked up each time. */
export const KEPT_TEXT = 1024;

export class Throttle {
  private readonly parts: ThrottleParts;
  private readonly kept = new Map<string, Question>();

  constructor(parts: ThrottleParts) {
    this.parts = parts;
  }

  /** The counters an ask bears on, looked up again only when a definition has changed. */
  question(ask: Ask, now: Instant): Question {
    const book = this.parts.book();
    const key = askText(ask);
    const known = this.kept.get(key);
    if (known !== undefined && known.at === book.catalogue.at && now < known.standing.until) return known;
    const standing = standingOf(book, ask, now);
    const made = { standing, prepared: this.parts.engine.prepare(standing.gates), at: book.catalogue.at };
    if (key.length > KEPT_TEXT) return made;
    this.kept.delete(key);
    this.kept.set(key, made);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
    return made;
  }

  /** Null: everything the decision needs is at hand. `waitMs`: when left away, as long as feed and grants have patience. */
  prepare(prepared: Prepared, cost: number, now: Instant, waitMs?: number): Promise<readonly Gate[]> | null {
    const { feed, grants } = this.parts;
    const metered = feed.ensure(prepared.gates, now, cost, waitMs);
    const granted = grants.ensure(prepared, cost, now, waitMs);
    if (metered === null) return granted;
    return granted === null ? metered : Promise.all([metered, granted]).then((all) => all.flat());
  }

  async decide(ask: Ask, cost: number): Promise<Answer> {
    const { clock, decided } = this.parts;
    for (let tries = 1; ; tries++) {
      const asked = clock.now();
      const waiting = this.prepare(this.question(ask, asked).prepared, cost, asked);
      const unknown = waiting === null ? [] : await waiting;
      const now = clock.now();
      const question = this.question(ask, now);
      const answer = this.answer(question, cost, unknown, now);
      // What was granted for it went to another call meanwhile.
      if (lacksGrant(answer.decision) && unknown.length === 0 && tries < TRIES) continue;
      decided(ask, question, cost, answer, now);
      return answer;
    }
  }

  /** Synchronous: gates that are unknown are answered by their fail modes. `charge`: instead of the engine's `decide`. */
  answer(
    { standing, prepared }: Question,
    cost: number,
    unknown: readonly Gate[],
    now: Instant,
    charge: Charge = (ready, units, at) => this.parts.engine.decide(ready, units, at),
  ): Answer {
    const { refusal, plan } = standing;
    if (refusal !== null) return refusedBy(refusal, plan);
    const shut = unknown.find(isShut);
    if (shut !== undefined) return unknownOf(shut, plan);
    this.parts.grants.keepTime?.(prepared, now);
    const known = this.known(prepared, unknown);
    return answerOf(known.gates, charge(known, cost, now), plan);
  }

  /**
   * For gates of another making (descriptors), each with its cost. Answers within a proxy's patience: what is not known by
   * then is unknown. `shut`: it is, and fails shut; then nothing was decided.
   */
  async decideGates(prepared: Prepared, costs: readonly number[]): Promise<GatesDecision> {
    const { clock, engine } = this.parts;
    const deadline = clock.elapsed() + PROXY_WAIT_MS;
    for (let tries = 1; ; tries++) {
      const left = Math.max(0, deadline - clock.elapsed());
      const waiting = this.prepare(prepared, Math.max(0, ...costs), clock.now(), left);
      const unknown = waiting === null ? [] : await waiting;
      const shut = unknown.find(isShut);
      if (shut !== undefined) return { decision: null, shut, known: prepared };
      const known = this.known(prepared, unknown);
      const own = known === prepared ? costs : costsOf(known, prepared, costs);
      this.parts.grants.keepTime?.(known, clock.now());
      const decision = engine.decide(known, 0, clock.now(), own);
      const isLast = tries === TRIES || clock.elapsed() >= deadline || unknown.length > 0;
      if (isLast || !lacksGrant(decision)) return { decision, shut: null, known };
    }
  }

  /** Without those that are unknown and fail open. */
  private known(prepared: Prepared, unknown: readonly Gate[]): Prepared {
    const open = new Set(unknown.filter(({ limit }) => limit.fail.mode === 'open'));
    return open.size === 0 ? prepared : this.parts.engine.prepare(prepared.gates.filter((gate) => !open.has(gate)));
  }
}

export const REFUSED = { allowed: false, gate: null, decision: null, shadowed: [] } as const;

/** A bound that is used up refuses; a soft or shadow limit never does. */
const isShut = ({ limit: { fail, hard, shadow } }: Gate): boolean =>
  hard && !shadow && (fail.mode === 'closed' || fail.mode === 'bounded');

const lacksGrant = (decision: Decision | null): boolean => decision?.allowed === false && decision.retryAfterMs === 0;

/** A gate that stands there twice was taken out twice. */
function costsOf({ gates }: Prepared, all: Prepared, costs: readonly number[]): number[] {
  const kept = new Set(gates);
  return costs.filter((_, i) => kept.has(all.gates[i] as Gate));
}

/** An account's state, or a block. */
export const refusedBy = ({ code, reason }: Refusal, plan: Standing['plan']): Answer => ({
  ...REFUSED,
  reason: code,
  detail: reason,
  plan,
});

export const unknownOf = (gate: Gate, plan: Standing['plan']): Answer => ({
  ...REFUSED,
  reason: 'limit.unknown',
  detail: `${gate.limit.key}: what is used of it is not known at the moment`,
  gate,
  plan,
});

/** Its indexes are of `gates`. */
export function answerOf(gates: readonly Gate[], decision: Decision, plan: Standing['plan']): Answer {
  const { allowed, retryAfterMs } = decision;
  const gate = gates[decision.gate] ?? null;
  const shadowed = decision.shadowed.flatMap((i) => gates[i]?.limit ?? []);
  if (gate !== null && lacksGrant(decision)) return { ...unknownOf(gate, plan), decision, shadowed };
  return {
    allowed,
    reason: allowed ? null : retryAfterMs === null ? 'limit.too_large' : 'limit.reached',
    detail: gate === null ? '' : detailOf(gate, decision),
    gate,
    decision,
    plan,
    shadowed,
  };
}

function detailOf({ limit, calendar }: Gate, { allowed, used, limit: amount, resetAt }: Decision): string {
  const until = formatInstant(resetAt, calendar.zone);
  const said = `${limit.key}: ${used} of ${amount} ${limit.meter} used, until ${until}`;
  return allowed || limit.message === '' ? said : `${limit.message} (${said})`;
}
