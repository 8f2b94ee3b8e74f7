/**
 * The pure path of counters: fetches as many readings as the pure function needs to judge the asked windows exactly as
 * it would with the whole history, and applies it. Resets, ties, late readings, starts and ends come this way; so do odd
 * ranges, "as of S", explain, and windows an owner's change cuts.
 */
import type { Book } from '../domain/book.ts';
import { type Course, counterRecords, followCounter } from '../domain/delta.ts';
import { type Receipt, type SeriesReading, Stamp } from '../domain/fact.ts';
import type { CounterRecord } from '../domain/record.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, type Interval, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { UsageStore } from '../store/usage-store.ts';

/** Windows of context on either side, tried in this order before asking the store where the next reading lies. */
const CONTEXT_WINDOWS = [2, 8, 192] as const;
/**
 * With two epochs in sight a chain's first reading decides where its segment begins. Epochs of one series overlap only
 * while an object moves, so two days of context tell a start from a continuation; all history would cost a month of
 * readings for every interface of a host that rebooted.
 */
const EPOCH_CONTEXT_MS = 192 * WINDOW_MS;
const SERIES_A_CALL = 2_000;
const COARSE_MS = 8 * WINDOW_MS;
const floorTo = (t: Instant, step: number): Instant => Math.floor(t / step) * step;

export interface CounterWork {
  series: Series;
  from: Instant;
  to: Instant;
}

export interface CounterCourse extends CounterWork {
  course: Course;
  readings: readonly SeriesReading[];
}

export interface CounterDeps {
  usage: UsageStore;
  book: Book;
  frontier: Receipt;
}

/** Follows each series over its span; courses come in the order of the work. */
export async function followSeries(deps: CounterDeps, work: readonly CounterWork[]): Promise<CounterCourse[]> {
  const out: CounterCourse[] = [];
  for (let i = 0; i < work.length; i += SERIES_A_CALL) {
    const part = work.slice(i, i + SERIES_A_CALL);
    const pending = part.map((item) => new Context(deps, item));
    for (let open: Context[] = pending; open.length > 0; open = open.filter((c) => !c.complete)) {
      await fetchContexts(deps, open);
      await askBeyond(deps, open);
    }
    for (const context of pending) out.push(context.finish());
  }
  return out;
}

/** The records of the pure path over each series' own span. Off-grid owner changes cut windows into parts. */
export async function pureRecords(deps: CounterDeps, work: readonly CounterWork[]): Promise<CounterRecord[]> {
  const courses = await followSeries(deps, work);
  return courses.flatMap((c) => recordsOf(deps.book, c, c.from, c.to));
}

export function recordsOf(book: Book, { series, course }: CounterCourse, from: Instant, to: Instant): CounterRecord[] {
  const breakpoints = book.ownerChanges(series.tenant, series.resource, from, to);
  return counterRecords(series.id, course, from, to, breakpoints, book.decisionsFor(series));
}

/**
 * Grows `touched` to the windows a changed reading can move: those between the kept readings before and after it.
 * Verdicts of facts with lower receipts never change, so nothing beyond those neighbours does.
 */
export function reachOf({ course, from, to }: CounterCourse): Interval {
  let first = from;
  let last = to;
  for (const segment of course.segments) {
    // Inclusive: the segment left of a reading on the edge ends there, and belongs to the window before.
    if (segment.from.t < to && segment.to.t >= from) {
      first = Math.min(first, segment.from.t);
      last = Math.max(last, segment.to.t);
    }
  }
  for (const gap of course.unobserved) {
    if (gap.from < to && gap.to >= from) {
      first = Math.min(first, gap.from);
      last = Math.max(last, gap.to);
    }
  }
  return { from: windowStart(first), to: windowCeil(Math.max(last, first + 1)) };
}

/** The readings around one series' span, and whether they suffice. */
class Context {
  readonly work: CounterWork;
  from: Instant;
  to: Instant;
  complete = false;
  readings: readonly SeriesReading[] = [];
  needsBefore = false;
  needsAfter = false;
  private readonly deps: CounterDeps;
  private level = 0;
  private course: Course | null = null;
  private widenedForEpochs = false;

  constructor(deps: CounterDeps, work: CounterWork) {
    this.deps = deps;
    this.work = work;
    const width = CONTEXT_WINDOWS[0] * WINDOW_MS;
    this.from = Math.max(0, windowStart(work.from) - width);
    this.to = windowCeil(work.to) + width;
  }

  /**
   * An anchor is a kept reading that was the newest of its series when it came (not stamped late): whatever lies
   * beyond it cannot change how the readings on this side of it are judged.
   */
  take(readings: readonly SeriesReading[]): void {
    this.readings = readings.filter((r) => !this.deps.book.isVoided(r.receipt));
    const { series } = this.work;
    this.course = followCounter(this.readings, series, this.deps.book.decisionsFor(series));
    let before = false;
    let after = false;
    let epoch: number | null = null;
    let epochs = 1;
    const earliest = this.readings.reduce((t, r) => Math.min(t, r.t), Number.MAX_SAFE_INTEGER);
    const setAside = new Set(this.course.setAside.map((s) => s.receipt));
    for (const r of this.readings) {
      if ((r.stamps & Stamp.end) === 0) {
        if (epoch !== null && r.epoch !== epoch) epochs = 2;
        epoch = r.epoch;
      }
      if ((r.stamps & Stamp.late) !== 0 || setAside.has(r.receipt)) continue;
      // With a line speed, a reading is judged against the one before it: the first in sight is no anchor.
      if (r.t <= this.work.from && (series.lineBits === 0 || r.t > earliest)) before = true;
      if (r.t >= this.work.to) after = true;
    }
    if (epochs > 1 && !this.widenedForEpochs) {
      this.widenedForEpochs = true;
      this.widen(EPOCH_CONTEXT_MS);
      return;
    }
    this.needsBefore = !before && this.from > 0;
    this.needsAfter = !after;
    this.complete = !this.needsBefore && !this.needsAfter;
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
    return { ...this.work, course: this.course, readings: this.readings };
  }

  private widen(ms: number): void {
    this.from = Math.max(0, this.from - ms);
    this.to += ms;
    this.needsBefore = false;
    this.needsAfter = false;
  }
}

/** Reads the open contexts, those with equal edges in one statement. */
async function fetchContexts(deps: CounterDeps, open: readonly Context[]): Promise<void> {
  for (const [edges, group] of groupBy(open, (c) => `${c.from}:${c.to}`)) {
    const [from = 0, to = 0] = edges.split(':').map(Number);
    const readings = await deps.usage.readings(
      group.map((c) => c.work.series.id),
      from,
      to,
      deps.frontier,
    );
    for (const context of group) context.take(readings.get(context.work.series.id) ?? []);
  }
}

async function askBeyond(deps: CounterDeps, contexts: readonly Context[]): Promise<void> {
  const open = contexts.filter((c) => c.needsBefore || c.needsAfter);
  const before = await nearest(
    open.filter((c) => c.needsBefore),
    (c) => c.from,
    (ids, t) => deps.usage.readingBefore(ids, t, deps.frontier),
  );
  const after = await nearest(
    open.filter((c) => c.needsAfter),
    (c) => c.to,
    (ids, t) => deps.usage.readingAfter(ids, t, deps.frontier),
  );
  for (const context of open) context.beyond(before.get(context), after.get(context));
}

async function nearest(
  contexts: readonly Context[],
  edge: (context: Context) => Instant,
  ask: (ids: readonly number[], t: Instant) => Promise<Map<number, Instant>>,
): Promise<Map<Context, Instant>> {
  const out = new Map<Context, Instant>();
  for (const [, group] of groupBy(contexts, (c) => String(edge(c)))) {
    const [first] = group;
    if (first === undefined) continue;
    const found = await ask(
      group.map((c) => c.work.series.id),
      edge(first),
    );
    for (const context of group) {
      const t = found.get(context.work.series.id);
      if (t !== undefined) out.set(context, t);
    }
  }
  return out;
}

export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const k = key(item);
    const group = groups.get(k);
    if (group === undefined) groups.set(k, [item]);
    else group.push(item);
  }
  return groups;
}
