/** The ledger and one account's books: everything sums to nothing, nothing is drawn on for more than it holds. */
import assert from 'node:assert/strict';
import { AMOUNT_LIMIT } from '../billing-store.ts';
import {
  DAY,
  give,
  grant,
  granting,
  invoice,
  made,
  paying,
  payment,
  posting,
  T,
  transaction,
  using,
} from './billing-cases.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const sale = (key: string, amount: bigint) =>
  transaction(key, [posting('cash', amount), posting('revenue/x', -amount)]);

const postingCases: Cases = {
  'a transaction that does not sum to 0 is refused, and nothing with it is posted': async ({ store }) => {
    const wrong = transaction('wrong', [posting('cash', 5n), posting('revenue/x', -4n)]);
    await refused(store.billing.post([sale('a', 3n), wrong]), 'store.misuse');
    await refused(store.billing.finalise([{ ...invoice(0), transactions: [wrong] }]), 'store.misuse');
    await refused(
      store.billing.change('acme', {}, () => ({ transactions: [wrong] })),
      'store.misuse',
    );
    assert.deepEqual(await store.billing.transactions({ limit: 9 }), []);
    assert.deepEqual(await store.billing.invoices({ limit: 9 }), []);
  },

  'posting twice is posting once; another content under a key is a conflict': async ({ store, again }) => {
    assert.equal(await store.billing.post([sale('a', 3n), sale('a', 3n)]), 1);
    const other = (await again()).billing;
    assert.equal(await other.post([sale('a', 3n), sale('b', 1n)]), 1);
    for (const wrong of [sale('a', 4n), { ...sale('a', 3n), at: T + 1 }, { ...sale('a', 3n), text: 'other' }])
      await refused(other.post([sale('c', 1n), wrong]), 'ledger.conflict');
    await refused(other.post([sale('d', 1n), sale('d', 2n)]), 'ledger.conflict');
    assert.deepEqual(await other.balances(['cash']), [{ book: 'cash', currency: 'EUR', amount: 4n }]);
  },

  'posting the same from two servers at once posts it once': async ({ store, again }) => {
    const stores = [store.billing, (await again()).billing];
    const counts = await Promise.all(
      Array.from({ length: 10 }, (_, i) => stores[i % 2]?.post([sale('b', 2n), sale('a', 1n)]) ?? 0),
    );
    assert.equal(
      counts.reduce((a, b) => a + b, 0),
      2,
    );
  },

  'books are balanced by currency, exact beyond any amount of one posting, by name or by what they begin with': async ({
    store,
  }) => {
    const top = AMOUNT_LIMIT;
    await store.billing.post([1, 2, 3].map((i) => sale(`a${i}`, top)));
    await store.billing.post([
      { ...sale('b', 5n), currency: 'JPY' },
      transaction('c', [posting('tax/DE', -1n), posting('tax/FR', 1n)]),
    ]);
    assert.deepEqual(await store.billing.balances(['cash', 'revenue/x', 'nothing']), [
      { book: 'cash', currency: 'EUR', amount: 3n * top },
      { book: 'cash', currency: 'JPY', amount: 5n },
      { book: 'revenue/x', currency: 'EUR', amount: -3n * top },
      { book: 'revenue/x', currency: 'JPY', amount: -5n },
    ]);
    assert.deepEqual(
      (await store.billing.balances(['tax/'])).map((b) => [b.book, b.amount]),
      [
        ['tax/DE', -1n],
        ['tax/FR', 1n],
      ],
    );
    assert.deepEqual(await store.billing.balances(['tax']), []);
    assert.deepEqual(await store.billing.balances([]), []);
    await refused(store.billing.post([sale('d', top + 1n)]), 'store.number_range');
  },

  'transactions are found newest first, by account, book, kind, invoice, credit and time': async ({ store }) => {
    const { id } = made(await store.billing.finalise([invoice(0)]));
    await give(store.billing, grant('g'));
    await store.billing.post([paying(id, 19n, 'p')]);
    const check = async (filter: object, ...keys: string[]): Promise<void> =>
      assert.deepEqual(
        (await store.billing.transactions({ limit: 9, ...filter })).map((t) => t.key),
        keys,
        JSON.stringify(filter),
      );
    await check({}, 'p', 'grant/g', 'invoice/acme/0/1');
    await check({ tenants: ['acme'], limit: 1 }, 'p');
    await check({ tenants: ['b'] });
    await check({ book: 'receivable/acme' }, 'p', 'invoice/acme/0/1');
    await check({ book: 'c' });
    await check({ book: 'credit/' }, 'grant/g');
    await check({ kind: 'payment' }, 'p');
    await check({ invoice: id }, 'p', 'invoice/acme/0/1');
    await check({ grant: 'g' }, 'grant/g');
    await check({ from: T + DAY, to: T + 3 * DAY }, 'invoice/acme/0/1');
    const [first] = await store.billing.transactions({ limit: 1 });
    await check({ before: first?.id }, 'grant/g', 'invoice/acme/0/1');
    assert.deepEqual(first, { ...paying(id, 19n, 'p'), id: first?.id });
  },

  'postings stay on the books of their account, and name what they settle': async ({ store }) => {
    const check = (...postings: Parameters<typeof transaction>[1]): Promise<void> =>
      refused(store.billing.post([transaction('x', postings)]), 'store.misuse');
    await check(posting('receivable/b', 1n), posting('cash', -1n));
    await check(posting('credit/b', 1n, { grant: 'g' }), posting('cash', -1n));
    await check(posting('credit/acme', 1n), posting('cash', -1n));
    await check(posting('cash', 1n, { grant: 'g' }), posting('x', -1n));
    await check(posting('cash', 1n, { invoice: 1 }), posting('x', -1n));
    await check(posting('receivable/acme', 1n, { invoice: 'new' }), posting('x', -1n));
    await check(posting('a', 0n), posting('b', 0n));
    await check();
    await refused(store.billing.post([{ ...sale('x', 1n), currency: 'eur' }]), 'store.misuse');
  },

  'transactions keep any text that can be stored, and refuse what cannot': async ({ store }) => {
    const short = hostile.filter((text) => text.length < 1000);
    const all = short.map((text, i) =>
      transaction(`${text}${i}`, [posting(`a${text}`, 1n), posting(`b${text}`, -1n)], { tenant: text, text }),
    );
    assert.equal(await store.billing.post(all), short.length);
    const found = await store.billing.transactions({ limit: 99 });
    assert.deepEqual(found.map(({ id: _, ...t }) => t).reverse(), all);
    for (const text of unstorable)
      for (const field of ['key', 'tenant', 'text'] as const)
        await refused(store.billing.post([{ ...sale('x', 1n), [field]: text }]), 'store.text_invalid');
    await refused(store.billing.post([{ ...sale('x', 1n), key: 'x'.repeat(9000) }]), 'store.text_too_long');
  },
};

const changeCases: Cases = {
  'a decision sees the books as they are: open invoices by what is due first, balance, credits': async ({ store }) => {
    const { billing } = store;
    const [late, soon] = await billing
      .finalise([invoice(3), invoice(1), invoice(2, { currency: 'JPY' }), invoice(0, { account: 'b' })])
      .then((all) => all.map((one) => made([one])));
    assert.ok(late && soon);
    await give(billing, grant('g', { expires: T + DAY, rollover: { least: 1n, most: 9n } }), grant('h'));
    await billing.post([using(grant('h'), 100n, 'u'), using(grant('g'), 30n, 'v'), paying(soon.id, 100n, 'p')]);
    const found = await billing.change(
      'acme',
      { invoices: [late.id], grants: ['h', 'nobody'], transactions: ['p'] },
      (books, more) => {
        assert.deepEqual(
          books.open.map((one) => [one.number, one.open, one.currency]),
          [
            ['INV-000002', 19n, 'EUR'],
            ['INV-000003', 119n, 'JPY'],
            ['INV-000001', 119n, 'EUR'],
          ],
        );
        assert.deepEqual(books.balance, { EUR: 130n });
        assert.deepEqual(books.grants, [
          { ...grant('g', { expires: T + DAY, rollover: { least: 1n, most: 9n } }), rest: 70n },
        ]);
        assert.deepEqual(more.grants, [{ ...grant('h'), rest: 0n }]);
        assert.deepEqual(
          more.invoices.map((one) => one.number),
          ['INV-000001'],
        );
        assert.deepEqual(
          more.transactions.map((one) => one.key),
          ['p'],
        );
        assert.deepEqual(more.payments, []);
        return {};
      },
    );
    assert.deepEqual(found, {});
    assert.deepEqual(
      (await billing.booksOf(['nobody', 'b'])).map((b) => [b.account, b.open.length, b.lastDocument > 0]),
      [
        ['nobody', 0, false],
        ['b', 1, true],
      ],
    );
  },

  'what a decision throws comes out, and nothing is written': async ({ store }) => {
    const thrown = new Error('not today');
    await assert.rejects(
      store.billing.change('acme', {}, () => {
        throw thrown;
      }),
      (error) => error === thrown,
    );
    await refused(
      store.billing.change('acme', {}, () => ({ grants: [grant('g')], transactions: [using(grant('g'), 1n, 'u')] })),
      'books.changed',
    );
    await refused(
      store.billing.change('b', {}, () => ({ grants: [grant('g')] })),
      'store.misuse',
    );
    assert.deepEqual(await store.billing.grants({ limit: 9 }), []);
    await give(store.billing, grant('g'));
  },

  'changes of one account wait for each other: a credit is used up to its last unit, from two servers': async ({
    store,
    again,
  }) => {
    const stores = [store.billing, (await again()).billing];
    await give(store.billing, grant('g'));
    const used = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        stores[i % 2]?.change('acme', {}, ({ grants: [credit] }) => {
          if (credit === undefined) return {};
          const amount = credit.rest < 15n ? credit.rest : 15n;
          return { transactions: [using(credit, amount, `u${i}`)] };
        }),
      ),
    );
    assert.equal(used.filter((change) => change?.transactions !== undefined).length, 7);
    assert.deepEqual((await store.billing.booksOf(['acme']))[0]?.balance, { EUR: 100n });
    assert.equal((await store.billing.grants({ limit: 1 }))[0]?.rest, 0n);
  },

  'nothing is drawn on for more than it holds': async ({ store }) => {
    const { id } = made(await store.billing.finalise([invoice(0)]));
    await give(store.billing, grant('g'), grant('theirs', { account: 'b' }));
    const check = (...transactions: Parameters<typeof store.billing.post>[0]): Promise<void> =>
      refused(store.billing.post(transactions), 'books.changed');
    await check(paying(id, 120n, 'p'));
    await check(paying(id, 119n, 'p'), paying(id, 1n, 'q'));
    await check(paying(id + 1, 1n, 'p'));
    await check(paying(id, 1n, 'p', 'b'));
    await check({ ...paying(id, 1n, 'p'), currency: 'JPY' });
    await check(using(grant('g'), 101n, 'u'));
    await check(using(grant('g', { currency: 'JPY' }), 1n, 'u'));
    await check(using(grant('theirs'), 1n, 'u'));
    await check(transaction('r', [posting('receivable/acme', 1n), posting('cash', -1n)]));
    assert.equal(await store.billing.post([paying(id, 119n, 'p'), using(grant('g'), 100n, 'u')]), 2);
    assert.equal(
      await store.billing.post([transaction('r', [posting('receivable/acme', 100n), posting('cash', -100n)])]),
      1,
    );
  },

  'a payment is recorded once by its reference; another one under it is a conflict': async ({ store, again }) => {
    const { billing } = store;
    const record = (more: object = {}) =>
      billing.change('acme', {}, () => ({ payments: [payment('r', more)], transactions: [sale('payment/r', 50n)] }));
    await record();
    await record({ author: 'another', at: T + 9 });
    for (const more of [
      { amount: 51n },
      { currency: 'JPY' },
      { method: 'cash' },
      { receivedAt: T + 1 },
      { kind: 'refund' as const },
    ])
      await refused(record(more), 'payment.conflict');
    await billing.change('b', {}, () => ({ payments: [payment('r', { account: 'b' })] }));
    await billing.change('acme', {}, () => ({
      payments: [payment('s', { kind: 'refund', refunds: 'r', amount: 5n })],
    }));
    const other = (await again()).billing;
    assert.deepEqual(
      (await other.payments({ limit: 9 })).map((p) => `${p.account} ${p.reference}`),
      ['acme s', 'b r', 'acme r'],
    );
    const [first] = await other.payments({ accounts: ['acme'], limit: 1 });
    assert.deepEqual(
      (await other.payments({ accounts: ['acme'], before: first?.id ?? 0, limit: 9 })).map(({ id: _, ...p }) => p),
      [payment('r')],
    );
    await billing.change('acme', { references: ['r', 'none'], refundsOf: ['r'] }, (_, { payments, transactions }) => {
      assert.deepEqual(
        payments.map((p) => p.reference),
        ['r', 's'],
      );
      assert.deepEqual(
        transactions.map((t) => t.key),
        ['payment/r'],
      );
      return {};
    });
    for (const text of unstorable) await refused(record({ method: text }), 'store.text_invalid');
    await refused(record({ amount: 0n }), 'store.number_range');
  },

  'a credit is given once by its key, and comes back as it went in': async ({ store, again }) => {
    const { billing } = store;
    const top = grant('top', {
      amount: AMOUNT_LIMIT,
      rollover: { least: 0n, most: AMOUNT_LIMIT },
      expires: T + 9,
      lowAt: null,
      funding: 'purchase',
    });
    await give(billing, top, grant('g', { reason: hostile[3] ?? '' }), top);
    await refused(give(billing, { ...top, amount: 5n }), 'credit.conflict');
    await refused(give(billing, { ...top, account: 'b' }), 'credit.conflict');
    const found = await (await again()).billing.grants({ accounts: ['acme'], limit: 9 });
    assert.deepEqual(
      found.map(({ id: _, ...g }) => g),
      [
        { ...grant('g', { reason: hostile[3] ?? '' }), rest: 100n },
        { ...top, rest: AMOUNT_LIMIT },
      ],
    );
    assert.deepEqual(
      (await billing.grants({ before: found[0]?.id ?? 0, limit: 9 })).map((g) => g.key),
      ['top'],
    );
    const named = await billing.grants({ keys: ['top', 'nobody'], limit: 9 });
    assert.deepEqual(
      named.map((g) => g.key),
      ['top'],
    );
    await refused(give(billing, grant('x', { expires: T })), 'store.number_range');
    await refused(give(billing, grant('x', { amount: 0n })), 'store.number_range');
    await refused(give(billing, grant('x', { rollover: { least: 2n, most: 1n } })), 'store.number_range');
  },

  'accounts with credits that expired and are not used up are found in order': async ({ store }) => {
    const old = (account: string, key: string, expires: number | null) => grant(key, { account, expires });
    await give(
      store.billing,
      old('b', '1', T + 5),
      old('a', '2', T + 5),
      old('a', '3', T + 4),
      old('c', '4', T + 6),
      old('d', '5', null),
      old('e', '6', T + 1),
    );
    await store.billing.post([using(old('e', '6', T + 1), 100n, 'u')]);
    assert.deepEqual(await store.billing.expiring(T + 5, '', 9), ['a', 'b']);
    assert.deepEqual(await store.billing.expiring(T + 5, '', 1), ['a']);
    assert.deepEqual(await store.billing.expiring(T + 9, 'a', 9), ['b', 'c']);
  },

  'a credit that ran low is told once by percentage': async ({ store, again }) => {
    const low = (percent: number, rest: bigint) => ({ account: 'acme', grant: 'g', percent, rest, at: T });
    await give(store.billing, grant('g'));
    await store.billing.change('acme', {}, () => ({ notices: [low(20, 19n), low(20, 18n)] }));
    await store.billing.finalise([{ ...invoice(0), notices: [low(20, 3n), low(0, 0n)] }]);
    const found = await (await again()).billing.creditNotices({ accounts: ['acme'], limit: 9 });
    assert.deepEqual(
      found.map(({ id: _, ...n }) => n),
      [
        { ...low(0, 0n), currency: 'EUR', amount: 100n },
        { ...low(20, 19n), currency: 'EUR', amount: 100n },
      ],
    );
    assert.deepEqual((await store.billing.creditNotices({ before: found[0]?.id ?? 0, limit: 9 })).length, 1);
    assert.deepEqual(await store.billing.creditNotices({ accounts: ['b'], limit: 9 }), []);
  },

  'a credit is given with its transaction, or not at all': async ({ store }) => {
    await store.billing.post([sale('grant/g', 3n)]);
    await refused(
      store.billing.change('acme', {}, () => ({ grants: [grant('g')], transactions: [granting(grant('g'))] })),
      'ledger.conflict',
    );
    assert.deepEqual(await store.billing.grants({ limit: 9 }), []);
  },
};

export const ledgerCases: Cases = { ...postingCases, ...changeCases };
