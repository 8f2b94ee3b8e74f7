/** Leases with their fencing tokens, progress, runs. Two handles on one store are two servers. */
import assert from 'node:assert/strict';
import type { ControlStore, Lease, Progress, Run } from '../control-store.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const T = 1_795_000_000_000;
const HOUR = 3_600_000;

const live = (group = 0): Omit<Progress, 'id'> => ({
  stream: 'counter',
  group,
  from: T,
  closedTo: T,
  to: null,
  frontier: 0,
});

const leaseOf = async (store: ControlStore, holder: string, now = T, group = 0, ttl = 30_000): Promise<Lease> => {
  const lease = await store.acquireLease(group, holder, now, ttl);
  assert.ok(lease, `${holder} gets the lease`);
  return lease;
};

const run = (more: Partial<Run> = {}): Omit<Run, 'id'> => ({
  stream: 'counter',
  group: 1,
  frontier: 500,
  from: T,
  to: T + HOUR,
  startedAt: T,
  finishedAt: null,
  windows: 0,
  records: 0,
  rewritten: 0,
  odd: 0,
  setAside: 0,
  outcome: 'running',
  error: '',
  ...more,
});

export const jobCases: Cases = {
  'a lease is taken, renewed by its holder under the same token, and refused to another': async ({ store, again }) => {
    const other = await again();
    const first = await leaseOf(store, 'a');
    assert.deepEqual(first, { group: 0, holder: 'a', token: 1, until: T + 30_000 });
    assert.equal(await other.acquireLease(0, 'b', T + 29_999, 30_000), null);
    assert.deepEqual(await leaseOf(store, 'a', T + 10_000), { ...first, until: T + 40_000 });
    assert.deepEqual(await leaseOf(other, 'b', T, 1), { group: 1, holder: 'b', token: 1, until: T + 30_000 });
    assert.equal((await store.leases()).length, 2);
  },

  'an expired lease is taken over under a higher token, and its old holder cannot renew it': async ({
    store,
    again,
  }) => {
    const other = await again();
    const old = await leaseOf(store, 'a');
    const taken = await leaseOf(other, 'b', T + 30_000);
    assert.equal(taken.token, old.token + 1);
    assert.equal(await store.acquireLease(0, 'a', T + 31_000, 30_000), null);
    assert.equal((await leaseOf(store, 'a', T + 60_000)).token, taken.token + 1);
  },

  'a released lease is free at once, and a stale release changes nothing': async ({ store, again }) => {
    const other = await again();
    const old = await leaseOf(store, 'a');
    await store.releaseLease(old);
    assert.deepEqual(await store.leases(), []);
    const taken = await leaseOf(other, 'b');
    assert.equal(taken.token, old.token + 1);
    await store.releaseLease(old);
    assert.deepEqual(await store.leases(), [taken]);
  },

  'of many who want a free lease at once exactly one gets it': async ({ store, again }) => {
    const other = await again();
    for (let round = 0; round < 5; round++) {
      const now = T + round * HOUR;
      const asks = Array.from({ length: 16 }, (_, i) => (i % 2 ? store : other).acquireLease(0, `h${i}`, now, 30_000));
      const won = (await Promise.all(asks)).filter((lease) => lease !== null);
      assert.equal(won.length, 1);
      assert.equal(won[0]?.token, round + 1);
    }
  },

  'a lease granted by a clock that was set back an hour keeps nobody out': async ({ store, again }) => {
    const other = await again();
    const old = await leaseOf(store, 'a', T + HOUR);
    assert.equal((await leaseOf(other, 'b', T)).token, old.token + 1);
    await refused(store.acquireLease(0, 'a', T, HOUR), 'store.number_range');
  },

  'wrong groups, times and names of holders are refused': async ({ store }) => {
    for (const group of [-1, 64, 0.5]) await refused(store.acquireLease(group, 'a', T, 1000), 'store.number_range');
    await refused(store.acquireLease(0, 'a', 0.5, 1000), 'store.number_range');
    await refused(store.acquireLease(0, 'a', T, 0), 'store.number_range');
    for (const text of unstorable) await refused(store.acquireLease(0, text, T, 1000), 'store.text_invalid');
    for (const [i, text] of hostile.entries()) assert.equal((await leaseOf(store, text, T + i * HOUR)).holder, text);
  },

  'progress is created once per span: overlaps are refused': async ({ store }) => {
    const done = await store.createProgress({ ...live(), to: T + HOUR });
    assert.deepEqual(done, { ...live(), to: T + HOUR, id: done.id });
    const next = await store.createProgress({ ...live(), from: T + HOUR, closedTo: T + 2 * HOUR, frontier: 7 });
    for (const row of [
      live(),
      { ...live(), from: T + HOUR - 1, closedTo: T + HOUR, to: T + HOUR },
      { ...live(), from: T + 9 * HOUR, closedTo: T + 9 * HOUR },
      { ...live(), from: T - HOUR, closedTo: T - HOUR },
    ])
      await refused(store.createProgress(row), 'store.progress_overlap');
    const before = await store.createProgress({ ...live(), from: T - HOUR, closedTo: T - HOUR, to: T });
    const other = await store.createProgress(live(1));
    const event = await store.createProgress({ ...live(), stream: 'event' });
    assert.deepEqual(await store.progress(), [done, next, before, other, event]);
  },

  'two servers that create the live span at once make one': async ({ store, again }) => {
    const other = await again();
    const asks = Array.from({ length: 8 }, (_, i) => (i % 2 ? store : other).createProgress(live()));
    const made = (await Promise.allSettled(asks)).filter((result) => result.status === 'fulfilled');
    assert.equal(made.length, 1);
    assert.equal((await store.progress()).length, 1);
  },

  'progress advances under the lease, and only from the row as it stands': async ({ store, again }) => {
    const other = await again();
    const lease = await leaseOf(store, 'a');
    const row = await store.createProgress(live());
    assert.equal(await store.advance(row, T + HOUR, 100, lease, T), true);
    assert.equal(await other.advance(row, T + HOUR, 100, lease, T), false, 'the row has moved on');
    const moved = { ...row, closedTo: T + HOUR, frontier: 100 };
    assert.deepEqual(await other.progress(), [moved]);
    assert.equal(await other.advance(moved, T + HOUR, 200, lease, T), true, 'the same windows at a later frontier');
  },

  'a stale token advances nothing: after a takeover, an expiry, a release, or under another name': async ({
    store,
    again,
  }) => {
    const other = await again();
    const row = await store.createProgress(live());
    const old = await leaseOf(store, 'a');
    const tries = async (lease: Lease, now: number): Promise<boolean[]> => [
      await store.advance(row, T + HOUR, 100, lease, now),
      await store.splitProgress(row, T + HOUR, lease, now),
    ];
    assert.deepEqual(await tries(old, T + 30_000), [false, false], 'expired');
    const taken = await leaseOf(other, 'b', T + 30_000);
    assert.deepEqual(await tries(old, T), [false, false], 'taken over');
    assert.deepEqual(
      await tries({ ...taken, holder: 'a' }, T + 30_000),
      [false, false],
      'the token alone is not enough',
    );
    await other.releaseLease(taken);
    assert.deepEqual(await tries(taken, T + 30_001), [false, false], 'released');
    assert.deepEqual(await store.progress(), [row]);
  },

  'of two holders who pause over takeovers only the one in force moves progress': async ({ store, again }) => {
    const servers = [store, await again()];
    let row = await store.createProgress(live());
    let now = T;
    const stale: Lease[] = [];
    for (let round = 1; round <= 10; round++) {
      now += 30_000;
      const lease = await leaseOf(servers[round % 2] ?? store, `h${round}`, now);
      const next = T + round * HOUR;
      const tries = [...stale, lease].map((l, i) => (servers[i % 2] ?? store).advance(row, next, round, l, now + 1));
      const outcome = await Promise.all(tries);
      assert.deepEqual(outcome, [...stale.map(() => false), true]);
      row = { ...row, closedTo: next, frontier: round };
      assert.deepEqual(await store.progress(), [row]);
      stale.push(lease);
    }
  },

  'an advance and a takeover at the same moment: the advance counts only if it came first': async ({
    store,
    again,
  }) => {
    const other = await again();
    let row = await store.createProgress(live());
    for (let round = 1; round <= 12; round++) {
      const now = T + round * HOUR;
      const lease = await leaseOf(store, `a${round}`, now);
      const next = { ...row, closedTo: row.closedTo + 1000, frontier: round };
      const advance = store.advance(row, next.closedTo, round, lease, now);
      const taken = other.acquireLease(0, `b${round}`, now + 30_000, 30_000);
      if (await advance) row = next;
      assert.equal((await taken)?.token, lease.token + 1);
      assert.equal(await store.advance(row, row.closedTo, round, lease, now), false);
      assert.deepEqual(await other.progress(), [row]);
    }
  },

  'progress never goes back, and a lease of another group is no lease': async ({ store }) => {
    const lease = await leaseOf(store, 'a');
    const row = await store.createProgress({ ...live(), closedTo: T + HOUR, to: T + 2 * HOUR, frontier: 9 });
    await refused(store.advance(row, T, 9, lease, T), 'store.misuse');
    await refused(store.advance(row, T + HOUR, 8, lease, T), 'store.misuse');
    await refused(store.advance(row, T + 3 * HOUR, 9, lease, T), 'store.misuse');
    const other = await leaseOf(store, 'a', T, 1);
    await refused(store.advance(row, T + 2 * HOUR, 9, other, T), 'store.misuse');
    assert.deepEqual(await store.progress(), [row]);
  },

  'a live span is split in two, and equal neighbours are merged again': async ({ store }) => {
    const lease = await leaseOf(store, 'a');
    const row = await store.createProgress({ ...live(), closedTo: T + HOUR, frontier: 5 });
    assert.equal(await store.splitProgress(row, T + 3 * HOUR, lease, T), true);
    assert.equal(await store.splitProgress(row, T + 3 * HOUR, lease, T), false, 'the row has changed');
    const [old, fresh] = await store.progress();
    assert.ok(old && fresh);
    assert.deepEqual(old, { ...row, to: T + 3 * HOUR });
    assert.deepEqual(fresh, { ...row, id: fresh.id, from: T + 3 * HOUR, closedTo: T + 3 * HOUR });
    await refused(store.mergeProgress(old, fresh, lease, T), 'store.misuse');
    assert.equal(await store.advance(old, T + 3 * HOUR, 8, lease, T), true);
    assert.equal(await store.advance(fresh, T + 4 * HOUR, 8, lease, T), true);
    const [a, b] = await store.progress();
    assert.ok(a && b);
    assert.equal(await store.mergeProgress(a, b, { ...lease, token: 99 }, T), false);
    assert.equal(await store.mergeProgress(a, b, lease, T), true);
    assert.equal(await store.mergeProgress(a, b, lease, T), false);
    assert.deepEqual(await store.progress(), [{ ...row, closedTo: T + 4 * HOUR, frontier: 8 }]);
  },

  'a span is split only inside itself and not below what is closed': async ({ store }) => {
    const lease = await leaseOf(store, 'a');
    const row = await store.createProgress({ ...live(), closedTo: T + HOUR, to: T + 5 * HOUR });
    for (const at of [T, T + HOUR - 1, T + 5 * HOUR, T + 6 * HOUR])
      await refused(store.splitProgress(row, at, lease, T), 'store.misuse');
    assert.equal(await store.splitProgress(row, T + HOUR, lease, T), true);
  },

  'runs are started, finished, listed newest first, and found by their frontier': async ({ store, again }) => {
    const first = await store.startRun(run());
    const second = await store.startRun(run({ from: T + HOUR, to: T + 2 * HOUR, stream: 'event' }));
    const third = await store.startRun(run({ frontier: 600 }));
    const done: Run = { ...run(), id: first, finishedAt: T + 5, windows: 4, records: 9, odd: 1, outcome: 'done' };
    await store.finishRun(done);
    await refused(store.finishRun({ ...done, id: 12_345 }), 'store.not_found');
    await store.close();
    const restarted = await again();
    assert.deepEqual(await restarted.run(first), done);
    assert.equal(await restarted.run(12_345), null);
    assert.deepEqual(
      (await restarted.runs(2)).map((r) => r.id),
      [third, second],
    );
    const at = async (frontier: number, window: number): Promise<number | undefined> =>
      (await restarted.runAt(frontier, window))?.id;
    assert.equal(await at(500, T), first);
    assert.equal(await at(500, T + HOUR), second);
    assert.equal(await at(500, T - HOUR), second, 'a rewritten window lies outside the span: the newest run');
    assert.equal(await at(501, T), undefined);
  },

  'hostile texts in the error of a run come back as they went in': async ({ store }) => {
    for (const error of hostile) {
      const id = await store.startRun(run({ error, outcome: 'failed' }));
      assert.equal((await store.run(id))?.error, error);
    }
    for (const error of unstorable) await refused(store.startRun(run({ error })), 'store.text_invalid');
  },
};
