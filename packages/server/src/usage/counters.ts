/**
 * The pure path of counters: fetches as many readings as the pure function needs to judge the asked windows exactly as
 * it would with the whole history, and applies it. Resets, ties, late readings, starts and ends come this way; so do odd
 * ranges, "as of S", explain, and windows an owner's change cuts.
 */

import type { Book } from '../domain/book.ts';
import { type CounterSpec, type Course, counterRecords, type Decisions, followCounter } from '../domain/delta.ts';
import type { Receipt, SeriesReading } from '../domain/fact.ts';
import type { CounterRecord } from '../domain/record.ts';
import { type Instant, type Interval, windowCeil, windowStart } from '../domain/window.ts';
import { breath } from './breath.ts';
import {
  Context,
  type CounterCourse,
  type CounterDeps,
  type CounterWork,
  EPOCH_CONTEXT_MS,
} from './counter-context.ts';

const SERIES_A_CALL = 2_000;
const CONTEXTS_A_BREATH = 500;

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

/** Reads what the open contexts have not read yet. */
async function fetchContexts(deps: CounterDeps, open: readonly Context[]): Promise<void> {
  const wanted = open.flatMap((context) => context.unread().map((interval) => ({ context, interval })));
  const spans = wanted.map(({ context, interval }) => ({ series: context.work.series.id, ...interval }));
  const readings = await deps.usage.readingsWithin(spans, deps.frontier);
  const found = new Map<Context, SeriesReading[]>(open.map((context) => [context, []]));
  for (const [i, { context }] of wanted.entries()) found.get(context)?.push(...(readings[i] ?? []));
  let taken = 0;
  for (const [context, own] of found) {
    if (++taken % CONTEXTS_A_BREATH === 0) await breath();
    context.take(own);
  }
}

async function askBeyond(deps: CounterDeps, contexts: readonly Context[]): Promise<void> {
  const open = contexts.filter((c) => c.needsBefore || c.needsAfter);
  const [before, after] = [open.filter((c) => c.needsBefore), open.filter((c) => c.needsAfter)];
  const ask = (side: 'before' | 'after', of: readonly Context[]): Promise<(Instant | null)[]> =>
    deps.usage.nearestReadings(
      side,
      of.map((c) => ({ series: c.work.series.id, t: side === 'before' ? c.from : c.to })),
      deps.frontier,
    );
  const firsts = await ask('before', before);
  const nexts = await ask('after', after);
  const beforeOf = new Map(before.map((c, i) => [c, firsts[i] ?? undefined]));
  const afterOf = new Map(after.map((c, i) => [c, nexts[i] ?? undefined]));
  for (const context of open) context.beyond(beforeOf.get(context), afterOf.get(context));
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
