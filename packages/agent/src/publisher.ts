/**
 * Publishes readings over HTTP, in order, until they are acknowledged.
 *
 * Modes of `drain`, told once: idle (nothing queued) -> sending (one batch in flight, frozen: a repetition is byte for
 * byte the same, so the server settles it by its sequence) -> waiting (no answer, or one that asks to come again) ->
 * sending. A batch leaves the queue only by a 2xx with its outcome, or by a Tollgate server's word that its content is
 * refused, which is reported; a proxy's 404 while a server is being deployed is waited out. Where readings wait
 * meanwhile is the queue's business: in memory, or on disk (backlog/).
 */
import { type BatchOutcome, itemsOf, type ReadingsBatch } from '@tollgate/event';
import type { Batch, ReadingsQueue } from './backlog/flight.ts';
import { MemoryQueue } from './backlog/memory.ts';
import type { Portion } from './backlog/pass.ts';
import type { Clock, HttpAnswer, Network, Randomness } from './environment.ts';
import { isForGood, outcomeIn, reasonOf, refusals } from './publisher-answer.ts';

export type { Portion, Sample } from './backlog/pass.ts';

export interface PublisherSettings {
  source: string;
  /** Readings in memory beyond which the queue is thinned. */
  bufferMax: number;
  /** First and longest wait before a repetition, ms. */
  waitFirstMs: number;
  waitMaxMs: number;
}
export const publisherDefaults = { bufferMax: 500_000, waitFirstMs: 250, waitMaxMs: 30_000 };

export interface Report {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
}

export class Publisher {
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #settings: PublisherSettings;
  readonly #report: (report: Report) => void;
  readonly #queue: ReadingsQueue;
  #refused = 0;

  /** `queue`: left away, readings wait in memory. */
  constructor(
    world: { network: Network; clock: Clock; random: Randomness; queue?: ReadingsQueue | undefined },
    settings: PublisherSettings,
    report: (report: Report) => void,
  ) {
    this.#network = world.network;
    this.#clock = world.clock;
    this.#random = world.random;
    this.#settings = settings;
    this.#report = report;
    this.#queue =
      world.queue ??
      new MemoryQueue(world.random.hex(8), settings.bufferMax, (dropped) =>
        report({ level: 'info', message: `server away: ${dropped} intermediate readings merged, totals stay exact` }),
      );
  }

  /** Readings not yet acknowledged. */
  get waiting(): number {
    return this.#queue.waiting;
  }
  /** Items the server will never have: refused for good, or forced out. */
  get lost(): number {
    return this.#refused + this.#queue.forcedOut;
  }

  offer(portion: Portion): void {
    this.#queue.offer(portion);
  }

  /** Sends until nothing waits or the signal comes. True: everything is acknowledged. */
  async drain(signal?: AbortSignal): Promise<boolean> {
    let failures = 0;
    while (!signal?.aborted) {
      const batch = await this.#queue.next();
      if (batch === null) break;
      const answer = await this.#post(this.#body(batch), signal);
      const isTaken = answer !== null && answer.status < 300;
      const outcome = isTaken ? outcomeIn(answer.body) : null;
      if (outcome !== null) {
        failures = 0;
        this.#settle(outcome);
      } else if (answer !== null && isForGood(answer)) {
        this.#giveUp(batch, answer);
      } else {
        if (answer !== null) this.#tell(answer, isTaken);
        await this.#clock.sleep(this.#pause(failures++, answer), signal);
      }
    }
    return this.#queue.waiting === 0;
  }

  /** The server measures our clock's offset by sentAt: the time of the first try would make an outage look like skew. */
  #body(batch: Batch): string {
    const { source } = this.#settings;
    return JSON.stringify({ source, ...batch, sentAt: this.#clock.now() } satisfies ReadingsBatch);
  }

  async #post(body: string, signal?: AbortSignal): Promise<HttpAnswer | null> {
    try {
      return await this.#network.post('/api/v1/readings', body, 'application/json', signal);
    } catch (error) {
      if (!signal?.aborted) this.#report({ level: 'warn', message: `no answer: ${reasonOf(error)}` });
      return null;
    }
  }

  #tell({ status, body }: HttpAnswer, isForeign: boolean): void {
    const who = isForeign ? 'something that is not a Tollgate server' : 'server';
    this.#report({ level: 'warn', message: `${who} answered ${status}: ${body.slice(0, 300)}` });
  }

  #settle(outcome: BatchOutcome): void {
    this.#queue.settle(true);
    const refused = refusals(outcome);
    if (refused !== '') this.#report({ level: 'error', message: `not accepted by the server: ${refused}` });
  }

  /** Holding on to it would hold back everything behind it. */
  #giveUp(batch: Batch, answer: HttpAnswer): void {
    const items = itemsOf(batch);
    this.#queue.settle(false);
    this.#refused += items;
    this.#report({
      level: 'error',
      message: `${items} readings refused for good with ${answer.status}: ${answer.body.slice(0, 300)}`,
    });
  }

  /** Doubles from waitFirst to waitMax, then half of it by lot, so that agents do not come back all at once. */
  #pause(failures: number, answer: HttpAnswer | null): number {
    const { waitFirstMs, waitMaxMs } = this.#settings;
    const full = Math.min(waitMaxMs, waitFirstMs * 2 ** Math.min(failures, 20));
    const wait = full / 2 + (full / 2) * this.#random.fraction();
    return Math.max(wait, Math.min(answer?.retryAfter ?? 0, waitMaxMs));
  }
}
