import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentNumber } from './log.ts';
import { Life, START } from './testing/life.ts';

const isLong = process.env.CI === 'true';

/** Joined from the first byte on, when the oldest portion is two seconds old. */
const soon = { behindMs: 2000, maxBytes: 1_000_000, joinPart: 1_000_000, joinMs: [5000, 10_000, 15_000] } as const;
const total = (life: Life): bigint => [...life.totals().values()].reduce((sum, value) => sum + value, 0n);

/** Five keys a second, at ten flushes. */
const measure = async (life: Life, seconds: number): Promise<void> => {
  for (let i = 0; i < seconds * 10; i++) {
    if (i % 2 === 0) life.add({ meter: 'm', subject: `s${(i / 2) % 5}` }, 1);
    await life.tick(98);
  }
};

test('while the server is away buckets are joined, within their length, and nothing is added up twice', async () => {
  const life = new Life({ ...soon, joinPart: 1 });
  const grown = new Life(soon);
  for (const own of [life, grown]) {
    await own.open();
    await measure(own, 60);
    await own.tick(10_000);
    await own.drain();
    await own.tick(100);
    await own.drain();
    assert.equal(total(own), 300n);
  }
  assert.ok(life.server.size > 280, `${life.server.size} records of a log with room`);
  assert.ok(grown.server.size < 120, `${grown.server.size} records`);
  for (const { at, count } of grown.server.values()) assert.ok(at > START && count <= 16, `${count} in one record`);
});

test('what has a number keeps its content and its place, whatever is joined behind it, also over a restart', async () => {
  const life = new Life(soon);
  await life.open();
  await measure(life, 3);
  const before = life.spool.nextBatch(100, 'fresh');
  assert.ok(before && before.portions.length > 0);
  const content = async (portions = before.portions) => Promise.all(portions.map((p) => life.spool.records(p)));
  const records = await content();
  await measure(life, 30);
  assert.deepEqual(await content(), records);
  await life.spool.close();
  await life.open();
  const again = life.spool.nextBatch(100, 'backlog');
  assert.deepEqual([again?.run, again?.first], [before.run, before.first]);
  assert.deepEqual(await content(again?.portions.slice(0, before.portions.length)), records);
});

test('a bucket is held back while it may be joined, and goes when the server is back', async () => {
  const life = new Life({ ...soon, joinMs: [900_000, 900_000, 900_000] });
  const spool = await life.open();
  await measure(life, 20);
  const { ready, depth } = spool;
  await measure(life, 20);
  assert.deepEqual([spool.ready, depth > ready], [ready, true]);
  while (await life.send('fresh'));
  await life.tick(100);
  await life.tick(100);
  assert.ok(spool.ready > 0);
  assert.ok((spool.nextBatch(1000, 'fresh')?.completeThrough ?? 0) >= START + 39_000);
});

test('levels that go while their bucket is held back do not slow down the sums when the server is back', async () => {
  const life = new Life({ ...soon, joinMs: [900_000, 900_000, 900_000] });
  const spool = await life.open();
  await measure(life, 20);
  life.clock.at = spool.sums.open.end - 1;
  for (let i = 0; i < 500; i++) spool.sums.set({ meter: 'level', subject: `s${i}` }, i);
  const { ready } = spool;
  await life.tick(1);
  assert.ok(spool.ready >= ready + 100);
  while (await life.send('fresh'));
  await life.tick(98);
  await life.tick(98);
  assert.ok(spool.ready > 0);
});

test('a stop sends what was held back', async () => {
  const life = new Life({ ...soon, joinMs: [900_000, 900_000, 900_000] });
  await life.open();
  await measure(life, 20);
  await life.spool.finish();
  await life.drain();
  assert.equal(total(life), 100n);
});

test('a segment that is torn while it takes over from a damaged one leaves nothing out', async () => {
  for (let bytes = 0, isDone = false; !isDone; bytes += 3) {
    const life = new Life({ portionRecords: 3 });
    await life.open();
    for (let key = 0; key < 6; key++) life.add({ meter: 'm', subject: `s${key}` }, 1);
    await life.tick(10);
    for (let key = 0; key < 5; key++) life.set({ meter: 'l', subject: `s${key}` }, key);
    // The portions of the bucket are composed; their segment is given up, and the power goes while the next is begun.
    life.disk.failingSyncs = 1;
    await life.tick(1000);
    life.disk.diesAfter = bytes;
    await life.tick(100);
    isDone = !life.disk.dead;
    life.disk.dead = true;
    // What was never synced is gone from the old segment, and all there that was written to the new one.
    life.disk.revive((unsynced, name) => (segmentNumber(name) === 1 ? 0 : unsynced));
    await life.open();
    await life.tick(2000);
    await life.drain();
    const lost = life.spool.lostIntervals();
    assert.deepEqual([...life.totals()].sort(), [...life.expected(lost)].sort(), `torn after ${bytes} bytes`);
    life.checkLevels(lost);
  }
});

test('a day without the server fits: a hundredth of 900 records/s over 5,000 tenants in a hundredth of 1 GiB', async () => {
  const hundredth = { maxBytes: Math.floor(1024 ** 3 / 100), segmentBytes: Math.floor((4 * 1024 ** 2) / 100) };
  const life = new Life({ ...hundredth, flushMs: 10_000 }, { bucketMs: 10_000, keysMax: 100_000 });
  await life.open();
  // The short form fills a sixth of it in four hours.
  const hours = isLong ? 24 : 4;
  if (!isLong) Object.assign(life.spool.settings, { maxBytes: hundredth.maxBytes / 6 });
  let lot = 1;
  for (let flush = 0; flush < hours * 360; flush++) {
    for (let i = 0; i < 90; i++) {
      lot = (lot * 48_271) % 2_147_483_647;
      // By Zipf's law: the logarithm of the place is even.
      const place = Math.floor(50 ** (lot / 2_147_483_647));
      life.spool.sums.add({ meter: `service.bytes.${i % 4}`, subject: `tenant-${place}` }, lot % 100_000);
    }
    await life.tick(9999);
  }
  assert.deepEqual(life.spool.lostIntervals(), []);
  const { bytes } = life.spool;
  await life.spool.finish();
  await life.drain();
  const counted = [...life.server.values()].reduce((sum, { count }) => sum + count, 0);
  assert.deepEqual([counted, life.spool.depth], [hours * 360 * 90, 0]);
  assert.ok(bytes < life.spool.settings.maxBytes, `${bytes} bytes`);
});
