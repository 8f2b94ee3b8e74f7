/**
 * A customer's year on the model stores, with a moved clock: trial, upgrade, downgrade, add-on, both changes of the clocks,
 * 29 February, late usage, credits that expire, a coupon for three months, a parent that takes over paying, a void invoice,
 * a credit note, an exemption. Every invoice is held against the oracle, the ledger against zero, and in the end every
 * document is computed again as of its S.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, documentText, readDocument } from 'tollgate/billing/invoice/canonical.js';
import { fee, usage } from 'tollgate/billing/invoice/testing/world.js';
import { expireCredits, grantCredit } from 'tollgate/billing/ledger/credits.js';
import { recordPayment } from 'tollgate/billing/ledger/payments.js';
import { creditByHand, voidByHand } from 'tollgate/billing/run/by-hand.js';
import { expectedDraft } from 'tollgate/billing/run/expected.js';
import { at, type BillingWorld, openBilling } from 'tollgate/billing/run/testing/world.js';
import type { Invoice } from 'tollgate/store/billing-store.js';
import { isLong } from '../needs.ts';
import { dueThrough, nextMonth, type Story, taxOf } from './year-oracle.ts';

const START = '2027-10-08';
const nobody = { entity: '', name: '', address: [], taxId: '', email: '' } as const;

const smallTokens = usage('tokens', '0.10', { meter: 'tokens', included: { amount: '100' } });
const bigTokens = usage('tokens', '0', {
  ...{ meter: 'tokens', included: { amount: '200' } },
  model: {
    model: 'graduated',
    tiers: [
      { upTo: '500', unit: '0.08', flat: '0' },
      { upTo: null, unit: '0.045', flat: '0' },
    ],
  },
});

class Year {
  readonly world: BillingWorld;
  readonly story: Story;
  /** Nets of the invoices that stand. */
  billed = 0n;
  private percent = 19n;
  private seen = 0;

  constructor(world: BillingWorld) {
    this.world = world;
    this.story = { start: START, paysFrom: '2027-10-18', plans: [], used: [], addOns: [], discounted: [] };
  }

  static async open(): Promise<Year> {
    const year = new Year(await openBilling(`${START}T00:00`));
    const { world } = year;
    await world.account('mother');
    await world.account('kid', 'mother');
    await world.plan('small', [fee('base', '31.00'), smallTokens], { trialDays: 10 });
    await world.plan('big', [fee('base', '93.00'), bigTokens]);
    await world.plan('help', [fee('hours', '12.40', { term: 'arrears' })]);
    const tax = {
      kind: 'tax',
      jurisdiction: 'DE',
      category: '',
      name: 'USt',
      percent: '19',
      inclusive: false,
    } as const;
    await world.append({ ...tax, from: 0, to: null });
    await year.profile('kid', 'self');
    await year.profile('mother', 'self');
    await year.plan(START, 'small');
    return year;
  }

  profile(account: string, payer: 'self' | 'parent', exemption = ''): Promise<void> {
    this.percent = exemption === '' ? 19n : 0n;
    return this.world.append({ ...nobody, kind: 'profile', account, payer, jurisdiction: 'DE', exemption });
  }

  async plan(day: string, plan: 'small' | 'big'): Promise<void> {
    this.story.plans.push({ day, plan });
    await this.world.subscribe('kid', plan, day);
  }

  async use(time: string, tokens: number): Promise<void> {
    this.story.used.push({ at: time, tokens });
    await this.world.tokens('kid', time, tokens);
  }

  async addOn(from: string, to: string, quantity: number): Promise<void> {
    this.story.addOns.push({ from, to, quantity });
    await this.world.append({ kind: 'addon', account: 'kid', plan: 'help', quantity, from: at(from), to: at(to) });
  }

  /** Bills what is due on a day, at one in the afternoon; in the long form on every day before it too. */
  async billOn(day: string): Promise<Invoice[]> {
    const made: Invoice[] = [];
    if (isLong) {
      for (let t = this.world.clock.at + 86_400_000; t < at(`${day}T13:00`); t += 86_400_000) {
        made.push(...(await this.pass(new Date(t).toISOString().slice(0, 10))));
      }
    }
    made.push(...(await this.pass(day)));
    return made;
  }

  private async pass(day: string): Promise<Invoice[]> {
    const { world } = this;
    const view = await world.runAt(`${day}T13:00`);
    assert.deepEqual([view.outcome, view.failed, view.blocked], ['done', 0, 0], `${day}: ${view.error}`);
    await expireCredits(world.billing, () => 'default', world.clock.at, assert.ifError);
    await this.checkLedger(day);
    const rows = await world.billing.invoices({ kind: 'invoice', limit: 100 });
    const made = await Promise.all(rows.filter(({ id }) => id > this.seen).map(({ id }) => world.billing.invoice(id)));
    this.seen = Math.max(this.seen, ...rows.map(({ id }) => id));
    return made.reverse() as Invoice[];
  }

  /** The invoices of a day, together, against what the oracle says is due through a month (null: at the start); the last one. */
  async bill(day: string, through: string | null, payer = 'kid', count = 1): Promise<Invoice> {
    const made = await this.billOn(day);
    const told = `${day}:\n${(await this.lines()).slice(-made.length).join('\n')}`;
    assert.equal(made.length, count, told);
    const net = dueThrough(this.story, through) - this.billed;
    const nets = made.reduce((sum, invoice) => sum + invoice.net, 0n);
    assert.equal(nets, net, told);
    for (const invoice of made) {
      const tax = taxOf(invoice.net, this.percent);
      const figures = [invoice.account, invoice.tax, invoice.total];
      assert.deepEqual(figures, [payer, tax, invoice.net + tax], told);
    }
    this.billed += net;
    return made.at(-1) as Invoice;
  }

  lines(): Promise<string[]> {
    return this.world.papers();
  }

  async checkLedger(day: string): Promise<void> {
    const books = await this.world.billing.balances([
      'receivable/',
      'revenue/',
      'tax/',
      'credit/',
      'cash',
      'promotion/',
    ]);
    const sum = books.reduce((all, { amount }) => all + amount, 0n);
    assert.equal(sum, 0n, `${day}: ${books.map(({ book, amount }) => `${book} ${amount}`)}`);
    for (const { key, postings } of await this.world.billing.transactions({ limit: 1000 })) {
      assert.equal(
        postings.reduce((all, { amount }) => all + amount, 0n),
        0n,
        key,
      );
    }
  }

  async openOf(id: number): Promise<bigint> {
    return ((await this.world.billing.invoice(id)) as Invoice).open;
  }

  give(key: string, amount: bigint, effective: string, expires: string) {
    const terms = { account: 'kid', key, currency: 'EUR', amount, priority: 1, rollover: null, lowAt: null };
    const why = { reason: 'sorry', author: 'test', paid: null, entity: 'default', now: this.world.clock.at };
    return grantCredit(this.world.billing, { ...terms, ...why, effective: at(effective), expires: at(expires) });
  }

  async restOf(key: string): Promise<bigint> {
    const [grant] = await this.world.billing.grants({ keys: [`kid/${key}`], limit: 1 });
    return grant?.rest ?? -1n;
  }

  pay(account: string, reference: string, amount: bigint) {
    const ask = { account, reference, amount, currency: 'EUR', receivedAt: null, method: 'transfer', invoice: null };
    return recordPayment(this.world.billing, { ...ask, author: 'test', now: this.world.clock.at });
  }

  get byHand() {
    const { billing, log, clock } = this.world;
    return { billing, book: () => log.book, now: () => clock.at };
  }
}

test('a customer’s year: every invoice is what the oracle says, the ledger is zero each day, and all can be proved', async () => {
  const year = await Year.open();
  const { world } = year;

  // October: a trial of ten days, then the rest of the month. The clocks go back on the 31st: 02:30 comes twice.
  await year.bill('2027-10-08', null);
  await year.use('2027-10-10T09:00', 900);
  await year.use('2027-10-20T09:00', 60);
  await year.use('2027-10-31T02:30+02:00', 30);
  await year.use('2027-10-31T02:30+01:00', 17);
  await year.use('2027-10-31T23:59:59.999', 5);
  const october = await year.bill('2027-11-05', '2027-10');
  assert.match((await year.lines()).at(-1) ?? '', /10-01\.\.11-01|10-08\.\.11-01/);

  // November: late usage of October comes, and is on November's invoice by name.
  await year.use('2027-11-01T00:00', 40);
  await year.use('2027-10-25T12:00', 11);
  await year.bill('2027-12-05', '2027-11');
  assert.match((await year.lines()).at(-1) ?? '', new RegExp(`${october.number}:\\d+, late or corrected usage`));

  // December: ten percent off for three months, and the big plan from the 17th on.
  const ten = { kind: 'coupon', key: 'TEN', name: 'ten', off: { percent: '10' }, on: [], periods: 3 } as const;
  await world.append({ ...ten, removed: false });
  await world.append({ kind: 'discount', account: 'kid', coupon: 'TEN', from: at('2027-12-01'), to: null });
  year.story.discounted = ['2027-12', '2028-01', '2028-02'];
  await year.use('2027-12-10T08:00', 150);
  await year.plan('2027-12-17', 'big');
  await year.use('2027-12-17T00:00', 333);
  await year.use('2027-12-24T18:00', 410);
  const december = await year.bill('2028-01-05', '2027-12');

  // January: paid too much, which the next invoice uses. A gift of 500.00 to the end of February.
  for (const { id } of (await world.billing.invoices({ kind: 'invoice', limit: 9 })).reverse()) {
    await year.pay('kid', `bank-${id}`, await year.openOf(id));
  }
  await year.pay('kid', 'bank-more', 1000n);
  assert.equal(await year.openOf(december.id), 0n);
  await year.give('gift', 50_000n, '2028-01-10', '2028-03-01');
  await year.use('2028-01-15T08:00', 1234);
  const january = await year.bill('2028-02-05', '2028-01');
  const gift = await year.restOf('gift');
  // Credits pay before the balance: 10.00 may still be there.
  const [books] = await world.billing.booksOf(['kid']);
  const left = gift + (books?.balance.EUR ?? 0n);
  assert.deepEqual([january.open, left], [0n, 50_000n + 1000n - january.total]);

  // February has 29 days, on the last of which help begins. The gift pays for it, and what is left of it is void; what
  // ended before the month did pays for nothing.
  await year.give('short', 700n, '2028-02-06', '2028-02-20');
  await year.addOn('2028-02-29', '2028-03-27', 2);
  await year.use('2028-02-29T23:30', 700);
  const february = await year.bill('2028-03-05', '2028-02');
  assert.equal(february.open, 0n);
  assert.deepEqual([await year.restOf('gift'), await year.restOf('short')], [0n, 0n]);
  const expired = await world.billing.transactions({ kind: 'credit-expiry', limit: 9 });
  const rest = gift - february.total;
  assert.deepEqual(
    expired.map((of) => of.postings.reduce((all, p) => (p.amount > 0n ? all + p.amount : all), 0n)).sort(),
    [rest, 700n].sort(),
  );

  // March: the clocks go forward on the 26th, and the small plan is enough from the 10th on.
  await year.use('2028-03-09T23:59', 800);
  await year.plan('2028-03-10', 'small');
  await year.use('2028-03-10T00:00', 20);
  await year.use('2028-03-26T03:00', 9);
  const march = await year.bill('2028-04-05', '2028-03');

  // April: March is void, and billed anew as it was, with what came late of it.
  await voidByHand(year.byHand, march.id, 'wrong address');
  year.billed -= march.net;
  await year.use('2028-03-28T10:00', 3);
  const anew = await year.bill('2028-04-07', '2028-03');
  assert.deepEqual([anew.version, anew.from, anew.to], [march.version + 1, march.from, march.to]);
  await year.bill('2028-05-05', '2028-04');

  // May: the mother pays from now on, also what came late of April, on an invoice for that month. A line is credited by hand.
  const { no: line } = readDocument(anew.document).lines.find(({ amount }) => BigInt(amount) > 100n) ?? { no: 0 };
  const note = await creditByHand(year.byHand, anew.id, { line, amount: 100n, reason: 'outage' });
  assert.deepEqual([note.net, note.tax, note.total], [-100n, -19n, -119n]);
  await year.profile('kid', 'parent');
  await year.use('2028-04-30T23:00', 400);
  await year.use('2028-05-02T10:00', 77);
  await year.bill('2028-06-05', '2028-05', 'mother', 2);

  // June: no tax is due of the mother any more.
  await year.profile('mother', 'self', 'reverse charge');
  await year.use('2028-06-11T10:00', 321);
  const june = await year.bill('2028-07-05', '2028-06', 'mother');
  assert.equal(june.tax, 0n);
  await year.bill('2028-08-05', '2028-07', 'mother');
  await year.bill('2028-09-05', '2028-08', 'mother');
  await year.bill('2028-10-05', '2028-09', 'mother');

  await numbersHaveNoGaps(world);
  await everyDocumentComesAgain(world);
  assert.equal(nextMonth('2027-12'), '2028-01');
});

async function numbersHaveNoGaps({ billing }: BillingWorld): Promise<void> {
  for (const kind of ['invoice', 'credit-note'] as const) {
    const rows = (await billing.invoices({ kind, limit: 100 })).reverse();
    assert.deepEqual(
      rows.map(({ sequence }) => sequence),
      rows.map((_, i) => i + 1),
    );
    assert.ok(rows.length >= 2, kind);
  }
}

/** As of its S and of the documents before it. */
async function everyDocumentComesAgain({ billing, usage: metered }: BillingWorld): Promise<void> {
  const deps = { billing, meteredAt: (asOf: number | null) => metered.meteredAt(asOf) };
  for (const { id, number, account, from, to, version, frontier, digest } of await billing.invoices({
    kind: 'invoice',
    limit: 100,
  })) {
    const { draft } = await expectedDraft(deps, account, { from, to }, frontier, { version, before: id });
    assert.equal(digestOf(documentText(draft.document)), digest, number);
  }
}
