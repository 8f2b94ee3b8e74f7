/**
 * Sums at write time. `add` reads the clock and adds to the cell of its key in the table of the current bucket, at once or
 * with the next few hundred, before anybody looks: no I/O, no waiting. A frozen measure is known by its identity. Tried and refused: one map with a joined key text (the join
 * and its hash cost more than the lookup), and cells that live longer than their bucket (they need a sweep, which is a
 * burst).
 */
import { limits } from '@tollgate/event';
import type { Clock } from '../environment.ts';
import { Cells } from './cells.ts';
import { Later } from './later.ts';
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
/** Taken this long after a bucket's end, what tellers hold is the next one's. */
const TOLD_MS = 1000;
/** A level's time and a sum's are fields of the event's data, so no dimension may be called so. */
const taken = new Set(['value', 'count']);

export class Sums implements Recorder {
  readonly settings: SumsSettings;
  readonly #clock: Clock;
  #nextTable: number;
  #open: Table;
  #cells = new Cells();
  /** By identity, for measures that cannot change: who measures the same again and again holds on to one. */
  #frozen = new Map<Measure, Cell>();
  #overflow = new Map<string, Cell>();
  readonly #later = new Later();
  #refused = 0;
  #overflowed = 0;
  #added = 0;
  readonly #tellers = new Set<() => void>();
  #isTelling = false;
  #isClosed = false;
  /** Tables that are over and that nobody has taken yet. */
  #over: Table[] = [];

  /** `firstTable`: number of the first table, above all that the spool has known. */
  constructor(clock: Clock, settings: SumsSettings = sumsDefaults, firstTable = 1) {
    this.#clock = clock;
    this.settings = settings;
    this.#nextTable = firstTable;
    this.#open = this.#newTable(clock.now());
  }

  /** Measurements that were not taken: not a whole number, negative, or a key the server would refuse. */
  get refused(): number {
    this.#sumUp();
    return this.#refused;
  }

  /** Measurements that were summed without their subject, because there were too many keys. */
  get overflowed(): number {
    this.#sumUp();
    return this.#overflowed;
  }

  /** Measurements taken. */
  get added(): number {
    this.#sumUp();
    return this.#added;
  }

  add(measure: Measure, quantity: Whole, times = 1): void {
    if (this.#isClosed) {
      this.#refused++;
      return;
    }
    if (!this.#isTelling) this.#follow(this.#clock.now());
    const { meter, subject, dimensions } = measure;
    // Made for the call and without dimensions, as most are.
    if (times === 1 && dimensions === undefined && Object.isExtensible(measure)) {
      if (this.#later.push(meter, subject, quantity)) this.#sumUp();
      return;
    }
    const isTakeable = isWhole(quantity) && isWhole(times) && times > 0;
    this.#addTo(isTakeable ? this.#cell(measure) : null, quantity, times);
  }

  set(measure: Measure, level: Whole): void {
    if (this.#isClosed) {
      this.#refused++;
      return;
    }
    if (!this.#isTelling) this.#follow(this.#clock.now());
    const cell = this.#touch(isWhole(level) ? this.#cell(measure) : null, 1);
    if (cell === null) return;
    cell.level = level;
    cell.levelAt = Math.min(Math.max(this.#clock.now(), this.#open.start), this.#open.end - 1);
  }

  beforeTake(tell: () => void): () => void {
    this.#tellers.add(tell);
    return () => this.#tellers.delete(tell);
  }

  /** The tables that are over since the last call, oldest first; what is in them belongs to the caller. */
  takeOver(): Table[] {
    const now = this.#clock.now();
    if (now >= this.#open.end + TOLD_MS) this.#follow(now);
    this.#tell();
    this.#follow(now);
    if (this.#over.length === 0) return none as unknown as Table[];
    const over = this.#over;
    this.#over = [];
    return over;
  }

  /** The table of the current bucket. */
  get open(): Table {
    this.#sumUp();
    return this.#open;
  }

  /** Ends the current bucket now, for a stop: what comes later goes to another table of the same bucket. */
  turn(): void {
    this.#tell();
    this.#turn(this.#clock.now());
  }

  /** From now on everything is refused: nobody takes the sums any more. */
  close(): void {
    this.#tell();
    this.#sumUp();
    this.#isClosed = true;
  }

  /** What is told was measured since the last time, so it belongs to the bucket of that time, however it stands now. */
  #tell(): void {
    this.#isTelling = true;
    try {
      for (const tell of this.#tellers) tell();
    } finally {
      this.#isTelling = false;
    }
  }

  /** What was put off. Before anything of the bucket is looked at, and before it ends. */
  #sumUp(): void {
    this.#later.drain(this.#addOne);
  }

  readonly #addOne = (meter: string, subject: string, quantity: Whole): void => {
    const cell = isWhole(quantity)
      ? (this.#cells.find(meter, subject, none) ?? this.#newCell(meter, subject, none))
      : null;
    this.#addTo(cell, quantity, 1);
  };

  #addTo(into: Cell | null, quantity: Whole, times: number): void {
    const cell = this.#touch(into, times);
    if (cell === null) return;
    cell.freshCount += times;
    cell.freshSum = plus(cell.freshSum, quantity);
  }

  /** Notes the cell for the next flush; null: the measurement is refused. */
  #touch(cell: Cell | null, times: number): Cell | null {
    if (cell === null) {
      this.#refused++;
      return null;
    }
    this.#added += times;
    if (cell.freshCount === 0 && cell.levelAt < 0) this.#open.touched.push(cell);
    return cell;
  }

  #cell(measure: Measure): Cell | null {
    return this.#frozen.get(measure) ?? this.#find(measure);
  }

  #find(measure: Measure): Cell | null {
    const { meter, subject, dimensions } = measure;
    const names = dimensions === undefined ? none : dimensionsOf(dimensions);
    if (names === null) return null;
    let cell = this.#cells.find(meter, subject, names) ?? null;
    if (cell === null) {
      // Keys keep the order they came in.
      this.#sumUp();
      cell = this.#cells.find(meter, subject, names) ?? this.#newCell(meter, subject, names);
    }
    if (cell !== null && isFrozen(measure) && this.#frozen.size < this.settings.keysMax)
      this.#frozen.set(measure, cell);
    return cell;
  }

  #newCell(meter: string, subject: string, dimensions: readonly string[]): Cell | null {
    if (!isKey(meter, subject, dimensions)) return null;
    if (this.#open.cells.length >= this.settings.keysMax) return this.#overflowCell(meter);
    const cell = this.#place({ meter, subject, dimensions });
    this.#cells.add(cell);
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
    this.#overflowed++;
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
    this.#sumUp();
    const table = this.#open;
    table.over = true;
    if (table.cells.length > 0) this.#over.push(table);
    this.#open = this.#newTable(now);
    this.#cells = new Cells();
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
