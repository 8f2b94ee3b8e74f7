/** What the pure path reads around one series' span: outwards, until it suffices to judge the span as all readings would. */
import type { Book } from '../domain/book.ts';
import { type Course, type Decisions, followCounter } from '../domain/delta.ts';
import { type Receipt, type SeriesReading, Stamp } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, type Interval, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { EpochExtent, UsageStore } from '../store/usage-store.ts';

export interface CounterWork {
  series: Series;
  from: Instant;
  to: Instant;
  /** The reading to begin from must have a lower receipt: a correction changes how what came after it is judged. */
  before?: Receipt | null;
  /** A reading at `from` itself that came after it does not begin: the segment that it ends is looked for too. */
  since?: Receipt;
}

export interface CounterCourse extends CounterWork {
  course: Course;
  readings: readonly SeriesReading[];
  /** From the anchor before the span to the one after it. */
  anchors: Interval;
}

export interface CounterDeps {
  usage: UsageStore;
  book: Book;
  frontier: Receipt;
}

/** Windows of context on either side, tried in this order before asking the store where the next reading lies. */
const CONTEXT_WINDOWS = [2, 8, 192] as const;
/** How far epochs that overlap are followed: they do only while an object moves. */
export const EPOCH_CONTEXT_MS = 192 * WINDOW_MS;
const COARSE_MS = 8 * WINDOW_MS;
const floorTo = (t: Instant, step: number): Instant => Math.floor(t / step) * step;

/** Stamps of a reading that is no anchor: others came before it with later times, or it may be set aside. */
const DOUBTFUL = Stamp.late | Stamp.fast | Stamp.end;

/** The readings around one series' span, and whether they suffice. */
export class Context {
  readonly work: CounterWork;
  from: Instant;
  to: Instant;
  complete = false;
  readings: readonly SeriesReading[] = [];
  needsBefore = false;
  needsAfter = false;
  /** Two epochs in sight, and not known whether they overlap beyond it. */
  needsEpochs = false;
  private readonly deps: CounterDeps;
  private level = 0;
  private read: Interval | null = null;
  private course: Course | null = null;
  private anchors: Interval;
  /** Of the epochs in sight and around it; null: not asked. */
  private extents: readonly EpochExtent[] | null = null;

  constructor(deps: CounterDeps, work: CounterWork) {
    this.deps = deps;
    this.work = work;
    const width = CONTEXT_WINDOWS[0] * WINDOW_MS;
    this.from = Math.max(0, windowStart(work.from) - width);
    this.to = windowCeil(work.to) + width;
    this.anchors = { from: this.from, to: this.to };
  }

  /** Intervals of the sight that are not read yet. */
  unread(): Interval[] {
    const { from, to, read } = this;
    if (read === null) return [{ from, to }];
    return [
      { from, to: read.from },
      { from: read.to, to },
    ].filter((i) => i.from < i.to);
  }

  /** What lies in the intervals that were unread, in receipt order. */
  take(found: readonly SeriesReading[]): void {
    const { series } = this.work;
    this.read = { from: this.from, to: this.to };
    const decisions = this.deps.book.decisionsFor(series);
    // Voided by name of its event alone; what is voided in its series the pure function knows itself.
    const isOut = (r: SeriesReading): boolean =>
      this.deps.book.isVoided(r.receipt) && decisions.voided?.has(r.receipt) !== true;
    const wider = found.filter((r) => !isOut(r));
    this.readings = [...this.readings, ...wider].sort((a, b) => a.receipt - b.receipt);
    this.course = followCounter(this.readings, series, decisions);
    this.needsEpochs = this.extents === null && epochsOf(this.readings).size > 1;
    if (!this.needsEpochs) this.look();
  }

  /**
   * With two epochs in sight a chain's first reading decides where its segment begins, so where both go on the sight has
   * to reach to the beginning of the later one, and to the end of the earlier one. False: it does already.
   */
  takeEpochs(extents: readonly EpochExtent[]): boolean {
    this.extents = extents;
    this.needsEpochs = false;
    const inSight = epochsOf(this.readings);
    const own = extents.filter((e) => inSight.has(e.epoch));
    const begins = own.map((e) => e.first).sort((a, b) => a - b);
    const ends = own.map((e) => e.last).sort((a, b) => b - a);
    const from = Math.max(begins[1] ?? this.from, this.from - EPOCH_CONTEXT_MS);
    const to = Math.min((ends[1] ?? this.to) + WINDOW_MS, this.to + EPOCH_CONTEXT_MS);
    if (from >= this.from && to <= this.to) {
      this.look();
      return false;
    }
    this.from = Math.max(0, Math.min(this.from, floorTo(from - WINDOW_MS, COARSE_MS)));
    this.to = Math.max(this.to, floorTo(to, COARSE_MS) + COARSE_MS);
    return true;
  }

  /** Whether the readings in sight decide. */
  private look(): void {
    const { course } = this;
    if (course === null) throw new Error('a context was judged before it was read');
    if (this.looksBackForOrder(course)) return;
    const decisions = this.deps.book.decisionsFor(this.work.series);
    const { from, to } = this.anchorsIn(course, decisions);
    this.anchors = { from: from ?? this.from, to: to ?? this.to };
    this.needsBefore = from === null && this.from > 0;
    this.needsAfter = to === null;
    this.complete = !this.needsBefore && !this.needsAfter;
  }

  /**
   * Chains follow each other by their first readings. One that began before the sight and seems to begin in it, after
   * another one, may be the earlier of the two: then its next reading starts no counter, and the end of the other one is
   * the series' end. Looks further back for a reading of it; false: there is nothing to find out.
   */
  private looksBackForOrder({ chains }: Course): boolean {
    const floor = Math.max(0, windowStart(this.work.from) - EPOCH_CONTEXT_MS);
    const isOlder = (epoch: number): boolean =>
      this.extents?.some((e) => e.epoch === epoch && e.first < this.from) ?? false;
    if (this.from <= floor || !chains.slice(1).some((c) => isOlder(c.epoch))) return false;
    // Mostly its last reading is near; if not, all the way at once.
    const step = CONTEXT_WINDOWS[1] * WINDOW_MS;
    this.from = this.from > windowStart(this.work.from) - step ? Math.max(floor, this.from - step) : floor;
    this.needsBefore = false;
    this.needsAfter = false;
    return true;
  }

  /**
   * An anchor is a kept reading that was the newest of its series when it came: whatever lies beyond it cannot change how
   * the readings on this side of it are judged. The nearest on either side; null: not in sight.
   */
  private anchorsIn(course: Course, decisions: Decisions): { from: Instant | null; to: Instant | null } {
    const { from, to, series, before, since = Number.MAX_SAFE_INTEGER } = this.work;
    const known = before ?? Number.MAX_SAFE_INTEGER;
    // What was released against its line speed may stand in the way of all that follows it.
    const endless = series.lineBits > 0 && decisions.released.size > 0;
    let first: Instant | null = null;
    let last: Instant | null = null;
    for (const { kept } of course.chains) {
      for (const [i, r] of kept.entries()) {
        if ((r.stamps & DOUBTFUL) !== 0) continue;
        // With a line speed, a reading is judged against the one before it: the first in sight is no anchor.
        const judged = series.lineBits === 0 || i > 0;
        const begins = r.t < from || (r.t === from && r.receipt <= since);
        if (begins && r.receipt < known && judged && !endless) first = Math.max(first ?? 0, r.t);
        if (r.t >= to) last = Math.min(last ?? r.t, r.t);
      }
    }
    return { from: first, to: last };
  }

  /** What the store says of the nearest reading beyond either edge; undefined: nothing there. */
  beyond(before: Instant | undefined, after: Instant | undefined): void {
    if (this.needsBefore && before === undefined) this.needsBefore = false;
    if (this.needsAfter && after === undefined) this.needsAfter = false;
    if (!this.needsBefore && !this.needsAfter) {
      this.complete = true;
      return;
    }
    this.level++;
    const step = (CONTEXT_WINDOWS[this.level] ?? 192 * 2 ** (this.level - 2)) * WINDOW_MS;
    // On a coarse grid, so that series with gaps of their own still share statements.
    if (this.needsBefore && before !== undefined) {
      this.from = Math.max(0, floorTo(Math.min(this.from - step, before - WINDOW_MS), COARSE_MS));
    }
    if (this.needsAfter && after !== undefined) {
      this.to = floorTo(Math.max(this.to + step, after + WINDOW_MS), COARSE_MS) + COARSE_MS;
    }
  }

  finish(): CounterCourse {
    if (this.course === null) throw new Error('a context was finished before it was read');
    return { ...this.work, course: this.course, readings: this.readings, anchors: this.anchors };
  }
}

const epochsOf = (readings: readonly SeriesReading[]): ReadonlySet<number> => new Set(readings.map((r) => r.epoch));
