/**
 * What memory and log have to do with each other: composes frames from memory (nothing else moves sums), writes them, and
 * begins segments with a snapshot. What was composed and could not be written is kept and is the next write.
 */

import { Writer } from './bytes.ts';
import type { SpoolDisk } from './disk.ts';
import { Kind } from './frames.ts';
import type { Lines } from './lines.ts';
import { Log } from './log.ts';
import type { Losses } from './losses.ts';
import type { Stored } from './portion.ts';
import type { Recovered } from './recover.ts';
import type { SpoolSettings } from './settings.ts';
import { rangesOf, writeSettled, writeSnapshot, writeTime } from './snapshot.ts';
import { writeSums } from './sums-frame.ts';

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

export class Journal {
  readonly log: Log;
  /** All that was measured before is on disk, ms since 1970: the last word, as the clock may be set back. */
  coveredAt: number;
  readonly #settings: SpoolSettings;
  readonly #lines: Lines;
  readonly #losses: Losses;
  readonly #writer = new Writer(64 * 1024);
  /** Acknowledged or forced out, and not yet said in the log. */
  #settled: Stored[] = [];
  #unwritten: Composed | null = null;
  #cached = 0;
  /** Bytes of the current segment's snapshot. */
  #snapshot = 0;

  constructor(
    disk: SpoolDisk,
    parts: { lines: Lines; losses: Losses },
    found: Recovered,
    now: number,
    settings: SpoolSettings,
  ) {
    this.log = new Log(disk, found.reached);
    this.#lines = parts.lines;
    this.#losses = parts.losses;
    this.#settings = settings;
    this.coveredAt = now;
    for (const { number, bytes } of found.segments) this.log.know(number, bytes);
    for (const portion of found.portions) this.log.born(portion.segment);
  }

  /** Portions are composed that may not be sent yet. */
  get hasUnwritten(): boolean {
    return this.#unwritten !== null;
  }

  settle(portion: Stored): void {
    if (portion.payload !== null) this.#cached -= portion.length;
    this.#settled.push(portion);
  }

  /** True: nothing was measured, nothing waits to be written, and so all measured before `now` is on disk. */
  isQuiet(now: number): boolean {
    this.#lines.collect();
    if (this.#unwritten !== null || this.#settled.length > 0 || this.#losses.hasUnwritten || this.#lines.hasWork)
      return false;
    this.coveredAt = now;
    return true;
  }

  /** Writes what could not be written before; begins a segment where that is due. */
  async prepare(): Promise<void> {
    this.#lines.collect();
    if (this.log.length === Number.POSITIVE_INFINITY || this.#mayRotate()) await this.begin();
    if (this.#unwritten !== null) await this.#write(this.#unwritten);
  }

  /** Composes and writes what there is. Resolves to whether sums were in it. */
  async write(now: number): Promise<boolean> {
    const touched = this.#compose(now);
    if (this.#unwritten !== null) await this.#write(this.#unwritten);
    return touched;
  }

  async stop(now: number): Promise<void> {
    writeTime(this.#writer, Kind.stop, now);
    await this.log.append(this.#writer.take());
  }

  /**
   * A new segment; what was composed for the old one and is not in the snapshot goes along in its frame: torn from it, it
   * would be lost, as the sums it was made of are not in the snapshot any more.
   */
  async begin(): Promise<void> {
    this.#lines.collect();
    const writer = new Writer(64 * 1024);
    const unwritten = this.#unwritten;
    const head = {
      now: unwritten?.now ?? this.coveredAt,
      nextTable: this.#lines.sums.open.number + 1,
      nextPortion: this.#lines.nextPortion,
      alive: rangesOf(this.#lines.queued),
      lost: this.#losses.known,
    };
    const keep = unwritten?.keep ?? Buffer.alloc(0);
    writeSnapshot(writer, head, this.#lines.tables, keep);
    await this.log.begin(writer.view());
    this.#snapshot = writer.length;
    if (unwritten !== null) this.#written(unwritten, writer.length - keep.length);
  }

  /** The oldest segment goes, with the portions that still wait in it. False: there is only the current one. */
  forceOutOldest(): boolean {
    const segment = this.log.oldest;
    for (const portion of this.#lines.drop((p) => p.segment === segment)) {
      const { from, to, records } = portion;
      this.#losses.add({ from, to, records, reason: 'full' });
      this.log.settled(segment);
      // Its frame goes with the segment: only that it is settled has to be said.
      this.settle({ ...portion, segment: 0 });
    }
    return segment > 0;
  }

  /** A snapshot is cheap when little is open: right after the last bucket went into portions. */
  #mayRotate(): boolean {
    const { segmentBytes } = this.#settings;
    // What is held back for a server that is away is in every snapshot: a large one must not follow the other.
    const grown = this.log.length - this.#snapshot;
    if (this.#unwritten !== null) return false;
    // Portions that wait for long must not keep the sums of many minutes beside them.
    if (this.#lines.isJoining && grown > segmentBytes / 16 && this.log.holdsPortions !== this.#lines.due > 0)
      return true;
    if (grown < segmentBytes) return false;
    return grown > 2 * segmentBytes || this.#lines.due === 0;
  }

  #compose(now: number): boolean {
    this.#lines.collect();
    const writer = this.#writer;
    const touched = this.#lines.tables.filter((table) => table.touched.length > 0);
    if (touched.length > 0) writeSums(writer, touched, now);
    // Behind the sums that are joined, and like them not in a segment that begins with a snapshot.
    this.#lines.join(writer, this.log.bytes);
    const kept = writer.length;
    const settled = this.#settled;
    this.#settled = [];
    for (const { first, last } of rangesOf(settled)) writeSettled(writer, first, last);
    this.#losses.write(writer);
    const portions = this.#lines.make(writer, kept);
    if (writer.length === 0) {
      this.coveredAt = now;
      return false;
    }
    const bytes = writer.take();
    const keep = bytes.subarray(kept);
    for (const portion of portions) this.#cache(portion, keep);
    this.#unwritten = { bytes, keep, portions, settled, now };
    return touched.length > 0;
  }

  async #write(composed: Composed): Promise<void> {
    const at = await this.log.append(composed.bytes);
    this.#written(composed, at + composed.bytes.length - composed.keep.length);
  }

  /** `base`: where the kept part begins in the current segment. */
  #written({ portions, settled, now }: Composed, base: number): void {
    this.#unwritten = null;
    this.#losses.confirm();
    this.coveredAt = now;
    for (const { segment } of settled) this.log.settled(segment);
    for (const portion of portions) {
      portion.segment = this.log.segment;
      portion.offset += base;
      this.log.born(portion.segment);
      this.#lines.enqueue(portion);
    }
  }

  #cache(portion: Stored, keep: Buffer): void {
    if (this.#cached + portion.length > this.#settings.cacheBytes) return;
    this.#cached += portion.length;
    // A copy: a part of `keep` would hold on to all that was written with it.
    portion.payload = Buffer.from(keep.subarray(portion.offset, portion.offset + portion.length));
  }
}
