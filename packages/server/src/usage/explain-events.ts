/** Explaining what events make: from a record of an event meter down to its events, and from an event up to its records. */
import type { Book } from '../domain/book.ts';
import type { Receipt, StoredEvent } from '../domain/fact.ts';
import { isCounter, type Meter } from '../domain/meter.ts';
import { formatQuantity } from '../domain/quantity.ts';
import { type FlagName, flagNames, type StateName, stateName, type TallyRecord } from '../domain/record.ts';
import type { Series } from '../domain/series.ts';
import { compileMeter, type MeterProgram } from '../domain/tally.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { ControlStore, Run } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { emptyAmount, show } from './amount.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { UsageError } from './errors.ts';

export interface ExplainDeps {
  usage: UsageStore;
  control: ControlStore;
  registry: SeriesRegistry;
  book: Book;
  frontier: Receipt;
  /** The frontier is one of long ago: no record is built on. */
  isPast: boolean;
}

export interface ExplainedTallyRecord {
  window: Instant;
  part: number;
  to: Instant;
  /** The meter's figure of this window alone, exact; null: unknown. */
  quantity: string | null;
  events: string;
  state: StateName;
  flags: FlagName[];
  frontier: Receipt | null;
  run: Run | null;
  /** The stored record equals what the facts give now. */
  confirmed: boolean;
}

export interface ExplainedTally {
  kind: 'tally';
  series: Series;
  owner: string | null;
  meter: Meter;
  records: ExplainedTallyRecord[];
  /** At most `eventsShown` of the events that feed the series in this span. */
  events: { receipt: Receipt; t: Instant; id: string; value: string; problem: string | null }[];
}

export interface ExplainedEvent {
  kind: 'event';
  event: StoredEvent;
  voided: boolean;
  /** Where it counts. */
  counted: { meter: string; series: number | null; window: Instant; record: string | null }[];
}

export const eventsShown = 10_000;

export async function explainTally(
  deps: ExplainDeps,
  series: Series,
  meter: Meter,
  from: Instant,
  to: Instant,
): Promise<ExplainedTally> {
  const { usage, control, registry, book, frontier } = deps;
  const completeness = new Completeness(book, await usage.declarations(frontier));
  const closer = new EventCloser({
    usage,
    registry,
    book,
    frontier,
    completeness,
    closedTo: meter.kind === 'gauge' && !deps.isPast ? from : 0,
  });
  const computed = (await closer.compute(from, to, meter)).filter((c) => c.series === series).map((c) => c.record);
  const stored = new Map((await usage.tallyRecords([series.id], from, to)).map((r) => [`${r.window}:${r.part}`, r]));
  const records: ExplainedTallyRecord[] = [];
  for (const [i, r] of computed.entries()) {
    const kept = stored.get(`${r.window}:${r.part}`);
    const next = computed[i + 1];
    records.push({
      window: r.window,
      part: r.part,
      to: next !== undefined && next.window === r.window ? next.window + next.part : r.window + WINDOW_MS,
      quantity: show(meter, { ...emptyAmount(), ...r, known: true }).quantity,
      events: String(r.count),
      state: stateName(r.state),
      flags: flagNames(r.flags),
      frontier: kept?.frontier ?? null,
      run: kept === undefined ? null : await control.runAt(kept.frontier, r.window),
      confirmed: kept !== undefined && sameTally(kept, r),
    });
  }
  const events: ExplainedTally['events'] = [];
  await closer.measure(meter, from, to, (of, event, program) => {
    if (of === series && events.length < eventsShown) events.push(eventRow(event, program));
  });
  const owner = book.ownerAt(series.tenant, series.resource, from);
  return { kind: 'tally', series, owner, meter, records, events };
}

function eventRow(event: StoredEvent, program: MeterProgram): ExplainedTally['events'][number] {
  const { receipt, t, id } = event;
  if (program.meter.aggregation === 'unique') return { receipt, t, id, value: program.textOf(event), problem: null };
  const value = program.valueOf(event);
  if (typeof value === 'bigint') return { receipt, t, id, value: formatQuantity(value), problem: null };
  return { receipt, t, id, value: '', problem: value.message };
}

const sameTally = (a: TallyRecord, b: TallyRecord): boolean =>
  a.sum === b.sum &&
  a.count === b.count &&
  a.min === b.min &&
  a.max === b.max &&
  a.latest === b.latest &&
  a.state === b.state &&
  a.flags === b.flags;

/** Where an event was counted: every meter of its type that lets it pass, and the one series its dimensions name. */
export function upFrom(deps: ExplainDeps, event: StoredEvent, viewer: ReadonlySet<string> | null): ExplainedEvent {
  const owner = deps.book.ownerAt(event.tenant, event.subject, event.t);
  if (viewer !== null && !(owner !== null && viewer.has(owner))) {
    throw new UsageError('fact.unknown', 'no such event was accepted');
  }
  const window = windowStart(event.t);
  const counted: ExplainedEvent['counted'] = [];
  for (const meter of deps.book.meters()) {
    if (meter.eventType !== event.type || meter.kind === 'percentile') continue;
    const dimensions = compileMeter(meter).dimensionsOf(event);
    if (dimensions === null) continue;
    const { tenant, source, subject: resource } = event;
    const series = isCounter(meter)
      ? deps.registry.ofResource(tenant, resource).find((s) => s.meter === meter.key && s.source === source)
      : deps.registry.find({ tenant, source, resource, meter: meter.key, dimensions });
    counted.push({
      meter: meter.key,
      series: series?.id ?? null,
      window,
      record: series === undefined ? null : `${series.id}@${window}`,
    });
  }
  return { kind: 'event', event, voided: deps.book.isVoided(event.receipt), counted };
}
