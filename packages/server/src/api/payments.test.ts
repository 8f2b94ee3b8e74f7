/** Credits, payments, refunds, balances and the ledger, through the door. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { written } from '../billing/invoice/canonical.ts';
import { finalInvoice } from '../billing/ledger/post-document.ts';
import { documentOf, issue } from '../billing/ledger/testing/document.ts';
import { openApi, START, type TestApi } from './testing/api.ts';

const DAY = 86_400_000;

const open = async (t: TestContext) => {
  const api = await openApi(t);
  await api.account('acme');
  const post = async (url: string, body: object, status = 201) => {
    const answer = await api.call(api.admin, 'POST', `/api/v1/${url}`, { body: { account: 'acme', ...body } });
    assert.equal(answer.status, status, answer.text);
    return answer.body;
  };
  const get = async (url: string) => (await api.call(api.admin, 'GET', `/api/v1/${url}`)).body;
  const refused = async (url: string, body: object, code: string, pointer?: string) => {
    const answer = await api.call(api.admin, 'POST', `/api/v1/${url}`, { body: { account: 'acme', ...body } });
    assert.deepEqual([answer.body.code, answer.body.pointer], [code, pointer], answer.text);
  };
  return { api, post, get, refused };
};

/** An invoice of 119.00 EUR over the day, final. */
const bill = async ({ context }: TestApi, day: number, currency = 'EUR'): Promise<string> => {
  const { billing } = context.control;
  const [books] = await billing.booksOf(['acme']);
  assert.ok(books);
  const at = { from: START + day * DAY, to: START + (day + 1) * DAY, currency };
  const dates = { issuedAt: at.to, dueAt: at.to + DAY };
  const document = documentOf(0, { net: 10_000n, tax: 1900n }, at);
  const [made] = await billing.finalise([finalInvoice(written(document), { ...issue(0), ...dates }, books)]);
  assert.equal(made?.outcome, 'final');
  return made.invoice.number;
};

test('a payment settles what is due first, and what is left over settles the next invoice', async (t) => {
  const { api, post, get } = await open(t);
  const [first, second] = [await bill(api, 0), await bill(api, 1)];
  const paid = await post('payments', { amount: '150.00', currency: 'EUR', reference: 'r1', method: 'transfer' });
  assert.deepEqual(paid.settled, [
    { invoice: first, amount: '119.00' },
    { invoice: second, amount: '31.00' },
  ]);
  api.clock.at = START + 4 * DAY;
  assert.deepEqual((await get('accounts/acme/balance')).currencies, [
    { currency: 'EUR', owed: '88.00', overdue: '88.00', balance: '0.00', credit: '0.00' },
  ]);
  const over = await post('payments', { amount: '100', currency: 'EUR', reference: 'r2', invoice: second });
  assert.deepEqual(over.settled, [{ invoice: second, amount: '88.00' }]);
  assert.equal((await get('accounts/acme/balance')).currencies[0].balance, '12.00');
  await bill(api, 2);
  const { currencies, invoices } = await get('accounts/acme/balance');
  assert.deepEqual([currencies[0].owed, currencies[0].balance, invoices[0].open], ['107.00', '0.00', '107.00']);
});

test('a payment told twice is one; another under its reference, in another currency or for nothing is refused', async (t) => {
  const { api, post, get, refused } = await open(t);
  const number = await bill(api, 0);
  const body = { amount: '19.00', currency: 'EUR', reference: 'r' };
  const first = await post('payments', body);
  api.clock.at += 5;
  assert.equal(first.isNew, true);
  assert.deepEqual(await post('payments', body, 200), { ...first, isNew: false });
  assert.equal((await get('payments')).items.length, 1);
  await refused('payments', { ...body, amount: '19.01' }, 'payment.conflict', '/reference');
  await refused('payments', { ...body, receivedAt: '2026-01-01' }, 'payment.conflict', '/reference');
  const next = { ...body, reference: 's' };
  await refused('payments', { ...next, currency: 'USD' }, 'payment.currency', '/currency');
  await refused('payments', { ...next, currency: 'USD', invoice: number }, 'payment.currency', '/currency');
  await refused('payments', { ...next, invoice: 'INV-9' }, 'invoice.unknown', '/invoice');
  for (const amount of ['0', '-5', '19.001', '1e30', 'x', '19,00', '1000000000000000000000'])
    await refused('payments', { ...next, amount }, 'money.invalid', '/amount');
  await refused('payments', { ...next, currency: 'XYZ' }, 'money.invalid', '/currency');
  await refused('payments', { ...next, account: 'nobody' }, 'account.unknown');
  await post('payments', { ...next, amount: '100.00', invoice: number });
  await refused('payments', { ...next, reference: 't', invoice: number }, 'invoice.paid', '/invoice');
});

test('a payment told again for another invoice is another one; the invoice has only to agree where it is said', async (t) => {
  const { api, post, refused } = await open(t);
  const [first, second] = [await bill(api, 0), await bill(api, 1)];
  const named = { amount: '10.00', currency: 'EUR', reference: 'named', invoice: second };
  await post('payments', named);
  await refused('payments', { ...named, invoice: first }, 'payment.conflict', '/reference');
  assert.deepEqual((await post('payments', named, 200)).settled, [{ invoice: second, amount: '10.00' }]);
  const { invoice: _, ...unnamed } = named;
  await post('payments', unnamed, 200);
  const both = { amount: '150.00', currency: 'EUR', reference: 'both' };
  await post('payments', both);
  await refused('payments', { ...both, invoice: first }, 'payment.conflict', '/reference');
  assert.equal((await post('payments', both, 200)).settled.length, 2);
});

test('a payment told again is the one that is there, also when the account has another currency since', async (t) => {
  const { api, post, refused } = await open(t);
  const body = { amount: '19.00', currency: 'EUR', reference: 'r' };
  await post('payments', body);
  const put = await api.call(api.admin, 'PUT', '/api/v1/accounts/acme', { body: { currency: 'USD' } });
  assert.equal(put.status, 200, put.text);
  assert.equal((await post('payments', body, 200)).isNew, false);
  await refused('payments', { ...body, reference: 's' }, 'payment.currency', '/currency');
});

test('a refund is of the balance, or of a payment whose invoices are open again', async (t) => {
  const { api, post, get, refused } = await open(t);
  const number = await bill(api, 0);
  await post('payments', { amount: '129.00', currency: 'EUR', reference: 'r' });
  await refused('refunds', { amount: '10.01', currency: 'EUR', reference: 'b' }, 'refund.too_much', '/amount');
  const back = await post('refunds', { amount: '4.00', currency: 'EUR', reference: 'b' });
  assert.deepEqual([back.kind, back.settled], ['refund', []]);
  const charged = await post('refunds', { amount: '125.00', currency: 'EUR', reference: 'c', payment: 'r' });
  assert.deepEqual(charged.settled, [{ invoice: number, amount: '119.00' }]);
  const once = await post('refunds', { amount: '125.00', currency: 'EUR', reference: 'c', payment: 'r' }, 200);
  assert.deepEqual(once, { ...charged, isNew: false });
  await refused(
    'refunds',
    { amount: '5.00', currency: 'EUR', reference: 'd', payment: 'r' },
    'refund.too_much',
    '/amount',
  );
  await refused(
    'refunds',
    { amount: '1.00', currency: 'EUR', reference: 'd', payment: 'x' },
    'payment.unknown',
    '/payment',
  );
  await refused(
    'refunds',
    { amount: '1.00', currency: 'USD', reference: 'd', payment: 'r' },
    'payment.currency',
    '/currency',
  );
  const { currencies } = await get('accounts/acme/balance');
  assert.deepEqual([currencies[0].owed, currencies[0].balance], ['119.00', '0.00']);
  assert.deepEqual(
    (await get('payments?account=acme&limit=2')).items.map((p: { reference: string }) => p.reference),
    ['c', 'b'],
  );
});

test('credits pay for invoices before anything is owed: by priority, then the one that ends first', async (t) => {
  const { api, post, get } = await open(t);
  const give = (key: string, more: object) => post('credits', { key, amount: '50', currency: 'EUR', ...more });
  const late = await give('late', { to: '2027-01-01', reason: 'sorry' });
  await give('soon', { to: '2026-12-01' });
  await give('first', { priority: 1, amount: '5', lowAt: 50 });
  await give('ended', { to: '2026-11-22T11:00:00Z' });
  assert.deepEqual([late.amount, late.rest, late.state, late.funding], ['50.00', '50.00', 'current', 'promotion']);
  assert.equal(
    (await post('credits', { key: 'late', amount: '50', currency: 'EUR', to: '2027-01-01' }, 200)).id,
    late.id,
  );
  await bill(api, 0);
  const rests = (await get('credits')).items.map((c: { key: string; rest: string }) => `${c.key} ${c.rest}`);
  assert.deepEqual(rests, ['ended 50.00', 'first 0.00', 'soon 0.00', 'late 0.00']);
  const notices = (await get('credits/notices?account=acme')).items;
  assert.deepEqual(notices.map((n: { credit: string; percent: number }) => `${n.credit} ${n.percent}`).sort(), [
    'first 0',
    'first 50',
    'late 0',
    'late 20',
    'soon 0',
    'soon 20',
  ]);
  const { currencies } = await get('accounts/acme/balance');
  assert.deepEqual([currencies[0].owed, currencies[0].credit], ['14.00', '50.00']);
});

test('what is left of a credit is taken back, or ends; of a bought one it is the balance, or is ours', async (t) => {
  const { api, post, get, refused } = await open(t);
  const give = (key: string, more: object = {}) => post('credits', { key, amount: '50', currency: 'EUR', ...more });
  const bought = await give('bought', { paid: { reference: 'card 1', method: 'card' } });
  const given = await give('given');
  await give('ends', { to: '2026-11-25', amount: '200' });
  await give('bought-ends', { to: '2026-11-25', amount: '200', paid: { reference: 'card 2' } });
  assert.equal((await get('payments')).items.length, 2);
  await refused(
    'credits',
    { key: 'x', amount: '5', currency: 'EUR', paid: { reference: 'card 1' } },
    'payment.conflict',
    '/reference',
  );
  for (const more of [
    { amount: '51' },
    { lowAt: 30 },
    { rollover: { most: '50' } },
    { key: 'bought', paid: { reference: 'card 3' } },
    { key: 'bought' },
  ])
    await refused('credits', { key: 'given', amount: '50', currency: 'EUR', ...more }, 'credit.conflict', '/key');
  const again = { key: 'bought', amount: '50', currency: 'EUR', paid: { reference: 'card 1', method: 'card' } };
  assert.equal((await post('credits', again, 200)).id, bought.id);
  await refused('credits', { key: 'y', amount: '5', currency: 'USD' }, 'payment.currency', '/currency');
  await refused('credits', { key: 'y', amount: '5', currency: 'EUR', to: '2026-01-01' }, 'query.range', '/to');
  for (const { id } of [bought, given, bought]) {
    const answer = await api.call(api.admin, 'DELETE', `/api/v1/credits/${id}?reason=slip`);
    assert.deepEqual([answer.status, answer.body.rest], [200, '0.00'], answer.text);
  }
  assert.equal((await api.call(api.admin, 'DELETE', '/api/v1/credits/99')).body.code, 'credit.unknown');
  assert.equal((await get('accounts/acme/balance')).currencies[0].balance, '50.00');
  const expire = async () => (await api.call(api.admin, 'POST', '/api/v1/credits/expire')).body.ended;
  api.clock.at = START + 10 * DAY;
  assert.equal(await expire(), 0, 'the invoice of its last period may still come');
  await bill(api, 0);
  assert.equal(await expire(), 0);
  await bill(api, 8);
  assert.deepEqual([await expire(), await expire()], [2, 0]);
  const books = await get('ledger/books');
  const held = (name: string) => books.items.find((b: { book: string }) => b.book === name)?.amount;
  assert.deepEqual([held('breakage/default'), held('promotion/default'), held('cash')], ['-81.00', '0.00', '250.00']);
});

test('the ledger is read by account, book and kind, page by page, and sums to nothing', async (t) => {
  const { api, post, get } = await open(t);
  await bill(api, 0);
  await post('payments', { amount: '19.00', currency: 'EUR', reference: 'r' });
  const { items, nextCursor } = await get('ledger?limit=1&account=acme');
  assert.deepEqual(
    items[0].postings.map((p: { book: string; amount: string }) => [p.book, p.amount]),
    [
      ['cash', '19.00'],
      ['receivable/acme', '-19.00'],
    ],
  );
  const second = await get(`ledger?limit=1&account=acme&cursor=${nextCursor}`);
  assert.equal(second.items[0].kind, 'invoice');
  assert.equal((await get('ledger?kind=payment')).items.length, 1);
  assert.equal((await get('ledger?book=tax/')).items.length, 1);
  assert.equal((await get('ledger?account=nobody')).items.length, 0);
  assert.deepEqual((await get('ledger/books?book=receivable/acme')).items, [
    { book: 'receivable/acme', currency: 'EUR', amount: '100.00' },
  ]);
});
