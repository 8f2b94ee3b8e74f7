/**
 * What could not be kept, as intervals: remembered in the log until the server has them, and for status as long as the
 * process lives.
 */
import type { Writer } from './bytes.ts';
import type { Recovered } from './recover.ts';
import type { SpoolSettings } from './settings.ts';
import { type LostInterval, writeLost, writeTold } from './snapshot.ts';

/** So many are kept; beyond it those that are older than what a server still asks for, then the nearest are joined. */
const MAX = 1000;
const OLD_MS = 35 * 86_400_000;

interface Pending {
  interval: LostInterval;
  table: number;
}

export class Losses {
  /** In the log, and the server does not have them. */
  readonly #known: LostInterval[] = [];
  /** In frames that are composed, and in none yet. */
  #composed: Pending[] = [];
  #unwritten: Pending[] = [];
  /** The server has them. */
  #told: LostInterval[] = [];
  /** Of them, those the log does not yet say so of. */
  #toForget: LostInterval[] = [];

  constructor(known: readonly LostInterval[]) {
    for (const interval of known) addTo(this.#known, interval);
  }

  /** Neighbours joined, what the server has first. */
  get all(): readonly LostInterval[] {
    const all = [...this.#told, ...this.#known];
    for (const { interval } of [...this.#composed, ...this.#unwritten]) addTo(all, interval);
    return all;
  }

  /** What a snapshot says: the rest has frames of its own. The server does not have them. */
  get known(): readonly LostInterval[] {
    return this.#known;
  }

  /** Begin of the earliest one the server does not have; Infinity: it has all. */
  get untoldFrom(): number {
    let from = Number.POSITIVE_INFINITY;
    for (const interval of this.#known) from = Math.min(from, interval.from);
    for (const { interval } of this.#composed) from = Math.min(from, interval.from);
    for (const { interval } of this.#unwritten) from = Math.min(from, interval.from);
    return from;
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

  /** The server has these of `known`. One that has grown since is still to be told. */
  told(intervals: readonly LostInterval[]): void {
    for (const interval of intervals) {
      const at = this.#known.indexOf(interval);
      if (at < 0) continue;
      this.#known.splice(at, 1);
      addTo(this.#told, interval);
      this.#toForget.push(interval);
    }
  }

  get hasUnwritten(): boolean {
    return this.#unwritten.length + this.#composed.length + this.#toForget.length > 0;
  }

  write(writer: Writer): void {
    for (const { interval, table } of this.#unwritten) writeLost(writer, interval, table);
    this.#composed.push(...this.#unwritten);
    this.#unwritten = [];
    if (this.#toForget.length > 0) writeTold(writer, this.#toForget);
    this.#toForget = [];
  }

  /** What was written is durable. */
  confirm(): void {
    for (const { interval } of this.#composed) addTo(this.#known, interval);
    this.#composed = [];
  }
}

/** Joins neighbours of one reason. */
const addTo = (all: LostInterval[], interval: LostInterval): void => {
  const last = all.at(-1);
  const touches = last !== undefined && last.from <= interval.to && interval.from <= last.to;
  if (touches && last.reason === interval.reason && interval.reason !== 'crash')
    all[all.length - 1] = joined(last, interval);
  else all.push(interval);
  if (all.length > MAX) shorten(all, interval.to - OLD_MS);
};

const shorten = (all: LostInterval[], oldest: number): void => {
  const young = all.filter(({ to }) => to > oldest);
  if (young.length < all.length) {
    all.splice(0, all.length, ...young);
    return;
  }
  const gap = (i: number): number => Math.abs((all[i + 1] as LostInterval).from - (all[i] as LostInterval).to);
  let nearest = 0;
  for (let i = 1; i + 1 < all.length; i++) if (gap(i) < gap(nearest)) nearest = i;
  const [first, second] = all.slice(nearest, nearest + 2) as [LostInterval, LostInterval];
  all.splice(nearest, 2, joined(first, second));
};

const joined = (a: LostInterval, b: LostInterval): LostInterval => ({
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
  records: a.records + b.records,
  reason: b.reason,
});

/** A log that is read again has them one by one, as they were before they were joined. */
export const without = (all: readonly LostInterval[], told: readonly LostInterval[]): LostInterval[] =>
  all.filter((own) => !told.some((t) => t.reason === own.reason && t.from <= own.from && own.to <= t.to));
