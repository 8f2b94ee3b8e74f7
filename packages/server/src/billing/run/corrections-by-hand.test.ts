/** A credit note that corrects a line, and what late facts then still take back of it: nothing is given back twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { documentText, readDocument } from '../invoice/canonical.ts';
import { fee } from '../invoice/testing/world.ts';
import { LedgerError } from '../ledger/ledger-error.ts';
import { computeAgain } from '../proof/again.ts';
import { creditByHand, type HandDeps } from './by-hand.ts';
import { checkAgain } from './testing/settled.ts';
import { at, type BillingWorld, basic, openBilling } from './testing/world.ts';

interface Billed {
  world: BillingWorld;
  deps: HandDeps;
  /** Id of the last invoice, the base of November on its line 2. */
  id: number;
}

async function billed(): Promise<Billed> {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.tokens('acme', '2026-10-05', 3);
  await world.runAt('2026-11-05');
  const [{ id } = { id: 0 }] = await world.billing.invoices({ limit: 1 });
  const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  return { world, deps, id };
}

/** Its plan ends then, or, '' given, goes on. */
async function ends(world: BillingWorld, t: string): Promise<void> {
  const [held] = world.log.book.catalogue.subscriptionsOf('acme');
  assert.ok(held);
  const { receipt: _, ...old } = held;
  await world.append({ ...old, to: t === '' ? null : at(t) });
}

const base = { line: 2, reason: 'ended early' };

for (const { amount, kept, by } of [
  { amount: 2000n, kept: 1470n, by: 'base -14.30 (INV-000002:2, change of plan)' },
  { amount: 3430n, kept: 1470n, by: '' },
  { amount: 4000n, kept: 900n, by: '' },
])
  test(`of 34.30 that are not due any more, ${amount} were credited as a correction: the rest is given back`, async () => {
    const { world, deps, id } = await billed();
    await creditByHand(deps, id, { ...base, amount, credits: 'correction' });
    await ends(world, '2026-11-10');
    await world.runAt('2026-12-05');
    const papers = await world.papers();
    assert.equal(papers.at(-1)?.includes('base'), by !== '', papers.join('\n'));
    assert.ok(papers.at(-1)?.includes(by));
    assert.equal(await baseOf(world), kept);
    await checkAgain(world);
  });

/** What all documents together bill of the base of November. */
async function baseOf(world: BillingWorld): Promise<bigint> {
  const all = await world.billing.documentsOf(['acme'], 0);
  const lines = all.flatMap(({ document }) => readDocument(document).lines);
  return lines
    .filter(({ price, key }) => price === 'base' && key.includes(`|${at('2026-11-01')}|`))
    .reduce((sum, { amount }) => sum + BigInt(amount), 0n);
}

test('an adjustment tells what was given back already, and its steps sum to it', async () => {
  const { world, deps, id } = await billed();
  await creditByHand(deps, id, { ...base, amount: 2000n, credits: 'correction' });
  await ends(world, '2026-11-10');
  await world.runAt('2026-12-05');
  const all = await world.billing.documentsOf(['acme'], 0);
  const lines = all.flatMap(({ document }) => readDocument(document).lines);
  const adjusted = lines.find(({ kind }) => kind === 'adjustment');
  assert.deepEqual(
    adjusted?.steps.slice(-3).map(({ text, amount }) => [text, amount]),
    [
      ['due by now', '14.70'],
      ['billed on INV-000002:2', '-49.00'],
      ['given back already by CN-000001', '20.00'],
    ],
  );
});

test('a credit note is computed again as it was made: gift or correction, with its key', async () => {
  const { world, deps, id } = await billed();
  await creditByHand(deps, id, { ...base, amount: 2000n, credits: 'correction', key: 'ticket 7' });
  await creditByHand(deps, id, { ...base, amount: 100n });
  const notes = (await world.billing.documentsOf(['acme'], 0)).filter(({ kind }) => kind === 'credit-note');
  const again = await computeAgain(world.billing, await world.usage.meteredAt(null), notes);
  assert.deepEqual(
    again.map(({ document, failure }) => [document && documentText(document), failure]),
    notes.map(({ document }) => [document, null]),
  );
});

test('a gift changes nothing of what is due: it stays given, and the rest is given back too', async () => {
  const { world, deps, id } = await billed();
  await creditByHand(deps, id, { ...base, amount: 2000n });
  await ends(world, '2026-11-10');
  await world.runAt('2026-12-05');
  assert.equal(await baseOf(world), 1470n - 2000n);
  await checkAgain(world);
});

test('a correction stays where late facts come and are undone, and nothing is billed again because of it', async () => {
  const { world, deps, id } = await billed();
  await creditByHand(deps, id, { ...base, amount: 1000n, credits: 'correction' });
  await world.runAt('2026-11-06');
  assert.equal(await baseOf(world), 3900n);
  await ends(world, '2026-11-20');
  await world.runAt('2026-12-05');
  assert.equal(await baseOf(world), 3103n);
  await ends(world, '');
  await world.runAt('2027-01-05');
  assert.equal(await baseOf(world), 3900n);
  await ends(world, '2026-11-01');
  await world.runAt('2027-02-05');
  assert.equal(await baseOf(world), 0n);
  await checkAgain(world);
});

test('the same key again is the same credit note, another content under it is refused', async () => {
  const { world, deps, id } = await billed();
  const asked = { ...base, amount: 1000n, credits: 'correction', key: 'ticket 7' } as const;
  const first = await creditByHand(deps, id, asked);
  world.clock.at += 86_400_000;
  const again = await creditByHand(deps, id, asked);
  assert.deepEqual([first.number, first.isNew, again.number, again.isNew], ['CN-000001', true, 'CN-000001', false]);
  const { credits: _, ...gift } = asked;
  const [advance] = await world.billing.invoices({ kind: 'invoice', limit: 9 }).then((all) => all.slice(-1));
  for (const [on, other] of [
    [id, { ...asked, amount: 999n }],
    [id, { ...asked, line: 1 }],
    [id, { ...asked, reason: 'another' }],
    [id, gift],
    [advance?.id ?? 0, asked],
  ] as const)
    await assert.rejects(
      creditByHand(deps, on, other),
      (error) => error instanceof LedgerError && error.code === 'credit.conflict' && error.field === 'key',
    );
  assert.equal((await world.billing.invoices({ kind: 'credit-note', limit: 9 })).length, 1);
  assert.equal((await creditByHand(deps, id, { ...asked, key: 'ticket 8' })).number, 'CN-000002');
});

test('of one key asked for many times at once one credit note is made; of two keys at one instant two', async () => {
  const { world, deps, id } = await billed();
  const ask = (key: string) => creditByHand(deps, id, { ...base, amount: 1000n, key });
  const all = await Promise.all(['a', 'a', 'a', 'b', 'a', 'b'].map(ask));
  assert.equal(all.filter(({ isNew }) => isNew).length, 2);
  assert.equal((await world.billing.invoices({ kind: 'credit-note', limit: 9 })).length, 2);
});

test('whatever was credited and then left or taken up again, corrections never give back more than was billed', async () => {
  const step = fc.oneof(
    fc.record({ credit: fc.integer({ min: 1, max: 4900 }) }),
    fc.record({ ends: fc.constantFrom('', '2026-11-01', '2026-11-08', '2026-11-16', '2026-11-24') }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 4 }), async (steps) => {
      const { world, deps, id } = await billed();
      for (const [i, what] of [...steps, { ends: '2026-11-01' }].entries()) {
        if ('credit' in what) {
          const asked = { ...base, amount: BigInt(what.credit), credits: 'correction' } as const;
          await creditByHand(deps, id, asked).catch((error: unknown) => {
            if (!(error instanceof LedgerError)) throw error;
          });
        } else await ends(world, what.ends);
        await world.runAt(`2027-0${i + 1}-05`);
        const left = await baseOf(world);
        assert.ok(left >= 0n, `${left} is left`);
      }
      assert.equal(await baseOf(world), 0n, 'nothing is due, nothing more was given back');
      await checkAgain(world);
    }),
    { numRuns: process.env.CI === 'true' ? 12 : 2 },
  );
});

test('a line is credited for no more than is left under its own tax', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  const rate = { kind: 'tax', jurisdiction: 'DE', name: 'VAT', inclusive: false, from: 0, to: null } as const;
  await world.append({ ...rate, category: '', percent: '19' }, { ...rate, category: 'low', percent: '7' });
  await world.append({
    ...{ kind: 'profile', account: 'acme', entity: '', payer: 'self', name: '', address: [], taxId: '', email: '' },
    ...{ jurisdiction: 'DE', exemption: '' },
  });
  const arrears = (tax: string) => [fee('base', '31.00', { term: 'arrears', tax })];
  await world.plan('one', arrears(''));
  await world.subscribe('acme', 'one', '2026-10-01');
  await world.runAt('2026-11-05');
  // From the 16th on it is another tax: 16 of 31 days move.
  const [held] = world.log.book.catalogue.planVersions('one');
  assert.ok(held?.billing);
  const { key, name, entitlements, limits, billing } = held;
  const plan = { key, name, entitlements, limits, billing: { ...billing, prices: arrears('low') } };
  await world.append({ kind: 'plan', plan, from: at('2026-10-16'), removed: false });
  await world.runAt('2026-12-05');
  const [first] = (await world.billing.invoices({ kind: 'invoice', limit: 9 })).slice(-1);
  const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  const credit = (amount: bigint) =>
    creditByHand(deps, first?.id ?? 0, { line: 1, amount, reason: 'x', credits: 'correction' });
  await assert.rejects(credit(1501n), /15\.00 EUR can still be credited/);
  assert.equal((await credit(1500n)).total, -1785n);
});
