/**
 * Units lent to who decides by itself: a chunk is charged when it is lent, and what is told to be unused comes back. Of a
 * chunk that nobody speaks of again all of it counts as used, so a strict limit is never exceeded by a holder that died.
 */
import type { Clock } from '../domain/environment.ts';
import type { FailMode, Limit } from '../domain/limit/limit.ts';
import type { Instant } from '../domain/window.ts';
import { type Ask, askText } from './ask.ts';
import type { Engine } from './engine/engine.ts';
import { Reservations } from './engine/reservations.ts';
import type { Gate, GateStatus } from './engine/types.ts';
import { policyOf } from './policy.ts';
import type { Answer, Question, Throttle, ThrottleParts } from './throttle.ts';

type Policy = NonNullable<ReturnType<typeof policyOf>>;

export interface LeaseAsk extends Ask {
  /** Units that would be good to have, 1 or more. */
  want: number;
  /** Fewer are of no use, 1 or more. */
  least: number;
}

export interface Lease {
  /** Null: nothing to return. */
  id: string | null;
  /** Units lent, 0 when refused. Null: nothing of it is counted here, so no units are needed while it lasts. */
  granted: number | null;
  /** It is over then, for who holds it. By its own clock: `ttlMs` after it asked. */
  until: Instant;
  ttlMs: number;
  /** Something is held while a call runs: one lease for each call, settled when the call ends. */
  perCall: boolean;
  /** The strictest of the limits: what is to be done while nobody answers. */
  fail: FailMode;
  /** `charged`: what is left of the chunk is left of it too. */
  policies: readonly (Policy & { charged: boolean })[];
  answer: Answer;
}

export interface LeaseDeps {
  throttle: Pick<Throttle, 'question' | 'prepare' | 'answer'>;
  engine: Engine;
  clock: Clock;
  /** Texts that nobody guesses. */
  makeId: () => string;
  decided: ThrottleParts['decided'];
}

/** A block, a lowered limit or a suspended account bites when the last chunk is over: within a second. */
const CHUNK_MS = 900;
/** Of metered limits, which move without anybody asking. */
const READ_MS = 500;
/** A chunk that is over may still be spoken of for so long. */
const GRACE_MS = 5000;
/** A day: the longest that anything is held without a word. */
const HOLD_MS = 86_400_000;
/** Most of what is left that one chunk takes: others want some too. */
const SHARE = 4;
const TRIES = 8;
const REFUSED_MOST = 10_000;

interface Lent {
  ask: Ask;
  /** How it was lent: limits in shadow and soft ones are told of by it. */
  answer: Answer;
  /** Units told to be used so far; they are usage already. */
  used: number;
}

export class Leases {
  private readonly deps: LeaseDeps;
  private readonly reservations: Reservations;
  private readonly lent = new Map<string, Lent>();
  /** The last refusals, the oldest first. */
  private readonly refused = new Map<string, Answer>();

  constructor(deps: LeaseDeps) {
    this.deps = deps;
    this.reservations = new Reservations(deps.engine, deps.makeId, { ttlMs: HOLD_MS + GRACE_MS, lapsed: 'kept' });
  }

  /** Throws LimitError `limit.holds` when too many are open. */
  async take(asked: LeaseAsk): Promise<Lease> {
    const { throttle, clock } = this.deps;
    const ask = plain(asked);
    for (let tries = 1; ; tries++) {
      const before = clock.now();
      const units = this.unitsOf(throttle.question(ask, before), asked, before);
      const waiting = throttle.prepare(throttle.question(ask, before).prepared, units, before);
      const unknown = waiting === null ? [] : await waiting;
      const now = clock.now();
      const question = throttle.question(ask, now);
      const amount = Math.min(units, this.unitsOf(question, asked, now));
      const { id, answer } = this.lend(question, amount, unknown, now);
      // Room there is, but what was granted for it went to another meanwhile, or less was granted.
      const lacksGrant = !answer.allowed && answer.decision?.retryAfterMs === 0 && unknown.length === 0;
      if (lacksGrant && tries < TRIES) continue;
      this.remember(ask, id, answer);
      return this.leaseOf(question, id, amount, answer, now);
    }
  }

  /**
   * `used` so far, of all that was lent. `done`: the rest comes back; else it stays lent. False: there is no such lease of
   * an account that `mayReach`, or it was over and counts as used.
   */
  settle(id: string, used: number, done: boolean, mayReach: (account: string) => boolean): boolean {
    const { throttle, clock, decided } = this.deps;
    const now = clock.now();
    this.reservations.expire(now);
    const lent = this.lent.get(id);
    if (lent === undefined || !mayReach(lent.ask.account) || !this.reservations.has(id)) return false;
    if (used > lent.used) decided(lent.ask, throttle.question(lent.ask, now), used - lent.used, lent.answer, now);
    lent.used = Math.max(lent.used, used);
    if (!done) return true;
    this.lent.delete(id);
    return this.reservations.commit(id, lent.used, now).settled;
  }

  /** Admitted without a lease, because nobody answered: charged whatever the limits, because it has happened. */
  async owe(ask: Ask, units: number): Promise<void> {
    const { throttle, engine, clock, decided } = this.deps;
    const asked = clock.now();
    await throttle.prepare(throttle.question(ask, asked).prepared, units, asked);
    const now = clock.now();
    const question = throttle.question(ask, now);
    engine.settle(question.prepared, 0, units, now, { charged: now, heldFrom: now, shadowed: [] });
    decided(ask, question, units, ADMITTED, now);
  }

  /** Refused by who holds the leases: explained by our last refusal of the same question. */
  refusedThere(ask: Ask, units: number): void {
    const { throttle, clock, decided } = this.deps;
    const now = clock.now();
    decided(ask, throttle.question(ask, now), units, this.refused.get(askText(ask)) ?? REFUSED_THERE, now);
  }

  /** For a timer: what is over counts as used. */
  sweep(now: Instant): void {
    this.reservations.expire(now);
    if (this.lent.size <= 2 * this.reservations.size + 1000) return;
    for (const id of this.lent.keys()) if (!this.reservations.has(id)) this.lent.delete(id);
  }

  /** Fewer than wanted when little is left, never fewer than are of use. */
  private unitsOf({ prepared }: Question, { want, least }: LeaseAsk, now: Instant): number {
    if (prepared.gates.some(isHold)) return least;
    const states = this.deps.engine.status(prepared, now);
    const rooms = states.filter((_, i) => refuses(prepared.gates[i])).map(({ remaining }) => remaining);
    const share = Math.ceil(Math.min(Number.MAX_SAFE_INTEGER, ...rooms) / SHARE);
    return Math.max(least, Math.min(want, share));
  }

  private lend(question: Question, amount: number, unknown: readonly Gate[], now: Instant) {
    const { throttle, engine } = this.deps;
    const { gates } = question.prepared;
    let id: string | null = null;
    const answer = throttle.answer(question, amount, unknown, now, (prepared, units, at) => {
      if (!gates.some(isCharged)) return engine.decide(prepared, 0, at);
      const made = this.reservations.reserve(prepared, units, gates.some(isHold) ? HOLD_MS : CHUNK_MS + GRACE_MS, at);
      id = made.id;
      return made.decision;
    });
    return { id, answer };
  }

  private leaseOf({ prepared }: Question, id: string | null, amount: number, answer: Answer, now: Instant): Lease {
    const { gates } = prepared;
    const states = this.deps.engine.status(prepared, now);
    const ttlMs = Math.max(0, Math.min(...gates.map((gate, i) => lastsFor(gate, states[i], now)), CHUNK_MS));
    const perCall = gates.some(isHold);
    const lasts = perCall ? Math.min(HOLD_MS, ...gates.map(holdOf)) : ttlMs;
    const policies = gates.flatMap((gate, i) => {
      const policy = policyOf(gate.limit, states[i], now);
      return policy === null ? [] : [{ ...policy, charged: isCharged(gate) && !isHold(gate) }];
    });
    return {
      id,
      granted: !answer.allowed ? 0 : id === null ? null : amount,
      until: now + lasts,
      ttlMs: lasts,
      perCall,
      fail: strictest(gates.map(({ limit }) => limit)),
      policies,
      answer,
    };
  }

  private remember(ask: Ask, id: string | null, answer: Answer): void {
    if (id !== null) this.lent.set(id, { ask, answer, used: 0 });
    if (answer.allowed) return;
    const key = askText(ask);
    this.refused.delete(key);
    this.refused.set(key, answer);
    if (this.refused.size > REFUSED_MOST) this.refused.delete(this.refused.keys().next().value ?? '');
  }
}

const ADMITTED: Answer = {
  allowed: true,
  reason: null,
  detail: '',
  gate: null,
  decision: null,
  plan: null,
  shadowed: [],
};
const REFUSED_THERE: Answer = {
  ...ADMITTED,
  allowed: false,
  reason: 'limit.reached',
  detail: 'refused while no answer was at hand',
};

const plain = ({ account, action, meter, resource, dimensions }: Ask): Ask => ({
  account,
  action,
  meter,
  resource,
  dimensions,
});

const isHold = ({ limit }: Gate): boolean => limit.rule.kind === 'concurrency';
const isCharged = ({ limit }: Gate): boolean => limit.feed === 'decided';
const refuses = (gate: Gate | undefined): boolean =>
  gate !== undefined && isCharged(gate) && !isHold(gate) && gate.limit.hard && !gate.limit.shadow;
const holdOf = ({ limit: { rule } }: Gate): number => (rule.kind === 'concurrency' ? rule.holdMs : HOLD_MS);

/** Units of a quota die with its period; of a rate they may be used up to a window later, which its bound allows for, unless strict. */
function lastsFor({ limit: { feed, rule, sharing } }: Gate, state: GateStatus | undefined, now: Instant): number {
  if (feed === 'metered') return READ_MS;
  if (rule.kind === 'rate' && sharing !== 'strict') return rule.windowMs;
  return rule.kind !== 'concurrency' && state !== undefined ? state.resetAt - now : CHUNK_MS;
}

const STRICTNESS = ['open', 'last', 'bounded', 'closed'] as const;

/** Of those that may refuse; open when there is none. */
function strictest(limits: readonly Limit[]): FailMode {
  let found: FailMode = { mode: 'open' };
  for (const { fail, hard, shadow } of limits) {
    if (!hard || shadow) continue;
    const [one, other] = [STRICTNESS.indexOf(fail.mode), STRICTNESS.indexOf(found.mode)];
    const isLess = fail.mode === 'bounded' && found.mode === 'bounded' && fail.amount < found.amount;
    if (one > other || isLess) found = fail;
  }
  return found;
}
