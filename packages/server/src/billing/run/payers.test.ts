/** Who pays changes: what is due of an account is billed once, by whoever pays for it now, and what was billed stays billed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDocument } from '../invoice/canonical.ts';
import { fee } from '../invoice/testing/world.ts';
import { voidByHand } from './by-hand.ts';
import { checkAgain, checkSettled } from './testing/settled.ts';
import { at, type BillingWorld, basic, openBilling } from './testing/world.ts';

const party = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };

const paidBy = (world: BillingWorld, account: string, payer: 'self' | 'parent'): Promise<void> =>
  world.append({ kind: 'profile', account, payer, ...party });

const move = (world: BillingWorld, id: string, parent: string): Promise<void> =>
  world.append({ kind: 'account', id, parent, name: id, zone: 'Europe/Berlin', currency: 'EUR', state: 'active' });

/** `10-01 base 4900` for each day on which a period of the account begins: what all documents bill of it. */
async function billedOf({ billing }: BillingWorld, account: string): Promise<string[]> {
  const sums = new Map<string, bigint>();
  for (const { id } of await billing.invoices({ limit: 1000 })) {
    const invoice = await billing.invoice(id);
    for (const line of readDocument(invoice?.document ?? '').lines) {
      if (line.account !== account) continue;
      const day = new Intl.DateTimeFormat('sv', { timeZone: 'Europe/Berlin' }).format(Number(line.key.split('|')[3]));
      const name = `${day.slice(5)} ${line.price}`;
      sums.set(name, (sums.get(name) ?? 0n) + BigInt(line.amount));
    }
  }
  return [...sums]
    .filter(([, sum]) => sum !== 0n)
    .map(([name, sum]) => `${name} ${sum}`)
    .sort();
}

test('what a parent billed a year ahead is not billed again when the child pays for itself', async () => {
  const world = await openBilling('2026-01-01T12:00');
  await world.account('top');
  await world.account('kid', 'top');
  await world.plan('yearly', [fee('year', '600')], { period: { unit: 'year', count: 1 } });
  await world.plan('basic', basic, { anchor: 'subscription' });
  await world.subscribe('top', 'yearly', '2026-01-01');
  await world.subscribe('kid', 'basic', '2026-01-15');
  await paidBy(world, 'kid', 'parent');
  await world.runAt('2026-01-20');
  await paidBy(world, 'kid', 'self');
  for (const day of ['2026-04-20', '2026-05-20', '2026-06-20']) await world.runAt(day);
  const fees = await billedOf(world, 'kid');
  assert.deepEqual(
    fees.slice(0, 6),
    ['01', '02', '03', '04', '05', '06'].map((month) => `${month}-15 base 4900`),
  );
  assert.equal(fees.length, 12, 'the year that the parent paid');
  await checkAgain(world);
});

test('late usage of a child that pays for itself by now is on its own invoice and on no other', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('top');
  await world.account('kid', 'top');
  await world.plan('basic', basic);
  for (const id of ['top', 'kid']) await world.subscribe(id, 'basic', '2026-10-01');
  await paidBy(world, 'kid', 'parent');
  await world.runAt('2026-11-05');
  await paidBy(world, 'kid', 'self');
  await world.tokens('kid', '2026-10-10', 70);
  world.clock.at = at('2026-12-05');
  await world.usage.job.run();
  await world.server('one by one', { batch: 1 }).run();
  await world.runAt('2027-01-05');
  assert.deepEqual(await billedOf(world, 'kid'), [
    '01-01 base 4900',
    '10-01 base 4900',
    '10-01 tokens 700',
    '11-01 base 4900',
    '12-01 base 4900',
  ]);
  await checkAgain(world);
});

test('an account that moves to another parent is billed on, once', async () => {
  const world = await openBilling('2026-10-01T12:00');
  for (const id of ['old', 'new']) await world.account(id);
  await world.account('kid', 'old');
  await world.plan('basic', basic);
  for (const id of ['old', 'new', 'kid']) await world.subscribe(id, 'basic', '2026-10-01');
  await paidBy(world, 'kid', 'parent');
  await world.runAt('2026-11-05');
  await move(world, 'kid', 'new');
  await world.tokens('kid', '2026-10-10', 70);
  await world.runAt('2026-12-05');
  assert.deepEqual(await billedOf(world, 'kid'), [
    '10-01 base 4900',
    '10-01 tokens 700',
    '11-01 base 4900',
    '12-01 base 4900',
  ]);
  await checkAgain(world);
});

test('a subscription that is dated back before what is final, or between it, is billed', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-11-01');
  await world.tokens('acme', '2026-10-10', 100);
  await world.runAt('2026-12-05');
  const subscription = { kind: 'subscription', account: 'acme', plan: 'basic', anchor: at('2026-10-01') } as const;
  await world.append({ ...subscription, from: at('2026-10-01'), to: at('2026-11-01') });
  await world.runAt('2027-01-05');
  const expected = ['01-01 base 4900', '10-01 base 4900', '10-01 tokens 1000', '11-01 base 4900', '12-01 base 4900'];
  assert.deepEqual(await billedOf(world, 'acme'), expected);
  await world.runAt('2027-01-06');
  assert.deepEqual(await billedOf(world, 'acme'), expected, 'and not again');
  await checkAgain(world);
});

test('a plan that was left at the end of a period is given back, although no run came for two months', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.runAt('2026-12-05');
  const [subscription] = world.log.book.catalogue.subscriptionsOf('acme');
  assert.ok(subscription);
  const { receipt: _, ...given } = subscription;
  await world.append({ ...given, to: at('2026-12-01') });
  await world.runAt('2027-02-05');
  assert.deepEqual(await billedOf(world, 'acme'), ['10-01 base 4900', '11-01 base 4900']);
  await checkAgain(world);
});

test('what an invoice took off another one that is void by now is due again', async () => {
  const world = await openBilling('2026-01-10T12:00');
  await world.account('acme');
  await world.plan('mid', basic, { anchor: 'subscription' });
  await world.plan('quarter', [fee('base', '90')], { period: { unit: 'month', count: 3 } });
  await world.subscribe('acme', 'mid', '2026-01-15');
  await world.runAt('2026-01-16');
  const [first] = await world.billing.invoices({ limit: 1 });
  await world.subscribe('acme', 'quarter', '2026-01-14');
  await world.append({
    ...{ kind: 'subscription', account: 'acme', plan: 'mid', anchor: at('2026-01-15') },
    ...{ from: at('2026-01-15'), to: at('2026-01-15') },
  });
  await world.runAt('2026-05-05');
  const deps = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  await voidByHand(deps, first?.id ?? 0, 'wrong');
  await world.runAt('2026-08-05');
  await checkSettled(world, ['acme']);
  await checkAgain(world);
});
