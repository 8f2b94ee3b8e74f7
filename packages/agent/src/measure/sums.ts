/**
 * Sums at write time. `add` reads the clock, finds the cell of its key in the table of the current bucket and adds: no
 * I/O, no waiting. A frozen measure is known by its identity. Tried and refused: one map with a joined key text (the join and its hash cost more than two lookups of
 * texts whose hash is known), and cells that live longer than their bucket (they need a sweep, which is a burst).
 */
import { limits } from '@tollgate/event';
import type { Clock } from '../environment.ts';
import type { Measure, Recorder } from './recorder.ts';
import { Cell, type Key, plus, Table, type Whole } from './table.ts';

export interface SumsSettings {
  /** Length of a time bucket; divides 15 minutes, so that no bucket crosses a window. */
  bucketMs: number;
  /** Keys of one bucket. What comes beyond is summed by meter, unattributed, with the dimension overflow=true. */
  keysMax: number;
}
export const sumsDefaults: SumsSettings = { bucketMs: 10_000, keysMax: 100_000 };

const none: readonly string[] = [];
const overflowed: readonly string[] = ['overflow', 'true'];
/** A level's time and a sum's are fields of the event's data, so no dimension may be called so. */
const taken = new Set(['value', 'count']);

type BySubject = Map<string, Cell | Map<string, Cell>>;

export class Sums implements Recorder {
  /** Measurements that were not taken: not a whole number, negative, or a key the server would refuse. */
  refused = 0;
  /** Measurements that were summed without their subject, because there were too many keys. */
  overflowed = 0;
  /** Measurements taken. */
  added = 0;
  readonly settings: SumsSettings;
  readonly #clock: Clock;
  #nextTable: number;
  #open: Table;
  #meters = new Map<string, BySubject>();
  /** By identity, for measures that cannot change: who measures the same again and again holds on to one. */
  #frozen = new Map<Measure, Cell>();
  #overflow = new Map<string, Cell>();
  /** Tables that are over and that nobody has taken yet. */
  #over: Table[] = [];

  /** `firstTable`: number of the first table, above all that the spool has known. */
  constructor(clock: Clock, settings: SumsSettings = sumsDefaults, firstTable = 1) {
    this.#clock = clock;
    this.settings = settings;
    this.#nextTable = firstTable;
    this.#open = this.#newTable(clock.now());
  }

  add(measure: Measure, quantity: Whole): void {
    const cell = isWhole(quantity) ? this.#cell(measure) : null;
    if (cell === null) {
      this.refused++;
      return;
    }
    this.added++;
    if (cell.freshCount === 0 && cell.levelAt < 0) this.#open.touched.push(cell);
    cell.freshCount++;
    cell.freshSum = plus(cell.freshSum, quantity);
  }

  set(measure: Measure, level: Whole): void {
    const cell = isWhole(level) ? this.#cell(measure) : null;
    if (cell === null) {
      this.refused++;
      return;
    }
    this.added++;
    if (cell.freshCount === 0 && cell.levelAt < 0) this.#open.touched.push(cell);
    cell.level = level;
    cell.levelAt = Math.min(Math.max(this.#clock.now(), this.#open.start), this.#open.end - 1);
  }

  /** The tables that are over since the last call, oldest first; what is in them belongs to the caller. */
  takeOver(): Table[] {
    this.#follow(this.#clock.now());
    if (this.#over.length === 0) return none as unknown as Table[];
    const over = this.#over;
    this.#over = [];
    return over;
  }

  /** The table of the current bucket. */
  get open(): Table {
    return this.#open;
  }

  /** Ends the current bucket now, for a stop: what comes later goes to another table of the same bucket. */
  turn(): void {
    this.#turn(this.#clock.now());
  }

  #cell(measure: Measure): Cell | null {
    this.#follow(this.#clock.now());
    return this.#frozen.get(measure) ?? this.#find(measure);
  }

  #find(measure: Measure): Cell | null {
    const cell = this.#lookUp(measure);
    if (cell !== null && isFrozen(measure) && this.#frozen.size < this.settings.keysMax)
      this.#frozen.set(measure, cell);
    return cell;
  }

  #lookUp(measure: Measure): Cell | null {
    const { meter, subject, dimensions } = measure;
    const subjects = this.#meters.get(meter);
    const found = subjects?.get(subject);
    if (dimensions === undefined) {
      if (found instanceof Cell) return found;
      return (found?.get('') ?? this.#newCell(measure, none, '')) as Cell | null;
    }
    const names = dimensionsOf(dimensions);
    if (names === null) return null;
    const text = names.join('\0');
    if (found instanceof Map) return found.get(text) ?? this.#newCell(measure, names, text);
    return text === '' && found !== undefined ? found : this.#newCell(measure, names, text);
  }

  #newCell(measure: Measure, dimensions: readonly string[], text: string): Cell | null {
    const { meter, subject } = measure;
    if (!isKey(meter, subject, dimensions)) return null;
    if (this.#open.cells.length >= this.settings.keysMax) return this.#overflowCell(meter);
    let subjects = this.#meters.get(meter);
    if (subjects === undefined) {
      subjects = new Map();
      this.#meters.set(meter, subjects);
    }
    const cell = this.#place({ meter, subject, dimensions });
    const known = subjects.get(subject);
    if (known === undefined && text === '') subjects.set(subject, cell);
    else if (known instanceof Map) known.set(text, cell);
    else
      subjects.set(
        subject,
        new Map(
          known === undefined
            ? [[text, cell]]
            : [
                ['', known],
                [text, cell],
              ],
        ),
      );
    return cell;
  }

  /** A few more keys than the bound, one a meter, so that no unit is lost. Beyond twice the bound nothing is taken. */
  #overflowCell(meter: string): Cell | null {
    let cell = this.#overflow.get(meter);
    if (cell === undefined) {
      if (this.#overflow.size >= this.settings.keysMax) return null;
      cell = this.#place({ meter, subject: '', dimensions: overflowed });
      this.#overflow.set(meter, cell);
    }
    this.overflowed++;
    return cell;
  }

  #place(key: Key): Cell {
    const cell = new Cell(key, this.#open.cells.length);
    this.#open.cells.push(cell);
    return cell;
  }

  /**
   * A clock that steps back by less than a bucket stays in the bucket it has begun; by more, it is believed: it was wrong
   * before, and the server takes what comes late.
   */
  #follow(now: number): void {
    const { start, end } = this.#open;
    if (now >= end || now < start - this.settings.bucketMs) this.#turn(now);
  }

  #turn(now: number): void {
    const table = this.#open;
    table.over = true;
    if (table.cells.length > 0) this.#over.push(table);
    this.#open = this.#newTable(now);
    this.#meters = new Map();
    this.#overflow = new Map();
    this.#frozen = new Map();
  }

  #newTable(now: number): Table {
    const { bucketMs } = this.settings;
    const start = Math.floor(now / bucketMs) * bucketMs;
    return new Table(this.#nextTable++, start, start + bucketMs);
  }
}

const isFrozen = (measure: Measure): boolean =>
  Object.isFrozen(measure) && (measure.dimensions === undefined || Object.isFrozen(measure.dimensions));

const isWhole = (value: Whole): boolean =>
  typeof value === 'number' ? Number.isSafeInteger(value) && value >= 0 : typeof value === 'bigint' && value >= 0n;

/** name, value ... ordered by name; null when a value is no text. */
const dimensionsOf = (dimensions: Readonly<Record<string, string>>): readonly string[] | null => {
  const pairs: string[] = [];
  let last = '';
  let ordered = true;
  for (const name in dimensions) {
    const value = dimensions[name];
    if (typeof value !== 'string') return null;
    if (name < last) ordered = false;
    last = name;
    pairs.push(name, value);
  }
  if (ordered) return pairs;
  return Object.entries(dimensions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flat();
};

const isText = (text: unknown, bytes: number): text is string =>
  typeof text === 'string' &&
  // Half a surrogate pair or a control character would be refused by the server with the whole batch.
  (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) &&
  !/\p{Surrogate}/u.test(text) &&
  !hasControl(text);

const hasControl = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
};

const isKey = (meter: string, subject: string, dimensions: readonly string[]): boolean =>
  meter !== '' &&
  isText(meter, limits.attributeBytes) &&
  isText(subject, limits.attributeBytes) &&
  dimensions.length <= limits.dimensions * 2 &&
  dimensions.every(
    (text, i) => isText(text, limits.dimensionBytes) && (i % 2 === 1 || (text !== '' && !taken.has(text))),
  );
