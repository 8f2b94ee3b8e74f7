/** Rating: what usage and fees cost, exactly. See usage.ts for what goes in and comes out. */

export { owesNothing } from './bounds.ts';
export { divisorOf } from './convert.ts';
export { type FeePart, rateFee } from './fee.ts';
export { type BilledPeriod, type PartShare, partShare, type Span } from './proration.ts';
export { RateError } from './rate-error.ts';
export { rateUsage } from './rate-usage.ts';
export { dimensionsOf, needsEvents } from './ready.ts';
export type { Own, PeriodUsage, Portion, RateContext, Rated } from './usage.ts';
