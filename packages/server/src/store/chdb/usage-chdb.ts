/** The usage store on chDB: ClickHouse in this process, on one directory. */
import { mkdir, open, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { drainPending } from 'chdb';
import type { Declaration, Receipt, SeriesReading, StoredEvent } from '../../domain/fact.ts';
import type { Meter } from '../../domain/meter.ts';
import type { CounterRecord, TallyRecord } from '../../domain/record.ts';
import type { Instant } from '../../domain/window.ts';
import { codeOf, StoreError } from '../errors.ts';
import type {
  AcceptedNumbers,
  BilledCounters,
  BilledTallies,
  CounterSum,
  EpochExtent,
  EventQuery,
  FactWriter,
  FastClose,
  IdentityRow,
  RecordSpan,
  Span,
  TallyClose,
  TallySum,
  Touched,
  UsageStore,
} from '../usage-store.ts';
import * as billed from './billed.ts';
import * as counters from './counters.ts';
import { acceptedNumbers, DeclarationsAt } from './declarations.ts';
import * as events from './events.ts';
import { ChdbFactWriter } from './fact-writer.ts';
import { isStaged, Lane, type LaneLimits } from './lane.ts';
import { exportParquet } from './parquet.ts';
import * as readingSpans from './reading-spans.ts';
import * as readings from './readings.ts';
import * as records from './records.ts';
import { refusal } from './refusal.ts';
import { migrate } from './schema.ts';
import { tally } from './tally.ts';

export interface ChdbOptions {
  directory: string;
  /** Bounds of one statement, by what it is for. */
  limits?: Partial<Record<'writer' | 'job' | 'reader', Partial<LaneLimits>>>;
}

const GB = 1_000_000_000;
const LIMITS: Record<'writer' | 'job' | 'reader', LaneLimits> = {
  writer: { memory: GB, seconds: 0, threads: 1 },
  job: { memory: 1.5 * GB, seconds: 600, threads: 2 },
  reader: { memory: GB, seconds: 60, threads: 2 },
};

/** Opens or creates the store. Throws StoreError: store.locked, store.newer_schema, store.not_writable, store.failed. */
export async function openChdb(options: ChdbOptions): Promise<UsageChdb> {
  const lanes: Lane[] = [];
  const lane = (kind: 'writer' | 'job' | 'reader'): Lane => {
    const opened = new Lane(options.directory, { ...LIMITS[kind], ...options.limits?.[kind] });
    lanes.push(opened);
    return opened;
  };
  try {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const writer = lane('writer');
    await removeStaged(options.directory);
    await migrate(writer);
    const job = lane('job');
    await job.execute(counters.stagingTable);
    return new UsageChdb(options.directory, { writer, job, readers: [lane('reader'), lane('reader')] });
  } catch (error) {
    for (const opened of lanes) await opened.close();
    await drainPending();
    throw lanes.length === 0 ? await whyNotOpened(options.directory, error) : refusal(error);
  }
}

/** What inserts that never ended left; called once the engine says that the directory is ours. */
async function removeStaged(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (isStaged(name)) await rm(join(directory, name), { force: true });
}

/** The engine says that it could not connect, and why only to stderr. Its status file names who holds the directory. */
async function whyNotOpened(directory: string, error: unknown): Promise<Error> {
  const status = await readFile(join(directory, 'status'), 'utf8').catch(() => '');
  const holder = Number(/^PID: (\d+)/m.exec(status)?.[1] ?? 0);
  if (holder > 0 && holder !== process.pid && isAlive(holder)) {
    return new StoreError('store.locked', `Process ${holder} has the usage store open.`, {
      hint: 'Stop the other server, or choose another data directory.',
      cause: error,
    });
  }
  return refusal(error);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * One lane for commits, so that an acknowledgement waits for nothing else; one for the job's long statements; two for
 * queries, the less busy one taken. The job's own short reads go to the readers too.
 */
interface Lanes {
  writer: Lane;
  job: Lane;
  readers: readonly [Lane, Lane];
}

export class UsageChdb implements UsageStore {
  readonly engine = 'chdb';
  private readonly directory: string;
  private readonly lanes: Lanes;
  private readonly declared: DeclarationsAt;
  private closing: Promise<void> | null = null;
  private probes = 0;

  /** Use openChdb. */
  constructor(directory: string, lanes: Lanes) {
    this.directory = directory;
    this.lanes = lanes;
    this.declared = new DeclarationsAt(lanes.job);
  }

  private get reader(): Lane {
    const [first, second] = this.lanes.readers;
    return second.load < first.load ? second : first;
  }

  writer(): FactWriter {
    return new ChdbFactWriter(this.lanes.writer);
  }

  readings(
    series: readonly number[],
    from: Instant,
    to: Instant,
    frontier: Receipt,
  ): Promise<Map<number, SeriesReading[]>> {
    return readings.readings(this.reader, series, from, to, frontier);
  }

  readingBefore(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>> {
    return readings.nearest(this.reader, 'before', series, t, frontier);
  }

  readingAfter(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>> {
    return readings.nearest(this.reader, 'after', series, t, frontier);
  }

  readingsWithin(spans: readonly RecordSpan[], frontier: Receipt): Promise<SeriesReading[][]> {
    return readingSpans.readingsWithin(this.reader, spans, frontier);
  }

  nearestReadings(
    side: 'before' | 'after',
    asks: readonly { series: number; t: Instant }[],
    frontier: Receipt,
  ): Promise<(Instant | null)[]> {
    return readingSpans.nearestReadings(this.reader, side, asks, frontier);
  }

  epochExtents(series: readonly number[], from: Instant, to: Instant): Promise<Map<number, EpochExtent[]>> {
    return readings.epochExtents(this.reader, series, from, to);
  }

  lastReadings(): Promise<Map<number, readings.LastReading>> {
    return readings.lastReadings(this.lanes.job);
  }

  async findReceipt(receipt: Receipt): Promise<{ reading: SeriesReading } | { event: StoredEvent } | null> {
    const reading = await readings.readingByReceipt(this.reader, receipt);
    if (reading !== null) return { reading };
    const event = await events.eventByReceipt(this.reader, receipt);
    return event === null ? null : { event };
  }

  extent(frontier: Receipt): Promise<Instant | null> {
    return events.extent(this.lanes.job, frontier);
  }

  touchedCounters(span: Span, after: Receipt, frontier: Receipt): Promise<Touched[]> {
    return counters.touchedCounters(this.lanes.job, span, after, frontier);
  }

  closeCounters(
    span: Span,
    frontier: Receipt,
    forceOdd: readonly number[],
    registered?: readonly number[],
  ): Promise<FastClose> {
    return counters.closeCounters(this.lanes.job, span, frontier, forceOdd, registered);
  }

  computeCounters(
    span: Span,
    series: readonly number[],
    frontier: Receipt,
  ): Promise<{ records: CounterRecord[]; odd: number[] }> {
    return counters.computeCounters(this.reader, span, series, frontier);
  }

  pendingCounters(span: Span): Promise<Touched[]> {
    return counters.pendingCounters(this.lanes.job, span);
  }

  writeCounters(written: readonly CounterRecord[], frontier: Receipt): Promise<void> {
    return records.writeCounters(this.lanes.job, written, frontier);
  }

  counterRecords(
    series: readonly number[],
    from: Instant,
    to: Instant,
  ): Promise<(CounterRecord & { frontier: Receipt })[]> {
    return records.counterRecords(this.reader, series, from, to);
  }

  sumCounters(series: readonly number[], edges: readonly Instant[]): Promise<CounterSum[]> {
    return records.sumCounters(this.reader, series, edges);
  }

  billedCounters(spans: readonly RecordSpan[]): Promise<BilledCounters[]> {
    return billed.billedCounters(this.reader, spans);
  }

  billedTallies(spans: readonly RecordSpan[]): Promise<BilledTallies[]> {
    return billed.billedTallies(this.reader, spans);
  }

  rewrittenTallies(series: readonly number[], to: Instant, after: Receipt): Promise<number[]> {
    return billed.rewrittenTallies(this.reader, series, to, after);
  }

  events(query: EventQuery): AsyncIterable<StoredEvent> {
    return events.events(this.reader, query);
  }

  findEvent(tenant: string, source: string, id: string): Promise<StoredEvent[]> {
    return events.findEvent(this.reader, tenant, source, id);
  }

  findEvents(wanted: readonly events.WantedEvent[]): Promise<StoredEvent[][]> {
    return events.findEvents(this.reader, wanted);
  }

  touchedEvents(
    types: readonly string[],
    before: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ type: string; window: Instant }[]> {
    return events.touchedEvents(this.lanes.job, types, before, after, frontier);
  }

  touchedSubjects(
    types: readonly string[],
    from: Instant,
    to: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ tenant: string; subject: string }[]> {
    return billed.touchedSubjects(this.reader, types, from, to, after, frontier);
  }

  tally(
    meter: Meter,
    from: Instant,
    to: Instant,
    frontier: Receipt,
    voided: readonly Receipt[],
    undoneSets: readonly string[],
  ): Promise<TallyClose> {
    return tally(this.lanes.job, meter, from, to, frontier, voided, undoneSets);
  }

  writeTallies(written: readonly TallyRecord[], frontier: Receipt): Promise<void> {
    return records.writeTallies(this.lanes.job, written, frontier);
  }

  tallyRecords(
    series: readonly number[],
    from: Instant,
    to: Instant,
  ): Promise<(TallyRecord & { frontier: Receipt })[]> {
    return records.tallyRecords(this.reader, series, from, to);
  }

  sumTallies(series: readonly number[], edges: readonly Instant[]): Promise<TallySum[]> {
    return records.sumTallies(this.reader, series, edges);
  }

  lastTallies(series: readonly number[], before: Instant): Promise<Map<number, TallyRecord>> {
    return records.lastTallies(this.reader, series, before);
  }

  declarations(frontier: Receipt): Promise<Declaration[]> {
    return this.declared.read(frontier);
  }

  acceptedNumbers(): Promise<AcceptedNumbers[]> {
    return acceptedNumbers(this.lanes.job);
  }

  identities(after: Receipt, receivedSince: Instant = 0): AsyncIterable<IdentityRow[]> {
    return events.identities(this.directory, after, receivedSince);
  }

  exportParquet(table: 'counter' | 'tally', from: Instant, to: Instant, file: string): Promise<number> {
    return exportParquet(this.lanes.job, table, from, to, file);
  }

  async health(): Promise<{ writable: boolean; detail: string }> {
    const probe = join(this.directory, `probe-${++this.probes}`);
    try {
      await this.reader.execute('SELECT 1');
      const { bavail, bsize } = await statfs(this.directory);
      if (bavail * bsize < SPACE_MIN) return { writable: false, detail: `${bavail * bsize} bytes of disk are left.` };
      const handle = await open(probe, 'w', 0o600);
      try {
        await handle.write(PROBE);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return { writable: true, detail: `chDB, ${Math.floor((bavail * bsize) / 1_000_000_000)} GB of disk free` };
    } catch (error) {
      return { writable: false, detail: refusal(error).message };
    } finally {
      await rm(probe, { force: true });
    }
  }

  /** The writer's lane ends the others' statements: when its turn comes no commit of facts is under way. */
  async interrupt(): Promise<void> {
    const { writer, job, readers } = this.lanes;
    for (const lane of [job, ...readers]) lane.refuse();
    await writer.execute('KILL QUERY WHERE query_id != queryID() ASYNC');
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    const { writer, job, readers } = this.lanes;
    for (const lane of [writer, job, ...readers]) await lane.close();
    // Sessions give their connection back later; until then the directory is not free.
    await drainPending();
  }
}

const PROBE = 'A file that shows whether the directory can be written to.\n';
/** Below this a commit of the largest body, and the merges behind it, may not find room. */
const SPACE_MIN = 32_000_000;
