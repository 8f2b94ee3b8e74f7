/** Usage as it is billed: as of S, by account and group, with a digest of what it was summed from. */
import type { Receipt } from '../domain/fact.ts';
import type { Quantity } from '../domain/quantity.ts';
import type { FlagName, StateName } from '../domain/record.ts';
import type { Instant } from '../domain/window.ts';

/** One question: usage of one account itself (not of those below it) on a meter, or the sum of several, in [from, to). */
export interface MeteredAsk {
  account: string;
  /** Key of a meter, or of several with ` + ` between them. */
  meter: string;
  from: Instant;
  to: Instant;
  /** Values of dimensions, `trafficType`, `resource` that pass. Usage that is not billable never counts. */
  where: Readonly<Record<string, readonly string[]>>;
  /** Dimensions whose values are told apart. */
  by: readonly string[];
  /** Each event's quantity is needed too, in order of time. */
  events: boolean;
}

/** What one series had part in. Of a percentile `quantity` is what the series counted. */
export interface MeteredSeries {
  /** 0: not registered yet; only beyond what is closed. */
  series: number;
  quantity: Quantity;
  /** SHA-256, hex, over its canonical records in the span: see domain/record-digest.ts. */
  digest: string;
}

export interface Metered {
  /** Values of `by`. */
  group: Readonly<Record<string, string>>;
  /** Null: nothing is known. */
  quantity: Quantity | null;
  count: bigint;
  unit: string;
  state: StateName;
  flags: readonly FlagName[];
  /** Quantities in order of time; null when not asked for. */
  events: readonly Quantity[] | null;
  series: readonly MeteredSeries[];
}

/** Answers in the order of the asks. No rows: there was no series at all. A null quantity with no series: none spoke. */
export interface MeteredReader {
  /** Every fact with a receipt up to here, and none above, is in the answers. */
  readonly frontier: Receipt;
  read(asks: readonly MeteredAsk[]): Promise<Metered[][]>;
}
