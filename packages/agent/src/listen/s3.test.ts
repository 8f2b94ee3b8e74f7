import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { meterS3 } from './s3.ts';
import { s3Store } from './s3-store.ts';
import { meterStore } from './storage.ts';
import { commands, FakeS3 } from './testing/s3.ts';
import { ManualTime, Sums, until } from './testing/world.ts';

const Bucket = 'b';
const tenant = (key: string) => key.split('/')[0];
const world = () => ({ client: new FakeS3(), sums: new Sums(), time: new ManualTime() });

const listening = () => {
  const { client, sums, time } = world();
  const meter = meterS3(client, { recorder: sums, timers: time, tenant, bucket: Bucket, commands });
  return { client, sums, time, meter, level: (name: string) => sums.level('storage.bytes', name) };
};

test('an application’s own puts, gets and deletes are metered at its client', async () => {
  const { client, sums, meter, level } = listening();
  await meter.sample();
  const put = (Key: string, Body: string | Readable) =>
    client.send(new commands.PutObjectCommand({ Bucket, Key, Body }));
  await put('acme/a', 'äö');
  await put('acme/a', Readable.from([Buffer.from('12'), Buffer.from('3')]));
  await put('acme/b', '12345');
  assert.equal(level('acme'), 8);
  assert.equal(sums.sum('storage.bytes.received', 'acme'), 4 + 3 + 5);
  const got = (await client.send(new commands.GetObjectCommand({ Bucket, Key: 'acme/a' } as never))) as {
    Body: Readable;
  };
  assert.equal(await text(got.Body), '123');
  assert.equal(sums.sum('storage.bytes.sent', 'acme'), 3);
  await client.send(new commands.DeleteObjectCommand({ Bucket, Key: 'acme/b' }));
  assert.equal(level('acme'), 3);
  await client.send(new commands.CopyObjectCommand({ Bucket, Key: 'globex/a', CopySource: 'b/acme/a' }));
  assert.deepEqual([level('acme'), level('globex')], [3, 3]);
  assert.equal(sums.sum('storage.requests', 'globex', { operation: 'copy' }), 1);
  assert.equal(meter.report().errors, 0);
});

test('parts count as they are sent, and the level moves when the upload is completed', async () => {
  const { client, sums, meter, level } = listening();
  await meter.sample();
  for (const Body of ['12345', '678'])
    await client.send(new commands.UploadPartCommand({ Bucket, Key: 'acme/big', Body }));
  assert.equal(sums.sum('storage.bytes.received', 'acme'), 8);
  assert.equal(level('acme'), undefined);
  await client.send(new commands.CompleteMultipartUploadCommand({ Bucket, Key: 'acme/big' }));
  assert.equal(level('acme'), 8);
});

test('a delete of many subtracts what was there and really went', async () => {
  for (const many of [5, 60]) {
    const { client, meter, level } = listening();
    const keys = Array.from({ length: many }, (_, i) => `acme/x/${String(i).padStart(2, '0')}`);
    for (const key of keys) client.objects.set(key, Buffer.alloc(10));
    client.objects.set('acme/other', Buffer.alloc(1));
    await meter.sample();
    client.stubborn.add(keys[3] ?? '');
    const Objects = [...keys, 'acme/x/none'].map((Key) => ({ Key }));
    client.sent.length = 0;
    await client.send(new commands.DeleteObjectsCommand({ Bucket, Key: '', Delete: { Objects } }));
    assert.equal(level('acme'), 11, `${many}`);
    assert.ok(client.sent.length <= many + 2, 'no more questions than objects');
  }
});

test('errors pass, other buckets and callbacks are not touched, and close lets go', async () => {
  const { client, sums, time, meter, level } = listening();
  await meter.sample();
  await assert.rejects(client.send(new commands.GetObjectCommand({ Bucket, Key: 'acme/none' })), { name: 'NoSuchKey' });
  await client.send(new commands.PutObjectCommand({ Bucket: 'elsewhere', Key: 'acme/x', Body: 'xx' }));
  assert.equal(sums.sum('storage.bytes.received'), 0);
  await client.send(new commands.PutObjectCommand({ Bucket, Key: 'acme/y', Body: 'yyy' }), () => undefined);
  time.pass(60_000);
  await until(() => level('acme') === 5);
  meter.close();
  assert.equal(time.waiting, 0);
  assert.ok(!Object.hasOwn(client, 'send'));
  await client.send(new commands.PutObjectCommand({ Bucket, Key: 'acme/z', Body: 'z' }));
  assert.equal(sums.sum('storage.bytes.received'), 0);
});

test('a bucket is an object store like any other', async () => {
  const { client, sums, time } = world();
  const store = meterStore(s3Store(client, { bucket: Bucket, commands }), { recorder: sums, timers: time, tenant });
  const level = (name: string) => sums.level('storage.bytes', name);
  await store.meter.sample();
  assert.equal(await store.add('acme/a b', '12345'), true);
  assert.equal(await store.add('acme/a b', 'x'), false);
  assert.equal(await store.get('acme/none'), undefined);
  assert.equal(await text((await store.get('acme/a b')) as Readable), '12345');
  for (const key of ['acme/d/1', 'acme/d/2', 'acme/d/3/4']) await store.put(key, '1');
  assert.equal(level('acme'), 8);
  await store.rename('acme/a b', 'globex/a b');
  await store.rename('acme/d', 'globex/d');
  assert.deepEqual([level('acme'), level('globex')], [0, 8]);
  assert.deepEqual([...client.objects.keys()].sort(), ['globex/a b', 'globex/d/1', 'globex/d/2', 'globex/d/3/4']);
  await store.delete('globex/d', { recursive: true });
  assert.equal(level('globex'), 5);
  client.stubborn.add('globex/s/1');
  await store.put('globex/s/1', '1');
  await assert.rejects(store.delete('globex/s', { recursive: true }), /could not be deleted/);
  time.pass(60_000);
  await until(() => level('globex') === 6);
});
