/**
 * The pools by account and action. Names come from requests, so those that the server has not confirmed are kept apart:
 * however many of them are made up, they push out only each other.
 */
import type { Returned } from './lease-client.ts';
import { Pool } from './pool.ts';

/** Of no use for this long: forgotten. */
const IDLE_MS = 60_000;
/** So many are looked at to find one that owes nothing. */
const LOOKED_AT = 100;

export class Pools {
  private readonly confirmed = new Map<string, Pool>();
  private readonly strangers = new Map<string, Pool>();
  private readonly most: number;
  private readonly giveBack: (returned: readonly Returned[]) => void;
  /** Units that were owed and forgotten. */
  lost = 0;

  /** `most`: of each kind. */
  constructor(most: number, giveBack: (returned: readonly Returned[]) => void) {
    this.most = most;
    this.giveBack = giveBack;
  }

  get size(): number {
    return this.confirmed.size + this.strangers.size;
  }

  *[Symbol.iterator](): Generator<Pool> {
    yield* this.confirmed.values();
    yield* this.strangers.values();
  }

  of(account: string, action: string): Pool {
    const key = keyOf(account, action);
    const known = this.confirmed.get(key) ?? this.strangers.get(key);
    if (known !== undefined) return known;
    const pool = new Pool(account, action);
    this.put(this.strangers, key, pool);
    return pool;
  }

  /** The server has answered: it is somebody, or nobody. */
  answered(pool: Pool): void {
    const key = keyOf(pool.account, pool.action);
    const isSomebody = pool.state?.code !== 'account.unknown';
    const [from, to] = isSomebody ? [this.strangers, this.confirmed] : [this.confirmed, this.strangers];
    if (from.get(key) !== pool) return;
    from.delete(key);
    this.put(to, key, pool);
  }

  forgetIdle(now: number): void {
    for (const pools of [this.confirmed, this.strangers])
      for (const [key, pool] of pools)
        if (isFree(pool) && pool.owed === 0 && now - pool.lastUse > IDLE_MS) pools.delete(key);
  }

  private put(pools: Map<string, Pool>, key: string, pool: Pool): void {
    pools.set(key, pool);
    if (pools.size > this.most) this.forgetOne(pools);
  }

  /** The oldest that owes nothing; the oldest, when all near it do. */
  private forgetOne(pools: Map<string, Pool>): void {
    let oldest: string | null = null;
    let looked = 0;
    for (const [key, pool] of pools) {
      if (!isFree(pool)) continue;
      oldest ??= key;
      if (pool.owed === 0) oldest = key;
      if (pool.owed === 0 || ++looked === LOOKED_AT) break;
    }
    if (oldest !== null) this.forget(pools, oldest, pools.get(oldest) as Pool);
  }

  private forget(pools: Map<string, Pool>, key: string, pool: Pool): void {
    this.lost += pool.owed;
    this.giveBack(pool.close());
    pools.delete(key);
  }
}

const keyOf = (account: string, action: string): string => `${account}\n${action}`;
const isFree = ({ flight, waiting }: Pool): boolean => flight === null && waiting === 0;
