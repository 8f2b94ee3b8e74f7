/** The sums of one time bucket, in memory. A cell a key; cells are numbered in the order they were first seen. */

/** What a record is about, checked and with its dimensions in order of name. */
export interface Key {
  readonly meter: string;
  readonly subject: string;
  /** name, value, name, value ... ordered by name. */
  readonly dimensions: readonly string[];
}

/** A whole number: a number as long as it is safe, a bigint beyond. */
export type Whole = number | bigint;

export const plus = (a: Whole, b: Whole): Whole => {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (sum <= Number.MAX_SAFE_INTEGER) return sum;
  }
  return BigInt(a) + BigInt(b);
};

export class Cell {
  readonly key: Key;
  /** Place in its table. */
  readonly index: number;
  /** Measured since the last flush. */
  freshCount = 0;
  freshSum: Whole = 0;
  /** In the log. */
  count = 0;
  sum: Whole = 0;
  /** The level set since the last flush, and when; -1: none. */
  levelAt = -1;
  level: Whole = 0;
  /** The next one of the same subject, for who looks for a key. */
  next: Cell | undefined = undefined;

  constructor(key: Key, index: number) {
    this.key = key;
    this.index = index;
  }
}

/** A change of level, on its way to a portion. */
export interface LevelChange {
  readonly key: Key;
  readonly level: Whole;
  readonly at: number;
}

export class Table {
  /** Numbered by the spool that keeps it: the name of its cells in the log. */
  readonly number: number;
  /** The bucket: [start, end) in ms since 1970. */
  start: number;
  end: number;
  readonly cells: Cell[] = [];
  /** Cells with something since the last flush. */
  touched: Cell[] = [];
  /** Cells whose keys are in the log. */
  defined = 0;
  /** Cells that are in portions. */
  portioned = 0;
  /** Level changes that are in the log and not yet in portions. */
  levels: LevelChange[] = [];
  /** When it was last flushed, inside the bucket: the instant its sums are published with. */
  at: number;
  /** Nothing is added any more. */
  over = false;
  /** Cells by key, once other tables have come in. */
  #byKey: Map<string, Cell> | null = null;

  constructor(number: number, start: number, end: number) {
    this.number = number;
    this.start = start;
    this.end = end;
    this.at = start;
  }

  /** Records that are not yet in portions. */
  get waiting(): number {
    return this.cells.length - this.portioned + this.levels.length;
  }

  flushedAt(now: number): void {
    this.at = Math.max(this.at, Math.min(now, this.end - 1));
  }

  /**
   * Takes over all of another table. Both are over, flushed, and nothing of them is in portions. A log that is read again
   * repeats it, so the order of cells depends on nothing but the two tables.
   */
  absorb(other: Table): void {
    this.#byKey ??= new Map(this.cells.map((cell) => [textOf(cell.key), cell]));
    for (const { key, count, sum } of other.cells) {
      if (count === 0) continue;
      const text = textOf(key);
      let cell = this.#byKey.get(text);
      if (cell === undefined) {
        cell = new Cell(key, this.cells.length);
        this.cells.push(cell);
        this.#byKey.set(text, cell);
      }
      cell.count += count;
      cell.sum = plus(cell.sum, sum);
    }
    for (const level of other.levels) this.levels.push(level);
    this.defined = this.cells.length;
    this.start = Math.min(this.start, other.start);
    this.end = Math.max(this.end, other.end);
    this.at = Math.max(this.at, other.at);
  }
}

/** One text a key: no text of a key holds NUL. */
export const textOf = ({ meter, subject, dimensions }: Key): string => `${meter}\0${subject}\0${dimensions.join('\0')}`;
