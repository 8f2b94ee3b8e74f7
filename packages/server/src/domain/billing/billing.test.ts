import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Book } from '../book.ts';
import type { ControlBody, ControlFact } from '../control-fact.ts';
import { entitlementAt } from '../limit/in-force.ts';
import type { BillingFact } from './billing-fact.ts';
import { conventionDefaults } from './conventions.ts';
import { trialEndOf } from './trial.ts';

const DAY = 86_400_000;
const T = Date.UTC(2026, 10, 1);
const FOREVER = Number.MAX_SAFE_INTEGER;

const factsOf = (bodies: readonly ControlBody[]): ControlFact[] =>
  bodies.map((body, i) => ({ receipt: i + 1, tenant: '', author: 't', reason: '', recordedAt: 0, body }));
const bookOf = (...bodies: ControlBody[]): Book => Book.at(factsOf(bodies), FOREVER);

const account = (id: string, parent: string | null = null, zone = 'UTC'): ControlBody => {
  return { kind: 'account', id, parent, name: `Name of ${id}`, zone, currency: 'EUR', state: 'active' };
};
const profile = (id: string, payer: 'self' | 'parent', more: object = {}): ControlBody => ({
  kind: 'profile',
  account: id,
  entity: '',
  payer,
  name: '',
  address: [],
  taxId: '',
  email: '',
  jurisdiction: 'DE',
  exemption: '',
  ...more,
});
const tax = (percent: string, from: number, to: number | null = null, category = ''): ControlBody => {
  return { kind: 'tax', jurisdiction: 'DE', category, name: 'USt', percent, inclusive: false, from, to };
};
const addOn = (plan: string, quantity: number, from: number, to: number | null = null): ControlBody => {
  return { kind: 'addon', account: 'a', plan, quantity, from, to };
};
const discount = (coupon: string, from: number, to: number | null = null): ControlBody => {
  return { kind: 'discount', account: 'a', coupon, from, to };
};
const coupon = (key: string, percent: string, removed = false): ControlBody => {
  return { kind: 'coupon', key, name: key, off: { percent }, on: [], periods: null, removed };
};

test('before any fact there is the default entity, and everybody pays for himself', () => {
  const { billing } = bookOf(account('a'));
  const entity = billing.entityOf('default');
  assert.deepEqual([entity?.conventions, entity?.receipt], [conventionDefaults, 0]);
  assert.equal(billing.entityOf(''), entity);
  assert.equal(billing.entityOf('other'), undefined);
  const { name, payer, receipt } = billing.profileOf('a');
  assert.deepEqual([name, payer, receipt], ['Name of a', 'self', 0]);
  assert.equal(billing.payerOf('a'), 'a');
  assert.equal(billing.taxAt('DE', '', T), undefined);
});

test('who pays is the nearest from below that pays for itself, and the topmost in any case', () => {
  const tree = [account('top'), account('mid', 'top'), account('low', 'mid')];
  assert.equal(bookOf(...tree, profile('low', 'parent')).billing.payerOf('low'), 'mid');
  assert.equal(bookOf(...tree, profile('low', 'parent'), profile('mid', 'parent')).billing.payerOf('low'), 'top');
  assert.equal(bookOf(...tree, profile('top', 'parent')).billing.payerOf('top'), 'top');
  const moved = bookOf(...tree, profile('low', 'parent'), account('low', 'top'));
  assert.equal(moved.billing.payerOf('low'), 'top');
});

test('who paid is known as of any earlier fact, and what an account ever stood below', () => {
  const facts = [
    account('top'),
    account('other'),
    account('mid', 'top'),
    account('low', 'mid'),
    profile('low', 'parent'),
    profile('mid', 'parent'),
    account('mid', 'other'),
    profile('low', 'self'),
  ];
  const book = bookOf(...facts);
  const payers = facts.map((_, i) => book.billing.payerAt('low', i + 1));
  assert.deepEqual(payers, [null, null, null, 'low', 'mid', 'top', 'other', 'low']);
  for (const [i] of facts.entries()) {
    if (i < 3) continue;
    assert.equal(book.billing.payerAt('low', i + 1), bookOf(...facts.slice(0, i + 1)).billing.payerOf('low'));
  }
  assert.deepEqual(book.everAbove('low').sort(), ['mid', 'other', 'top']);
  assert.deepEqual(book.everAbove('top'), []);
});

test('a profile without a name has that of its account, as it is called by then', () => {
  const renamed = { ...account('a'), name: 'New' } as ControlBody;
  assert.equal(bookOf(account('a'), profile('a', 'self'), renamed).billing.profileOf('a').name, 'New');
  assert.equal(bookOf(account('a'), profile('a', 'self', { name: 'Ltd' })).billing.profileOf('a').name, 'Ltd');
});

test('of rates of one tax the one that began last rules, and each answer has its receipt', () => {
  const { billing } = bookOf(tax('19', 0), tax('16', T, T + 10 * DAY), tax('7', 0, null, 'reduced'));
  const at = (t: number, category = '') => {
    const found = billing.taxAt('DE', category, t);
    return found && [found.percent, found.receipt];
  };
  assert.deepEqual(
    [at(T - 1), at(T), at(T + 10 * DAY), at(T, 'reduced')],
    [
      ['19', 1],
      ['16', 2],
      ['19', 1],
      ['7', 3],
    ],
  );
  assert.equal(billing.taxAt('AT', '', T), undefined);
  assert.equal(billing.nextTaxChange('DE', '', T, FOREVER), T + 10 * DAY);
});

test('add-ons and discounts hold for their spans; written again with the same start they end', () => {
  const { billing } = bookOf(
    addOn('ip', 2, T),
    addOn('disk', 1, T + DAY),
    addOn('ip', 2, T, T + 2 * DAY),
    addOn('ip', 5, T + DAY, T + 3 * DAY),
  );
  const at = (t: number) => billing.addOnsAt('a', t).map((a) => `${a.quantity} ${a.plan} (${a.receipt})`);
  assert.deepEqual(at(T), ['2 ip (3)']);
  assert.deepEqual(at(T + DAY), ['1 disk (2)', '5 ip (4)']);
  assert.deepEqual(at(T + 3 * DAY), ['1 disk (2)']);
  assert.equal(billing.addOnsOf('a').length, 3);
  assert.equal(billing.nextChange('a', T, FOREVER), T + DAY);
  assert.deepEqual(bookOf(discount('c', T, T + DAY)).billing.discountsAt('a', T + DAY), []);
});

test('a coupon that is removed is still there for those who have it', () => {
  const { billing } = bookOf(coupon('spring', '10'), discount('spring', T), coupon('spring', '10', true));
  assert.deepEqual([billing.coupon('spring')?.removed, billing.coupon('spring')?.receipt], [true, 3]);
  assert.equal(billing.discountsAt('a', T).length, 1);
});

test('a plan stored before there were prices has none, and a fact of billing moves no limit', () => {
  const old: ControlBody = {
    kind: 'plan',
    plan: { key: 'p', name: 'p', entitlements: [], limits: [] },
    from: 0,
    removed: false,
  };
  const book = bookOf(account('a'), old, tax('19', 0), coupon('c', '1'));
  assert.equal(book.catalogue.planAt('p', T)?.billing, null);
  assert.deepEqual([book.catalogue.at, book.billing.at], [2, 4]);
});

const plan = (key: string, trialDays: number, amount: number): ControlBody => ({
  kind: 'plan',
  plan: {
    key,
    name: key,
    entitlements: [{ key: 'e', meter: 'm', amount, per: 'month', overage: 'allow' }],
    limits: [],
    billing: {
      currency: 'EUR',
      period: { unit: 'month', count: 1 },
      anchor: 'calendar',
      trialDays,
      prices: [],
      minimum: null,
    },
  },
  from: 0,
  removed: false,
});
const subscribed = (name: string, from: number, more: object = {}): ControlBody => {
  return { kind: 'subscription', account: 'a', plan: name, from, to: null, anchor: from, ...more };
};

test('a trial lasts the days of its plan at local time, unless the subscription says otherwise', () => {
  const start = Date.parse('2026-03-20T14:30:00+01:00');
  const endOf = (...bodies: ControlBody[]) => {
    const book = bookOf(account('a', null, 'Europe/Berlin'), plan('p', 14, 1), ...bodies);
    const [subscription] = book.catalogue.subscriptionsOf('a');
    assert.ok(subscription);
    return trialEndOf(book, subscription);
  };
  assert.equal(endOf(subscribed('p', start)), Date.parse('2026-04-03T14:30:00+02:00'));
  assert.equal(endOf(subscribed('p', start, { trialUntil: start + DAY })), start + DAY);
  assert.equal(endOf(subscribed('p', start, { trialUntil: null })), null);
  assert.equal(endOf(plan('p', 0, 1), subscribed('p', start)), null);
  assert.equal(endOf(subscribed('nowhere', start)), null);
});

test('what is included is what the limits read: with the override, but not for an add-on', () => {
  const override: ControlBody = { kind: 'override', account: 'a', key: 'e', amount: 7, from: T, to: null };
  const book = bookOf(account('a'), plan('p', 0, 5), plan('q', 0, 3), subscribed('p', 0), override, addOn('q', 1, 0));
  const at = (name: string, t: number) => {
    const found = entitlementAt(book, 'a', name, 'e', t);
    return found && [found.amount, found.version];
  };
  assert.deepEqual(
    [at('p', T - 1), at('p', T), at('q', T)],
    [
      [5, 2],
      [7, 5],
      [3, 3],
    ],
  );
  assert.equal(entitlementAt(book, 'a', 'p', 'none', T), undefined);
});

const spans = fc
  .tuple(fc.nat(20), fc.option(fc.nat(12)))
  .map(([from, n]) => ({ from, to: n === null ? null : from + n }));
const name = fc.constantFrom('a', 'b');
const any: fc.Arbitrary<BillingFact> = fc.oneof(
  fc.tuple(name, spans).map(([key, s]) => ({ ...tax('1', 0), category: key, ...s }) as BillingFact),
  fc.tuple(name, name, spans).map(([id, key, s]) => ({ ...addOn(key, 1, 0), account: id, ...s }) as BillingFact),
  fc.tuple(name, name, spans).map(([id, key, s]) => ({ ...discount(key, 0), account: id, ...s }) as BillingFact),
  fc.tuple(name, fc.boolean()).map(([key, removed]) => coupon(key, '5', removed) as BillingFact),
  fc.tuple(name, fc.constantFrom('self' as const, 'parent' as const)).map(([id, p]) => profile(id, p) as BillingFact),
);
/** Facts with one of these can change each other's meaning; all others are unrelated. */
const subjectOf = (fact: BillingFact): string =>
  JSON.stringify([
    fact.kind,
    'account' in fact ? fact.account : '',
    fact.kind === 'tax' ? fact.category : fact.kind === 'addon' ? fact.plan : '',
    fact.kind === 'discount' ? fact.coupon : fact.kind === 'coupon' ? fact.key : '',
  ]);
/** All that the book says, without receipts. */
const said = (facts: readonly BillingFact[]): string => {
  const { billing } = bookOf(account('a'), account('b', 'a'), ...facts);
  const bare = (rows: Iterable<object>) => [...rows].map((row) => JSON.stringify({ ...row, receipt: 0 })).sort();
  return JSON.stringify([
    ...['a', 'b'].map((id) => billing.payerOf(id)),
    ...Array.from({ length: 34 }, (_, t) =>
      ['a', 'b'].map((id) => [
        bare(billing.addOnsAt(id, t)),
        bare(billing.discountsAt(id, t)),
        bare([billing.taxAt('DE', id, t) ?? {}]),
      ]),
    ),
    bare(billing.allCoupons()),
    bare(billing.allProfiles()),
    bare(billing.allTaxes()),
  ]);
};

test('facts about different things say the same in any order; of those about one thing the order counts', () => {
  const numRuns = process.env.CI === 'true' ? 5000 : 200;
  fc.assert(
    fc.property(
      fc.array(any, { maxLength: 12 }),
      fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
      (facts, keys) => {
        // Subjects in another order, each with its own facts in theirs.
        const subjects = [...new Set(facts.map(subjectOf))].sort(
          (x, y) => (keys[x.length % 12] ?? 0) - (keys[y.length % 12] ?? 0),
        );
        const shuffled = subjects.flatMap((s) => facts.filter((f) => subjectOf(f) === s));
        assert.equal(said(shuffled), said(facts));
      },
    ),
    { numRuns },
  );
});

test('until the next change an account has the same add-ons and discounts', () => {
  fc.assert(
    fc.property(fc.array(any, { maxLength: 12 }), fc.nat(33), (facts, t) => {
      const { billing } = bookOf(account('a'), ...facts);
      const next = billing.nextChange('a', t, 40);
      for (let later = t; later < next; later++) {
        assert.deepEqual(billing.addOnsAt('a', later), billing.addOnsAt('a', t));
        assert.deepEqual(billing.discountsAt('a', later), billing.discountsAt('a', t));
      }
    }),
  );
});
