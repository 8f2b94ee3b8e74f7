/** Seeded randomness: one seed gives one run. splitmix64, so that neighbouring seeds give unrelated runs. */
import type { Randomness } from 'tollgate/domain/environment.js';

const MASK = 0xffff_ffff_ffff_ffffn;

export class Lots implements Randomness {
  #state: bigint;

  constructor(seed: number | bigint) {
    this.#state = BigInt(seed) & MASK;
  }

  #next(): bigint {
    this.#state = (this.#state + 0x9e37_79b9_7f4a_7c15n) & MASK;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK;
    return z ^ (z >> 31n);
  }

  /** 0 <= x < 1, 53 bits. */
  fraction(): number {
    return Number(this.#next() >> 11n) / 2 ** 53;
  }

  hex(bytes: number): string {
    let out = '';
    while (out.length < bytes * 2) out += this.#next().toString(16).padStart(16, '0');
    return out.slice(0, bytes * 2);
  }

  /** A whole number, first <= x <= last. */
  int(first: number, last: number): number {
    return first + Math.floor(this.fraction() * (last - first + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const one = from[this.int(0, from.length - 1)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }

  /** A stream of its own, so that what one part draws does not shift what another sees. */
  branch(): Lots {
    return new Lots(this.#next());
  }
}
