/** Seeded randomness: one seed is one run, whatever the machine. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed ^ 0x9e3779b9) >>> 0;
    for (let i = 0; i < 4; i++) this.fraction();
  }

  /** 0 <= x < 1 (mulberry32). */
  fraction(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }
  /** 0 <= n < end. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }
  chance(p: number): boolean {
    return this.fraction() < p;
  }
  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}
