/** Rows of one table on their way into it, split so that no insert meets the engine's bound of 100 partitions. */
import type { Instant } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import type { HeldLane } from './lane.ts';
import { RowWriter } from './row-writer.ts';

/** Partitions are months. A stretch of 28 days meets at most two of them: 45 stretches, at most 90 months. */
const STRETCH_MS = 28 * 86_400_000;
const STRETCHES_MAX = 45;
/** The bucket columns are DateTime: seconds in 32 bits. */
const INSTANT_END = 2 ** 32 * 1000;
/** One insert's text; the engine forms one part of it up to a million rows. */
const BYTES_MAX = 48 * 1024 * 1024;

/**
 * The engine's lexer runs over the whole text of a raw insert, rows included, before its parser reads them: a third of
 * an insert's time. A first value of one quote makes it take (nearly) everything behind as one unfinished string. The
 * rows are the same; the column is ephemeral. Measured: a comment's start gains less, a heredoc's nothing.
 */
const HUSH = 'hush';

export class Batch {
  private readonly table: string;
  private readonly columns: readonly string[];
  private readonly hushed: boolean;
  private readonly done: RowWriter[] = [];
  private readonly stretches = new Set<number>();
  private out = new RowWriter();
  private stretchFrom = 0;
  rows = 0;

  constructor(table: string, columns: readonly string[], hushed = false) {
    this.table = table;
    this.hushed = hushed;
    this.columns = hushed ? [HUSH, ...columns] : columns;
  }

  /** The writer for a row at `t`, with room for `bytes`. The caller ends the row. */
  row(t: Instant, bytes: number): RowWriter {
    if (t < this.stretchFrom || t >= this.stretchFrom + STRETCH_MS || this.rows === 0) this.enter(t);
    if (this.out.length > BYTES_MAX) this.split(t);
    this.rows++;
    this.out.reserve(bytes);
    if (this.hushed) this.out.ascii(this.out.rows === 0 ? "'" : '');
    return this.out;
  }

  async insert(lane: HeldLane): Promise<void> {
    for (const out of [...this.done, this.out]) {
      if (out.rows > 0) await lane.insert(this.table, this.columns, out.encoded);
    }
  }

  release(): void {
    for (const out of [...this.done, this.out]) out.release();
  }

  private enter(t: Instant): void {
    if (!(t >= 0 && t < INSTANT_END)) {
      throw new StoreError('store.number_range', `An instant of ${t} ms is outside what the usage store can hold.`);
    }
    const stretch = Math.floor(t / STRETCH_MS);
    this.stretchFrom = stretch * STRETCH_MS;
    if (this.stretches.has(stretch)) return;
    if (this.stretches.size >= STRETCHES_MAX) this.split(t);
    this.stretches.add(stretch);
  }

  private split(t: Instant): void {
    this.done.push(this.out);
    this.out = new RowWriter();
    this.stretches.clear();
    this.stretches.add(Math.floor(t / STRETCH_MS));
  }
}
