/**
 * Buckets that are over become portions here. Two lines a life, each a run of its own: one for what is measured in it, one
 * for the sums and portions an earlier life left. So the backlog can wait while fresh portions go, and each run is
 * sent in the order of its numbers.
 */
import type { Sums } from '../measure/sums.ts';
import type { Table } from '../measure/table.ts';
import type { Writer } from './bytes.ts';
import { FRAME_HEAD } from './frames.ts';
import { isWhole, joinedLength, joinTables, sharesBucket } from './join.ts';
import { Pace } from './pace.ts';
import { choose, type Portion, type Stored, writePortion } from './portion.ts';
import { PortionQueue } from './queue.ts';
import type { Recovered } from './recover.ts';
import type { SpoolSettings } from './settings.ts';

interface Line {
  readonly run: string;
  next: number;
  /** Buckets that are over and not wholly in portions. */
  tables: Table[];
  /** Portions that may be sent. */
  readonly queue: PortionQueue;
  /** Buckets are joined into such of this length, ms; 0: the server keeps up. */
  joinMs: number;
}

/** Portions of one run whose numbers follow each other. */
export interface Batch {
  readonly run: string;
  readonly first: number;
  readonly portions: readonly Portion[];
  /** 0: nothing can be said. */
  readonly completeThrough: number;
}

export class Lines {
  readonly sums: Sums;
  readonly #settings: SpoolSettings;
  readonly #backlog: Line;
  readonly #fresh: Line;
  readonly #pace: Pace;
  #nextPortion: number;
  /** The latest instant a portion declares. */
  #declared = 0;

  constructor(sums: Sums, found: Recovered, life: string, settings: SpoolSettings) {
    this.sums = sums;
    this.#settings = settings;
    this.#backlog = { run: `${life}-r`, next: 1, tables: found.tables, queue: new PortionQueue(), joinMs: 0 };
    this.#fresh = { run: life, next: 1, tables: [], queue: new PortionQueue(), joinMs: 0 };
    this.#nextPortion = found.nextPortion;
    this.#pace = new Pace(settings, sums.settings.bucketMs);
    for (const portion of found.portions) {
      this.#declare(portion);
      this.#backlog.queue.push(portion);
    }
  }

  /** Takes over the buckets that are over. To be called with what is read next, without a wait between. */
  collect(): void {
    for (const table of this.sums.takeOver()) this.#fresh.tables.push(table);
  }

  /** All tables with something not in portions, and the open one. */
  get tables(): Table[] {
    return [...this.#backlog.tables, ...this.#fresh.tables, this.sums.open];
  }

  /** Something is to be flushed or to be put in portions. */
  get hasWork(): boolean {
    const { touched, levels } = this.sums.open;
    return touched.length + levels.length + this.#fresh.tables.length + this.#backlog.tables.length > 0;
  }

  /** Number of the next portion to be made. */
  get nextPortion(): number {
    return this.#nextPortion;
  }

  /** Portions that may be sent, by number. */
  get queued(): Stored[] {
    return [...this.#backlog.queue, ...this.#fresh.queue].sort((a, b) => a.number - b.number);
  }

  /** Records of buckets that are over, not yet in portions. */
  get waiting(): number {
    return waitingIn(this.#backlog) + waitingIn(this.#fresh);
  }

  /** Of them, those that are not held back to be joined with what comes. */
  get due(): number {
    let due = 0;
    for (const line of [this.#backlog, this.#fresh])
      for (const table of line.tables) if (!this.#isHeld(line, table)) due += table.waiting;
    return due;
  }

  /** The server is away, and what is measured is joined. */
  get isJoining(): boolean {
    return this.#fresh.joinMs > 0;
  }

  get ready(): number {
    return this.#backlog.queue.records + this.#fresh.queue.records;
  }

  /** Records of an earlier life. */
  get backlog(): number {
    return this.#backlog.queue.records + waitingIn(this.#backlog);
  }

  enqueue(portion: Stored): void {
    const line = portion.run === this.#fresh.run ? this.#fresh : this.#backlog;
    line.queue.push(portion);
  }

  /**
   * A portion about an earlier time than was declared follows a clock that was set back: what waits before it must not
   * declare that time any more.
   */
  #declare({ from, completeThrough }: Portion): void {
    if (from < this.#declared) {
      for (const earlier of this.queued) earlier.completeThrough = Math.min(earlier.completeThrough, from);
      this.#declared = from;
    }
    this.#declared = Math.max(this.#declared, completeThrough);
  }

  /** Removes portions from the fronts of both lines. */
  drop(gone: (portion: Stored) => boolean): Stored[] {
    return [...this.#backlog.queue.drop(gone), ...this.#fresh.queue.drop(gone)];
  }

  /** The oldest bucket that only memory has; undefined: none. It is given up. */
  giveUpOldest(): Table | undefined {
    return this.#fresh.tables.shift();
  }

  next(max: number, which: 'fresh' | 'backlog'): Batch | null {
    const [own, other] = which === 'fresh' ? [this.#fresh, this.#backlog] : [this.#backlog, this.#fresh];
    const portions = own.queue.upTo(max);
    const [first, last] = [portions[0], portions.at(-1)];
    if (first === undefined || last === undefined) return null;
    // A declaration counts on all portions made before: the other line may still hold one.
    const alone = other.queue.first === undefined || other.queue.first.number > last.number;
    // It was true when the portion was made. The clock may have been set back since, or was wrong then.
    const completeThrough = alone ? Math.min(last.completeThrough, this.frontier()) : 0;
    return { run: first.run, first: first.first, portions, completeThrough };
  }

  /** Where an empty batch of the fresh run stands, and everything before which instant is in portions. */
  declaration(): Batch {
    return { run: this.#fresh.run, first: this.#fresh.next, portions: [], completeThrough: this.frontier() };
  }

  /** Everything measured before this instant is in portions. A bucket that has ended is not, nobody may have taken it yet. */
  frontier(): number {
    this.collect();
    return this.#frontier();
  }

  /** For a stop: all that waits becomes portions with the next flush. */
  hurry(): void {
    this.#pace.hurry();
  }

  /** While the server is away, buckets that are over are joined. `bytes`: of the log. */
  join(writer: Writer, bytes: number): void {
    const { behindMs } = this.#settings;
    for (const line of [this.#backlog, this.#fresh]) {
      const oldest = line.queue.first;
      const isBehind = oldest !== undefined && this.sums.open.start - oldest.from >= behindMs;
      line.joinMs = isBehind ? joinedLength(bytes, this.#settings) : 0;
      if (line.joinMs > 0 && line.tables.length > 1)
        line.tables = joinTables(writer, line.tables, line.joinMs, this.sums.settings.keysMax);
    }
  }

  /** Some at each flush, as the pace allows. Offsets count from `kept`. */
  make(writer: Writer, kept: number): Stored[] {
    this.#pace.turn(this.due);
    const made: Stored[] = [];
    for (const line of [this.#backlog, this.#fresh]) {
      for (const table of line === this.#fresh ? [...line.tables, this.sums.open] : line.tables) {
        while (this.#isNext(line, table)) {
          const portion = this.#makeOne(writer, kept, line, table);
          if (portion === null) continue;
          if (this.#isFree(line, table)) this.#pace.spend(portion.records);
          else this.#pace.spendLevels(portion.records);
          made.push(portion);
        }
      }
      if (line.tables.length > 0) line.tables = line.tables.filter((table) => table.waiting > 0);
    }
    return made;
  }

  /** Levels go before their bucket is over; while the server is away only in whole portions. */
  #isNext(line: Line, table: Table): boolean {
    const { portionRecords } = this.#settings;
    if (this.#isFree(line, table)) return table.waiting > 0 && this.#pace.allows(table.waiting);
    return table.levels.length >= (line.joinMs > 0 ? portionRecords : 1) && this.#pace.allowsLevels;
  }

  /** Its sums may go. */
  #isFree(line: Line, table: Table): boolean {
    return table.over && !this.#isHeld(line, table);
  }

  /** More may be joined with it: its length is not over, and it has room. An earlier life's do not grow. */
  #isHeld(line: Line, table: Table): boolean {
    const { sums } = this;
    if (line.joinMs === 0 || line !== this.#fresh || !isWhole(table) || this.#pace.hurried) return false;
    return table.cells.length < sums.settings.keysMax && sharesBucket(table, sums.open, line.joinMs);
  }

  #makeOne(writer: Writer, kept: number, line: Line, table: Table): Stored | null {
    const taken = choose(table, this.#settings.portionRecords, this.#isFree(line, table));
    if (taken.records === 0) {
      table.portioned = taken.portionedTo;
      return null;
    }
    const at = writer.length;
    const isLast = table.over && table.waiting === taken.levels + taken.portionedTo - table.portioned;
    const completeThrough = this.#frontier(isLast ? table : undefined);
    const head = { number: this.#nextPortion++, run: line.run, first: line.next, completeThrough };
    line.next += taken.records;
    writePortion(writer, table, taken, head);
    const portion = { ...head, records: taken.records, from: table.start, to: table.end };
    this.#declare(portion);
    return {
      ...portion,
      segment: 0,
      offset: at - kept + FRAME_HEAD,
      length: writer.length - at - FRAME_HEAD,
      payload: null,
    };
  }

  /** Everything before this instant is in portions. `done`: a table whose last portion is being made. */
  #frontier(done?: Table): number {
    let through = this.sums.open.start;
    for (const line of [this.#backlog, this.#fresh])
      for (const table of line.tables)
        if (table !== done && table.waiting > 0) through = Math.min(through, table.start);
    return through;
  }
}

const waitingIn = ({ tables }: Line): number => {
  let sum = 0;
  for (const table of tables) sum += table.waiting;
  return sum;
};
