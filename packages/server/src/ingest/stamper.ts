/** Stamps readings in the order of their receipts, remembering the last reading of every series. */
import { type SeriesReading, Stamp } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import { type LastReading, stampReading } from '../domain/stamp.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { Group } from './commit.ts';

export interface Incoming {
  series: Series;
  sourceTime: number;
  sentAt: number;
  receivedAt: number;
  run: string;
  sequence: number;
  value: bigint;
  epoch: number;
  start: number;
  end: boolean;
  inexact: boolean;
  receipt: number;
}

export class Stamper {
  private readonly skewLimitMs: number;
  private readonly last: Map<number, LastReading>;

  private constructor(skewLimitMs: number, last: Map<number, LastReading>) {
    this.skewLimitMs = skewLimitMs;
    this.last = last;
  }

  static async open(usage: Pick<UsageStore, 'lastReadings'>, skewLimitMs: number): Promise<Stamper> {
    const last = new Map<number, LastReading>();
    // The run of a stored reading is not kept: after a restart a clock that stepped back is first seen as late.
    for (const [series, { t, value, epoch }] of await usage.lastReadings())
      last.set(series, { t, value, epoch, run: '', sequence: 0 });
    return new Stamper(skewLimitMs, last);
  }

  /** The newest reading of the series so far. */
  lastOf(series: number): LastReading | undefined {
    return this.last.get(series);
  }

  /** The reading as it is stored. Must be called in receipt order, in the turn in which the receipts were taken. */
  stamp(from: Incoming, group: Group): SeriesReading {
    const { series, sourceTime, value, epoch, start, receipt, run, sequence } = from;
    const before = this.last.get(series.id);
    const { t, stamps, isLast } = stampReading({
      sourceTime,
      sentAt: from.sentAt,
      receivedAt: from.receivedAt,
      skewLimitMs: this.skewLimitMs,
      last: before ?? null,
      run,
      sequence,
      value,
      lineBits: series.lineBits,
      epoch,
      width: series.width,
      end: from.end,
      inexact: from.inexact,
    });
    if (isLast) {
      if (!group.before.has(series.id)) group.before.set(series.id, before);
      // An end marker has no value: what the next reading is compared with is still the value before it.
      const kept = (stamps & Stamp.end) !== 0 && before !== undefined ? before : { value, epoch };
      this.last.set(series.id, { t, value: kept.value, epoch: kept.epoch, run, sequence });
    }
    return { series: series.id, t, sourceTime, value, epoch, start, receipt, stamps };
  }

  restore(before: ReadonlyMap<number, LastReading | undefined>): void {
    for (const [series, last] of before) {
      if (last === undefined) this.last.delete(series);
      else this.last.set(series, last);
    }
  }
}
