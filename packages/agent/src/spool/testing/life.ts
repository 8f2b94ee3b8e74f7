/** A spool over many lives, with a clock of its own and a server that settles by (run, number). */
import type { Clock, Randomness } from '../../environment.ts';
import type { Measure } from '../../measure/recorder.ts';
import type { SumsSettings } from '../../measure/sums.ts';
import type { Batch } from '../lines.ts';
import type { SpoolSettings } from '../settings.ts';
import type { LostInterval } from '../snapshot.ts';
import { Spool } from '../spool.ts';
import { MemoryDisk } from './memory-disk.ts';

export const START = 1_790_000_000_000;

export class HandClock implements Clock {
  at = START;
  #steps = 0;
  now = (): number => this.at;
  elapsed = (): number => this.at - START - this.#steps;
  /** The clock is set, and no time passes. */
  set(ms: number): void {
    this.at += ms;
    this.#steps += ms;
  }
  sleep = async (ms: number): Promise<void> => {
    this.at += ms;
  };
}

export interface Delivered {
  meter: string;
  subject: string;
  value: bigint;
  count: number;
  at: number;
}

/** taken: acknowledged. unanswered: the server has it, we do not know. away: nothing arrives. */
export type Answer = 'taken' | 'unanswered' | 'away';

/** What is on its way, as it is repeated until it is acknowledged. */
interface Flight {
  readonly batch: Batch;
  readonly events: readonly (readonly [id: string, event: Delivered])[];
}

export class Life {
  readonly disk = new MemoryDisk();
  readonly clock = new HandClock();
  readonly truth: { key: string; quantity: bigint; at: number }[] = [];
  readonly levels: { key: string; level: bigint; at: number }[] = [];
  /** By `run-number`: what comes twice must be the same. */
  readonly server = new Map<string, Delivered>();
  /** The server was told that these are lost, in whatever life. */
  readonly #told: LostInterval[] = [];
  #flight: Flight | null = null;
  spool!: Spool;
  /** The longest time without a flush that worked, ms. */
  longest = 0;
  #flushedAt = START;
  lives = 0;
  readonly settings: Partial<SpoolSettings>;
  readonly sums: SumsSettings;

  constructor(settings: Partial<SpoolSettings> = {}, sums: SumsSettings = { bucketMs: 1000, keysMax: 1000 }) {
    this.settings = settings;
    this.sums = sums;
  }

  async open(): Promise<Spool> {
    const random: Randomness = { hex: () => `life${++this.lives}`, fraction: () => 0.5 };
    const world = { clock: this.clock, random, disk: this.disk };
    this.spool = await Spool.open(world, this.settings, this.sums);
    this.#flight = null;
    this.longest = Math.max(this.longest, this.clock.at - this.#flushedAt);
    this.#flushedAt = this.clock.at;
    return this.spool;
  }

  add(measure: Measure, quantity: number | bigint): void {
    this.spool.sums.add(measure, quantity);
    this.truth.push({ key: keyOf(measure), quantity: BigInt(quantity), at: this.clock.at });
    this.clock.at += 1;
  }

  set(measure: Measure, level: number | bigint): void {
    this.spool.sums.set(measure, level);
    this.levels.push({ key: keyOf(measure), level: BigInt(level), at: this.clock.at });
    this.clock.at += 1;
  }

  async tick(ms: number): Promise<void> {
    this.clock.at += ms;
    this.longest = Math.max(this.longest, this.clock.at - this.#flushedAt);
    const worked = await this.spool.flush().then(
      () => true,
      () => false,
    );
    if (worked) this.#flushedAt = this.clock.at;
    this.clock.at += 1;
  }

  /** Sends one batch, or again the one that is on its way. False: there is none. */
  async send(line: 'fresh' | 'backlog', max = 100, answer: Answer = 'taken'): Promise<boolean> {
    const isRepeated = this.#flight !== null;
    this.#flight ??= await this.#freeze(this.spool.nextBatch(max, line));
    if (this.#flight === null) return false;
    const { batch, events } = this.#flight;
    // As the publisher does, at each try.
    const said = Math.min(batch.completeThrough, batch.portions.at(-1)?.completeThrough ?? 0);
    const through = this.spool.mayDeclare(said);
    if (answer === 'away') return true;
    for (const [id, event] of events) this.#take(id, event);
    if (answer === 'taken') {
      this.spool.acknowledge(...batch.portions);
      this.#flight = null;
    }
    this.checkThrough(through, this.#told);
    // New, it is true but for what is lost, told or not.
    if (!isRepeated) this.checkThrough(said);
    return true;
  }

  async #freeze(batch: Batch | null): Promise<Flight | null> {
    if (batch === null) return null;
    const events: [string, Delivered][] = [];
    let number = batch.first;
    for (const portion of batch.portions)
      for (const { key, at, value, count } of await this.spool.records(portion)) {
        const own = { meter: key.meter, subject: key.subject, value: BigInt(value), count, at };
        events.push([`${batch.run}-${number++}`, own]);
      }
    return { batch, events };
  }

  #take(id: string, own: Delivered): void {
    const known = this.server.get(id);
    if (known !== undefined && JSON.stringify(known, big) !== JSON.stringify(own, big))
      throw new Error(`${id} came with another content`);
    this.server.set(id, own);
  }

  /** Says that there is nothing to say, when that is so. */
  declare(): void {
    const batch = this.#flight === null ? this.spool.nothingToSay() : null;
    if (batch === null) return;
    this.checkThrough(this.spool.mayDeclare(batch.completeThrough), this.#told);
    this.checkThrough(batch.completeThrough);
  }

  /** The server is told what is lost. */
  tell(): void {
    const untold = [...this.spool.untold];
    this.#told.push(...untold);
    this.spool.told(untold);
  }

  /** What is lost, told or not. */
  get lost(): readonly LostInterval[] {
    return [...this.#told, ...this.spool.lostIntervals()];
  }

  /** Throws when something measured so far, before `through`, is neither on the server nor lost. */
  checkThrough(through: number, lost = this.lost): void {
    if (through === 0) return;
    const totals = this.totals();
    for (const [key, least] of this.expected(lost, through))
      if ((totals.get(key) ?? 0n) < least) throw new Error(`${key}: complete through ${through - START} is not true`);
  }

  /** Everything that can be sent is. */
  async drain(): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      await this.spool.flush();
      const sent = (await this.send('backlog')) || (await this.send('fresh'));
      idle = sent ? 0 : idle + 1;
    }
  }

  totals(): Map<string, bigint> {
    const totals = new Map<string, bigint>();
    for (const { meter, subject, value, count } of this.server.values()) {
      if (count === 0) continue;
      const key = keyOf({ meter, subject });
      totals.set(key, (totals.get(key) ?? 0n) + value);
    }
    return totals;
  }

  /** Throws when a level came that was not set, or twice, or when the last one of a key that is not in an interval is missing. */
  checkLevels(lost: readonly { from: number; to: number }[]): void {
    const [came, set] = [new Set<string>(), new Set<string>()];
    for (const { meter, subject, value, count, at } of this.server.values()) {
      if (count > 0) continue;
      const text = `${keyOf({ meter, subject })} ${value} ${at}`;
      if (came.has(text)) throw new Error(`${text} came twice`);
      came.add(text);
    }
    const last = new Map<string, string>();
    for (const { key, level, at } of this.levels) {
      set.add(`${key} ${level} ${at}`);
      if (!lost.some(({ from, to }) => from <= at && at < to)) last.set(key, `${key} ${level} ${at}`);
    }
    for (const text of came) if (!set.has(text)) throw new Error(`${text} came and was never set`);
    for (const text of last.values()) if (!came.has(text)) throw new Error(`${text} did not come`);
  }

  /** The truth before an instant, without what lies in an interval. */
  expected(lost: readonly { from: number; to: number }[], before = Number.POSITIVE_INFINITY): Map<string, bigint> {
    const totals = new Map<string, bigint>();
    for (const { key, quantity, at } of this.truth) {
      if (at >= before || lost.some(({ from, to }) => from <= at && at < to)) continue;
      totals.set(key, (totals.get(key) ?? 0n) + quantity);
    }
    return totals;
  }
}

const big = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
const keyOf = ({ meter, subject }: Measure): string => `${meter} ${subject}`;
