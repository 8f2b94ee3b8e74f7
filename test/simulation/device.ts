/**
 * A simulated counter that knows its own traffic. It polls itself, resets, and says what an invoice may and may not
 * contain: the oracle of conservation. It shares no code with the delta engine.
 */
import type { Lots } from './lots.ts';

export interface Poll {
  readonly t: number;
  readonly value: bigint;
  readonly epoch: string;
  /** When the counter stood at zero; 0: the device does not tell. */
  readonly start: number;
}

interface Life {
  readonly epoch: string;
  readonly start: number;
  /** False for the first life: it began before anybody watched. */
  readonly startTold: boolean;
  readonly initial: bigint;
  value: bigint;
  polls: Poll[];
}

export class Device {
  readonly name: string;
  readonly #lots: Lots;
  readonly #lives: Life[] = [];
  #at: number;
  /** Everything that ever went through, polled or not. */
  truth = 0n;

  constructor(name: string, lots: Lots, now: number) {
    this.name = name;
    this.#lots = lots;
    this.#at = now;
    const initial = BigInt(lots.int(0, 2 ** 40));
    this.#lives.push({ epoch: `${name}/0`, start: now, startTold: false, initial, value: initial, polls: [] });
  }

  get #life(): Life {
    const life = this.#lives.at(-1);
    if (!life) throw new Error('a device has at least one life');
    return life;
  }

  /** Lets traffic flow until `now`: bursts, idle stretches, now and then a very large number. */
  flow(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = Math.max(this.#at, now);
    const rate = this.#lots.chance(0.3) ? 0 : this.#lots.int(0, this.#lots.chance(0.05) ? 2 ** 32 : 200_000);
    const bytes = BigInt(Math.floor(seconds * rate));
    this.#life.value += bytes;
    this.truth += bytes;
  }

  poll(now: number): Poll {
    this.flow(now);
    const life = this.#life;
    const poll = { t: now, value: life.value, epoch: life.epoch, start: life.startTold ? life.start : 0 };
    life.polls.push(poll);
    return poll;
  }

  /** A reboot: what flowed since the last poll is gone, the next value counts from zero. */
  reset(now: number): void {
    this.flow(now);
    this.#lives.push({
      epoch: `${this.name}/${this.#lives.length}`,
      start: now,
      startTold: true,
      initial: 0n,
      value: 0n,
      polls: [],
    });
  }

  /** What the polls show was used, exactly. Lives without a poll show nothing. */
  shown(): bigint {
    let sum = 0n;
    for (const life of this.#lives) {
      const first = life.polls[0];
      const last = life.polls.at(-1);
      if (first && last) sum += last.value - (life.startTold ? 0n : first.value);
    }
    return sum;
  }

  /** What flowed and no poll can show: before the first poll, after the last one of each life. */
  unseen(): bigint {
    let sum = 0n;
    for (const life of this.#lives) {
      const first = life.polls[0];
      const last = life.polls.at(-1);
      sum += last ? life.value - last.value : life.value - life.initial;
      if (first && !life.startTold) sum += first.value - life.initial;
    }
    return sum;
  }

  get resets(): number {
    return this.#lives.length - 1;
  }
}
