/** Every document that a run or a hand made is found as it was, by the facts alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usage } from '../invoice/testing/world.ts';
import { creditByHand, voidByHand } from '../run/by-hand.ts';
import { at, basic, openBilling } from '../run/testing/world.ts';
import { proofOf, verdicts, verdictsOf } from './testing/proof.ts';

test('a year with late usage, a change of plan, a payer, credit notes and void invoices verifies', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.account('kid', 'acme');
  await world.plan('basic', basic);
  await world.plan('big', [{ ...basic[0], amount: '99' } as (typeof basic)[0], ...basic.slice(1)]);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.subscribe('kid', 'basic', '2026-10-10');
  await world.tokens('acme', '2026-10-05', 10);
  await world.runAt('2026-11-05');
  await world.tokens('acme', '2026-10-06', 7);
  await world.tokens('kid', '2026-11-06', 3);
  await world.runAt('2026-12-05');
  await world.subscribe('acme', 'big', '2026-12-17');
  const profile = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
  await world.append({ kind: 'profile', account: 'kid', payer: 'parent', ...profile });
  const hand = { billing: world.billing, book: () => world.log.book, now: () => world.clock.at };
  await creditByHand(hand, 1, { line: 1, amount: 500n, reason: 'outage' });
  await creditByHand(hand, 1, { line: 1, amount: 300n, reason: 'outage again' });
  await voidByHand(hand, 3, 'wrong address');
  for (const month of ['2027-01-05', '2027-02-05', '2027-03-05']) await world.runAt(month);
  await world.tokens('acme', '2026-10-07', 100);
  const verdicts = await verdictsOf(proofOf(world), {});
  assert.ok(verdicts.length > 10, `${verdicts.length} documents`);
  assert.ok(verdicts.some((text) => text.startsWith('CN-')));
  assert.deepEqual(
    verdicts.filter((text) => !text.endsWith(': equal')),
    [],
  );
});

test('some documents are verified by account and period, one by its id', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic);
  for (const id of ['acme', 'other']) {
    await world.account(id);
    await world.subscribe(id, 'basic', '2026-10-01');
  }
  await world.runAt('2026-11-05');
  const proof = proofOf(world);
  assert.deepEqual(await verdictsOf(proof, { accounts: ['other'] }), ['INV-000004: equal', 'INV-000002: equal']);
  assert.deepEqual(await verdictsOf(proof, { accounts: ['other'], to: at('2026-10-01') + 1, from: 0 }), [
    'INV-000004: equal',
    'INV-000002: equal',
  ]);
  assert.deepEqual(await verdictsOf(proof, { id: 3 }), ['INV-000003: equal']);
});

test('a reading or a plan that says something else by now is named, and all is equal again when it is put back', async () => {
  const world = await openBilling('2026-10-01T00:00');
  await world.account('acme');
  await world.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  const sent = usage('sent', '0.001', { meter: 'network.bytes.sent' });
  await world.plan('basic', [...basic, sent], { period: { unit: 'day', count: 1 } });
  await world.subscribe('acme', 'basic', '2026-10-01');
  const nic = await world.series('nic');
  const start = at('2026-10-01T14:01');
  const rows = Array.from({ length: 6 }, (_, i) => [start + i * 300_000, BigInt(i * 1000)] as const);
  const receipts = await world.read(nic, [...rows, [at('2026-10-02'), 5000n]]);
  await world.declare(at('2026-10-02T01:00'));
  await world.runAt('2026-10-05T01:00');
  const [, invoice] = (await world.billing.invoices({ limit: 9 })).reverse();
  const ask = { id: invoice?.id ?? 0 };
  assert.deepEqual(await verdictsOf(proofOf(world), ask), ['INV-000002: equal']);

  const read = world.store.readings.bind(world.store);
  world.store.readings = async (...what) => {
    const found = await read(...what);
    for (const [id, list] of found)
      found.set(
        id,
        list.map((one) => (one.receipt === receipts[2] ? { ...one, value: 2100n } : one)),
      );
    return found;
  };
  const [reading] = await verdicts(proofOf(world), ask);
  const last = reading?.deviations.at(-1);
  assert.deepEqual([last?.level, last?.series, last?.window], ['record', nic.id, start - 60_000]);
  assert.ok(last?.facts?.some(({ receipt }) => receipt === receipts[2]));
  world.store.readings = read;

  const facts = world.control.facts.bind(world.control);
  world.control.facts = async (...what) => {
    const text = JSON.stringify(await facts(...what)).replaceAll('"49"', '"48"');
    return JSON.parse(text) as Awaited<ReturnType<typeof facts>>;
  };
  // Another frontier first: the book of this one is kept.
  await world.usage.meteredAt(1);
  const [plan] = await verdicts(proofOf(world), ask);
  assert.deepEqual(
    plan?.deviations.map(({ level }) => level),
    ['line', 'basis'],
  );
  assert.match(plan?.deviations.at(-1)?.text ?? '', /^The plan of receipt \d+ is not what it was/);
  world.control.facts = facts;
  await world.usage.meteredAt(1);
  assert.deepEqual(await verdictsOf(proofOf(world), ask), ['INV-000002: equal']);
});

test('a reading between two others of its window that is another one now is found, though it changes no usage', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  await world.plan('basic', [usage('sent', '0.001', { meter: 'network.bytes.sent' })]);
  await world.subscribe('acme', 'basic', '2026-10-01');
  const start = at('2026-10-05T14:01');
  const nic = await world.series('nic');
  await world.read(
    nic,
    [0n, 1n, 2n, 3n, 4n].map((n) => [start + Number(n) * 300_000, n * 1000n] as const),
  );
  await world.runAt('2026-11-12');
  const all = { accounts: ['acme'], from: start, to: start + 1 };
  assert.deepEqual(await verdictsOf(proofOf(world), all), ['INV-000001: equal']);
  const readings = world.store.readingsWithin.bind(world.store);
  world.store.readingsWithin = async (...ask) =>
    (await readings(...ask)).map((own) => own.map((r) => (r.value === 1000n ? { ...r, value: 1001n } : r)));
  const [verdict] = await verdictsOf(proofOf(world), all);
  assert.match(
    verdict ?? '',
    /> record: The readings of series \d+ in the window of 2026-10-05T14:00:00\+02:00 are not those/,
  );
});
