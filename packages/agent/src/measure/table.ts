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
  readonly start: number;
  readonly end: number;
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
}
