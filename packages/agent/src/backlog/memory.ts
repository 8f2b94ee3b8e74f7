/** Readings in memory: all of the queue where there is no disk, and what the disk has not yet taken where there is one. */
import { type Batch, batchOf, extentOf, fitting, type ReadingsQueue } from './flight.ts';
import { type Part, type Portion, partsOf } from './pass.ts';
import { ENDS_ONLY, QUARTER, thin } from './thin.ts';

export class MemoryQueue implements ReadingsQueue {
  readonly forcedOut = 0;
  /** Readings given up between others: they cost no total. */
  thinned = 0;
  readonly #id: string;
  readonly #max: number;
  readonly #thinning: (dropped: number) => void;
  #parts: Part[] = [];
  #queued = 0;
  #flight: { parts: Part[]; items: number; batch: Batch } | null = null;
  #runs = 0;
  #sequence = 1;

  /** `max`: readings beyond which it is thinned; `thinning` is then told how many went. */
  constructor(id: string, max: number, thinning: (dropped: number) => void) {
    this.#id = id;
    this.#max = max;
    this.#thinning = thinning;
  }

  get waiting(): number {
    return this.#queued + (this.#flight?.items ?? 0);
  }

  /** Nothing waits, what is on its way aside. */
  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** What is on its way. */
  get flying(): readonly Part[] {
    return this.#flight?.parts ?? [];
  }

  offer(portion: Portion): void {
    this.#parts.push(...partsOf(portion));
    this.#count();
  }

  async next(): Promise<Batch | null> {
    if (this.#flight !== null || this.#parts.length === 0) return this.#flight?.batch ?? null;
    const parts = this.#parts.splice(0, fitting(this.#parts.map(extentOf)));
    const items = sum(parts);
    this.#flight = { parts, items, batch: batchOf(parts, this.#run, this.#sequence) };
    this.#sequence += items;
    this.#queued -= items;
    return this.#flight.batch;
  }

  settle(taken: boolean): void {
    const parts = this.#flight?.parts ?? [];
    this.#flight = null;
    for (const { settled } of parts) settled(taken);
  }

  /** Everything that waits, out of the queue. */
  takeAll(): Part[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#queued = 0;
    return parts;
  }

  /** They could not be put elsewhere. */
  putBack(parts: readonly Part[]): void {
    this.#parts = [...parts, ...this.#parts];
    this.#count();
  }

  /** What is on its way was put elsewhere. Nobody knows whether its numbers arrived, so none of that run comes again. */
  ground(): void {
    if (this.#flight === null) return;
    this.#flight = null;
    this.#runs++;
    this.#sequence = 1;
  }

  get #run(): string {
    return this.#runs === 0 ? this.#id : `${this.#id}.${this.#runs}`;
  }

  #count(): void {
    this.#queued = sum(this.#parts);
    for (const window of [QUARTER, ENDS_ONLY]) {
      if (this.#queued <= this.#max) return;
      this.#parts = thin(this.#parts, window);
      const dropped = this.#queued - sum(this.#parts);
      this.#queued -= dropped;
      this.thinned += dropped;
      if (dropped > 0) this.#thinning(dropped);
    }
  }
}

const sum = (parts: readonly Part[]): number => parts.reduce((items, part) => items + part.items.length, 0);
