/** What is corrected is taxed as it was charged, whatever the tax is by now. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDocument } from '../invoice/canonical.ts';
import { fee } from '../invoice/testing/world.ts';
import { checkAgain } from './testing/settled.ts';
import { at, type BillingWorld, openBilling } from './testing/world.ts';

const profile = { kind: 'profile', account: 'acme', payer: 'self', name: '', address: [], taxId: '' } as const;
const rest = { email: '', entity: '' };

async function charged(
  price: ReturnType<typeof fee>,
  ...taxes: { percent: string; inclusive?: boolean; from: string; to?: string }[]
): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.append({ ...profile, ...rest, jurisdiction: 'DE', exemption: '' });
  for (const { percent, inclusive = false, from, to } of taxes) {
    const span = { from: at(from), to: to === undefined ? null : at(to) };
    await world.append({ kind: 'tax', jurisdiction: 'DE', category: '', name: 'VAT', percent, inclusive, ...span });
  }
  await world.plan('basic', [price]);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.runAt('2026-10-02');
  return world;
}

async function leaves(world: BillingWorld, day: string): Promise<void> {
  const [subscription] = world.log.book.catalogue.subscriptionsOf('acme');
  assert.ok(subscription);
  const { receipt: _, ...given } = subscription;
  await world.append({ ...given, to: at(day) });
}

/** `-100.00 + -19.00 (19%)` of each document, in minor units. */
async function taxed(world: BillingWorld): Promise<string[]> {
  const all = (await world.billing.invoices({ limit: 99 })).reverse();
  const found = await Promise.all(all.map(({ id }) => world.billing.invoice(id)));
  return found.map((invoice) => {
    const { net, tax, taxes } = readDocument(invoice?.document ?? '');
    return `${net} + ${tax} (${taxes.map(({ percent, jurisdiction }) => `${jurisdiction} ${percent}%`).join(', ')})`;
  });
}

test('an exemption that comes later does not keep the tax of what is given back', async () => {
  const world = await charged(fee('base', '100'), { percent: '19', from: '2026-01-01' });
  await world.append({ ...profile, ...rest, jurisdiction: 'DE', exemption: 'Reverse charge' });
  await leaves(world, '2026-10-01');
  await world.runAt('2026-11-05');
  assert.deepEqual(await taxed(world), ['10000 + 1900 (DE 19%)', '-10000 + -1900 (DE 19%)']);
  await checkAgain(world);
});

test('another jurisdiction or another way of pricing does not change the tax of what is given back', async () => {
  const world = await charged(fee('base', '119'), { percent: '19', inclusive: true, from: '2026-01-01' });
  await world.append({ ...profile, ...rest, jurisdiction: '', exemption: '' });
  await leaves(world, '2026-10-01');
  await world.runAt('2026-11-05');
  assert.deepEqual(await taxed(world), ['10000 + 1900 (DE 19%)', '-10000 + -1900 (DE 19%)']);
});

test('a rate that changed within the period: what is given back has the rate it was charged with', async () => {
  const world = await charged(
    fee('base', '31'),
    { percent: '16', from: '2026-01-01', to: '2026-10-15' },
    { percent: '19', from: '2026-10-15' },
  );
  await leaves(world, '2026-10-10');
  await world.runAt('2026-11-05');
  assert.deepEqual(await taxed(world), ['3100 + 589 (DE 19%)', '-2200 + -418 (DE 19%)']);
  await checkAgain(world);
});
