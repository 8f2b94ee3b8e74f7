/**
 * Facts: what was accepted, with its receipt number. Everything usage is computed from is one of these or a control fact
 * (owner, definition, correction, quarantine decision), and all of them share one increasing sequence of receipt numbers.
 */
import type { Instant } from './window.ts';

/** Stamped, increasing, on every accepted fact. An exact integer below 2^53. */
export type Receipt = number;

/** What arrival decided about a reading: stamped on the fact, an input of the computation from then on (law 3). */
export const Stamp = {
  /** A reading of the same series with a lower receipt number has a later time. */
  late: 1,
  /** The source's sequence advanced and its time did not: time was set to the last one's + 1 ms. */
  clockBack: 2,
  /** The time lay beyond the allowed skew in the future: time was set to the receipt. */
  future: 4,
  /** The source's clock was off by more than the limit: time was corrected by the measured offset. */
  skew: 8,
  /** No value: the counter ended at this time (interface gone). */
  end: 16,
  /** The value as sent was a float above 2^53. */
  inexact: 32,
  /**
   * Above the series' line speed since the last reading, or late on a series that has one: a hint for the fast path, the
   * pure function judges.
   */
  fast: 64,
} as const;

/** One value of a cumulative counter. */
export interface Reading {
  /** Effective time, after the stamps. */
  t: Instant;
  /** 0 .. 2^64-1. */
  value: bigint;
  /** 52-bit hash of the epoch's text (boot id, ifindex, handle ...). Values of one epoch form one chain. */
  epoch: number;
  /** When the counter stood at zero, if the source can vouch for it; 0 unknown. */
  start: Instant;
  receipt: Receipt;
  /** Bits of Stamp. */
  stamps: number;
}

/** A reading with the series it belongs to and the time its source gave. */
export interface SeriesReading extends Reading {
  series: number;
  sourceTime: Instant;
}

/** One CloudEvent as stored. `data` is the raw JSON text as received (never reformatted), '' when there is none. */
export interface StoredEvent {
  /** Account of the key it came by; '' for the installation. Part of the identity with source and id. */
  tenant: string;
  source: string;
  id: string;
  type: string;
  subject: string;
  t: Instant;
  sourceTime: Instant;
  receivedAt: Instant;
  data: string;
  receipt: Receipt;
  stamps: number;
  /** Name of the backfill set it came with; '' otherwise. */
  set: string;
}

/** What a source said about itself with one accepted batch: the proof that it was complete, also when nothing happened. */
export interface Declaration {
  tenant: string;
  source: string;
  run: string;
  firstSequence: number;
  lastSequence: number;
  /** All facts of this source with a time up to this instant have been sent; 0 when nothing is declared. */
  completeThrough: Instant;
  sentAt: Instant;
  receivedAt: Instant;
  receipt: Receipt;
}
