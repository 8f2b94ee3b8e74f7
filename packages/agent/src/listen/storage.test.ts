import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Content } from './content.ts';
import { fileTreeStore } from './file-tree.ts';
import { meterStore, type ObjectStore } from './storage.ts';
import type { StoreMeterOptions } from './store-ledger.ts';
import { ManualTime, Sums, until } from './testing/world.ts';

const LEVEL = 'storage.bytes';

const folder = (t: TestContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-store-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

/** A metered store whose tenants are the first folders. */
const over = <S extends ObjectStore>(inner: S, options: Partial<StoreMeterOptions> = {}) => {
  const sums = new Sums();
  const time = new ManualTime();
  const store = meterStore(inner, {
    recorder: sums,
    tenant: (key) => key.split('/')[0],
    timers: time,
    random: { fraction: () => 0.5 },
    ...options,
  });
  return { store, sums, time, level: (tenant: string) => sums.level(LEVEL, tenant) };
};

const textOf = async (body: Content | undefined): Promise<string | undefined> =>
  body === undefined || typeof body === 'string' ? body : (await buffer(body as AsyncIterable<Uint8Array>)).toString();

async function* pieces(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

test('bytes, not characters, go in and out; an overwrite subtracts the old size', async (t) => {
  const { store, sums, level } = over(fileTreeStore(folder(t)));
  await store.meter.sample();
  await store.put('acme/a', 'äöü');
  assert.equal(level('acme'), 6);
  await store.put('acme/a', Buffer.from('xyz'));
  assert.equal(level('acme'), 3);
  await store.put('acme/b/c', Readable.from([Buffer.from('1234'), Buffer.from('5')]));
  await store.put('acme/d', pieces('67', '8'));
  assert.equal(level('acme'), 11);
  assert.equal(await textOf(await store.get('acme/b/c')), '12345');
  assert.equal(await store.get('acme/none'), undefined);
  assert.equal(sums.sum('storage.bytes.received', 'acme'), 6 + 3 + 5 + 3);
  assert.equal(sums.sum('storage.bytes.sent', 'acme'), 5);
  assert.equal(sums.sum('storage.requests', 'acme', { operation: 'put' }), 4);
  assert.equal(sums.sum('storage.requests', 'acme', { operation: 'get' }), 2);
});

test('add writes only what is new', async (t) => {
  const { store, sums, level } = over(fileTreeStore(folder(t)));
  await store.meter.sample();
  assert.equal(await store.add('acme/a', 'abc'), true);
  assert.equal(await store.add('acme/a', 'longer'), false);
  assert.equal(level('acme'), 3);
  assert.equal(await textOf(await store.get('acme/a')), 'abc');
  assert.equal(sums.sum('storage.requests', 'acme', { operation: 'add' }), 2);
});

test('a recursive delete subtracts everything below, a plain one only the object', async (t) => {
  const { store, level } = over(fileTreeStore(folder(t)));
  await store.meter.sample();
  for (const key of ['acme/x/1', 'acme/x/2', 'acme/x/y/3', 'acme/xx']) await store.put(key, '12345');
  await store.delete('acme/x');
  assert.equal(level('acme'), 20, 'x is a folder, not an object');
  await store.delete('acme/x/1');
  assert.equal(level('acme'), 15);
  await store.delete('acme/x', { recursive: true });
  assert.equal(level('acme'), 5);
  await store.delete('acme/x', { recursive: true });
  assert.equal(level('acme'), 5, 'nothing twice');
  await store.delete('acme', { recursive: true });
  assert.equal(level('acme'), 0);
});

test('a rename takes bytes from one tenant to the other and frees what it replaces', async (t) => {
  const { store, level } = over(fileTreeStore(folder(t)));
  await store.meter.sample();
  await store.put('acme/dir/a', '12345');
  await store.put('acme/dir/b', '123');
  await store.put('globex/a', '1234567');
  await store.rename('acme/dir/a', 'globex/a');
  assert.deepEqual([level('acme'), level('globex')], [3, 5]);
  await store.rename('acme/dir', 'globex/dir');
  assert.deepEqual([level('acme'), level('globex')], [0, 8]);
  await store.rename('globex/a', 'globex/a');
  assert.equal(level('globex'), 8);
});

test('a level is unknown until the first sample, and never a wrong zero', async (t) => {
  const path = folder(t);
  await fileTreeStore(path).put('acme/old', '1234567890');
  const { store, sums, time, level } = over(fileTreeStore(path), { tenants: async () => ['gone'] });
  await store.put('acme/new', '12345');
  await store.delete('acme/old');
  assert.equal(sums.levels.length, 0);
  time.pass(10_000);
  await until(() => level('acme') !== undefined);
  assert.equal(level('acme'), 5);
  assert.equal(level('gone'), 0, 'a tenant without an object is known to have none');
  assert.equal(level(''), undefined);
  await store.put('fresh/a', '12');
  assert.equal(level('fresh'), 2, 'who comes after a full listing begins with nothing');
});

test('drift heals at the next hourly sample', async (t) => {
  const path = folder(t);
  const { store, time, level } = over(fileTreeStore(path));
  await store.put('acme/a', '12345');
  await store.meter.sample();
  writeFileSync(join(path, 'acme', 'a'), 'behind our back');
  time.pass(3_599_999);
  assert.equal(level('acme'), 5);
  time.pass(1);
  await until(() => level('acme') === 15);
  rmSync(join(path, 'acme'), { recursive: true });
  time.pass(3_600_000);
  await until(() => level('acme') === 0);
  store.meter.close();
  assert.equal(time.waiting, 0);
});

test('errors of the store reach the caller as they are, and a sample follows within a minute', async (t) => {
  const inner = fileTreeStore(folder(t));
  const broken = new Error('disk on fire');
  const { store, time, level, sums } = over({
    ...inner,
    put: async (key: string, body: Content) => {
      await inner.put(key, body);
      throw broken;
    },
  });
  await store.meter.sample();
  await assert.rejects(store.put('acme/a', '12345'), broken);
  assert.equal(level('acme'), undefined, 'who knows what was written');
  time.pass(60_000);
  await until(() => level('acme') === 5);
  assert.equal(sums.sum('storage.requests', 'acme', { operation: 'put' }), 1);
});

test('a size that cannot be read and a tenant function that throws disturb no operation', async (t) => {
  const inner = fileTreeStore(folder(t));
  const { store, level, time } = over(
    {
      ...inner,
      size: async () => {
        throw new Error('no');
      },
    },
    {
      tenant: (key) => {
        if (key.startsWith('bad')) throw new Error('no');
        return 'acme';
      },
    },
  );
  await store.meter.sample();
  await store.put('bad/a', '1');
  await store.put('acme/a', '12345');
  assert.equal(await textOf(await store.get('bad/a')), '1');
  assert.ok(store.meter.report().errors >= 2);
  await store.delete('bad/a');
  time.pass(60_000);
  await until(() => level('acme') === 5);
});

test('two puts of one key at a time are noticed and settled by a sample, and neither waits', async (t) => {
  const { store, time, level } = over(fileTreeStore(folder(t)));
  await store.meter.sample();
  await store.put('acme/a', '1');
  await Promise.all([store.put('acme/a', '12345'), store.put('acme/a', '12345')]);
  assert.equal(store.meter.report().conflicts, 1);
  time.pass(60_000);
  await until(() => level('acme') === 5);
});

test('a sample during which a tenant writes is not believed; the sum of changes stands', async (t) => {
  const inner = fileTreeStore(folder(t));
  let during = async (): Promise<unknown> => undefined;
  const { store, time, level } = over({
    ...inner,
    async *list(prefix: string) {
      if (prefix === '') {
        await during();
        yield { key: 'acme/a', size: 1 };
      } else yield* inner.list(prefix);
    },
  });
  await store.put('acme/a', '1');
  await store.meter.sample();
  assert.equal(level('acme'), 1);
  during = () => store.put('acme/b', '22');
  await store.meter.sample();
  assert.equal(level('acme'), 3);
  during = async () => undefined;
  time.pass(120_000);
  await until(() => level('acme') === 1);
});

test('keys that leave the folder or look like part files are refused', async (t) => {
  const store = fileTreeStore(folder(t));
  for (const key of ['', '/a', '../a', 'a/../../b', 'a//b', 'a/', './a', 'a\0', 'a.tollgate-part'])
    await assert.rejects(store.put(key, ''), RangeError, key);
});

test('a file tree lists by prefix and shows no half-written file', async (t) => {
  const path = folder(t);
  const store = fileTreeStore(path);
  for (const key of ['a/b', 'a/bc', 'ab', 'a/d/e']) await store.put(key, key);
  const failing = Readable.from(
    (async function* () {
      yield Buffer.from('part');
      throw new Error('cut off');
    })(),
  );
  await assert.rejects(store.put('a/f', failing), /cut off/);
  const keys = async (prefix: string) => {
    const found: string[] = [];
    for await (const { key } of store.list(prefix)) found.push(key);
    return found.sort();
  };
  assert.deepEqual(await keys(''), ['a/b', 'a/bc', 'a/d/e', 'ab']);
  assert.deepEqual(await keys('a/b'), ['a/b', 'a/bc']);
  assert.deepEqual(await keys('none/'), []);
  assert.equal(await store.size('a/d'), undefined);
});

test('hostile tenants in keys go to nobody, with their bytes', async (t) => {
  const { store, level } = over(fileTreeStore(folder(t)), { maxTenants: 2 });
  await store.meter.sample();
  for (const tenant of ['a', 'b', 'c', 'd']) await store.put(`${tenant}/x`, '12345');
  assert.deepEqual([level('a'), level('b'), level('c'), level('')], [5, 5, undefined, 10]);
  assert.ok(store.meter.report().unattributed.overflow > 0);
});

test('after any sequence of operations the levels are what a listing finds', async (t) => {
  const name = fc.constantFrom('a', 'b', 'a/x', 'b/x', 'a/y/z');
  const key = name.map((n) => (n.includes('/') ? n : `${n}/top`));
  const step = fc.oneof(
    fc.record({ do: fc.constant('put' as const), key, size: fc.nat(50) }),
    fc.record({ do: fc.constant('add' as const), key, size: fc.nat(50) }),
    fc.record({ do: fc.constant('delete' as const), key: fc.oneof(key, name), recursive: fc.boolean() }),
    fc.record({ do: fc.constant('rename' as const), key, to: key }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const inner = fileTreeStore(folder(t));
      const { store, level } = over(inner);
      await store.meter.sample();
      for (const s of steps) {
        const size = 'size' in s ? 'x'.repeat(s.size) : '';
        if (s.do === 'put') await store.put(s.key, size);
        else if (s.do === 'add') await store.add(s.key, size);
        else if (s.do === 'delete') await store.delete(s.key, { recursive: s.recursive });
        else if (await inner.size(s.key)) await store.rename(s.key, s.to);
      }
      const found: Record<string, number> = {};
      for await (const o of inner.list('')) found[o.key[0] ?? ''] = (found[o.key[0] ?? ''] ?? 0) + o.size;
      for (const tenant of ['a', 'b']) assert.equal(level(tenant) ?? 0, found[tenant] ?? 0);
    }),
    { numRuns: process.env.CI === 'true' ? 300 : 30 },
  );
});

test('a stream is counted as it flows and keeps its kind', async (t) => {
  const { store, sums } = over(fileTreeStore(folder(t)));
  const stream = new Readable({ read: () => undefined });
  const put = store.put('acme/a', stream);
  stream.push('first');
  await until(() => sums.sum('storage.bytes.received', 'acme') === 5);
  stream.push('second');
  stream.push(null);
  await put;
  assert.equal(sums.sum('storage.bytes.received', 'acme'), 11);
  assert.equal(await text((await store.get('acme/a')) as Readable), 'firstsecond');
  assert.equal(sums.sum('storage.bytes.sent', 'acme'), 11);
});
