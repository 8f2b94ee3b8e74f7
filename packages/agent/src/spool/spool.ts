/**
 * The write-ahead log of measurements. Every flush appends what was measured since the last one; when a bucket is over
 * its sums become portions, a few at each flush, so that the end of a bucket is no burst; a portion may be sent once its
 * frame is on the disk, under numbers that a restart finds again.
 *
 * Flushes run one at a time, in the background. One that fails is told, and measuring goes on in memory until one works.
 */
import type { Clock, Randomness } from '../environment.ts';
import { Sums, type SumsSettings, sumsDefaults } from '../measure/sums.ts';
import { beatBytes } from './beat.ts';
import type { SpoolDisk } from './disk.ts';
import { Journal } from './journal.ts';
import { type Batch, Lines } from './lines.ts';
import { Losses } from './losses.ts';
import { type Portion, type PortionRecord, readRecords, type Stored } from './portion.ts';
import { type Recovered, recover } from './recover.ts';
import { type SpoolSettings, spoolDefaults } from './settings.ts';
import type { LostInterval } from './snapshot.ts';

export interface SpoolWorld {
  clock: Clock;
  random: Randomness;
  disk: SpoolDisk;
}

/** Size of the files for people, each with one older part. */
const NOTES_BYTES = 16 * 1024 * 1024;

const nothing = Promise.resolve();

export class Spool {
  readonly settings: SpoolSettings;
  /** Why the last flush failed; null when it did not. */
  trouble: unknown = null;
  /** Bytes of an earlier life's log that could not be read, a torn tail aside. */
  readonly damaged: number;
  readonly #clock: Clock;
  readonly #disk: SpoolDisk;
  readonly #unlock: () => Promise<void>;
  readonly #lines: Lines;
  readonly #losses: Losses;
  readonly #journal: Journal;
  /** Monotonic time of the last word that all measured so far is on disk. */
  #beatAt: number;
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;

  /** Rejects when another process has the folder or it cannot be written. */
  static async open(
    world: SpoolWorld,
    settings: Partial<SpoolSettings> = {},
    sums: SumsSettings = sumsDefaults,
  ): Promise<Spool> {
    const unlock = await world.disk.lock();
    try {
      const found = await recover(world.disk);
      const spool = new Spool(world, { ...spoolDefaults, ...settings }, sums, found, unlock);
      await spool.#journal.begin();
      await spool.#journal.log.clean();
      return spool;
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  private constructor(
    { clock, random, disk }: SpoolWorld,
    settings: SpoolSettings,
    sums: SumsSettings,
    found: Recovered,
    unlock: () => Promise<void>,
  ) {
    this.#clock = clock;
    this.#disk = disk;
    this.#unlock = unlock;
    this.settings = settings;
    this.damaged = found.damaged;
    this.#lines = new Lines(new Sums(clock, sums, found.nextTable), found, random.hex(8), settings);
    this.#losses = new Losses(found.lost);
    const now = clock.now();
    this.#losses.crash(found, now, settings);
    this.#journal = new Journal(disk, { lines: this.#lines, losses: this.#losses }, found, now, settings);
    this.#beatAt = clock.elapsed();
  }

  get sums(): Sums {
    return this.#lines.sums;
  }

  /** Records waiting to be acknowledged: in portions, and in buckets that are over. */
  get depth(): number {
    return this.#lines.ready + this.#lines.waiting;
  }

  /** Of them, those in portions that may be sent, and those of an earlier life. */
  get ready(): number {
    return this.#lines.ready;
  }
  get backlog(): number {
    return this.#lines.backlog;
  }

  /** Bytes of the log. */
  get bytes(): number {
    return this.#journal.log.bytes;
  }

  /** True while a flush is at the disk. */
  get busy(): boolean {
    return this.#running !== null;
  }

  lostIntervals(): readonly LostInterval[] {
    return this.#losses.all;
  }

  /**
   * Everything measured before this call is on disk when it resolves. Rejects when the disk did not take it: nothing is
   * lost by that, the next flush tries again.
   */
  flush(): Promise<void> {
    if (this.#running === null) return this.#isQuiet() ? nothing : this.#start();
    // The one that runs has already composed: what came since goes with the next, which all callers share.
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = null;
        return this.#start();
      });
    return this.#queued;
  }

  /** The next portions of one line, up to `max` records; null: nothing is ready. They stay until acknowledged. */
  nextBatch(max: number, line: 'fresh' | 'backlog'): Batch | null {
    return this.#lines.next(max, line);
  }

  /** The next portion, those of an earlier life first; null: nothing is ready. */
  nextPortion(): Portion | null {
    return (this.nextBatch(1, 'backlog') ?? this.nextBatch(1, 'fresh'))?.portions[0] ?? null;
  }

  /** What an empty batch may say; null: portions are on their way, they say it. */
  nothingToSay(): Batch | null {
    return this.ready > 0 || this.#journal.hasUnwritten ? null : this.#lines.declaration();
  }

  /** Rejects when the log cannot be read. */
  async records(portion: Portion): Promise<PortionRecord[]> {
    const { payload, segment, offset, length } = portion as Stored;
    return readRecords(payload ?? (await this.#journal.log.readAt(segment, offset, length)));
  }

  /** They are durable elsewhere, or set aside. Written down with the next flush; until then a restart repeats them. */
  acknowledge(...portions: readonly Portion[]): void {
    const numbers = new Set(portions.map(({ number }) => number));
    for (const portion of this.#lines.drop(({ number }) => numbers.has(number))) this.#journal.settle(portion);
  }

  /** For people: a line in a bounded file beside the log. */
  note(name: string, line: string): Promise<void> {
    return this.#disk.note(name, line, NOTES_BYTES);
  }

  /** The last bucket, also a part of one, becomes portions. For a stop: call `close` when they are sent or time is up. */
  async finish(): Promise<void> {
    this.sums.turn();
    this.#lines.hurry();
    do await this.flush();
    while (this.#lines.waiting > 0);
  }

  /** A clean end. What is not acknowledged is there again at the next open. */
  async close(): Promise<void> {
    try {
      await this.flush();
      await this.#journal.stop(this.#clock.now());
    } finally {
      await this.#journal.log.close();
      await this.#unlock();
    }
  }

  // The flush

  /** Asked ten times a second by a service that does nothing: then a flush would do nothing. */
  #isQuiet(): boolean {
    if (this.trouble !== null || this.#clock.elapsed() - this.#beatAt >= this.settings.heartbeatMs) return false;
    return this.#journal.isQuiet(this.#clock.now());
  }

  #start(): Promise<void> {
    this.#running = this.#flushOnce()
      .then(
        () => {
          this.trouble = null;
        },
        async (error: unknown) => {
          this.trouble = error;
          await this.#suffer(error);
          throw error;
        },
      )
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  async #flushOnce(): Promise<void> {
    await this.#journal.prepare();
    const now = this.#clock.now();
    if (await this.#journal.write(now)) this.#beatAt = this.#clock.elapsed();
    else await this.#beat();
    if (this.bytes > this.settings.maxBytes) this.#journal.forceOutOldest();
    await this.#journal.log.clean();
  }

  /** Sums bear the time of their flush; while there are none, this says that there were none. */
  async #beat(): Promise<void> {
    const elapsed = this.#clock.elapsed();
    if (elapsed - this.#beatAt < this.settings.heartbeatMs) return;
    this.#beatAt = elapsed;
    const { coveredAt } = this.#journal;
    await this.#disk.setBeat(beatBytes({ coveredAt, aliveAt: coveredAt }), false);
  }

  /** The disk takes nothing: what waits in memory is bounded, the oldest goes first, and on the disk before in memory. */
  async #suffer(error: unknown): Promise<void> {
    this.#lines.collect();
    if (this.#lines.waiting > this.settings.memoryRecords) {
      if (!isFull(error) || !this.#journal.forceOutOldest()) this.#forceOutOfMemory();
      await this.#journal.log.clean().catch(() => undefined);
    }
    const { coveredAt } = this.#journal;
    const beat = { coveredAt, aliveAt: Math.max(this.#clock.now(), coveredAt) };
    await this.#disk.setBeat(beatBytes(beat), true).catch(() => undefined);
  }

  #forceOutOfMemory(): void {
    while (this.#lines.waiting > this.settings.memoryRecords) {
      const table = this.#lines.giveUpOldest();
      if (table === undefined) return;
      const { start, end, waiting, number } = table;
      this.#losses.add({ from: start, to: end, records: waiting, reason: 'full' }, number);
    }
  }
}

const isFull = (error: unknown): boolean =>
  error instanceof Error && ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
