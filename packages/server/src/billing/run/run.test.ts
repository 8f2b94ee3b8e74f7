/** Invoice runs on the model stores: what is billed when, once, and why something is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAgain } from './testing/settled.ts';
import { at, basic, openBilling } from './testing/world.ts';

test('a quarter of a customer: in advance at the start, then month by month with what it used', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.runAt('2026-10-01T13:00');
  await world.tokens('acme', '2026-10-05T10:00', 20);
  await world.runAt('2026-11-04T13:00');
  await world.tokens('acme', '2026-11-05T10:00', 35);
  await world.runAt('2026-12-02T13:00');
  assert.deepEqual(await world.papers(), [
    'INV-000001 acme 10-01..10-01: base 49.00 = 49.00 overdue',
    'INV-000002 acme 10-01..11-01: tokens 2.00, base 49.00 = 51.00 overdue',
  ]);
  const [draft] = await world.billing.drafts({ limit: 9 });
  assert.deepEqual([draft?.total, draft?.blocked], [5250n, '']);
  await world.runAt('2026-12-04T13:00');
  assert.equal((await world.papers()).at(-1), 'INV-000003 acme 11-01..12-01: tokens 3.50, base 49.00 = 52.50 open');
  assert.deepEqual(await world.billing.drafts({ limit: 9 }), []);
});

test('an invoice is due by the end of the local day, and overdue from midnight on, also over a change of the clock', async () => {
  const world = await openBilling('2026-10-20T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-20');
  await world.runAt('2026-10-20T13:00');
  const [invoice] = await world.billing.invoices({ limit: 9 });
  assert.equal(invoice?.dueAt, at('2026-11-04'));
  const stateAt = async (t: number): Promise<number> =>
    (await world.billing.invoices({ limit: 9, state: 'overdue', now: t })).length;
  assert.deepEqual([await stateAt(at('2026-11-04') - 1), await stateAt(at('2026-11-04'))], [0, 1]);
});

test('several periods that are due come one after the other, each as it was', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  for (const [day, n] of [
    ['2026-10-05', 10],
    ['2026-11-05', 20],
    ['2026-12-05', 30],
  ] as const)
    await world.tokens('acme', day, n);
  const view = await world.runAt('2027-01-10');
  assert.deepEqual(
    [view.outcome, view.accounts, view.invoices, view.failed, view.totals],
    ['done', 1, 4, 0, { EUR: 20200n }],
  );
  assert.deepEqual(await world.papers(), [
    'INV-000001 acme 10-01..10-01: base 49.00 = 49.00 open',
    'INV-000002 acme 10-01..11-01: tokens 1.00, base 49.00 = 50.00 open',
    'INV-000003 acme 11-01..12-01: tokens 2.00, base 49.00 = 51.00 open',
    'INV-000004 acme 12-01..01-01: tokens 3.00, base 49.00 = 52.00 open',
  ]);
});

test('what comes late is on the next invoice, and names the line it corrects', async () => {
  const world = await openBilling('2026-10-01T12:00');
  for (const id of ['acme', 'other']) await world.account(id);
  await world.plan('basic', basic);
  for (const id of ['acme', 'other']) await world.subscribe(id, 'basic', '2026-10-01');
  await world.tokens('acme', '2026-10-05', 10);
  await world.runAt('2026-11-05');
  await world.tokens('acme', '2026-10-06', 7);
  await world.runAt('2026-12-05');
  await world.runAt('2027-01-05');
  const papers = (await world.papers()).filter((paper) => paper.includes('12-01') || paper.includes('01-01:'));
  await checkAgain(world);
  assert.deepEqual(papers, [
    'INV-000005 acme 11-01..12-01: tokens 0.00, base 49.00, tokens 0.70 (INV-000003:1, late or corrected usage) = 49.70 overdue',
    'INV-000006 other 11-01..12-01: tokens 0.00, base 49.00 = 49.00 overdue',
    'INV-000007 acme 12-01..01-01: tokens 0.00, base 49.00 = 49.00 open',
    'INV-000008 other 12-01..01-01: tokens 0.00, base 49.00 = 49.00 open',
  ]);
});

test('a plan that was changed in the past is adjusted, also what was paid in advance', async () => {
  const world = await openBilling('2026-11-01T00:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.plan('big', [{ ...basic[0], amount: '99' } as (typeof basic)[0]]);
  await world.subscribe('acme', 'basic', '2026-11-01');
  await world.runAt('2026-12-05');
  await world.subscribe('acme', 'big', '2026-11-16');
  await world.runAt('2027-01-05');
  await checkAgain(world);
  assert.equal(
    (await world.papers()).at(-1),
    [
      'INV-000003 acme 12-01..01-01: base 99.00, base 99.00, base -49.00 (INV-000002:2, the plan was left), ',
      'base -24.50 (INV-000001:1, change of plan), base 49.50 = 174.00 open',
    ].join(''),
  );
});

test('a parent pays, on one invoice, and takes over what was billed to the child', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.account('kid', 'acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.subscribe('kid', 'basic', '2026-10-01');
  await world.runAt('2026-11-05');
  const profile = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
  await world.append({ kind: 'profile', account: 'kid', payer: 'parent', ...profile });
  await world.tokens('kid', '2026-11-05', 10);
  await world.runAt('2026-12-05');
  await checkAgain(world);
  assert.deepEqual((await world.papers()).slice(2), [
    'INV-000003 acme 10-01..11-01: tokens 0.00, base 49.00 = 49.00 overdue',
    'INV-000004 kid 10-01..11-01: tokens 0.00, base 49.00 = 49.00 overdue',
    'INV-000005 acme 11-01..12-01: tokens 0.00, base 49.00, kid tokens 1.00, kid base 49.00 = 99.00 open',
  ]);
});

test('usage that may still come keeps a draft, which says which source is not complete', async () => {
  const world = await openBilling('2026-11-01T00:00');
  await world.account('acme');
  await world.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  await world.plan('net', [{ ...basic[1], key: 'sent', meter: 'network.bytes.sent' } as (typeof basic)[1]]);
  await world.subscribe('acme', 'net', '2026-11-01');
  const nic = await world.series('nic');
  const begin = world.clock.at;
  await world.usage.job.run();
  await world.read(nic, [
    [begin, 0n],
    [begin + 3_600_000, 500n],
  ]);
  await world.declare(begin + 7_200_000);
  const view = await world.runAt('2026-12-05');
  assert.deepEqual([view.invoices, view.drafts, view.blocked], [0, 1, 1]);
  const [draft] = await world.billing.drafts({ limit: 9 });
  assert.deepEqual(
    (JSON.parse(draft?.blocked ?? '[]') as { reason: string }[]).map(({ reason }) => reason),
    [
      'line 1 network.bytes.sent of acme is pending: source host-1 is not complete through 2026-12-01T00:00:00+01:00; tollgate sources',
    ],
  );
});

test('an account that cannot be billed is told with what to do, and the others are billed', async () => {
  const world = await openBilling('2026-10-01T12:00');
  for (const id of ['a', 'b', 'c']) {
    await world.account(id);
    await world.plan('basic', basic);
    await world.subscribe(id, 'basic', '2026-10-01');
  }
  await world.append({ kind: 'discount', account: 'b', coupon: 'gone', from: 0, to: null });
  const view = await world.runAt('2026-10-02');
  assert.deepEqual([view.outcome, view.invoices, view.failed], ['done', 2, 1]);
  const failures = await world.billing.runFailures(Number(view.ref), '', 9);
  assert.deepEqual(
    failures.map(({ account, code }) => [account, code]),
    [['b', 'invoice.coupon']],
  );
  assert.match(failures[0]?.reason ?? '', /^b: the coupon "gone" is not defined; define the coupon/);
  assert.deepEqual(
    (await world.papers()).map((paper) => paper.slice(0, 12)),
    ['INV-000001 a', 'INV-000002 c'],
  );
});

test('a dry run says what would be, and writes nothing', async () => {
  const world = await openBilling('2026-10-01T12:00');
  await world.account('acme');
  await world.plan('basic', basic);
  await world.subscribe('acme', 'basic', '2026-10-01');
  const view = await world.runAt('2026-12-05', { dryRun: true });
  assert.deepEqual([view.ref, view.outcome, view.invoices, view.totals], ['try-1', 'done', 3, { EUR: 14700n }]);
  assert.deepEqual(await world.papers(), []);
  assert.deepEqual(await world.billing.billingRuns({ limit: 9 }), []);
});
