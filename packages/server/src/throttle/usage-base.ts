/**
 * What a metered counter starts from: usage as the records and the facts give it, and up to which facts that reaches.
 * Questions of one shape are asked together: ten thousand accounts of one zone and period are a handful of queries.
 */
import type { Meter } from '../domain/meter.ts';
import { parseQuantity, type Quantity } from '../domain/quantity.ts';
import type { Interval } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';
import type { Usage, UsageQuery, UsageRow } from '../usage/index.ts';
import { Reach } from './usage-reach.ts';
import type { Scope } from './usage-scope.ts';

export interface Wanted extends Interval {
  meters: readonly string[];
  scope: Scope;
}

export interface Base {
  used: Quantity;
  /** Nothing is known of it. */
  isUnknown: boolean;
  /** Part of the period has not been computed: it may be more. */
  hasGap: boolean;
  reach: Reach;
}

export interface UsageBaseDeps {
  usage: Pick<Usage, 'query'>;
  control: { progress(): Promise<Progress[]> };
  meter: (key: string) => Meter | undefined;
}

/** Counters of one query: bounds the text of the filter and what a failure costs. */
const TOGETHER = 500;
/** The job may move on while a query runs; then it is asked again this often before the answer is taken with care. */
const ATTEMPTS = 3;
/** Names that `groupBy` understands as something else than a dimension. */
const reserved = new Set(['account', 'resource', 'subject', 'source', 'series', 'trafficType']);

/** One base for each of the wanted, in order. Rejects when the stores do not answer. */
export async function askBases(deps: UsageBaseDeps, wanted: readonly Wanted[]): Promise<Base[]> {
  const out: Base[] = [];
  const known = wanted.map((w) => ({ ...w, meters: w.meters.filter((key) => isThere(deps, key)) }));
  for (const group of groupsOf(known)) {
    const rows = await askGroup(deps, group);
    for (const [i, base] of rows) out[i] = base;
  }
  return out;
}

const isThere = (deps: UsageBaseDeps, key: string): boolean => deps.meter(key)?.deleted === false;

interface Group {
  indices: number[];
  wanted: Wanted[];
}

function groupsOf(wanted: readonly Wanted[]): Group[] {
  const open = new Map<string, Group>();
  const out: Group[] = [];
  wanted.forEach((w, i) => {
    const shape = shapeOf(w) ?? String(i);
    let group = open.get(shape);
    if (group === undefined || group.wanted.length >= TOGETHER) {
      group = { indices: [], wanted: [] };
      open.set(shape, group);
      out.push(group);
    }
    group.indices.push(i);
    group.wanted.push(w);
  });
  return out;
}

/** Null: asked alone, because rows of several accounts may not be added (a maximum, distinct values). */
function shapeOf({ meters, scope, from, to }: Wanted): string | null {
  const { account, subtree, resource, dimension } = scope;
  if (subtree || account === null || (dimension !== null && reserved.has(dimension.name))) return null;
  return JSON.stringify([meters, from, to, resource !== null, dimension?.name ?? null]);
}

async function askGroup(deps: UsageBaseDeps, group: Group): Promise<[number, Base][]> {
  const [first] = group.wanted;
  if (first === undefined) return [];
  const { rows, reach } = await askStill(deps, queryOf(group.wanted));
  const hasGap = reach.hasGap(first);
  const byKey = new Map<string, { used: Quantity; isUnknown: boolean }>();
  for (const row of rows) {
    const key = Object.values(row.group).join('\n');
    const cell = byKey.get(key) ?? { used: 0n, isUnknown: false };
    byKey.set(key, cell);
    add(cell, row);
  }
  return group.wanted.map(({ scope }, i) => {
    const cell = byKey.get(group.wanted.length === 1 ? [...byKey.keys()].join() : keyOf(scope));
    return [group.indices[i] as number, { used: cell?.used ?? 0n, isUnknown: cell?.isUnknown ?? false, hasGap, reach }];
  });
}

function add(cell: { used: Quantity; isUnknown: boolean }, { quantity }: UsageRow): void {
  if (quantity === null) cell.isUnknown = true;
  else cell.used += parseQuantity(quantity);
}

const keyOf = ({ account, resource, dimension }: Scope): string =>
  [account, resource, dimension?.value].filter((part) => part !== null && part !== undefined).join('\n');

/** Rows are grouped only where several counters are asked of together; a single one is one sum. */
function queryOf(wanted: readonly Wanted[]): UsageQuery {
  const [first] = wanted as [Wanted];
  const { account, subtree, resource, dimension } = first.scope;
  const all = <T>(of: (scope: Scope) => T | null): T[] => [...new Set(wanted.flatMap((w) => of(w.scope) ?? []))] as T[];
  const groupBy = [
    ...(account === null ? [] : ['account']),
    ...(resource === null ? [] : ['resource']),
    ...(dimension === null ? [] : [dimension.name]),
  ];
  return {
    filter: {
      meters: first.meters,
      subtree,
      ...(account === null ? {} : { accounts: all((s) => s.account) }),
      ...(resource === null ? {} : { resources: all((s) => s.resource) }),
      ...(dimension === null ? {} : { dimensions: { [dimension.name]: all((s) => s.dimension?.value ?? null) } }),
    },
    from: first.from,
    to: first.to,
    windowSize: 'total',
    zone: 'UTC',
    groupBy: wanted.length === 1 ? [] : groupBy,
  };
}

async function askStill(deps: UsageBaseDeps, query: UsageQuery): Promise<{ rows: UsageRow[]; reach: Reach }> {
  for (let attempt = 1; ; attempt++) {
    const before = await deps.control.progress();
    const { rows, frontier } = await deps.usage.query(query, null);
    const after = await deps.control.progress();
    const reach = new Reach(frontier, before, after);
    if (reach.isStill || attempt >= ATTEMPTS) return { rows, reach };
  }
}
