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
  /** In the log. */
  readonly #known: LostInterval[] = [];
  /** In frames that are composed, and in none yet. */
  #composed: Pending[] = [];
  #unwritten: Pending[] = [];

  constructor(known: readonly LostInterval[]) {
    for (const interval of known) addTo(this.#known, interval);
  }

  /** Neighbours joined, oldest first. */
  get all(): readonly LostInterval[] {
    const all = [...this.#known];
    for (const { interval } of [...this.#composed, ...this.#unwritten]) addTo(all, interval);
    return all;
  }

  /** What a snapshot says: the rest has frames of its own. */
  get known(): readonly LostInterval[] {
    return this.#known;
  }

  /**
   * The life before ended without a word. All it had measured up to the last flush is in the log, so what it lost lies
   * behind that; and it was dead before its next sign of life was due. Said with the first snapshot.
   */
  crash({ stopped, coveredAt, aliveAt }: Recovered, now: number, settings: SpoolSettings): void {
    if (stopped) return;
    const latest = aliveAt + settings.heartbeatMs + settings.flushMs;
    // A clock that was set back in between makes `now` no bound.
    const to = now > aliveAt ? Math.min(now, latest) : latest;
    addTo(this.#known, { from: coveredAt, to: Math.max(to, coveredAt + 1), records: 0, reason: 'crash' });
  }

  /** `table`: goes with the interval, whole; 0: none. */
  add(interval: LostInterval, table = 0): void {
    this.#unwritten.push({ interval, table });
  }

  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0 || this.#composed.length > 0;
  }

  write(writer: Writer): void {
    for (const { interval, table } of this.#unwritten) writeLost(writer, interval, table);
    this.#composed.push(...this.#unwritten);
    this.#unwritten = [];
  }

  /** What was written is durable. */
  confirm(): void {
    for (const { interval } of this.#composed) addTo(this.#known, interval);
    this.#composed = [];
  }
}

/** Joins neighbours of one reason; beyond the bound the two oldest, whatever lies between. */
const addTo = (all: LostInterval[], interval: LostInterval): void => {
  const last = all.at(-1);
  const touches = last !== undefined && last.from <= interval.to && interval.from <= last.to;
  if (touches && last.reason === interval.reason && interval.reason !== 'crash')
    all[all.length - 1] = joined(last, interval);
  else all.push(interval);
  const [first, second] = all;
  if (all.length > MAX && first && second) all.splice(0, 2, joined(first, second));
};

const joined = (a: LostInterval, b: LostInterval): LostInterval => ({
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
  records: a.records + b.records,
  reason: b.reason,
});
