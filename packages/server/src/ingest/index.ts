export type { AcceptContext } from './accept-events.ts';
export type { ReadingsContext } from './accept-readings.ts';
export { type Headers, type Mode, modeOf } from './cloudevents.ts';
export type { IdentityWindow } from './identity/identity-index.ts';
export { Ingest, type IngestDeps, type IngestLimits, type IngestStats, ingestLimits } from './ingest.ts';
export type { BookView } from './metering.ts';
