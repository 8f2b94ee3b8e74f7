/**
 * Admissions by time, oldest first: a ring in two typed arrays. Its room is taken from a budget that all counters of an
 * engine share. When that is used up, what comes is added to the newest entry, which takes its time: it then counts
 * longer than it should, never shorter.
 */
import type { Instant } from '../window.ts';

/** How many entries all counters may have together; 16 bytes each. */
export interface EntryBudget {
  left: number;
}

const FIRST_ROOM = 4;
/** Of one counter: soft limits go on counting above their amount. */
const ROOM_MAX = 131_072;

export class Entries {
  private times = new Float64Array(0);
  private units = new Float64Array(0);
  private head = 0;
  private size = 0;
  private readonly budget: EntryBudget;

  constructor(budget: EntryBudget) {
    this.budget = budget;
  }

  /** Times never go back. */
  add(time: Instant, units: number): void {
    const last = this.place(this.size - 1);
    if (this.size > 0 && this.times[last] === time) this.join(last, units, time);
    else if (this.makeRoom()) {
      const next = this.place(this.size++);
      this.times[next] = time;
      this.units[next] = units;
    } else this.join(this.place(this.size - 1), units, time);
  }

  /** Forgets what is of `time` or before. Returns its units. */
  dropUpTo(time: Instant): number {
    let dropped = 0;
    while (this.size > 0 && (this.times[this.head] as number) <= time) {
      dropped += this.units[this.head] as number;
      this.head = this.place(1);
      this.size--;
    }
    if (this.size === 0 && this.times.length > FIRST_ROOM) this.clear();
    return dropped;
  }

  /** Takes up to `units` back from entries of `from` or later, the earliest first. Returns how many. */
  take(from: Instant, units: number): number {
    let left = units;
    for (let i = this.firstFrom(from); i < this.size && left > 0; i++) {
      const at = this.place(i);
      const taken = Math.min(left, this.units[at] as number);
      this.units[at] = (this.units[at] as number) - taken;
      left -= taken;
    }
    return units - left;
  }

  /** Time of the entry with which, counted from the oldest, `units` have been reached. */
  timeOf(units: number): Instant {
    let sum = 0;
    for (let i = 0; i < this.size; i++) {
      sum += this.units[this.place(i)] as number;
      if (sum >= units) return this.times[this.place(i)] as number;
    }
    return Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.budget.left += this.times.length;
    this.times = new Float64Array(0);
    this.units = new Float64Array(0);
    this.head = 0;
    this.size = 0;
  }

  private place(i: number): number {
    return (this.head + i) & (this.times.length - 1);
  }

  private firstFrom(time: Instant): number {
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[this.place(middle)] as number) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private join(at: number, units: number, time: Instant): void {
    this.times[at] = time;
    this.units[at] = Math.min(Number.MAX_SAFE_INTEGER, (this.units[at] as number) + units);
  }

  /** Whether there is room for one more. The first few are always to be had: there would be nothing to join to. */
  private makeRoom(): boolean {
    const room = this.times.length;
    if (this.size < room) return true;
    this.compact();
    // A quarter free, or the next additions would each go through all entries again.
    if (this.size > 0 && this.size <= room - room / 4) return true;
    if (room === 0 || (room < ROOM_MAX && this.budget.left >= room)) this.grow();
    return this.size < this.times.length;
  }

  /** What was given back leaves holes, and a hold that lasts would keep them all behind it. */
  private compact(): void {
    let kept = 0;
    for (let i = 0; i < this.size; i++) {
      const from = this.place(i);
      if (this.units[from] === 0) continue;
      const to = this.place(kept++);
      this.times[to] = this.times[from] as number;
      this.units[to] = this.units[from] as number;
    }
    this.size = kept;
  }

  private grow(): void {
    const room = Math.max(FIRST_ROOM, this.times.length * 2);
    const [times, units] = [new Float64Array(room), new Float64Array(room)];
    for (let i = 0; i < this.size; i++) {
      times[i] = this.times[this.place(i)] as number;
      units[i] = this.units[this.place(i)] as number;
    }
    this.budget.left -= room - this.times.length;
    this.times = times;
    this.units = units;
    this.head = 0;
  }
}
