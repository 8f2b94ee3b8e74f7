/** Portions: numbered records that are ready to be sent. They stand in the log before they are, so a retry is the same. */
import type { Cell, Key, Table, Whole } from '../measure/table.ts';
import { Reader, type Writer } from './bytes.ts';
import { frame, Kind } from './frames.ts';
import { KeyReader, KeyWriter } from './keys.ts';

export interface PortionRecord {
  readonly key: Key;
  /** ms since 1970. */
  readonly at: number;
  readonly value: Whole;
  /** Measurements in the sum; 0: a level. */
  readonly count: number;
}

export interface Portion {
  /** Of the spool, increasing. */
  readonly number: number;
  /** Whose numbering its records follow, and the number of the first. */
  readonly run: string;
  readonly first: number;
  readonly records: number;
  /** The time it is about: [from, to) in ms since 1970. */
  readonly from: number;
  readonly to: number;
  /** With this portion and those before it, everything up to here is sent; 0: nothing is said. */
  readonly completeThrough: number;
}

/** A portion and where its frame lies. */
export interface Stored extends Portion {
  completeThrough: number;
  segment: number;
  offset: number;
  length: number;
  /** The frame's content, while it is in memory. */
  payload: Buffer | null;
}

/** What a portion takes out of its table. */
export interface Taken {
  levels: number;
  /** Cells below this index are in portions. */
  portionedTo: number;
  records: number;
}

/** Chooses at most `max` records: levels first, then sums, if these may be taken. */
export function choose(table: Table, max: number, sums: boolean): Taken {
  const levels = Math.min(table.levels.length, max);
  let records = levels;
  let portionedTo = table.portioned;
  while (sums && records < max && portionedTo < table.cells.length) {
    // A key that only had levels, or nothing since a snapshot, has no sum to send.
    if ((table.cells[portionedTo++] as Cell).count > 0) records++;
  }
  return { levels, portionedTo, records };
}

export interface PortionHead {
  number: number;
  run: string;
  first: number;
  completeThrough: number;
}

/** Writes the frame and takes the records out of the table. */
export function writePortion(writer: Writer, table: Table, taken: Taken, head: PortionHead): void {
  frame(writer, Kind.portion, () => {
    writer.varint(head.number);
    writer.text(head.run);
    writer.varint(head.first);
    writer.varint(taken.records);
    writer.varint(table.start);
    writer.varint(table.end - table.start);
    writer.varint(head.completeThrough);
    writer.varint(table.number);
    writer.varint(taken.levels);
    writer.varint(taken.portionedTo);
    const keys = new KeyWriter();
    for (const { key, level, at } of table.levels.splice(0, taken.levels)) {
      keys.write(writer, key);
      writer.varint(at - table.start);
      writer.varint(0);
      writer.whole(level);
    }
    for (; table.portioned < taken.portionedTo; table.portioned++) {
      const cell = table.cells[table.portioned] as Cell;
      if (cell.count === 0) continue;
      keys.write(writer, cell.key);
      writer.varint(table.at - table.start);
      writer.varint(cell.count);
      writer.whole(cell.sum);
    }
  });
}

interface PortionFrame {
  portion: Portion;
  table: number;
  levels: number;
  portionedTo: number;
}

const readHead = (reader: Reader): PortionFrame => {
  const number = reader.varint();
  const run = reader.text();
  const first = reader.varint();
  const records = reader.varint();
  const from = reader.varint();
  const to = from + reader.varint();
  const completeThrough = reader.varint();
  return {
    portion: { number, run, first, records, from, to, completeThrough },
    table: reader.varint(),
    levels: reader.varint(),
    portionedTo: reader.varint(),
  };
};

export const readPortionHead = (payload: Buffer): PortionFrame => readHead(new Reader(payload));

export function readRecords(payload: Buffer): PortionRecord[] {
  const reader = new Reader(payload);
  const { portion } = readHead(reader);
  const keys = new KeyReader();
  const records: PortionRecord[] = [];
  for (let i = 0; i < portion.records; i++) {
    const key = keys.read(reader);
    const at = portion.from + reader.varint();
    const count = reader.varint();
    records.push({ key, at, count, value: reader.whole() });
  }
  return records;
}
