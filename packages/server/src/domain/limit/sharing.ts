/** How a limit's counter is shared between servers, and how far together they may go beyond it. */
import type { Instant } from '../window.ts';
import type { LimitDefinition, LimitRule, RateRule, Sharing } from './limit.ts';

/** What a limit of which nothing is said is. Quotas that decisions are the usage of have always been granted ahead. */
export const sharingOf = ({ sharing, rule, feed }: SharedLimit): Sharing =>
  sharing ?? ((rule.kind === 'quota' || rule.kind === 'entitlement') && feed === 'decided' ? 'strict' : 'none');

type SharedLimit = Pick<LimitDefinition, 'sharing' | 'feed'> & { rule: { kind: string } };

/** How often servers exchange what they have admitted, ms. */
export const SYNC_MS = 100;

/** Units that one server admits of a rate, at most, before it has told them. */
export const untold = ({ amount, windowMs }: Pick<RateRule, 'amount' | 'windowMs'>, syncMs = SYNC_MS): number =>
  Math.max(1, Math.ceil((amount * Math.min(syncMs, windowMs)) / windowMs));

/**
 * How far above the limit all servers together may be, for each server beyond the first: 0 where chunks are leased, what
 * each may leave untold where sums are exchanged, the whole amount where each counts alone. A call heavier than that
 * counts in its place. Null: not of this kind.
 */
export function excessPerServer(
  limit: Pick<LimitDefinition, 'sharing' | 'feed'> & { rule: LimitRule | { kind: 'entitlement' } },
): number | null {
  const { rule, feed } = limit;
  if (feed === 'metered') return null;
  const sharing = sharingOf(limit);
  if (sharing === 'strict' || rule.kind === 'entitlement') return 0;
  if (sharing === 'async' && rule.kind === 'rate') return untold(rule);
  return rule.kind === 'rate' && rule.algorithm === 'bucket' ? rule.burst : rule.amount;
}

/** For how long what was admitted may count, ms: a server that comes later is told of so much of the past. */
export function memoryMs({ algorithm, amount, windowMs, burst }: RateRule): Instant {
  if (algorithm === 'bucket') return Math.ceil((burst * windowMs) / Math.max(1, amount));
  return algorithm === 'log' ? windowMs : 2 * windowMs;
}

/** What is wrong with it, and what to do instead; null: nothing. */
export function checkSharing(sharing: Sharing, rule: LimitRule | { kind: 'entitlement' }, feed: string): string | null {
  if (feed === 'metered') return 'usage is the same for every server already: leave it away';
  if (rule.kind === 'quota' || rule.kind === 'entitlement')
    return sharing === 'strict' ? null : 'a quota is granted ahead to each server: strict, or leave it away';
  if (sharing === 'none') return null;
  if (rule.kind === 'concurrency')
    return sharing === 'strict' ? null : 'what is held at once is leased: strict, or none';
  if (rule.algorithm === 'fixed')
    return sharing === 'strict' ? null : 'windows of servers end with their clocks: strict, or another algorithm';
  return sharing === 'async'
    ? null
    : 'only a fixed window can be leased ahead: `algorithm: fixed` for strict, or async, which has a bound';
}
