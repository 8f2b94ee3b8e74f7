/** Invoice runs: one at a time by what they cover, held under a token, going on where they were cut off. */
import assert from 'node:assert/strict';
import { invoice, T, told } from './billing-cases.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const asked = { frontier: 7, until: T, startedAt: T + 1 };
const nothing = { accounts: 0, invoices: 0, drafts: 0, blocked: 0, failed: 0 };

export const billingRunCases: Cases = {
  'a run is begun once, goes on after what was done, and adds up': async ({ store, again }) => {
    const other = (await again()).billing;
    const [a, b] = await Promise.all([
      store.billing.startBillingRun(asked),
      other.startBillingRun({ ...asked, startedAt: T + 2 }),
    ]);
    assert.equal(a.id, b.id);
    const held = await store.billing.holdBillingRun(a.id, 'one', T, 1000);
    assert.equal(held?.token, 1);
    const fence = { run: a.id, token: 1, now: T + 5 };
    const failures = hostile
      .filter((text) => text.length < 1000)
      .map((text) => ({ account: `x${text}`, code: 'x', reason: text }));
    await store.billing.advanceBillingRun(fence, {
      cursor: 'k',
      counts: { ...nothing, accounts: 5, failed: 2 },
      failures,
    });
    const again2 = [{ account: 'x', code: 'y', reason: 'later' }];
    const step = {
      cursor: 'm',
      counts: { accounts: 5, invoices: 4, drafts: 3, blocked: 2, failed: 1 },
      failures: again2,
    };
    await store.billing.advanceBillingRun(fence, step);
    const run = await other.billingRun(a.id);
    assert.deepEqual(run, {
      ...a,
      cursor: 'm',
      accounts: 10,
      invoices: 4,
      drafts: 3,
      blocked: 2,
      failed: 3,
      holder: 'one',
      token: 1,
      heldUntil: T + 1000,
    });
    const told = await other.runFailures(a.id, '', 99);
    assert.equal(told.length, failures.length);
    assert.deepEqual(told[0], { run: a.id, account: 'x', code: 'y', reason: 'later' });
    assert.deepEqual(await other.runFailures(a.id, told[0]?.account ?? '', 1), [told[1]]);
    const done = await store.billing.finishBillingRun({ ...fence, now: T + 9 }, 'done', '');
    assert.deepEqual([done.outcome, done.finishedAt], ['done', T + 9]);
    const next = await store.billing.startBillingRun(asked);
    assert.notEqual(next.id, a.id);
    assert.deepEqual(
      (await store.billing.billingRuns({ limit: 9 })).map((r) => r.id),
      [next.id, a.id],
    );
    assert.deepEqual(
      (await store.billing.billingRuns({ before: next.id, limit: 9 })).map((r) => r.id),
      [a.id],
    );
    assert.equal(await store.billing.billingRun(next.id + 1), null);
  },

  'a run is held by one: another takes it over when the hold has ended, and the first is lost': async ({ store }) => {
    const { id } = await store.billing.startBillingRun(asked);
    const hold = async (who: string, now: number): Promise<number | undefined> =>
      (await store.billing.holdBillingRun(id, who, now, 1000))?.token;
    assert.equal(await hold('one', T), 1);
    assert.equal(await hold('two', T + 999), undefined);
    assert.equal(await hold('one', T + 999), 1);
    assert.equal(await hold('two', T + 1999), 2);
    assert.equal(await hold('one', T + 2000), undefined);
    const fence = { run: id, token: 1, now: T + 2000 };
    await refused(store.billing.advanceBillingRun(fence, { cursor: '', counts: nothing, failures: [] }), 'run.lost');
    await refused(store.billing.finishBillingRun(fence, 'done', ''), 'run.lost');
    await refused(store.billing.finalise([invoice(0)], fence), 'run.lost');
    await refused(store.billing.finalise([invoice(0)], { run: id, token: 2, now: T + 2999 }), 'run.lost');
    assert.deepEqual(told(await store.billing.finalise([invoice(0)], { run: id, token: 2, now: T + 2998 })), [
      'final INV-000001',
    ]);
    await store.billing.finishBillingRun({ run: id, token: 2, now: T + 2998 }, 'failed', 'no more');
    assert.equal(await hold('two', T + 2998), undefined);
    assert.equal(await hold('three', T + 9000), undefined);
    // A clock that was set back: who held it far ahead holds it no more.
    const later = await store.billing.startBillingRun(asked);
    await store.billing.holdBillingRun(later.id, 'one', T + 86_400_000, 1000);
    assert.equal((await store.billing.holdBillingRun(later.id, 'two', T, 1000))?.token, 2);
  },

  'runs refuse what cannot be stored': async ({ store }) => {
    const { id } = await store.billing.startBillingRun(asked);
    await store.billing.holdBillingRun(id, 'one', T, 1000);
    const fence = { run: id, token: 1, now: T };
    for (const text of unstorable) {
      await refused(store.billing.holdBillingRun(id, text, T, 1000), 'store.text_invalid');
      await refused(store.billing.finishBillingRun(fence, 'failed', text), 'store.text_invalid');
      const failures = [{ account: 'a', code: 'x', reason: text }];
      await refused(
        store.billing.advanceBillingRun(fence, { cursor: 'a', counts: nothing, failures }),
        'store.text_invalid',
      );
    }
    await refused(store.billing.startBillingRun({ ...asked, until: 0.5 }), 'store.number_range');
    assert.equal((await store.billing.billingRun(id))?.cursor, '');
  },
};
