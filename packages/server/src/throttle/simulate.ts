/**
 * What a limit would have done to the usage of the past: whom it would have refused, when first, and by how much. Quotas
 * from usage by window; rates event by event, through the engine that decides for real. Answers come as they are found.
 */
import type { Interval } from '../domain/window.ts';
import { UsageError } from '../usage/index.ts';
import { simulateQuota } from './simulate-quota.ts';
import { simulateRate } from './simulate-rate.ts';
import type { Simulated, SimulationDeps, SimulationStep } from './simulated.ts';

/** Throws UsageError `limit.invalid` for a limit that the past cannot tell of. */
export async function* simulate(deps: SimulationDeps, what: Simulated, span: Interval): AsyncIterable<SimulationStep> {
  const { limit } = what;
  if (span.from >= span.to) throw new UsageError('request.invalid', '`to` must lie after `from`');
  if (limit.rule.kind === 'concurrency')
    throw new UsageError('limit.invalid', 'usage does not tell how long calls took: a concurrency cannot be simulated');
  if (limit.rule.kind === 'quota') yield* simulateQuota(deps, what, limit.rule, span);
  else yield* simulateRate(deps, what, span);
}
