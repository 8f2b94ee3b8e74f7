/**
 * Finds the cell of a key in one bucket. The cells of a subject are a chain, compared one by one: that costs less than
 * joining a text for each measurement, and less memory than a map a subject. Only what comes behind the first few of a
 * subject is found by its text.
 */
import { type Cell, textOf } from './table.ts';

const FEW = 8;

export class Cells {
  readonly #first = new Map<string, Cell>();
  readonly #more = new Map<string, Cell>();
  /** What is measured of one request follows each other, with one subject. */
  #lastName: string | null = null;
  #last: Cell | undefined;

  /** `dimensions`: as in a key. */
  find(meter: string, subject: string, dimensions: readonly string[]): Cell | undefined {
    if (subject !== this.#lastName || this.#last === undefined) {
      this.#lastName = subject;
      this.#last = this.#first.get(subject);
    }
    let steps = 0;
    for (let cell = this.#last; cell !== undefined; cell = cell.next, steps++)
      if (cell.key.meter === meter && isSame(cell.key.dimensions, dimensions)) return cell;
    if (steps < FEW) return undefined;
    const cell = this.#more.get(textOf({ meter, subject, dimensions }));
    // Texts that come from outside may hold what the parts are joined with.
    if (cell === undefined || !isSame(cell.key.dimensions, dimensions)) return undefined;
    return cell.key.meter === meter && cell.key.subject === subject ? cell : undefined;
  }

  /** `cell` is of a key that was not found. */
  add(cell: Cell): void {
    let last = this.#first.get(cell.key.subject);
    if (last === undefined) {
      this.#first.set(cell.key.subject, cell);
      return;
    }
    let steps = 1;
    for (; last.next !== undefined; last = last.next) steps++;
    if (steps < FEW) last.next = cell;
    else this.#more.set(textOf(cell.key), cell);
  }
}

const isSame = (a: readonly string[], b: readonly string[]): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
