/** Receipt numbers, facts, set-aside items, meta. */
import assert from 'node:assert/strict';
import type { AccountFact, ControlFact } from '../../domain/control-fact.ts';
import type { SetAside } from '../control-store.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const T = 1_795_000_000_000;

export const account = (id: string, more: Partial<AccountFact> = {}): AccountFact => ({
  kind: 'account',
  id,
  parent: null,
  name: id,
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
  ...more,
});

export const fact = (receipt: number, more: Partial<ControlFact> = {}): ControlFact => ({
  receipt,
  tenant: '',
  author: 'system',
  reason: '',
  recordedAt: T,
  body: account(`a${receipt}`),
  ...more,
});

const item = (identity: string, more: Partial<SetAside> = {}): Omit<SetAside, 'id'> => ({
  identity,
  tenant: '',
  kind: 'reading',
  code: 'reading.conflict',
  reason: 'another value at the same time',
  series: 7,
  receipt: 9,
  at: T,
  content: '{"value":"18446744073709551615"}',
  state: 'open',
  recordedAt: T,
  ...more,
});

const receiptsOf = (facts: readonly ControlFact[]): number[] => facts.map((f) => f.receipt);

export const factCases: Cases = {
  'receipt numbers begin at 1 and are consecutive in a block': async ({ store }) => {
    assert.equal(await store.leaseReceipts(10), 1);
    assert.equal(await store.leaseReceipts(1), 11);
  },

  'receipt numbers are never given twice, over restarts and between two servers at once': async ({ store, again }) => {
    const other = await again();
    const sizes = Array.from({ length: 40 }, (_, i) => (i % 7) + 1);
    const firsts = await Promise.all(sizes.map((n, i) => (i % 2 === 0 ? store : other).leaseReceipts(n)));
    await store.close();
    const restarted = await again();
    const all = [...sizes.map((n, i) => [firsts[i] ?? 0, n] as const), [await restarted.leaseReceipts(5), 5] as const];
    const numbers = all.flatMap(([first, n]) => Array.from({ length: n }, (_, i) => first + i));
    assert.equal(new Set(numbers).size, numbers.length);
  },

  'receipt numbers end at 2^53 - 1 with an error, and a wrong count is refused': async ({ store }) => {
    await refused(store.leaseReceipts(0), 'store.number_range');
    await refused(store.leaseReceipts(1.5), 'store.number_range');
    assert.equal(await store.leaseReceipts(Number.MAX_SAFE_INTEGER - 1), 1);
    assert.equal(await store.leaseReceipts(1), Number.MAX_SAFE_INTEGER);
    await refused(store.leaseReceipts(1), 'store.receipts_exhausted');
  },

  'facts come back as they were appended, in receipt order, also after a restart': async ({ store, again }) => {
    const facts = [fact(9, { tenant: 'acme' }), fact(3), fact(5, { body: { kind: 'tick', at: T } })];
    await store.appendFacts(facts);
    await store.appendFacts([]);
    await store.close();
    const [nine, three, five] = facts;
    assert.deepEqual(await (await again()).facts(0, 100), [three, five, nine]);
  },

  'facts are filtered by receipt, kind, tenant, and cut at the limit': async ({ store }) => {
    const tick = { kind: 'tick', at: T } as const;
    await store.appendFacts([
      fact(1),
      fact(2, { tenant: 'a' }),
      fact(3, { body: tick }),
      fact(4, { tenant: 'a', body: tick }),
    ]);
    const check = async (expected: number[], ...args: Parameters<typeof store.facts>): Promise<void> =>
      assert.deepEqual(receiptsOf(await store.facts(...args)), expected);
    await check([2, 3, 4], 1, 100);
    await check([1, 2], 0, 2);
    await check([], 4, 100);
    await check([], 0, 0);
    await check([1, 2, 3], 0, 100, { upTo: 3 });
    await check([3, 4], 0, 100, { kinds: ['tick'] });
    await check([1, 2, 3, 4], 0, 100, { kinds: ['tick', 'account'] });
    await check([], 0, 100, { kinds: [] });
    await check([2, 4], 0, 100, { tenant: 'a' });
    await check([1, 3], 0, 100, { tenant: '' });
    await check([4, 3, 2, 1], 0, 100, { newest: true });
    await check([3, 2], 1, 2, { newest: true, upTo: 3 });
    await store.appendFacts([fact(5, { recordedAt: T + 7 })]);
    await check([5], 0, 100, { since: T + 7 });
    await check([5], 0, 100, { since: T + 1, newest: true });
    await check([], 0, 100, { since: T + 8 });
    await check([4], 2, 1, { tenant: 'a', kinds: ['tick'], upTo: 4 });
  },

  'the same fact may be appended again, another one under its receipt may not, and then none of the call is': async ({
    store,
  }) => {
    await store.appendFacts([fact(1), fact(2)]);
    await store.appendFacts([fact(2), fact(3)]);
    await refused(store.appendFacts([fact(4), fact(2, { reason: 'other' })]), 'store.receipt_taken');
    await refused(store.appendFacts([fact(5), fact(5, { author: 'other' })]), 'store.receipt_taken');
    assert.deepEqual(receiptsOf(await store.facts(0, 100)), [1, 2, 3]);
  },

  'a large append is one: it comes back whole': async ({ store }) => {
    const many = Array.from({ length: 10_010 }, (_, i) => fact(i + 1));
    await store.appendFacts(many);
    assert.deepEqual(await store.facts(0, 20_000), many);
  },

  'hostile texts in every field of a fact come back as they went in': async ({ store }) => {
    const facts = hostile.map((text, i) => {
      // A name of a tenant is bounded, because it is indexed.
      const tenant = text.slice(0, 1000);
      const body = account(text, { parent: text, name: text, zone: text, currency: text });
      return fact(i + 1, { tenant, author: text, reason: text, body });
    });
    await store.appendFacts(facts);
    assert.deepEqual(await store.facts(0, 100), facts);
    for (const one of facts)
      assert.ok((await store.facts(0, 100, { tenant: one.tenant })).some((f) => f.receipt === one.receipt));
  },

  'names of dimensions and filters in a meter keep their order and their hostile texts': async ({ store }) => {
    const groupBy = Object.fromEntries(hostile.map((text, i) => [`${text}${i}`, text]));
    const meter = { key: 'm', version: 1, groupBy, filters: [{ path: '$.a', in: hostile }] } as never;
    await store.appendFacts([fact(1, { body: { kind: 'meter', meter } })]);
    const [back] = await store.facts(0, 1);
    assert.equal(JSON.stringify(back?.body), JSON.stringify({ kind: 'meter', meter }));
  },

  'NUL and half characters are refused with a clear error in every field, and nothing of the call is kept': async ({
    store,
  }) => {
    for (const text of unstorable) {
      const bodies = [account(text), account('a', { parent: text }), account('a', { zone: text })];
      const wrong = [
        fact(2, { tenant: text }),
        fact(2, { author: text }),
        fact(2, { reason: text }),
        ...bodies.map((body) => fact(2, { body })),
        fact(2, { body: { kind: 'meter', meter: { groupBy: { [text]: 'x' } } as never } }),
      ];
      for (const one of wrong) await refused(store.appendFacts([fact(1), one]), 'store.text_invalid');
      await refused(store.facts(0, 1, { tenant: text }), 'store.text_invalid');
      for (const field of ['identity', 'tenant', 'code', 'reason', 'content'] as const)
        await refused(store.addSetAside([item('fine'), item('x', { [field]: text })]), 'store.text_invalid');
      await refused(store.setMeta(text, 'x'), 'store.text_invalid');
      await refused(store.setMeta('x', text), 'store.text_invalid');
      await refused(store.meta(text), 'store.text_invalid');
    }
    assert.deepEqual(await store.facts(0, 100), []);
    assert.deepEqual(await store.setAside({ limit: 100 }), []);
  },

  'numbers that no integer column holds exactly are refused': async ({ store }) => {
    for (const receipt of [0, -1, 1.5, Number.NaN, 2 ** 53])
      await refused(store.appendFacts([fact(receipt)]), 'store.number_range');
    await refused(store.appendFacts([fact(1, { recordedAt: 0.5 })]), 'store.number_range');
    await store.appendFacts([fact(Number.MAX_SAFE_INTEGER, { recordedAt: -1 })]);
    assert.equal((await store.facts(Number.MAX_SAFE_INTEGER - 1, 1))[0]?.recordedAt, -1);
  },

  'a tenant too long for an index is refused, long texts elsewhere are not': async ({ store }) => {
    await refused(store.appendFacts([fact(1, { tenant: 'ü'.repeat(600) })]), 'store.text_too_long');
    const long = 'ü"\\\n'.repeat(60_000);
    await store.appendFacts([fact(1, { reason: long })]);
    assert.equal((await store.facts(0, 1))[0]?.reason, long);
    await store.addSetAside([item(long, { content: long })]);
    assert.equal((await store.setAside({ limit: 1 }))[0]?.identity, long);
  },

  'what is set aside is found once by its identity, listed in pages, and resolved': async ({ store }) => {
    await store.addSetAside([item('a', { tenant: 't' }), item('b'), item('a', { reason: 'again' })]);
    await store.addSetAside([item('a', { reason: 'again' }), item('c', { series: null, receipt: null })]);
    const all = await store.setAside({ limit: 100 });
    assert.deepEqual(
      all.map((one) => [one.identity, one.reason === 'again']),
      [
        ['a', false],
        ['b', false],
        ['c', false],
      ],
    );
    const [a, b, c] = all;
    assert.ok(a && b && c);
    assert.deepEqual(c, { ...item('c', { series: null, receipt: null }), id: c.id });
    assert.deepEqual(await store.setAside({ after: a.id, limit: 1 }), [b]);
    assert.deepEqual(await store.setAside({ tenant: 't', limit: 9 }), [a]);
    await store.resolveSetAside(b.id, 'released');
    assert.deepEqual(await store.setAside({ state: 'open', limit: 9 }), [a, c]);
    assert.equal((await store.setAsideById(b.id))?.state, 'released');
    await store.addSetAside([item('b')]);
    assert.equal((await store.setAsideById(b.id))?.state, 'released');
    assert.equal(await store.setAsideById(999_999), null);
    await refused(store.resolveSetAside(999_999, 'dropped'), 'store.not_found');
  },

  'hostile texts in what is set aside come back as they went in': async ({ store }) => {
    const items = hostile.map((text, i) =>
      item(`${text}${i}`, { tenant: text.slice(0, 1000), code: text, reason: text, content: text }),
    );
    await store.addSetAside(items);
    const back = await store.setAside({ limit: 100 });
    assert.deepEqual(
      back.map(({ id: _, ...rest }) => rest),
      items,
    );
  },

  'meta is kept over restarts, and the number of groups cannot be changed': async ({ store, again }) => {
    assert.equal(await store.meta('zone'), null);
    await store.setMeta('zone', 'Europe/Berlin');
    await store.setMeta('zone', 'UTC');
    for (const text of hostile) await store.setMeta(`k${text.slice(0, 900)}`, text);
    await refused(store.setMeta('groups', '9'), 'store.misuse');
    await store.close();
    const restarted = await again();
    assert.equal(await restarted.meta('zone'), 'UTC');
    assert.equal(await restarted.meta('groups'), '4');
    for (const text of hostile) assert.equal(await restarted.meta(`k${text.slice(0, 900)}`), text);
  },

  'health says whether it can be written, and a closed store refuses': async ({ store }) => {
    assert.equal((await store.health()).writable, true);
    await store.close();
    await store.close();
    await refused(store.meta('zone'), 'store.unavailable');
    assert.equal((await store.health()).writable, false);
  },
};
