/**
 * The write-ahead log of measurements. Every flush appends what was measured since the last one; when a bucket is over
 * its sums become portions, a few at each flush, so that the end of a bucket is no burst; a portion may be sent once its
 * frame is on the disk, under numbers that a restart finds again.
 *
 * Modes, told once: a flush composes frames from memory (nothing else moves sums), writes and syncs them; if that fails
 * the composed bytes are kept and are the next flush's first work, and measuring goes on in memory.
 */
import type { Clock, Randomness } from '../environment.ts';
import { Sums, type SumsSettings, sumsDefaults } from '../measure/sums.ts';
import { beatBytes } from './beat.ts';
import { Writer } from './bytes.ts';
import type { SpoolDisk } from './disk.ts';
import { Kind } from './frames.ts';
import { type Batch, Lines } from './lines.ts';
import { Log } from './log.ts';
import { Losses } from './losses.ts';
import { type Portion, type PortionRecord, readRecords, type Stored } from './portion.ts';
import { type Recovered, recover } from './recover.ts';
import { type SpoolSettings, spoolDefaults } from './settings.ts';
import { type LostInterval, rangesOf, writeSettled, writeSnapshot, writeTime } from './snapshot.ts';
import { writeSums } from './sums-frame.ts';

export interface SpoolWorld {
  clock: Clock;
  random: Randomness;
  disk: SpoolDisk;
}

/** Composed and not yet durable. */
interface Composed {
  readonly bytes: Buffer;
  /** The part that has to be in a new segment too, if this one is given up: all but sums, which are in its snapshot. */
  readonly keep: Buffer;
  readonly portions: readonly Stored[];
  readonly settled: readonly Stored[];
  /** When it was composed: all that was measured before is in it or on disk. */
  readonly now: number;
}

/** Size of the files for people, each with one older part. */
const NOTES_BYTES = 16 * 1024 * 1024;

export class Spool {
  readonly settings: SpoolSettings;
  /** Why the last flush failed; null when it did not. */
  trouble: unknown = null;
  /** Bytes of an earlier life's log that could not be read, a torn tail aside. */
  readonly damaged: number;
  readonly #clock: Clock;
  readonly #disk: SpoolDisk;
  readonly #log: Log;
  readonly #unlock: () => Promise<void>;
  readonly #lines: Lines;
  readonly #losses: Losses;
  readonly #writer = new Writer(64 * 1024);
  /** Acknowledged or forced out, and not yet said in the log. */
  #settled: Stored[] = [];
  #unwritten: Composed | null = null;
  #cached = 0;
  /** Monotonic and wall time of the last word that all measured so far is on disk. */
  #beatAt: number;
  #coveredAt: number;
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
      await spool.#begin();
      await spool.#log.clean();
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
    this.#beatAt = clock.elapsed();
    this.#coveredAt = clock.now();
    this.#log = new Log(disk);
    for (const { number, bytes } of found.segments) this.#log.know(number, bytes);
    for (const portion of found.portions) this.#log.born(portion.segment);
    this.#losses = new Losses(found.lost);
    this.#losses.crash(found, this.#coveredAt, settings);
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
    return this.#log.bytes;
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
    if (this.#running === null) return this.#start();
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
    return this.ready > 0 || this.#unwritten !== null ? null : this.#lines.declaration();
  }

  /** Rejects when the log cannot be read. */
  async records(portion: Portion): Promise<PortionRecord[]> {
    const { payload, segment, offset, length } = portion as Stored;
    return readRecords(payload ?? (await this.#log.readAt(segment, offset, length)));
  }

  /** They are durable elsewhere, or set aside. Written down with the next flush; until then a restart repeats them. */
  acknowledge(...portions: readonly Portion[]): void {
    const numbers = new Set(portions.map(({ number }) => number));
    for (const portion of this.#lines.drop(({ number }) => numbers.has(number))) this.#settle(portion);
  }

  /** For people: a line in a bounded file beside the log. */
  note(name: string, line: string): Promise<void> {
    return this.#disk.note(name, line, NOTES_BYTES);
  }

  /** The last bucket, also a part of one, becomes portions. For a stop: call `close` when they are sent or time is up. */
  async finish(): Promise<void> {
    this.sums.turn();
    do await this.flush();
    while (this.#lines.waiting > 0);
  }

  /** A clean end. What is not acknowledged is there again at the next open. */
  async close(): Promise<void> {
    try {
      await this.flush();
      writeTime(this.#writer, Kind.stop, this.#clock.now());
      await this.#log.append(this.#writer.take());
    } finally {
      await this.#log.close();
      await this.#unlock();
    }
  }

  // The flush

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
    if (this.#log.length === Number.POSITIVE_INFINITY || this.#mayRotate()) await this.#begin();
    if (this.#unwritten !== null) await this.#write(this.#unwritten);
    const now = this.#clock.now();
    this.#compose(now);
    if (this.#unwritten !== null) await this.#write(this.#unwritten);
    else await this.#beat(now);
    if (this.#log.bytes > this.settings.maxBytes) this.#forceOutOldest();
    await this.#log.clean();
  }

  /** A snapshot is cheap when little is open: right after the last bucket went into portions. */
  #mayRotate(): boolean {
    const { segmentBytes } = this.settings;
    if (this.#unwritten !== null || this.#log.length < segmentBytes) return false;
    return this.#log.length > 2 * segmentBytes || this.#lines.waiting === 0;
  }

  /** A new segment; what was composed for the old one and is not in the snapshot goes along. */
  async #begin(): Promise<void> {
    this.#lines.collect();
    const writer = new Writer(64 * 1024);
    const unwritten = this.#unwritten;
    const head = {
      now: unwritten?.now ?? this.#coveredAt,
      nextTable: this.sums.open.number + 1,
      nextPortion: this.#lines.nextPortion - (unwritten?.portions.length ?? 0),
      alive: rangesOf(this.#lines.queued),
      lost: this.#losses.known,
    };
    writeSnapshot(writer, head, this.#lines.tables);
    const keep = unwritten?.keep ?? Buffer.alloc(0);
    const snapshot = Buffer.concat([writer.view(), keep]);
    await this.#log.begin(snapshot);
    if (unwritten !== null) this.#written(unwritten, snapshot.length - keep.length);
  }

  #compose(now: number): void {
    this.#lines.collect();
    const writer = this.#writer;
    const touched = this.#lines.tables.filter((table) => table.touched.length > 0);
    // Only with the last frame of the flush all of it is there.
    for (const table of touched) writeSums(writer, table, now, table === touched.at(-1) ? now : this.#coveredAt);
    if (touched.length > 0) this.#beatAt = this.#clock.elapsed();
    const kept = writer.length;
    const settled = this.#settled;
    this.#settled = [];
    for (const { first, last } of rangesOf(settled)) writeSettled(writer, first, last);
    this.#losses.write(writer);
    const portions = this.#lines.make(writer, kept);
    if (writer.length === 0) return;
    const bytes = writer.take();
    const keep = bytes.subarray(kept);
    for (const portion of portions) this.#cache(portion, keep);
    this.#unwritten = { bytes, keep, portions, settled, now };
  }

  async #write(composed: Composed): Promise<void> {
    const at = await this.#log.append(composed.bytes);
    this.#written(composed, at + composed.bytes.length - composed.keep.length);
  }

  /** `base`: where the kept part begins in the current segment. */
  #written({ portions, settled, now }: Composed, base: number): void {
    this.#unwritten = null;
    this.#losses.confirm();
    this.#coveredAt = Math.max(this.#coveredAt, now);
    for (const { segment } of settled) this.#log.settled(segment);
    for (const portion of portions) {
      portion.segment = this.#log.segment;
      portion.offset += base;
      this.#log.born(portion.segment);
      this.#lines.enqueue(portion);
    }
  }

  #cache(portion: Stored, keep: Buffer): void {
    if (this.#cached + portion.length > this.settings.cacheBytes) return;
    this.#cached += portion.length;
    portion.payload = keep.subarray(portion.offset, portion.offset + portion.length);
  }

  async #beat(now: number): Promise<void> {
    const elapsed = this.#clock.elapsed();
    this.#coveredAt = Math.max(this.#coveredAt, now);
    if (elapsed - this.#beatAt < this.settings.heartbeatMs) return;
    this.#beatAt = elapsed;
    await this.#disk.setBeat(beatBytes({ coveredAt: this.#coveredAt, aliveAt: this.#coveredAt }), false);
  }

  // What is too much

  #settle(portion: Stored): void {
    if (portion.payload !== null) this.#cached -= portion.length;
    this.#settled.push(portion);
  }

  /** The oldest segment goes, with the portions that still wait in it. False: there is only the current one. */
  #forceOutOldest(): boolean {
    const segment = this.#log.oldest;
    for (const portion of this.#lines.drop((p) => p.segment === segment)) {
      const { from, to, records } = portion;
      this.#losses.add({ from, to, records, reason: 'full' });
      this.#log.settled(segment);
      // Its frame goes with the segment: only that it is settled has to be said.
      this.#settle({ ...portion, segment: 0 });
    }
    return segment > 0;
  }

  /** The disk takes nothing: what waits in memory is bounded, the oldest goes first, and on the disk before in memory. */
  async #suffer(error: unknown): Promise<void> {
    this.#lines.collect();
    if (this.#lines.waiting > this.settings.memoryRecords) {
      if (!isFull(error) || !this.#forceOutOldest()) this.#forceOutOfMemory();
      await this.#log.clean().catch(() => undefined);
    }
    const beat = { coveredAt: this.#coveredAt, aliveAt: Math.max(this.#clock.now(), this.#coveredAt) };
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
