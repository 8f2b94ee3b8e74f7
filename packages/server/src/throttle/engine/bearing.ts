/** How a limit bears on a decision: its rule in numbers, and what the decision may do with its counter. */
import type { Terms } from '../../domain/limit/cell.ts';
import type { Limit } from '../../domain/limit/limit.ts';
import { sharingOf } from '../../domain/limit/sharing.ts';
import { termsOf } from '../../domain/limit/terms.ts';
import { counted } from './counter-name.ts';

/** What one decision is worth to a counter. cost: its cost. call: 1, however heavy (something is held). read: nothing. */
export type Worth = 'cost' | 'call' | 'read';

export interface Bearing extends Terms {
  readonly worth: Worth;
  /** May refuse. A limit in shadow is asked as if it were hard, but does not. */
  readonly refuses: boolean;
  readonly shadow: boolean;
  /** Strict: up to its ceiling only. */
  readonly granted: boolean;
  /** What is held at once, in slots leased from a store: others hold some too. */
  readonly slots: boolean;
  /** What is admitted here is told to other servers; no more than they may be left untold. */
  readonly told: boolean;
  /** Its subjects come from requests: as many as somebody cares to send. */
  readonly open: boolean;
  /** Remembers every admission. */
  readonly logs: boolean;
  /** The key, as it begins the names of its counters. */
  readonly prefix: string;
  /** Counters of equal shape hold the same numbers in the same meaning. */
  readonly shape: string;
}

/** Throws LimitError `limit.rule` for a rule that cannot be counted exactly. */
export function bearingOf(limit: Limit): Bearing {
  const { rule, key, hard, shadow, feed, scope } = limit;
  const sharing = sharingOf(limit);
  const granted = sharing === 'strict' && feed === 'decided' && hard && !shadow;
  const terms = termsOf(rule, granted);
  return {
    ...terms,
    worth: feed === 'metered' ? 'read' : rule.kind === 'concurrency' ? 'call' : 'cost',
    refuses: hard && !shadow,
    shadow,
    granted,
    slots: granted && rule.kind === 'concurrency',
    told: sharing === 'async' && rule.kind === 'rate',
    open: typeof scope === 'object',
    logs: terms.algorithm.name === 'log',
    prefix: counted(key),
    shape: shapeOf(terms, feed),
  };
}

/** What a bucket holds has drained at its amount: another amount is another shape, so that the past keeps the old one. */
const shapeOf = ({ algorithm, windowMs, period, amount }: Terms, feed: Limit['feed']): string =>
  `${feed} ${algorithm.name} ${period ?? windowMs} ${algorithm.name === 'bucket' ? amount : ''}`;

/** Units that a call takes of it. One that is only read takes none, but refuses when not even one is left. */
export const needOf = ({ worth }: Bearing, cost: number): number =>
  worth === 'cost' ? cost : worth === 'read' || cost > 0 ? 1 : 0;
