/**
 * The first frame of every segment: all that older segments still hold open, so that they can go; and in it the frames that
 * are composed and not durable, which a crash may not tear from it. And small frames.
 */
import type { Table } from '../measure/table.ts';
import { Reader, type Writer } from './bytes.ts';
import { frame, hidden, Kind, shown } from './frames.ts';
import type { Portion } from './portion.ts';
import { readWholeTable, writeTable } from './sums-frame.ts';

/** What could not be kept. */
export interface LostInterval {
  /** [from, to) in ms since 1970. */
  readonly from: number;
  readonly to: number;
  /** Records that were forced out or damaged; 0: not known. */
  readonly records: number;
  /** crash: it was only in memory. full: no room on disk or in memory. damaged: the log could not be read. */
  readonly reason: 'crash' | 'full' | 'damaged';
}
const reasons = ['crash', 'full', 'damaged'] as const;

/** Portions first .. last wait to be sent. */
export interface AliveRange {
  first: number;
  last: number;
  from: number;
  to: number;
  records: number;
}

export interface Snapshot {
  now: number;
  /** The next numbers of tables and portions. Portions below it are taken out of the tables. */
  nextTable: number;
  nextPortion: number;
  alive: readonly AliveRange[];
  lost: readonly LostInterval[];
  frames: Buffer;
}

export function rangesOf(portions: Iterable<Portion>): AliveRange[] {
  const ranges: AliveRange[] = [];
  for (const { number, from, to, records } of portions) {
    const last = ranges.at(-1);
    if (last !== undefined && last.last + 1 === number) {
      last.last = number;
      last.from = Math.min(last.from, from);
      last.to = Math.max(last.to, to);
      last.records += records;
    } else ranges.push({ first: number, last: number, from, to, records });
  }
  return ranges;
}

const lostTo = (writer: Writer, { from, to, records, reason }: LostInterval): void => {
  writer.varint(from);
  writer.varint(Math.max(0, to - from));
  writer.varint(records);
  writer.byte(reasons.indexOf(reason));
};

const lostFrom = (reader: Reader): LostInterval => {
  const from = reader.varint();
  const to = from + reader.varint();
  return { from, to, records: reader.varint(), reason: reasons[reader.byte()] ?? 'damaged' };
};

/** `frames` are the last bytes of it. */
export function writeSnapshot(
  writer: Writer,
  snapshot: Omit<Snapshot, 'frames'>,
  tables: readonly Table[],
  frames: Uint8Array,
): void {
  frame(writer, Kind.snapshot, () => {
    writer.varint(snapshot.now);
    writer.varint(snapshot.nextTable);
    writer.varint(snapshot.nextPortion);
    writer.varint(snapshot.alive.length);
    for (const { first, last, from, to, records } of snapshot.alive) {
      for (const value of [first, last - first, from, to - from, records]) writer.varint(value);
    }
    writer.varint(snapshot.lost.length);
    for (const interval of snapshot.lost) lostTo(writer, interval);
    writer.varint(tables.length);
    for (const table of tables) writeTable(writer, table);
    writer.raw(hidden(frames));
  });
}

export function readSnapshot(payload: Buffer, tables: Map<number, Table>): Snapshot {
  const reader = new Reader(payload);
  const [now, nextTable, nextPortion] = [reader.varint(), reader.varint(), reader.varint()];
  const alive: AliveRange[] = [];
  const lost: LostInterval[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const first = reader.varint();
    const last = first + reader.varint();
    const from = reader.varint();
    alive.push({ first, last, from, to: from + reader.varint(), records: reader.varint() });
  }
  for (let left = reader.varint(); left > 0; left--) lost.push(lostFrom(reader));
  for (let left = reader.varint(); left > 0; left--) readWholeTable(reader, tables);
  return { now, nextTable, nextPortion, alive, lost, frames: shown(reader.rest()) };
}

export function writeSettled(writer: Writer, first: number, last: number): void {
  frame(writer, Kind.settled, () => {
    writer.varint(first);
    writer.varint(last - first);
  });
}

export function readSettled(payload: Buffer): { first: number; last: number } {
  const reader = new Reader(payload);
  const first = reader.varint();
  return { first, last: first + reader.varint() };
}

/** `table`: was forced out of memory whole; 0: none. */
export function writeLost(writer: Writer, interval: LostInterval, table: number): void {
  frame(writer, Kind.lost, () => {
    lostTo(writer, interval);
    writer.varint(table);
  });
}

export function readLost(payload: Buffer): { interval: LostInterval; table: number } {
  const reader = new Reader(payload);
  return { interval: lostFrom(reader), table: reader.varint() };
}

export function writeTold(writer: Writer, intervals: readonly LostInterval[]): void {
  frame(writer, Kind.told, () => {
    writer.varint(intervals.length);
    for (const interval of intervals) lostTo(writer, interval);
  });
}

export function readTold(payload: Buffer): LostInterval[] {
  const reader = new Reader(payload);
  return Array.from({ length: reader.varint() }, () => lostFrom(reader));
}

export function writeTime(writer: Writer, kind: number, now: number): void {
  frame(writer, kind, () => writer.varint(now));
}

export const readTime = (payload: Buffer): number => new Reader(payload).varint();
