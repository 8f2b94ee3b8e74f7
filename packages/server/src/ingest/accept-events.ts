/**
 * The path of a request of CloudEvents: columns, checks, identities, one turn of the loop in which receipts are taken
 * and everything joins the open group, and the answer when that group is on disk.
 */
import type { BatchOutcome } from '@tollgate/event';
import type { Clock } from '../domain/environment.ts';
import type { StoredEvent } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { ControlStore, SetAside } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import { Range, type UsageStore } from '../store/usage-store.ts';
import { type EventLimits, type Headers, type Mode, readEvents } from './cloudevents.ts';
import { ColumnPool, type EventColumns, type HeldColumns } from './columns.ts';
import { type Committer, fill, type Group, joinGroup } from './commit.ts';
import { conflictItem, eventAt, writeColumns } from './event-rows.ts';
import { Grants } from './grants.ts';
import { hashEvent } from './identity/event-hash.ts';
import { type IdentityIndex, Known } from './identity/identity-index.ts';
import { Verdict } from './identity/segment.ts';
import type { SegmentAnswers } from './identity/segment-lookup.ts';
import type { Mark, Marks } from './marks.ts';
import { type BookView, type EventReading, type FoundWorth, INSTANT_END, instantOf, Metering } from './metering.ts';
import { Tally } from './outcome.ts';
import { sameContent } from './same-content.ts';
import type { SeriesDesk, Wanted } from './series-desk.ts';
import type { Stamper } from './stamper.ts';

export interface IntakeLimits extends EventLimits {
  bodyBytes: number;
  /** How far ahead of the server's clock a time may lie, ms. */
  futureMs: number;
}

/** What both paths work with. */
export interface Intake {
  usage: UsageStore;
  control: Pick<ControlStore, 'addSetAside'>;
  receipts: Pick<Receipts, 'take' | 'takeNow' | 'frontier'>;
  clock: Clock;
  book: () => BookView;
  limits: IntakeLimits;
  index: IdentityIndex;
  committer: Committer;
  stamper: Stamper;
  desk: SeriesDesk;
  marks: Marks;
  /** See IngestDeps. */
  watched: () => ReadonlySet<string>;
}

export interface AcceptContext {
  /** Account of the key; '' for the installation. */
  tenant: string;
  mayspeak(source: string): boolean;
  /** Name of the backfill set the events belong to. */
  set?: string;
  /** Life of the publisher's numbering and the number of the first event: settles repetitions without look-up. */
  run?: string;
  sequence?: number;
  /** With run: all facts of the source up to here have been sent. Milliseconds or RFC 3339. */
  completeThrough?: number | string;
  /** With run: whose declaration it is; the source of the first event when left away. */
  source?: string;
  /** The publisher's clock when it sent this. */
  sentAt?: number | string;
  /** Headers of the request, for binary mode. */
  headers?: Headers;
}

export class EventIntake {
  private readonly in: Intake;
  private readonly pool = new ColumnPool();
  private readonly metering = new Metering();

  constructor(intake: Intake) {
    this.in = intake;
  }

  async accept(body: Buffer, mode: Mode, ctx: AcceptContext): Promise<BatchOutcome> {
    const { limits, committer } = this.in;
    committer.check();
    if (body.length > limits.bodyBytes)
      throw new Problem('request.too_large', `At most ${limits.bodyBytes} bytes fit in one request.`);
    const held = this.pool.take(body);
    try {
      readEvents(held.columns, mode, ctx.headers ?? {}, limits);
      return await new EventRequest(this.in, held, ctx, this.metering, body.length).run();
    } finally {
      held.release();
    }
  }
}

class EventRequest {
  private readonly in: Intake;
  private readonly held: HeldColumns;
  private readonly cols: EventColumns;
  private readonly ctx: AcceptContext;
  private readonly metering: Metering;
  private readonly size: number;
  private readonly now: Instant;
  private readings: EventReading[] = [];
  private readonly worths: FoundWorth[] = [];
  private series: readonly Series[] = [];
  /** Positions whose id is known with another content hash: looked into when everything they may repeat is on disk. */
  private readonly suspects: number[] = [];
  private readonly duplicates: number[] = [];
  private readonly untimed = new Set<number>();
  private readonly outcome = new Tally();

  constructor(intake: Intake, held: HeldColumns, ctx: AcceptContext, metering: Metering, size: number) {
    const cols = held.columns;
    this.in = intake;
    this.held = held;
    this.cols = cols;
    this.ctx = ctx;
    this.metering = metering;
    this.size = size;
    this.now = intake.clock.now();
    cols.tenant = ctx.tenant;
    cols.set = ctx.set ?? '';
    cols.receivedAt = this.now;
    this.check();
  }

  async run(): Promise<BatchOutcome> {
    const { cols, ctx } = this;
    if (ctx.run !== undefined) return this.numbered(ctx.run);
    if (cols.faults.length === cols.count) return this.outcome.result(cols.count, cols.faults, 0);
    await this.findSeries();
    this.hash();
    for (;;) {
      const asked = this.in.index.askSegments(cols.identity, cols.take, cols.count);
      const answers = asked instanceof Promise ? await asked : asked;
      const numbers = this.in.committer.numbers(cols.count);
      const taken = numbers instanceof Promise ? await numbers : numbers;
      // A table may have become a segment while segments were read: then both would have missed what it holds.
      if (answers.generation !== this.in.index.generation) taken.done();
      else {
        const group = this.in.committer.enter(taken, cols.count, cols.count - cols.faults.length, this.size);
        if (group !== null) {
          fill(group, taken.first, () => this.join(group, taken.first, answers));
          return this.answer(group, taken.first);
        }
      }
    }
  }

  // Checks

  private check(): void {
    const { cols, metering, in: intake } = this;
    metering.follow(intake.book(), intake.watched);
    const granted = new Grants((source) => this.ctx.mayspeak(source));
    const oldest = cols.set === '' ? intake.index.oldest(this.now) : 0;
    const latest = Math.min(this.now + intake.limits.futureMs, INSTANT_END - 1);
    for (let p = 0; p < cols.count; p++) {
      if (cols.take[p] === 0) continue;
      this.checkTime(p, oldest, latest);
      if (!granted.has(cols, p)) cols.reject(p, 'source.forbidden', 'source');
      if (cols.take[p] === 1) metering.check(cols, p, this.readings, this.worths);
    }
  }

  private checkTime(p: number, oldest: Instant, latest: Instant): void {
    const { cols } = this;
    const sent = cols.sourceTime[p] as number;
    const t = Number.isNaN(sent) ? this.now : sent;
    if (Number.isNaN(sent) && this.ctx.run !== undefined) this.untimed.add(p);
    cols.sourceTime[p] = t;
    cols.t[p] = t;
    if (t > latest) cols.reject(p, 'event.time_range', 'time');
    else if (t < oldest) cols.reject(p, 'event.too_old', 'time');
    else if (t < 0) cols.reject(p, 'event.time_range', 'time', 'time lies before 1970.');
  }

  // Identities

  private hash(): void {
    const { cols } = this;
    const keys = this.in.index.keysOf(cols.tenant);
    for (let p = 0; p < cols.count; p++)
      if (cols.take[p] === 1) hashEvent(keys, cols, p * Range.width, cols.identity, p * 4);
  }

  private join(group: Group, first: number, answers: SegmentAnswers): void {
    this.cols.firstReceipt = first;
    this.claim(group, answers);
    writeColumns(group.writer, this.cols);
    this.writeReadings(group, 0);
    this.tellWorths(group);
  }

  /** Of the events that were written, and before the columns are lent to the next request. */
  private tellWorths(group: Group): void {
    const { cols, worths } = this;
    for (const { position: p, meter, dimensions, value } of worths) {
      if (cols.take[p] === 0) continue;
      const subject = cols.text(p, Range.subject);
      const receipt = cols.firstReceipt + p;
      group.worths.push({ meter, tenant: cols.tenant, subject, dimensions, t: cols.t[p] as number, receipt, value });
    }
  }

  private claim(group: Group, { verdicts }: SegmentAnswers): void {
    const { cols } = this;
    const { index } = this.in;
    const { identity, take } = cols;
    for (let p = 0; p < cols.count; p++) {
      if (take[p] === 0) continue;
      const at = p * 4;
      const hi = identity[at] as number;
      const lo = identity[at + 1] as number;
      const contentHi = identity[at + 2] as number;
      const contentLo = identity[at + 3] as number;
      let known = index.askTables(hi, lo, contentHi, contentLo);
      const stored = verdicts === null ? Verdict.unknown : (verdicts[p] as number);
      if (stored === Verdict.same) known = Known.same;
      else if (stored === Verdict.other && known === Known.unknown) known = Known.other;
      if (known === Known.unknown) {
        group.claims.push(index.claim(hi, lo, contentHi, contentLo, group.number));
        continue;
      }
      take[p] = 0;
      if (known === Known.same || known === Known.pendingSame) this.duplicates.push(p);
      else this.suspects.push(p);
    }
  }

  private writeReadings(group: Group, sentAt: Instant): void {
    const { cols, ctx, series } = this;
    this.readings.forEach((reading, i) => {
      const { position, value, epoch, start, inexact } = reading;
      const own = series[i];
      if (cols.take[position] === 0 || own === undefined) return;
      const previous = this.in.stamper.lastOf(own.id);
      const stored = this.in.stamper.stamp(
        {
          series: own,
          sourceTime: cols.sourceTime[position] as number,
          sentAt,
          receivedAt: this.now,
          run: ctx.run ?? '',
          sequence: ctx.run === undefined ? 0 : (ctx.sequence ?? 0) + position,
          value,
          epoch,
          start,
          end: false,
          inexact,
          receipt: cols.firstReceipt + position,
        },
        group,
      );
      group.writer.reading(stored);
      group.readings.push({ reading: stored, previous });
    });
  }

  /** Looks up the series of the readings that events bring, one each, in order. */
  private async findSeries(): Promise<void> {
    this.readings = this.readings.filter(({ position }) => this.cols.take[position] === 1);
    if (this.readings.length === 0) return;
    const wanted: Wanted[] = this.readings.map(({ key, epoch, epochText }) => ({
      key,
      epoch,
      epochText,
      width: 64,
      lineBits: 0,
      period: 0,
      layer: '',
    }));
    const { desk, receipts } = this.in;
    this.series = desk.known(wanted) ?? (await desk.register(wanted, receipts.frontier() + 1));
  }

  // Answers

  private async answer(group: Group, firstReceipt: number): Promise<BatchOutcome> {
    const { cols, outcome } = this;
    for (const p of this.duplicates) outcome.add(p, 'duplicate', 'event.duplicate', cols.pointer(p, ''));
    const { count } = cols;
    const faults = [...cols.faults];
    // The columns are free for the next request while this one waits, unless something has to be looked into.
    if (this.suspects.length === 0) this.held.release();
    // Also a request that only repeats waits: what it repeats may be in this group or in one before it.
    await group.settled;
    if (this.suspects.length > 0) await this.examine();
    return outcome.result(count, faults, firstReceipt);
  }

  /** Same id, other content hash: a repetition written differently, a conflict, or two ids that meet in one hash. */
  private async examine(): Promise<void> {
    const { cols, outcome, suspects, in: intake } = this;
    const events = suspects.map((p) => eventAt(cols, p));
    const stored = await this.storedAs(events);
    const conflicts: Omit<SetAside, 'id'>[] = [];
    for (const [i, event] of events.entries()) {
      const p = suspects[i] as number;
      const first = (stored[i] ?? []).reduce<StoredEvent | null>(
        (a, b) => (a === null || b.receipt < a.receipt ? b : a),
        null,
      );
      if (first === null) await this.acceptAnyway(p);
      else if (sameContent(first, event)) outcome.add(p, 'duplicate', 'event.duplicate', cols.pointer(p, ''));
      else {
        conflicts.push(conflictItem(event, first, this.now));
        outcome.add(p, 'conflict', 'event.conflict', cols.pointer(p, ''));
      }
    }
    if (conflicts.length > 0) await intake.control.addSetAside(conflicts);
  }

  private async storedAs(events: readonly StoredEvent[]): Promise<StoredEvent[][]> {
    const { usage } = this.in;
    const { identity } = this.cols;
    if (usage.findEvents !== undefined)
      return usage.findEvents(
        events.map(({ tenant, source, id }, i) => {
          const at = (this.suspects[i] as number) * 4;
          return { tenant, source, id, idHi: identity[at] as number, idLo: identity[at + 1] as number };
        }),
      );
    const found: StoredEvent[][] = [];
    for (const { tenant, source, id } of events) found.push(await usage.findEvent(tenant, source, id));
    return found;
  }

  /** Nothing is stored under this id: another id has the same hash. Written by itself, with a receipt of now. */
  private async acceptAnyway(p: number): Promise<void> {
    const { cols } = this;
    const { group } = await joinGroup(this.in.committer, { numbers: 1, facts: 1, bytes: 0 }, (into, first) => {
      const [hi = 0, lo = 0, contentHi = 0, contentLo = 0] = cols.identity.subarray(p * 4, p * 4 + 4);
      into.claims.push(this.in.index.claim(hi, lo, contentHi, contentLo, into.number));
      cols.take.fill(0);
      cols.take[p] = 1;
      cols.firstReceipt = first - p;
      writeColumns(into.writer, cols);
      this.writeReadings(into, 0);
      this.tellWorths(into);
    });
    await group.settled;
  }

  // Numbered batches

  /** A publisher that numbers its events: the mark knows which numbers came before, nothing is looked up. */
  private async numbered(run: string): Promise<BatchOutcome> {
    const { cols, ctx } = this;
    const sequence = ctx.sequence;
    if (sequence === undefined || !Number.isSafeInteger(sequence) || sequence < 0)
      throw new Problem('request.invalid', 'A run needs the sequence of its first event, a whole number from 0 on.');
    const source = this.onlySource();
    const complete = instantOr(ctx.completeThrough, 'completeThrough');
    const sentAt = instantOr(ctx.sentAt, 'sentAt');
    this.needTimes();
    await this.findSeries();
    this.hash();
    const mark = this.in.marks.of(cols.tenant, source, run);
    const size = { numbers: cols.count + 1, facts: cols.count - cols.faults.length + 1, bytes: this.size };
    let repeated: Promise<void> = Promise.resolve();
    const { group, first } = await joinGroup(this.in.committer, size, (into, from) => {
      cols.firstReceipt = from;
      this.dropRepeated(mark, sequence);
      writeColumns(into.writer, cols);
      this.writeReadings(into, sentAt);
      this.tellWorths(into);
      into.writer.declaration({
        tenant: cols.tenant,
        source,
        run,
        firstSequence: sequence,
        lastSequence: sequence + cols.count - 1,
        completeThrough: Math.min(complete, this.now),
        sentAt,
        receivedAt: this.now,
        receipt: from + cols.count,
      });
      if (this.duplicates.length > 0) repeated = mark.settled;
      if (cols.count > 0) into.claimSequence(mark, sequence, sequence + cols.count - 1);
    });
    await repeated;
    return this.answer(group, cols.count === 0 ? 0 : first);
  }

  private dropRepeated(mark: Mark, sequence: number): void {
    const { cols } = this;
    for (let p = 0; p < cols.count; p++) {
      if (cols.take[p] === 0 || !mark.claimed.has(sequence + p)) continue;
      cols.take[p] = 0;
      this.duplicates.push(p);
    }
  }

  /** Numbered events are not looked up, so a repetition after a torn commit must meet the first one's key: time and all. */
  private needTimes(): void {
    const { cols } = this;
    for (let p = 0; p < cols.count; p++)
      if (this.untimed.has(p))
        cols.reject(p, 'event.missing_attribute', 'time', 'time is missing: events of a numbered batch need one.');
  }

  private onlySource(): string {
    const { cols, ctx } = this;
    let source = ctx.source ?? '';
    for (let p = 0; p < cols.count; p++) {
      const at = p * Range.width + Range.source;
      if (cols.ranges[at + 1] === 0) continue;
      const own = cols.text(p, Range.source);
      if (source === '') source = own;
      if (own !== source)
        throw new Problem('request.invalid', 'The events of a numbered batch have one source.', {
          pointer: cols.pointer(p, 'source'),
        });
    }
    if (source === '') throw new Problem('request.invalid', 'A numbered batch without events must name its source.');
    if (!ctx.mayspeak(source)) throw new Problem('auth.source');
    return source;
  }
}

const instantOr = (value: number | string | undefined, name: string): Instant => {
  if (value === undefined) return 0;
  const t = instantOf(value);
  if (Number.isNaN(t)) throw new Problem('request.invalid', `${name} is milliseconds since 1970 or RFC 3339.`);
  return t;
};
