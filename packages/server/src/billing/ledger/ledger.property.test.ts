/** Whatever happens to an account, its books sum to nothing and say what an oracle of another style says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BillingStore, FinalInvoice, Invoice } from '../../store/billing-store.ts';
import { openControlModel } from '../../store/model/control-model.ts';
import { written } from '../invoice/canonical.ts';
import { expireCredits, grantCredit, voidCredit } from './credits.ts';
import { LedgerError } from './ledger-error.ts';
import { recordPayment, recordRefund } from './payments.ts';
import { finalCreditNote, finalInvoice, finalVoid } from './post-document.ts';
import { DAY, documentOf, issue, T } from './testing/document.ts';
import { Oracle } from './testing/oracle.ts';

const long = process.env.CI === 'true';
const account = 'acme';

/** One account on the model, and the oracle beside it. A day passes with each step. */
class World {
  readonly store: BillingStore = openControlModel().billing;
  readonly oracle = new Oracle();
  readonly bills: Omit<Invoice, 'document'>[] = [];
  day = 0;
  notes = 1;

  private readonly by = () => ({ account, currency: 'EUR', author: 'root', now: T + this.day * DAY });

  private async final(item: FinalInvoice): Promise<Omit<Invoice, 'document'>> {
    const [made] = await this.store.finalise([item]);
    if (made?.outcome !== 'final') throw new Error(JSON.stringify(made));
    return made.invoice;
  }
  private async books() {
    const [books] = await this.store.booksOf([account]);
    assert.ok(books);
    return books;
  }

  async invoice(net: bigint, tax: bigint): Promise<void> {
    const document = documentOf(this.day, { net, tax });
    const made = await this.final(finalInvoice(written(document), issue(this.day), await this.books()));
    this.bills.push(made);
    this.oracle.invoice(made.id, Number(net), Number(tax), document.to - 1);
  }
  async pay(reference: string, amount: bigint, named: number): Promise<void> {
    const bill = named < this.bills.length ? this.bills[named] : undefined;
    const open = this.oracle.invoices.find(({ id }) => id === bill?.id)?.open ?? 0;
    const invoice = open > 0 ? (bill?.id ?? null) : null;
    const isNew = !this.oracle.payments.has(reference);
    const ask = { ...this.by(), reference, amount, receivedAt: null, method: '', invoice };
    try {
      const recorded = await recordPayment(this.store, ask);
      assert.equal(recorded.isNew, isNew);
      if (isNew) this.oracle.pay(reference, Number(amount), invoice);
    } catch (error) {
      assert.ok(!isNew && error instanceof LedgerError && error.code === 'payment.conflict', String(error));
    }
  }
  async refund(amount: bigint, of: string): Promise<void> {
    const payment = this.oracle.payments.has(of) ? of : '';
    const ask = { ...this.by(), reference: `refund ${this.day}`, amount, receivedAt: null, method: '', payment };
    const before = structuredClone(this.oracle.books);
    const expected = this.oracle.refund(Number(amount), payment === '' ? null : payment);
    const done = await recordRefund(this.store, ask).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof LedgerError && error.code === 'refund.too_much', String(error));
        assert.deepEqual(this.oracle.books, before);
        return false;
      },
    );
    assert.equal(done, expected);
  }
  async creditNote(named: number, net: bigint): Promise<void> {
    const bill = this.bills[named];
    const kept = this.oracle.invoices.find(({ id }) => id === bill?.id);
    if (bill === undefined || kept === undefined || kept.void) return;
    const found = await this.store.invoice(bill.id);
    const document = documentOf(this.day, { net: -net, tax: 0n }, { kind: 'credit-note', version: ++this.notes });
    await this.final(finalCreditNote(document, { ...issue(this.day), prefix: 'CN-' }, found));
    this.oracle.credit(bill.id, Number(net), 0);
    // What it closed is no longer the invoice's to give back.
    kept.void = true;
  }
  async void(named: number): Promise<void> {
    const bill = this.bills[named];
    const kept = this.oracle.invoices.find(({ id }) => id === bill?.id);
    if (bill === undefined || kept === undefined || kept.void) return;
    const found = (await this.store.invoice(bill.id)) as Invoice;
    const settled = await this.store.transactions({ invoice: bill.id, limit: 999 });
    const more = { kind: 'credit-note' as const, from: bill.from, to: bill.to, version: ++this.notes };
    const document = documentOf(this.day, { net: -bill.net, tax: -bill.tax }, more);
    const { id } = await this.final(
      finalVoid(document, { ...issue(this.day), prefix: 'CN-' }, found, settled, await this.books()),
    );
    this.oracle.void(bill.id, Number(bill.net), Number(bill.tax), id);
  }
  async grant(amount: bigint, priority: number, days: number, bought: boolean): Promise<void> {
    const expires = days === 0 ? null : T + (this.day + days) * DAY;
    const paid = bought ? { reference: `top-up ${this.day}`, method: 'card' } : null;
    const ask = { ...this.by(), key: `g${this.day}`, amount, priority, expires, effective: null, rollover: null };
    const { grant } = await grantCredit(this.store, { ...ask, lowAt: 20, reason: '', paid, entity: 'default' });
    const { key, effective } = grant;
    this.oracle.grant({ key, rest: Number(amount), priority, effective, expires, bought });
  }
  async voidGrant(at: number): Promise<void> {
    const grant = this.oracle.grants[at];
    if (grant === undefined) return;
    await voidCredit(this.store, { ...this.by(), key: grant.key, entity: 'default', text: '' });
    this.oracle.end(grant.key, 'void');
  }
  async expire(): Promise<void> {
    const ended = await expireCredits(this.store, () => 'default', T + this.day * DAY, assert.ifError);
    for (const { key } of ended) this.oracle.end(key, 'expiry');
  }

  async check(): Promise<void> {
    const { oracle } = this;
    const books = await this.books();
    const open = oracle.invoices.filter((one) => one.open > 0);
    assert.deepEqual(
      books.open.map((one) => [one.id, one.open]),
      open.map((one) => [one.id, BigInt(one.open)]),
    );
    assert.deepEqual(books.balance, oracle.balance === 0 ? {} : { EUR: BigInt(oracle.balance) });
    const left = oracle.grants.filter(({ rest }) => rest > 0);
    assert.deepEqual(
      books.grants.map(({ key, rest }) => [key, rest]),
      left.map(({ key, rest }) => [key, BigInt(rest)]),
    );
    const all = await this.store.balances([
      'cash',
      'revenue/',
      'tax/',
      'promotion/',
      'breakage/',
      'receivable/',
      'credit/',
    ]);
    assert.equal(
      all.reduce((sum, { amount }) => sum + amount, 0n),
      0n,
    );
    const book = (name: string): number => Number(all.find((one) => one.book === name)?.amount ?? 0n);
    assert.deepEqual(
      {
        ...{ cash: book('cash'), revenue: book('revenue/default'), tax: book('tax/DE') },
        ...{ promotion: book('promotion/default'), breakage: book('breakage/default') },
      },
      oracle.books,
    );
    assert.equal(book('receivable/acme'), open.reduce((sum, one) => sum + one.open, 0) - oracle.balance);
    assert.equal(book('credit/acme'), 0 - left.reduce((sum, { rest }) => sum + rest, 0));
  }
}

type StepOf = (world: World) => Promise<void>;
const amount = fc.bigInt(1n, 40n);
const reference = fc.constantFrom('a', 'b', 'c', 'd');
const which = fc.nat(5);
const step: fc.Arbitrary<StepOf> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.bigInt(-15n, 60n), fc.bigInt(0n, 9n)).map(
      ([net, tax]): StepOf =>
        (w) =>
          w.invoice(net, net > 0n ? tax : 0n),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(reference, amount, which).map(
      ([r, a, i]): StepOf =>
        (w) =>
          w.pay(r, a, i),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(amount, reference).map(
      ([a, r]): StepOf =>
        (w) =>
          w.refund(a, r),
    ),
  },
  fc.tuple(which, amount).map(
    ([i, a]): StepOf =>
      (w) =>
        w.creditNote(i, a),
  ),
  which.map(
    (i): StepOf =>
      (w) =>
        w.void(i),
  ),
  {
    weight: 2,
    arbitrary: fc.tuple(amount, fc.nat(2), fc.nat(4), fc.boolean()).map(
      ([a, p, d, b]): StepOf =>
        (w) =>
          w.grant(a, p, d, b),
    ),
  },
  which.map(
    (i): StepOf =>
      (w) =>
        w.voidGrant(i),
  ),
  fc.constant<StepOf>((w) => w.expire()),
);

test('any sequence of invoices, payments, refunds, credits, credit notes and voids leaves books that an oracle agrees with', () =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const world = new World();
      for (const one of steps) {
        await one(world);
        await world.check();
        world.day++;
      }
    }),
    { numRuns: long ? 600 : 60 },
  ));
