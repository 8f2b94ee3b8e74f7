/**
 * What the agent says of itself: how much waits in its spool, and what it lost, so that it is unobserved and not zero.
 * What is lost is told at once, and as long as the server does not have it nothing behind it is declared complete.
 */
import type { Clock, HttpAnswer, Network, Randomness } from '../environment.ts';
import type { Report } from '../publisher.ts';
import { isOfContent } from '../publisher-answer.ts';
import type { LostInterval } from '../spool/snapshot.ts';
import type { Spool } from '../spool/spool.ts';
import { Backoff } from './backoff.ts';
import { messageOf } from './receipts.ts';
import type { PaceSettings } from './settings.ts';

/** Intervals of one report: what the server takes. */
const AT_ONCE = 1000;
const PAUSE_MS = 1000;

export class SelfReport {
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #path: string;
  readonly #everyMs: number;
  readonly #backoff: Backoff;
  readonly #report: (report: Report) => void;
  #askAgainAt = 0;
  #waitsUntil = 0;
  #toldDepth = -1;
  /** A report was refused for what is in it: one interval at a time, to find which. */
  #singly = false;

  constructor(
    spool: Spool,
    world: { clock: Clock; random: Randomness; network: Network },
    settings: PaceSettings & { source: string },
    report: (report: Report) => void,
  ) {
    this.#spool = spool;
    this.#clock = world.clock;
    this.#network = world.network;
    this.#path = `/api/v1/sources/${encodeURIComponent(settings.source)}/report`;
    this.#everyMs = settings.selfReportMs;
    this.#report = report;
    this.#backoff = new Backoff(world.random, settings, report);
  }

  isDue(elapsed: number): boolean {
    if (elapsed < this.#waitsUntil) return false;
    return elapsed >= this.#askAgainAt || this.#spool.untold.length > 0;
  }

  /** Says it, if there is news. Does not reject. */
  async tell(signal?: AbortSignal): Promise<void> {
    const now = this.#clock.elapsed();
    if (!this.isDue(now)) return;
    this.#askAgainAt = now + this.#everyMs;
    const lost = this.#spool.untold.slice(0, this.#singly ? 1 : AT_ONCE);
    const spoolDepth = this.#spool.depth;
    if (lost.length === 0 && spoolDepth === this.#toldDepth) return;
    try {
      const body = JSON.stringify({ spoolDepth, lost: lost.map(lossOf) });
      const answer = await this.#network.post(this.#path, body, 'application/json', signal);
      if (answer.status < 300 && isRow(answer.body)) this.#told(lost, spoolDepth);
      else if (lost.length > 0 && isOfContent(answer.status)) this.#refused(lost, answer);
      else this.#failed(`${answer.status}: ${answer.body.slice(0, 300)}`, answer);
    } catch (error) {
      if (!signal?.aborted) this.#failed(messageOf(error), null);
    }
  }

  #told(lost: readonly LostInterval[], spoolDepth: number): void {
    this.#spool.told(lost);
    this.#toldDepth = spoolDepth;
    // At a bound that is reached more is lost all the time.
    this.#waitsUntil = this.#clock.elapsed() + PAUSE_MS;
    this.#backoff.success();
    if (this.#spool.untold.length === 0) this.#singly = false;
  }

  /** No repetition changes it: what the server takes of none holds up the others no more. */
  #refused(lost: readonly LostInterval[], { status, body }: HttpAnswer): void {
    if (lost.length > 1) {
      this.#singly = true;
      return;
    }
    const message = `the server does not take that this is lost: ${JSON.stringify(lost.map(lossOf))}: ${status}: ${body.slice(0, 300)}`;
    this.#report({ level: 'error', message });
    this.#spool.told(lost);
  }

  #failed(why: string, answer: HttpAnswer | null): void {
    const wait = this.#backoff.failure(`what waits and what is lost could not be told: ${why}`, answer);
    this.#waitsUntil = this.#clock.elapsed() + wait;
  }
}

/** The server answers with what it knows of the source; the page of a proxy is no answer. */
const isRow = (body: string): boolean => {
  try {
    const row: unknown = JSON.parse(body);
    return typeof row === 'object' && row !== null;
  } catch {
    return false;
  }
};

/** As the server reads it. */
export const lossOf = ({ from, to, records, reason }: LostInterval): object => ({
  from: new Date(from).toISOString(),
  to: new Date(Math.max(to, from + 1)).toISOString(),
  ...(records > 0 ? { records } : {}),
  reason,
});
