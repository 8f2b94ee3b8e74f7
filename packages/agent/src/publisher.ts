/**
 * Publishes readings over HTTP, in order, until they are acknowledged.
 *
 * Modes of `drain`, told once: idle (nothing queued) -> sending (one batch in flight, frozen: a repetition is byte for
 * byte the same, so the server settles it by its sequence) -> waiting (no answer, or one that asks to come again) ->
 * sending. A batch leaves the queue only by a 2xx, or by an answer that no repetition can change, which is reported.
 */
import {
  type EndRow,
  itemsOf,
  limits,
  type ReadingRow,
  type ReadingsBatch,
  type ResourceHint,
  type SeriesHead,
} from '@tollgate/event';
import type { Clock, HttpAnswer, Network, Randomness } from './environment.ts';
import { mayChange, reasonOf, refusals } from './publisher-answer.ts';

export interface Sample {
  head: SeriesHead;
  at: number;
  value: bigint;
  /** When the counter stood at zero; 0 unknown. */
  start: number;
}

/** What one pass found. Sent whole before anything later. */
export interface Portion {
  samples: readonly Sample[];
  ended: readonly { head: SeriesHead; at: number }[];
  /** What is to be known of resources before these readings are. */
  resources?: readonly ResourceHint[];
  /** Every fact of this source up to this instant is in this portion or in earlier ones. */
  completeThrough: number;
  /** Called once all of it is durable on the server. */
  acknowledged?: () => void;
}

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

interface Item {
  head: SeriesHead;
  at: number;
  /** null: the counter ended. */
  value: bigint | null;
  start: number;
}
interface Queued {
  items: Item[];
  resources: readonly ResourceHint[];
  completeThrough: number;
  acknowledged: () => void;
}
interface Flight {
  /** Sent again unchanged until it is answered, but for the clock: that is read at every try (see #body). */
  batch: Omit<ReadingsBatch, 'sentAt'>;
  items: number;
  acknowledged: () => void;
}

const seriesText = (head: SeriesHead): string =>
  JSON.stringify([head.resource, head.meter, head.epoch, Object.entries(head.dimensions ?? {}).sort()]);
const nothing = (): void => undefined;

export class Publisher {
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #settings: PublisherSettings;
  readonly #report: (report: Report) => void;
  readonly #run: string;
  #sequence = 1;
  #queue: Queued[] = [];
  #queued = 0;
  #flight: Flight | null = null;
  #lost = 0;

  constructor(
    world: { network: Network; clock: Clock; random: Randomness },
    settings: PublisherSettings,
    report: (report: Report) => void,
  ) {
    this.#network = world.network;
    this.#clock = world.clock;
    this.#random = world.random;
    this.#settings = settings;
    this.#report = report;
    this.#run = world.random.hex(8);
  }

  /** Readings not yet acknowledged. */
  get waiting(): number {
    return this.#queued + (this.#flight?.items ?? 0);
  }
  /** Items the server will never take. */
  get lost(): number {
    return this.#lost;
  }

  offer(portion: Portion): void {
    const samples: Item[] = portion.samples.map((s) => ({ ...s }));
    const ended: Item[] = portion.ended.map((e) => ({ ...e, value: null, start: 0 }));
    this.#queue.push({
      items: [...samples, ...ended],
      resources: portion.resources ?? [],
      completeThrough: portion.completeThrough,
      acknowledged: portion.acknowledged ?? nothing,
    });
    this.#queued += samples.length + ended.length;
    if (this.#queued > this.#settings.bufferMax) this.#thin();
  }

  /** Sends until nothing waits or the signal comes. True: everything is acknowledged. */
  async drain(signal?: AbortSignal): Promise<boolean> {
    let failures = 0;
    while (!signal?.aborted) {
      this.#flight ??= this.#nextFlight();
      if (this.#flight === null) return true;
      const answer = await this.#post(this.#body(this.#flight), signal);
      if (answer !== null && answer.status < 300) {
        failures = 0;
        this.#settle(answer);
      } else if (answer !== null && !mayChange(answer.status)) {
        this.#giveUp(answer);
      } else {
        await this.#clock.sleep(this.#pause(failures++, answer), signal);
      }
    }
    return this.#flight === null && this.#queue.length === 0;
  }

  /** The server measures our clock's offset by sentAt: the time of the first try would make an outage look like skew. */
  #body({ batch }: Flight): string {
    return JSON.stringify({ ...batch, sentAt: this.#clock.now() } satisfies ReadingsBatch);
  }

  async #post(body: string, signal?: AbortSignal): Promise<HttpAnswer | null> {
    try {
      const answer = await this.#network.post('/api/v1/readings', body, 'application/json', signal);
      if (answer.status >= 300)
        this.#report({ level: 'warn', message: `server answered ${answer.status}: ${answer.body.slice(0, 300)}` });
      return answer;
    } catch (error) {
      if (!signal?.aborted) this.#report({ level: 'warn', message: `no answer: ${reasonOf(error)}` });
      return null;
    }
  }

  #settle(answer: HttpAnswer): void {
    const flight = this.#flight;
    this.#flight = null;
    flight?.acknowledged();
    const refused = refusals(answer.body);
    if (refused !== '') this.#report({ level: 'error', message: `not accepted by the server: ${refused}` });
  }

  /** Holding on to it would hold back everything behind it. */
  #giveUp(answer: HttpAnswer): void {
    const flight = this.#flight;
    this.#flight = null;
    this.#lost += flight?.items ?? 0;
    this.#report({
      level: 'error',
      message: `${flight?.items ?? 0} readings refused for good with ${answer.status}: ${answer.body.slice(0, 300)}`,
    });
  }

  /** Doubles from waitFirst to waitMax, then half of it by lot, so that agents do not come back all at once. */
  #pause(failures: number, answer: HttpAnswer | null): number {
    const { waitFirstMs, waitMaxMs } = this.#settings;
    const full = Math.min(waitMaxMs, waitFirstMs * 2 ** Math.min(failures, 20));
    const wait = full / 2 + (full / 2) * this.#random.fraction();
    return Math.max(wait, Math.min(answer?.retryAfter ?? 0, waitMaxMs));
  }

  /** Takes as much of the queue as one request may carry, in order. */
  #nextFlight(): Flight | null {
    if (this.#queue.length === 0) return null;
    const items: Item[] = [];
    const resources: ResourceHint[] = [];
    const done: (() => void)[] = [];
    let completeThrough = 0;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const part = first.items.slice(0, limits.itemsPerRequest - items.length);
      if (part.length < first.items.length && items.length > 0) break;
      items.push(...part);
      resources.push(...first.resources);
      first.resources = [];
      if (part.length < first.items.length) {
        first.items.splice(0, part.length);
        break;
      }
      // A source is complete through an instant only with the last item of that pass.
      completeThrough = first.completeThrough;
      done.push(first.acknowledged);
      this.#queue.shift();
    }
    this.#queued -= items.length;
    return this.#freeze(items, resources, completeThrough, () => {
      for (const acknowledged of done) acknowledged();
    });
  }

  #freeze(
    items: readonly Item[],
    resources: readonly ResourceHint[],
    completeThrough: number,
    acknowledged: () => void,
  ): Flight {
    const heads = new Map<string, number>();
    const series: SeriesHead[] = [];
    const indexOf = (head: SeriesHead): number => {
      const text = seriesText(head);
      const known = heads.get(text);
      if (known !== undefined) return known;
      heads.set(text, series.length);
      return series.push(head) - 1;
    };
    const readings: ReadingRow[] = [];
    const ended: EndRow[] = [];
    for (const { head, at, value, start } of items) {
      if (value === null) ended.push([indexOf(head), at]);
      else readings.push(start > 0 ? [indexOf(head), at, String(value), start] : [indexOf(head), at, String(value)]);
    }
    const batch: Omit<ReadingsBatch, 'sentAt'> = {
      source: this.#settings.source,
      run: this.#run,
      sequence: this.#sequence,
      ...(completeThrough > 0 ? { completeThrough } : {}),
      series,
      readings,
      ...(ended.length > 0 ? { ended } : {}),
      ...(resources.length > 0 ? { resources } : {}),
    };
    this.#sequence += itemsOf(batch);
    return { batch, items: items.length, acknowledged };
  }

  /**
   * The server is away and memory is bounded. A counter's usage needs only the first and last value of each epoch, the
   * values between only say when: so every second pass gives up the values whose epoch goes on in the next one. The
   * newest pass, first values (they carry the start), last values and end markers always stay.
   */
  #thin(): void {
    let dropped = 0;
    for (let i = this.#queue.length - 2; i > 0; i -= 2) {
      const [pass, next] = [this.#queue[i], this.#queue[i + 1]];
      if (pass === undefined || next === undefined) continue;
      const goesOn = new Set(next.items.map((item) => seriesText(item.head)));
      const kept = pass.items.filter(
        (item) => item.value === null || item.start > 0 || !goesOn.has(seriesText(item.head)),
      );
      dropped += pass.items.length - kept.length;
      pass.items = kept;
    }
    this.#mergeEmpty();
    this.#queued -= dropped;
    this.#report({ level: 'info', message: `server away: ${dropped} intermediate readings merged, totals stay exact` });
  }

  /** A pass left without items hands what it vouches for to the one before. */
  #mergeEmpty(): void {
    const merged: Queued[] = [];
    for (const pass of this.#queue) {
      const before = merged.at(-1);
      if (pass.items.length > 0 || before === undefined) {
        merged.push(pass);
        continue;
      }
      const [first, second] = [before.acknowledged, pass.acknowledged];
      before.completeThrough = pass.completeThrough;
      before.resources = [...before.resources, ...pass.resources];
      before.acknowledged = () => {
        first();
        second();
      };
    }
    this.#queue = merged;
  }
}
