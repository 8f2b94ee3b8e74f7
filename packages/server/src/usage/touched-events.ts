/**
 * Which closed windows of an event meter may have changed since a frontier: by events, by definitions, by corrections,
 * and by what is known of how complete their sources are.
 */
import type { Book } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import { Flag, State, type TallyRecord } from '../domain/record.ts';
import { type Instant, type Interval, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { Completeness } from './completeness.ts';
import { groupBy } from './counters.ts';

export interface TouchedDeps {
  usage: UsageStore;
  registry: SeriesRegistry;
  book: Book;
  frontier: Receipt;
  completeness: Completeness;
}

/** What happened since the frontier a span was last rewritten at. */
export interface EventChanges {
  facts: readonly ControlFact[];
  /** What was known of the sources then. */
  before: Completeness;
  /** Instants off the grid at which an owner fact may cut a window, or cut it no more. */
  cuts(fact: ControlFact): readonly Instant[];
}

const DAY_MS = 96 * WINDOW_MS;
/** A longer span (a source that declares for the first time) is not walked day by day. */
const LONG_MS = 8 * DAY_MS;
/** Series asked for at once: with a day of windows some 200,000 records. */
const SERIES_A_CALL = 2_000;

export async function touchedWindows(
  deps: TouchedDeps,
  meter: Meter,
  row: Progress,
  changes: EventChanges,
): Promise<Set<Instant>> {
  const windows = new Set<Instant>();
  await addEvents(deps, meter, row, windows);
  for (const fact of changes.facts) await addCorrected(deps, meter, row, fact, changes, windows);
  await addJudged(deps, meter, row, changes.before, windows);
  return windows;
}

async function addEvents(deps: TouchedDeps, meter: Meter, row: Progress, windows: Set<Instant>): Promise<void> {
  const { usage, book, frontier } = deps;
  // A new version of a meter covers the past, and takes back what those before it made of other events.
  const isNew = meter.receipt > row.frontier;
  const types = isNew ? [...new Set(book.versions(meter.key).map((m) => m.eventType))] : [meter.eventType];
  const touched = await usage.touchedEvents(types, row.closedTo, isNew ? 0 : row.frontier, frontier);
  for (const { window } of touched) windows.add(window);
}

async function addCorrected(
  { usage, frontier }: TouchedDeps,
  meter: Meter,
  row: Progress,
  fact: ControlFact,
  changes: EventChanges,
  windows: Set<Instant>,
): Promise<void> {
  const { body } = fact;
  if (body.kind === 'void' && body.eventType === meter.eventType) windows.add(windowStart(body.at));
  if (body.kind === 'unobserved' && body.source !== null) {
    const to = Math.min(windowCeil(body.to), row.closedTo);
    for (let w = Math.max(windowStart(body.from), row.from); w < to; w += WINDOW_MS) windows.add(w);
  }
  if (body.kind === 'owner') for (const t of changes.cuts(fact)) windows.add(windowStart(t));
  if (body.kind !== 'set' || body.state !== 'undone') return;
  const all = { types: [meter.eventType], from: 0, to: row.closedTo, frontier, voided: [], undoneSets: [] };
  for await (const event of usage.events({ ...all, inSet: body.name })) windows.add(windowStart(event.t));
}

/** Windows whose records are judged otherwise now: their source spoke, its grace passed, or it was given up waiting for. */
async function addJudged(
  deps: TouchedDeps,
  meter: Meter,
  row: Progress,
  before: Completeness,
  windows: Set<Instant>,
): Promise<void> {
  const own = [...deps.registry.all()].filter((s) => s.meter === meter.key);
  for (const [, group] of groupBy(own, (s) => JSON.stringify([s.tenant, s.source]))) {
    const [first] = group;
    if (first === undefined) continue;
    const ids = group.map((s) => s.id);
    for (const change of deps.completeness.changed(before, first.tenant, first.source)) {
      const span = {
        from: Math.max(windowStart(change.from), row.from),
        to: Math.min(windowCeil(change.to), row.closedTo),
      };
      const { takesBack } = change;
      const found =
        span.to - span.from > LONG_MS
          ? await eventWindows(deps, meter, span)
          : await recordedWindows(deps.usage, ids, span, takesBack, meter.kind === 'gauge');
      for (const w of found) windows.add(w);
    }
  }
}

/** All windows that can have records: those with events, and for levels what follows from the first of them. */
async function eventWindows(
  { usage, frontier }: TouchedDeps,
  meter: Meter,
  { from, to }: Interval,
): Promise<Instant[]> {
  const touched = (await usage.touchedEvents([meter.eventType], to, 0, frontier)).map((t) => t.window);
  const inside = touched.filter((w) => w >= from);
  return meter.kind === 'gauge' && inside.length < touched.length ? [from, ...inside] : inside;
}

/** Windows with a record that may read otherwise; for levels the first is enough, they are followed from there on. */
async function recordedWindows(
  usage: UsageStore,
  ids: readonly number[],
  { from, to }: Interval,
  takesBack: boolean,
  firstOnly: boolean,
): Promise<Set<Instant>> {
  const out = new Set<Instant>();
  for (let start = from; start < to; start += DAY_MS) {
    for (let i = 0; i < ids.length; i += SERIES_A_CALL) {
      const records = await usage.tallyRecords(ids.slice(i, i + SERIES_A_CALL), start, Math.min(to, start + DAY_MS));
      for (const r of records) if (takesBack || isOpen(r)) out.add(r.window);
    }
    if (firstOnly && out.size > 0) return out;
  }
  return out;
}

/** Known because the source said so stays known, unless what it said is taken back. */
const isOpen = (r: TallyRecord): boolean => !r.isVoid && (r.state !== State.known || (r.flags & Flag.assumed) !== 0);
