/**
 * The compact batch of counter readings, `POST /api/v1/readings`. One batch speaks for one source and one run of its
 * agent; its items are numbered without holes: the readings in order, then the end markers. What was accepted up to a
 * sequence number settles every repetition of it, so a publisher sends the batches of one run in order and repeats a
 * batch unchanged until it is answered with 2xx.
 */

export interface SeriesHead {
  /** The measured object: a NIC, a volume, a subject. */
  resource: string;
  /** Key of a cumulative meter. */
  meter: string;
  dimensions?: Readonly<Record<string, string>>;
  /** What the counter's values hang together by: boot id, ifindex, handle. A new text is a new counter. */
  epoch: string;
  /** When the counter stood at zero, if the source can vouch for it: ms since 1970 or RFC 3339. */
  start?: number | string;
  width?: 32 | 64;
  /** Line speed in bits per second; 0 unknown. */
  lineBits?: number;
  /** Poll period in ms; 0 unknown. */
  period?: number;
  /** The layer at which bytes are counted: L2, L3, wire, app. */
  layer?: string;
  /** Hints about the resource: its name for people, its kind of traffic. */
  name?: string;
  trafficType?: string;
  /** VLAN id or VNI as text. */
  tag?: string;
}

/** Series index, ms since 1970, value 0 .. 2^64-1 as digits (or a JSON integer below 2^53), start of the counter in ms. */
export type ReadingRow =
  | readonly [series: number, time: number, value: string | number]
  | readonly [series: number, time: number, value: string | number, start: number];

/** The counter is gone as of this time: nothing more will come of its epoch. */
export type EndRow = readonly [series: number, time: number];

export interface ResourceHint {
  id: string;
  name?: string;
  trafficType?: string;
  tag?: string;
  /** false: never on a bill. Left away: the server's rule for its kind of traffic. */
  billable?: boolean;
  /** Whose it is from when, in order; null: nobody's. What is told for one instant takes the place of what was told before. */
  owners?: { account: string | null; from: number }[];
}

export interface ReadingsBatch {
  source: string;
  /** Names one life of the agent's numbering: a new spool or an unknown past starts a new run. */
  run: string;
  /** Number of the first item; the next batch starts at sequence + readings.length + ended.length. */
  sequence: number;
  /** ms since 1970 or RFC 3339, by the agent's clock. */
  sentAt: number | string;
  /** Every fact of this source up to this instant has been sent, this batch included. */
  completeThrough?: number | string;
  series: readonly SeriesHead[];
  readings: readonly ReadingRow[];
  ended?: readonly EndRow[];
  resources?: readonly ResourceHint[];
}

/** Items of the batch, and with that the distance to the next batch's sequence. */
export const itemsOf = (batch: Pick<ReadingsBatch, 'readings' | 'ended'>): number =>
  batch.readings.length + (batch.ended?.length ?? 0);

/** The body to send: JSON in UTF-8. Values above 2^53 must already be texts of digits. */
export const encodeReadings = (batch: ReadingsBatch): Uint8Array => new TextEncoder().encode(JSON.stringify(batch));

/** Headers (and their meaning) that let a CloudEvents publisher number its batches as the compact batch does. */
export const batchHeaders = {
  run: 'tollgate-run',
  sequence: 'tollgate-sequence',
  completeThrough: 'tollgate-complete-through',
  /** Whose declaration it is; left away: the source of the first event. */
  source: 'tollgate-source',
  sentAt: 'tollgate-sent-at',
  /** Name of a backfill set: lifts the age bound, and the whole set can be undone. */
  set: 'tollgate-set',
} as const;
