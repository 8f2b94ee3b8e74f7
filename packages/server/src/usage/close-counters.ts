/** Closing and rewriting counter windows: SQL for the normal series, the pure path for the odd ones. */
import type { Book } from '../domain/book.ts';
import type { Receipt } from '../domain/fact.ts';
import { isCounter } from '../domain/meter.ts';
import { type CounterRecord, State } from '../domain/record.ts';
import { groupRange } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { SetAside } from '../store/control-store.ts';
import { StoreError } from '../store/errors.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Touched, UsageStore } from '../store/usage-store.ts';
import type { CounterCourse, CounterDeps } from './counter-context.ts';
import { followSeries, groupBy, reachOf, recordsOf } from './counters.ts';
import type { Corrected, Exceptions } from './exceptions.ts';
import { writeFitting } from './write-records.ts';

export interface CloseDeps {
  usage: UsageStore;
  registry: SeriesRegistry;
  exceptions: Exceptions;
  book: Book;
  frontier: Receipt;
  /** From this many touched series on, rewriting a span for the whole group is cheaper than going series by series. */
  rewriteGroupAt: number;
}

export interface Closed {
  records: number;
  odd: number;
  setAside: Omit<SetAside, 'id'>[];
  /** Series whose pure function failed: theirs is set aside, the others go on (law 6). */
  failed: { series: number; from: Instant; error: string }[];
}

const SPAN_WINDOWS = 16;

const nothing = (): Closed => ({ records: 0, odd: 0, setAside: [], failed: [] });

export function add(total: Closed, part: Closed): void {
  total.records += part.records;
  total.odd += part.odd;
  total.setAside.push(...part.setAside);
  total.failed.push(...part.failed);
}

/** Writes the records of [from, to) for every series of the group. */
export async function closeCounters(deps: CloseDeps, group: number, from: Instant, to: Instant): Promise<Closed> {
  const { written, odd } = await closeFast(deps, group, from, to);
  const total = await writePure(deps, odd);
  total.records += written;
  return total;
}

async function closeFast(
  deps: CloseDeps,
  group: number,
  from: Instant,
  to: Instant,
): Promise<{ written: number; odd: Touched[] }> {
  const { first, last } = groupRange(group);
  const forced = deps.exceptions.inSpan(from, to).filter((id) => id >= first && id <= last);
  const span = { firstSeries: first, lastSeries: last, from, to };
  const fast = await deps.usage.closeCounters(span, deps.frontier, forced, countersOf(deps, group));
  return { written: fast.written, odd: fast.odd.map((series) => ({ series, from, to })) };
}

/**
 * All series of the group that may have readings: of meters deleted since and of meters nobody knows, too. One too many
 * costs a look, one too few its usage.
 */
function countersOf({ book, registry }: CloseDeps, group: number): number[] {
  const out: number[] = [];
  for (const [meter, ids] of registry.inGroup(group)) {
    const versions = book.versions(meter);
    if (versions.length === 0 || versions.some(isCounter)) out.push(...ids);
  }
  return out.sort((a, b) => a - b);
}

/** What may have changed in the closed windows of a span since the frontier it was last rewritten at. */
export interface Changes {
  /** By readings. */
  touched: readonly Touched[];
  /** By control facts. */
  corrected: readonly Corrected[];
  since: Receipt;
}

/** Rewrites closed windows that the given changes may have touched, within [floor, closedTo). */
export async function rewriteCounters(
  deps: CloseDeps,
  group: number,
  { touched, corrected, since }: Changes,
  floor: Instant,
  closedTo: Instant,
): Promise<Closed> {
  const total = nothing();
  const span = { floor, closedTo, since };
  const { bulk, single } = splitBulk(mergeTouched(touched, floor, closedTo), deps.rewriteGroupAt);
  for (const start of bulk) {
    // A window more on either side: that far a normal segment can reach. What reaches further is odd, and followed.
    const from = Math.max(start - WINDOW_MS, floor);
    const to = Math.min(start + (SPAN_WINDOWS + 1) * WINDOW_MS, closedTo);
    const { written, odd } = await closeFast(deps, group, from, to);
    total.records += written;
    add(total, await rewriteSingle(deps, odd, span));
  }
  add(total, await rewriteSingle(deps, single, span));
  add(total, await rewriteSingle(deps, mergeTouched(corrected, floor, closedTo), span));
  return total;
}

async function rewriteSingle(
  deps: CloseDeps,
  ranges: readonly (Touched & Partial<Corrected>)[],
  { floor, closedTo, since }: { floor: Instant; closedTo: Instant; since: Receipt },
): Promise<Closed> {
  const courses = await followSafely(deps, ranges, since);
  const reach = courses.done.map((course) => {
    const { from, to } = reachOf(course, course.series, deps.book.decisionsFor(course.series), since);
    return { series: course.series.id, from: Math.max(from, floor), to: Math.min(to, closedTo) };
  });
  const total = await writePure(
    deps,
    reach.filter((r) => r.from < r.to),
  );
  total.failed.push(...courses.failed);
  return total;
}

/** Runs the pure path, voids records that lost their content, and writes both at the frontier. */
async function writePure(deps: CloseDeps, ranges: readonly Touched[]): Promise<Closed> {
  const total = nothing();
  const { done, failed } = await followSafely(deps, ranges);
  total.odd = ranges.length;
  total.failed = failed;
  const records: CounterRecord[] = [];
  for (const course of done) {
    try {
      records.push(...recordsOf(deps.book, course, course.from, course.to));
      total.setAside.push(...setAsideOf(course));
    } catch (error) {
      // More than a record can hold, for one: its trouble alone (law 6).
      failed.push({ series: course.series.id, from: course.from, to: course.to, error: String(error) });
    }
  }
  for (const range of failed) records.push(...quarantinedRecords(range.series, range.from, range.to));
  const voids = await lostRecords(deps.usage, ranges, records);
  const refused = await writeFitting(deps.usage, [...records, ...voids], deps.frontier);
  if (refused.size > 0) failed.push(...(await quarantine(deps, ranges, refused)));
  total.records = records.length + voids.length;
  return total;
}

/** In the place of records that the store refused. */
async function quarantine(
  deps: CloseDeps,
  ranges: readonly Touched[],
  refused: ReadonlyMap<number, string>,
): Promise<Failed[]> {
  const theirs = ranges.filter((r) => refused.has(r.series));
  const records = theirs.flatMap((r) => quarantinedRecords(r.series, windowStart(r.from), windowCeil(r.to)));
  const voids = await lostRecords(deps.usage, theirs, records);
  await deps.usage.writeCounters([...records, ...voids], deps.frontier);
  return theirs.map(({ series, from, to }) => ({ series, from, to, error: refused.get(series) ?? '' }));
}

type Failed = { series: number; from: Instant; to: Instant; error: string };

async function followSafely(
  deps: CloseDeps,
  ranges: readonly (Touched & Partial<Corrected>)[],
  since = deps.frontier,
): Promise<{ done: CounterCourse[]; failed: Failed[] }> {
  const work = ranges.flatMap((r) => {
    const series = deps.registry.byId(r.series);
    if (series === undefined) return [];
    return [{ series, from: windowStart(r.from), to: windowCeil(r.to), before: r.receipt ?? null, since }];
  });
  const counters: CounterDeps = deps;
  try {
    return { done: await followSeries(counters, work), failed: [] };
  } catch (error) {
    if (error instanceof StoreError) throw error;
  }
  // One of them failed: find out which by going one at a time, so that the others are served.
  const done: CounterCourse[] = [];
  const failed: Failed[] = [];
  for (const item of work) {
    try {
      done.push(...(await followSeries(counters, [item])));
    } catch (error) {
      if (error instanceof StoreError) throw error;
      failed.push({ series: item.series.id, from: item.from, to: item.to, error: String(error) });
    }
  }
  return { done, failed };
}

function quarantinedRecords(series: number, from: Instant, to: Instant): CounterRecord[] {
  const nothing = {
    series,
    part: 0,
    seen: 0,
    used: 0n,
    n: 0,
    flags: 0,
    state: State.quarantined,
    facts: 0,
    isVoid: false,
  };
  return Array.from({ length: (to - from) / WINDOW_MS }, (_, i) => ({ ...nothing, window: from + i * WINDOW_MS }));
}

/** Void rows for current records that the new computation no longer has. */
async function lostRecords(
  usage: UsageStore,
  ranges: readonly Touched[],
  records: readonly CounterRecord[],
): Promise<CounterRecord[]> {
  const kept = new Set(records.map(keyOf));
  const lost: CounterRecord[] = [];
  for (const [edges, group] of groupBy(ranges, (r) => `${windowStart(r.from)}:${windowCeil(r.to)}`)) {
    const [from = 0, to = 0] = edges.split(':').map(Number);
    const current = await usage.counterRecords(
      group.map((r) => r.series),
      from,
      to,
    );
    for (const record of current) {
      if (record.isVoid || kept.has(keyOf(record))) continue;
      const { series, window, part } = record;
      lost.push({
        series,
        window,
        part,
        seen: 0,
        used: 0n,
        n: 0,
        flags: 0,
        state: State.known,
        facts: 0,
        isVoid: true,
      });
    }
  }
  return lost;
}

const keyOf = (r: CounterRecord): string => `${r.series}:${r.window}:${r.part}`;

function setAsideOf({ series, course, from, to }: CounterCourse): Omit<SetAside, 'id'>[] {
  return course.setAside
    .filter((s) => s.t >= from && s.t < to && !s.decided)
    .map((s) => ({
      identity: `reading:${series.id}:${s.receipt}`,
      tenant: series.tenant,
      kind: 'reading' as const,
      code: s.code,
      reason: s.reason,
      series: series.id,
      receipt: s.receipt,
      at: s.t,
      content: JSON.stringify({
        source: series.source,
        resource: series.resource,
        meter: series.meter,
        value: String(s.value),
      }),
      state: 'open' as const,
      recordedAt: 0,
    }));
}

/** Ranges of each series that do not meet, clipped to whole closed windows. */
function mergeTouched(
  touched: readonly (Touched & Partial<Corrected>)[],
  floor: Instant,
  closedTo: Instant,
): Corrected[] {
  const bySeries = new Map<number, Corrected[]>();
  for (const { series, from, to, receipt = null } of touched) {
    const range = { series, from: Math.max(windowStart(from), floor), to: Math.min(windowCeil(to), closedTo), receipt };
    if (range.from >= range.to) continue;
    const list = bySeries.get(series);
    if (list === undefined) bySeries.set(series, [range]);
    else list.push(range);
  }
  return [...bySeries.values()].flatMap(unionRanges);
}

function unionRanges(ranges: Corrected[]): Corrected[] {
  ranges.sort((a, b) => a.from - b.from);
  const out: Corrected[] = [];
  for (const range of ranges) {
    const last = out.at(-1);
    // A window apart still shares its context: one piece of work instead of two.
    if (last !== undefined && range.from <= last.to + WINDOW_MS) {
      last.to = Math.max(last.to, range.to);
      if (range.receipt !== null) last.receipt = Math.min(last.receipt ?? range.receipt, range.receipt);
    } else out.push({ ...range });
  }
  return out;
}

/** Spans where very many series were touched go to SQL as a whole (an agent's day of backlog); the rest by series. */
function splitBulk(ranges: readonly Touched[], groupAt: number): { bulk: Instant[]; single: Touched[] } {
  const span = SPAN_WINDOWS * WINDOW_MS;
  const counts = new Map<Instant, number>();
  for (const r of ranges) {
    for (let s = Math.floor(r.from / span) * span; s < r.to; s += span) counts.set(s, (counts.get(s) ?? 0) + 1);
  }
  const bulk = new Set([...counts].filter(([, n]) => n >= groupAt).map(([s]) => s));
  if (bulk.size === 0) return { bulk: [], single: [...ranges] };
  // The pure path still takes what only partly lies in bulk spans; writing a window twice at one frontier is harmless.
  const single = ranges.filter((r) => {
    for (let s = Math.floor(r.from / span) * span; s < r.to; s += span) if (!bulk.has(s)) return true;
    return false;
  });
  return { bulk: [...bulk].sort((a, b) => a - b), single };
}
