/**
 * A level per tenant (bytes stored, users), moved by what is seen to change and set right by samples. It is unknown
 * until the first sample, and unknown is never published: a zero nobody measured would be billed.
 */
import type { Measure, Recorder } from '../measure/recorder.ts';

/** A sample during which the tenant changed is not believed, until this many in a row were like that. */
const PATIENCE = 3;

export class Level {
  readonly #recorder: Recorder;
  readonly #measure: Measure;
  #value: number | undefined;
  #open = 0;
  #moves = 0;
  #disturbed = 0;

  /** `value`: what is known of it from the start, and not worth publishing. */
  constructor(recorder: Recorder, measure: Measure, value?: number) {
    this.#value = value;
    this.#recorder = recorder;
    this.#measure = Object.freeze(measure);
  }

  /** undefined: not known yet, or no longer. */
  get value(): number | undefined {
    return this.#value;
  }

  /** A change begins; what a sample sees from now on may or may not contain it. */
  begin(): void {
    this.#open += 1;
  }

  /** It ended and moved the level by `delta`. False when the level cannot be right: only a sample can tell. */
  end(delta: number): boolean {
    this.#open -= 1;
    this.#moves += 1;
    if (this.#value === undefined || delta === 0) return true;
    const next = this.#value + delta;
    if (next >= 0) this.#publish(next);
    else this.#value = undefined;
    return next >= 0;
  }

  /** Remember it before a sample and give it to `settle` after. */
  mark(): number {
    return this.#open > 0 ? -1 : this.#moves;
  }

  /**
   * A sample found `value`. True when it was believed: nothing changed meanwhile, or never does nothing change. A level
   * that is known keeps its own sum over a disturbed sample, because that is the better figure.
   */
  settle(value: number, mark: number): boolean {
    const isQuiet = this.#open === 0 && mark === this.#moves;
    this.#disturbed = isQuiet ? 0 : this.#disturbed + 1;
    if (!isQuiet && this.#disturbed < PATIENCE) return false;
    this.#disturbed = 0;
    this.#publish(value);
    return isQuiet;
  }

  /** Nothing was found, of a subject that may not exist: zero from now on, but not published. */
  presumeNothing(mark: number): boolean {
    if (this.#open > 0 || mark !== this.#moves) return false;
    this.#value ??= 0;
    return true;
  }

  #publish(value: number): void {
    this.#value = value;
    this.#recorder.set(this.#measure, value);
  }
}
