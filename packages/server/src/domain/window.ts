/**
 * The window grid: half-open UTC intervals of 15 minutes. Every IANA zone in use is offset from UTC by a multiple of
 * 15 minutes, so any account's day or month is a whole number of windows. Instants are milliseconds since 1970 UTC.
 */
export type Instant = number;

export const WINDOW_MS = 900_000;

/** The start of the window that contains `t`. */
export const windowStart = (t: Instant): Instant => Math.floor(t / WINDOW_MS) * WINDOW_MS;

/** The first window edge at or after `t`. */
export const windowCeil = (t: Instant): Instant => Math.ceil(t / WINDOW_MS) * WINDOW_MS;

export interface Interval {
  readonly from: Instant;
  readonly to: Instant;
}
