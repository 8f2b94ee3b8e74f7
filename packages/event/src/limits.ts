/** Bounds of the protocol. The server refuses what exceeds them by name; publishers cut their batches to fit. */
export const limits = {
  /** Bytes of one request body after decompression. */
  bodyBytes: 8 * 1024 * 1024,
  /** Events or readings (with end markers) of one request. */
  itemsPerRequest: 10_000,
  /** Series one batch of readings may name. */
  seriesPerRequest: 10_000,
  /** Bytes (UTF-8) of id, source, type, subject, run, resource, epoch and the like. */
  attributeBytes: 512,
  /** Bytes of one event's data as received. */
  dataBytes: 256 * 1024,
  /** Nesting of one event, its own object included. */
  depth: 32,
  /** Dimensions of one series, and bytes of a dimension's name or value. */
  dimensions: 32,
  dimensionBytes: 256,
  /** How far ahead of the server's clock an event's time may lie, ms. */
  futureMs: 24 * 3_600_000,
  /** Length of the identity window, ms: how long a repeated id with another time is recognised. */
  windowMs: 35 * 86_400_000,
} as const;

/** Highest value of a counter: 2^64 - 1. */
export const counterMax = 18_446_744_073_709_551_615n;
