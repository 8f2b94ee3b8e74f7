/** What is kept of an answer is as good as asked again: the engine keeps it until `until`, or until `catalogue.at` moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Book } from '../book.ts';
import type { ControlBody } from '../control-fact.ts';
import { FOREVER } from './catalogue.ts';
import { inForce } from './in-force.ts';
import type { LimitDefinition } from './limit.ts';

const LONG = process.env.CI === 'true' ? 20_000 : 500;
const instant = fc.nat(20);
const account = fc.constantFrom('top', 'mid', 'low');
const action = fc.constantFrom('a', 'b', '*');
const planKey = fc.constantFrom('p', 'q', 'undefined');
const span = fc
  .tuple(instant, fc.option(fc.nat(12)))
  .map(([from, length]) => ({ from, to: length === null ? null : from + length }));

const limitOf = (key: string, scope: LimitDefinition['scope'], amount: number, actions: string[]): LimitDefinition => ({
  key,
  meter: 'bytes',
  feed: 'metered',
  scope,
  rule: { kind: 'quota', amount, period: 'day' },
  hard: true,
  shadow: false,
  thresholds: [],
  actions,
  fail: { mode: 'last' },
  message: '',
  upgrade: '',
});
const scope = fc.constantFrom<LimitDefinition['scope'][]>('account', 'subtree', 'resource');
const amount = fc.integer({ min: 1, max: 3 });
const limit = fc
  .tuple(fc.constantFrom('x', 'y'), scope, amount, fc.constantFrom<string[][]>([], ['a'], ['b']))
  .map(([key, s, n, actions]) => limitOf(key, s, n, actions));

const fact: fc.Arbitrary<ControlBody> = fc.oneof(
  fc
    .tuple(fc.constantFrom('p', 'q'), fc.uniqueArray(limit, { selector: (l) => l.key }), instant, fc.boolean())
    .map(([key, limits, from, removed]): ControlBody => {
      return { kind: 'plan', plan: { key, name: key, entitlements: [], limits }, from, removed };
    }),
  fc
    .tuple(account, planKey, span, instant)
    .map(([id, plan, s, anchor]): ControlBody => ({ kind: 'subscription', account: id, plan, ...s, anchor })),
  fc
    .tuple(account, fc.constantFrom('x', 'y'), fc.option(amount), span)
    .map(([id, key, n, s]): ControlBody => ({ kind: 'override', account: id, key, amount: n, ...s })),
  fc
    .tuple(limit, fc.uniqueArray(account), span)
    .map(([l, accounts, s]): ControlBody => ({ kind: 'limit', limit: l, accounts, ...s })),
  fc
    .tuple(account, action, span)
    .map(([id, name, s]): ControlBody => ({ kind: 'block', account: id, action: name, reason: 'r', ...s })),
);

const accountOf = (id: string, parent: string | null): ControlBody => ({
  kind: 'account',
  id,
  parent,
  name: id,
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});
const tree = [accountOf('top', null), accountOf('mid', 'top'), accountOf('low', 'mid')];
const bookOf = (facts: readonly ControlBody[]): Book =>
  Book.at(
    [...tree, ...facts].map((body, i) => ({ receipt: i + 1, tenant: '', author: '', reason: '', recordedAt: 0, body })),
    1000,
  );

/** All of an answer but how long it holds. */
const answerAt = (book: Book, id: string, name: string | null, t: number) => {
  const { until: _until, ...rest } = inForce(book, id, name, t);
  return rest;
};

test('an answer holds at every instant before its `until`', () => {
  fc.assert(
    fc.property(
      fc.array(fact, { maxLength: 12 }),
      account,
      fc.option(fc.constantFrom('a', 'b')),
      instant,
      (facts, id, name, t) => {
        const book = bookOf(facts);
        const { until } = inForce(book, id, name, t);
        assert.ok(until > t);
        const first = answerAt(book, id, name, t);
        for (let later = t + 1; later < Math.min(until, 40); later++)
          assert.deepEqual(answerAt(book, id, name, later), first, `at ${later}, until ${until}`);
      },
    ),
    { numRuns: LONG },
  );
});

test('an answer that is said to hold for ever is one of facts without an end to come', () => {
  fc.assert(
    fc.property(fc.array(fact, { maxLength: 12 }), account, (facts, id) => {
      const book = bookOf(facts);
      assert.equal(inForce(book, id, null, 1000).until, FOREVER);
    }),
  );
});

test('facts in any order, folded by receipt, make one book', () => {
  fc.assert(
    fc.property(fc.array(fact, { maxLength: 12 }), account, instant, fc.nat(), (facts, id, t, turn) => {
      const all = [...tree, ...facts].map((body, i) => ({
        receipt: i + 1,
        tenant: '',
        author: '',
        reason: '',
        recordedAt: 0,
        body,
      }));
      const cut = turn % all.length;
      const turned = Book.at([...all.slice(cut), ...all.slice(0, cut)], 1000);
      assert.deepEqual(inForce(turned, id, null, t), inForce(bookOf(facts), id, null, t));
    }),
  );
});
