/**
 * Measurements that were taken and not yet summed. Summing many one after the other costs less than half of summing each
 * when it comes, in the middle of a request: code and cells are then in the processor's caches. The columns are arrays
 * of texts and numbers, as a measure may be changed by its owner after the call.
 */
import type { Whole } from './table.ts';

/** So many are kept at most. */
const MOST = 1024;

export class Later {
  readonly #meters: string[] = [];
  readonly #subjects: string[] = [];
  readonly #quantities: Whole[] = [];

  /** True: it is time to sum them. */
  push(meter: string, subject: string, quantity: Whole): boolean {
    this.#meters.push(meter);
    this.#subjects.push(subject);
    return this.#quantities.push(quantity) >= MOST;
  }

  /** Hands out all, in the order they came, and is empty. */
  drain(each: (meter: string, subject: string, quantity: Whole) => void): void {
    const count = this.#quantities.length;
    if (count === 0) return;
    for (let i = 0; i < count; i++)
      each(this.#meters[i] as string, this.#subjects[i] as string, this.#quantities[i] as Whole);
    this.#meters.length = this.#subjects.length = this.#quantities.length = 0;
  }
}
