/** The chain from usage to cash agrees to the last unit, and where it does not, the place is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BillingStore, Invoice, PostedTransaction, StoredPayment } from '../../store/billing-store.ts';
import { recordPayment } from '../ledger/payments.ts';
import { creditByHand, voidByHand } from '../run/by-hand.ts';
import { type BillingWorld, basic, openBilling } from '../run/testing/world.ts';
import { Reconciler } from './reconcile.ts';

/** Two customers, a credit note, a void invoice, and a payment. */
async function opened(): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic);
  for (const id of ['acme', 'other']) {
    await world.account(id);
    await world.subscribe(id, 'basic', '2026-10-01');
  }
  await world.tokens('acme', '2026-10-05', 20);
  await world.runAt('2026-11-05');
  const hand = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  await creditByHand(hand, 1, { line: 1, amount: 500n, reason: 'outage' });
  await voidByHand(hand, 4, 'wrong');
  await world.runAt('2026-11-06');
  return world;
}

function reconcilerOf({ usage, clock }: BillingWorld, billing: BillingStore, kept = { text: null as string | null }) {
  return new Reconciler({
    billing,
    meteredAt: (asOf) => usage.meteredAt(asOf),
    now: () => clock.at,
    kept: {
      read: async () => kept.text,
      write: async (text) => {
        kept.text = text;
      },
    },
  });
}

test('all stages agree, and the next pass looks only at what is new', async () => {
  const world = await opened();
  const kept = { text: null as string | null };
  const first = await reconcilerOf(world, world.billing, kept).pass(false);
  assert.deepEqual(first.difference, { EUR: 0n });
  assert.deepEqual([first.accounts, first.documents, first.whole], [2, 7, true]);
  const [sums] = first.sums;
  assert.ok(sums);
  assert.deepEqual([sums.rated, sums.lines, sums.total, -sums.revenue], Array(4).fill(sums.receivable));
  assert.deepEqual(
    first.meters.map(({ meter, billed, metered }) => [meter, billed === metered, billed > 0n]),
    [['tokens', true, true]],
  );
  const restarted = reconcilerOf(world, world.billing, kept);
  assert.deepEqual(await restarted.last(), first);
  const idle = await restarted.pass(false);
  assert.deepEqual([idle.accounts, idle.documents, idle.whole], [0, 0, false]);
  await recordPayment(world.billing, {
    ...{ account: 'acme', reference: 'p1', amount: 4400n, currency: 'EUR', method: 'transfer' },
    ...{ receivedAt: null, invoice: null, author: 'test', now: world.clock.at },
  });
  const second = await restarted.pass(false);
  assert.deepEqual([second.accounts, second.documents, second.difference], [1, 0, { EUR: 0n }]);
  assert.deepEqual([second.sums[0]?.payments, second.sums[0]?.cash], [4400n, 4400n]);
  assert.equal((await restarted.pass(true)).documents, 7);
});

/** What the store answers, changed on its way. */
interface Lies {
  document?(invoice: Invoice): Invoice;
  transactions?(all: PostedTransaction[]): PostedTransaction[];
  payments?(all: StoredPayment[]): StoredPayment[];
}
const lying = (billing: BillingStore, { document = (one) => one, transactions, payments }: Lies): BillingStore => ({
  ...billing,
  invoice: async (id) => {
    const found = await billing.invoice(id);
    return found && document(found);
  },
  invoices: (filter) => billing.invoices(filter),
  documentsOf: async (accounts, from) => (await billing.documentsOf(accounts, from)).map(document),
  transactions: async (filter) => {
    const all = await billing.transactions(filter);
    return transactions === undefined ? all : transactions(all);
  },
  payments: async (filter) => {
    const all = await billing.payments(filter);
    return payments === undefined ? all : payments(all);
  },
});

async function check(lies: Lies, expected: readonly [stage: string, document: string, amount: bigint]): Promise<void> {
  const world = await opened();
  const { findings, difference } = await reconcilerOf(world, lying(world.billing, lies)).pass(true);
  const [first] = findings;
  assert.deepEqual(
    [first?.stage, first?.document, first?.amount],
    expected,
    JSON.stringify(findings.map((f) => f.text)),
  );
  assert.ok((difference.EUR ?? 0n) >= expected[2]);
}

const only = (number: string, change: (one: Invoice) => Invoice) => (one: Invoice) =>
  one.number === number ? change(one) : one;

test('a line that is billed with another quantity than was metered', () =>
  check(
    {
      document: only('INV-000003', (one) => ({
        ...one,
        document: one.document.replace('"metered":"20"', '"metered":"21"'),
      })),
    },
    ['metered', 'INV-000003', 1n],
  ));

test('a line of another amount than its quantity costs', () =>
  check(
    {
      document: only('INV-000003', (one) => ({
        ...one,
        document: one.document.replace('"amount":"200"', '"amount":"207"'),
      })),
    },
    ['rated', 'INV-000003', 7n],
  ));

test('a total that is not the sum of the lines', () =>
  check({ document: only('INV-000001', (one) => ({ ...one, total: one.total + 5n })) }, [
    'invoiced',
    'INV-000001',
    5n,
  ]));

test('a document that posted nothing', () =>
  check({ transactions: (all) => all.filter(({ key }) => !/^invoice\/acme\/(\d+)\/\1\//.test(key)) }, [
    'posted',
    'INV-000001',
    4900n,
  ]));

test('a posting without a document', async () => {
  const stray = {
    id: 99,
    key: 'invoice/acme/1/2/1',
    tenant: 'acme',
    kind: 'invoice',
    at: 0,
    currency: 'EUR',
    text: '',
  };
  const posting = { invoice: null, grant: null };
  const postings = [
    { book: 'receivable/acme', amount: 12n, ...posting },
    { book: 'revenue/default', amount: -12n, ...posting },
  ];
  await check({ transactions: (all) => [...all, { ...stray, postings } as PostedTransaction] }, [
    'posted',
    'invoice/acme/1/2/1',
    12n,
  ]);
});
