/**
 * The control store: control facts (append-only), the series registry, the job's leases, progress and runs, and what is
 * set aside. One dialect (PostgreSQL), embedded or any server; the model passes the same contract suite.
 */
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series, SeriesKey } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { BillingStore } from './billing-store.ts';
import type { UnitLease, UnitLeaseAsk } from './unit-leases.ts';

export type NewSeries = SeriesKey &
  Pick<Series, 'width' | 'lineBits' | 'period' | 'layer' | 'witnessOf' | 'firstReceipt'>;

export interface Lease {
  group: number;
  holder: string;
  /** Fencing token: grows with every takeover. */
  token: number;
  until: Instant;
}

/**
 * Progress of one stream of one group over one span of windows: everything in [from, closedTo) has records that account
 * for all facts with receipt <= frontier. Spans of a group and stream do not overlap; the last one has to = null (live).
 * It only schedules: no record depends on it.
 */
export interface Progress {
  id: number;
  stream: 'counter' | 'event';
  group: number;
  from: Instant;
  closedTo: Instant;
  to: Instant | null;
  frontier: Receipt;
}

export interface Run {
  id: number;
  stream: 'counter' | 'event';
  group: number;
  frontier: Receipt;
  from: Instant;
  to: Instant;
  startedAt: Instant;
  finishedAt: Instant | null;
  windows: number;
  records: number;
  rewritten: number;
  odd: number;
  setAside: number;
  outcome: 'running' | 'done' | 'lost-lease' | 'failed';
  error: string;
}

/** Something set aside, with its reason. `identity` is unique: finding it again adds no second item. */
export interface SetAside {
  id: number;
  identity: string;
  tenant: string;
  kind: 'reading' | 'event' | 'series';
  code: string;
  reason: string;
  series: number | null;
  receipt: Receipt | null;
  at: Instant;
  /** Content as received (events), or the reading, as JSON text. */
  content: string;
  state: 'open' | 'released' | 'dropped';
  recordedAt: Instant;
}

/**
 * A limit's counter reached a threshold. Told once for each limit version, period and percentage, whatever the counter
 * does afterwards.
 */
export interface Notice {
  id: number;
  /** Account it is about; '' for the installation. */
  tenant: string;
  /** Key and version of the limit; the account it was given to, and what it counts by. */
  limit: string;
  version: Receipt;
  account: string;
  subject: string;
  /** The period it holds for. */
  from: Instant;
  to: Instant;
  /** Of the amount, whole percents. */
  percent: number;
  used: number;
  amount: number;
  at: Instant;
}

export interface FactFilter {
  kinds?: readonly string[];
  tenant?: string;
  upTo?: Receipt;
  /** Recorded at or after this instant. */
  since?: Instant;
  newest?: boolean;
}

/** Units of a strict quota, asked for ahead of their use. One ask a counter and period in one call. */
export interface GrantAsk {
  /** Account the limit was given to; '' for the installation. */
  tenant: string;
  counter: string;
  /** The period. */
  from: Instant;
  to: Instant;
  want: number;
  /** The limit's amount now: together never more than this is granted, also where it was more before. */
  amount: number;
}
export interface Grant {
  granted: number;
  /** By everybody, this grant included. */
  taken: number;
}

export interface ControlStore {
  readonly engine: 'model' | 'postgres';

  /** Reserves `count` receipt numbers for this process for good: the first of them. Never given twice, also after a crash. */
  leaseReceipts(count: number): Promise<Receipt>;

  appendFacts(facts: readonly ControlFact[]): Promise<void>;
  /** Facts with receipt > after, in receipt order (with `newest` the other way); at most `limit`. */
  facts(after: Receipt, limit: number, filter?: FactFilter): Promise<ControlFact[]>;

  /** All series; the registry is held in memory by the server. */
  series(): Promise<Series[]>;
  /** Registers what is new and returns one row per key, in order. `group` of a new series = hash of its key mod groups. */
  registerSeries(keys: readonly NewSeries[]): Promise<Series[]>;
  registerEpochs(epochs: readonly { series: number; epoch: number; text: string }[]): Promise<void>;
  epochText(series: number, epoch: number): Promise<string | null>;
  /** Ids of series that follow the same epoch of the same (tenant, resource, meter, dimensions): two collectors (case 18). */
  epochHolders(epoch: number): Promise<number[]>;

  /** Takes or renews the lease when it is free, expired at `now`, or ours; null when another holds it. */
  acquireLease(group: number, holder: string, now: Instant, ttlMs: number): Promise<Lease | null>;
  releaseLease(lease: Lease): Promise<void>;
  leases(): Promise<Lease[]>;

  progress(): Promise<Progress[]>;
  createProgress(row: Omit<Progress, 'id'>): Promise<Progress>;
  /** Advances only if the row is unchanged and the lease's token is still in force; false: stop, nothing to undo. */
  advance(row: Progress, closedTo: Instant, frontier: Receipt, lease: Lease, now: Instant): Promise<boolean>;
  /** Splits a live row at `at` (>= closedTo): the old row gets to = at, a new live row starts there; or merges two equal neighbours. */
  splitProgress(row: Progress, at: Instant, lease: Lease, now: Instant): Promise<boolean>;
  mergeProgress(first: Progress, second: Progress, lease: Lease, now: Instant): Promise<boolean>;

  startRun(run: Omit<Run, 'id'>): Promise<number>;
  finishRun(run: Run): Promise<void>;
  runs(limit: number): Promise<Run[]>;
  run(id: number): Promise<Run | null>;
  /** The run whose frontier is the given one (explain). */
  runAt(frontier: Receipt, window: Instant): Promise<Run | null>;

  addSetAside(items: readonly Omit<SetAside, 'id'>[]): Promise<void>;
  setAside(filter: { state?: SetAside['state']; tenant?: string; after?: number; limit: number }): Promise<SetAside[]>;
  setAsideById(id: number): Promise<SetAside | null>;
  resolveSetAside(id: number, state: 'released' | 'dropped'): Promise<void>;

  /** Adds what is not there yet; answers what was added. */
  addNotices(notices: readonly Omit<Notice, 'id'>[]): Promise<Notice[]>;
  /** Newest first, those with an id below `before`. `tenants`: of these only. */
  notices(filter: { tenants?: readonly string[]; before?: number; limit: number }): Promise<Notice[]>;

  /** In the order asked. Atomic among all servers; what a killed one had taken stays taken. */
  takeGrants(asks: readonly GrantAsk[]): Promise<Grant[]>;
  /** Of one's own grants what was not used. */
  returnGrants(items: readonly { counter: string; from: Instant; units: number }[]): Promise<void>;
  /** Removes those whose period ended before `before`; how many. */
  forgetGrants(before: Instant): Promise<number>;

  /** In the order asked. Atomic among all servers; by the store's own clock. */
  leaseUnits(asks: readonly UnitLeaseAsk[]): Promise<UnitLease[]>;

  meta(name: string): Promise<string | null>;
  setMeta(name: string, value: string): Promise<void>;

  /** The books. */
  readonly billing: BillingStore;

  health(): Promise<{ writable: boolean; detail: string }>;
  close(): Promise<void>;
}
