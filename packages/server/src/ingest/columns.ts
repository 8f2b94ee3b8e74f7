/**
 * The events of one request as columns: byte ranges into the body and numbers, no object an event. What is wrong with an
 * event is the exception and is kept as objects.
 */
import { type ItemOutcome, type OutcomeCode, outcomeCodes } from '@tollgate/event';
import { Range, type RawEvents } from '../store/usage-store.ts';

const START = 256;

export class EventColumns implements RawEvents {
  bytes: Buffer = Buffer.alloc(0);
  count = 0;
  ranges = new Int32Array(START * Range.width);
  take = new Uint8Array(START);
  t = new Float64Array(START);
  sourceTime = new Float64Array(START);
  stamps = new Uint8Array(START);
  identity = new Uint32Array(START * 4);
  tenant = '';
  set = '';
  receivedAt = 0;
  firstReceipt = 0;
  /** One event and not an array: pointers have no index. */
  single = false;
  /** Rejected events so far; `take` of each is 0. */
  readonly faults: ItemOutcome[] = [];

  reset(bytes: Buffer): void {
    this.bytes = bytes;
    this.count = 0;
    this.single = false;
    this.faults.length = 0;
  }

  /** Room for one more event; its row is blank. Returns its position. */
  push(): number {
    const p = this.count++;
    if (p >= this.take.length) this.grow();
    this.take[p] = 1;
    this.stamps[p] = 0;
    const { ranges } = this;
    for (let at = p * Range.width; at < (p + 1) * Range.width; at++) ranges[at] = 0;
    return p;
  }

  /** Rejects the event at `p`, unless it is rejected already: the first fault found is the one that is told. */
  reject(p: number, code: OutcomeCode, field = '', message: string = outcomeCodes[code]): void {
    if (this.take[p] === 0) return;
    this.take[p] = 0;
    const pointer = this.pointer(p, field);
    this.faults.push({ position: p, outcome: 'rejected', code, pointer, message });
  }

  pointer(p: number, field: string): string {
    const place = this.single ? '' : `/${p}`;
    return field === '' ? place : `${place}/${field}`;
  }

  text(p: number, column: number): string {
    const at = p * Range.width + column;
    return this.bytes.toString('utf8', this.ranges[at], this.ranges[at + 1]);
  }

  private grow(): void {
    const size = this.take.length * 4;
    const wider = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.ranges = wider(new Int32Array(size * Range.width), this.ranges);
    this.take = wider(new Uint8Array(size), this.take);
    this.stamps = wider(new Uint8Array(size), this.stamps);
    this.t = wider(new Float64Array(size), this.t);
    this.sourceTime = wider(new Float64Array(size), this.sourceTime);
    this.identity = wider(new Uint32Array(size * 4), this.identity);
  }
}

/** Columns on loan. Releasing them again does nothing. */
export interface HeldColumns {
  columns: EventColumns;
  release(): void;
}

/** Columns are large and needed for a moment: they are used again instead of being made. */
export class ColumnPool {
  private readonly free: EventColumns[] = [];

  take(bytes: Buffer): HeldColumns {
    const columns = this.free.pop() ?? new EventColumns();
    columns.reset(bytes);
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      columns.reset(NOTHING);
      if (this.free.length < 16) this.free.push(columns);
    };
    return { columns, release };
  }
}

const NOTHING = Buffer.alloc(0);
