/** Rows of one table on their way into it, split so that no insert meets the engine's bound of 100 partitions. */
import type { Instant } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import type { HeldLane } from './lane.ts';
import { type ColumnSpec, NativeBlock } from './native-block.ts';

/** Partitions are months. A stretch of 28 days meets at most two of them: 45 stretches, at most 90 months. */
const STRETCH_MS = 28 * 86_400_000;
const STRETCHES_MAX = 45;
/** The bucket columns are DateTime: seconds in 32 bits. */
const INSTANT_END = 2 ** 32 * 1000;
/** Bounds of one insert: the engine forms one part of a month's rows up to a million. */
const BYTES_MAX = 48 * 1024 * 1024;
const ROWS_MAX = 1_000_000;
/** How often the bytes are counted. */
const LOOK_ROWS = 256;

/** Blocks of finished commits by table: their columns have grown to what is needed, so steady ingest allocates nothing. */
const spare = new Map<string, NativeBlock[]>();
const SPARE_MAX = 4;

export interface Table {
  name: string;
  columns: readonly ColumnSpec[];
}

export class Batch {
  private readonly table: Table;
  private readonly done: NativeBlock[] = [];
  private readonly stretches = new Set<number>();
  private out: NativeBlock;
  private stretchFrom = 0;
  rows = 0;

  constructor(table: Table) {
    this.table = table;
    this.out = this.open();
  }

  /** Where a row at `t` goes. The caller writes all its columns, and ends it. */
  row(t: Instant): NativeBlock {
    if (t < this.stretchFrom || t >= this.stretchFrom + STRETCH_MS || this.rows === 0) this.enter(t);
    const { rows } = this.out;
    if (rows % LOOK_ROWS === LOOK_ROWS - 1 && (rows >= ROWS_MAX - LOOK_ROWS || this.out.length > BYTES_MAX))
      this.split(t);
    this.rows++;
    return this.out;
  }

  async insert(lane: HeldLane): Promise<void> {
    for (const out of [...this.done, this.out]) {
      if (out.rows > 0) await lane.insert(this.table.name, this.table.columns, out);
    }
  }

  /** Call when the engine has let go of the rows. */
  release(): void {
    const { name } = this.table;
    const kept = spare.get(name) ?? [];
    for (const block of [...this.done.splice(0), this.out]) {
      block.clear();
      if (kept.length < SPARE_MAX) kept.push(block);
    }
    spare.set(name, kept);
    this.out = new NativeBlock([]);
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
    this.out = this.open();
    this.stretches.clear();
    this.stretches.add(Math.floor(t / STRETCH_MS));
  }

  private open(): NativeBlock {
    return spare.get(this.table.name)?.pop() ?? new NativeBlock(this.table.columns);
  }
}
