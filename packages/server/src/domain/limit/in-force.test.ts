import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book } from '../book.ts';
import type { AccountState, ControlBody } from '../control-fact.ts';
import { entitlementsAt, type HeldLimit, inForce } from './in-force.ts';
import type { LimitDefinition } from './limit.ts';
import type { Entitlement, PlanContent, PlanLimit } from './plan.ts';

const T = 1_795_000_000_000;
const DAY = 86_400_000;

const base: Omit<LimitDefinition, 'key' | 'rule'> = {
  meter: 'bytes',
  feed: 'metered',
  scope: 'account',
  hard: true,
  shadow: false,
  thresholds: [80],
  actions: [],
  fail: { mode: 'last' },
  message: '',
  upgrade: '',
};
const quota = (amount: number) => ({ kind: 'quota', amount, period: 'month' }) as const;
const limitOf = (key: string, more: Partial<PlanLimit> = {}): PlanLimit => ({ ...base, key, rule: quota(50), ...more });
const bandwidth = (amount: number | null): Entitlement => ({
  key: 'bandwidth',
  meter: 'bytes',
  amount,
  per: 'month',
  overage: 'block',
});
const reads: PlanLimit = limitOf('bandwidth-cap', { rule: { kind: 'entitlement', entitlement: 'bandwidth' } });
const planOf = (key: string, limits: PlanLimit[], entitlements: Entitlement[] = []): PlanContent => ({
  key,
  name: key,
  entitlements,
  limits,
});
const demo = planOf('demo', [reads], [bandwidth(50)]);
const big = planOf('big', [reads], [bandwidth(500)]);

const account = (
  id: string,
  parent: string | null = null,
  state: AccountState = 'active',
  zone = 'UTC',
): ControlBody => ({
  kind: 'account',
  id,
  parent,
  name: id,
  zone,
  currency: 'EUR',
  state,
});
const plan = (content: PlanContent, from = T - 100 * DAY, removed = false): ControlBody => ({
  kind: 'plan',
  plan: content,
  from,
  removed,
});
const subscribed = (id: string, to: string, from = T - 50 * DAY, until: number | null = null): ControlBody => ({
  kind: 'subscription',
  account: id,
  plan: to,
  from,
  to: until,
  anchor: from,
});
const override = (id: string, key: string, amount: number | null, from = T - DAY, to: number | null = null) =>
  ({ kind: 'override', account: id, key, amount, from, to }) as const;
const installation = (limit: PlanLimit, accounts: string[] = [], from = 0, to: number | null = null): ControlBody => ({
  kind: 'limit',
  limit: limit as LimitDefinition,
  accounts,
  from,
  to,
});
const block = (id: string, action: string, from = T - DAY, to: number | null = null): ControlBody => ({
  kind: 'block',
  account: id,
  action,
  reason: 'Unpaid since May.',
  from,
  to,
});

/** Receipts from 1, in order. */
const bookOf = (...bodies: ControlBody[]): Book =>
  Book.at(
    bodies.map((body, i) => ({ receipt: i + 1, tenant: '', author: 'a', reason: '', recordedAt: T, body })),
    1000,
  );

const amountOf = ({ limit }: HeldLimit): string =>
  `${limit.key} ${limit.rule.amount}${limit.hard ? '' : ' soft'} v${limit.version}`;
/** What holds, in few words. */
const check = (book: Book, id: string, expected: string[], action = 'download', t = T) =>
  assert.deepEqual(inForce(book, id, action, t).limits.map(amountOf), expected);

test('the limits of the plan of the subscription in force hold, with the amount of the entitlement', () => {
  const book = bookOf(account('a'), plan(demo), subscribed('a', 'demo'));
  check(book, 'a', ['bandwidth-cap 50 v2']);
  const { plan: held, limits } = inForce(book, 'a', 'download', T);
  assert.deepEqual(held, { key: 'demo', version: 1, receipt: 2, from: T - 50 * DAY, to: null, anchor: T - 50 * DAY });
  assert.deepEqual(limits[0]?.limit.rule, quota(50));
  assert.deepEqual(limits[0]?.subject, { kind: 'account', account: 'a' });
  assert.deepEqual(limits[0]?.calendar, { zone: 'UTC', anchor: T - 50 * DAY });
});

test('no subscription: no limits of a plan, and the answer says so', () => {
  const book = bookOf(account('a'), plan(demo));
  const { plan: held, limits, refusal } = inForce(book, 'a', 'download', T);
  assert.deepEqual([held, limits, refusal], [null, [], null]);
});

test('a subscription that ran out leaves no plan behind, and no old answer', () => {
  const book = bookOf(account('a'), plan(demo), subscribed('a', 'demo', T - 50 * DAY, T));
  check(book, 'a', ['bandwidth-cap 50 v2'], 'download', T - 1);
  const after = inForce(book, 'a', 'download', T);
  assert.deepEqual([after.plan, after.limits], [null, []]);
});

test('a package that is not found never means unlimited for ever', () => {
  const book = bookOf(account('a'), subscribed('a', 'gone'));
  const { plan: held, refusal } = inForce(book, 'a', 'download', T);
  assert.equal(held, null);
  assert.equal(refusal?.code, 'plan.unknown');
});

test('an unknown account is refused, not let pass', () => {
  assert.equal(inForce(bookOf(), 'who', 'download', T).refusal?.code, 'account.unknown');
});

test('an upgrade lifts a block at once, at its very instant, and not before', () => {
  const book = bookOf(account('a'), plan(demo), plan(big), subscribed('a', 'demo'), subscribed('a', 'big', T));
  check(book, 'a', ['bandwidth-cap 50 v2'], 'download', T - 1);
  check(book, 'a', ['bandwidth-cap 500 v3'], 'download', T);
  assert.equal(inForce(book, 'a', 'download', T - 1).until, T);
});

test('the answer depends on the facts alone: asked before or not, it is the same', () => {
  const facts = [account('a'), plan(demo), plan(big), subscribed('a', 'demo')];
  const asked = bookOf(...facts);
  check(asked, 'a', ['bandwidth-cap 50 v2']);
  const fresh = bookOf(...facts, subscribed('a', 'big', T - 5));
  asked.apply({
    receipt: 5,
    tenant: '',
    author: '',
    reason: '',
    recordedAt: T,
    body: subscribed('a', 'big', T - 5),
  });
  assert.deepEqual(inForce(asked, 'a', 'download', T), inForce(fresh, 'a', 'download', T));
});

test('a later fact with the same start takes the place of a span', () => {
  const book = bookOf(
    account('a'),
    plan(demo),
    subscribed('a', 'demo'),
    subscribed('a', 'demo', T - 50 * DAY, T - DAY),
  );
  check(book, 'a', []);
});

test('a new version of a plan holds from its own instant; the first also before it', () => {
  const tight = planOf('demo', [reads], [bandwidth(10)]);
  const book = bookOf(account('a'), plan(demo), plan(tight, T + DAY), subscribed('a', 'demo', T - 400 * DAY));
  check(book, 'a', ['bandwidth-cap 50 v2']);
  check(book, 'a', ['bandwidth-cap 10 v3'], 'download', T + DAY);
  check(book, 'a', ['bandwidth-cap 50 v2'], 'download', T - 300 * DAY);
  assert.equal(inForce(book, 'a', 'download', T).until, T + DAY);
});

test('applying a plan calls off the version that was planned before', () => {
  const tight = planOf('demo', [reads], [bandwidth(10)]);
  const mild = planOf('demo', [reads], [bandwidth(40)]);
  const book = bookOf(account('a'), plan(demo), plan(tight, T + DAY), plan(mild, T), subscribed('a', 'demo'));
  check(book, 'a', ['bandwidth-cap 40 v4'], 'download', T);
  check(book, 'a', ['bandwidth-cap 40 v4'], 'download', T + 2 * DAY);
});

test('asked about no action, all limits are shown, and what refuses every action', () => {
  const limits = [limitOf('up', { actions: ['upload'] }), limitOf('all')];
  const book = bookOf(account('a'), plan(planOf('p', limits)), subscribed('a', 'p'), block('a', 'upload'));
  const shown = inForce(book, 'a', null, T);
  assert.deepEqual([shown.limits.length, shown.refusal], [2, null]);
});

test('a removed plan still limits those who have it', () => {
  const book = bookOf(account('a'), plan(demo), subscribed('a', 'demo'), plan(demo, T - DAY, true));
  check(book, 'a', ['bandwidth-cap 50 v2']);
  assert.equal(book.catalogue.plan('demo'), undefined);
});

test('an override changes the amount while it holds, by the key of the limit or of the entitlement', () => {
  const facts = [account('a'), plan(demo), subscribed('a', 'demo')];
  check(bookOf(...facts, override('a', 'bandwidth-cap', 70)), 'a', ['bandwidth-cap 70 v4']);
  check(bookOf(...facts, override('a', 'bandwidth', 71)), 'a', ['bandwidth-cap 71 v4']);
  check(bookOf(...facts, override('a', 'bandwidth', 71, T - 2, T)), 'a', ['bandwidth-cap 50 v2']);
  check(bookOf(...facts, override('b', 'bandwidth', 71)), 'a', ['bandwidth-cap 50 v2']);
  const book = bookOf(...facts, override('a', 'bandwidth', 71));
  assert.deepEqual(
    entitlementsAt(book, 'a', T).map((e) => [e.key, e.amount, e.version]),
    [['bandwidth', 71, 4]],
  );
});

test('unlimited is no limit, and is shown as lifted', () => {
  const facts = [account('a'), plan(demo), subscribed('a', 'demo')];
  const lifted = inForce(bookOf(...facts, override('a', 'bandwidth-cap', null)), 'a', 'download', T);
  assert.deepEqual(lifted.limits, []);
  assert.deepEqual(lifted.lifted, [{ key: 'bandwidth-cap', meter: 'bytes', account: 'a', version: 4 }]);
  const free = planOf('demo', [reads], [bandwidth(null)]);
  const unlimited = bookOf(account('a'), plan(free), subscribed('a', 'demo'), override('a', 'bandwidth-cap', 9));
  check(unlimited, 'a', ['bandwidth-cap 9 v4']);
});

test('an overridden rate keeps a burst of its own', () => {
  const rate = { kind: 'rate', amount: 100, windowMs: 60_000, algorithm: 'bucket', burst: 10 } as const;
  const rates = planOf('demo', [limitOf('own', { rule: rate }), limitOf('same', { rule: { ...rate, burst: 100 } })]);
  const book = bookOf(
    account('a'),
    plan(rates),
    subscribed('a', 'demo'),
    override('a', 'own', 200),
    override('a', 'same', 200),
  );
  const rules = inForce(book, 'a', 'x', T).limits.map((l) => l.limit.rule);
  assert.deepEqual(rules, [
    { ...rate, amount: 200 },
    { ...rate, amount: 200, burst: 200 },
  ]);
});

test('a limit bears on the actions it names, and without names on all', () => {
  const limits = [limitOf('up', { actions: ['upload'] }), limitOf('all')];
  const book = bookOf(account('a'), plan(planOf('p', limits)), subscribed('a', 'p'));
  check(book, 'a', ['all 50 v2'], 'download');
  check(book, 'a', ['up 50 v2', 'all 50 v2'], 'upload');
});

test('subtree limits of every account above hold too, each with its own counter, zone and anchor', () => {
  const tree = planOf('tree', [limitOf('shared', { scope: 'subtree' }), limitOf('own')]);
  const book = bookOf(
    account('top', null, 'active', 'Asia/Tokyo'),
    account('mid', 'top'),
    account('low', 'mid'),
    plan(tree),
    subscribed('top', 'tree', T - 30 * DAY),
    subscribed('low', 'tree', T - 9 * DAY),
  );
  const held = inForce(book, 'low', 'download', T).limits.map((l) => [l.limit.key, l.account, l.subject, l.calendar]);
  assert.deepEqual(held, [
    ['shared', 'low', { kind: 'account', account: 'low' }, { zone: 'UTC', anchor: T - 9 * DAY }],
    ['own', 'low', { kind: 'account', account: 'low' }, { zone: 'UTC', anchor: T - 9 * DAY }],
    ['shared', 'top', { kind: 'account', account: 'top' }, { zone: 'Asia/Tokyo', anchor: T - 30 * DAY }],
  ]);
  assert.equal(inForce(book, 'mid', 'download', T).plan, null);
});

test('resources and dimensions are counted apart, by what the call names', () => {
  const limits = [limitOf('nic', { scope: 'resource' }), limitOf('model', { scope: { dimension: 'model' } })];
  const book = bookOf(account('a'), plan(planOf('p', limits)), subscribed('a', 'p'));
  const subjects = inForce(book, 'a', 'x', T).limits.map((l) => l.subject);
  assert.deepEqual(subjects, [{ kind: 'resource' }, { kind: 'dimension', dimension: 'model' }]);
});

test('limits of the installation hold for all accounts or the named ones, while they last', () => {
  const accounts = [account('a'), account('b', 'a')];
  check(bookOf(...accounts, installation(limitOf('all'))), 'b', ['all 50 v3']);
  check(bookOf(...accounts, installation(limitOf('named'), ['a'])), 'b', []);
  check(bookOf(...accounts, installation(limitOf('named'), ['a'])), 'a', ['named 50 v3']);
  check(bookOf(...accounts, installation(limitOf('named', { scope: 'subtree' }), ['a'])), 'b', ['named 50 v3']);
  check(bookOf(...accounts, installation(limitOf('over'), [], 0, T)), 'a', []);
  check(bookOf(...accounts, installation(limitOf('all')), override('a', 'all', 7)), 'a', ['all 7 v4']);
  const soon = inForce(bookOf(...accounts, installation(limitOf('soon'), [], T + 5)), 'a', 'x', T);
  assert.deepEqual([soon.limits, soon.until], [[], T + 5]);
  const one = inForce(bookOf(...accounts, installation(limitOf('one', { scope: 'subtree' }))), 'a', 'x', T).limits[0];
  assert.deepEqual([one?.account, one?.subject], ['', { kind: 'installation' }]);
});

test('without a subscription billing periods are calendar months of the account', () => {
  const book = bookOf(account('a', null, 'active', 'Pacific/Kiritimati'), installation(limitOf('all')));
  const anchor = inForce(book, 'a', 'x', T).limits[0]?.calendar.anchor ?? 0;
  // UTC-10:40 in those days.
  assert.equal(anchor, 31 * DAY + (10 * 60 + 40) * 60_000);
});

test('suspended and closed accounts are refused with a reason, those below them too', () => {
  const of = (state: AccountState, id: string) =>
    inForce(bookOf(account('a', null, state), account('b', 'a')), id, 'x', T).refusal;
  assert.deepEqual(
    [of('suspended', 'a')?.code, of('suspended', 'a')?.reason],
    ['account.suspended', 'The account is suspended.'],
  );
  assert.deepEqual([of('closed', 'b')?.code, of('closed', 'b')?.account], ['account.closed', 'a']);
  assert.equal(of('active', 'b'), null);
});

test('a block refuses its action, or all, for the account and below, with the operator’s words, while it lasts', () => {
  const accounts = [account('a'), account('b', 'a')];
  const one = bookOf(...accounts, block('a', 'upload'));
  assert.equal(inForce(one, 'a', 'download', T).refusal, null);
  assert.deepEqual(inForce(one, 'b', 'upload', T).refusal, {
    code: 'action.blocked',
    reason: 'Unpaid since May.',
    account: 'a',
    version: 3,
    until: null,
  });
  const ended = bookOf(...accounts, block('a', '*', T - DAY, T + 5));
  assert.equal(inForce(ended, 'a', 'upload', T).refusal?.until, T + 5);
  assert.equal(inForce(ended, 'a', 'upload', T).until, T + 5);
  assert.equal(inForce(ended, 'a', 'upload', T + 5).refusal, null);
});

test('what was derived is told to be old when an account changes, and not when anything else does', () => {
  const book = bookOf(account('a'), plan(demo), { kind: 'tick', at: T });
  assert.equal(book.catalogue.at, 2);
  assert.equal(bookOf(plan(demo), account('a')).catalogue.at, 2);
});

test('a change of an installation limit that comes later leaves the old one in force until then', () => {
  const old = installation(limitOf('all', { rule: quota(50) }));
  const later = installation(limitOf('all', { rule: quota(70) }), [], T + DAY);
  const planned = bookOf(account('a'), old, later);
  check(planned, 'a', ['all 50 v2']);
  assert.equal(inForce(planned, 'a', 'x', T).until, T + DAY);
  check(planned, 'a', ['all 70 v3'], 'x', T + DAY);
  // What is put after it calls it off; ended, it leaves nothing behind.
  const again = installation(limitOf('all', { rule: quota(60) }), [], T - 1);
  check(bookOf(account('a'), old, later, again), 'a', ['all 60 v4'], 'x', T + DAY);
  const atOnce = installation(limitOf('all', { rule: quota(60) }), [], T - 1, T - 1);
  check(bookOf(account('a'), old, again, atOnce), 'a', []);
  const ended = installation(limitOf('all', { rule: quota(50) }), [], 0, T);
  check(bookOf(account('a'), old, later, ended), 'a', [], 'x', T + DAY);
  const short = installation(limitOf('all', { rule: quota(70) }), [], T + DAY, T + 2 * DAY);
  check(bookOf(account('a'), old, short), 'a', [], 'x', T + 2 * DAY);
});
