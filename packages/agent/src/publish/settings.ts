export interface PaceSettings {
  /** What an earlier life left waits so long after the start, ms. What is measured now goes at once. */
  startupDelayMs: number;
  /** At most one request in this time, ms. */
  intervalMs: number;
  /** Events of one request, as long as no more than a second's worth of them waits. */
  portionRecords: number;
  /** Bounds of one request when more waits: events, and bytes. */
  requestRecords: number;
  requestBytes: number;
  /** First and longest wait before a repetition, and the longest that a server may ask for, ms. */
  waitFirstMs: number;
  waitMaxMs: number;
  retryAfterMaxMs: number;
  /** How often at most it is said that there is nothing to say, ms. */
  emptyMs: number;
  /** How often at most the agent speaks of itself, ms. */
  selfReportMs: number;
}
export const paceDefaults: PaceSettings = {
  startupDelayMs: 60_000,
  intervalMs: 100,
  portionRecords: 100,
  requestRecords: 10_000,
  requestBytes: 4 * 1024 * 1024,
  waitFirstMs: 250,
  waitMaxMs: 30_000,
  retryAfterMaxMs: 300_000,
  emptyMs: 10_000,
  selfReportMs: 60_000,
};
