/**
 * What was refused, and what would have been: the last ones with all that explains them, and all of the last hours counted
 * by account, limit and minute. In memory and bounded; a refusal is no fact, nothing is computed from it.
 */

import type { Receipt } from '../domain/fact.ts';
import { metersOf } from '../domain/limit/limit.ts';
import { periodAt } from '../domain/limit/period.ts';
import { compare, parseQuantity } from '../domain/quantity.ts';
import type { Instant } from '../domain/window.ts';
import type { Usage, UsageRow, Viewer } from '../usage/index.ts';
import type { Ask } from './ask.ts';
import type { Gate } from './engine/types.ts';
import type { Answer, Question } from './throttle.ts';
import { scopeOf } from './usage-scope.ts';

/** shadowed: a limit in shadow would have refused. exceeded: admitted above a soft limit. */
export type RefusalKind = 'refused' | 'shadowed' | 'exceeded';

export interface Refusal extends Ask {
  /** `refusal:...`, for explain. */
  id: string;
  kind: RefusalKind;
  at: Instant;
  cost: number;
  reason: string;
  detail: string;
  /** Null: an account's state or a block, not a limit. */
  limit: { key: string; version: Receipt; feed: 'decided' | 'metered'; amount: number } | null;
  /** As the decision left it; null where no counter was asked. */
  used: number | null;
  remaining: number | null;
  resetAt: Instant | null;
  plan: string | null;
}

export interface RefusalCount {
  account: string;
  limit: string;
  kind: RefusalKind;
  /** Start of the minute. */
  minute: Instant;
  calls: number;
  /** Their costs together; exact up to 2^53. */
  units: bigint;
}

export interface RefusalBounds {
  kept: number;
  counts: number;
}
const usual: RefusalBounds = { kept: 10_000, counts: 50_000 };
const MINUTE_MS = 60_000;

interface Kept {
  refusal: Refusal;
  gate: Gate | null;
}

export class Refusals {
  private readonly life: string;
  private readonly bounds: RefusalBounds;
  private readonly ring: Kept[] = [];
  private readonly byMinute = new Map<string, RefusalCount>();
  private made = 0;

  /** `life`: of this process, so that an id of an earlier one names nothing instead of something else. */
  constructor(life: string, bounds: Partial<RefusalBounds> = {}) {
    this.life = life;
    this.bounds = { ...usual, ...bounds };
  }

  /** For every decision; those that were plainly admitted cost two comparisons. Null: nothing to explain. */
  note(ask: Ask, { prepared, standing }: Question, cost: number, answer: Answer, now: Instant): Refusal | null {
    const { allowed, gate, decision } = answer;
    if (!allowed) return this.keep(ask, 'refused', gate, cost, answer, now);
    const [shadow] = decision?.shadowed ?? [];
    if (shadow !== undefined) return this.keep(ask, 'shadowed', prepared.gates[shadow] ?? null, cost, answer, now);
    if (decision === null || decision.used <= decision.limit || standing.gates.length === 0) return null;
    return this.keep(ask, 'exceeded', gate, cost, answer, now);
  }

  get(id: string): Refusal | undefined {
    return this.keptOf(id)?.refusal;
  }

  /** Newest first. */
  list(viewer: Viewer, limit: number): Refusal[] {
    const seen = this.ring.filter(({ refusal }) => viewer === null || viewer.has(refusal.account));
    return seen
      .map(({ refusal }) => refusal)
      .sort((a, b) => numberOf(b) - numberOf(a))
      .slice(0, limit);
  }

  /** Oldest minute first. */
  counts(viewer: Viewer): RefusalCount[] {
    return [...this.byMinute.values()].filter(({ account }) => viewer === null || viewer.has(account));
  }

  /**
   * The usage behind a refusal, by series, the largest first; each row names what to ask explain about. Null: there is no
   * such refusal. Of decided limits too: their decisions are usage.
   */
  async behind(id: string, usage: Pick<Usage, 'query'>, viewer: Viewer): Promise<UsageRow[] | null> {
    const kept = this.keptOf(id);
    if (kept === undefined || (viewer !== null && !viewer.has(kept.refusal.account))) return null;
    const { gate, refusal } = kept;
    if (gate === null || gate.limit.rule.kind !== 'quota') return [];
    const { account, subtree, resource, dimension } = scopeOf(gate);
    const { from } = periodAt(gate.calendar, gate.limit.rule.period, refusal.at);
    const filter = {
      meters: metersOf(gate.limit.meter),
      subtree,
      ...(account === null ? {} : { accounts: [account] }),
      ...(resource === null ? {} : { resources: [resource] }),
      ...(dimension === null ? {} : { dimensions: { [dimension.name]: [dimension.value] } }),
    };
    const groupBy = ['series', 'account', 'resource'];
    const query = { filter, from, to: refusal.at + 1, windowSize: 'total' as const, zone: 'UTC', groupBy };
    const { rows } = await usage.query(query, viewer);
    return rows.sort(byQuantity).slice(0, ROWS_MAX);
  }

  private keep(ask: Ask, kind: RefusalKind, gate: Gate | null, cost: number, answer: Answer, now: Instant): Refusal {
    const { decision, reason, detail, plan } = answer;
    const isOf = gate !== null && gate === answer.gate && decision !== null;
    const refusal: Refusal = {
      ...ask,
      id: `refusal:${this.life}-${this.made}`,
      kind,
      at: now,
      cost,
      reason: reason ?? (kind === 'shadowed' ? 'limit.shadow' : 'limit.soft'),
      detail,
      limit: gate === null ? null : limitOf(gate),
      used: isOf ? decision.used : null,
      remaining: isOf ? decision.remaining : null,
      resetAt: isOf ? decision.resetAt : null,
      plan: plan?.key ?? null,
    };
    this.ring[this.made % this.bounds.kept] = { refusal, gate };
    this.made++;
    this.count(refusal);
    return refusal;
  }

  private count({ account, limit, kind, at, cost, reason }: Refusal): void {
    const minute = Math.floor(at / MINUTE_MS) * MINUTE_MS;
    const what = limit?.key ?? reason;
    const key = JSON.stringify([minute, account, what, kind]);
    let counted = this.byMinute.get(key);
    if (counted === undefined) {
      counted = { account, limit: what, kind, minute, calls: 0, units: 0n };
      this.byMinute.set(key, counted);
      if (this.byMinute.size > this.bounds.counts) this.byMinute.delete(this.byMinute.keys().next().value ?? '');
    }
    counted.calls++;
    counted.units += BigInt(cost);
  }

  private keptOf(id: string): Kept | undefined {
    const match = /^refusal:(.+)-(\d{1,15})$/.exec(id);
    if (match?.[1] !== this.life) return undefined;
    const kept = this.ring[Number(match[2]) % this.bounds.kept];
    return kept?.refusal.id === id ? kept : undefined;
  }
}

const ROWS_MAX = 100;
const limitOf = ({ limit }: Gate): Refusal['limit'] => {
  const { key, version, feed, rule } = limit;
  return { key, version, feed, amount: rule.amount };
};
const numberOf = ({ id }: Refusal): number => Number(id.slice(id.lastIndexOf('-') + 1));
const byQuantity = (a: UsageRow, b: UsageRow): number =>
  compare(parseQuantity(b.quantity ?? '0'), parseQuantity(a.quantity ?? '0'));
