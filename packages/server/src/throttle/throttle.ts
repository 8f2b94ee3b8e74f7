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
import type { Decision, DecisionEngine, Gate, GateStatus, Grants, MeteredFeed, Prepared } from './types.ts';

export interface Question {
  prepared: Prepared;
  standing: Standing;
  /** Receipt of the catalogue it was made at. */
  at: number;
}

export type Reason = Refusal['code'] | 'limit.reached' | 'limit.too_large' | 'limit.unknown';

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
    this.kept.delete(key);
    this.kept.set(key, made);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
    return made;
  }

  /** Null: everything the decision needs is at hand. */
  prepare(prepared: Prepared, cost: number, now: Instant): Promise<readonly Gate[]> | null {
    const { feed, grants } = this.parts;
    const metered = feed.ensure(prepared.gates, now, cost);
    const granted = grants.ensure(prepared, cost, now);
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
      if (answer.decision?.retryAfterMs === 0 && !answer.allowed && unknown.length === 0 && tries < TRIES) continue;
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
    if (refusal !== null) return { ...REFUSED, reason: refusal.code, detail: refusal.reason, plan };
    const shut = unknown.find(({ limit }) => isShut(limit));
    if (shut !== undefined) {
      const detail = `${shut.limit.key}: what is used of it is not known at the moment`;
      return { ...REFUSED, reason: 'limit.unknown', detail, gate: shut, plan };
    }
    const { engine } = this.parts;
    const open = new Set(unknown.filter(({ limit }) => limit.fail.mode === 'open'));
    const asked = open.size === 0 ? prepared : engine.prepare(prepared.gates.filter((gate) => !open.has(gate)));
    return answerOf(asked, charge(asked, cost, now), plan);
  }

  /**
   * For gates of another making (descriptors), each with its cost. Null: a gate that fails shut is not known; gates that
   * fail open are counted all the same. Answers within a proxy's patience: what is not known by then is unknown.
   */
  async decideGates(prepared: Prepared, costs: readonly number[]): Promise<Decision | null> {
    const { clock, engine } = this.parts;
    const waiting = this.prepare(prepared, Math.max(0, ...costs), clock.now());
    const unknown = waiting === null ? [] : await this.inTime(waiting, prepared);
    if (unknown.some(({ limit }) => isShut(limit))) return null;
    return engine.decide(prepared, 0, clock.now(), costs);
  }

  private async inTime(waiting: Promise<readonly Gate[]>, { gates }: Prepared): Promise<readonly Gate[]> {
    const over = new AbortController();
    const late = this.parts.clock.sleep(PROXY_WAIT_MS, over.signal).then(
      () => gates.filter(needsWaiting),
      () => gates,
    );
    const unknown = await Promise.race([waiting, late]);
    over.abort();
    return unknown;
  }

  status(ask: Ask, now: Instant): { standing: Standing; gates: readonly Gate[]; status: GateStatus[] } {
    const { standing, prepared } = this.question(ask, now);
    return { standing, gates: prepared.gates, status: this.parts.engine.status(prepared, now) };
  }
}

/** Rates are in memory: there is nothing to wait for. */
const needsWaiting = ({ limit }: Gate): boolean => limit.feed === 'metered' || limit.rule.kind === 'quota';

const REFUSED = { allowed: false, gate: null, decision: null, shadowed: [] } as const;

/** A bound that is used up refuses; a soft or shadow limit never does. */
const isShut = ({ fail, hard, shadow }: Limit): boolean =>
  hard && !shadow && (fail.mode === 'closed' || fail.mode === 'bounded');

function answerOf(prepared: Prepared, decision: Decision, plan: Standing['plan']): Answer {
  const { allowed, retryAfterMs } = decision;
  const gate = prepared.gates[decision.gate] ?? null;
  return {
    allowed,
    reason: allowed ? null : retryAfterMs === null ? 'limit.too_large' : 'limit.reached',
    detail: gate === null ? '' : detailOf(gate, decision),
    gate,
    decision,
    plan,
    shadowed: decision.shadowed.flatMap((i) => prepared.gates[i]?.limit ?? []),
  };
}

function detailOf({ limit, calendar }: Gate, { allowed, used, limit: amount, resetAt }: Decision): string {
  const until = formatInstant(resetAt, calendar.zone);
  const said = `${limit.key}: ${used} of ${amount} ${limit.meter} used, until ${until}`;
  return allowed || limit.message === '' ? said : `${limit.message} (${said})`;
}
