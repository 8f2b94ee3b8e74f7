import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { atOnce, type GateFields, gate, quotaOf, rate } from '../testing/gates.ts';
import { counted, groupName, isName, namePrefix, parseName } from './counter-name.ts';
import { Engine } from './engine.ts';
import { NameIndex } from './name-index.ts';
import type { Gate } from './types.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const SECOND = 1000;
const byKey = (subject: string, fields: GateFields = {}): Gate =>
  gate(rate('fixed', 2, SECOND), { scope: { dimension: 'key' }, subject, ...fields });

const take = (engine: Engine, gates: readonly Gate[], cost = 1, now = NOW): boolean =>
  engine.decide(engine.prepare(gates), cost, now).allowed;

test('two thousand hostile keys take their share and not a paying tenant’s counter', () => {
  const engine = new Engine({ share: 100 });
  const paying = gate(quotaOf(5), { account: 'paying' });
  const own = byKey('their key', { account: 'paying' });
  assert.equal(take(engine, [paying], 5), true);
  assert.equal(take(engine, [own], 2), true);
  for (let i = 0; i < 2000; i++) take(engine, [byKey(`hostile ${i}`, { account: 'evil' })]);
  assert.equal(take(engine, [paying]), false, 'eviction would have restored its budget');
  assert.equal(take(engine, [own]), false);
  assert.equal(take(engine, [byKey('another', { account: 'paying' })]), true, 'and its share is its own');
  assert.deepEqual(engine.stats(), { counters: 103, overflowed: 1900 });
});

test('values beyond the share have one counter together: they admit no more than one value', () => {
  const engine = new Engine({ share: 1 });
  take(engine, [byKey('first')]);
  assert.equal(take(engine, [byKey('second')]), true);
  assert.equal(take(engine, [byKey('third')]), true);
  assert.equal(take(engine, [byKey('fourth')]), false);
  assert.equal(take(engine, [byKey('first')]), true, 'who was there before keeps a counter');
});

test('shares of all limits together are bounded as well', () => {
  const engine = new Engine({ open: 10 });
  for (let i = 0; i < 100; i++) take(engine, [byKey('x', { account: `account ${i}` })]);
  assert.equal(engine.stats().counters, 10);
  assert.equal(take(engine, [byKey('x', { account: 'account 3' })]), true);
});

test('counters of accounts and resources are made whatever the shares', () => {
  const engine = new Engine({ share: 1, open: 1 });
  for (let i = 0; i < 50; i++) take(engine, [gate(quotaOf(1), { scope: 'resource', subject: `r${i}` })]);
  assert.equal(engine.stats().counters, 50);
  assert.equal(take(engine, [gate(quotaOf(1), { scope: 'resource', subject: 'r49' })]), false);
});

test('a sweep frees counters of values of which nothing is left, and never another', () => {
  const engine = new Engine({ share: 4 });
  const fields = { scope: { dimension: 'key' } } as const;
  const gates = [
    gate(rate('fixed', 2, SECOND), { ...fields, key: 'a' }),
    gate(rate('sliding', 2, SECOND), { ...fields, key: 'b' }),
    gate(rate('bucket', 2, SECOND), { ...fields, key: 'c' }),
    gate(rate('log', 2, SECOND), { ...fields, key: 'd' }),
    gate(quotaOf(2, 'day'), { ...fields, key: 'e' }),
    gate(atOnce(2, SECOND), { ...fields, key: 'f' }),
    gate(quotaOf(2, 'day'), { ...fields, key: 'g', feed: 'metered' }),
    gate(rate('fixed', 2, SECOND), { key: 'h' }),
  ];
  take(engine, gates, 2);
  const left = (now: number): number => {
    engine.sweep(now);
    return engine.stats().counters;
  };
  assert.equal(left(NOW), 8);
  assert.equal(left(NOW + 999), 8);
  assert.equal(left(NOW + 1000), 4, 'two windows, weighed, still know the one before');
  assert.equal(left(NOW + 1999), 4);
  assert.equal(left(NOW + 2000), 3);
  assert.equal(left(NOW + 86_400_000), 2, 'metered and per account stay');
});

test('gates prepared before a sweep find their counters again, and never another’s', () => {
  const engine = new Engine();
  const old = engine.prepare([byKey('old')]);
  engine.decide(old, 2, NOW);
  engine.sweep(NOW + SECOND);
  assert.equal(take(engine, [byKey('new')], 1, NOW + SECOND), true, 'this one has the freed place now');
  assert.equal(engine.decide(old, 2, NOW + SECOND).allowed, true);
  assert.equal(take(engine, [byKey('new')], 2, NOW + SECOND), false);
  assert.equal(take(engine, [byKey('old')], 1, NOW + SECOND), false);
});

test('gates prepared before a sweep charge where others find it, also when the place is still empty', () => {
  const engine = new Engine();
  const old = engine.prepare([byKey('old')]);
  engine.decide(old, 2, NOW);
  engine.sweep(NOW + SECOND);
  assert.equal(engine.decide(old, 2, NOW + SECOND).allowed, true);
  assert.equal(take(engine, [byKey('old')], 1, NOW + SECOND), false);
});

test('each of many gates finds its own counter again after a sweep', () => {
  const engine = new Engine();
  const gates = Array.from({ length: 7 }, (_, i) => byKey(`k${i}`));
  const old = engine.prepare(gates);
  engine.decide(old, 1, NOW);
  engine.sweep(NOW + SECOND);
  take(engine, [byKey('new'), ...gates.toReversed()], 1, NOW + SECOND);
  const costs = gates.map((_, i) => i % 2);
  assert.equal(engine.decide(old, 0, NOW + SECOND, costs).allowed, true);
  assert.deepEqual(
    gates.map((one) => engine.status(engine.prepare([one]), NOW + SECOND)[0]?.used),
    costs.map((cost) => 1 + cost),
  );
});

test('what a sweep frees is room for all limits again', () => {
  const engine = new Engine({ open: 1 });
  take(engine, [byKey('x', { account: 'one' })]);
  engine.sweep(NOW + SECOND);
  take(engine, [byKey('x', { account: 'two' })], 1, NOW + SECOND);
  assert.equal(engine.stats().overflowed, 0);
});

test('a sweep goes on where it stopped, a few at a time', () => {
  const engine = new Engine({ share: 1000 });
  for (let i = 0; i < 1000; i++) take(engine, [byKey(`k${i}`)]);
  let freed = 0;
  for (let i = 0; i < 10; i++) freed += engine.sweep(NOW + SECOND, 100);
  assert.equal(freed, 1000);
  for (let i = 0; i < 1000; i++) assert.equal(take(engine, [byKey(`l${i}`)], 1, NOW + SECOND), true);
  assert.equal(engine.stats().overflowed, 0, 'their share is free again');
});

test('another rule for the same limit keeps what was used: bucket, window, period', () => {
  const engine = new Engine();
  const of = (rule: Parameters<typeof gate>[0]): Gate => gate(rule, { key: 'x' });
  const used = (g: Gate, now: number): number => engine.status(engine.prepare([g]), now)[0]!.used;
  take(engine, [of(rate('bucket', 10, SECOND, 10))], 8);
  assert.equal(used(of(rate('bucket', 1, SECOND, 10)), NOW + 100), 7, 'what drained until now drained at the old rate');
  assert.equal(used(of(rate('bucket', 1, SECOND, 10)), NOW + 1100), 6);
  assert.equal(used(of(rate('log', 10, SECOND)), NOW + 1100), 6);
  assert.equal(used(of(rate('fixed', 4, 60 * SECOND)), NOW + 1100), 4, 'no more than the new limit can hold');
  assert.equal(used(of(quotaOf(100)), NOW + 1100), 4);
  assert.equal(used(of(quotaOf(100, 'day')), NOW + 1100), 4);
});

test('a granted quota that gets another period has nothing granted in it and is unknown', () => {
  const engine = new Engine();
  const [month, day] = [gate(quotaOf(100)), gate(quotaOf(100, 'day'))];
  engine.setCeiling(month, 50, NOW);
  assert.equal(take(engine, [month], 10), true);
  assert.equal(take(engine, [day], 1), false);
  assert.deepEqual(engine.unknown(engine.prepare([day]), NOW), [0]);
});

test('gates prepared under the old rule and the new one do not disturb each other’s counting', () => {
  const engine = new Engine();
  const old = engine.prepare([gate(rate('bucket', 1, SECOND, 4), { key: 'x' })]);
  const young = engine.prepare([gate(rate('fixed', 4, SECOND), { key: 'x' })]);
  let admitted = 0;
  for (let i = 0; i < 10; i++) if (engine.decide(i % 2 === 0 ? old : young, 1, NOW).allowed) admitted++;
  assert.equal(admitted, 4);
});

test('quota counters come back from a snapshot as they were, rates begin anew', () => {
  const engine = new Engine({ share: 1 });
  const metered = gate(quotaOf(100), { key: 'bytes', feed: 'metered' });
  const strict = gate(quotaOf(10), { key: 'strict', subject: 'with\nanything "in" it' });
  const open = { key: 'open', scope: { dimension: 'key' } } as const;
  const values = ['one', 'two', 'three'].map((subject) => gate(quotaOf(3), { ...open, subject }));
  engine.setUsed(metered, 70, NOW);
  engine.setCeiling(strict, 8, NOW);
  take(engine, [strict, gate(rate('fixed', 10, SECOND)), ...values], 1);
  const rows = JSON.parse(JSON.stringify(engine.snapshot(NOW)));
  assert.equal(rows.length, 4, 'two of the values share a counter');
  const again = new Engine({ share: 1 });
  again.restore(rows);
  assert.deepEqual(again.snapshot(NOW), rows);
  const gates = [metered, strict, ...values];
  const shown = (e: Engine): unknown => e.status(e.prepare(gates), NOW);
  assert.deepEqual(shown(again), shown(engine));
  assert.equal(again.decide(again.prepare([strict]), 8, NOW).allowed, false, 'ceilings too');
  assert.deepEqual(again.snapshot(Date.parse('2026-12-01T00:00:00Z')), [], 'periods that are over are not kept');
});

const text = fc.string({ unit: 'binary', maxLength: 12 });

test('no two names of counters read the same', () =>
  fc.assert(
    fc.property(text, text, text, text, text, text, (a, b, c, d, e, f) => {
      const name = namePrefix(counted(a), b) + c;
      assert.deepEqual(parseName(name), { limit: a, account: b, subject: c });
      assert.equal(groupName(name), namePrefix(counted(a), b));
      assert.equal(isName(name, counted(a), b, c), true);
      assert.equal(isName(name, counted(d), e, f), a === d && b === e && c === f);
    }),
  ));

test('the index of names finds what a map would, through growth, removals and equal hashes', () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat(60), fc.integer({ min: 0, max: 2 })), { maxLength: 400, size: 'max' }),
      (steps) => {
        const [index, map] = [new NameIndex(1), new Map<number, number>()];
        let next = 0;
        for (const [adds, n, kind] of steps) {
          const [prefix, account, subject] = [counted('limit'), 'acme', `subject ${n}`];
          // Few hashes, so that searches run into each other.
          const hash = kind === 0 ? index.hash(prefix, account, subject) : n % 3;
          const key = kind === 0 ? n : 1000 + n;
          const name = kind === 0 ? subject : `x ${n}`;
          const known = map.get(key);
          assert.equal(index.find(hash, prefix, account, name), known ?? -1);
          if (adds && known === undefined) {
            index.add(hash, next, prefix, account, name);
            map.set(key, next++);
          } else if (!adds && known !== undefined) {
            index.remove(hash, known);
            map.delete(key);
          }
          assert.equal(index.size, map.size);
        }
      },
    ),
  ));
