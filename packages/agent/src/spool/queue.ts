/** Portions on their way, in order. Taking from the front costs nothing, also with 100,000 behind it. */
import type { Stored } from './portion.ts';

export class PortionQueue {
  #items: Stored[] = [];
  #head = 0;
  /** Records in all of them. */
  records = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Stored | undefined {
    return this.#items[this.#head];
  }

  push(portion: Stored): void {
    this.#items.push(portion);
    this.records += portion.records;
  }

  /** Those of one run whose numbers follow each other, up to `max` records, at least one portion. */
  upTo(max: number): Stored[] {
    const taken: Stored[] = [];
    let next = 0;
    let records = 0;
    for (let i = this.#head; i < this.#items.length; i++) {
      const portion = this.#items[i] as Stored;
      const follows = portion.run === taken[0]?.run && portion.first === next;
      if (taken.length > 0 && (!follows || records + portion.records > max)) break;
      taken.push(portion);
      records += portion.records;
      next = portion.first + portion.records;
    }
    return taken;
  }

  /** Removes from the front what `gone` says. */
  drop(gone: (portion: Stored) => boolean): Stored[] {
    const dropped: Stored[] = [];
    for (let first = this.first; first !== undefined && gone(first); first = this.first) {
      dropped.push(first);
      this.records -= first.records;
      this.#head++;
    }
    if (this.#head > 1000 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return dropped;
  }

  *[Symbol.iterator](): Iterator<Stored> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as Stored;
  }
}
