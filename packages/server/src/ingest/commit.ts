/**
 * The group commit: one writer, groups one after another. While a group is written the next one fills, so parsing and
 * writing overlap, and the busier the server the larger the groups. Nobody is answered before their group is on disk.
 *
 * A commit that fails leaves open what of it is on disk. Everyone in it, and in the groups behind it, is told to come
 * again; the store is then asked which events are there after all, and only when it has answered are the group's receipt
 * numbers settled and new requests taken. So a repetition is accepted, or recognised, and never counted twice.
 */
import type { CommitListener, CommittedReading, EventWorth } from '../domain/committed.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import type { LastReading } from '../domain/stamp.ts';
import { Problem } from '../errors.ts';
import type { Receipts, Taken } from '../store/receipts.ts';
import type { FactWriter, IdentityRow, UsageStore } from '../store/usage-store.ts';
import type { IdentityIndex, Log } from './identity/identity-index.ts';
import type { IdentityTable } from './identity/table.ts';
import type { Mark } from './marks.ts';

export interface CommitLimits {
  /** Events and readings that may wait for the disk. */
  queueEvents: number;
  /** Bytes of request bodies they came in. */
  queueBytes: number;
  /** A group takes no more members from here on. */
  groupEvents: number;
}

export class Group {
  readonly number: number;
  readonly writer: FactWriter;
  /** The identity table its claims lie in. */
  readonly table: IdentityTable;
  readonly claims: number[] = [];
  readonly taken: Taken[] = [];
  readonly sequences: { mark: Mark; first: number; last: number }[] = [];
  /** Last readings as they were before the group, by series. */
  readonly before = new Map<number, LastReading | undefined>();
  readonly readings: CommittedReading[] = [];
  readonly worths: EventWorth[] = [];
  readonly settled: Promise<void>;
  resolve: () => void = () => {};
  reject: (problem: Problem) => void = () => {};
  first = 0;
  last = 0;
  events = 0;
  bytes = 0;
  /** Something went wrong while it was filled: it is given back instead of written. */
  broken: unknown = null;

  constructor(number: number, writer: FactWriter, table: IdentityTable) {
    this.number = number;
    this.writer = writer;
    this.table = table;
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever waits sees the failure; a group nobody waits for must not end the process.
    this.settled.catch(() => undefined);
  }

  /** Numbers of the group's facts; they end with the group. */
  take(taken: Taken, count: number): void {
    this.taken.push(taken);
    if (this.first === 0) this.first = taken.first;
    this.last = taken.first + count - 1;
  }

  claimSequence(mark: Mark, first: number, last: number): void {
    mark.claim(first, last, this.settled);
    this.sequences.push({ mark, first, last });
  }
}

interface Parts {
  usage: UsageStore;
  index: IdentityIndex;
  receipts: Pick<Receipts, 'take' | 'takeNow'>;
  clock: Clock;
  log: Log;
  limits: CommitLimits;
  /** Puts the last readings back that a failed group had moved on. */
  restore(before: ReadonlyMap<number, LastReading | undefined>): void;
}

const RETRY_SECONDS = 1;
/** No group waits longer than this for others to join it. */
const GATHER_MS = 50;
const BACKOFF_MS = [50, 200, 1000, 2000];

export class Committer {
  private readonly parts: Parts;
  private readonly listeners = new Set<CommitListener>();
  private waiting: Group[] = [];
  private running = false;
  private recovering = false;
  private closing = false;
  private idle: (() => void)[] = [];
  private groups = 0;
  /** The group written last. */
  private last = { events: 0, ms: 0 };
  /** Set while the next group gathers. */
  private enough: { goal: number; reached(): void } | null = null;
  /** Highest number of a request that joined a group. */
  private joined: Receipt = 0;
  private queuedEvents = 0;
  private queuedBytes = 0;
  readonly counts = { groups: 0, failures: 0, events: 0, readings: 0, commitMs: 0, longestMs: 0 };

  constructor(parts: Parts) {
    this.parts = parts;
  }

  listen(listener: CommitListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  get queue(): { events: number; bytes: number; recovering: boolean } {
    return { events: this.queuedEvents, bytes: this.queuedBytes, recovering: this.recovering };
  }

  /** Numbers for a request, at once or after waiting for a block of them. */
  numbers(count: number): Taken | Promise<Taken> {
    return this.parts.receipts.takeNow(count) ?? this.parts.receipts.take(count);
  }

  /**
   * The group a request joins with the numbers it took, now and in this turn of the loop. Null: the numbers had to be
   * waited for, and a later request has gone ahead meanwhile; order of receipts is order of arrival, so others must be
   * taken. Throws Problem: busy, unavailable, stopping. In both cases the numbers are given back.
   */
  enter(taken: Taken, numbers: number, facts: number, bytes: number): Group | null {
    let group: Group | null = null;
    try {
      if (taken.first > this.joined) group = this.place(facts, bytes);
    } finally {
      if (group === null) taken.done();
    }
    group?.take(taken, numbers);
    this.joined = group?.last ?? this.joined;
    return group;
  }

  private place(facts: number, bytes: number): Group {
    this.check();
    const { limits, index } = this.parts;
    const full = this.queuedEvents + facts > limits.queueEvents || this.queuedBytes + bytes > limits.queueBytes;
    // The queue of an idle server takes a request of any allowed size.
    if (full && this.queuedEvents > 0)
      throw new Problem('ingest.queue_full', undefined, { retryAfterSeconds: RETRY_SECONDS });
    let group = this.waiting.at(-1);
    if (group === undefined || group.events >= limits.groupEvents) group = this.begin();
    if (index.room < facts) throw unavailable('The identities of accepted events cannot be written to disk.');
    group.events += facts;
    group.bytes += bytes;
    this.queuedEvents += facts;
    this.queuedBytes += bytes;
    if (!this.running) this.start();
    else if (this.enough !== null && group.events >= this.enough.goal) this.enough.reached();
    return group;
  }

  /** Throws unless new facts can be taken. */
  check(): void {
    if (this.closing) throw new Problem('server.stopping', undefined, { retryAfterSeconds: RETRY_SECONDS });
    if (this.recovering) throw unavailable('The store is coming back after a failed commit.');
  }

  private begin(): Group {
    const { index, usage } = this.parts;
    const number = ++this.groups;
    index.beginGroup(number, this.joined);
    const group = new Group(number, usage.writer(), index.current);
    this.waiting.push(group);
    return group;
  }

  private start(): void {
    this.running = true;
    // After this turn's input has been read: what arrived together is written together.
    setImmediate(() => this.run());
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      await this.gather();
      const group = this.waiting.shift();
      if (group === undefined) break;
      this.last = { events: group.events, ms: 0 };
      await this.commit(group);
    }
    this.running = false;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  /**
   * Waits for half of what the last group had, but no longer than that one took to write. Without it publishers that wait
   * for their answers fall in step: one group of all of them, then one of whoever came back first, for which all others
   * wait (measured: 12,570 and 99 events in turn, and half the throughput).
   */
  private async gather(): Promise<void> {
    const goal = this.last.events / 2;
    const longest = Math.min(this.last.ms, GATHER_MS);
    if (longest < 1 || this.closing || this.waiting.length > 1 || (this.waiting[0]?.events ?? 0) >= goal) return;
    const over = new AbortController();
    this.enough = { goal, reached: () => over.abort() };
    await this.parts.clock.sleep(longest, over.signal);
    this.enough = null;
  }

  private async commit(group: Group): Promise<void> {
    const { clock, index } = this.parts;
    const began = clock.elapsed();
    try {
      if (group.broken !== null) throw group.broken;
      if (group.writer.size > 0) await group.writer.commit();
    } catch (error) {
      await this.fail(group, error);
      return;
    }
    const ms = clock.elapsed() - began;
    this.counts.groups++;
    this.last.ms = ms;
    this.counts.commitMs += ms;
    this.counts.longestMs = Math.max(this.counts.longestMs, ms);
    this.counts.readings += group.readings.length;
    this.counts.events += group.events;
    for (const taken of group.taken) taken.done();
    for (const { mark, first, last } of group.sequences) mark.committed.add(first, last);
    index.settled(group.number, clock.now());
    this.leave(group);
    this.tell(group);
    group.resolve();
  }

  private tell(group: Group): void {
    if (group.last === 0) return;
    const { last: position, first, events, readings, worths } = group;
    for (const listener of this.listeners) {
      try {
        listener({ position, first, events, readings, worths });
      } catch (error) {
        this.parts.log.error({ error: String(error) }, 'a listener to committed facts failed');
      }
    }
  }

  private leave(group: Group): void {
    this.queuedEvents -= group.events;
    this.queuedBytes -= group.bytes;
  }

  private async fail(group: Group, error: unknown): Promise<void> {
    const { index, log, clock } = this.parts;
    this.counts.failures++;
    this.recovering = true;
    log.error({ error: String(error), events: group.events }, 'a commit failed: nothing of it is acknowledged');
    const lost = [group, ...this.waiting.splice(0)];
    for (const each of lost.toReversed()) this.giveBack(each);
    const problem = unavailable('The store could not commit.');
    for (const each of lost) {
      this.leave(each);
      each.reject(problem);
      // What was never handed to the store is settled; what was may be there, see below.
      if (each !== group) for (const taken of each.taken) taken.done();
    }
    index.adopt(group.table, await this.surviving(group));
    for (const taken of group.taken) taken.done();
    index.settled(this.groups, clock.now());
    this.recovering = false;
    log.info({}, 'the store answers again: ingest goes on');
  }

  private giveBack(group: Group): void {
    this.parts.restore(group.before);
    this.parts.index.unclaim(group.table, group.claims);
    for (const { mark } of group.sequences) mark.fallBack();
  }

  /** Identities of the failed group's events that are on disk after all; asked for until the store answers. */
  private async surviving({ first, last }: Group): Promise<IdentityRow[]> {
    const { usage, clock, log } = this.parts;
    for (let attempt = 0; first > 0; attempt++) {
      try {
        const health = await usage.health();
        if (!health.writable) throw new Error(health.detail);
        const found: IdentityRow[] = [];
        for await (const rows of usage.identities(first - 1))
          for (const row of rows) if (row.receipt <= last) found.push(row);
        return found;
      } catch (error) {
        if (this.closing) return [];
        log.warn({ error: String(error), attempt }, 'the store does not answer yet');
        await clock.sleep(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 0);
      }
    }
    return [];
  }

  /** Takes no more; resolves when everything taken is answered. */
  async close(): Promise<void> {
    this.closing = true;
    this.enough?.reached();
    if (this.running) await new Promise<void>((resolve) => this.idle.push(resolve));
  }
}

export interface Joined {
  group: Group;
  first: Receipt;
}

/**
 * Joins the open group and fills it, both in one turn of the loop: `work` must not wait. An error in it gives the whole
 * group back, because a claim without its row would lose an event for good.
 */
export function fill(group: Group, first: Receipt, work: (group: Group, first: Receipt) => void): Joined {
  try {
    work(group, first);
  } catch (error) {
    group.broken = error;
    throw error;
  }
  return { group, first };
}

export async function joinGroup(
  committer: Committer,
  size: { numbers: number; facts: number; bytes: number },
  work: (group: Group, first: Receipt) => void,
): Promise<Joined> {
  for (;;) {
    const taken = await committer.numbers(size.numbers);
    const group = committer.enter(taken, size.numbers, size.facts, size.bytes);
    if (group !== null) return fill(group, taken.first, work);
  }
}

export const unavailable = (detail: string): Problem =>
  new Problem('store.unavailable', detail, { retryAfterSeconds: RETRY_SECONDS });
