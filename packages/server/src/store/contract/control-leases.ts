/** Units leased to servers: together never more than the amount within one window, or held at once. */
import assert from 'node:assert/strict';
import type { ControlStore } from '../control-store.ts';
import type { UnitLeaseAsk } from '../unit-leases.ts';
import type { Cases } from './control-cases.ts';

export type LeaseStore = Pick<ControlStore, 'leaseUnits'>;
export interface LeaseFixture {
  store: LeaseStore;
  again(): Promise<LeaseStore>;
}

/** Long enough not to end while a case runs, whatever the clock. */
const WINDOW = 366 * 86_400_000;
const ask = (more: Partial<UnitLeaseAsk> = {}): UnitLeaseAsk => ({
  tenant: 'acme',
  counter: 'calls',
  holder: 'a',
  change: 10,
  owed: 0,
  amount: 25,
  windowMs: WINDOW,
  ttlMs: 0,
  has: 0,
  hasUntil: 0,
  ...more,
});

async function check(store: LeaseStore, asked: UnitLeaseAsk, own: number, total: number): Promise<void> {
  const [lease] = await store.leaseUnits([asked]);
  assert.deepEqual([lease?.own, lease?.total], [own, total]);
  assert.ok((lease?.until ?? 0) > (lease?.at ?? 0), 'it ends later than it begins');
}

export const sharedLeaseCases: Readonly<Record<string, (fixture: LeaseFixture) => Promise<void>>> = {
  'what several holders lease of a window ends at the amount, to the last unit': async ({ store, again }) => {
    await check(store, ask(), 10, 10);
    await check(await again(), ask({ holder: 'b' }), 10, 20);
    await check(store, ask(), 15, 25);
    await check(store, ask({ holder: 'b' }), 10, 25);
  },

  'what is given back is leased again, and nothing below nothing is given back': async ({ store }) => {
    await check(store, ask({ change: 25 }), 25, 25);
    await check(store, ask({ change: -7 }), 18, 18);
    await check(store, ask({ holder: 'b' }), 7, 25);
    await check(store, ask({ change: -99 }), 0, 7);
  },

  'what was admitted while nobody answered is leased whatever the amount': async ({ store }) => {
    await check(store, ask({ change: 25 }), 25, 25);
    await check(store, ask({ holder: 'b', owed: 4 }), 4, 29);
  },

  'slots are leased until they are given back': async ({ store }) => {
    const slots = { windowMs: 0, ttlMs: 60_000, amount: 3 };
    await check(store, ask({ ...slots, change: 2 }), 2, 2);
    await check(store, ask({ ...slots, holder: 'b', change: 2 }), 1, 3);
    await check(store, ask({ ...slots, change: -1 }), 1, 2);
    await check(store, ask({ ...slots, holder: 'b', change: 2 }), 2, 3);
  },

  'slots that nobody asks for again are free when their time is over': async ({ store }) => {
    const slots = { windowMs: 0, amount: 3, counter: 'short' };
    await check(store, ask({ ...slots, ttlMs: 1, change: 3 }), 3, 3);
    for (let n = 0; n < 200; n++) {
      const [lease] = await store.leaseUnits([ask({ ...slots, ttlMs: 60_000, holder: 'b', change: 3 })]);
      if (lease?.own === 3) return;
    }
    assert.fail('never free');
  },

  'amounts up to 2^53 - 1 are exact, and many counters come back in the order asked': async ({ store }) => {
    const all = Number.MAX_SAFE_INTEGER;
    const ten15 = 1_000_000_000_000_000;
    const big = { counter: 'big', amount: all };
    await check(store, ask({ ...big, change: ten15 }), ten15, ten15);
    const leases = await store.leaseUnits([ask({ change: 2 }), ask({ ...big, change: all }), ask({ counter: 'c' })]);
    assert.deepEqual(
      leases.map(({ own }) => own),
      [2, all, 10],
    );
  },

  'handles that ask at once are never leased more than there is': async ({ store, again }) => {
    const other = await again();
    const both = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? store : other).leaseUnits([
          ask({ counter: 'x', holder: String(i), change: 3 }),
          ask({ counter: 'a', holder: String(i), change: 3 }),
        ]),
      ),
    );
    for (const at of [0, 1])
      assert.equal(
        both.reduce((sum, leases) => sum + (leases[at]?.own ?? 0), 0),
        25,
      );
  },
};

export const leaseCases: Cases = sharedLeaseCases;
