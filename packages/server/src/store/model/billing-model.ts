/** The books in memory: drafts and runs, and the parts of the others put together. */
import { checkDraft, checkFence, checkHold, checkRunStart } from '../billing-checks.ts';
import type { BillingRun, BillingStore, Fence, RunCounts, RunFailure, StoredDraft } from '../billing-store.ts';
import { checkText, checkWhole, LEASE_MS_MAX, NAME_BYTES } from '../control-checks.ts';
import { StoreError } from '../errors.ts';
import { billingReads } from './billing-reads.ts';
import { type BillingState, byBytes } from './billing-state.ts';
import { billingWrites, underFence } from './billing-writes.ts';

const draftName = (account: string, from: number, to: number): string => JSON.stringify([account, from, to]);
const withoutText = ({ document: _, ...draft }: StoredDraft): Omit<StoredDraft, 'document'> => draft;
/** Newest end first, then account, then newest begin. */
const inOrder = (a: Pick<StoredDraft, 'account' | 'from' | 'to'>, b: Pick<StoredDraft, 'account' | 'from' | 'to'>) =>
  b.to - a.to || byBytes(a.account, b.account) || b.from - a.from;

const drafts = (state: BillingState) => ({
  saveDrafts: (rows: readonly StoredDraft[]): void => {
    rows.forEach(checkDraft);
    for (const row of rows) state.drafts.set(draftName(row.account, row.from, row.to), row);
  },
  removeDrafts: (spans: readonly { account: string; from: number; to: number }[]): void => {
    for (const { account, from, to } of spans) state.drafts.delete(draftName(account, from, to));
  },
  draft: (account: string, from: number, to: number): StoredDraft | null =>
    state.drafts.get(draftName(account, from, to)) ?? null,
  drafts: ({ accounts, blocked, after, limit }: Parameters<BillingStore['drafts']>[0]) => {
    checkWhole('limit', limit, 0);
    return [...state.drafts.values()]
      .filter((draft) => accounts?.includes(draft.account) ?? true)
      .filter((draft) => blocked === undefined || (draft.blocked !== '') === blocked)
      .filter((draft) => after === undefined || inOrder(after, draft) < 0)
      .sort(inOrder)
      .slice(0, limit)
      .map(withoutText);
  },
});

const runs = (state: BillingState) => {
  const change = (run: BillingRun, more: Partial<BillingRun>): BillingRun => {
    const changed = { ...run, ...more };
    state.runs[run.id - 1] = changed;
    return changed;
  };
  return {
    startBillingRun: (asked: Pick<BillingRun, 'frontier' | 'until' | 'startedAt'>): BillingRun => {
      checkRunStart(asked);
      const { frontier, until, startedAt } = asked;
      const same = (run: BillingRun): boolean => run.frontier === frontier && run.until === until;
      const known = state.runs.find((run) => same(run) && run.outcome === 'running');
      if (known !== undefined) return known;
      const run: BillingRun = {
        ...{ id: state.runs.length + 1, frontier, until, startedAt, finishedAt: null, outcome: 'running', error: '' },
        ...{ cursor: '', accounts: 0, invoices: 0, drafts: 0, blocked: 0, failed: 0 },
        ...{ holder: '', token: 0, heldUntil: 0 },
      };
      state.runs.push(run);
      return run;
    },
    holdBillingRun: (id: number, holder: string, now: number, ttlMs: number): BillingRun | null => {
      checkHold(holder, now, ttlMs);
      const run = state.runs.find((r) => r.id === id);
      if (run?.outcome !== 'running') return null;
      const free = run.heldUntil <= now || run.heldUntil > now + LEASE_MS_MAX;
      if (!free && run.holder !== holder) return null;
      const keeps = run.holder === holder && run.heldUntil > now;
      return change(run, { holder, heldUntil: now + ttlMs, token: keeps ? run.token : run.token + 1 });
    },
    advanceBillingRun: (
      fence: Fence,
      step: { cursor: string; counts: RunCounts; failures: readonly Omit<RunFailure, 'run'>[] },
    ): BillingRun => {
      checkFence(fence);
      checkText('cursor', step.cursor, NAME_BYTES);
      for (const failure of step.failures) {
        checkText('account', failure.account, NAME_BYTES);
        checkText('code', failure.code);
        checkText('reason', failure.reason);
      }
      const run = underFence(state, fence);
      for (const { account, code, reason } of step.failures)
        state.failures.set(JSON.stringify([run.id, account]), { run: run.id, account, code, reason });
      const { accounts, invoices, drafts: drafted, blocked, failed } = step.counts;
      return change(run, {
        cursor: step.cursor,
        ...{ accounts: run.accounts + accounts, invoices: run.invoices + invoices, drafts: run.drafts + drafted },
        ...{ blocked: run.blocked + blocked, failed: run.failed + failed },
      });
    },
    finishBillingRun: (fence: Fence, outcome: 'done' | 'failed', error: string): BillingRun => {
      checkText('error', error);
      return change(underFence(state, fence), { outcome, error, finishedAt: fence.now, heldUntil: 0 });
    },
    billingRun: (id: number): BillingRun | null => state.runs.find((run) => run.id === id) ?? null,
    billingRuns: ({ before = Number.MAX_SAFE_INTEGER, limit }: { before?: number; limit: number }): BillingRun[] => {
      checkWhole('limit', limit, 0);
      return state.runs
        .filter((run) => run.id < before)
        .reverse()
        .slice(0, limit);
    },
    runFailures: (run: number, after: string, limit: number): RunFailure[] => {
      checkWhole('limit', limit, 0);
      return [...state.failures.values()]
        .filter((failure) => failure.run === run && byBytes(failure.account, after) > 0)
        .sort((a, b) => byBytes(a.account, b.account))
        .slice(0, limit);
    },
  };
};

/** `closed`: the handle's end. What goes in and comes out is copied, functions aside. */
export const billingModel = (state: BillingState, closed: () => boolean): BillingStore => {
  const all = { ...billingWrites(state), ...billingReads(state), ...drafts(state), ...runs(state) };
  const copied = (value: unknown): unknown => (typeof value === 'function' ? value : structuredClone(value));
  const guard =
    (work: (...args: unknown[]) => unknown) =>
    async (...args: unknown[]): Promise<unknown> => {
      if (closed()) throw new StoreError('store.unavailable', 'The control store is closed.');
      return structuredClone(work(...args.map(copied)));
    };
  const guarded = Object.entries(all).map(([name, work]) => [name, guard(work as (...args: unknown[]) => unknown)]);
  return Object.fromEntries(guarded) as { [K in keyof typeof all]: BillingStore[K] };
};
