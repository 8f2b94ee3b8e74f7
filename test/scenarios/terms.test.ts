/**
 * Customers whose terms differ, on the model stores with a moved clock: levels over months of 696 to 745 hours, quarters,
 * years and periods of one's own, currencies with other decimals, months that end elsewhere, usage at the very edges.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDocument } from 'tollgate/billing/invoice/canonical.js';
import type { InvoiceDocument } from 'tollgate/billing/invoice/document.js';
import { fee, usage } from 'tollgate/billing/invoice/testing/world.js';
import { at, type BillingWorld, openBilling } from 'tollgate/billing/run/testing/world.js';
import { conventionDefaults } from 'tollgate/domain/billing/conventions.js';
import { parseInstant } from 'tollgate/domain/calendar.js';
import { meterOf } from 'tollgate/domain/testing/priced-plan.js';
import type { Invoice } from 'tollgate/store/billing-store.js';
import { isLong } from '../needs.ts';

const HOUR = 3_600_000;

async function customer(world: BillingWorld, id: string, zone: string, currency = 'EUR'): Promise<void> {
  await world.append(
    { kind: 'account', id, parent: null, name: id, zone, currency, state: 'active' },
    { kind: 'owner', resource: `app-${id}`, account: id, from: 0 },
  );
}

/** Times are the account's. */
async function subscribe(
  world: BillingWorld,
  account: string,
  plan: string,
  zone: string,
  from: string,
  to: string | null = null,
): Promise<void> {
  const span = { from: parseInstant(from, zone), to: to === null ? null : parseInstant(to, zone) };
  await world.append({ kind: 'subscription', account, plan, ...span, anchor: span.from });
}

interface Paper extends Invoice {
  read: InvoiceDocument;
}

/** Oldest first. */
async function documents({ billing }: BillingWorld): Promise<Paper[]> {
  const rows = (await billing.invoices({ limit: 1000 })).reverse();
  const all = (await Promise.all(rows.map(({ id }) => billing.invoice(id)))) as Invoice[];
  return all.map((invoice) => ({ ...invoice, read: readDocument(invoice.document) }));
}

const dayIn = (zone: string, t: number): string =>
  new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short' }).format(t);
const spanIn = (zone: string, { from, to }: { from: number; to: number }): string =>
  `${dayIn(zone, from)}..${dayIn(zone, to)}`;

async function ledgerIsZero({ billing }: BillingWorld, currencies: readonly string[]): Promise<void> {
  const sums = new Map<string, bigint>();
  for (const { currency, amount } of await billing.balances(['receivable/', 'revenue/', 'tax/', 'credit/', 'cash'])) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amount);
  }
  assert.deepEqual([...sums].sort(), currencies.map((currency) => [currency, 0n]).sort());
}

/** 0.20 for a GB over the month. Bills the month and answers what it came to, in cents. */
async function levelOf(zone: string, month: string, gone: string | null): Promise<bigint | undefined> {
  const start = parseInstant(`${month}-01`, zone);
  const world = await openBilling(new Date(start - 60 * HOUR).toISOString());
  const { receipt: _, ...stored } = meterOf({
    ...{ key: 'stored', kind: 'gauge', eventType: 'disk', valuePath: '$.gb', unit: 'GB' },
  });
  await world.append({ kind: 'meter', meter: stored });
  const per = { divideBy: 'month', round: 'none', unit: 'GB month' } as const;
  await world.plan('disk', [usage('disk', '0.20', { meter: 'stored', per })]);
  await customer(world, 'a', zone);
  await subscribe(world, 'a', 'disk', zone, `${month}-01`);
  const level = (t: number, gb: number) => world.events([{ type: 'disk', subject: 'app-a', t, data: `{"gb":${gb}}` }]);
  await level(start - 48 * HOUR, 50);
  if (gone !== null) await level(parseInstant(gone, zone), 0);
  const view = await world.runAt(new Date(start + 36 * 24 * HOUR).toISOString());
  assert.deepEqual([view.outcome, view.failed, view.blocked], ['done', 0, 0], view.error);
  const [bill, ...rest] = await documents(world);
  assert.deepEqual([rest.length, bill && spanIn(zone, bill).slice(0, 7)], [0, month]);
  return bill?.total;
}

test('a level that stays costs the same in a month of 696 hours, of 743, of 745 and of 720 and a half', async () => {
  const all = [
    // Noon of the day on which the clocks go forward: 25 days of 24 hours and 11 hours, of 743.
    ['Europe/Berlin', '2028-03', '2028-03-26T12:00', 822n],
    ['Australia/Lord_Howe', '2028-04', null, 1000n],
    ['Asia/Kolkata', '2028-02', null, 1000n],
    ['Europe/Berlin', '2028-03', null, 1000n],
    ['Europe/Berlin', '2028-10', null, 1000n],
  ] as const;
  for (const [zone, month, gone, cents] of isLong ? all : all.slice(0, 1)) {
    assert.equal(await levelOf(zone, month, gone), cents, `${zone} ${month}`);
  }
});

test('quarters from the 30th, years from 29 February and ten days, in dollars, euros, yen and dinars, in the same runs', async () => {
  const world = await openBilling('2027-11-30T00:00+14:00');
  const own = { anchor: 'subscription' } as const;
  const months = (count: number) => ({ period: { unit: 'month', count }, ...own }) as const;
  const tokens = (unit: string) => usage('tokens', unit, { meter: 'tokens' });
  const later = { term: 'arrears' } as const;
  await world.plan('quarter', [fee('base', '300')], { currency: 'USD', ...months(3) });
  await world.plan('year', [fee('base', '1200')], { period: { unit: 'year', count: 1 }, ...own });
  await world.plan('tenth', [fee('base', '1000', later), tokens('0.333')], {
    ...{ currency: 'JPY', period: { unit: 'day', count: 10 }, ...own },
  });
  await world.plan('month', [fee('base', '1.999', later), tokens('0.0125')], { currency: 'KWD', ...months(1) });
  const [york, berlin, tokyo, kuwait] = ['America/New_York', 'Europe/Berlin', 'Asia/Tokyo', 'Asia/Kuwait'] as const;
  await customer(world, 'york', york, 'USD');
  await customer(world, 'berlin', berlin);
  await customer(world, 'tokyo', tokyo, 'JPY');
  await customer(world, 'kuwait', kuwait, 'KWD');
  await subscribe(world, 'york', 'quarter', york, '2027-11-30');
  await subscribe(world, 'berlin', 'year', berlin, '2028-02-29');
  await subscribe(world, 'tokyo', 'tenth', tokyo, '2028-02-25', '2028-03-20');
  await subscribe(world, 'kuwait', 'month', kuwait, '2028-01-31', '2028-03-31');
  await world.tokens('tokyo', '2028-02-29T12:00', 10);
  // 00:30 of 6 March in Tokyo.
  await world.tokens('tokyo', '2028-03-05T15:30Z', 5);
  await world.tokens('kuwait', '2028-02-28T20:59:59.999Z', 1);
  await world.tokens('kuwait', '2028-02-28T21:00Z', 3);
  for (const day of ['2027-12-05', '2028-03-08', '2028-06-05', '2028-09-05', '2028-12-05', '2029-03-10']) {
    const view = await world.runAt(`${day}T12:00`);
    assert.deepEqual([view.outcome, view.failed, view.blocked], ['done', 0, 0], view.error);
  }
  const all = await documents(world);
  const papers = (id: string, zone: string): string[] =>
    all
      .filter(({ account }) => account === id)
      .map((one) => `${spanIn(zone, one)} ${one.total} ${one.currency}, due ${one.read.lines.map((l) => l.price)}`);
  assert.deepEqual(papers('york', york), [
    '2027-11-30..2027-11-30 30000 USD, due base',
    '2027-11-30..2028-02-29 30000 USD, due base',
    '2028-02-29..2028-05-30 30000 USD, due base',
    '2028-05-30..2028-08-30 30000 USD, due base',
    '2028-08-30..2028-11-30 30000 USD, due base',
    '2028-11-30..2029-02-28 30000 USD, due base',
  ]);
  assert.deepEqual(papers('berlin', berlin), [
    '2028-02-29..2028-02-29 120000 EUR, due base',
    '2028-02-29..2029-02-28 120000 EUR, due base',
  ]);
  // 10 x 0.333 = 3.33 yen, 5 x 0.333 = 1.665; four of ten days.
  assert.deepEqual(papers('tokyo', tokyo), [
    '2028-02-25..2028-03-06 1003 JPY, due base,tokens',
    '2028-03-06..2028-03-16 1002 JPY, due base,tokens',
    '2028-03-16..2028-03-20 400 JPY, due base,tokens',
  ]);
  // A thousandth of a dinar is its cent: 12.5 of them are 13, 37.5 are 38. January's 31st comes back in March.
  assert.deepEqual(papers('kuwait', kuwait), [
    '2028-01-31..2028-02-29 2012 KWD, due base,tokens',
    '2028-02-29..2028-03-31 2037 KWD, due base,tokens',
  ]);
  await ledgerIsZero(world, ['USD', 'EUR', 'JPY', 'KWD']);
});

test('a month is billed when it is over where the account is, and is the month that is over there', async () => {
  const zones = { first: 'Pacific/Kiritimati', middle: 'UTC', last: 'Pacific/Pago_Pago' };
  const world = await openBilling('2026-09-30T00:00Z');
  const nothing = { address: [], taxId: '', payment: '', creditPrefix: 'CN-' } as const;
  const conventions = { ...conventionDefaults, graceDays: 0 };
  await world.append({ kind: 'entity', key: 'default', name: 'e', invoicePrefix: 'INV-', conventions, ...nothing });
  await world.plan('p', [fee('base', '10', { term: 'arrears' })]);
  for (const [id, zone] of Object.entries(zones)) {
    await customer(world, id, zone);
    await subscribe(world, id, 'p', zone, '2026-10-01');
  }
  const made = new Map<string, string>();
  for (let t = Date.UTC(2026, 9, 31, 8, 30); t < Date.UTC(2026, 10, 1, 13); t += HOUR) {
    await world.runAt(new Date(t).toISOString());
    for (const one of await documents(world)) {
      const zone = zones[one.account as keyof typeof zones];
      const told = `${spanIn(zone, one)}, made at ${new Date(t).toISOString()}`;
      if (!made.has(one.account)) made.set(one.account, told);
    }
  }
  assert.deepEqual(Object.fromEntries(made), {
    first: '2026-10-01..2026-11-01, made at 2026-10-31T10:30:00.000Z',
    middle: '2026-10-01..2026-11-01, made at 2026-11-01T00:30:00.000Z',
    last: '2026-10-01..2026-11-01, made at 2026-11-01T11:30:00.000Z',
  });
});

/** Around the beginning of October, a change of plan at any millisecond, the hour that comes twice, and the month's end. */
const CHANGE = Date.UTC(2026, 9, 17, 9, 31, 7, 123);
const [BEGIN, MIDDLE, END] = [at('2026-10-01'), at('2026-11-01'), at('2026-12-01')];
const EDGES = [BEGIN, CHANGE, at('2026-10-25T02:30+02:00'), at('2026-10-25T02:30+01:00'), MIDDLE, END];
const SPANS = [
  ['one', BEGIN, CHANGE],
  ['two', CHANGE, MIDDLE],
  ['two', MIDDLE, END],
] as const;
const used = fc.array(
  fc.record({
    edge: fc.nat(EDGES.length - 1),
    by: fc.integer({ min: -1, max: 1 }),
    n: fc.integer({ min: 1, max: 99 }),
  }),
  {
    ...{ minLength: 4, maxLength: 30 },
  },
);

test('property: what is used at the edge of a period or of a plan is on one line, once, be it an event or a reading', async () => {
  const prices = [usage('tokens', '1', { meter: 'tokens' }), usage('sent', '1', { meter: 'network.bytes.sent' })];
  await fc.assert(
    fc.asyncProperty(used, async (uses) => {
      const world = await openBilling('2026-09-30T00:00');
      await world.account('a');
      await world.append({ kind: 'owner', resource: 'nic', account: 'a', from: 0 });
      for (const key of ['one', 'two']) await world.plan(key, prices);
      await world.append(
        { kind: 'subscription', account: 'a', plan: 'one', from: BEGIN, to: CHANGE, anchor: BEGIN },
        { kind: 'subscription', account: 'a', plan: 'two', from: CHANGE, to: null, anchor: BEGIN },
      );
      const events = uses.map(({ edge, by, n }) => ({ t: (EDGES[edge] as number) + by, n }));
      await world.events(events.map(({ t, n }) => ({ type: 'llm', subject: 'app-a', t, data: `{"n":${n}}` })));
      // The counter is read on each edge, and has counted there what was used before it.
      const countAt = (t: number): bigint => BigInt(events.reduce((sum, of) => (of.t < t ? sum + of.n : sum), 0));
      const nic = await world.series('nic');
      const reads = [BEGIN - HOUR, ...EDGES.filter((t) => t <= END), END + HOUR];
      await world.read(
        nic,
        reads.map((t) => [t, countAt(t)]),
      );
      await world.declare(END + HOUR);
      const view = await world.runAt('2026-12-05T12:00');
      assert.deepEqual([view.outcome, view.failed, view.blocked], ['done', 0, 0], view.error);
      const lines = (await documents(world)).flatMap(({ read }) => read.lines);
      for (const [plan, from, to] of SPANS) {
        const told = `${plan} ${new Date(from).toISOString()}`;
        const own = events.reduce((sum, { t, n }) => (t >= from && t < to ? sum + n : sum), 0);
        for (const price of ['tokens', 'sent']) {
          const found = lines.filter((line) => line.price === price && line.plan === plan && line.from === from);
          assert.deepEqual(
            found.map(({ amount }) => amount),
            [String(own * 100)],
            `${told} ${price}`,
          );
        }
      }
      const all = events.reduce((sum, { t, n }) => (t >= BEGIN && t < END ? sum + n : sum), 0);
      const total = lines.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
      assert.equal(total, BigInt(2 * all * 100), 'nothing besides');
    }),
    { numRuns: isLong ? 40 : 3 },
  );
});
