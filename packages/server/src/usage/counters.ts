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
import type { EpochExtent, UsageStore } from '../store/usage-store.ts';

/** Windows of context on either side, tried in this order before asking the store where the next reading lies. */
const CONTEXT_WINDOWS = [2, 8, 192] as const;
/** How far epochs that overlap are followed: they do only while an object moves. */
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
      await askEpochs(
        deps,
        open.filter((c) => c.needsEpochs),
      );
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
  /** Two epochs in sight, and not known whether they overlap beyond it. */
  needsEpochs = false;
  private readonly deps: CounterDeps;
  private level = 0;
  private read: Interval | null = null;
  private course: Course | null = null;
  private anchors: Interval;
  private knowsEpochs = false;

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
    this.needsEpochs = !this.knowsEpochs && epochsOf(this.readings).size > 1;
    if (!this.needsEpochs) this.look();
  }

  /**
   * With two epochs in sight a chain's first reading decides where its segment begins, so where both go on the sight has
   * to reach to the beginning of the later one, and to the end of the earlier one. False: it does already.
   */
  takeEpochs(extents: readonly EpochExtent[]): boolean {
    this.knowsEpochs = true;
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
    const decisions = this.deps.book.decisionsFor(this.work.series);
    const { from, to } = this.anchorsIn(course, decisions);
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
}

const epochsOf = (readings: readonly SeriesReading[]): ReadonlySet<number> => new Set(readings.map((r) => r.epoch));

async function askEpochs(deps: CounterDeps, contexts: readonly Context[]): Promise<void> {
  if (contexts.length === 0) return;
  const extents = await deps.usage.epochExtents(
    contexts.map((c) => c.work.series.id),
    Math.max(0, Math.min(...contexts.map((c) => c.from)) - EPOCH_CONTEXT_MS),
    Math.max(...contexts.map((c) => c.to)) + EPOCH_CONTEXT_MS,
  );
  const wider = contexts.filter((c) => c.takeEpochs(extents.get(c.work.series.id) ?? []));
  if (wider.length > 0) await fetchContexts(deps, wider);
}

/** Reads what the open contexts have not read yet, equal intervals in one statement. */
async function fetchContexts(deps: CounterDeps, open: readonly Context[]): Promise<void> {
  const found = new Map<Context, SeriesReading[]>(open.map((context) => [context, []]));
  const wanted = open.flatMap((context) => context.unread().map((interval) => ({ context, interval })));
  for (const [edges, group] of groupBy(wanted, ({ interval }) => `${interval.from}:${interval.to}`)) {
    const [from = 0, to = 0] = edges.split(':').map(Number);
    const ids = group.map((g) => g.context.work.series.id);
    const readings = await deps.usage.readings(ids, from, to, deps.frontier);
    for (const { context } of group) {
      const list = readings.get(context.work.series.id);
      if (list !== undefined) found.get(context)?.push(...list);
    }
  }
  for (const [context, readings] of found) context.take(readings);
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
