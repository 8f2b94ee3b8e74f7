/** One group commit into chDB: events, readings, then the declarations that vouch for them. */
import type { Declaration, SeriesReading, StoredEvent } from '../../domain/fact.ts';
import type { FactWriter, IdentityHash, RawEvents } from '../usage-store.ts';
import { Range } from '../usage-store.ts';
import { Batch } from './batch.ts';
import type { Lane } from './lane.ts';
import type { RowWriter } from './row-writer.ts';

export const eventColumns = [
  'tenant',
  'source',
  'type',
  'id',
  'subject',
  'data',
  'batch',
  't',
  'skew',
  'lag',
  'receipt',
  'stamps',
  'id_hi',
  'id_lo',
  'content_hi',
  'content_lo',
] as const;
const readingColumns = ['series', 't', 'value', 'epoch', 'start', 'receipt', 'skew', 'stamps'] as const;
const declarationColumns = [
  'tenant',
  'source',
  'run',
  'first_sequence',
  'last_sequence',
  'complete_through',
  'sent_at',
  'received_at',
  'receipt',
] as const;

/** Upper bound of a row's numbers, tabs and line end; text reserves its own. */
const NUMBERS_BYTES = 256;

export class ChdbFactWriter implements FactWriter {
  private readonly lane: Lane;
  private readonly events = new Batch('event', eventColumns, true);
  private readonly readings = new Batch('reading', readingColumns, true);
  private readonly declarations = new Batch('declaration', declarationColumns);

  constructor(lane: Lane) {
    this.lane = lane;
  }

  get size(): number {
    return this.events.rows + this.readings.rows + this.declarations.rows;
  }

  event(event: StoredEvent, identity: IdentityHash): void {
    const row = this.events.row(event.t, NUMBERS_BYTES);
    row.text(event.tenant);
    row.text(event.source);
    row.text(event.type);
    row.text(event.id);
    row.text(event.subject);
    row.text(event.data);
    row.text(event.set);
    row.reserve(NUMBERS_BYTES);
    row.int(event.t);
    row.int(event.t - event.sourceTime);
    row.int(event.receivedAt - event.t);
    row.int(event.receipt);
    row.int(event.stamps);
    row.int(identity.idHi);
    row.int(identity.idLo);
    row.int(identity.contentHi);
    row.int(identity.contentLo);
    row.endRow();
  }

  rawEvents(batch: RawEvents): void {
    const tenant = Buffer.from(batch.tenant, 'utf8');
    const set = Buffer.from(batch.set, 'utf8');
    for (let p = 0; p < batch.count; p++) {
      if (batch.take[p] === 1) this.rawEvent(batch, p, tenant, set);
    }
  }

  reading(reading: SeriesReading): void {
    const row = this.readings.row(reading.t, NUMBERS_BYTES);
    row.int(reading.series);
    row.int(reading.t);
    row.big(reading.value);
    row.int(reading.epoch);
    row.int(reading.start);
    row.int(reading.receipt);
    row.int(reading.t - reading.sourceTime);
    row.int(reading.stamps);
    row.endRow();
  }

  declaration(declaration: Declaration): void {
    const row = this.declarations.row(0, NUMBERS_BYTES);
    row.text(declaration.tenant);
    row.text(declaration.source);
    row.text(declaration.run);
    row.reserve(NUMBERS_BYTES);
    row.int(declaration.firstSequence);
    row.int(declaration.lastSequence);
    row.int(declaration.completeThrough);
    row.int(declaration.sentAt);
    row.int(declaration.receivedAt);
    row.int(declaration.receipt);
    row.endRow();
  }

  async commit(): Promise<void> {
    try {
      await this.lane.exclusive(async (lane) => {
        await this.events.insert(lane);
        await this.readings.insert(lane);
        await this.declarations.insert(lane);
      });
    } finally {
      this.events.release();
      this.readings.release();
      this.declarations.release();
    }
  }

  private rawEvent(batch: RawEvents, p: number, tenant: Buffer, set: Buffer): void {
    const t = batch.t[p] as number;
    const plain = batch.plain[p] === 1;
    const row = this.events.row(t, NUMBERS_BYTES);
    row.slice(tenant, 0, tenant.length, false);
    this.range(row, batch, p, Range.source, plain);
    this.range(row, batch, p, Range.type, plain);
    this.range(row, batch, p, Range.id, plain);
    this.range(row, batch, p, Range.subject, plain);
    this.range(row, batch, p, Range.data, plain);
    row.slice(set, 0, set.length, false);
    row.reserve(NUMBERS_BYTES);
    row.int(t);
    row.int(t - (batch.sourceTime[p] as number));
    row.int(batch.receivedAt - t);
    row.int(batch.firstReceipt + p);
    row.int(batch.stamps[p] as number);
    const at = p * 4;
    row.int(batch.identity[at] as number);
    row.int(batch.identity[at + 1] as number);
    row.int(batch.identity[at + 2] as number);
    row.int(batch.identity[at + 3] as number);
    row.endRow();
  }

  private range(row: RowWriter, batch: RawEvents, p: number, field: number, plain: boolean): void {
    const at = p * Range.width + field;
    row.slice(batch.bytes, batch.ranges[at] as number, batch.ranges[at + 1] as number, plain);
  }
}
