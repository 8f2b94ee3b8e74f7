/**
 * Burning down prepaid grants: which grant pays for which use. Pure, over whole units of any scale (minor units of money,
 * scaled quantities). The order is OpenMeter's: priority (the lower number first), then the one that ends first, then the
 * oldest, then by id, so that it never depends on the order of rows.
 */
import type { Instant } from '../../domain/window.ts';

export interface BurnGrant {
  id: string;
  amount: bigint;
  priority: number;
  effectiveAt: Instant;
  /** From here on it pays for nothing, and what is left of it is gone; null: never. */
  expiresAt: Instant | null;
  /** Taken back by hand. */
  endedAt: Instant | null;
  /** Set to its amount again at anchor + n * every ms (n of either sign), while it is in force; null: never. */
  recurs: { every: number; anchor: Instant } | null;
}

export interface BurnUse {
  at: Instant;
  quantity: bigint;
}

export interface BurnSpan {
  /** [from, until): what happens at `from` is yet to happen, and what happens at `until` still is in the end. */
  from: Instant;
  until: Instant;
  /** What was left of each grant when `from` came; of one that is not named all of it. */
  starting: ReadonlyMap<string, bigint>;
}

export interface Burnt {
  balances: Map<string, bigint>;
  /** Used beyond all grants. */
  overage: bigint;
  /** Which grant paid how much of which use, in order. */
  uses: { use: number; grant: string; amount: bigint }[];
}

interface GrantChange {
  kind: 'end' | 'fill';
  at: Instant;
  order: number;
  grant: BurnGrant;
}
interface UseChange {
  kind: 'use';
  at: Instant;
  order: number;
  use: number;
  quantity: bigint;
}
type Change = GrantChange | UseChange;

/** At one instant grants end first, then others are filled again, then what is used is paid. */
const ORDER = { end: 0, fill: 1, use: 2 } as const;

const endOf = ({ expiresAt, endedAt }: BurnGrant): Instant => {
  const [a, b] = [expiresAt ?? Number.POSITIVE_INFINITY, endedAt ?? Number.POSITIVE_INFINITY];
  return a < b ? a : b;
};

export function burnDown(grants: readonly BurnGrant[], uses: readonly BurnUse[], span: BurnSpan): Burnt {
  const inOrder = [...grants].sort(payingOrder);
  const balances = new Map(grants.map(({ id, amount }) => [id, span.starting.get(id) ?? amount]));
  const out: Burnt = { balances, overage: 0n, uses: [] };
  for (const grant of grants) if (endOf(grant) <= span.from) balances.set(grant.id, 0n);
  for (const change of changesIn(grants, uses, span)) {
    if (change.kind === 'use') pay(out, inOrder, change);
    else balances.set(change.grant.id, change.kind === 'fill' ? change.grant.amount : 0n);
  }
  return out;
}

/** The order in which grants pay. */
function payingOrder(a: BurnGrant, b: BurnGrant): number {
  const [endA, endB] = [endOf(a), endOf(b)];
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (endA !== endB) return endA < endB ? -1 : 1;
  if (a.effectiveAt !== b.effectiveAt) return a.effectiveAt - b.effectiveAt;
  return a.id < b.id ? -1 : 1;
}

function pay(out: Burnt, grants: readonly BurnGrant[], { at, use, quantity }: UseChange): void {
  let left = quantity;
  for (const grant of grants) {
    const balance = out.balances.get(grant.id) ?? 0n;
    if (left <= 0n) return;
    if (balance <= 0n || at < grant.effectiveAt) continue;
    const amount = balance < left ? balance : left;
    out.balances.set(grant.id, balance - amount);
    out.uses.push({ use, grant: grant.id, amount });
    left -= amount;
  }
  out.overage += left;
}

function changesIn(grants: readonly BurnGrant[], uses: readonly BurnUse[], span: BurnSpan): Change[] {
  const inSpan = (at: Instant): boolean => at >= span.from && at < span.until;
  const changes: Change[] = [];
  for (const grant of grants) {
    const end = endOf(grant);
    if (inSpan(end)) changes.push({ kind: 'end', order: ORDER.end, at: end, grant });
    for (const at of fillsOf(grant, span)) changes.push({ kind: 'fill', order: ORDER.fill, at, grant });
  }
  for (const [use, { at, quantity }] of uses.entries())
    if (inSpan(at)) changes.push({ kind: 'use', order: ORDER.use, at, use, quantity });
  return changes.sort((a, b) => a.at - b.at || a.order - b.order);
}

/** When it is filled again. */
function fillsOf(grant: BurnGrant, { from, until }: BurnSpan): Instant[] {
  if (grant.recurs === null) return [];
  const { every, anchor } = grant.recurs;
  if (!(every > 0)) throw new RangeError(`grant ${grant.id} must recur after a time above zero: ${every}`);
  const end = endOf(grant);
  const last = end < until ? end : until;
  const begin = grant.effectiveAt > from ? grant.effectiveAt : from;
  // The first one from `begin` on, counted from the anchor either way.
  const since = (((begin - anchor) % every) + every) % every;
  const out: Instant[] = [];
  for (let at = since === 0 ? begin : begin + every - since; at < last; at += every) out.push(at);
  return out;
}
