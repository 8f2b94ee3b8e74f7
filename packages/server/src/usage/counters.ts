/**
 * The pure path of counters: fetches as many readings as the pure function needs to judge the asked windows exactly as
 * it would with the whole history, and applies it. Resets, ties, late readings, starts and ends come this way; so do odd
 * ranges, "as of S", explain, and windows an owner's change cuts.
 */
import type { Book } from '../domain/book.ts';
import { type CounterSpec, type Course, counterRecords, type Decisions, followCounter } from '../domain/delta.ts';
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
  /** The reading to begin from must have a lower receipt: a correction changes how what came after it is judged. */
  before?: Receipt | null;
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
 * Grows a span to the windows that what is new in it can have changed: those between the kept readings before and after
 * it, as the course is and as it was at `since` (a new first reading can take a start back, a new end another end). After
 * a correction, from a reading that was there before to one that is kept in any case.
 */
export function reachOf(work: CounterCourse, series: CounterSpec, decisions: Decisions, since: Receipt): Interval {
  const old = work.readings.filter((r) => r.receipt <= since);
  let reach: Interval = { from: work.from, to: work.to };
  for (const course of [work.course, followCounter(old, series, decisions)])
    reach = joined(reach, around(course, work));
  if (work.before != null) reach = joined(reach, work.anchors);
  return { from: windowStart(reach.from), to: windowCeil(Math.max(reach.to, reach.from + 1)) };
}

const joined = (a: Interval, b: Interval): Interval => ({ from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) });

/** From the first to the last instant of whatever segment or silence meets the span. */
function around(course: Course, { from, to }: Interval): Interval {
  let reach: Interval = { from, to };
  // The window of the last reading says whether more is expected.
  if (course.last !== null && course.last < from) reach = joined(reach, { from: course.last, to });
  const intervals = [...course.segments.map((s) => ({ from: s.from.t, to: s.to.t })), ...course.unobserved];
  // Inclusive: the segment left of a reading on the edge ends there, and belongs to the window before.
  for (const i of intervals) if (i.from < to && i.to >= from) reach = joined(reach, i);
  return reach;
}

/** Stamps of a reading that is no anchor: others came before it with later times, or it may be set aside. */
const DOUBTFUL = Stamp.late | Stamp.fast | Stamp.end;

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
  private anchors: Interval;
  private widenedForEpochs = false;

  constructor(deps: CounterDeps, work: CounterWork) {
    this.deps = deps;
    this.work = work;
    const width = CONTEXT_WINDOWS[0] * WINDOW_MS;
    this.from = Math.max(0, windowStart(work.from) - width);
    this.to = windowCeil(work.to) + width;
    this.anchors = { from: this.from, to: this.to };
  }

  take(readings: readonly SeriesReading[]): void {
    const { series } = this.work;
    const decisions = this.deps.book.decisionsFor(series);
    // Voided by name of its event alone; what is voided in its series the pure function knows itself.
    const isOut = (r: SeriesReading): boolean =>
      this.deps.book.isVoided(r.receipt) && decisions.voided?.has(r.receipt) !== true;
    this.readings = readings.filter((r) => !isOut(r));
    this.course = followCounter(this.readings, series, decisions);
    if (!this.widenedForEpochs && epochsOf(this.readings) > 1) {
      this.widenedForEpochs = true;
      this.widen(EPOCH_CONTEXT_MS);
      return;
    }
    const { from, to } = this.anchorsIn(this.course, decisions);
    this.anchors = { from: from ?? this.from, to: to ?? this.to };
    this.needsBefore = from === null && this.from > 0;
    this.needsAfter = to === null;
    this.complete = !this.needsBefore && !this.needsAfter;
  }

  /**
   * An anchor is a kept reading that was the newest of its series when it came: whatever lies beyond it cannot change how
   * the readings on this side of it are judged. The nearest on either side; null: not in sight.
   */
  private anchorsIn(course: Course, decisions: Decisions): { from: Instant | null; to: Instant | null } {
    const { from, to, series, before } = this.work;
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
        if (r.t <= from && r.receipt < known && judged && !endless) first = Math.max(first ?? 0, r.t);
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

  private widen(ms: number): void {
    this.from = Math.max(0, this.from - ms);
    this.to += ms;
    this.needsBefore = false;
    this.needsAfter = false;
  }
}

function epochsOf(readings: readonly SeriesReading[]): number {
  const epochs = new Set<number>();
  for (const r of readings) epochs.add(r.epoch);
  return epochs.size;
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
