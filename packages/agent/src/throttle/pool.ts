/** What is lent of one question (tenant, action, meter): chunks, or a refusal. Times are monotonic ms, given by the caller. */
import type { FailMode, LeaseAnswer, Policy, Refusal, Returned } from './lease-client.ts';

interface Chunk {
  id: string;
  granted: number;
  used: number;
  askedAt: number;
  until: number;
}

/** What a chunk begins with, until it is known how much is used. */
const FIRST = 16;
const MOST = 1_000_000_000;
/** A refusal is asked about again after this long, and holds for at most that. */
const ASK_AGAIN_MS = 250;
const HOLDS_MS = 500;
/** A rate that has room again at once is not asked about more often. */
const LEAST_MS = 20;
/** Part of its time after which the next chunk is fetched, in percent. */
const RENEW_PERCENT = 60;

export class Pool {
  readonly account: string;
  readonly action: string;
  /** The question on its way, if any. */
  flight: Promise<boolean> | null = null;
  /** Units of calls that wait. */
  waiting = 0;
  /** Admitted without units, and those of them that the question on its way tells. */
  owed = 0;
  telling = 0;
  /** Refused here since the last question. */
  refused = 0;
  perCall = false;
  /** What the limits say is to be done while nobody answers; null: nobody ever answered. */
  fail: FailMode | null = null;
  lastUse = 0;
  private chunks: Chunk[] = [];
  private chunkSize = FIRST;
  /** Nothing is counted of it until then. */
  private freeFrom = 0;
  private freeUntil = 0;
  private refusal: { refusal: Refusal; least: number; at: number; until: number } | null = null;
  private policies: readonly Policy[] = [];
  private policiesAt = 0;

  constructor(account: string, action: string) {
    this.account = account;
    this.action = action;
  }

  /** true: admitted and paid. null: not known, ask. */
  spend(cost: number, now: number): true | Refusal | null {
    const left = this.left(now);
    if (cost > 0 && cost <= left) {
      this.pay(cost, now);
      return true;
    }
    const refused = this.refusedAt(now);
    if (refused !== null && (cost === 0 || cost - left >= refused.least)) return this.refuse(cost, now);
    return now < this.freeUntil || (cost === 0 && this.chunks.some(({ until }) => now < until)) ? true : null;
  }

  /** Whether the next chunk should be on its way, though calls go on. */
  isLow(now: number): boolean {
    if (this.flight !== null) return false;
    if (this.refusedAt(now) !== null) return now - (this.refusal?.at ?? now) >= ASK_AGAIN_MS;
    if (now < this.freeUntil) return isOld(this.freeFrom, this.freeUntil, now);
    const newest = this.chunks.at(-1);
    if (newest === undefined) return false;
    return isOld(newest.askedAt, newest.until, now) || this.left(now) * 3 <= newest.granted;
  }

  /** Units to ask for. A chunk that was used up early makes the next one larger. */
  wanted(least: number, now: number): number {
    const newest = this.chunks.at(-1);
    if (newest !== undefined && !isOld(newest.askedAt, newest.until, now)) this.chunkSize *= 2;
    else if (newest !== undefined && newest.used * 4 < newest.granted) this.chunkSize = Math.ceil(this.chunkSize / 2);
    this.chunkSize = Math.min(MOST, Math.max(this.chunkSize, FIRST, this.waiting * 2));
    return Math.max(least, this.chunkSize);
  }

  left(now: number): number {
    let left = 0;
    for (const { granted, used, until } of this.chunks) if (now < until) left += granted - used;
    return left;
  }

  /** What is returned of it at once. `least`: what was asked for at least. */
  take(answer: LeaseAnswer, least: number, askedAt: number, now: number): Returned[] {
    const { id, granted, ttlMs, refusal, perCall, fail, policies } = answer;
    [this.policies, this.policiesAt, this.fail, this.perCall] = [policies, now, fail, perCall];
    this.freeUntil = 0;
    this.refusal = null;
    if (refusal !== null) {
      const holds = Math.max(LEAST_MS, Math.min(HOLDS_MS, refusal.retryAfterMs ?? HOLDS_MS));
      this.refusal = { refusal, least, at: now, until: now + holds };
      return isState(refusal) ? this.over(() => true) : [];
    }
    if (granted === null) [this.freeFrom, this.freeUntil] = [askedAt, askedAt + ttlMs];
    if (id === null || granted === null) return [];
    if (perCall) return [{ id, used: 0 }];
    const old = this.over((chunk) => isOld(chunk.askedAt, chunk.until, now));
    this.chunks.push({ id, granted, used: 0, askedAt, until: askedAt + ttlMs });
    const late = Math.min(this.owed, this.left(now));
    this.owed -= late;
    this.pay(late, now);
    return old;
  }

  /** Chunks whose time is over, to be returned. */
  expired(now: number): Returned[] {
    return this.over(({ until }) => now >= until);
  }

  /** All of it. */
  close(): Returned[] {
    return this.over(() => true);
  }

  /** Stands until something else is told, also while nobody answers: a block, an account that is closed. */
  get state(): Refusal | null {
    const { refusal = null } = this.refusal ?? {};
    return refusal !== null && isState(refusal) ? refusal : null;
  }

  /** The last answer, when it was a refusal. */
  get lastRefusal(): Refusal | null {
    return this.refusal?.refusal ?? null;
  }

  refuse(cost: number, now: number): Refusal {
    this.refused += cost;
    const { refusal, at } = this.refusal as NonNullable<typeof this.refusal>;
    const { retryAfterMs } = refusal;
    return { ...refusal, retryAfterMs: retryAfterMs === null ? null : Math.max(1, retryAfterMs - (now - at)) };
  }

  /** As they stand now, with what is left here. */
  policiesNow(now: number): Policy[] {
    const past = Math.floor((now - this.policiesAt) / 1000);
    const left = this.left(now);
    return this.policies.map((policy) => ({
      ...policy,
      remaining: policy.charged ? Math.min(policy.quota, policy.remaining + left) : policy.remaining,
      resetSeconds: Math.max(0, policy.resetSeconds - past),
    }));
  }

  private refusedAt(now: number): { least: number } | null {
    return this.refusal !== null && now < this.refusal.until ? this.refusal : null;
  }

  /** Oldest first; there is enough. */
  private pay(cost: number, now: number): void {
    let lacks = cost;
    for (const chunk of this.chunks) {
      if (now >= chunk.until) continue;
      const part = Math.min(lacks, chunk.granted - chunk.used);
      chunk.used += part;
      lacks -= part;
      if (lacks === 0) return;
    }
  }

  private over(isOver: (chunk: Chunk) => boolean): Returned[] {
    const gone = this.chunks.filter(isOver);
    if (gone.length > 0) this.chunks = this.chunks.filter((chunk) => !gone.includes(chunk));
    return gone.map(({ id, used }) => ({ id, used }));
  }
}

const isOld = (from: number, until: number, now: number): boolean =>
  (now - from) * 100 >= (until - from) * RENEW_PERCENT;

/** Not a limit: whose call it is, or what it is for. */
export const isState = ({ code }: Refusal): boolean => !code.startsWith('limit.');
