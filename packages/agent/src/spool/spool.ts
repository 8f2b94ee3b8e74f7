/**
 * The write-ahead log of measurements. Every flush appends what was measured since the last one; when a bucket is over
 * its sums become portions, a few at each flush, so that the end of a bucket is no burst; a portion may be sent once its
 * frame is on the disk, under numbers that a restart finds again.
 *
 * Flushes run one at a time, in the background. One that fails is told, and measuring goes on in memory until one works.
 */
import type { Clock, Randomness } from '../environment.ts';
import { Sums, type SumsSettings, sumsDefaults } from '../measure/sums.ts';
import { Heart } from './beat.ts';
import { isFull, type SpoolDisk } from './disk.ts';
import { Journal } from './journal.ts';
import { type Batch, Lines } from './lines.ts';
import { Losses } from './losses.ts';
import { type Portion, type PortionRecord, readRecords, type Stored } from './portion.ts';
import { type Recovered, recover } from './recover.ts';
import { type SpoolSettings, spoolSettings } from './settings.ts';
import type { LostInterval } from './snapshot.ts';

export interface SpoolWorld {
  clock: Clock;
  random: Randomness;
  disk: SpoolDisk;
}

/** Size of the files for people, each with one older part. */
const NOTES_BYTES = 16 * 1024 * 1024;

/** A flush that takes longer counts as one that failed, ms: a disk may hang and say nothing. */
const OVERDUE_MS = 10_000;
/** Readings of a portion that fail before it is given up: it holds back all behind it. */
const TRIES = 8;

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
  readonly #heart: Heart;
  /** Monotonic time at which the flush that runs has begun. */
  #begunAt = 0;
  /** The portion that could not be read, and how often. */
  #unreadable = { number: 0, tries: 0 };
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;

  /** Rejects when another process has the folder or it cannot be read. One that cannot be written is waited for. */
  static async open(
    world: SpoolWorld,
    settings: Partial<SpoolSettings> = {},
    sums: SumsSettings = sumsDefaults,
  ): Promise<Spool> {
    const unlock = await world.disk.lock();
    try {
      const found = await recover(world.disk);
      const spool = new Spool(world, spoolSettings(settings), sums, found, unlock);
      await spool.#begin(found);
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
    this.#heart = new Heart({ clock, disk }, this.#journal, settings.heartbeatMs);
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

  /** Those the server does not have, and those it was told in this life. */
  lostIntervals(): readonly LostInterval[] {
    return this.#losses.all;
  }

  /** Of them, those in the log that the server does not have. */
  get untold(): readonly LostInterval[] {
    return this.#losses.known;
  }

  /** The server has them. */
  told(intervals: readonly LostInterval[]): void {
    this.#losses.told(intervals);
  }

  /** What a batch declares, at each try to send it: what is lost has to be told first, and the clock may have been set back. */
  mayDeclare(through: number): number {
    return Math.min(through, this.#losses.untoldFrom, this.#lines.frontier());
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

  /** What an empty batch may say; null: portions are on their way, they say it. */
  nothingToSay(): Batch | null {
    return this.ready > 0 || this.#journal.hasUnwritten ? null : this.#lines.declaration();
  }

  /** Rejects when the log cannot be read. A portion that cannot be read for long is given up. */
  async records(portion: Portion): Promise<PortionRecord[]> {
    const { payload, segment, offset, length, number } = portion as Stored;
    try {
      return readRecords(payload ?? (await this.#journal.log.readAt(segment, offset, length)));
    } catch (error) {
      const tries = this.#unreadable.number === number ? this.#unreadable.tries + 1 : 1;
      this.#unreadable = { number, tries };
      if (tries >= TRIES) this.#giveUp(portion);
      throw error;
    }
  }

  #giveUp(portion: Portion): void {
    const { from, to, records, number } = portion;
    for (const gone of this.#lines.drop((own) => own.number === number)) {
      this.#losses.add({ from, to, records, reason: 'damaged' });
      this.#journal.settle(gone);
    }
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
    // What comes from now on would be neither kept nor told: the recorder refuses it.
    this.sums.close();
    try {
      await this.flush();
      await this.#journal.stop(this.#clock.now());
    } finally {
      await this.#journal.log.close();
      await this.#unlock();
    }
  }

  /**
   * For who beats: true while a flush is at the disk, which takes what came since with the next one. One that takes very
   * long is trouble, and what waits for it is bounded.
   */
  isHeldUp(): boolean {
    if (this.#running === null) return false;
    if (this.#clock.elapsed() - this.#begunAt < OVERDUE_MS) return true;
    this.trouble = new Error(`the disk has not answered for ${OVERDUE_MS / 1000} s`);
    this.#lines.collect();
    this.#forceOutOfMemory();
    return true;
  }

  // The flush

  /** A disk that takes nothing at the start is as one that takes nothing later. */
  async #begin(found: Recovered): Promise<void> {
    try {
      await this.#journal.begin();
      await this.#journal.log.clean();
    } catch (error) {
      // A crash before is said with the first segment: until then it belongs to what a crash now would cost.
      if (!found.stopped) this.#journal.coveredAt = found.coveredAt;
      this.trouble = error;
      await this.#suffer(error);
    }
  }

  /** Asked ten times a second by a service that does nothing: then a flush would do nothing. */
  #isQuiet(): boolean {
    return this.trouble === null && !this.#heart.isDue && this.#journal.isQuiet(this.#clock.now());
  }

  #start(): Promise<void> {
    this.#begunAt = this.#clock.elapsed();
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
    const isWritten = await this.#journal.write(now);
    // The heartbeat of a disk that took nothing says less than the log does now.
    await this.#heart.beat(isWritten, this.trouble !== null);
    if (this.bytes > this.settings.maxBytes) this.#journal.forceOutOldest();
    await this.#journal.log.clean();
  }

  /** The disk takes nothing: what waits in memory is bounded, the oldest goes first, and on the disk before in memory. */
  async #suffer(error: unknown): Promise<void> {
    this.#lines.collect();
    if (this.#lines.waiting > this.settings.memoryRecords) {
      if (!isFull(error) || !this.#journal.forceOutOldest()) this.#forceOutOfMemory();
      await this.#journal.log.clean().catch(() => undefined);
    }
    await this.#heart.suffer();
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
