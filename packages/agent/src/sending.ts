/** Keeps a publisher sending beside whoever measures, and ends it in bounded time. */
import type { Clock } from './environment.ts';

/** True: everything is acknowledged. */
type Drain = (signal: AbortSignal) => Promise<boolean>;

export class Sending {
  readonly #clock: Clock;
  readonly #abandon = new AbortController();
  readonly #done: Promise<void>;
  #closing = false;
  #ring: () => void = () => undefined;

  /** Begins at once. */
  constructor(drain: Drain, clock: Clock) {
    this.#clock = clock;
    this.#done = this.#loop(drain);
  }

  /** There is something new to send. */
  ring(): void {
    this.#ring();
  }

  /** Sends what is left, for up to `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#ring();
    const limit = this.#clock.sleep(graceMs, this.#abandon.signal).then(() => {
      this.#abandon.abort();
      this.#ring();
    });
    await this.#done;
    this.#abandon.abort();
    await limit;
  }

  async #loop(drain: Drain): Promise<void> {
    while (!this.#abandon.signal.aborted) {
      const rung = new Promise<void>((resolve) => {
        this.#ring = resolve;
      });
      const empty = await drain(this.#abandon.signal);
      if (empty && this.#closing) return;
      await rung;
    }
  }
}
