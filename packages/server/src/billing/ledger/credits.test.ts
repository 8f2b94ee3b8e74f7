/** What becomes of credits at the end of a period, and which of them pay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BillingStore, Grant } from '../../store/billing-store.ts';
import { StoreError } from '../../store/errors.ts';
import { openControlModel } from '../../store/model/control-model.ts';
import { written } from '../invoice/canonical.ts';
import { ownNameOf } from './books.ts';
import { expireCredits, grantCredit } from './credits.ts';
import { recordPayment } from './payments.ts';
import { finalInvoice } from './post-document.ts';
import { DAY, documentOf, issue, T } from './testing/document.ts';

const account = 'acme';
const entity = 'default';

const give = (store: BillingStore, key: string, amount: bigint, more: Partial<Grant> = {}) =>
  grantCredit(store, {
    ...{ account, key, amount, currency: 'EUR', priority: 10, expires: null, effective: T, rollover: null },
    ...{ lowAt: 20, reason: '', author: 'root', paid: null, entity, now: T },
    ...more,
  });

const bill = async (store: BillingStore, day: number, net: bigint, more: object = {}, billedTo = 0) => {
  const [books] = await store.booksOf([account]);
  assert.ok(books);
  const item = finalInvoice(written(documentOf(day, { net, tax: 0n }, more)), { ...issue(day), billedTo }, books);
  const [made] = await store.finalise([item]);
  assert.equal(
    made?.outcome,
    'final',
    JSON.stringify(made, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
  );
  return made.invoice;
};

const rests = async (store: BillingStore): Promise<Record<string, bigint>> =>
  Object.fromEntries((await store.grants({ limit: 99 })).map(({ key, rest }) => [key.slice(account.length + 1), rest]));

test('a credit pays for the periods at whose end it is in force, whenever their invoice becomes final', async () => {
  const check = async (span: { effective: number; expires: number | null }, paid: bigint, more: object = {}) => {
    const store = openControlModel().billing;
    await give(store, 'g', 50n, span);
    assert.equal((await bill(store, 3, 30n, more)).open, 30n - paid, JSON.stringify(span));
  };
  const [from, to] = [T + 3 * DAY, T + 4 * DAY];
  await check({ effective: T, expires: null }, 30n);
  await check({ effective: to - 1, expires: to }, 30n);
  await check({ effective: to, expires: null }, 0n);
  await check({ effective: T, expires: to - 1 }, 0n);
  await check({ effective: from, expires: from + 1 }, 30n, { to: from });
  await check({ effective: T, expires: from }, 0n, { to: from });
});

test('nothing is converted: a credit pays in its own currency', async () => {
  const store = openControlModel().billing;
  await give(store, 'yen', 50n, { currency: 'JPY' });
  assert.equal((await bill(store, 0, 30n)).open, 30n);
});

test('the end of a period resets credits with a rollover, once', async () => {
  const store = openControlModel().billing;
  await give(store, 'cut', 100n, { rollover: { least: 0n, most: 40n }, priority: 1 });
  await give(store, 'filled', 100n, { rollover: { least: 90n, most: 100n }, priority: 0 });
  await give(store, 'kept', 100n);
  await bill(store, 0, 0n, { to: T });
  assert.deepEqual(await rests(store), { cut: 100n, filled: 100n, kept: 100n }, 'no period has ended');
  await bill(store, 0, 130n);
  assert.deepEqual(await rests(store), { cut: 40n, filled: 90n, kept: 100n });
  await bill(store, 1, 10n);
  assert.deepEqual(await rests(store), { cut: 40n, filled: 90n, kept: 100n });
  // What was cut and what was given: 70 - 40, 90, 10.
  const [promotion] = await store.balances(['promotion/default']);
  assert.equal(promotion?.amount, 300n - 30n + 90n + 10n);
});

test('a period that is billed anew does not fill credits up again, and leaves no more of them than goes on', async () => {
  const store = openControlModel().billing;
  await give(store, 'cut', 100n, { rollover: { least: 0n, most: 40n }, priority: 1 });
  await give(store, 'filled', 100n, { rollover: { least: 90n, most: 100n }, priority: 0 });
  await bill(store, 0, 30n);
  assert.deepEqual(await rests(store), { cut: 40n, filled: 90n });
  await bill(store, 1, 95n, {}, T + DAY);
  assert.deepEqual(await rests(store), { cut: 35n, filled: 90n });
  // The first day is void and billed anew, the second has ended since: its end was reset then.
  await bill(store, 0, 60n, { version: 2 }, T + 2 * DAY);
  assert.deepEqual(await rests(store), { cut: 35n, filled: 30n });
  // What a void invoice has given back does not go on where more is left than may.
  await give(store, 'back', 100n, { rollover: { least: 50n, most: 60n }, priority: 9 });
  await bill(store, 1, 0n, { version: 2 }, T + 2 * DAY);
  assert.deepEqual(await rests(store), { cut: 35n, filled: 30n, back: 60n });
});

test('the end of a credit waits for the invoice of its last period, at most 35 days', async () => {
  const store = openControlModel().billing;
  await give(store, 'g', 50n, { expires: T + 2 * DAY });
  const ended = async (now: number): Promise<number> =>
    (await expireCredits(store, () => entity, now, assert.ifError)).length;
  assert.equal(await ended(T + 2 * DAY - 1), 0);
  assert.equal(await ended(T + 2 * DAY), 0);
  assert.equal(await ended(T + 37 * DAY - 1), 0);
  assert.equal(await ended(T + 37 * DAY), 1);
  assert.equal(await ended(T + 38 * DAY), 0);
  await give(store, 'h', 50n, { expires: T + 5 * DAY });
  await bill(store, 4, 0n);
  assert.equal(await ended(T + 5 * DAY), 1);
  assert.deepEqual(await store.balances(['credit/acme', 'promotion/default']), [
    { book: 'credit/acme', currency: 'EUR', amount: 0n },
    { book: 'promotion/default', currency: 'EUR', amount: 0n },
  ]);
});

test('credits of an account that cannot be ended are set aside, and those of the others end', async () => {
  const store = openControlModel().billing;
  for (const id of ['a', 'b', 'c']) await give(store, 'g', 50n, { account: id, expires: T + DAY });
  const told: [string, string][] = [];
  const end = (billing: BillingStore, entityOf: (account: string) => string) =>
    expireCredits(billing, entityOf, T + 60 * DAY, (id, error) => told.push([id, String(error)]));
  const broken = (code: StoreError['code']) =>
    ({
      ...store,
      change: (id, ...rest) =>
        id === 'b' ? Promise.reject(new StoreError(code, 'it broke')) : store.change(id, ...rest),
    }) satisfies BillingStore;
  assert.deepEqual(
    (await end(broken('store.misuse'), () => entity)).map((grant) => grant.account),
    ['a', 'c'],
  );
  assert.deepEqual(told, [['b', 'StoreError: it broke']]);
  // A store that does not answer is no account's fault.
  await assert.rejects(
    end(broken('store.unavailable'), () => entity),
    /it broke/,
  );
  const entityOf = () => {
    throw new Error('whose?');
  };
  assert.deepEqual(await end(store, entityOf), []);
  assert.deepEqual(told.at(-1), ['b', 'Error: whose?']);
  assert.equal((await end(store, () => entity)).length, 1);
});

test('totals that do not add up are refused before anything is booked', async () => {
  const store = openControlModel().billing;
  for (const wrong of [{ total: '1' }, { taxes: [] }])
    await assert.rejects(async () => {
      const [books] = await store.booksOf([account]);
      assert.ok(books);
      finalInvoice(written({ ...documentOf(0, { net: 5n, tax: 1n }), ...wrong }), issue(0), books);
    }, /do not add up/);
});

test('names that accounts choose never meet, whatever is in them', async () => {
  const store = openControlModel().billing;
  for (const [account, name] of [
    ['a', 'b/c'],
    ['a/b', 'c'],
    ['a', 'b%2Fc'],
  ] as const) {
    const { grant, isNew } = await give(store, name, 5n, { account });
    assert.deepEqual([isNew, grant.account, ownNameOf(grant)], [true, account, name]);
    const money = { amount: 5n, currency: 'EUR', receivedAt: null, method: 'bank', invoice: null, author: 'x', now: T };
    assert.equal((await recordPayment(store, { account, reference: name, ...money })).isNew, true);
  }
});
