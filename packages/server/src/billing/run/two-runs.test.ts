/** Two runs at once, of different S, for which different accounts pay: an account is billed by one of them, on either engine. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { BillingStore } from '../../store/billing-store.ts';
import type { ControlStore } from '../../store/control-store.ts';
import { type ContractServer, startContractServer } from '../../store/postgres/testing/contract-server.ts';
import { readDocument } from '../invoice/canonical.ts';
import { fee } from '../invoice/testing/world.ts';
import { LedgerError } from '../ledger/ledger-error.ts';
import { creditByHand, voidByHand } from './by-hand.ts';
import type { InvoiceRuns } from './runs.ts';
import { checkAgain, checkSettled } from './testing/settled.ts';
import { at, type BillingWorld, openBilling, ZONE } from './testing/world.ts';

const rest = { currency: 'EUR', state: 'active' } as const;
const party = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
const paidBy = (world: BillingWorld, payer: 'self' | 'parent'): Promise<void> =>
  world.append({ kind: 'profile', account: 'kid', payer, ...party });

/** The kid below top, each with a plan since October, as of November 5. */
async function opened(control?: ControlStore): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T12:00', control === undefined ? {} : { control });
  await world.account('top');
  await world.account('kid', 'top');
  await world.plan('basic', [fee('base', '49')]);
  for (const id of ['top', 'kid']) await world.subscribe(id, 'basic', '2026-10-01');
  world.clock.at = at('2026-11-05');
  await world.usage.job.run();
  return world;
}

/** A server that does something else just before it makes the first documents final. */
function racing(world: BillingWorld, race: () => Promise<unknown>, billing = world.billing): InvoiceRuns {
  let isDone = false;
  const finalise: BillingStore['finalise'] = async (...batch) => {
    if (!isDone) {
      isDone = true;
      await race();
    }
    return billing.finalise(...batch);
  };
  return world.server('racing', { billing: { ...billing, finalise } });
}

function gate(): { opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** What all documents bill of the kid, by the beginning of the period. */
async function billedOf({ billing }: BillingWorld): Promise<bigint[]> {
  const sums = new Map<string, bigint>();
  for (const { document } of await billing.documentsOf(['top', 'kid', 'uncle'], 0))
    for (const { account, key, amount } of readDocument(document).lines)
      if (account === 'kid') sums.set(key, (sums.get(key) ?? 0n) + BigInt(amount));
  return [...sums.values()];
}

const changed = async (world: BillingWorld, payer: 'self' | 'parent'): Promise<void> => {
  await paidBy(world, payer);
  await world.usage.job.run();
};

const settled = async (world: BillingWorld): Promise<void> => {
  await world.runAt('2026-11-06');
  assert.deepEqual(await billedOf(world), [4900n, 4900n]);
  await checkSettled(world, ['top', 'kid']);
  await checkAgain(world);
};

/** `other`: another server's connection to the same books. */
const cases: Record<string, (world: BillingWorld, other: BillingStore) => Promise<void>> = {
  'the run of the older S comes last: it finds that all is billed': async (world, other) => {
    const older = racing(world, async () => {
      await changed(world, 'parent');
      const newer = await world.server('newer', { billing: other }).run({ accounts: ['top'] });
      assert.deepEqual([newer.invoices, newer.failures], [2, []]);
    });
    const view = await older.run({ accounts: ['kid'] });
    assert.deepEqual([view.invoices, view.failures], [0, []]);
    await settled(world);
  },

  'the run of the older S comes last and cannot know who pays by now: it is refused, and says whom it is about': async (
    world,
    other,
  ) => {
    await world.account('uncle');
    const older = racing(world, async () => {
      await world.append({ kind: 'account', id: 'kid', parent: 'uncle', name: 'kid', zone: ZONE, ...rest });
      await changed(world, 'parent');
      const newer = await world.server('newer', { billing: other }).run({ accounts: ['uncle'] });
      assert.equal(newer.invoices, 1);
    });
    const view = await older.run({ accounts: ['kid'] });
    assert.deepEqual(
      view.failures.map(({ account, code }) => `${account} ${code}`),
      ['kid invoice.overtaken'],
    );
    assert.match(view.failures[0]?.reason ?? '', /^kid was billed meanwhile, or of more facts/);
    await world.runAt('2026-12-05');
    const sums = await billedOf(world);
    assert.deepEqual(
      sums,
      sums.map(() => 4900n),
    );
    await checkSettled(world, ['top', 'kid']);
    await checkAgain(world);
  },

  'the same when the payer of before is another account': async (world, other) => {
    await changed(world, 'parent');
    const older = racing(world, async () => {
      await changed(world, 'self');
      await world.server('newer', { billing: other }).run({ accounts: ['kid'] });
    });
    const view = await older.run({ accounts: ['top'] });
    assert.deepEqual(
      view.failures.map(({ account, code }) => `${account} ${code}`),
      ['top invoice.overtaken'],
    );
    await settled(world);
  },

  'the run of the older S comes first, while the newer one has computed already: it computes again': async (
    world,
    other,
  ) => {
    const [isThere, goOn] = [gate(), gate()];
    const older = racing(world, () => {
      isThere.open();
      return goOn.opened;
    }).run({ accounts: ['kid'] });
    await isThere.opened;
    await changed(world, 'parent');
    const race = async (): Promise<void> => {
      goOn.open();
      assert.equal((await older).invoices, 2);
    };
    const view = await racing(world, race, other).run({ accounts: ['top'] });
    assert.deepEqual([view.invoices, view.failures], [2, []]);
    await settled(world);
  },

  'what the new payer takes back while somebody credits it at the old one is not given back twice': async (world) => {
    await world.runAt('2026-11-05');
    await changed(world, 'parent');
    const [{ id } = { id: 0 }] = await world.billing.invoices({ accounts: ['kid'], limit: 1 });
    const [held] = world.log.book.catalogue.subscriptionsOf('kid');
    assert.ok(held);
    const { receipt: _, ...subscription } = held;
    await world.append({ ...subscription, to: at('2026-11-01') });
    const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
    const credit = { line: 1, amount: 4900n, reason: 'left', credits: 'correction' } as const;
    world.clock.at = at('2026-12-05');
    await world.usage.job.run();
    await racing(world, () => creditByHand(deps, id, credit)).run({ accounts: ['top'] });
    assert.deepEqual((await billedOf(world)).sort(), [0n, 4900n]);
    await assert.rejects(creditByHand(deps, id, { ...credit, amount: 1n }), LedgerError);
    await checkAgain(world);
  },

  'an invoice that is made void while the new payer takes it off is billed by that one': async (world) => {
    await world.runAt('2026-11-05');
    await changed(world, 'parent');
    const [{ id } = { id: 0 }] = await world.billing.invoices({ accounts: ['kid'], limit: 1 });
    const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
    world.clock.at = at('2026-12-05');
    await world.usage.job.run();
    await racing(world, () => voidByHand(deps, id, 'wrong')).run({ accounts: ['top'] });
    await world.runAt('2027-01-05');
    await checkSettled(world, ['top', 'kid']);
    await checkAgain(world);
  },
};
suite('on the model', () => {
  for (const [name, work] of Object.entries(cases))
    test(name, async () => {
      const world = await opened();
      await work(world, world.billing);
    });
});

suite('on PostgreSQL', () => {
  let server: ContractServer;
  before(async () => {
    server = await startContractServer();
  });
  after(() => server?.stop());
  // The store's contract holds both engines to one behaviour: short, two show that it is enough for runs.
  for (const [name, work] of Object.entries(cases).slice(0, process.env.CI === 'true' ? 9 : 2))
    test(name, async () => {
      const store = server.empty();
      try {
        const [control, { billing }] = [await store.open(), await store.open()];
        await work(await opened(control), billing);
      } finally {
        await store.drop();
      }
    });
});
