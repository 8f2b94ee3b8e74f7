/** Notices of limits. */
import assert from 'node:assert/strict';
import type { Notice } from '../control-store.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const T = 1_795_000_000_000;

const notice = (more: Partial<Notice> = {}): Omit<Notice, 'id'> => ({
  ...{ tenant: 'acme', limit: 'transfer', version: 12, account: 'acme', subject: 'acme' },
  ...{ from: T, to: T + 1000, percent: 80, used: 81, amount: 100, at: T + 5 },
  ...more,
});

export const noticeCases: Cases = {
  'a notice is told once, over repetitions in one call, in another, and after a restart': async ({ store, again }) => {
    const [first] = await store.addNotices([notice(), notice({ used: 99 })]);
    assert.equal(first?.used, 81);
    assert.deepEqual(await store.addNotices([notice({ at: T + 9 })]), []);
    const other = await again();
    assert.deepEqual(await other.addNotices([notice(), notice({ percent: 100 })]).then((all) => all.length), 1);
    assert.deepEqual(
      (await other.notices({ limit: 9 })).map((n) => n.percent),
      [100, 80],
    );
    assert.deepEqual((await other.notices({ limit: 9 })).at(-1), first);
  },

  'another version, period, subject, account or limit is another notice': async ({ store }) => {
    const others = [{ version: 13 }, { from: T + 1000 }, { subject: 'x' }, { account: 'y' }, { limit: 'z' }];
    const added = await store.addNotices([notice(), ...others.map((change) => notice(change))]);
    assert.equal(added.length, 6);
  },

  'notices are read newest first, page by page, of some tenants only': async ({ store }) => {
    const added = await store.addNotices([1, 2, 3, 4].map((percent) => notice({ percent, tenant: `t${percent % 2}` })));
    const ids = added.map((n) => n.id);
    assert.deepEqual(
      (await store.notices({ limit: 2 })).map((n) => n.id),
      [ids[3], ids[2]],
    );
    assert.deepEqual(
      (await store.notices({ limit: 9, before: ids[2] ?? 0 })).map((n) => n.id),
      [ids[1], ids[0]],
    );
    assert.deepEqual(
      (await store.notices({ limit: 9, tenants: ['t1'] })).map((n) => n.percent),
      [3, 1],
    );
    assert.deepEqual(await store.notices({ limit: 9, tenants: [] }), []);
  },

  'notices keep any text that can be stored, and refuse what cannot': async ({ store }) => {
    const added = await store.addNotices(hostile.map((subject) => notice({ subject })));
    assert.deepEqual(
      added.map((n) => n.subject),
      hostile,
    );
    for (const subject of unstorable) await refused(store.addNotices([notice({ subject })]), 'store.text_invalid');
    await refused(store.addNotices([notice({ used: 0.5 })]), 'store.number_range');
    assert.equal((await store.notices({ limit: 99 })).length, hostile.length);
  },
};
