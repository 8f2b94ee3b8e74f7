/**
 * Virtual time. Sleepers wake in the order of their instants (then of falling asleep); between two wakings every promise
 * that can settle without time passing has settled. A day of simulated work takes as long as its computing.
 */
import type { Clock } from 'tollgate/domain/environment.js';

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

export class VirtualTime {
  #now: number;
  #order = 0;
  #sleepers: Sleeper[] = [];
  #held = 0;

  constructor(start: number) {
    this.#now = start;
  }

  get now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper: Sleeper = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#order++, wake };
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        wake();
      };
      signal?.addEventListener('abort', abort);
      this.#sleepers.push(sleeper);
    });
  }

  /** A clock that shows this time plus an offset the simulation may change: a machine's wall clock. */
  clock(): MachineClock {
    return new MachineClock(this);
  }

  /** Work with the real disk: virtual time stands still until it is done, so that how long it takes changes nothing. */
  async real<T>(work: () => Promise<T>): Promise<T> {
    this.#held++;
    try {
      return await work();
    } finally {
      this.#held--;
    }
  }

  /** Lets time pass until `until`, or until `done` says so. */
  async run(until: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      do await settle();
      while (this.#held > 0);
      if (done()) return;
      const next = this.#take(until);
      if (!next) break;
      this.#now = next.at;
      next.wake();
    }
    this.#now = Math.max(this.#now, until);
  }

  /** Runs time forward until the promise settles; fails when nothing is left that could settle it. */
  async until<T>(promise: Promise<T>, within = 7 * 86_400_000): Promise<T> {
    let settled = false;
    const watch = promise.finally(() => {
      settled = true;
    });
    watch.catch(() => undefined);
    await this.run(this.#now + within, () => settled);
    if (!settled) throw new Error('the simulation waits for something that never happens');
    return watch;
  }

  #take(until: number): Sleeper | undefined {
    let best: Sleeper | undefined;
    for (const s of this.#sleepers) {
      if (s.at <= until && (!best || s.at < best.at || (s.at === best.at && s.order < best.order))) best = s;
    }
    if (best) this.#sleepers.splice(this.#sleepers.indexOf(best), 1);
    return best;
  }
}

/** Wall clocks step; elapsed time does not. */
export class MachineClock implements Clock {
  offset = 0;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }
  now(): number {
    return this.#time.now + this.offset;
  }
  elapsed(): number {
    return this.#time.now;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#time.sleep(ms, signal);
  }
}

/** Several turns of the event loop: code under test may yield with setImmediate between its steps. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
};
