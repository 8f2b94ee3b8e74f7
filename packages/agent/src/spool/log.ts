/**
 * The segments of the log. One is written, the others wait until what is in them is settled. A write that failed is cut
 * off again; when that fails too, or a sync failed (then nobody knows what is on the disk), the segment is left and
 * the next write begins a new one.
 */
import type { SpoolDisk, SpoolFile } from './disk.ts';

const SEGMENT = /^(\d{10})\.log$/;
export const segmentName = (number: number): string => `${String(number).padStart(10, '0')}.log`;
export const segmentNumber = (name: string): number => Number(SEGMENT.exec(name)?.[1] ?? 0);

export interface LogEnd {
  readonly segment: number;
  readonly bytes: number;
}

interface Segment {
  bytes: number;
  /** Portions in it that are not settled. */
  alive: number;
}

export class Log {
  readonly #disk: SpoolDisk;
  readonly #segments = new Map<number, Segment>();
  #current = 0;
  /** Numbers up to here are used up. */
  readonly #taken: number;
  #file: SpoolFile | null = null;
  #length = 0;
  #durable: LogEnd = { segment: 0, bytes: 0 };
  #reach: LogEnd = this.#durable;

  /** `taken`: the highest number an earlier life has tried: its heartbeat may speak of it, and means no segment of this one. */
  constructor(disk: SpoolDisk, taken = 0) {
    this.#disk = disk;
    this.#taken = taken;
  }

  /** Segments of an earlier life. */
  know(number: number, bytes: number): void {
    this.#segments.set(number, { bytes, alive: 0 });
    this.#current = Math.max(this.#current, number);
    this.#durable = { segment: number, bytes };
    this.#reach = this.#durable;
  }

  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#segments.values()) sum += bytes;
    return sum;
  }

  get segment(): number {
    return this.#current;
  }

  /** Bytes of the current segment; Infinity: a new one has to be begun. */
  get length(): number {
    return this.#file === null ? Number.POSITIVE_INFINITY : this.#length;
  }

  /** So far it is durable; so far it may go, also by a write that failed. */
  get ends(): { readonly durable: LogEnd; readonly reach: LogEnd } {
    return { durable: this.#durable, reach: this.#reach };
  }

  /** Portions that are not settled are in the current segment. */
  get holdsPortions(): boolean {
    return (this.#segments.get(this.#current)?.alive ?? 0) > 0;
  }

  /** Begins a segment with `snapshot`, durable when this resolves. Rejects: nothing has changed. */
  async begin(snapshot: Uint8Array): Promise<void> {
    const number = Math.max(this.#current, this.#taken) + 1;
    await this.#abandon();
    this.#reach = { segment: number, bytes: snapshot.length };
    const file = await this.#disk.create(segmentName(number)).catch(async (error: unknown) => {
      // Left over from a try before whose removal failed as well.
      await this.#disk.remove(segmentName(number)).catch(() => undefined);
      throw error;
    });
    try {
      await file.append(snapshot);
      await file.sync();
    } catch (error) {
      await file.close().catch(() => undefined);
      await this.#disk.remove(segmentName(number)).catch(() => undefined);
      throw error;
    }
    this.#current = number;
    this.#file = file;
    this.#length = snapshot.length;
    this.#segments.set(number, { bytes: snapshot.length, alive: 0 });
    this.#durable = this.#reach;
  }

  /** Appends to the current segment; durable when this resolves. Resolves to where the bytes begin. */
  async append(bytes: Uint8Array): Promise<number> {
    const file = this.#file;
    if (file === null) throw new Error('the segment was given up');
    const at = this.#length;
    this.#reach = { segment: this.#current, bytes: at + bytes.length };
    try {
      await file.append(bytes);
    } catch (error) {
      await file.truncate(at).catch(() => this.#abandon());
      throw error;
    }
    try {
      await file.sync();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#length += bytes.length;
    this.#durable = this.#reach;
    const segment = this.#segments.get(this.#current);
    if (segment) segment.bytes = this.#length;
    return at;
  }

  born(segment: number): void {
    const own = this.#segments.get(segment);
    if (own) own.alive++;
  }

  settled(segment: number): void {
    const own = this.#segments.get(segment);
    if (own) own.alive--;
  }

  /** Removes segments nobody needs any more. Everything open is in the current one's snapshot or behind it. */
  async clean(): Promise<void> {
    if (this.#segments.size < 2) return;
    for (const [number, { alive }] of this.#segments) {
      if (alive > 0 || number === this.#current) continue;
      await this.#disk.remove(segmentName(number));
      this.#segments.delete(number);
    }
  }

  /** The oldest segment that is not written any more; 0: none. */
  get oldest(): number {
    let oldest = 0;
    for (const number of this.#segments.keys())
      if (number !== this.#current && (oldest === 0 || number < oldest)) oldest = number;
    return oldest;
  }

  readAt(segment: number, offset: number, length: number): Promise<Buffer> {
    return this.#disk.readAt(segmentName(segment), offset, length);
  }

  async close(): Promise<void> {
    await this.#abandon();
  }

  async #abandon(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close().catch(() => undefined);
  }
}
