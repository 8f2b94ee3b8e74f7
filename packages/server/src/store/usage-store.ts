/**
 * The usage store: facts in, records in and out. One dialect (ClickHouse SQL), embedded as chDB; the model store passes
 * the same contract suite. Every read takes a frontier S and sees only facts with receipt <= S; nothing reads a clock.
 */
import type { Declaration, Receipt, SeriesReading, StoredEvent } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import type { CounterRecord, TallyRecord } from '../domain/record.ts';
import type { Instant } from '../domain/window.ts';

/** Collects one group commit. Not reused after `commit` settles. */
export interface FactWriter {
  event(event: StoredEvent, identity: IdentityHash): void;
  /**
   * As `event` for every position of the batch whose `take` is 1, from bytes: the encoder copies the slices without
   * making strings. It has read everything it needs when the call returns; the arrays are reused. A store without it gets `event`.
   */
  rawEvents?(batch: RawEvents): void;
  reading(reading: SeriesReading): void;
  /** Declarations are written after the facts they vouch for, in the same commit. */
  declaration(declaration: Declaration): void;
  readonly size: number;
  /** Resolves when everything is on disk (files and directories synced). Rejects with StoreError; nothing is then acknowledged. */
  commit(): Promise<void>;
}

/** Columns of a RawEvents range table: each is a start and an end (exclusive) in `bytes`. Absent subject or data: start = end. */
export const Range = { source: 0, id: 2, type: 4, subject: 6, data: 8, width: 10 } as const;

/** Events of one request body as byte ranges. Attributes are UTF-8 without control characters, data is raw JSON text. */
export interface RawEvents {
  bytes: Buffer;
  count: number;
  /** Range.width numbers an event: position p's source is bytes[ranges[p*10], ranges[p*10+1]), and so on. */
  ranges: Int32Array;
  /** 1: write this one. */
  take: Uint8Array;
  t: Float64Array;
  sourceTime: Float64Array;
  stamps: Uint8Array;
  /** Four unsigned 32-bit numbers an event: idHi, idLo, contentHi, contentLo. */
  identity: Uint32Array;
  tenant: string;
  set: string;
  receivedAt: Instant;
  /** Receipt of position p is firstReceipt + p. */
  firstReceipt: Receipt;
}

/** 64-bit keyed hash of (tenant, source, id) and of the content, as the identity index keeps them. */
export interface IdentityHash {
  idHi: number;
  idLo: number;
  contentHi: number;
  contentLo: number;
}

export interface IdentityRow extends IdentityHash {
  t: Instant;
  receipt: Receipt;
  /** When it was received: the identity window is counted from here. */
  receivedAt?: Instant;
}

/** A contiguous range of series ids and a half-open span of windows. */
export interface Span {
  firstSeries: number;
  lastSeries: number;
  from: Instant;
  to: Instant;
}

export interface EpochExtent {
  epoch: number;
  /** Starts of the windows of its first and its last reading. */
  first: Instant;
  last: Instant;
}

export interface Touched {
  series: number;
  /** First and one-past-last instant whose windows the new facts may have changed. */
  from: Instant;
  to: Instant;
}

export interface FastClose {
  /** Series of the span that are not normal there (start, reset, fall, tie, late, gap, end): the pure function's work. */
  odd: number[];
  /** Records written for the normal series. */
  written: number;
}

export interface EventQuery {
  types: readonly string[];
  from: Instant;
  to: Instant;
  frontier: Receipt;
  /** Facts that count no more as of the frontier. */
  voided: readonly Receipt[];
  undoneSets: readonly string[];
  /** Only events of this set. */
  inSet?: string;
  tenant?: string;
  source?: string;
  subject?: string;
  /** Only events of one of these subjects: some thousands at most. */
  subjects?: readonly string[];
  /** Only events of these subjects in these windows: some thousands at most. */
  within?: readonly SubjectWindow[];
  limit?: number;
  /** Newest first; default is (t, receipt) ascending. */
  descending?: boolean;
}

export interface SubjectWindow {
  subject: string;
  /** Its start. */
  window: Instant;
}

/** Sums of counter records, one row per (series, bucket index). */
export interface CounterSum {
  series: number;
  /** Index into `edges`: the interval [edges[i], edges[i+1]). */
  interval: number;
  used: bigint;
  n: bigint;
  seen: number;
  flags: number;
  /** Worst state of the records in the interval. */
  state: number;
  /** Records that are not void. */
  records: number;
  /** Highest frontier among the records. */
  frontier: Receipt;
}

export interface TallySum {
  series: number;
  interval: number;
  sum: bigint;
  count: bigint;
  min: bigint | null;
  max: bigint | null;
  latest: bigint | null;
  latestAt: Instant;
  flags: number;
  state: number;
  records: number;
  frontier: Receipt;
}

/** Whole windows [from, to) of one series. */
export interface RecordSpan {
  series: number;
  from: Instant;
  to: Instant;
}

/** What an invoice is summed from. `interval` is the span's index, `frontier` that of the void records too. */
export interface BilledCounters extends CounterSum {
  /** Of the records that are not void: domain/record-digest.ts. */
  digest: bigint;
  /** `seen` of the span's last window: all of it when a later reading says what was used up to the end. */
  lastSeen: number;
  /** Records that `isUndigested` is true of: the digest is not the one that their facts give. */
  undigested: number;
}
export interface BilledTallies extends TallySum {
  digest: bigint;
}

/** One group of a delta meter's events in one window, as SQL summed it. `dimensions` in the order of meter.groupBy's keys. */
export interface TallyRow {
  tenant: string;
  source: string;
  subject: string;
  dimensions: string[];
  window: Instant;
  sum: bigint;
  count: bigint;
  min: bigint | null;
  max: bigint | null;
  latest: bigint | null;
  latestAt: Instant;
}

export interface TallyClose {
  rows: TallyRow[];
  /** Groups with a value SQL cannot take exactly (exponent, over 12 decimals, not a number): the pure function's work. */
  odd: { tenant: string; source: string; subject: string }[];
}

/** Numbers first .. last came; two of one run neither overlap nor touch. */
export interface AcceptedNumbers {
  tenant: string;
  source: string;
  run: string;
  first: number;
  last: number;
}

export interface UsageStore {
  readonly engine: 'model' | 'chdb';

  writer(): FactWriter;

  /** Readings of the given series with from <= t < to, by series, each in receipt order. At most `limit` series a call. */
  readings(
    series: readonly number[],
    from: Instant,
    to: Instant,
    frontier: Receipt,
  ): Promise<Map<number, SeriesReading[]>>;
  /**
   * Nearest reading strictly before `t` (or at or after `t`) of each series: its instant, or absent when there is none.
   * Answers from per-part projections; the pure path uses it to widen its context.
   */
  readingBefore(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>>;
  readingAfter(series: readonly number[], t: Instant, frontier: Receipt): Promise<Map<number, Instant>>;
  /** As `readings`, of many spans at any instants, in their order; a series may be asked for in several. */
  readingsWithin(spans: readonly RecordSpan[], frontier: Receipt): Promise<SeriesReading[][]>;
  /** As readingBefore or readingAfter with an instant for each, in the order of the asks; null: there is none. */
  nearestReadings(
    side: 'before' | 'after',
    asks: readonly { series: number; t: Instant }[],
    frontier: Receipt,
  ): Promise<(Instant | null)[]>;
  /** Where the epochs of each series begin and end on the UTC days of [from, to], whatever their receipts. */
  epochExtents(series: readonly number[], from: Instant, to: Instant): Promise<Map<number, EpochExtent[]>>;
  /** Last reading of every series by time: loaded once at start, to stamp `late`, `clockBack` and `fast`. */
  lastReadings(): Promise<Map<number, { t: Instant; value: bigint; epoch: number; receipt: Receipt }>>;
  /** Finds a reading or event by receipt (explain, void). */
  findReceipt(receipt: Receipt): Promise<{ reading: SeriesReading } | { event: StoredEvent } | null>;

  /** The earliest instant any fact speaks of (times, and starts that counters declare); null when there is none. */
  extent(frontier: Receipt): Promise<Instant | null>;

  /** Windows of [span.from, closedTo) that readings with after < receipt <= frontier may have changed, silent tails included. */
  touchedCounters(span: Span, after: Receipt, frontier: Receipt): Promise<Touched[]>;
  /**
   * Closes the span's windows for all normal series in SQL, writes their records at version `frontier`, reports the others.
   * `counters`: ids of at least all counters registered in the span; only those of them without readings near are looked
   * for further out. Without it every reading is.
   */
  closeCounters(
    span: Span,
    frontier: Receipt,
    forceOdd: readonly number[],
    counters?: readonly number[],
  ): Promise<FastClose>;
  /** As closeCounters for the given series, without writing: the still open windows of a query. */
  computeCounters(
    span: Span,
    series: readonly number[],
    frontier: Receipt,
  ): Promise<{ records: CounterRecord[]; odd: number[] }>;

  writeCounters(records: readonly CounterRecord[], frontier: Receipt): Promise<void>;
  counterRecords(
    series: readonly number[],
    from: Instant,
    to: Instant,
  ): Promise<(CounterRecord & { frontier: Receipt })[]>;
  /** Sums current records per series and interval. `edges` ascending, on the window grid. Void records do not count. */
  sumCounters(series: readonly number[], edges: readonly Instant[]): Promise<CounterSum[]>;
  /**
   * Current records by span, with their digest. Spans without any record are left out; those with void ones only are not.
   * No span is named twice.
   */
  billedCounters(spans: readonly RecordSpan[]): Promise<BilledCounters[]>;

  /** Events in (t, receipt) order, first receipt of each identity and time only. */
  events(query: EventQuery): AsyncIterable<StoredEvent>;
  findEvent(tenant: string, source: string, id: string): Promise<StoredEvent[]>;
  /**
   * As findEvent for many at once, in one pass, by the hash they were stored with: a storm of repetitions written
   * differently asks for thousands. One list per wanted event, in order. A store without it gets findEvent for each.
   */
  findEvents?(
    wanted: readonly { tenant: string; source: string; id: string; idHi: number; idLo: number }[],
  ): Promise<StoredEvent[][]>;
  touchedEvents(
    types: readonly string[],
    before: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ type: string; window: Instant }[]>;
  /** Whose events with after < receipt <= frontier lie in [from, to): what was measured, once each. */
  touchedSubjects(
    types: readonly string[],
    from: Instant,
    to: Instant,
    after: Receipt,
    frontier: Receipt,
  ): Promise<{ tenant: string; subject: string }[]>;
  /** Sums a delta meter's events by (tenant, source, subject, dimensions, window); writes nothing. */
  tally(
    meter: Meter,
    from: Instant,
    to: Instant,
    frontier: Receipt,
    voided: readonly Receipt[],
    undoneSets: readonly string[],
  ): Promise<TallyClose>;
  writeTallies(records: readonly TallyRecord[], frontier: Receipt): Promise<void>;
  tallyRecords(series: readonly number[], from: Instant, to: Instant): Promise<(TallyRecord & { frontier: Receipt })[]>;
  sumTallies(series: readonly number[], edges: readonly Instant[]): Promise<TallySum[]>;
  billedTallies(spans: readonly RecordSpan[]): Promise<BilledTallies[]>;
  /** Series with a record, void ones too, of a window before `to` at a frontier above `after`. */
  rewrittenTallies(series: readonly number[], to: Instant, after: Receipt): Promise<number[]>;
  /** The newest not void record of each series before `before`: the gauge checkpoint (derived, rebuildable). */
  lastTallies(series: readonly number[], before: Instant): Promise<Map<number, TallyRecord>>;

  /** One row per (tenant, source): its highest completeThrough and latest receivedAt among declarations up to the frontier. */
  declarations(frontier: Receipt): Promise<Declaration[]>;
  /** Series of the span with a current pending or quarantined record in it (to settle what will never come). */
  pendingCounters(span: Span): Promise<Touched[]>;
  /** The numbers that came of each (tenant, source, run), by its declarations: restores the marks of ingest. */
  acceptedNumbers(): Promise<AcceptedNumbers[]>;
  /**
   * Identities of events with receipt > after (and received at or after `receivedSince`), in any order: repairs the
   * identity index before ingest opens, and settles a commit whose failure left open what is on disk.
   */
  identities(after: Receipt, receivedSince?: Instant): AsyncIterable<IdentityRow[]>;

  /** Current records of [from, to) as one Parquet file; returns rows written. */
  exportParquet(table: 'counter' | 'tally', from: Instant, to: Instant, file: string): Promise<number>;

  health(): Promise<{ writable: boolean; detail: string }>;
  /**
   * Before closing: what reads or computes ends now, and nothing of it begins any more; it rejects with
   * `store.unavailable`. Commits of facts go on. A store whose statements are all short does not have it.
   */
  interrupt?(): Promise<void>;
  close(): Promise<void>;
}
