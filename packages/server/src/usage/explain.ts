/** From a record down to the run, the readings and events that made it, with the case of each; and up again. */
import type { Book } from '../domain/book.ts';
import type { Verdict } from '../domain/delta.ts';
import type { Receipt, SeriesReading } from '../domain/fact.ts';
import { isCounter, type Meter } from '../domain/meter.ts';
import type { CounterRecord } from '../domain/record.ts';
import { type FlagName, flagNames, type StateName, stateName } from '../domain/record.ts';
import { counterLine, isUndigested } from '../domain/record-digest.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../domain/window.ts';
import type { Run } from '../store/control-store.ts';
import { followSeries, recordsOf } from './counters.ts';
import { UsageError } from './errors.ts';
import { type ExplainDeps, type ExplainedEvent, type ExplainedTally, explainTally, upFrom } from './explain-events.ts';
import type { Viewer } from './selection.ts';

export interface ExplainedRecord {
  window: Instant;
  part: number;
  to: Instant;
  /** Exact integer, in the meter's unit. */
  quantity: string;
  readings: number;
  seenMs: number;
  state: StateName;
  flags: FlagName[];
  /** Frontier the stored record was computed at; null while its window is open. */
  frontier: Receipt | null;
  run: Run | null;
  /** The stored record equals what the facts give now. */
  confirmed: boolean;
}

export interface ExplainedReading {
  receipt: Receipt;
  t: Instant;
  sourceTime: Instant;
  value: string;
  epoch: string;
  stamps: number;
  /** Case of the counter rules, see docs/reference/counters.md. */
  case: number;
  /** counted, baseline, duplicate, end, voided, or why it was set aside. */
  outcome: string;
  /** What it added since the reading before. */
  amount: string | null;
  against: Receipt | null;
}

export interface ExplainedCounter {
  kind: 'counter';
  series: Series;
  owner: string | null;
  meter: Meter | null;
  records: ExplainedRecord[];
  readings: ExplainedReading[];
}

export type Explained = ExplainedCounter | ExplainedTally | ExplainedEvent;

/** `SERIES@WINDOW`, `SERIES@FROM/TO` (ms or ISO) for records; `receipt:N` or `event:SOURCE/ID` for facts. */
export async function explain(
  deps: ExplainDeps,
  ref: string,
  viewer: Viewer,
  parse: (text: string) => Instant | null,
): Promise<Explained> {
  const counter = /^(\d+)@([^/]+)(?:\/(.+))?$/.exec(ref);
  if (counter !== null) {
    const from = parse(counter[2] ?? '');
    const to = counter[3] === undefined ? (from === null ? null : windowStart(from) + WINDOW_MS) : parse(counter[3]);
    if (from === null || to === null || to <= from) throw badRef(ref);
    return explainSeries(deps, Number(counter[1]), from, to, viewer);
  }
  const receipt = /^receipt:(\d+)$/.exec(ref);
  if (receipt !== null) return explainReceipt(deps, Number(receipt[1]), viewer);
  const event = /^event:(.+)\/([^/]+)$/.exec(ref);
  if (event !== null) return explainEvent(deps, event[1] ?? '', event[2] ?? '', viewer);
  throw badRef(ref);
}

const badRef = (ref: string): UsageError =>
  new UsageError(
    'explain.reference',
    `${ref} is none of SERIES@WINDOW, SERIES@FROM/TO, receipt:N, event:SOURCE/ID, refusal:ID`,
  );

async function explainSeries(
  deps: ExplainDeps,
  id: number,
  from: Instant,
  to: Instant,
  viewer: Viewer,
): Promise<ExplainedCounter | ExplainedTally> {
  const series = deps.registry.byId(id);
  if (series === undefined || !maySee(deps.book, series, from, to, viewer)) {
    throw new UsageError('series.unknown', `there is no series ${id}`);
  }
  const [first, last] = [windowStart(from), windowCeil(to)];
  const meter = deps.book.meter(series.meter);
  if (meter !== undefined && !isCounter(meter)) return explainTally(deps, series, meter, first, last);
  const [course] = await followSeries(deps, [{ series, from: first, to: last }]);
  if (course === undefined) throw new UsageError('series.unknown', `there is no series ${id}`);
  const computed = recordsOf(deps.book, course, first, last);
  const stored = new Map((await deps.usage.counterRecords([id], first, last)).map((r) => [`${r.window}:${r.part}`, r]));
  const records: ExplainedRecord[] = [];
  for (const [i, r] of computed.entries()) {
    const kept = stored.get(`${r.window}:${r.part}`);
    const next = computed[i + 1];
    records.push({
      window: r.window,
      part: r.part,
      to: next !== undefined && next.window === r.window ? next.window + next.part : r.window + WINDOW_MS,
      quantity: String(r.used),
      readings: r.n,
      seenMs: r.seen,
      state: stateName(r.state),
      flags: flagNames(r.flags),
      frontier: kept?.frontier ?? null,
      run: kept === undefined ? null : await deps.control.runAt(kept.frontier, r.window),
      confirmed: kept !== undefined && !kept.isVoid && isSame(kept, r),
    });
  }
  const readings = await explainReadings(deps, series, course.readings, course.course.verdicts, first, last);
  const owner = deps.book.ownerAt(series.tenant, series.resource, from);
  return { kind: 'counter', series, owner, meter: deps.book.meter(series.meter) ?? null, records, readings };
}

const isSame = (kept: CounterRecord, now: CounterRecord): boolean =>
  counterLine(isUndigested(kept) ? { ...kept, facts: now.facts } : kept) === counterLine(now);

/** The readings inside, and the one on either side that the edges were measured from. */
async function explainReadings(
  deps: ExplainDeps,
  series: Series,
  readings: readonly SeriesReading[],
  verdicts: ReadonlyMap<Receipt, Verdict>,
  from: Instant,
  to: Instant,
): Promise<ExplainedReading[]> {
  const sorted = [...readings].sort((a, b) => a.t - b.t || a.receipt - b.receipt);
  const first = Math.max(
    0,
    sorted.findLastIndex((r) => r.t < from),
  );
  const after = sorted.findIndex((r) => r.t >= to);
  const shown = sorted.slice(first, after < 0 ? undefined : after + 1);
  const texts = new Map<number, string>();
  const out: ExplainedReading[] = [];
  for (const r of shown) {
    if (!texts.has(r.epoch)) texts.set(r.epoch, (await deps.control.epochText(series.id, r.epoch)) ?? String(r.epoch));
    const verdict = verdicts.get(r.receipt);
    out.push({
      receipt: r.receipt,
      t: r.t,
      sourceTime: r.sourceTime,
      value: String(r.value),
      epoch: texts.get(r.epoch) ?? '',
      stamps: r.stamps,
      case: verdict?.case ?? 0,
      outcome: verdict?.code ?? 'unjudged',
      amount: verdict?.amount == null ? null : String(verdict.amount),
      against: verdict?.against ?? null,
    });
  }
  return out;
}

async function explainReceipt(deps: ExplainDeps, receipt: Receipt, viewer: Viewer): Promise<Explained> {
  const found = await deps.usage.findReceipt(receipt);
  if (found === null) throw new UsageError('fact.unknown', `no reading or event has receipt ${receipt}`);
  if ('reading' in found) {
    const window = windowStart(found.reading.t);
    return explainSeries(deps, found.reading.series, window, window + WINDOW_MS, viewer);
  }
  return upFrom(deps, found.event, viewer);
}

async function explainEvent(deps: ExplainDeps, source: string, id: string, viewer: Viewer): Promise<ExplainedEvent> {
  for (const tenant of viewer ?? ['', ...[...deps.book.allAccounts()].map((a) => a.id)]) {
    const [event] = await deps.usage.findEvent(tenant, source, id);
    if (event !== undefined) return upFrom(deps, event, viewer);
  }
  throw new UsageError('fact.unknown', `no event ${id} of source ${source} was accepted`);
}

function maySee(book: Book, series: Series, from: Instant, to: Instant, viewer: Viewer): boolean {
  if (viewer === null) return true;
  // Every owner of the span must be visible: part of a window would tell of the other's usage.
  return book
    .ownerIntervals(series.tenant, series.resource, windowStart(from), windowCeil(to))
    .every((o) => o.account !== null && viewer.has(o.account));
}
