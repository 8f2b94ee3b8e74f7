/** Runs a sample soon after the start, then again and again, earlier when there is doubt. One at a time. */
import type { Randomness } from '../environment.ts';
import { realRandomness } from '../real.ts';
import { realTimers, type Timers } from './timers.ts';

export interface SampleOptions {
  /** Between two samples, on average; each wait is 0.9 to 1.1 of it, so that many processes do not list at once. Default 1 h. */
  readonly sampleEveryMs?: number;
  /** After something that may have put a level wrong; doubled while samples do not settle it. Default 1 min. */
  readonly healAfterMs?: number;
  /** The first sample comes within this time. Default 10 s. */
  readonly firstWithinMs?: number;
  readonly timers?: Timers;
  readonly random?: Pick<Randomness, 'fraction'>;
}

const HOUR = 3_600_000;

export class Sampler {
  /** Samples that failed; the levels stayed as they were. */
  failed = 0;
  readonly #sample: () => Promise<boolean>;
  readonly #timers: Timers;
  readonly #random: Pick<Randomness, 'fraction'>;
  readonly #everyMs: number;
  readonly #healMs: number;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #doubt = false;
  #patienceMs: number;
  #open = true;

  /** `sample` answers whether everything is settled, and may reject. */
  constructor(options: SampleOptions, sample: () => Promise<boolean>) {
    this.#everyMs = options.sampleEveryMs ?? HOUR;
    this.#healMs = options.healAfterMs ?? 60_000;
    if (!(this.#everyMs > 0 && this.#healMs > 0)) throw new RangeError('sample intervals must be more than 0 ms');
    this.#patienceMs = this.#healMs;
    this.#sample = sample;
    this.#timers = options.timers ?? realTimers;
    this.#random = options.random ?? realRandomness;
    this.#arm((options.firstWithinMs ?? 10_000) * this.#random.fraction());
  }

  /** Samples now, or waits for the one that runs. Never rejects. */
  now(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** A level may be wrong: look before the regular time. */
  soon(): void {
    if (this.#doubt) return;
    this.#doubt = true;
    // One that runs arms the timer itself when it ends.
    if (!this.#running) this.#arm(this.#patienceMs);
  }

  close(): void {
    this.#open = false;
    this.#cancel?.();
  }

  async #run(): Promise<void> {
    this.#cancel?.();
    this.#doubt = false;
    let isSettled = false;
    try {
      isSettled = await this.#sample();
    } catch {
      this.failed += 1;
    }
    this.#patienceMs = isSettled ? this.#healMs : Math.min(this.#patienceMs * 2, this.#everyMs);
    if (isSettled && !this.#doubt) this.#arm(this.#everyMs * (0.9 + 0.2 * this.#random.fraction()));
    else this.#arm(Math.min(this.#patienceMs, this.#everyMs));
  }

  #arm(ms: number): void {
    this.#cancel?.();
    if (this.#open) this.#cancel = this.#timers.after(ms, () => void this.now());
  }
}
