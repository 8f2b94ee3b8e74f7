/** What the books refuse of one account is nobody else's matter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conventionDefaults } from '../../domain/billing/conventions.ts';
import { basic, openBilling } from './testing/world.ts';

test('where two entities have one prefix, no number is given twice, and all others are billed', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic);
  for (const account of ['a', 'b', 'c']) {
    await world.account(account);
    await world.subscribe(account, 'basic', '2026-10-01');
  }
  const nothing = { name: 'X', address: [], taxId: '', payment: '', creditPrefix: 'G-' };
  const profile = {
    payer: 'self',
    name: '',
    address: [],
    taxId: '',
    email: '',
    jurisdiction: '',
    exemption: '',
  } as const;
  await world.append(
    { kind: 'entity', key: 'two', invoicePrefix: 'INV-', conventions: conventionDefaults, ...nothing },
    { kind: 'profile', account: 'b', entity: 'two', ...profile },
  );
  const { outcome, failures } = await world.runAt('2026-10-02');
  assert.deepEqual([outcome, failures.map(({ account, code }) => `${account} ${code}`)], ['done', ['b store.misuse']]);
  assert.match(failures[0]?.reason ?? '', /two entities have one prefix; tollgate billing entity set$/);
  const all = await world.billing.invoices({ limit: 9 });
  assert.deepEqual(
    all.map(({ account, number }) => `${account} ${number}`),
    ['c INV-000002', 'a INV-000001'],
  );
  // Mended, it goes on.
  await world.append({
    kind: 'entity',
    key: 'two',
    invoicePrefix: 'TWO-',
    conventions: conventionDefaults,
    ...nothing,
  });
  await world.runAt('2026-10-03');
  assert.equal((await world.billing.invoices({ limit: 1 }))[0]?.number, 'TWO-000001');
});
