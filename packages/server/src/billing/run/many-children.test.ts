/** One payer for many accounts that were billed by themselves before: work grows with the documents, not with their square. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Billing } from '../../domain/billing/billing.ts';
import { basic, openBilling } from './testing/world.ts';

/** How often it is asked who paid for an account, by the run that bills the parent of so many for the first time. */
async function askedFor(children: number): Promise<{ asked: number; documents: number }> {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic);
  await world.account('boss');
  const ids = Array.from({ length: children }, (_, i) => `kid-${i}`);
  for (const id of ids) {
    await world.account(id, 'boss');
    await world.subscribe(id, 'basic', '2026-10-01');
  }
  await world.runAt('2026-11-05');
  await world.runAt('2026-12-05');
  const profile = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
  await world.append(...ids.map((account) => ({ kind: 'profile', account, payer: 'parent', ...profile }) as const));
  const documents = (await world.billing.invoices({ limit: 10_000 })).length;
  const { payerAt } = Billing.prototype;
  let asked = 0;
  Billing.prototype.payerAt = function (...args) {
    asked++;
    return payerAt.apply(this, args);
  };
  try {
    const { failures, invoices } = await world.runAt('2027-01-05');
    assert.deepEqual([failures, invoices], [[], 1]);
  } finally {
    Billing.prototype.payerAt = payerAt;
  }
  return { asked, documents };
}

test('who paid for an account is asked a few times for each document, however many accounts there are', async () => {
  for (const children of [5, 40]) {
    const { asked, documents } = await askedFor(children);
    assert.ok(asked <= 10 * documents, `${asked} times for ${documents} documents of ${children} accounts`);
  }
});
