/** Grants of strict quotas: together never more than the amount, whoever asks, in whatever order. */
import assert from 'node:assert/strict';
import type { ControlStore, GrantAsk } from '../control-store.ts';
import type { Cases } from './control-cases.ts';

/** What grants are kept in, whatever else it keeps. */
type GrantStore = Pick<ControlStore, 'takeGrants' | 'returnGrants' | 'forgetGrants'>;
export interface GrantFixture {
  store: GrantStore;
  again(): Promise<GrantStore>;
}

const FROM = 1_795_000_000_000;
const TO = FROM + 86_400_000;
const ask = (more: Partial<GrantAsk> = {}): GrantAsk => ({
  tenant: 'acme',
  counter: 'acme/calls',
  from: FROM,
  to: TO,
  want: 10,
  amount: 25,
  ...more,
});

async function check(store: GrantStore, asked: GrantAsk, granted: number, taken: number): Promise<void> {
  assert.deepEqual(await store.takeGrants([asked]), [{ granted, taken }]);
}

/** Of any store of grants. */
export const sharedGrantCases: Readonly<Record<string, (fixture: GrantFixture) => Promise<void>>> = {
  'grants end at the amount, to the last unit': async ({ store }) => {
    await check(store, ask(), 10, 10);
    await check(store, ask(), 10, 20);
    await check(store, ask(), 5, 25);
    await check(store, ask(), 0, 25);
  },

  'another handle sees what was granted: it outlives who took it': async ({ store, again }) => {
    await check(store, ask(), 10, 10);
    await check(await again(), ask({ want: 20 }), 15, 25);
  },

  'a raised amount grants more at once, a lowered one takes nothing back and grants no more': async ({ store }) => {
    await check(store, ask({ want: 25 }), 25, 25);
    await check(store, ask({ amount: 40 }), 10, 35);
    await check(store, ask({ amount: 25 }), 0, 35);
  },

  'what is returned is granted again, and nothing below nothing is returned': async ({ store }) => {
    await check(store, ask({ want: 25 }), 25, 25);
    await store.returnGrants([{ counter: 'acme/calls', from: FROM, units: 7 }]);
    await check(store, ask(), 7, 25);
    await store.returnGrants([{ counter: 'acme/calls', from: FROM, units: 99 }]);
    await check(store, ask(), 10, 10);
  },

  'counters and periods are apart, and come back in the order asked': async ({ store }) => {
    const asks = [ask({ counter: 'b', want: 2 }), ask({ from: TO, to: TO + 1, want: 3 }), ask({ want: 4 })];
    assert.deepEqual(
      (await store.takeGrants(asks)).map((g) => g.granted),
      [2, 3, 4],
    );
    await check(store, ask({ from: TO, to: TO + 1, want: 0 }), 0, 3);
    await check(store, ask({ counter: 'b', want: 0 }), 0, 2);
    assert.deepEqual(await store.takeGrants([]), []);
  },

  'amounts up to 2^53 - 1 are exact': async ({ store }) => {
    const all = Number.MAX_SAFE_INTEGER;
    const ten15 = 1_000_000_000_000_000;
    await check(store, ask({ counter: 'big', want: ten15, amount: all }), ten15, ten15);
    await check(store, ask({ counter: 'big', want: all, amount: all }), all - ten15, all);
    await store.returnGrants([{ counter: 'big', from: FROM, units: 1 }]);
    await check(store, ask({ counter: 'big', want: all, amount: all }), 1, all);
  },

  'two handles that ask at once are never granted more than there is': async ({ store, again }) => {
    const other = await again();
    const both = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? store : other).takeGrants([ask({ counter: 'x', want: 3 }), ask({ counter: 'a', want: 3 })]),
      ),
    );
    for (const at of [0, 1])
      assert.equal(
        both.reduce((sum, g) => sum + (g[at]?.granted ?? 0), 0),
        25,
      );
  },
};

export const grantCases: Cases = {
  ...sharedGrantCases,

  'periods that are over are forgotten': async ({ store }) => {
    await store.takeGrants([ask({ counter: 'b' }), ask({ from: TO, to: TO + 1, want: 3 }), ask()]);
    assert.equal(await store.forgetGrants(TO + 1), 2);
    await check(store, ask({ from: TO, to: TO + 1, want: 0 }), 0, 3);
    await check(store, ask({ want: 0 }), 0, 0);
  },
};
