import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Book } from './book.ts';
import type { ControlBody, ControlFact } from './control-fact.ts';
import { defineMeter } from './meter.ts';

const HOUR = 3_600_000;
const facts = (...bodies: (ControlBody | [string, ControlBody])[]): ControlFact[] =>
  bodies.map((entry, i) => {
    const [tenant, body] = Array.isArray(entry) ? entry : ['', entry];
    return { receipt: i + 1, tenant, author: 'test', reason: '', recordedAt: 0, body };
  });
const book = (...bodies: (ControlBody | [string, ControlBody])[]): Book =>
  Book.at(facts(...bodies), Number.MAX_SAFE_INTEGER);
const account = (id: string, parent: string | null = null): ControlBody => ({
  kind: 'account',
  id,
  parent,
  name: id,
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});
const owner = (resource: string, of: string | null, from: number): ControlBody => ({
  kind: 'owner',
  resource,
  account: of,
  from,
});
const resource = (
  id: string,
  trafficType: 'public' | 'management' | 'storage' | null,
  billable: boolean | null = null,
): ControlBody => ({
  kind: 'resource',
  id,
  trafficType,
  tag: '',
  billable,
  name: id,
});
const series = { id: 5, tenant: '', source: 'host-1' };

test('an account never stands below itself; such a fact changes nothing and is remembered', () => {
  const b = book(account('a'), account('b', 'a'), account('c', 'b'), account('a', 'c'), account('d', 'd'));
  assert.deepEqual(b.descendants('a').sort(), ['b', 'c']);
  assert.equal(b.account('a')?.parent, null);
  assert.equal(b.account('d'), undefined);
  assert.deepEqual(b.refused, [
    { receipt: 4, code: 'account.cycle' },
    { receipt: 5, code: 'account.cycle' },
  ]);
  assert.equal(b.canBeParent('a', 'c'), false);
  assert.equal(b.canBeParent('c', 'a'), true);
  assert.equal(b.canBeParent('x', 'nobody'), false);
});

test('an account that moves takes its subtree along', () => {
  const b = book(account('a'), account('b'), account('c', 'a'), account('d', 'c'), account('c', 'b'));
  assert.deepEqual(b.descendants('a'), []);
  assert.deepEqual(b.descendants('b').sort(), ['c', 'd']);
  assert.ok(b.isWithin('d', 'b') && b.isWithin('d', 'd') && !b.isWithin('d', 'a'));
});

test('however accounts are moved, the tree stays a tree', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.option(id)), { maxLength: 30 }), (moves) => {
      const b = book(...moves.map(([name, parent]) => account(name, parent)));
      for (const { id: name } of b.allAccounts()) assert.ok(!b.descendants(name).includes(name));
    }),
  );
});

test('law 11: past usage stays with the owner of that time', () => {
  const b = book(owner('nic', 'ada', 0), owner('nic', 'bob', 10 * HOUR), owner('nic', null, 20 * HOUR));
  assert.deepEqual(
    [5, 10, 19, 20, 99].map((h) => b.ownerAt('', 'nic', h * HOUR)),
    ['ada', 'bob', 'bob', null, null],
  );
  assert.deepEqual(b.ownerIntervals('', 'nic', 5 * HOUR, 25 * HOUR), [
    { account: 'ada', from: 5 * HOUR, to: 10 * HOUR },
    { account: 'bob', from: 10 * HOUR, to: 20 * HOUR },
    { account: null, from: 20 * HOUR, to: 25 * HOUR },
  ]);
  assert.deepEqual(b.ownerChanges('', 'nic', 5 * HOUR, 20 * HOUR), [10 * HOUR]);
  assert.deepEqual(b.ownerChanges('', 'nic', 10 * HOUR, 10 * HOUR + 1), []);
});

test('law 11: an owner told later for an earlier time takes that time only, and asked as of before it does not', () => {
  const list = facts(
    owner('nic', 'ada', 0),
    owner('nic', 'bob', 10 * HOUR),
    owner('nic', 'eve', 5 * HOUR),
    owner('nic', 'kim', 5 * HOUR),
  );
  const before = Book.at(list, 2);
  assert.equal(before.ownerAt('', 'nic', 7 * HOUR), 'ada');
  const after = Book.at(list, 4);
  assert.equal(after.ownerAt('', 'nic', 4 * HOUR), 'ada');
  assert.equal(after.ownerAt('', 'nic', 7 * HOUR), 'kim');
  assert.equal(after.ownerAt('', 'nic', 11 * HOUR), 'bob');
});

test('a resource without an owner is its tenant’s, or nobody’s', () => {
  const b = book(['ada', owner('nic', 'bob', 10)]);
  assert.equal(b.ownerAt('ada', 'nic', 9), 'ada');
  assert.equal(b.ownerAt('ada', 'nic', 10), 'bob');
  assert.equal(b.ownerAt('ada', 'other', 10), 'ada');
  assert.equal(b.ownerAt('', 'nic', 10), null);
});

test('what the installation brings under the name of an account is the account’s, unless somebody says otherwise', () => {
  const b = book(account('ada'), ['bob', owner('x', null, 0)], owner('ada', 'bob', 10), owner('ada', null, 20));
  const at = (t: number) => b.ownerAt('', 'ada', t);
  assert.deepEqual([at(9), at(10), at(20)], ['ada', 'bob', null]);
  assert.equal(b.ownerAt('bob', 'ada', 9), 'bob');
  assert.equal(b.ownerAt('', 'nobody', 9), null);
});

test('telling the same owner again is no change', () => {
  const b = book(owner('nic', 'ada', 0), owner('nic', 'ada', 10), owner('nic', 'bob', 20));
  assert.deepEqual(b.ownerChanges('', 'nic', 0, 30), [20]);
});

test('names with anything in them stay apart', () => {
  const b = book(['a', owner('1:b', 'x', 0)], ['a1', owner(':b', 'y', 0)], ['a\n', owner('b', 'z', 0)]);
  assert.equal(b.ownerAt('a', '1:b', 1), 'x');
  assert.equal(b.ownerAt('a1', ':b', 1), 'y');
  assert.equal(b.ownerAt('a\n', 'b', 1), 'z');
  assert.equal(b.ownerAt('a', '\nb', 1), 'a');
});

test('owners over time: the parts cover the span, differ from their neighbours and agree with each instant', () => {
  const facts = fc.array(fc.tuple(fc.option(fc.constantFrom('a', 'b')), fc.nat(20)), { maxLength: 8 });
  fc.assert(
    fc.property(
      facts,
      fc.constantFrom('', 't'),
      fc.nat(25),
      fc.integer({ min: 1, max: 25 }),
      (list, tenant, from, length) => {
        const b = book(...list.map(([of, since]): [string, ControlBody] => [tenant, owner('r', of, since)]));
        const parts = b.ownerIntervals(tenant, 'r', from, from + length);
        assert.equal(parts[0]?.from, from);
        assert.equal(parts.at(-1)?.to, from + length);
        parts.forEach((p, i) => {
          if (i > 0) assert.ok(p.from === parts[i - 1]?.to && p.account !== parts[i - 1]?.account);
          for (let t = p.from; t < p.to; t++) assert.equal(b.ownerAt(tenant, 'r', t), p.account);
        });
      },
    ),
  );
});

test('management and storage are not billable unless somebody says so, all others are unless somebody says not', () => {
  const b = book(
    resource('m', 'management'),
    resource('s', 'storage'),
    resource('p', 'public'),
    resource('n', null),
    resource('m-yes', 'management', true),
    resource('p-no', 'public', false),
  );
  assert.deepEqual(
    ['m', 's', 'p', 'n', 'm-yes', 'p-no', 'unknown'].map((id) => b.isBillable('', id)),
    [false, false, true, true, true, false, true],
  );
});

test('the newest version of a meter is in force, as of the receipt asked for', () => {
  const first = defineMeter({ key: 'm', eventType: 'e', aggregation: 'count' });
  assert.ok(!Array.isArray(first));
  const second = defineMeter({ key: 'm', eventType: 'e', aggregation: 'count', name: 'new' }, first);
  assert.ok(!Array.isArray(second));
  const list = facts(
    { kind: 'meter', meter: first },
    { kind: 'meter', meter: second },
    { kind: 'meter', meter: { ...second, deleted: true } },
  );
  assert.equal(Book.at(list, 0).meter('m'), undefined);
  assert.equal(Book.at(list, 1).meter('m')?.receipt, 1);
  assert.equal(Book.at(list, 2).meter('m')?.name, 'new');
  assert.equal(Book.at(list, 3).meter('m')?.deleted, true);
  assert.ok(![...Book.at(list, 3).meters()].some((m) => m.key === 'm'));
  assert.equal(Book.at(list, 3).versions('m').length, 3);
  assert.equal(new Book().meter('network.bytes.sent')?.unit, 'By');
});

test('what a source settled is judged by the latest tick, also when the clock stepped back', () => {
  const source = (id: string, settleAfterMs: number): ControlBody => ({
    kind: 'source',
    id,
    completeness: 'declared',
    graceMs: 1,
    settleAfterMs,
  });
  const tick = (at: number): ControlBody => ({ kind: 'tick', at });
  const day = 24 * HOUR;
  const b = book(source('quick', HOUR), tick(20 * day), tick(19 * day));
  assert.equal(b.lastTick, 20 * day);
  assert.equal(b.settledBefore('', 'quick'), 20 * day - HOUR);
  assert.equal(b.settledBefore('', 'unknown'), 13 * day);
  assert.equal(b.latestSettled(), 20 * day - HOUR);
  assert.deepEqual(b.source('', 'unknown'), {
    kind: 'source',
    id: 'unknown',
    completeness: 'assumed',
    graceMs: 15 * 60_000,
    settleAfterMs: 7 * day,
  });
  assert.equal(new Book().decisionsFor(series).settledBefore, 0);
});

test('of decisions about a reading the last one counts', () => {
  const decision = (action: 'release' | 'drop', target: number | null, of: number | null = 5): ControlBody => ({
    kind: 'decision',
    action,
    target,
    series: of,
    at: 0,
  });
  const b = book(
    decision('release', 100),
    decision('drop', 100),
    decision('release', 101),
    decision('drop', 900, null),
  );
  const d = b.decisionsFor(series);
  assert.deepEqual([...d.released], [101]);
  assert.deepEqual([...d.dropped], [100]);
  assert.equal(b.decisionAbout(900), 'drop');
  assert.deepEqual([...b.decisionsFor({ ...series, id: 6 }).dropped], []);
});

test('a quarantined series is released, or dropped as far as it was known', () => {
  const quarantine = (from: number): ControlBody => ({ kind: 'quarantine', series: 5, from, code: 'x' });
  const whole = (action: 'release' | 'drop'): ControlBody => ({
    kind: 'decision',
    action,
    target: null,
    series: 5,
    at: 0,
  });
  const held = book(quarantine(50), quarantine(40));
  assert.equal(held.decisionsFor(series).quarantinedFrom, 40);
  assert.deepEqual([...held.quarantinedSeries()], [{ series: 5, from: 40 }]);
  assert.equal(book(quarantine(40), whole('release')).decisionsFor(series).quarantinedFrom, null);
  const dropped = book(quarantine(40), whole('drop'), whole('drop')).decisionsFor(series);
  assert.equal(dropped.quarantinedFrom, null);
  assert.deepEqual(dropped.discarded, [{ from: 40, before: 2 }]);
});

test('what will never come is known by series and by source', () => {
  const b = book(
    { kind: 'unobserved', series: 5, source: null, from: 1, to: 2 },
    { kind: 'unobserved', series: null, source: 'host-1', from: 3, to: 4 },
    ['t', { kind: 'unobserved', series: null, source: 'host-1', from: 5, to: 6 }],
  );
  assert.deepEqual(b.decisionsFor(series).unobserved, [
    { from: 1, to: 2 },
    { from: 3, to: 4 },
  ]);
  assert.deepEqual(b.decisionsFor({ ...series, tenant: 't', id: 9 }).unobserved, [{ from: 5, to: 6 }]);
});

test('voids and undone sets are known as of their receipt', () => {
  const list = facts(
    { kind: 'void', target: 77, at: 0, series: 5, eventType: null, replacement: null },
    { kind: 'set', name: 's', state: 'open', from: 0, to: 0 },
    { kind: 'set', name: 's', state: 'undone', from: 1, to: 2 },
  );
  const [one, two, three] = [1, 2, 3].map((s) => Book.at(list, s));
  assert.ok(one?.isVoided(77) && !one.isVoided(78));
  assert.ok(one?.decisionsFor(series).voided?.has(77));
  assert.deepEqual(two?.undoneSets(), []);
  assert.deepEqual(three?.undoneSets(), ['s']);
});

test('a key is found by its hash until it is revoked or gets another', () => {
  const key = (hash: string, revoked = false): ControlBody => ({
    kind: 'key',
    id: 'k',
    hash,
    name: '',
    account: null,
    scopes: ['read'],
    sources: [],
    revoked,
  });
  assert.equal(book(key('h1')).keyByHash('h1')?.id, 'k');
  assert.equal(book(key('h1'), key('h2')).keyByHash('h1'), undefined);
  assert.equal(book(key('h1'), key('h2')).keyByHash('h2')?.id, 'k');
  assert.equal(book(key('h1'), key('h1', true)).keyByHash('h1'), undefined);
  assert.equal(book(key('h1'), key('h1', true)).key('k')?.revoked, true);
});

test('facts may be handed over in any order', () => {
  const list = facts(account('a'), account('b', 'a'), owner('nic', 'a', 0), owner('nic', 'b', 0), {
    kind: 'tick',
    at: 5,
  });
  const b = Book.at([...list].reverse(), 4);
  assert.equal(b.ownerAt('', 'nic', 1), 'b');
  assert.equal(b.lastTick, 0);
  assert.equal(b.at, 4);
});

test('a book of many accounts and resources is folded in seconds', {
  skip: process.env.CI !== 'true' && 'long form',
}, () => {
  const b = new Book();
  let receipt = 0;
  const put = (body: ControlBody) =>
    b.apply({ receipt: ++receipt, tenant: '', author: '', reason: '', recordedAt: 0, body });
  for (let i = 0; i < 100_000; i++) put(account(`account-${i}`, i < 100 ? null : `account-${i % 100}`));
  for (let i = 0; i < 1_000_000; i++) put(owner(`resource-${i}`, `account-${i % 100_000}`, i));
  assert.equal(b.descendants('account-7').length, 999);
  assert.equal(b.ownerAt('', 'resource-999999', 2_000_000), 'account-99999');
});
