/**
 * The path of a compact batch of readings: series are registered first, then in one turn of the loop the mark of the run
 * decides what is new, receipts are taken, readings stamped and written, and the batch's declaration behind them.
 */
import type { BatchOutcome, ItemOutcome, ResourceHint } from '@tollgate/event';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { Intake } from './accept-events.ts';
import { type Group, joinGroup, unavailable } from './commit.ts';
import { epochNumber } from './epoch.ts';
import type { Mark } from './marks.ts';
import { INSTANT_END } from './metering.ts';
import { Tally } from './outcome.ts';
import { type Head, isHead } from './reading-head.ts';
import { type Readings, type Row, readReadings } from './readings.ts';
import type { Wanted } from './series-desk.ts';

export interface ReadingsContext {
  tenant: string;
  mayspeak(source: string): boolean;
}

export interface ReadingsIntake extends Intake {
  skewMs: number;
  /** Told what batches say of resources, before their readings are stored: it decides what of it is new. */
  declareResources(tenant: string, source: string, hints: readonly ResourceHint[]): Promise<void>;
}

export async function acceptReadings(
  intake: ReadingsIntake,
  body: Buffer,
  ctx: ReadingsContext,
): Promise<BatchOutcome> {
  intake.committer.check();
  if (body.length > intake.limits.bodyBytes)
    throw new Problem('request.too_large', `At most ${intake.limits.bodyBytes} bytes fit in one request.`);
  const batch = readReadings(body, intake.limits);
  if (!ctx.mayspeak(batch.source))
    throw new Problem('auth.source', `The key may not speak for ${batch.source}.`, { pointer: '/source' });
  return new ReadingsRequest(intake, batch, ctx.tenant, body.length).run();
}

class ReadingsRequest {
  private readonly in: ReadingsIntake;
  private readonly batch: Readings;
  private readonly tenant: string;
  private readonly size: number;
  private readonly now: Instant;
  private readonly faults: ItemOutcome[];
  private readonly outcome = new Tally();
  private readonly epochs: number[];

  constructor(intake: ReadingsIntake, batch: Readings, tenant: string, size: number) {
    this.in = intake;
    this.batch = batch;
    this.tenant = tenant;
    this.size = size;
    this.now = intake.clock.now();
    this.faults = batch.faults;
    this.epochs = batch.heads.map((head) => (isHead(head) ? epochNumber(head.epoch) : 0));
  }

  async run(): Promise<BatchOutcome> {
    const { batch, in: intake } = this;
    const mark = intake.marks.of(this.tenant, batch.source, batch.run);
    const { fallbacks } = mark;
    const fresh = batch.rows.filter((row) => !mark.claimed.has(batch.sequence + row.position));
    const rows = this.ofKnownMeters(fresh);
    if (batch.resources.length > 0) await intake.declareResources(this.tenant, batch.source, batch.resources);
    const series = await this.register(rows);
    return this.join(mark, fallbacks, rows, series);
  }

  /** Rows whose series names a cumulative meter; the others are rejected. */
  private ofKnownMeters(rows: readonly Row[]): Row[] {
    const book = this.in.book();
    const known = this.batch.heads.map((head) => {
      const meter = isHead(head) ? book.meter(head.meter) : undefined;
      return meter !== undefined && meter.kind === 'cumulative' && !meter.deleted;
    });
    return rows.filter(({ head, position }) => {
      if (known[head]) return true;
      const name = (this.batch.heads[head] as Head).meter;
      const message = `There is no cumulative meter ${JSON.stringify(name)}.`;
      const pointer = `/series/${head}/meter`;
      this.faults.push({ position, outcome: 'rejected', code: 'meter.unknown', pointer, message });
      return false;
    });
  }

  /** Series by index of head, for the heads that rows use. */
  private async register(rows: readonly Row[]): Promise<Map<number, Series>> {
    const used = [...new Set(rows.map((row) => row.head))];
    const wanted = used.map((index) => this.wanted(index));
    const { desk, receipts } = this.in;
    const found = desk.known(wanted) ?? (await desk.register(wanted, receipts.frontier() + 1));
    return new Map(used.map((index, i) => [index, found[i] as Series]));
  }

  private wanted(index: number): Wanted {
    const { source } = this.batch;
    const { tenant } = this;
    const { resource, meter, dimensions, width, lineBits, period, layer, epoch } = this.batch.heads[index] as Head;
    const key = { tenant, source, resource, meter, dimensions };
    return { key, width, lineBits, period, layer, epoch: this.epochs[index] as number, epochText: epoch };
  }

  private async join(
    mark: Mark,
    fallbacksBefore: number,
    rows: readonly Row[],
    series: ReadonlyMap<number, Series>,
  ): Promise<BatchOutcome> {
    const { batch } = this;
    let fellBack = false;
    let repeated: Promise<void> = Promise.resolve();
    const size = { numbers: batch.items + 1, facts: rows.length + 1, bytes: this.size };
    const { group, first } = await joinGroup(this.in.committer, size, (into, from) => {
      // A commit failed while series were registered: what looked like a repetition is none, and was not prepared.
      fellBack = mark.fallbacks > fallbacksBefore;
      if (fellBack) return;
      for (const row of rows) {
        if (!mark.claimed.has(batch.sequence + row.position))
          this.write(row, series.get(row.head) as Series, into, from);
      }
      this.declare(into, from + batch.items);
      if (this.noteDuplicates(mark) > 0) repeated = mark.settled;
      if (batch.items > 0) into.claimSequence(mark, batch.sequence, batch.sequence + batch.items - 1);
    });
    if (fellBack) throw unavailable('The store could not commit.');
    await repeated;
    await group.settled;
    return this.outcome.result(batch.items, this.faults, batch.items === 0 ? 0 : first);
  }

  private noteDuplicates(mark: Mark): number {
    const { batch, outcome } = this;
    let found = 0;
    for (const { position } of batch.rows) {
      if (!mark.claimed.has(batch.sequence + position)) continue;
      // Another request may have claimed the row after it was found to be at fault: then it stays what it was.
      if (this.faults.some((fault) => fault.position === position)) continue;
      outcome.add(position, 'duplicate', 'reading.duplicate', '');
      found++;
    }
    return found;
  }

  private write(row: Row, series: Series, group: Group, firstReceipt: number): void {
    const { batch } = this;
    const previous = this.in.stamper.lastOf(series.id);
    const stored = this.in.stamper.stamp(
      {
        series,
        sourceTime: row.t,
        sentAt: batch.sentAt,
        receivedAt: this.now,
        run: batch.run,
        sequence: batch.sequence + row.position,
        value: row.value,
        epoch: this.epochs[row.head] as number,
        start: row.start,
        end: row.end,
        inexact: false,
        receipt: firstReceipt + row.position,
      },
      group,
    );
    if (!(stored.t >= 0 && stored.t < INSTANT_END)) {
      const message = 'With the offset of the sender’s clock the time cannot be kept.';
      const pointer = '/sentAt';
      this.faults.push({ position: row.position, outcome: 'rejected', code: 'reading.bad_field', pointer, message });
      return;
    }
    group.writer.reading(stored);
    group.readings.push({ reading: stored, previous });
  }

  /** What the source vouches for, by our clock: corrected like its readings, and never about the future. */
  private declare(group: Group, receipt: number): void {
    const { source, run, sequence, items, sentAt, completeThrough } = this.batch;
    const offset = sentAt > 0 ? this.now - sentAt : 0;
    const corrected = completeThrough + (Math.abs(offset) > this.in.skewMs ? offset : 0);
    group.writer.declaration({
      tenant: this.tenant,
      source,
      run,
      firstSequence: sequence,
      lastSequence: sequence + items - 1,
      completeThrough: completeThrough === 0 ? 0 : Math.max(0, Math.min(corrected, this.now)),
      sentAt,
      receivedAt: this.now,
      receipt,
    });
  }
}
