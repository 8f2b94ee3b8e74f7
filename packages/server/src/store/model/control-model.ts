/**
 * The control store as plain maps in memory. It passes the same contract suite as PostgreSQL, and is what the simulation
 * and quick tests run on. State outlives a handle: a second one on the same state is a restart, or another server.
 */
import { createHash } from 'node:crypto';
import type { ControlFact } from '../../domain/control-fact.ts';
import { GROUPS_MAX, type Series } from '../../domain/series.ts';
import * as checks from '../control-checks.ts';
import type { ControlStore, Lease, NewSeries, Notice, Progress, Run, SetAside } from '../control-store.ts';
import { StoreError } from '../errors.ts';
import { FIRST_IN_GROUP, groupOfDigest, seriesDigest, seriesId, seriesRow } from '../series-ids.ts';
import { billingModel } from './billing-model.ts';
import { type BillingState, billingState } from './billing-state.ts';
import { type GrantRows, grants } from './grants.ts';
import { type UnitLeaseRows, unitLeases } from './leases.ts';

export interface ControlModelState {
  nextReceipt: number;
  facts: ControlFact[];
  series: Map<string, Series>;
  counts: Map<number, number>;
  epochs: Map<string, { series: number; epoch: number; text: string }>;
  leases: Map<number, Lease>;
  progress: Map<number, Progress>;
  nextProgress: number;
  runs: Map<number, Run>;
  setAside: Map<string, SetAside>;
  notices: Map<string, Notice>;
  grants: GrantRows;
  billing: BillingState;
  unitLeases: UnitLeaseRows;
  /** The clock that leases of units go by: a ms later each time it is read, unless a test sets it. */
  now: () => number;
  meta: Map<string, string>;
}

export const controlModelState = (groups = checks.GROUPS_DEFAULT): ControlModelState => {
  checks.checkWhole('groups', groups, 1, GROUPS_MAX);
  let reads = 0;
  return {
    nextReceipt: 1,
    facts: [],
    series: new Map(),
    counts: new Map(),
    epochs: new Map(),
    leases: new Map(),
    progress: new Map(),
    nextProgress: 1,
    runs: new Map(),
    setAside: new Map(),
    notices: new Map(),
    grants: new Map(),
    billing: billingState(),
    unitLeases: new Map(),
    now: () => ++reads,
    meta: new Map([[checks.GROUPS_META, String(groups)]]),
  };
};

/** Opens a handle. What goes in and comes out is copied: a real store shares no object with its caller. */
export const openControlModel = (state: ControlModelState = controlModelState()): ControlStore => {
  let closed = false;
  const guard = <A extends unknown[], R>(work: (...args: A) => R): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      if (closed) throw new StoreError('store.unavailable', 'The control store is closed.');
      return structuredClone(work(...structuredClone(args)));
    };
  };
  const parts = { ...facts(state), ...registry(state), ...leases(state), ...progress(state), ...runs(state) };
  const all = { ...parts, ...asides(state), ...notices(state), ...grants(state.grants), ...meta(state) };
  const clocked = unitLeases(state.unitLeases, () => state.now());
  const guarded = Object.fromEntries(
    Object.entries({ ...all, ...clocked }).map(([name, work]) => [
      name,
      guard(work as (...args: unknown[]) => unknown),
    ]),
  ) as unknown as Omit<ControlStore, 'engine' | 'billing' | 'health' | 'close'>;
  return {
    ...guarded,
    engine: 'model',
    billing: billingModel(state.billing, () => closed),
    health: async () => ({ writable: !closed, detail: closed ? 'closed' : 'in memory' }),
    close: async () => {
      closed = true;
    },
  };
};

/** The same methods without the promises, so that a wrong shape does not compile. */
type Sync<K extends keyof ControlStore> = {
  [M in K]: ControlStore[M] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : never;
};

const facts = (state: ControlModelState): Sync<'leaseReceipts' | 'appendFacts' | 'facts'> => ({
  leaseReceipts: (count) => {
    checks.checkWhole('count', count, 1);
    const first = state.nextReceipt;
    if (count > Number.MAX_SAFE_INTEGER - first + 1) throw checks.receiptsExhausted();
    state.nextReceipt = first + count;
    return first;
  },
  appendFacts: (added) => {
    const known = new Map(state.facts.map((fact) => [fact.receipt, fact]));
    const fresh = new Map<number, ControlFact>();
    for (const fact of added) {
      checks.checkFact(fact);
      const before = known.get(fact.receipt) ?? fresh.get(fact.receipt);
      // Through JSON as in a table: what cannot be told apart there is the same here.
      const stored = { ...fact, body: JSON.parse(JSON.stringify(fact.body)) as ControlFact['body'] };
      if (before === undefined) fresh.set(fact.receipt, stored);
      else if (!sameFact(before, stored)) throw checks.receiptTaken(fact.receipt);
    }
    state.facts = [...state.facts, ...fresh.values()].sort((a, b) => a.receipt - b.receipt);
  },
  facts: (after, limit, filter = {}) => {
    checks.checkWhole('limit', limit, 0);
    if (filter.tenant !== undefined) checks.checkText('tenant', filter.tenant);
    const found = state.facts
      .filter((fact) => fact.receipt > after && fact.receipt <= (filter.upTo ?? Number.MAX_SAFE_INTEGER))
      .filter((fact) => filter.kinds === undefined || filter.kinds.includes(fact.body.kind))
      .filter((fact) => filter.tenant === undefined || fact.tenant === filter.tenant)
      .filter((fact) => filter.since === undefined || fact.recordedAt >= filter.since);
    return (filter.newest ? found.reverse() : found).slice(0, limit);
  },
});

const sameFact = (a: ControlFact, b: ControlFact): boolean =>
  a.tenant === b.tenant &&
  a.author === b.author &&
  a.reason === b.reason &&
  a.recordedAt === b.recordedAt &&
  JSON.stringify(a.body) === JSON.stringify(b.body);

const registry = (
  state: ControlModelState,
): Sync<'series' | 'registerSeries' | 'registerEpochs' | 'epochText' | 'epochHolders'> => ({
  series: () => [...state.series.values()].sort((a, b) => a.id - b.id),
  registerSeries: (keys: readonly NewSeries[]) => {
    keys.forEach(checks.checkSeries);
    const groups = Number(state.meta.get(checks.GROUPS_META));
    return keys.map((key) => {
      const digest = seriesDigest(key);
      const name = digest.toString('hex');
      const known = state.series.get(name);
      if (known !== undefined) return known;
      const group = groupOfDigest(digest, groups);
      const count = state.counts.get(group) ?? FIRST_IN_GROUP;
      const row = seriesRow(seriesId(group, count), key);
      state.counts.set(group, count + 1);
      state.series.set(name, row);
      return row;
    });
  },
  registerEpochs: (epochs) => {
    for (const { series, epoch, text } of epochs) {
      checks.checkWhole('series', series, 0);
      checks.checkWhole('epoch', epoch, 0);
      checks.checkText('epoch text', text);
    }
    for (const epoch of epochs) {
      const name = `${epoch.series}:${epoch.epoch}`;
      if (!state.epochs.has(name)) state.epochs.set(name, epoch);
    }
  },
  epochText: (series, epoch) => state.epochs.get(`${series}:${epoch}`)?.text ?? null,
  epochHolders: (epoch) => {
    const holders = [...state.epochs.values()].filter((row) => row.epoch === epoch);
    return holders.map((row) => row.series).sort((a, b) => a - b);
  },
});

const leases = (state: ControlModelState): Sync<'acquireLease' | 'releaseLease' | 'leases'> => ({
  acquireLease: (group, holder, now, ttlMs) => {
    checks.checkLeaseRequest(group, holder, now, ttlMs);
    const held = state.leases.get(group);
    const free = held === undefined || held.until <= now || held.until > now + checks.LEASE_MS_MAX;
    if (!free && held.holder !== holder) return null;
    const lease = { group, holder, token: free ? (held?.token ?? 0) + 1 : held.token, until: now + ttlMs };
    state.leases.set(group, lease);
    return lease;
  },
  releaseLease: (lease) => {
    const held = state.leases.get(lease.group);
    if (held?.token === lease.token && held.holder === lease.holder)
      state.leases.set(lease.group, { ...held, until: 0 });
  },
  leases: () => [...state.leases.values()].filter((lease) => lease.until > 0).sort((a, b) => a.group - b.group),
});

const progress = (
  state: ControlModelState,
): Sync<'progress' | 'createProgress' | 'advance' | 'splitProgress' | 'mergeProgress'> => {
  const holds = (lease: Lease, now: number): boolean => {
    const held = state.leases.get(lease.group);
    return held?.token === lease.token && held.holder === lease.holder && held.until > now;
  };
  const unchanged = (row: Progress): boolean => {
    const now = state.progress.get(row.id);
    const fields = ['stream', 'group', 'from', 'closedTo', 'to', 'frontier'] as const;
    return now !== undefined && fields.every((field) => now[field] === row[field]);
  };
  const create = (row: Omit<Progress, 'id'>): Progress => {
    const created = { ...row, id: state.nextProgress++ };
    state.progress.set(created.id, created);
    return created;
  };
  return {
    progress: () => [...state.progress.values()].sort((a, b) => a.id - b.id),
    createProgress: (row) => {
      checks.checkProgress(row);
      const end = row.to ?? Number.POSITIVE_INFINITY;
      for (const other of state.progress.values())
        if (other.stream === row.stream && other.group === row.group)
          if (other.from < end && row.from < (other.to ?? Number.POSITIVE_INFINITY)) throw checks.overlapping(row);
      return create(row);
    },
    advance: (row, closedTo, frontier, lease, now) => {
      checks.checkAdvance(row, closedTo, frontier, lease);
      if (!holds(lease, now) || !unchanged(row)) return false;
      state.progress.set(row.id, { ...row, closedTo, frontier });
      return true;
    },
    splitProgress: (row, at, lease, now) => {
      checks.checkSplit(row, at, lease);
      if (!holds(lease, now) || !unchanged(row)) return false;
      state.progress.set(row.id, { ...row, to: at });
      create({ ...row, from: at, closedTo: at });
      return true;
    },
    mergeProgress: (first, second, lease, now) => {
      checks.checkMerge(first, second, lease);
      if (!holds(lease, now) || !unchanged(first) || !unchanged(second)) return false;
      state.progress.delete(second.id);
      state.progress.set(first.id, { ...first, closedTo: second.closedTo, to: second.to });
      return true;
    },
  };
};

const runs = (state: ControlModelState): Sync<'startRun' | 'finishRun' | 'runs' | 'run' | 'runAt'> => ({
  startRun: (run) => {
    checks.checkRun(run);
    const id = state.runs.size + 1;
    state.runs.set(id, { ...run, id });
    return id;
  },
  finishRun: (run) => {
    checks.checkRun(run);
    if (!state.runs.has(run.id)) throw checks.notFound(`run ${run.id}`);
    state.runs.set(run.id, run);
  },
  runs: (limit) => {
    checks.checkWhole('limit', limit, 0);
    return [...state.runs.values()].sort((a, b) => b.id - a.id).slice(0, limit);
  },
  run: (id) => state.runs.get(id) ?? null,
  runAt: (frontier, window) => {
    const holds = (run: Run): number => (run.from <= window && window < run.to ? 1 : 0);
    const found = [...state.runs.values()].filter((run) => run.frontier === frontier);
    return found.sort((a, b) => holds(b) - holds(a) || b.id - a.id)[0] ?? null;
  },
});

const asides = (state: ControlModelState): Sync<'addSetAside' | 'setAside' | 'setAsideById' | 'resolveSetAside'> => {
  const byId = (id: number): [string, SetAside] | undefined => [...state.setAside].find(([, item]) => item.id === id);
  return {
    addSetAside: (items) => {
      items.forEach(checks.checkSetAside);
      for (const item of items) {
        const name = createHash('sha256').update(item.identity).digest('hex');
        if (!state.setAside.has(name)) state.setAside.set(name, { ...item, id: state.setAside.size + 1 });
      }
    },
    setAside: (filter) => {
      checks.checkWhole('limit', filter.limit, 0);
      if (filter.tenant !== undefined) checks.checkText('tenant', filter.tenant);
      return [...state.setAside.values()]
        .filter((item) => item.id > (filter.after ?? 0))
        .filter((item) => filter.state === undefined || item.state === filter.state)
        .filter((item) => filter.tenant === undefined || item.tenant === filter.tenant)
        .slice(0, filter.limit);
    },
    setAsideById: (id) => byId(id)?.[1] ?? null,
    resolveSetAside: (id, to) => {
      const found = byId(id);
      if (found === undefined) throw checks.notFound(`set-aside item ${id}`);
      state.setAside.set(found[0], { ...found[1], state: to });
    },
  };
};

const notices = (state: ControlModelState): Sync<'addNotices' | 'notices'> => ({
  addNotices: (items) => {
    items.forEach(checks.checkNotice);
    return items.flatMap((item) => {
      const name = checks.noticeIdentity(item);
      if (state.notices.has(name)) return [];
      const notice = { ...item, id: state.notices.size + 1 };
      state.notices.set(name, notice);
      return [notice];
    });
  },
  notices: ({ tenants, before = Number.MAX_SAFE_INTEGER, limit }) => {
    checks.checkWhole('limit', limit, 0);
    for (const tenant of tenants ?? []) checks.checkText('tenants', tenant);
    const found = [...state.notices.values()].filter((n) => n.id < before && (tenants?.includes(n.tenant) ?? true));
    return found.sort((a, b) => b.id - a.id).slice(0, limit);
  },
});

const meta = (state: ControlModelState): Sync<'meta' | 'setMeta'> => ({
  meta: (name) => {
    checks.checkMetaName(name, false);
    return state.meta.get(name) ?? null;
  },
  setMeta: (name, value) => {
    checks.checkMetaName(name, true);
    checks.checkText('value', value);
    state.meta.set(name, value);
  },
});
