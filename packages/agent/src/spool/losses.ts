/** What could not be kept, as intervals: remembered in the log, bounded by joining neighbours. */
import type { Writer } from './bytes.ts';
import type { Recovered } from './recover.ts';
import type { SpoolSettings } from './settings.ts';
import { type LostInterval, writeLost } from './snapshot.ts';

const MAX = 1000;

interface Pending {
  interval: LostInterval;
  table: number;
}

export class Losses {
  #all: LostInterval[] = [];
  #unwritten: Pending[] = [];

  constructor(known: readonly LostInterval[]) {
    // A snapshot may hold what a frame behind it says again.
    const seen = new Set<string>();
    for (const interval of known) {
      const text = Object.values(interval).join(' ');
      if (!seen.has(text)) this.#all.push(interval);
      seen.add(text);
    }
  }

  get all(): readonly LostInterval[] {
    return this.#all;
  }

  /**
   * The life before ended without a word. All it had measured up to the last flush is in the log, so what it lost lies
   * behind that; and it was dead before its next sign of life was due.
   */
  crash({ stopped, coveredAt, aliveAt }: Recovered, now: number, settings: SpoolSettings): LostInterval | null {
    if (stopped) return null;
    const latest = aliveAt + settings.heartbeatMs + settings.flushMs;
    // A clock that was set back in between makes `now` no bound.
    const to = now > aliveAt ? Math.min(now, latest) : latest;
    const interval = { from: coveredAt, to: Math.max(to, coveredAt + 1), records: 0, reason: 'crash' } as const;
    this.#all.push(interval);
    return interval;
  }

  /** `table`: goes with the interval, whole; 0: none. */
  add(interval: LostInterval, table = 0): void {
    this.#unwritten.push({ interval, table });
    const last = this.#all.at(-1);
    if (last !== undefined && last.reason === interval.reason && (touch(last, interval) || this.#all.length >= MAX))
      this.#all[this.#all.length - 1] = joined(last, interval);
    else this.#all.push(interval);
    if (this.#all.length > MAX)
      this.#all.splice(0, 2, joined(...(this.#all.slice(0, 2) as [LostInterval, LostInterval])));
  }

  write(writer: Writer): void {
    for (const { interval, table } of this.#unwritten) writeLost(writer, interval, table);
    this.#unwritten = [];
  }
}

const touch = (a: LostInterval, b: LostInterval): boolean => a.from <= b.to && b.from <= a.to;

const joined = (a: LostInterval, b: LostInterval): LostInterval => ({
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
  records: a.records + b.records,
  reason: b.reason,
});
