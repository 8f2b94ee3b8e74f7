/** One group commit into chDB: events, readings, then the declarations that vouch for them. */
import type { Declaration, SeriesReading, StoredEvent } from '../../domain/fact.ts';
import { StoreError } from '../errors.ts';
import type { FactWriter, IdentityHash, RawEvents } from '../usage-store.ts';
import { Range } from '../usage-store.ts';
import { Batch, type Table } from './batch.ts';
import type { Lane } from './lane.ts';
import type { ColumnSpec, ColumnType, NativeBlock } from './native-block.ts';

const columns = (spec: Readonly<Record<string, ColumnType>>): ColumnSpec[] =>
  Object.entries(spec).map(([name, type]) => ({ name, type }));

const eventTable: Table = {
  name: 'event',
  columns: columns({
    tenant: 'String',
    source: 'String',
    type: 'String',
    id: 'String',
    subject: 'String',
    data: 'String',
    batch: 'String',
    t: 'UInt64',
    skew: 'Int64',
    lag: 'Int64',
    receipt: 'UInt64',
    stamps: 'UInt8',
    id_hi: 'UInt32',
    id_lo: 'UInt32',
    content_hi: 'UInt32',
    content_lo: 'UInt32',
  }),
};
const readingTable: Table = {
  name: 'reading',
  columns: columns({
    series: 'UInt32',
    t: 'UInt64',
    value: 'UInt64',
    epoch: 'UInt64',
    start: 'UInt64',
    receipt: 'UInt64',
    skew: 'Int64',
    stamps: 'UInt8',
  }),
};
const declarationTable: Table = {
  name: 'declaration',
  columns: columns({
    tenant: 'String',
    source: 'String',
    run: 'String',
    first_sequence: 'UInt64',
    last_sequence: 'UInt64',
    complete_through: 'UInt64',
    sent_at: 'UInt64',
    received_at: 'UInt64',
    receipt: 'UInt64',
  }),
};

const U64_END = 1n << 64n;

export class ChdbFactWriter implements FactWriter {
  private readonly lane: Lane;
  private readonly events = new Batch(eventTable);
  private readonly readings = new Batch(readingTable);
  private readonly declarations = new Batch(declarationTable);

  constructor(lane: Lane) {
    this.lane = lane;
  }

  get size(): number {
    return this.events.rows + this.readings.rows + this.declarations.rows;
  }

  event(event: StoredEvent, identity: IdentityHash): void {
    const row = this.events.row(event.t);
    row.text(event.tenant);
    row.text(event.source);
    row.text(event.type);
    row.text(event.id);
    row.text(event.subject);
    row.text(event.data);
    row.text(event.set);
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
    // The column would take its lowest 64 bits: below zero would be more than anyone ever used.
    if (reading.value < 0n || reading.value >= U64_END)
      throw new StoreError('store.number_range', `A reading of ${reading.value} is not a 64-bit count.`);
    const row = this.readings.row(reading.t);
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
    const row = this.declarations.row(0);
    row.text(declaration.tenant);
    row.text(declaration.source);
    row.text(declaration.run);
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
    const row = this.events.row(t);
    row.slice(tenant, 0, tenant.length);
    range(row, batch, p, Range.source);
    range(row, batch, p, Range.type);
    range(row, batch, p, Range.id);
    range(row, batch, p, Range.subject);
    range(row, batch, p, Range.data);
    row.slice(set, 0, set.length);
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
}

function range(row: NativeBlock, batch: RawEvents, p: number, field: number): void {
  const at = p * Range.width + field;
  row.slice(batch.bytes, batch.ranges[at] as number, batch.ranges[at + 1] as number);
}
