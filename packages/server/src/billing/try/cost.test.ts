/** Cost so far on the model stores: by what is metered, with its state, and as much of it as somebody may see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, type BillingWorld, basic, openBilling } from '../run/testing/world.ts';
import { costSoFar } from './cost.ts';

async function texts(world: BillingWorld, account: string, now: string, viewer: ReadonlySet<string> | null = null) {
  world.clock.at = at(now);
  await world.usage.job.run();
  const cost = await costSoFar(await world.usage.meteredAt(), account, at(now), viewer);
  if (cost === null) return null;
  const text = ({ lines, total }: typeof cost.soFar): string =>
    `${lines.map((line) => `${line.account} ${line.price} ${line.amount}`).join(', ')} = ${total}`;
  return [text(cost.soFar), text(cost.forecast), cost.whole];
}

test('so far is what is metered by now, the forecast goes on with it; without a plan there is nothing to say', async () => {
  const world = await openBilling('2026-10-01T00:00');
  await world.account('acme');
  assert.equal(await texts(world, 'acme', '2026-10-01T00:00'), null);
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-11-01');
  await world.tokens('acme', '2026-11-03', 90);
  assert.deepEqual(await texts(world, 'acme', '2026-11-11'), [
    'acme base 4900, acme tokens 900 = 5800',
    'acme base 4900, acme tokens 2700 = 7600',
    true,
  ]);
});

test('of an account that somebody else pays for there are its own lines only', async () => {
  const world = await openBilling('2026-10-01T00:00');
  await world.account('acme');
  await world.account('kid', 'acme');
  await world.account('sister', 'acme');
  await world.plan('basic', basic);
  const profile = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
  for (const id of ['acme', 'kid', 'sister']) {
    await world.subscribe(id, 'basic', '2026-11-01');
    await world.tokens(id, '2026-11-02', 10);
    if (id !== 'acme') await world.append({ kind: 'profile', account: id, payer: 'parent', ...profile });
  }
  assert.deepEqual(await texts(world, 'kid', '2026-11-11', new Set(['kid'])), [
    'kid base 4900, kid tokens 100 = 5000',
    'kid base 4900, kid tokens 300 = 5200',
    false,
  ]);
  const [soFar] = (await texts(world, 'acme', '2026-11-11')) ?? [];
  assert.match(String(soFar), /acme base.*kid base.*sister base.* = 15000$/);
});
