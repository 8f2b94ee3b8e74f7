/**
 * Cuts a counter's course at any boundaries. The value at a boundary between two readings is
 * last + floor(delta * elapsed / interval), so pieces telescope: their sum over a course is exactly what it moved.
 */
import type { Decisions } from './chain.ts';
import { type Course, HELD_MS, type Segment } from './delta.ts';
import { type Reading, Stamp } from './fact.ts';
import { type CounterRecord, Flag, State } from './record.ts';
import { readingDigest } from './record-digest.ts';
import { type Instant, type Interval, WINDOW_MS, windowStart } from './window.ts';

/** Usage of one series over [from, to). */
export interface Piece {
  readonly from: Instant;
  readonly to: Instant;
  readonly used: bigint;
  /** Kept readings with from <= t < to. */
  readonly n: number;
  /** Milliseconds of the piece covered by the course. */
  readonly seen: number;
  readonly flags: number;
  readonly state: number;
  /** Sum of the digests of the readings that `n` counts, mod 2^32. */
  readonly facts: number;
}

/** More than a record can hold: the series is quarantined, the others go on. */
export class CounterOverflow extends Error {
  readonly code = 'counter.overflow';
}

const MAX_USED = 2n ** 64n - 1n;
const CLAMPED = Stamp.clockBack | Stamp.future | Stamp.skew;
const UNSEEN = 1;
const UNDECIDED = 2;

/**
 * One piece between each two consecutive boundaries (strictly ascending). Absent: pieces wholly before the first
 * coverage or wholly after the last, unless a reading that was set aside there still waits for a decision.
 */
export function usageOf(course: Course, boundaries: readonly Instant[], decisions: Decisions): Piece[] {
  if (boundaries.length < 2) return [];
  const cut = new Cut(boundaries);
  for (const chain of course.chains) cut.countReadings(chain.kept);
  cut.addSegments(course.segments);
  cut.addCoverage(course.coverage);
  cut.addUnobserved(course.unobserved);
  for (const r of course.setAside) cut.addSetAside(r.t, r.decided);
  return cut.pieces(course, decisions);
}

/**
 * The records of [from, to) on the window grid, cut further at the breakpoints that lie off it. `from` and `to` are
 * window edges. Throws CounterOverflow when a sum does not fit into 64 bits.
 */
export function counterRecords(
  series: number,
  course: Course,
  from: Instant,
  to: Instant,
  breakpoints: readonly Instant[],
  decisions: Decisions,
): CounterRecord[] {
  if (from % WINDOW_MS !== 0 || to % WINDOW_MS !== 0) throw new RangeError('records lie on the window grid');
  const reach = reachOf(course);
  if (reach === null) return [];
  const first = Math.max(from, windowStart(reach.from));
  const last = Math.min(to, windowStart(reach.to) + WINDOW_MS);
  const edges: Instant[] = [];
  for (let w = first; w <= last; w += WINDOW_MS) edges.push(w);
  const odd = breakpoints.filter((b) => b > first && b < last && b % WINDOW_MS !== 0);
  if (odd.length > 0) {
    edges.push(...new Set(odd));
    edges.sort((a, b) => a - b);
  }
  return usageOf(course, edges, decisions).map((piece) => {
    if (piece.used > MAX_USED) throw new CounterOverflow(`series ${series} used ${piece.used} from ${piece.from} on`);
    const window = windowStart(piece.from);
    const { seen, used, n, flags, state, facts } = piece;
    return { series, window, part: piece.from - window, seen, used, n, flags, state, facts, isVoid: false };
  });
}

/** From the first to the last instant that can have a piece. */
function reachOf(course: Course): Interval | null {
  let from = course.first ?? Number.POSITIVE_INFINITY;
  let to = Math.max(course.last ?? Number.NEGATIVE_INFINITY, course.ended ?? Number.NEGATIVE_INFINITY);
  for (const r of course.setAside) {
    if (r.t < from) from = r.t;
    if (r.t > to) to = r.t;
  }
  return from <= to ? { from, to } : null;
}

/** Sums per piece, in columns: this runs for every reading of every series the fast path leaves over. */
class Cut {
  private readonly edges: readonly Instant[];
  private readonly count: number;
  private readonly used: bigint[];
  private readonly n: Float64Array;
  private readonly seen: Float64Array;
  private readonly flags: Uint16Array;
  private readonly facts: Uint32Array;
  private readonly marks: Uint8Array;

  constructor(edges: readonly Instant[]) {
    for (let i = 1; i < edges.length; i++) {
      if (!(this.edgeOf(edges, i) > this.edgeOf(edges, i - 1))) throw new RangeError('boundaries must ascend');
    }
    this.edges = edges;
    this.count = edges.length - 1;
    this.used = new Array<bigint>(this.count).fill(0n);
    this.n = new Float64Array(this.count);
    this.seen = new Float64Array(this.count);
    this.flags = new Uint16Array(this.count);
    this.facts = new Uint32Array(this.count);
    this.marks = new Uint8Array(this.count);
  }

  countReadings(kept: readonly Reading[]): void {
    const { count } = this;
    const end = this.edge(count);
    let i = 0;
    let next = this.edge(1);
    for (let k = firstAt(kept, this.edge(0)); k < kept.length; k++) {
      const r = kept[k] as Reading;
      if (r.t >= end) return;
      if (r.t >= next) {
        i = this.pieceAt(r.t, i);
        next = this.edge(i + 1);
      }
      this.n[i] = (this.n[i] ?? 0) + 1;
      this.facts[i] = (this.facts[i] ?? 0) + readingDigest(r.t, r.value);
      if (r.stamps !== 0) {
        if ((r.stamps & CLAMPED) !== 0) this.flag(i, Flag.clamped);
        if ((r.stamps & Stamp.inexact) !== 0) this.flag(i, Flag.inexactSource);
      }
    }
  }

  addSegments(segments: readonly Segment[]): void {
    const begin = this.edge(0);
    const end = this.edge(this.count);
    let i = 0;
    for (let k = 0; k < segments.length; k++) {
      const s = segments[k] as Segment;
      const from = s.from.t;
      const to = s.to.t;
      if (to <= begin || from >= end) continue;
      if (from >= this.edge(i + 1) || from < this.edge(i)) i = this.pieceAt(Math.max(from, begin), i);
      if (to <= this.edge(i + 1) && from >= this.edge(i)) {
        this.used[i] = (this.used[i] ?? 0n) + s.amount;
        if (s.flags !== 0) this.flag(i, s.flags);
      } else this.split(s, i);
    }
  }

  private split(s: Segment, first: number): void {
    const held = s.to.t - s.from.t > HELD_MS;
    for (let i = first; i < this.count && this.edge(i) < s.to.t; i++) {
      const from = Math.max(this.edge(i), s.from.t);
      const to = Math.min(this.edge(i + 1), s.to.t);
      let flags = s.flags;
      if (!held) {
        this.used[i] = (this.used[i] ?? 0n) + (reached(s, to) - reached(s, from));
        if (s.amount > 0n && (from > s.from.t || to < s.to.t)) flags |= Flag.spread;
      } else if (to === s.to.t) this.used[i] = (this.used[i] ?? 0n) + s.amount;
      else {
        flags |= Flag.unobserved;
        this.mark(i, UNSEEN);
      }
      this.flag(i, flags);
    }
  }

  addCoverage(intervals: readonly Interval[]): void {
    this.over(intervals, (i, ms) => {
      this.seen[i] = (this.seen[i] ?? 0) + ms;
    });
  }

  addUnobserved(intervals: readonly Interval[]): void {
    this.over(intervals, (i) => {
      this.mark(i, UNSEEN);
      this.flag(i, Flag.unobserved);
    });
  }

  addSetAside(t: Instant, decided: boolean): void {
    if (t < this.edge(0) || t >= this.edge(this.count)) return;
    const i = this.pieceAt(t, 0);
    this.flag(i, Flag.setAside);
    if (!decided) this.mark(i, UNDECIDED);
  }

  pieces(course: Course, decisions: Decisions): Piece[] {
    const first = course.first ?? Number.POSITIVE_INFINITY;
    const last = course.last ?? Number.NEGATIVE_INFINITY;
    const tail = Math.max(last, course.ended ?? last);
    const out: Piece[] = [];
    for (let i = 0; i < this.count; i++) {
      const from = this.edge(i);
      const to = this.edge(i + 1);
      const n = this.n[i] ?? 0;
      const marks = this.marks[i] ?? 0;
      const covered = to > first && (from < tail || n > 0);
      if (!covered && (marks & UNDECIDED) === 0) continue;
      let flags = this.flags[i] ?? 0;
      let state: number = (marks & UNSEEN) !== 0 ? State.unobserved : State.known;
      if (covered && course.ended === null && to > last) {
        if (to > decisions.settledBefore && !covers(decisions.unobserved, Math.max(from, last), to))
          state = State.pending;
        else {
          state = State.unobserved;
          flags |= Flag.unobserved;
        }
      }
      const { quarantinedFrom } = decisions;
      if ((marks & UNDECIDED) !== 0 || (quarantinedFrom !== null && to > quarantinedFrom)) state = State.quarantined;
      const [used, seen, facts] = [this.used[i] ?? 0n, this.seen[i] ?? 0, this.facts[i] ?? 0];
      out.push({ from, to, used, n, seen, flags, state, facts });
    }
    return out;
  }

  private over(intervals: readonly Interval[], each: (piece: number, ms: number) => void): void {
    const begin = this.edge(0);
    const end = this.edge(this.count);
    for (const { from, to } of intervals) {
      if (to <= begin || from >= end) continue;
      for (let i = this.pieceAt(Math.max(from, begin), 0); i < this.count && this.edge(i) < to; i++) {
        each(i, Math.min(to, this.edge(i + 1)) - Math.max(from, this.edge(i)));
      }
    }
  }

  /** Index of the piece that contains `t`; the next few after `near` are tried first, because readings ascend. */
  private pieceAt(t: Instant, near: number): number {
    for (let i = near; i < near + 4 && i < this.count; i++) {
      if (t >= this.edge(i) && t < this.edge(i + 1)) return i;
    }
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.edge(middle) <= t) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private edge(i: number): Instant {
    return this.edges[i] as Instant;
  }
  private edgeOf(edges: readonly Instant[], i: number): Instant {
    return edges[i] ?? Number.NaN;
  }
  private flag(i: number, bits: number): void {
    this.flags[i] = (this.flags[i] ?? 0) | bits;
  }
  private mark(i: number, bits: number): void {
    this.marks[i] = (this.marks[i] ?? 0) | bits;
  }
}

/** What the segment has moved up to `t`. */
function reached(s: Segment, t: Instant): bigint {
  const from = s.from.t;
  if (t <= from) return 0n;
  if (t >= s.to.t) return s.amount;
  return (s.amount * BigInt(t - from)) / BigInt(s.to.t - from);
}

/** Whether the intervals cover [from, to) without a hole. */
function covers(intervals: readonly Interval[], from: Instant, to: Instant): boolean {
  let at = from;
  for (let found = true; found && at < to; ) {
    found = false;
    for (const i of intervals) {
      if (i.from <= at && i.to > at) {
        at = i.to;
        found = true;
      }
    }
  }
  return at >= to;
}

function firstAt(kept: readonly Reading[], t: Instant): number {
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((kept[middle] as Reading).t < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
