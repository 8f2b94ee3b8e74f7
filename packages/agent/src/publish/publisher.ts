/**
 * Publishes portions from the spool: paced, in order within a run, one request in flight, repeated byte for byte until it
 * is answered. Small portions as long as they keep up; when more than a second's worth waits they grow with what
 * waits, so that any backlog shrinks.
 *
 * Modes, told once: idle -> sending (a flight is frozen) -> waiting (no answer, or one that asks to come again) -> sending.
 * A flight ends when each of its events is settled: taken, judged by the server, or found to be what no server takes.
 */
import { batchHeaders } from '@tollgate/event';
import type { Clock, HttpAnswer, Network, Randomness } from '../environment.ts';
import type { Report } from '../publisher.ts';
import type { Spool } from '../spool/spool.ts';
import { judge, type Verdict } from './answer.ts';
import { Backoff } from './backoff.ts';
import { Encoder } from './encode.ts';
import { type Flight, freeze } from './flight.ts';
import { messageOf, Receipts, type Why } from './receipts.ts';
import { SelfReport } from './self-report.ts';
import { type PaceSettings, paceDefaults } from './settings.ts';

export interface PublishWorld {
  clock: Clock;
  random: Randomness;
  network: Network;
}

/** What has happened since the start, for status and doctor. */
export interface Published {
  requests: number;
  /** Events that are settled, repetitions the server knew included. */
  events: number;
  retries: number;
  /** Events no server takes: set aside in refused.ndjson. */
  setAside: number;
  /** The server's clock less ours at the last answer that told it, ms, to the second; null: not known. */
  clockOffsetMs: number | null;
  /** ms since 1970; 0: never. */
  lastAcknowledgedAt: number;
  completeThrough: number;
}

const PATH = '/api/v1/events';
const TYPE = 'application/cloudevents-batch+json';

export class PacedPublisher {
  readonly published: Published = {
    requests: 0,
    events: 0,
    retries: 0,
    setAside: 0,
    clockOffsetMs: null,
    lastAcknowledgedAt: 0,
    completeThrough: 0,
  };
  readonly #spool: Spool;
  readonly #world: PublishWorld;
  readonly #source: string;
  readonly #settings: PaceSettings;
  readonly #encoder: Encoder;
  readonly #self: SelfReport;
  readonly #receipts: Receipts;
  readonly #backoff: Backoff;
  readonly #begun: number;
  #flight: Flight | null = null;
  #emptyAt: number;
  #after: 'fresh' | 'backlog' = 'fresh';
  #turning: Promise<void> | null = null;
  #waitsUntil = 0;

  constructor(
    spool: Spool,
    world: PublishWorld,
    settings: Partial<PaceSettings> & { source: string },
    report: (report: Report) => void,
  ) {
    this.#spool = spool;
    this.#world = world;
    this.#source = settings.source;
    this.#settings = { ...paceDefaults, ...settings };
    this.#encoder = new Encoder(settings.source);
    this.#receipts = new Receipts(spool, world.clock, report);
    this.#backoff = new Backoff(world.random, this.#settings, report);
    this.#self = new SelfReport(spool, world, { ...this.#settings, source: settings.source }, report);
    this.#begun = world.clock.elapsed();
    this.#emptyAt = this.#begun - this.#settings.emptyMs;
  }

  /** Least time between two requests, ms. */
  get intervalMs(): number {
    return this.#settings.intervalMs;
  }

  /** At each interval: a request, if the last one is answered, there is something to say, and no wait is on. */
  beat(signal: AbortSignal): void {
    if (this.#turning !== null || this.#isQuiet(this.#world.clock.elapsed())) return;
    this.#turning = this.#turn(signal).finally(() => {
      this.#turning = null;
    });
  }

  /** Resolves when no request of a beat is on its way. */
  async settle(): Promise<void> {
    await this.#turning;
  }

  /** Everything that is ready, without a pause but after failures. True: all of it is acknowledged. */
  async drain(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && (this.#flight !== null || this.#spool.ready > 0)) {
      const wait = await this.step(signal, true);
      if (wait > 0) await this.#world.clock.sleep(wait, signal);
    }
    return this.#flight === null && this.#spool.ready === 0;
  }

  /** One request, if there is something to say. Resolves to how long to wait before the next, ms. Does not reject. */
  async step(signal?: AbortSignal, all = false): Promise<number> {
    try {
      this.#flight ??= await this.#next(all);
      if (this.#flight === null) return await this.#sayNothing(signal);
      return await this.#try(this.#flight, signal);
    } catch (error) {
      if (signal?.aborted) return 0;
      return this.#trouble(messageOf(error), null);
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    // What is lost first: nothing behind it may be declared complete before.
    await this.#self.tell(signal);
    const wait = await this.step(signal);
    this.#waitsUntil = this.#world.clock.elapsed() + wait;
  }

  /** True: a turn would do nothing. Asked ten times a second, so it costs nothing. */
  #isQuiet(elapsed: number): boolean {
    if (elapsed < this.#waitsUntil) return true;
    if (this.#flight !== null || this.#spool.ready > 0) return false;
    return elapsed - this.#emptyAt < this.#settings.emptyMs && !this.#self.isDue(elapsed);
  }

  // What to send

  async #next(all: boolean): Promise<Flight | null> {
    const { startupDelayMs } = this.#settings;
    const mayBacklog = all || this.#world.clock.elapsed() - this.#begun >= startupDelayMs;
    const max = this.#size();
    // Turn by turn, so that neither holds up the other.
    const lines = this.#after === 'fresh' ? (['fresh', 'backlog'] as const) : (['backlog', 'fresh'] as const);
    for (const line of lines) {
      if (line === 'backlog' && !mayBacklog) continue;
      const batch = this.#spool.nextBatch(max, line);
      if (batch === null) continue;
      this.#after = line === 'fresh' ? 'backlog' : 'fresh';
      return freeze(batch, this.#spool, this.#encoder, this.#settings.requestBytes);
    }
    return null;
  }

  /** More than a second's worth waits: a tenth of it at a time, up to the bound. */
  #size(): number {
    const { portionRecords, intervalMs, requestRecords } = this.#settings;
    const { ready } = this.#spool;
    if (ready <= (portionRecords * 1000) / intervalMs) return portionRecords;
    return Math.min(requestRecords, Math.max(portionRecords, Math.ceil(ready / 10)));
  }

  // One try

  async #try(flight: Flight, signal?: AbortSignal): Promise<number> {
    const through = this.#spool.mayDeclare(flight.completeThrough);
    const answer = await this.#post(flight.body, flight.batch.run, flight.sequence, through, signal);
    const verdict = judge(answer);
    if (verdict.kind === 'again') return this.#again(verdict, answer);
    if (verdict.kind === 'settled') await this.#settled(flight, through, verdict);
    else if (!(await this.#refused(flight, verdict, signal)))
      return this.#trouble(`refused: ${verdict.reason}`, answer);
    this.#backoff.success();
    if (flight.piece === undefined) this.#land(flight);
    return 0;
  }

  async #settled(
    flight: Flight,
    completeThrough: number,
    { bad, receipts }: Extract<Verdict, { kind: 'settled' }>,
  ): Promise<void> {
    const piece = flight.piece;
    if (piece === undefined) return;
    const { sequence } = flight;
    const last = sequence + piece.to - piece.from - 1;
    await this.#receipts.acknowledged({ run: flight.batch.run, first: sequence, last, receipts });
    for (const item of bad) {
      const event = flight.events[piece.from + item.position];
      if (event !== undefined) await this.#setAside(event, item);
    }
    flight.settle();
    if (completeThrough > 0) this.published.completeThrough = completeThrough;
    this.published.lastAcknowledgedAt = this.#world.clock.now();
  }

  /** False: it is not the content, an empty batch is refused as well. */
  async #refused(
    flight: Flight,
    { position, large, reason }: Extract<Verdict, { kind: 'refused' }>,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { from, to } = flight.piece as { from: number; to: number };
    const named = position >= 0 && position < to - from;
    if (!named && to - from > 1) flight.halve();
    else {
      if (!large && !(await this.#isContent(flight, signal))) return false;
      await this.#setAside(flight.cut(named ? position : 0), { code: 'refused', message: reason });
    }
    return true;
  }

  async #isContent(flight: Flight, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.#post('[]', flight.batch.run, flight.sequence, 0, signal);
    return judge(answer).kind === 'settled';
  }

  #land({ batch, events }: Flight): void {
    this.#flight = null;
    this.published.events += events.length;
    this.#spool.acknowledge(...batch.portions);
    // What was sent says how far we are: no need to say it again.
    if (batch.completeThrough > 0) this.#emptyAt = this.#world.clock.elapsed();
  }

  async #sayNothing(signal?: AbortSignal): Promise<number> {
    const { clock } = this.#world;
    if (clock.elapsed() - this.#emptyAt < this.#settings.emptyMs) return 0;
    const batch = this.#spool.nothingToSay();
    if (batch === null) return 0;
    const through = this.#spool.mayDeclare(batch.completeThrough);
    if (through === this.published.completeThrough) return 0;
    const answer = await this.#post('[]', batch.run, batch.first, through, signal);
    const verdict = judge(answer);
    if (verdict.kind !== 'settled') return this.#again(verdict, answer);
    this.#backoff.success();
    this.#emptyAt = clock.elapsed();
    this.published.completeThrough = through;
    this.published.lastAcknowledgedAt = clock.now();
    return 0;
  }

  async #post(
    body: string,
    run: string,
    sequence: number,
    completeThrough: number,
    signal?: AbortSignal,
  ): Promise<HttpAnswer> {
    const sentAt = this.#world.clock.now();
    const headers: Record<string, string> = {
      [batchHeaders.run]: run,
      [batchHeaders.sequence]: String(sequence),
      [batchHeaders.source]: this.#source,
      [batchHeaders.sentAt]: String(sentAt),
    };
    if (completeThrough > 0) headers[batchHeaders.completeThrough] = String(completeThrough);
    this.published.requests++;
    const answer = await this.#world.network.post(PATH, body, TYPE, signal, headers);
    // The header is cut to the second: half of one is its mean error.
    if (answer.date !== undefined)
      this.published.clockOffsetMs = Math.round(answer.date + 500 - (sentAt + this.#world.clock.now()) / 2);
    return answer;
  }

  // What goes wrong

  #again(verdict: Verdict, answer: HttpAnswer): number {
    const isForeign = verdict.kind === 'again' && verdict.foreign;
    const what = isForeign ? 'something answered that is not a Tollgate server' : 'the server answered';
    return this.#trouble(`${what} ${answer.status}: ${answer.body.slice(0, 300)}`, answer);
  }

  #trouble(message: string, answer: HttpAnswer | null): number {
    this.published.retries++;
    return this.#backoff.failure(message, answer);
  }

  #setAside(event: string, why: Why): Promise<void> {
    this.published.setAside++;
    return this.#receipts.refused(event, why);
  }
}
