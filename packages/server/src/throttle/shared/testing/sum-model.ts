/** Sums of several servers in memory: what the script in Redis does, by a clock of one's own. */
import type { Sum, SumAsk } from '../sum-store.ts';

interface Counter {
  memory: string;
  total: bigint;
  slices: Map<number, number>;
}

export class SumModel {
  private readonly now: () => number;
  private readonly counters = new Map<string, Counter>();
  private memories = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  exchange(asks: readonly SumAsk[]): Sum[] {
    return asks.map(({ counter: name, delta, again, keepMs, sliceMs, isJoining }) => {
      const at = this.now();
      const counter = this.counters.get(name) ?? { memory: String(++this.memories), total: 0n, slices: new Map() };
      this.counters.set(name, counter);
      const past = [...counter.slices]
        .map(([n, units]) => ({ ageMs: Math.max(0, at - (n + 1) * sliceMs), units }))
        .filter(({ ageMs }) => isJoining && ageMs < keepMs)
        .sort((a, b) => b.ageMs - a.ageMs);
      const slice = Math.floor(at / sliceMs);
      counter.slices.set(slice, (counter.slices.get(slice) ?? 0) + delta + again);
      counter.total += BigInt(delta);
      return { total: counter.total, memory: counter.memory, past };
    });
  }

  forget(): void {
    this.counters.clear();
  }
}
