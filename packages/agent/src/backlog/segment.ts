/** One segment of the backlog: a run of its own, so that what becomes of others leaves no hole in its numbers. */
import { Reader, type Writer } from '../spool/bytes.ts';
import { frame, scan } from '../spool/frames.ts';
import { Kind, type PartHead, PartReader } from './codec.ts';
import type { Part } from './pass.ts';

export interface SegmentHead {
  /** Of the life that wrote it. With the segment's number it is the run its items are numbered in. */
  readonly life: string;
  /** Who reported it, also when the agent speaks for another source by now. */
  readonly source: string;
  /** Segments are sent by place, then by number. A thinned one has the place of the first it stands for. */
  readonly place: number;
  /** How much was thinned: 0 not, 1 to the grid of windows, 2 to first and last values. */
  readonly level: number;
  /** Numbers of the segments it stands for: they are gone, or about to be. */
  readonly replaces: readonly number[];
}

export interface Segment extends Omit<SegmentHead, 'replaces'> {
  readonly number: number;
  /** Number of its last part, and of the last that need not be sent any more. */
  parts: number;
  settled: number;
  /** The log says that it is being sent. */
  offered: boolean;
  /** Readings still to be sent. */
  items: number;
  bytes: number;
  /** Times of all its readings; 0 when there are none. */
  from: number;
  to: number;
}

export const segmentOf = (number: number, { life, source, place, level }: Omit<SegmentHead, 'replaces'>): Segment => ({
  number,
  life,
  source,
  place,
  level,
  parts: 0,
  settled: 0,
  offered: false,
  items: 0,
  bytes: 0,
  from: 0,
  to: 0,
});

export const grow = (segment: Segment, { number, items, from, to }: PartHead): void => {
  segment.parts = number;
  segment.items += items;
  if (items === 0) return;
  segment.from = segment.from === 0 ? from : Math.min(segment.from, from);
  segment.to = Math.max(segment.to, to);
};

export const writeHeader = (writer: Writer, { life, source, place, level, replaces }: SegmentHead): void =>
  frame(writer, Kind.header, () => {
    writer.text(life);
    writer.text(source);
    for (const value of [place, level, replaces.length, ...replaces]) writer.varint(value);
  });

export const readHeader = (payload: Buffer): SegmentHead => {
  const reader = new Reader(payload);
  const [life, source] = [reader.text(), reader.text()];
  const [place, level] = [reader.varint(), reader.varint()];
  const replaces: number[] = [];
  for (let left = reader.varint(); left > 0; left--) replaces.push(reader.varint());
  return { life, source, place, level, replaces };
};

export const writeSettled = (writer: Writer, segment: number, through: number): void =>
  frame(writer, Kind.settled, () => {
    writer.varint(segment);
    writer.varint(through);
  });

export const readSettled = (payload: Buffer): { segment: number; through: number } => {
  const reader = new Reader(payload);
  return { segment: reader.varint(), through: reader.varint() };
};

/** A part that waits in the segment that is being sent. */
export interface Loaded {
  readonly head: PartHead;
  /** Where its items are numbered. */
  readonly run: string;
  readonly sequence: number;
  readonly source: string;
  /** Throws a RangeError when its content cannot be told. */
  read(): Part;
}

/**
 * The parts of a segment with their numbers. Behind a damaged stretch a run of its own begins: a server that keeps
 * account of numbers would wait for those in between. The same damage gives the same run, also after a restart.
 */
export class Numbered {
  readonly #run: string;
  readonly #source: string;
  readonly #reader = new PartReader();
  #next = 1;
  #base = 1;
  #isBroken = false;

  constructor({ life, source, number }: Pick<Segment, 'life' | 'source' | 'number'>) {
    this.#source = source;
    this.#run = `${life}-${number}`;
  }

  /** null: it speaks of names that are lost. */
  take(payload: Buffer): Loaded | null {
    const taken = this.#tryTake(payload);
    if (taken === null) return null;
    const { head, read } = taken;
    if (head.first !== this.#next) this.#base = head.first;
    this.#next = head.first + head.items;
    const run = this.#base === 1 ? this.#run : `${this.#run}.${this.#base}`;
    return { head, run, sequence: head.first - this.#base + 1, source: this.#source, read };
  }

  #tryTake(payload: Buffer): ReturnType<PartReader['take']> | null {
    try {
      const taken = this.#reader.take(payload);
      // Only behind damage is it worth a look whether all of it can be read.
      if (taken.head.first !== this.#next) this.#isBroken = true;
      if (this.#isBroken) taken.read();
      return taken;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return null;
    }
  }
}

/** Of a segment's file. */
export const loadParts = (segment: Segment, file: Buffer): { numbered: Numbered; parts: Loaded[] } => {
  const numbered = new Numbered(segment);
  const parts: Loaded[] = [];
  for (const { kind, payload } of scan(file).frames) {
    const part = kind === Kind.part ? numbered.take(payload) : null;
    if (part !== null && part.head.number > segment.settled) parts.push(part);
  }
  return { numbered, parts };
};
