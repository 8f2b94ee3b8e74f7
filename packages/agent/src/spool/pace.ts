/**
 * How fast buckets become portions. Steady: the records of a bucket are spread over most of the next one, so that its end
 * is no burst and no pause follows. Tried and refused: a portion at every flush until none waits (a third of the time
 * with ten requests a second, and then none).
 */
import type { SpoolSettings } from './settings.ts';

export class Pace {
  readonly #portionRecords: number;
  /** Flushes in which a bucket is done. */
  readonly #flushes: number;
  /** Records a flush, and records that may be taken now. */
  #perFlush = 0;
  #credit: number;
  #levels = 0;
  #hurried = false;

  constructor({ portionRecords, flushMs }: SpoolSettings, bucketMs: number) {
    this.#portionRecords = portionRecords;
    this.#flushes = Math.max(1, Math.floor((bucketMs * 4) / 5 / flushMs));
    this.#credit = portionRecords;
  }

  get hurried(): boolean {
    return this.#hurried;
  }

  /** From now on all goes at once. */
  hurry(): void {
    this.#hurried = true;
  }

  /** A flush begins, and `due` records wait. The first portion of a bucket goes at once. */
  turn(due: number): void {
    this.#perFlush = due === 0 ? 0 : Math.max(this.#perFlush, Math.ceil(due / this.#flushes));
    this.#credit = due === 0 ? this.#portionRecords : this.#credit + this.#perFlush;
    this.#levels = Math.max(this.#portionRecords, this.#perFlush);
  }

  /** May a portion of `waiting` records be made? */
  allows(waiting: number): boolean {
    return this.#hurried || this.#credit >= Math.min(this.#portionRecords, waiting);
  }

  get allowsLevels(): boolean {
    return this.#hurried || this.#levels > 0;
  }

  spend(records: number): void {
    this.#credit -= records;
  }

  spendLevels(records: number): void {
    this.#levels -= records;
  }
}
