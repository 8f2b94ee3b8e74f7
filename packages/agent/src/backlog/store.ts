/**
 * The segments of the backlog in the order in which they are sent. One is written; the oldest is sent, and is the only one
 * whose parts are in memory. Calls that return a promise must not overlap: the backlog takes care of that.
 */
import { Writer } from '../spool/bytes.ts';
import type { SpoolDisk } from '../spool/disk.ts';
import { frame, scan } from '../spool/frames.ts';
import { Log, segmentName } from '../spool/log.ts';
import { Losses } from '../spool/losses.ts';
import { type LostInterval, writeLost } from '../spool/snapshot.ts';
import { Kind, PartWriter } from './codec.ts';
import { fitting } from './flight.ts';
import type { Part } from './pass.ts';
import type { Recovered } from './recover.ts';
import {
  grow,
  type Loaded,
  loadParts,
  type Numbered,
  type Segment,
  type SegmentHead,
  segmentOf,
  writeHeader,
  writeSettled,
} from './segment.ts';

interface Open {
  segment: Segment;
  writer: PartWriter;
}

export class Store {
  readonly #disk: SpoolDisk;
  readonly #log: Log;
  readonly #own: Pick<SegmentHead, 'life' | 'source'>;
  readonly #segmentBytes: number;
  readonly #losses: Losses;
  /** With something to send. */
  #segments: Segment[];
  /** The one that is written; null: one has to be begun. */
  #open: Open | null = null;
  #sending: { segment: Segment; numbered: Numbered; parts: Loaded[] } | null = null;
  /** What is settled in them is not yet said in the log. */
  readonly #unsaid = new Set<Segment>();

  constructor(disk: SpoolDisk, own: Pick<SegmentHead, 'life' | 'source'>, found: Recovered, segmentBytes: number) {
    this.#disk = disk;
    this.#own = own;
    this.#segmentBytes = segmentBytes;
    this.#losses = new Losses(found.lost);
    this.#segments = found.segments;
    this.#log = new Log(disk);
    for (const { number, bytes } of found.files) this.#log.know(number, bytes);
    for (const { number } of this.#segments) this.#log.born(number);
  }

  /** Readings to be sent. */
  get waiting(): number {
    return this.#segments.reduce((sum, { items }) => sum + items, 0);
  }
  get bytes(): number {
    return this.#log.bytes;
  }
  get lost(): readonly LostInterval[] {
    return this.#losses.all;
  }

  /** They are durable when this resolves. Rejects: none of them counts as written. */
  async append(parts: readonly Part[]): Promise<void> {
    if (parts.length === 0 && this.#unsaid.size === 0) return;
    if (this.#open === null || this.#isFull(this.#open)) await this.#begin();
    const { segment, writer } = this.#open as unknown as Open;
    const bytes = new Writer();
    const said = this.#say(bytes);
    this.#losses.write(bytes);
    const heads = parts.map((part) => writer.write(bytes, part));
    const frames = bytes.take();
    try {
      await this.#log.append(frames);
    } catch (error) {
      // What the writer believes to have named is not in the file.
      this.#open = null;
      throw error;
    }
    said();
    this.#losses.confirm();
    segment.bytes = this.#log.length;
    if (heads.length > 0) this.#enlist(segment);
    for (const head of heads) grow(segment, head);
    if (this.#sending?.segment === segment) this.#continue(frames);
  }

  /** Removes files nobody needs any more. */
  clean(): Promise<void> {
    return this.#log.clean();
  }

  close(): Promise<void> {
    this.#open = null;
    return this.#log.close();
  }

  // Sending

  /** Reads the oldest segment, if it is not in memory. Rejects: it cannot be read. */
  async load(): Promise<void> {
    const [segment] = this.#segments;
    if (segment === undefined || this.#sending?.segment === segment) return;
    this.#sending = null;
    const file = await this.#disk.read(segmentName(segment.number));
    const { numbered, parts } = loadParts(segment, file);
    this.#sending = { segment, numbered, parts };
    if (parts.length > 0) return;
    // All that was left of it is damaged.
    this.#delist(segment);
    await this.load();
  }

  /** Writes down that the oldest segment is being sent. Rejects: the disk takes nothing; it can be sent all the same. */
  async mark(): Promise<void> {
    const segment = this.#sending?.segment;
    if (segment === undefined || segment.offered) return;
    segment.offered = true;
    this.#unsaid.add(segment);
    await this.append([]);
  }

  /** The oldest parts, those of one request; none: nothing waits, or nothing is loaded. */
  upcoming(): readonly Loaded[] {
    const parts = this.#sending?.parts ?? [];
    const [first] = parts;
    let next = first?.sequence;
    const others = parts.findIndex(({ run, sequence, head }) => {
      if (run !== first?.run || sequence !== next) return true;
      next = sequence + head.items;
      return false;
    });
    const together = others < 0 ? parts : parts.slice(0, others);
    return together.slice(0, fitting(together.map(({ head }) => head)));
  }

  /** The first `count` of the oldest need not be sent any more. Written down with the next append. */
  settle(count: number): void {
    const { segment, parts } = this.#sending ?? { parts: [] };
    if (segment === undefined) return;
    for (const { head } of parts.splice(0, count)) {
      segment.settled = head.number;
      segment.items -= head.items;
    }
    this.#unsaid.add(segment);
    // Parts at its end may be damaged, so their numbers say nothing.
    if (parts.length === 0) this.#delist(segment);
  }

  // Giving up

  /** Segments that are neither written nor sent, in order. Of these no part was sent, by no life: each stands in the log before. */
  get resting(): readonly Segment[] {
    return this.#segments.slice(1).filter((s) => s !== this.#open?.segment && s !== this.#sending?.segment);
  }

  async read(segment: Segment): Promise<Part[]> {
    const file = await this.#disk.read(segmentName(segment.number));
    return loadParts(segment, file).parts.map((part) => part.read());
  }

  /** One segment in the place of several; durable when this resolves. Rejects: nothing has changed. */
  async replace(group: readonly Segment[], parts: readonly Part[], level: number): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const replaces = group.map(({ number }) => number);
    const head = { ...this.#own, source: first.source, place: first.place, level, replaces };
    const segment = await this.#start(head, parts);
    // It is whole: what comes next begins another.
    this.#open = null;
    if (parts.length > 0) {
      this.#segments.splice(this.#segments.indexOf(first), 0, segment);
      this.#log.born(segment.number);
    }
    for (const gone of group) this.#delist(gone);
  }

  /** A segment goes as it is. `reason`: no room, or it cannot be read. */
  giveUp(segment: Segment, reason: LostInterval['reason']): void {
    const { from, to, items: records } = segment;
    if (records > 0) this.#losses.add({ from, to: to + 1, records, reason });
    segment.settled = segment.parts;
    segment.items = 0;
    this.#unsaid.add(segment);
    this.#delist(segment);
  }

  /** The oldest segment; undefined: nothing waits. */
  get oldest(): Segment | undefined {
    return this.#segments[0];
  }

  // The segments

  #isFull({ writer }: Open): boolean {
    return this.#log.length - writer.nameBytes >= this.#segmentBytes;
  }

  async #begin(): Promise<void> {
    const place = this.#log.segment + 1;
    await this.#start({ ...this.#own, place, level: 0, replaces: [] }, []);
  }

  async #start(head: SegmentHead, parts: readonly Part[]): Promise<Segment> {
    this.#open = null;
    const segment = segmentOf(this.#log.segment + 1, head);
    const bytes = new Writer(64 * 1024);
    writeHeader(bytes, head);
    // Moves what is new to what is being written, so that all of it stands here once.
    this.#losses.write(new Writer());
    for (const interval of this.#losses.all) writeLost(bytes, interval, 0);
    // What older segments say of each other goes with them.
    for (const older of this.#segments) if (older.offered) this.#unsaid.add(older);
    const said = this.#say(bytes);
    const writer = new PartWriter();
    for (const part of parts) grow(segment, writer.write(bytes, part));
    if (head.replaces.length > 0) frame(bytes, Kind.sealed, () => undefined);
    await this.#log.begin(bytes.view());
    said();
    this.#losses.confirm();
    segment.bytes = this.#log.length;
    this.#open = { segment, writer };
    return segment;
  }

  /** Returns what to do once it is written. */
  #say(bytes: Writer): () => void {
    const said = [...this.#unsaid].map((segment) => ({ segment, through: segment.settled }));
    for (const { segment, through } of said) writeSettled(bytes, segment.number, through);
    return () => {
      for (const { segment, through } of said) if (segment.settled === through) this.#unsaid.delete(segment);
    };
  }

  /** The segment that is written is the one that is sent. */
  #continue(frames: Buffer): void {
    for (const { kind, payload } of scan(frames).frames) {
      const part = kind === Kind.part ? this.#sending?.numbered.take(payload) : null;
      if (part) this.#sending?.parts.push(part);
    }
  }

  #enlist(segment: Segment): void {
    if (this.#segments.includes(segment)) return;
    this.#segments.push(segment);
    this.#log.born(segment.number);
  }

  #delist(segment: Segment): void {
    if (!this.#segments.includes(segment)) return;
    this.#segments = this.#segments.filter((other) => other !== segment);
    this.#log.settled(segment.number);
  }
}
