/**
 * Random changes to the books of two stores: both answer the same or refuse with the same code, and leave the same behind.
 * Afterwards the laws of the books hold, whatever was asked of them.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { BillingStore, FinalInvoice, Posting, Transaction } from '../billing-store.ts';
import type { ControlStore } from '../control-store.ts';
import { codeOf } from '../errors.ts';
import { draft, grant, granting, invoice, payment, posting, T, transaction } from './billing-cases.ts';

type Call = (store: BillingStore) => Promise<unknown>;

const account = fc.constantFrom('a', 'b');
const small = fc.bigInt(-60n, 60n);
const id = fc.integer({ min: 1, max: 5 });
const key = fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5', 'k6');
const currency = fc.constantFrom('EUR', 'EUR', 'EUR', 'JPY');
const grantKey = fc.constantFrom('g1', 'g2', 'g3');

/** What one posting moves, against `cash`; sums to 0 unless `odd`. */
const move = (owner: string): fc.Arbitrary<Posting> =>
  fc.oneof(
    fc
      .record({ amount: small, on: id })
      .map(({ amount, on }) => posting(`receivable/${owner}`, amount, { invoice: on })),
    small.map((amount) => posting(`receivable/${owner}`, amount)),
    fc
      .record({ amount: small, of: grantKey })
      .map(({ amount, of }) => posting(`credit/${owner}`, amount, { grant: of })),
  );
const moving = (owner: string): fc.Arbitrary<Transaction> =>
  fc.record({ key, currency, moves: fc.array(move(owner), { minLength: 1, maxLength: 2 }) }).map((t) => {
    const sum = t.moves.reduce((all, { amount }) => all + amount, 0n);
    return transaction(t.key, [...t.moves, posting('cash', -sum)], { tenant: owner, currency: t.currency });
  });

const item = account.chain((owner) =>
  fc
    .record({
      day: fc.nat(3),
      version: fc.integer({ min: 1, max: 2 }),
      total: fc.bigInt(0n, 90n),
      after: fc.option(id),
      accounts: fc.uniqueArray(fc.record({ account, after: fc.option(fc.nat(5)) }), {
        selector: (one) => one.account,
        maxLength: 2,
      }),
      frontier: fc.nat(2),
      voids: fc.option(id, { freq: 4 }),
      extra: fc.array(moving(owner), { maxLength: 1 }),
    })
    .map(({ day, version, total, after, accounts, frontier, voids, extra }): FinalInvoice => {
      const kind = voids === null ? 'invoice' : 'credit-note';
      const made = invoice(day, { account: owner, version, total, after, accounts, frontier, voids, kind });
      return { ...made, transactions: [...(total === 0n ? [] : made.transactions), ...extra] };
    }),
);

const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(item, { maxLength: 4 }).map(
      (batch): Call =>
        (store) =>
          store.finalise(batch),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.array(account.chain(moving), { maxLength: 2 }).map(
      (all): Call =>
        (store) =>
          store.post(all),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ account, key: grantKey, amount: fc.bigInt(1n, 50n), currency })
      .map(({ key: named, ...more }): Call => {
        const one = grant(named, more);
        return (store) => store.change(one.account, {}, () => ({ grants: [one], transactions: [granting(one)] }));
      }),
  },
  fc.record({ account, reference: fc.constantFrom('r', 's'), amount: fc.bigInt(1n, 3n) }).map(
    (more): Call =>
      (store) =>
        store.change(more.account, { references: ['r'] }, (books, found) =>
          found.payments.length > 1
            ? {}
            : { payments: [payment(more.reference, { ...more, at: T + books.open.length })] },
        ),
  ),
  fc.record({ account, day: fc.nat(3) }).map(
    ({ account: of, day }): Call =>
      (store) =>
        store.saveDrafts([draft(of, day)]),
  ),
);

/** All there is to read. Ids of notices and runs are left out: only their order is promised. */
const everything = async (store: BillingStore): Promise<unknown> => ({
  invoices: await store.invoices({ limit: 999 }),
  open: await store.invoices({ limit: 999, state: 'overdue', now: T + 16 * 86_400_000 }),
  documents: await store.documentsOf(['a', 'b'], T),
  finals: [await store.finalDocuments(['a', 'b'], T), await store.finalHeads(['a', 'b', 'c'])],
  lastFor: await store.lastFor(['a', 'b', 'c']),
  ends: await store.lastFinalEnd(['a', 'b']),
  drafts: await store.drafts({ limit: 99 }),
  books: await store.booksOf(['a', 'b', 'c']),
  transactions: await store.transactions({ limit: 999 }),
  balances: await store.balances(['cash', 'receivable/', 'credit/', 'revenue/', 'promotion/']),
  grants: await store.grants({ limit: 99 }),
  payments: await store.payments({ limit: 99 }),
});

/** Sum to nothing by currency; nobody has used or paid more than there was; numbers have no gaps. */
async function lawful(store: BillingStore): Promise<void> {
  const sums = new Map<string, bigint>();
  for (const { currency: of, amount } of await store.balances([
    'cash',
    'receivable/',
    'credit/',
    'revenue/',
    'promotion/',
  ]))
    sums.set(of, (sums.get(of) ?? 0n) + amount);
  assert.ok([...sums.values()].every((sum) => sum === 0n));
  const invoices = await store.invoices({ limit: 999 });
  assert.ok(invoices.every(({ open }) => open >= 0n));
  assert.ok((await store.grants({ limit: 99 })).every(({ rest }) => rest >= 0n));
  for (const { balance } of await store.booksOf(['a', 'b'])) assert.ok(Object.values(balance).every((sum) => sum > 0n));
  for (const kind of ['invoice', 'credit-note']) {
    const numbers = invoices.filter((one) => one.kind === kind).map(({ sequence }) => sequence);
    assert.deepEqual(
      numbers.reverse(),
      Array.from(numbers, (_, i) => i + 1),
    );
  }
}

const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => {
      if (codeOf(error) === '') throw error;
      return { code: codeOf(error) };
    },
  );

export async function sameBooks(
  open: () => Promise<readonly [ControlStore, ControlStore]>,
  runs: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 25, size: 'max' }), async (calls) => {
      const stores = await open();
      try {
        for (const one of calls) {
          const [a, b] = await Promise.all(stores.map(({ billing }) => outcome(one(billing))));
          assert.deepEqual(a, b);
        }
        const [a, b] = await Promise.all(stores.map(({ billing }) => everything(billing)));
        assert.deepEqual(a, b);
        await lawful(stores[1].billing);
      } finally {
        await Promise.all(stores.map((store) => store.close()));
      }
    }),
    { numRuns: runs },
  );
}
