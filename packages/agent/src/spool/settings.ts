export interface SpoolSettings {
  /** At most this much of the time is only in memory, ms. */
  flushMs: number;
  /** A sign of life is written at least so often, ms: it bounds the interval a crash is reported with. */
  heartbeatMs: number;
  /** Records of one portion, and portions made at each flush, at least. */
  portionRecords: number;
  /** Bytes after which a new segment is begun, at most a quarter of the next; and of all segments together. */
  segmentBytes: number;
  maxBytes: number;
  /** Records of buckets that are over which may wait in memory while the disk takes nothing. */
  memoryRecords: number;
  /** The server counts as away when the oldest portion is about a time so long ago, ms. */
  behindMs: number;
  /**
   * While it is away and the log has grown to this part of `maxBytes` (8: an eighth), buckets that are over are joined into
   * one of the first length; into one of the second and third when it is two and four times as large. Each divides 15
   * minutes: no window is crossed.
   */
  joinPart: number;
  joinMs: readonly [number, number, number];
  /** Bytes of portions kept in memory, so that they need not be read back. */
  cacheBytes: number;
}
export const spoolDefaults: SpoolSettings = {
  flushMs: 100,
  heartbeatMs: 1000,
  portionRecords: 100,
  segmentBytes: 4 * 1024 * 1024,
  maxBytes: 1024 ** 3,
  memoryRecords: 500_000,
  behindMs: 60_000,
  joinPart: 8,
  joinMs: [60_000, 300_000, 900_000],
  cacheBytes: 16 * 1024 * 1024,
};

/** Only a whole segment can be given up, so several have to fit. */
const SEGMENTS_MIN = 4;

export const spoolSettings = (given: Partial<SpoolSettings>): SpoolSettings => {
  const settings = { ...spoolDefaults, ...given };
  const segmentBytes = Math.min(settings.segmentBytes, Math.floor(settings.maxBytes / SEGMENTS_MIN));
  return { ...settings, segmentBytes };
};
