/**
 * Buckets are joined while the server is away and the log has grown, so that a day fits: what shares meter, subject and dimensions becomes one
 * record of a minute, of five minutes, of a window. Only buckets nothing was taken from yet: what has a number stays
 * byte for byte. A bucket that may still grow so is held back until its length is over.
 */
import type { Table } from '../measure/table.ts';
import { Reader, type Writer } from './bytes.ts';
import { frame, Kind } from './frames.ts';
import type { SpoolSettings } from './settings.ts';

/** Length of the joined buckets when the log has so many bytes, ms; 0: they stay as they are. */
export function joinedLength(bytes: number, { maxBytes, joinPart, joinMs }: SpoolSettings): number {
  const parts = Math.floor((bytes * joinPart) / maxBytes);
  if (parts < 1) return 0;
  if (parts < 2) return joinMs[0];
  return parts < 4 ? joinMs[1] : joinMs[2];
}

/** True when [start, end) of both lies in one bucket of `lengthMs`. */
export const sharesBucket = (a: Pick<Table, 'start' | 'end'>, b: Pick<Table, 'start' | 'end'>, lengthMs: number) => {
  const bucket = Math.floor(a.start / lengthMs);
  const end = (bucket + 1) * lengthMs;
  return Math.floor(b.start / lengthMs) === bucket && a.end <= end && b.end <= end;
};

/** Nothing of it is in portions or still to be flushed. */
export const isWhole = ({ over, portioned, touched }: Table): boolean =>
  over && portioned === 0 && touched.length === 0;

/**
 * Joins neighbours of `tables`, says it in the log, and returns those that are left. `keysMax`: a table with so many keys
 * takes no other one.
 */
export function joinTables(writer: Writer, tables: readonly Table[], lengthMs: number, keysMax: number): Table[] {
  const left: Table[] = [];
  for (const table of tables) {
    const into = left.at(-1);
    const fits =
      into !== undefined &&
      isWhole(into) &&
      isWhole(table) &&
      into.cells.length < keysMax &&
      sharesBucket(into, table, lengthMs);
    if (!fits) {
      left.push(table);
      continue;
    }
    writeJoined(writer, into.number, table.number);
    into.absorb(table);
  }
  return left;
}

const writeJoined = (writer: Writer, into: number, from: number): void =>
  frame(writer, Kind.joined, () => {
    writer.varint(into);
    writer.varint(from);
  });

/** Repeats what the frame says. */
export function readJoined(payload: Buffer, tables: Map<number, Table>): void {
  const reader = new Reader(payload);
  const into = tables.get(reader.varint());
  const number = reader.varint();
  const from = tables.get(number);
  if (into === undefined || from === undefined) throw new RangeError('unknown table');
  into.absorb(from);
  tables.delete(number);
}
