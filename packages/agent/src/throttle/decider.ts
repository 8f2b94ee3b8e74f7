/** Decides on calls from what is lent: at once when there is enough, after a short wait for the server, or by the fail mode. */
import type { Clock } from '../environment.ts';
import type { Timers } from '../listen/timers.ts';
import {
  type FailMode,
  type LeaseAnswer,
  type LeaseClient,
  NOBODY,
  type Policy,
  type Refusal,
} from './lease-client.ts';
import type { Pool } from './pool.ts';
import { Pools } from './pools.ts';

export interface Verdict {
  /** Null: admitted. */
  refusal: Refusal | null;
  policies: readonly Policy[];
  /** To be called when the call is over; it holds something. */
  release: (() => void) | null;
}

export interface DeciderSettings {
  meter: string;
  /** Most a call waits, ms. */
  waitMs: number;
  /** Of accounts that nothing was ever heard of. */
  fail: FailMode;
  /** Questions (account and action) that are kept. */
  most: number;
}

export interface DeciderDeps {
  client: LeaseClient;
  clock: Pick<Clock, 'elapsed' | 'sleep'>;
  timers: Timers;
  settings: DeciderSettings;
}

const TICK_MS = 200;
const STOP_MS = 1000;
/** Others may take what came for a call that waits. */
const TRIES = 20;

export class Decider {
  private readonly deps: DeciderDeps;
  private readonly pools: Pools;
  private cancel: () => void;
  private closed = false;
  /** Admitted without units, since the start. */
  unseen = 0;

  constructor(deps: DeciderDeps) {
    this.deps = deps;
    this.pools = new Pools(deps.settings.most, (returned) => deps.client.giveBack(returned));
    this.cancel = deps.timers.after(TICK_MS, () => this.tick());
  }

  /** Units admitted without a lease and not charged yet. */
  get owed(): number {
    let owed = 0;
    for (const pool of this.pools) owed += pool.owed + pool.telling;
    return owed;
  }

  /** Units that were owed and had to be forgotten. */
  get lost(): number {
    return this.pools.lost;
  }

  get questions(): number {
    return this.pools.size;
  }

  decide(account: string, action: string, cost: number): Verdict | Promise<Verdict> {
    if (!isName(account)) return { refusal: NOBODY, policies: [], release: null };
    const pool = this.pools.of(account, action);
    const now = this.deps.clock.elapsed();
    pool.lastUse = now;
    if (pool.perCall) return this.hold(pool, cost);
    const verdict = this.spend(pool, cost, now);
    if (pool.isLow(now)) void this.refill(pool, 1);
    return verdict ?? this.wait(pool, cost);
  }

  /** Returns what is unused; waits a second at most. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.cancel();
    const { client, clock } = this.deps;
    const over = new AbortController();
    const end = async (): Promise<void> => {
      await Promise.all([...this.pools].map(({ flight }) => flight));
      for (const pool of this.pools) client.giveBack(pool.close());
      await client.flush();
    };
    await Promise.race([end(), clock.sleep(STOP_MS, over.signal)]);
    over.abort();
  }

  private spend(pool: Pool, cost: number, now: number): Verdict | null {
    const paid = pool.spend(cost, now);
    if (paid === null) return null;
    return { refusal: paid === true ? null : paid, policies: pool.policiesNow(now), release: null };
  }

  private async wait(pool: Pool, cost: number): Promise<Verdict> {
    const { clock, settings } = this.deps;
    const over = new AbortController();
    const deadline = clock.sleep(settings.waitMs, over.signal).then(() => false);
    pool.waiting += cost;
    try {
      for (let tries = 1; tries <= TRIES; tries++) {
        const flight = pool.flight ?? this.refill(pool, Math.max(1, cost - pool.left(clock.elapsed())));
        if (!(await Promise.race([flight, deadline]))) break;
        if (pool.perCall) return await this.hold(pool, cost);
        const verdict = this.spend(pool, cost, clock.elapsed());
        if (verdict !== null) return verdict;
      }
    } finally {
      pool.waiting -= cost;
      over.abort();
    }
    return this.unanswered(pool, cost);
  }

  /** Resolves to whether there was an answer; it is in the pool then. */
  private refill(pool: Pool, least: number): Promise<boolean> {
    const { client } = this.deps;
    if (this.closed || !client.mayAsk(pool.fail !== null)) return Promise.resolve(false);
    const flight = this.ask(pool, least).finally(() => {
      pool.flight = null;
    });
    pool.flight = flight;
    return flight;
  }

  private async ask(pool: Pool, least: number): Promise<boolean> {
    const { client, clock } = this.deps;
    const askedAt = clock.elapsed();
    const answer = await this.tellAndAsk(pool, pool.wanted(least, askedAt), least);
    if (answer !== null) client.giveBack(pool.take(answer, least, askedAt, clock.elapsed()));
    if (answer !== null) this.pools.answered(pool);
    return answer !== null;
  }

  /** With what was admitted and refused since: told again when there is no answer. */
  private async tellAndAsk(pool: Pool, want: number, least: number): Promise<LeaseAnswer | null> {
    const { client, settings } = this.deps;
    const { account, action, owed, refused } = pool;
    [pool.owed, pool.refused] = [0, 0];
    pool.telling += owed;
    const answer = await client.ask({ account, action, meter: settings.meter, want, least, owed, refused });
    pool.telling -= owed;
    if (answer !== null) return answer;
    pool.owed += owed;
    pool.refused += refused;
    return null;
  }

  /** Something is held while the call runs: a lease of its own. */
  private async hold(pool: Pool, cost: number): Promise<Verdict> {
    const { client, clock, settings } = this.deps;
    if (this.closed || !client.mayAsk(true)) return this.unanswered(pool, cost);
    const units = Math.max(1, cost);
    const asked = this.tellAndAsk(pool, units, units);
    const over = new AbortController();
    const answer = await Promise.race([asked, clock.sleep(settings.waitMs, over.signal)]);
    over.abort();
    if (!answer) {
      void asked.then((late) => late?.id && client.giveBack([{ id: late.id, used: 0 }]));
      return this.unanswered(pool, cost);
    }
    const { id, refusal, policies } = answer;
    const now = clock.elapsed();
    // The lease is this call's; the pool learns the rest.
    pool.take({ ...answer, id: null, ttlMs: 0 }, units, now, now);
    if (refusal !== null) return { refusal: pool.refuse(cost, now), policies, release: null };
    return { refusal, policies, release: id === null ? null : () => client.giveBack([{ id, used: cost }]) };
  }

  /** A block or a closed account stands whoever answers. */
  private unanswered(pool: Pool, cost: number): Verdict {
    const now = this.deps.clock.elapsed();
    const { mode, amount } = pool.fail ?? this.deps.settings.fail;
    const bound = mode === 'closed' ? 0 : mode === 'bounded' ? amount : Number.MAX_SAFE_INTEGER;
    const stands = pool.state !== null || (mode === 'last' && pool.lastRefusal !== null);
    const policies = pool.policiesNow(now);
    if (stands) return { refusal: pool.refuse(cost, now), policies, release: null };
    if (mode === 'closed' || pool.owed + pool.telling + cost > bound) {
      pool.refused += cost;
      return { refusal: NOT_KNOWN, policies, release: null };
    }
    pool.owed += cost;
    this.unseen += cost;
    return { refusal: null, policies, release: null };
  }

  private tick(): void {
    this.cancel = this.deps.timers.after(TICK_MS, () => this.tick());
    const { client, clock } = this.deps;
    const now = clock.elapsed();
    for (const pool of this.pools) {
      client.giveBack(pool.expired(now));
      // Nobody may call any more, but what was admitted and refused has to be told.
      // (Where something is held a question holds it, so refusals are told by the next call.)
      const untold = pool.owed + (pool.perCall ? 0 : pool.refused);
      if (untold > 0 && pool.flight === null) void this.refill(pool, 1);
    }
    this.pools.forgetIdle(now);
    void client.flush();
  }
}

/** What the server takes as the name of an account: others it does not know, without being asked. */
const isName = (account: string): boolean => account.length <= 256 && /^[^\p{Cc}]+$/u.test(account);

const NOT_KNOWN: Refusal = {
  code: 'limit.unknown',
  detail: 'What is used is not known at the moment.',
  limit: null,
  version: null,
  used: null,
  amount: null,
  resetAt: null,
  retryAfterMs: 1000,
  upgrade: '',
};
