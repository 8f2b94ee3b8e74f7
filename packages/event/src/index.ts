export { counterMax, limits } from './limits.ts';
export {
  type BatchOutcome,
  type ItemOutcome,
  type OutcomeCode,
  type OutcomeKind,
  outcomeCodes,
} from './outcome.ts';
export { type HeaderSettings, type PolicyState, rateLimitHeaders } from './rate-limit-headers.ts';
export {
  batchHeaders,
  type EndRow,
  encodeReadings,
  itemsOf,
  type ReadingRow,
  type ReadingsBatch,
  type ResourceHint,
  type SeriesHead,
} from './readings.ts';
