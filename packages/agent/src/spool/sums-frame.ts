/** Sums in the log: increments at every flush, and a whole table in a snapshot. */
import { Cell, type Key, plus, Table } from '../measure/table.ts';
import { Reader, type Writer } from './bytes.ts';
import { frame, Kind } from './frames.ts';
import { KeyReader, KeyWriter } from './keys.ts';

/**
 * Writes what was measured since the last flush and moves it into the sums. All tables in one frame: a flush is in the
 * log as a whole or not at all, so that what a crash lost begins at one instant.
 */
export function writeSums(writer: Writer, tables: readonly Table[], now: number): void {
  frame(writer, Kind.sums, () => {
    writer.varint(now);
    writer.varint(tables.length);
    for (const table of tables) {
      const { touched } = table;
      table.touched = [];
      table.flushedAt(now);
      head(writer, table);
      define(writer, table, table.defined);
      writer.varint(touched.length);
      for (const cell of touched) flushCell(writer, table, cell);
    }
  });
}

const head = (writer: Writer, table: Table): void => {
  writer.varint(table.number);
  writer.varint(table.start);
  writer.varint(table.end - table.start);
  writer.varint(table.at);
};

const define = (writer: Writer, table: Table, from: number): void => {
  const keys = new KeyWriter();
  writer.varint(from);
  writer.varint(table.cells.length - from);
  for (let i = from; i < table.cells.length; i++) keys.write(writer, (table.cells[i] as Cell).key);
  table.defined = table.cells.length;
};

const flushCell = (writer: Writer, table: Table, cell: Cell): void => {
  writer.varint(cell.index);
  writer.varint(cell.freshCount);
  if (cell.freshCount > 0) writer.whole(cell.freshSum);
  writer.varint(cell.levelAt < 0 ? 0 : cell.levelAt - table.start + 1);
  cell.count += cell.freshCount;
  cell.sum = plus(cell.sum, cell.freshSum);
  cell.freshCount = 0;
  cell.freshSum = 0;
  if (cell.levelAt < 0) return;
  writer.whole(cell.level);
  table.levels.push({ key: cell.key, level: cell.level, at: cell.levelAt });
  cell.levelAt = -1;
};

/** Adds the increments of a frame to the tables. Returns the instant before which all that was measured is in the log. */
export function readSums(payload: Buffer, tables: Map<number, Table>): number {
  const reader = new Reader(payload);
  const now = reader.varint();
  for (let left = reader.varint(); left > 0; left--) readIncrements(reader, tables);
  return now;
}

const readIncrements = (reader: Reader, tables: Map<number, Table>): void => {
  const table = readTable(reader, tables);
  for (let left = reader.varint(); left > 0; left--) {
    const cell = table.cells[reader.varint()];
    if (cell === undefined) throw new RangeError('unknown key');
    const count = reader.varint();
    if (count > 0) cell.sum = plus(cell.sum, reader.whole());
    cell.count += count;
    const set = reader.varint();
    if (set > 0) table.levels.push({ key: cell.key, level: reader.whole(), at: table.start + set - 1 });
  }
};

/** Stands for a key whose sum is in a portion. */
const gone: Key = { meter: '', subject: '', dimensions: [] };

const readTable = (reader: Reader, tables: Map<number, Table>, whole = false): Table => {
  const number = reader.varint();
  const start = reader.varint();
  const end = start + reader.varint();
  const at = reader.varint();
  const table = tables.get(number) ?? new Table(number, start, end);
  table.at = Math.max(table.at, at);
  const from = reader.varint();
  if (whole) {
    table.portioned = from;
    while (table.cells.length < from) table.cells.push(new Cell(gone, table.cells.length));
  } else if (from > table.cells.length) throw new RangeError('keys are missing');
  const keys = new KeyReader();
  for (let i = 0, count = reader.varint(); i < count; i++) {
    const key = keys.read(reader);
    if (from + i === table.cells.length) table.cells.push(new Cell(key, from + i));
  }
  table.defined = table.cells.length;
  tables.set(number, table);
  return table;
};

/** A table as a snapshot keeps it: every key, what is left of it to be put in portions. */
export function writeTable(writer: Writer, table: Table): void {
  head(writer, table);
  // What is in portions is not named again.
  define(writer, table, table.portioned);
  for (let i = table.portioned; i < table.cells.length; i++) {
    const cell = table.cells[i] as Cell;
    writer.varint(cell.count);
    writer.whole(cell.sum);
  }
  const keys = new KeyWriter();
  writer.varint(table.levels.length);
  for (const { key, level, at } of table.levels) {
    keys.write(writer, key);
    writer.whole(level);
    writer.varint(at);
  }
}

export function readWholeTable(reader: Reader, tables: Map<number, Table>): void {
  const table = readTable(reader, tables, true);
  for (let i = table.portioned; i < table.cells.length; i++) {
    const cell = table.cells[i] as Cell;
    cell.count = reader.varint();
    cell.sum = reader.whole();
  }
  const keys = new KeyReader();
  for (let left = reader.varint(); left > 0; left--)
    table.levels.push({ key: keys.read(reader), level: reader.whole(), at: reader.varint() });
}
