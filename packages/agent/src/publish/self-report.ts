/** What the agent says of itself: how much waits in its spool, and what it lost, so that it is unobserved and not zero. */
import type { Clock, Network } from '../environment.ts';
import type { LostInterval } from '../spool/snapshot.ts';
import type { Spool } from '../spool/spool.ts';

export class SelfReport {
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #path: string;
  readonly #everyMs: number;
  #askAgainAt = 0;
  #toldDepth = -1;
  /** Intervals the server has. It knows what it was told twice. */
  #told: readonly LostInterval[] = [];

  constructor(spool: Spool, world: { clock: Clock; network: Network }, source: string, everyMs: number) {
    this.#spool = spool;
    this.#clock = world.clock;
    this.#network = world.network;
    this.#path = `/api/v1/sources/${encodeURIComponent(source)}/report`;
    this.#everyMs = everyMs;
  }

  isDue(elapsed: number): boolean {
    return elapsed >= this.#askAgainAt;
  }

  /** Says it, if there is news and the last time is long enough ago. Does not reject. */
  async tell(signal?: AbortSignal): Promise<void> {
    const now = this.#clock.elapsed();
    if (!this.isDue(now)) return;
    this.#askAgainAt = now + this.#everyMs;
    const lost = this.#spool.lostIntervals();
    const fresh = lost.filter((interval) => !this.#told.includes(interval));
    if (fresh.length === 0 && this.#spool.depth === this.#toldDepth) return;
    const spoolDepth = this.#spool.depth;
    const body = JSON.stringify({ spoolDepth, lost: fresh.slice(-1000).map(lossOf) });
    try {
      const answer = await this.#network.post(this.#path, body, 'application/json', signal);
      if (answer.status >= 300) return;
      this.#told = [...lost];
      this.#toldDepth = spoolDepth;
    } catch {
      // Whether the server is there is told by the batches; this is said again later.
    }
  }
}

/** As the server reads it. */
export const lossOf = ({ from, to, records, reason }: LostInterval): object => ({
  from: new Date(from).toISOString(),
  to: new Date(Math.max(to, from + 1)).toISOString(),
  ...(records > 0 ? { records } : {}),
  reason,
});
