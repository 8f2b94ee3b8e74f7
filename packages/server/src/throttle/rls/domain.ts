/**
 * A domain of rate limits as envoyproxy/ratelimit configures it: a tree of descriptors, matched entry by entry. At each
 * entry the value that is spelled out wins, then the longest prefix with `*`, then the bare key. A request matches a rule
 * of its own depth only; what matches nothing is not limited.
 */
import type { Limit } from '../../domain/limit/limit.ts';

export interface Rule {
  /** Null: unlimited, and said so. */
  limit: Limit | null;
  /** Its `name`, or the path of its keys. */
  name: string;
  /** Names of rules that do not count in a request in which this one does. */
  replaces: readonly string[];
  /** Refuses only where every such rule of the request is over. */
  quotaMode: boolean;
}

export interface Level {
  rule: Rule | null;
  /** All values that match the prefix share a counter. */
  shares: boolean;
  /** By key, then by value; '' is the bare key. */
  exact: Map<string, Map<string, Level>>;
  /** By key, longest prefix first. */
  prefixes: Map<string, { prefix: string; level: Level }[]>;
}

export interface Domain {
  name: string;
  top: Level;
}

export const newLevel = (shares = false): Level => ({ rule: null, shares, exact: new Map(), prefixes: new Map() });

export interface Match {
  rule: Rule;
  /** Entries as they are counted. */
  subject: string;
}

export function match(domain: Domain, entries: readonly { key: string; value: string }[]): Match | null {
  let level = domain.top;
  const subject: string[] = [];
  for (const { key, value } of entries) {
    const next = step(level, key, value);
    if (next === null) return null;
    subject.push(key, next.counted);
    level = next.level;
  }
  return level.rule === null ? null : { rule: level.rule, subject: JSON.stringify(subject) };
}

function step(level: Level, key: string, value: string): { level: Level; counted: string } | null {
  const values = level.exact.get(key);
  const exact = value === '' ? undefined : values?.get(value);
  if (exact !== undefined) return { level: exact, counted: value };
  const wild = level.prefixes.get(key)?.find(({ prefix }) => value.startsWith(prefix));
  if (wild !== undefined) return { level: wild.level, counted: wild.level.shares ? `${wild.prefix}*` : value };
  const bare = values?.get('');
  return bare === undefined ? null : { level: bare, counted: value };
}
