/** What a committed group tells those who follow along: quotas fold it in memory, so that a decision sees what was acknowledged. */
import type { Receipt, SeriesReading } from './fact.ts';
import type { Quantity } from './quantity.ts';
import type { LastReading } from './stamp.ts';
import type { Instant } from './window.ts';

/** What one event adds to one watched meter. */
export interface EventWorth {
  meter: string;
  tenant: string;
  subject: string;
  dimensions: Readonly<Record<string, string>>;
  t: Instant;
  receipt: Receipt;
  /** Null: it does not simply add up (a level, a maximum, distinct values); the meter has to be asked. */
  value: Quantity | null;
}

export interface CommittedReading {
  reading: SeriesReading;
  /** What the series' newest reading was when this one came; undefined: there was none. */
  previous: LastReading | undefined;
}

export interface CommittedBatch {
  /** Highest receipt of the group: where to go on from after a restart. */
  position: Receipt;
  first: Receipt;
  events: number;
  readings: readonly CommittedReading[];
  /** Of events of watched meters only: see IngestDeps.watched. */
  worths: readonly EventWorth[];
}
export type CommitListener = (batch: CommittedBatch) => void;
