/** Credit notes, void invoices, and what is made final before its time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BillingStore, Invoice } from '../../store/billing-store.ts';
import { grantCredit } from '../ledger/credits.ts';
import { LedgerError } from '../ledger/ledger-error.ts';
import { recordPayment } from '../ledger/payments.ts';
import { creditByHand, type HandDeps, voidByHand } from './by-hand.ts';
import { at, type BillingWorld, basic, openBilling } from './testing/world.ts';

async function billed(): Promise<{ world: BillingWorld; deps: HandDeps; last: Invoice }> {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.append(
    { kind: 'tax', jurisdiction: 'DE', category: '', name: 'USt', percent: '19', inclusive: false, from: 0, to: null },
    {
      ...{ kind: 'profile', account: 'acme', entity: '', payer: 'self', name: '', address: [], taxId: '', email: '' },
      ...{ jurisdiction: 'DE', exemption: '' },
    },
  );
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.tokens('acme', '2026-10-05', 3);
  await world.runAt('2026-11-05');
  const [{ id } = { id: 0 }] = await world.billing.invoices({ limit: 1 });
  const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  return { world, deps, last: (await world.billing.invoice(id)) as Invoice };
}

const refused = (work: Promise<unknown>, code: string) =>
  assert.rejects(work, (error) => error instanceof LedgerError && error.code === code);

test('parts of a line are credited with their part of its tax, and together never more than the line', async () => {
  const { world, deps, last } = await billed();
  const credit = (amount: bigint) => creditByHand(deps, last.id, { line: 2, amount, reason: 'outage' });
  const notes = [await credit(1n), await credit(1000n), await credit(3899n)];
  assert.deepEqual(
    notes.map(({ number, net, tax, total }) => [number, net, tax, total]),
    [
      ['CN-000001', -1n, 0n, -1n],
      ['CN-000002', -1000n, -190n, -1190n],
      ['CN-000003', -3899n, -741n, -4640n],
    ],
  );
  await refused(credit(1n), 'invoice.too_much');
  await refused(creditByHand(deps, last.id, { line: 9, amount: 1n, reason: '' }), 'invoice.line');
  await refused(creditByHand(deps, notes[0]?.id ?? 0, { line: 1, amount: 1n, reason: '' }), 'invoice.unknown');
  assert.equal((await world.billing.invoice(last.id))?.open, last.total - 5831n);
  await refused(voidByHand(deps, last.id, 'wrong'), 'invoice.credited');
  await world.runAt('2026-12-05');
  assert.match((await world.papers()).at(-1) ?? '', /11-01\.\.12-01: tokens 0.00, base 49.00 = 58.31 open$/);
});

test('a void invoice is reversed in full, and its period is billed anew with what is known by then', async () => {
  const { world, deps, last } = await billed();
  const note = await voidByHand(deps, last.id, 'wrong');
  assert.deepEqual([note.total, note.tax, note.voids], [-last.total, -last.tax, last.id]);
  await refused(voidByHand(deps, last.id, 'wrong'), 'invoice.void');
  await world.tokens('acme', '2026-10-06', 5);
  await world.runAt('2026-11-06');
  const [again] = await world.billing.invoices({ limit: 1 });
  assert.deepEqual([again?.number, again?.version, again?.total], ['INV-000003', 2, 5926n]);
  await world.runAt('2026-12-05');
  assert.match((await world.papers()).at(-1) ?? '', /INV-000004 .*: tokens 0.00, base 49.00 = 58.31 open$/);
  const books = await world.billing.balances(['receivable/', 'revenue/', 'tax/']);
  assert.equal(
    books.reduce((sum, { amount }) => sum + amount, 0n),
    0n,
  );
});

test('an older invoice that is void is billed anew too, and later ones stay as they are', async () => {
  const { world, deps, last } = await billed();
  await world.runAt('2026-12-05');
  await voidByHand(deps, last.id, 'wrong');
  await world.runAt('2026-12-06');
  assert.deepEqual((await world.papers()).slice(-2), [
    'CN-000001 acme 10-01..11-01: tokens -0.30 (INV-000002:1, wrong), base -49.00 (INV-000002:2, wrong) = -58.67',
    'INV-000004 acme 10-01..11-01: tokens 0.30, base 49.00 = 58.67 open',
  ]);
});

test('a draft is final before its time when somebody says so, but not when something is in the way', async () => {
  const { world } = await billed();
  await world.runAt('2026-12-02');
  const span = { from: at('2026-11-01'), to: at('2026-12-01') };
  const { made, failure } = await world.runs.finaliseNow('acme', span);
  assert.deepEqual([made?.number, failure], ['INV-000003', null]);
  assert.deepEqual(await world.runs.finaliseNow('acme', span), { made: null, failure: null });
  assert.deepEqual(await world.billing.drafts({ limit: 9 }), []);
});

/** The books, with something done by somebody else just before the first document becomes final. */
function withRace(deps: HandDeps, race: (deps: HandDeps) => Promise<unknown>): HandDeps {
  let isDone = false;
  const finalise: BillingStore['finalise'] = async (...batch) => {
    if (!isDone) {
      isDone = true;
      await race(deps);
    }
    return deps.billing.finalise(...batch);
  };
  return { ...deps, billing: { ...deps.billing, finalise } };
}

const receivableOf = async ({ billing }: BillingWorld): Promise<bigint> =>
  (await billing.balances(['receivable/acme']))[0]?.amount ?? 0n;

test('what is credited while the invoice is made void is not given back twice', async () => {
  const { world, deps, last } = await billed();
  const before = await receivableOf(world);
  const racing = withRace(deps, (own) => creditByHand(own, last.id, { line: 2, amount: 3000n, reason: 'outage' }));
  await refused(voidByHand(racing, last.id, 'wrong'), 'invoice.credited');
  assert.equal(await receivableOf(world), before - 3570n);
});

test('nothing is credited of what is made void meanwhile, nor of what a run takes back', async () => {
  const { world, deps, last } = await billed();
  const credit = { line: 2, amount: 4900n, reason: 'outage' };
  const voiding = withRace(deps, (own) => voidByHand(own, last.id, 'wrong'));
  await refused(creditByHand(voiding, last.id, credit), 'invoice.void');
  await world.runAt('2026-11-06');
  const [again] = await world.billing.invoices({ limit: 1 });
  await leave(world, '2026-11-10');
  const running = withRace(deps, () => world.runAt('2026-12-05'));
  await refused(creditByHand(running, again?.id ?? 0, credit), 'invoice.too_much');
});

test('of many credits at once as many are made as there is left to credit', async () => {
  const { world, deps, last } = await billed();
  const before = await receivableOf(world);
  const credits = Array.from({ length: 12 }, (_, i) =>
    creditByHand(deps, last.id, { line: 2, amount: 1000n, reason: `outage ${i}` }),
  );
  const all = await Promise.allSettled(credits);
  const codes = all.flatMap((one) => (one.status === 'rejected' ? [(one.reason as LedgerError).code] : []));
  assert.deepEqual(codes, Array(8).fill('invoice.too_much'));
  assert.equal(await receivableOf(world), before - 4n * 1190n);
});

test('a payment while the invoice is made void is seen', async () => {
  const { deps, last } = await billed();
  const paying = withRace(deps, ({ billing }) =>
    recordPayment(billing, {
      ...{ account: 'acme', reference: 'p', amount: 100n, currency: 'EUR', receivedAt: null, method: 'bank' },
      ...{ invoice: last.id, author: 'x', now: deps.now() },
    }),
  );
  await refused(voidByHand(paying, last.id, 'wrong'), 'invoice.settled');
});

test('a document whose commit nobody heard of is found, and not made again', async () => {
  const { world, deps, last } = await billed();
  const { billing } = deps;
  const finalise: BillingStore['finalise'] = async (...batch) => {
    await billing.finalise(...batch);
    return billing.finalise(...batch);
  };
  const unheard = { ...deps, billing: { ...billing, finalise } };
  const credit = (of: HandDeps) => creditByHand(of, last.id, { line: 2, amount: 1000n, reason: 'outage' });
  assert.equal((await credit(unheard)).number, 'CN-000001');
  assert.equal((await billing.invoices({ kind: 'credit-note', limit: 9 })).length, 1);
  // The same once more is another one, also when somebody else has just made one like it.
  world.clock.at += 1000;
  const other = withRace(deps, (own) => credit({ ...own, now: () => deps.now() - 1 }));
  assert.equal((await credit(other)).number, 'CN-000003');
});

test('a void period that is billed anew does not fill credits up for the second time', async () => {
  const { world, deps, last } = await billed();
  await grantCredit(world.billing, {
    ...{ account: 'acme', key: 'g', amount: 10_000n, currency: 'EUR', priority: 1, expires: null, lowAt: null },
    ...{ rollover: { least: 9000n, most: 10_000n }, effective: at('2026-10-01'), now: world.clock.at, paid: null },
    ...{ entity: 'default', reason: '', author: 'x' },
  });
  const rest = async (): Promise<bigint | undefined> => (await world.billing.grants({ limit: 1 }))[0]?.rest;
  await world.runAt('2026-12-05');
  assert.equal(await rest(), 9000n);
  await voidByHand(deps, last.id, 'wrong');
  await world.runAt('2026-12-06');
  assert.equal(await rest(), 9000n - 5867n);
});

/** Its plan ends. */
async function leave(world: BillingWorld, t: string): Promise<void> {
  const held = world.log.book.catalogue.subscriptionsOf('acme').filter(({ to }) => to === null);
  await world.append(...held.map(({ receipt: _, ...old }) => ({ ...old, to: at(t) })));
}

test('what a later invoice has taken back of a line cannot be credited too', async () => {
  const { world, deps, last } = await billed();
  await leave(world, '2026-11-10');
  await world.runAt('2026-12-05');
  assert.match((await world.papers()).at(-1) ?? '', /base -34.30 \(INV-000002:2, change of plan\)/);
  const credit = (amount: bigint) => creditByHand(deps, last.id, { line: 2, amount, reason: 'outage' });
  await refused(credit(1471n), 'invoice.too_much');
  assert.deepEqual((await credit(1470n)).net, -1470n);
  await refused(credit(1n), 'invoice.too_much');
});
