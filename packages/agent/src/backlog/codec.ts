/**
 * Parts as frames. A segment names each series once, in the frame that needs it first; from then on it is a number. A
 * reading takes about ten bytes.
 */
import type { ResourceHint, SeriesHead } from '@tollgate/event';
import { Reader, type Writer } from '../spool/bytes.ts';
import { frame } from '../spool/frames.ts';
import { headText, type Item, type Part } from './pass.ts';

/**
 * Kinds of frames, apart from those of the sums' log.
 *
 *   header   first of a segment
 *   part     numbered readings
 *   settled  a segment is being sent; its parts up to a number need not be sent any more
 *   sealed   last of a segment that was written whole
 */
export const Kind = { header: 16, part: 17, settled: 18, sealed: 19 } as const;

/** What stands at the beginning of a part's frame. */
export interface PartHead {
  /** Of the part in its segment, from 1; of its first item, from 1. */
  readonly number: number;
  readonly first: number;
  readonly items: number;
  readonly size: number;
  readonly ends: boolean;
  readonly completeThrough: number;
  /** Times of its readings: [from, to] in ms since 1970; 0 when there are none. */
  readonly from: number;
  readonly to: number;
}

const [ENDED, STARTED, ELSEWHEN] = [1, 2, 4];
const nothing = (): void => undefined;

/** Writes the parts of one segment, in order. */
export class PartWriter {
  readonly #byHead = new WeakMap<SeriesHead, number>();
  readonly #byText = new Map<string, number>();
  #number = 0;
  #items = 0;
  /** Bytes of all names so far: they are no reason to begin another segment, which would repeat them. */
  nameBytes = 0;

  write(writer: Writer, part: Part): PartHead {
    const fresh: string[] = [];
    const ids = part.items.map(({ head }) => this.#id(head, fresh));
    const head = this.#head(part);
    frame(writer, Kind.part, () => {
      const { number, first, items, size, ends, completeThrough, from, to } = head;
      for (const value of [number, first, items, size, ends ? 1 : 0, completeThrough, from, to - from])
        writer.varint(value);
      writer.varint(fresh.length);
      for (const text of fresh) writer.text(text);
      writer.text(part.resources.length === 0 ? '' : JSON.stringify(part.resources));
      part.items.forEach((item, i) => {
        writeItem(writer, item, ids[i] as number, head.from);
      });
    });
    return head;
  }

  #head({ items, size, completeThrough }: Part): PartHead {
    const [number, first] = [++this.#number, this.#items + 1];
    this.#items += items.length;
    let [from, to] = [items[0]?.at ?? 0, 0];
    for (const { at } of items) {
      from = Math.min(from, at);
      to = Math.max(to, at);
    }
    const ends = items.at(-1)?.value === null;
    return { number, first, items: items.length, size, ends, completeThrough, from, to };
  }

  #id(head: SeriesHead, fresh: string[]): number {
    const known = this.#byHead.get(head);
    if (known !== undefined) return known;
    const text = headText(head);
    let id = this.#byText.get(text);
    if (id === undefined) {
      id = this.#byText.size;
      this.#byText.set(text, id);
      fresh.push(text);
      this.nameBytes += text.length;
    }
    this.#byHead.set(head, id);
    return id;
  }
}

const writeItem = (writer: Writer, { at, value, start }: Item, id: number, base: number): void => {
  writer.varint(id);
  writer.byte((value === null ? ENDED : 0) | (start > 0 ? STARTED : 0) | (at === base ? 0 : ELSEWHEN));
  if (at !== base) writer.varint(at - base);
  if (value !== null) writer.whole(value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value);
  if (start > 0) writer.varint(start);
};

/** Throws a RangeError when the frame is not what it says it is. */
const headFrom = (reader: Reader): PartHead => {
  const [number, first, items, size] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const [ends, completeThrough, from] = [reader.varint() === 1, reader.varint(), reader.varint()];
  return { number, first, items, size, ends, completeThrough, from, to: from + reader.varint() };
};
export const readHead = (payload: Buffer): PartHead => headFrom(new Reader(payload));

/** Reads the parts of one segment, in order: later ones need the names in earlier ones. */
export class PartReader {
  readonly #names: SeriesHead[] = [];

  /** Everything but the readings, which `read` gives. */
  take(payload: Buffer): { head: PartHead; read: () => Part } {
    const reader = new Reader(payload);
    const head = headFrom(reader);
    for (let left = reader.varint(); left > 0; left--) this.#names.push(JSON.parse(reader.text()) as SeriesHead);
    const rest = reader.rest();
    return { head, read: () => this.#read(head, new Reader(rest)) };
  }

  #read({ items: count, size, completeThrough, from }: PartHead, reader: Reader): Part {
    const text = reader.text();
    const resources = text === '' ? [] : (JSON.parse(text) as ResourceHint[]);
    const items: Item[] = [];
    for (let left = count; left > 0; left--) items.push(this.#item(reader, from));
    return { items, resources, completeThrough, size, settled: nothing };
  }

  #item(reader: Reader, base: number): Item {
    const head = this.#names[reader.varint()];
    if (head === undefined) throw new RangeError('the series was named in a frame that is damaged');
    const flags = reader.byte();
    const at = base + ((flags & ELSEWHEN) > 0 ? reader.varint() : 0);
    const value = (flags & ENDED) > 0 ? null : BigInt(reader.whole());
    return { head, at, value, start: (flags & STARTED) > 0 ? reader.varint() : 0 };
  }
}
