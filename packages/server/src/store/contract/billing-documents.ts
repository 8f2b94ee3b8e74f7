/** Final documents: numbers without gaps, each once, never changed; and their drafts. */
import assert from 'node:assert/strict';
import { AMOUNT_LIMIT, type Invoice, invoiceState } from '../billing-store.ts';
import {
  DAY,
  digestOf,
  draft,
  give,
  grant,
  invoice,
  made,
  paying,
  posting,
  T,
  told,
  transaction,
  using,
  voiding,
} from './billing-cases.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

const of = (account: string, after: number | null = null) => ({ account, after });

const finalCases: Cases = {
  'numbers run by entity and kind from 1, in the order of the items': async ({ store, again }) => {
    const first = await store.billing.finalise([
      invoice(0),
      invoice(0, { account: 'b', entity: 'other', prefix: '' }),
      invoice(1),
    ]);
    assert.deepEqual(told(first), ['final INV-000001', 'final 000001', 'final INV-000002']);
    const note = invoice(1, { kind: 'credit-note', transactions: [] });
    const second = await (await again()).billing.finalise([note, invoice(2)]);
    assert.deepEqual(told(second), ['final CN-000001', 'final INV-000003']);
    assert.deepEqual(await store.billing.finalise([]), []);
  },

  'what is final already is answered as it is, and takes no number': async ({ store, again }) => {
    const first = made(await store.billing.finalise([invoice(0)]));
    const other = invoice(0, { total: 5n, document: '{"another":1}' });
    const twins = await (await again()).billing.finalise([other, invoice(1), invoice(1), invoice(0)]);
    assert.deepEqual(told(twins), ['there INV-000001', 'final INV-000002', 'there INV-000002', 'there INV-000001']);
    const [there] = twins;
    assert.deepEqual(there?.outcome === 'there' && there.invoice, first);
    assert.deepEqual(await store.billing.balances(['receivable/acme']), [
      { book: 'receivable/acme', currency: 'EUR', amount: 238n },
    ]);
  },

  'an invoice comes back as it went in': async ({ store, again }) => {
    const item = invoice(0, { net: 100n, tax: 19n, document: '{"b":1,  "a":"\\u00e4"}' });
    const { id } = made(await store.billing.finalise([item]));
    const { transactions: _, notices: __, after: ___, accounts: ____, ...document } = item;
    const expected = {
      ...document,
      ...{ id, sequence: 1, number: 'INV-000001', open: 119n, settledAt: null, voidedBy: null },
    };
    const other = (await again()).billing;
    assert.deepEqual(await other.invoice(id), expected);
    assert.deepEqual(await other.invoicesByNumber('INV-000001'), [expected]);
    assert.deepEqual(await other.documentsOf(['acme', 'b'], T), [expected]);
    assert.equal(await other.invoice(id + 1), null);
    assert.deepEqual(await other.invoicesByNumber('INV-1'), []);
  },

  'a hundred invoices from two servers at once: every number once, every period once': async ({ store, again }) => {
    const stores = [store.billing, (await again()).billing];
    const batches = Array.from({ length: 20 }, (_, at) =>
      Array.from({ length: 10 }, (_, i) => invoice(i, { account: `a${(at + i) % 10}` })),
    );
    const all = await Promise.all(batches.map((batch, at) => stores[at % 2]?.finalise(batch) ?? []));
    assert.equal(all.flat().filter((one) => one.outcome === 'final').length, 100);
    const list = await store.billing.invoices({ limit: 1000 });
    assert.deepEqual(
      list.map((one) => one.sequence).sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    assert.equal(new Set(list.map((one) => `${one.account} ${one.from}`)).size, 100);
  },

  'an item that was overtaken is refused, the others are final': async ({ store }) => {
    const { id } = made(await store.billing.finalise([invoice(0)]));
    const batch = [
      invoice(1, { after: 0 }),
      invoice(0, { account: 'b', after: 0 }),
      invoice(2, { after: id }),
      invoice(3, { after: id }),
    ];
    assert.deepEqual(told(await store.billing.finalise(batch)), [
      'invoice.overtaken',
      'final INV-000002',
      'final INV-000003',
      'invoice.overtaken',
    ]);
  },

  'what bills an account that somebody else has billed meanwhile is refused, whoever gets it': async ({
    store,
    again,
  }) => {
    const other = (await again()).billing;
    const [before] = [...(await other.lastFor(['kid'])).values()];
    const first = made(await store.billing.finalise([invoice(0, { accounts: [of('acme'), of('kid')] })]));
    assert.deepEqual(await other.lastFor(['kid', 'b']), new Map([...([['kid', first.id]] as const), ['b', 0]]));
    const stale = invoice(0, { account: 'b', accounts: [of('b', 0), of('kid', before)] });
    assert.deepEqual(told(await other.finalise([stale])), ['invoice.overtaken']);
    const batch = [
      invoice(1, { account: 'b', accounts: [of('kid', first.id)] }),
      invoice(2, { account: 'c', accounts: [of('kid', first.id)] }),
    ];
    assert.deepEqual(told(await other.finalise(batch)), ['final INV-000002', 'invoice.overtaken']);
  },

  'an invoice of fewer facts than another one for the account is refused, a credit note is not': async ({ store }) => {
    const { billing } = store;
    await billing.finalise([invoice(0, { frontier: 9, accounts: [of('acme'), of('kid')] })]);
    const late = { frontier: 8, accounts: [of('kid')] };
    assert.deepEqual(
      told(
        await billing.finalise([
          invoice(0, { account: 'b', ...late }),
          invoice(0, { account: 'b', kind: 'credit-note', ...late, transactions: [] }),
          invoice(1, { account: 'b', frontier: 9, accounts: [of('kid')] }),
        ]),
      ),
      ['invoice.overtaken', 'final CN-000001', 'final INV-000002'],
    );
  },

  'of two servers at once that bill one account to two others one is refused': async ({ store, again }) => {
    const stores = [store.billing, (await again()).billing];
    const payers = Array.from({ length: 8 }, (_, i) => `p${i}`);
    const all = await Promise.all(
      payers.map((account, i) => stores[i % 2]?.finalise([invoice(0, { account, accounts: [of('kid', 0)] })]) ?? []),
    );
    assert.equal(all.flat().filter((one) => one.outcome === 'final').length, 1);
  },

  'a document is found by its key of the account': async ({ store, again }) => {
    const note = invoice(0, { kind: 'credit-note', key: 'outage 7', transactions: [] });
    const { id } = made(await store.billing.finalise([note]));
    const other = (await again()).billing;
    assert.deepEqual(await other.documentByKey('acme', 'outage 7'), await other.invoice(id));
    assert.equal(await other.documentByKey('b', 'outage 7'), null);
    assert.equal(await other.documentByKey('acme', 'outage'), null);
  },

  'an item that draws on more than there is, is refused, the others are final': async ({ store }) => {
    const credit = grant('g');
    await give(store.billing, credit);
    const drawing = (day: number, amount: bigint) => {
      const item = invoice(day);
      const use = transaction(`use/${day}`, [
        posting('credit/acme', amount, { grant: 'g' }),
        posting('receivable/acme', -amount, { invoice: 'new' }),
      ]);
      return { ...item, transactions: [...item.transactions, use] };
    };
    const batch = [drawing(0, 60n), drawing(1, 60n), drawing(2, 40n), drawing(3, 1n), invoice(4)];
    assert.deepEqual(told(await store.billing.finalise(batch)), [
      'final INV-000001',
      'books.changed',
      'final INV-000002',
      'books.changed',
      'final INV-000003',
    ]);
    const [books] = await store.billing.booksOf(['acme']);
    assert.deepEqual(
      books?.open.map((one) => [one.number, one.open]),
      [
        ['INV-000001', 59n],
        ['INV-000002', 79n],
        ['INV-000003', 119n],
      ],
    );
    assert.deepEqual(books?.grants, []);
    const over = drawing(5, 1n);
    const balance = {
      ...over,
      transactions: [
        transaction('b', [posting('receivable/acme', 1n), posting('receivable/acme', -1n, { invoice: 'new' })]),
      ],
    };
    const other = { ...over, transactions: [using(grant('nobody'), 1n, 'x')] };
    const taken = { ...over, transactions: [transaction('use/0', [posting('a', 1n), posting('b', -1n)])] };
    for (const [item, code] of [
      [balance, 'books.changed'],
      [other, 'books.changed'],
      [taken, 'ledger.conflict'],
    ] as const)
      assert.deepEqual(told(await store.billing.finalise([item])), [code]);
  },

  'a void invoice stands no more, its period may be billed again, and it is void once': async ({ store }) => {
    const { billing } = store;
    const first = made(await billing.finalise([invoice(0)]));
    assert.deepEqual(await billing.lastFinalEnd(['acme', 'b']), new Map([['acme', first.to]]));
    const note = made(await billing.finalise([voiding(first)]));
    const read = await billing.invoice(first.id);
    assert.deepEqual([read?.voidedBy, read?.open, read && invoiceState(read, T)], [note.id, 0n, 'void']);
    assert.deepEqual(await billing.lastFinalEnd(['acme']), new Map());
    const twice = voiding({ ...first, open: 1n }, { version: 2, transactions: [] });
    assert.deepEqual(told(await billing.finalise([twice])), ['books.changed']);
    assert.deepEqual(
      told(await billing.finalise([voiding({ ...first, id: note.id }, { version: 3, transactions: [] })])),
      ['books.changed'],
    );
    assert.deepEqual(told(await billing.finalise([voiding({ ...first, account: 'b' }, { transactions: [] })])), [
      'books.changed',
    ]);
    assert.deepEqual(told(await billing.finalise([invoice(0, { version: 2 })])), ['final INV-000002']);
    assert.deepEqual(await billing.lastFinalEnd(['acme']), new Map([['acme', first.to]]));
  },
};

const readCases: Cases = {
  'invoices are found by state, account, entity, kind and period, newest first, page by page': async ({ store }) => {
    const { billing } = store;
    const [paid, open, , gone] = await billing
      .finalise([
        ...[invoice(0), invoice(10), invoice(0, { account: 'b', entity: 'e2', prefix: 'E-' }), invoice(2)],
        invoice(3, { total: 0n, transactions: [] }),
      ])
      .then((all) => all.map((one) => made([one])));
    assert.ok(paid && open && gone);
    await billing.post([paying(paid.id, 100n, 'p1'), paying(paid.id, 19n, 'p2')]);
    await billing.finalise([voiding(gone)]);
    const check = async (filter: object, ...numbers: string[]): Promise<void> =>
      assert.deepEqual(
        (await billing.invoices({ limit: 99, ...filter })).map((one) => one.number),
        numbers,
        JSON.stringify(filter),
      );
    await check({}, 'CN-000001', 'INV-000004', 'INV-000003', 'E-000001', 'INV-000002', 'INV-000001');
    await check({ state: 'paid', kind: 'invoice' }, 'INV-000004', 'INV-000001');
    await check({ state: 'void' }, 'INV-000003');
    await check({ state: 'open' }, 'E-000001', 'INV-000002');
    await check({ state: 'overdue', now: T + 15 * DAY }, 'E-000001');
    await check({ state: 'overdue', now: T + 15 * DAY - 1 });
    await check({ accounts: ['b'] }, 'E-000001');
    await check({ accounts: [] });
    await check({ entity: 'e2' }, 'E-000001');
    await check({ from: T + DAY, to: T + 3 * DAY }, 'CN-000001', 'INV-000003');
    await check({ limit: 2 }, 'CN-000001', 'INV-000004');
    await check({ before: open.id, limit: 1 }, 'INV-000001');
    const read = await billing.invoice(paid.id);
    assert.deepEqual([read?.open, read?.settledAt], [0n, T + 3 * DAY]);
  },

  'documents of accounts: those that end after an instant, and what was paid in advance at it': async ({ store }) => {
    const advance = invoice(1, { to: T + DAY, transactions: [] });
    await store.billing.finalise([
      advance,
      invoice(0),
      invoice(1),
      invoice(2, { account: 'b' }),
      invoice(5, { account: 'c' }),
    ]);
    const found = await store.billing.documentsOf(['b', 'acme'], T + DAY);
    assert.deepEqual(
      found.map((one) => [one.account, one.number]),
      [
        ['acme', 'INV-000001'],
        ['acme', 'INV-000003'],
        ['b', 'INV-000004'],
      ],
    );
    assert.equal(found[1]?.document, invoice(1).document);
    assert.deepEqual(await store.billing.documentsOf([], 0), []);
    const { number, account, kind, from, to, version, frontier, voids, voidedBy, document } = found[0] as Invoice;
    const head = { id: found[0]?.id, number, account, kind, from, to, version, frontier, voids, voidedBy };
    const finals = await store.billing.finalDocuments(['b', 'acme'], T + DAY);
    assert.deepEqual(finals[0], { ...head, document });
    assert.deepEqual(
      finals.map(({ id }) => id),
      found.map(({ id }) => id),
    );
    const heads = await store.billing.finalHeads(['b', 'acme']);
    assert.deepEqual(heads[0], head);
    assert.equal(heads.length, 4);
    assert.deepEqual(await store.billing.finalHeads([]), []);
  },

  'no number is given twice: nothing of the batch is written, and none is lost': async ({ store }) => {
    const { billing } = store;
    await billing.finalise([invoice(0)]);
    const second = invoice(0, { account: 'b', entity: 'two' });
    await refused(billing.finalise([invoice(1), second]), 'store.misuse');
    const both = ['c', 'd'].map((account) => invoice(0, { account, entity: account, prefix: 'X-' }));
    await refused(billing.finalise(both), 'store.misuse');
    assert.deepEqual(await billing.invoicesByNumber('X-000001'), []);
    assert.equal((await billing.invoicesByNumber('INV-000001')).length, 1);
    assert.deepEqual(
      (await billing.finalise([{ ...second, prefix: 'TWO-' }, invoice(1)])).map((one) => made([one]).number),
      ['TWO-000001', 'INV-000002'],
    );
  },

  'documents keep any text that can be stored, and refuse what cannot': async ({ store }) => {
    const names = hostile.filter((text) => text.length < 256);
    const items = names.map((text, i) =>
      invoice(i, { account: `${i}${text}`, entity: `${text}${i}`, prefix: text, document: text }),
    );
    const all = await store.billing.finalise(items);
    assert.deepEqual(
      all.map((one) => made([one]).number),
      names.map((text) => `${text}000001`),
    );
    const read = await store.billing.documentsOf(
      items.map((item) => item.account),
      0,
    );
    assert.deepEqual(read.map((one) => one.document).sort(), [...names].sort());
    for (const text of unstorable)
      for (const field of ['account', 'entity', 'prefix', 'document'] as const)
        await refused(
          store.billing.finalise([invoice(99, { [field]: text, digest: digestOf(text) })]),
          'store.text_invalid',
        );
    await refused(store.billing.finalise([invoice(99, { account: 'x'.repeat(2000) })]), 'store.text_too_long');
  },

  'amounts are exact to 10^20, and no more is taken': async ({ store }) => {
    const top = AMOUNT_LIMIT;
    const minus = invoice(1, { total: -top, transactions: [] });
    const both = await store.billing.finalise([invoice(0, { total: top }), minus]);
    assert.deepEqual(
      both.map((one) => made([one]).total),
      [top, -top],
    );
    assert.equal((await store.billing.invoice(made(both.slice(0, 1)).id))?.open, top);
    await refused(store.billing.finalise([invoice(2, { total: top + 1n, transactions: [] })]), 'store.number_range');
    await refused(store.billing.finalise([invoice(2, { dueAt: 0.5 })]), 'store.number_range');
    await refused(store.billing.finalise([invoice(2, { net: 1n, tax: 1n, total: 3n })]), 'store.misuse');
    await refused(store.billing.finalise([invoice(2, { digest: digestOf('x') })]), 'store.misuse');
    await refused(store.billing.finalise([invoice(2, { voids: 1 })]), 'store.misuse');
    assert.equal((await store.billing.invoices({ limit: 9 })).length, 2);
  },
};

const draftCases: Cases = {
  'a draft replaces the one before, and is gone when its invoice is final': async ({ store, again }) => {
    const { billing } = store;
    await billing.saveDrafts([draft('acme', 0), draft('acme', 0, { total: 6n }), draft('acme', 1)]);
    await billing.saveDrafts([draft('acme', 1, { blocked: '[{"line":1}]', document: hostile[3] ?? '' })]);
    const other = (await again()).billing;
    assert.equal((await other.draft('acme', T, T + DAY))?.total, 6n);
    assert.equal((await other.draft('acme', T + DAY, T + 2 * DAY))?.document, hostile[3]);
    await billing.finalise([invoice(0, { kind: 'credit-note', transactions: [] })]);
    assert.ok(await billing.draft('acme', T, T + DAY));
    await billing.finalise([invoice(0)]);
    assert.equal(await billing.draft('acme', T, T + DAY), null);
    await billing.removeDrafts([draft('acme', 1)]);
    assert.deepEqual(await billing.drafts({ limit: 9 }), []);
  },

  'drafts are listed by the end of their period, page by page': async ({ store }) => {
    const rows = [
      draft('b', 1),
      draft('a', 1, { blocked: '[]' }),
      draft('a', 2),
      draft('c', 0),
      draft('\u{1f9ff}', 1),
      draft('\ufffd', 1),
    ];
    await store.billing.saveDrafts(rows);
    const names = async (filter: object): Promise<string[]> =>
      (await store.billing.drafts({ limit: 9, ...filter })).map((d) => `${d.account}${(d.from - T) / DAY}`);
    assert.deepEqual(await names({}), ['a2', 'a1', 'b1', '\ufffd1', '\u{1f9ff}1', 'c0']);
    assert.deepEqual(await names({ limit: 2 }), ['a2', 'a1']);
    assert.deepEqual(await names({ after: draft('a', 1), limit: 2 }), ['b1', '\ufffd1']);
    assert.deepEqual(await names({ blocked: true }), ['a1']);
    assert.deepEqual(await names({ accounts: ['b', 'c'], blocked: false }), ['b1', 'c0']);
  },
};

export const documentCases: Cases = { ...finalCases, ...readCases, ...draftCases };
